"""A control plane with fake nodes and the real operator against it, for the ratios of scale. May: start processes, touch its
state folder, use loopback. Must never: touch the cluster of tests/cluster."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import stand_in

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "av1-operator"
OPERATOR = pathlib.Path(os.environ.get("AV1_OPERATOR") or pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target") / "release/av1-operator")
API = "https://127.0.0.1:16443"
METRICS = "127.0.0.1:18080"
NAMESPACE, SYSTEM = "media", "av1-system"
EJ = f"/apis/av1.media/v1alpha1/namespaces/{NAMESPACE}/encodejobs"
# Encodes of the library "slow", whose progress is counted.
SLOW_SECONDS = 150


def fail(message):
    sys.exit(f"error: {message}")


def total(page, name):
    """Sum of a metric's series on a page of them."""
    return sum(value for series, value in page.items() if series.split("{")[0] == name)


def until(what, condition, seconds=600, pause=0.2):
    """Waits for the condition and returns what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            fail(f"not so within {seconds} s: {what}")
        time.sleep(pause)
    return found


class Plane:
    """Libraries with candidates over fake nodes; the operator is started and ended by the ratios."""

    def __init__(self, state, libraries, nodes, files, at_once):
        self.state, self.nodes, self.files, self.at_once = state, nodes, files, at_once
        self.libraries = [f"library-{n:02}" for n in range(libraries)]
        self.operator = None
        self.stand_in = stand_in.StandIn()
        state.mkdir(parents=True)
        stages = (HERE / "stages.yaml").read_text().replace("REPORT_SHA256", stand_in.REPORT_SHA256).replace("SLOW_SECONDS", str(SLOW_SECONDS))
        (state / "stages.yaml").write_text(stages)

    def __enter__(self):
        try:
            self.script("up")
            self.bin = self.script_path()
            self.prepare()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind=None, *_):
        log = self.state / "operator.log"
        if kind and log.exists():
            print(f"the operator's last words:\n{log.read_text()[-3000:]}", file=sys.stderr)
        self.stop_operator()
        self.stand_in.close()
        self.script("down")

    def script(self, command):
        subprocess.run([HERE / "control-plane", command, self.state], check=True, stdout=sys.stderr)

    @staticmethod
    def script_path():
        shell = f". {ROOT}/tests/cluster/paths.sh; echo $BIN"
        return pathlib.Path(subprocess.run(["bash", "-c", shell], check=True, text=True, capture_output=True).stdout.strip())

    # --- the API server ---

    def kubectl(self, *words, stdin=None):
        command = [self.bin / "kubectl", "--kubeconfig", self.state / "admin.conf", *words]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True)
        if done.returncode != 0:
            fail(f"kubectl {' '.join(map(str, words))}: {done.stderr[-2000:]}")
        return done.stdout

    def curl(self, *words):
        """curl as the administrator, with the certificates of the plane."""
        pki = self.state / "pki"
        return ["curl", "--silent", "--fail", "--cacert", pki / "ca.crt", "--cert", pki / "admin.crt", "--key", pki / "admin.key", *words]

    def get(self, path):
        return json.loads(subprocess.run(self.curl(API + path), check=True, capture_output=True).stdout)

    def exists(self, path):
        return subprocess.run(self.curl("--output", "/dev/null", API + path)).returncode == 0

    def apply(self, objects):
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def writes(self):
        """Writes that the API server has taken since it began, whoever sent them; leases apart."""
        total = 0
        for line in subprocess.run(self.curl(f"{API}/metrics"), check=True, text=True, capture_output=True).stdout.splitlines():
            if line.startswith("apiserver_request_total{") and any(f'verb="{verb}"' in line for verb in ("POST", "PUT", "PATCH", "APPLY", "DELETE")):
                if 'code="20' in line and 'resource="leases"' not in line and 'resource="tokenreviews"' not in line and 'resource="subjectaccessreviews"' not in line:
                    total += float(line.rsplit(" ", 1)[1])
        return total

    # --- what stands before the first job ---

    def prepare(self):
        crds = [word for crd in sorted((ROOT / "crds").glob("av1.media_*.yaml")) for word in ("-f", crd)]
        self.kubectl("apply", "--server-side", *crds)
        self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (NAMESPACE, SYSTEM)])
        chart = subprocess.run([self.bin / "helm", "template", "av1-operator", ROOT / "helm/av1-operator", "-n", SYSTEM, "--show-only", "templates/rbac.yaml",
                                "--show-only", "templates/serviceaccount.yaml"], check=True, text=True, capture_output=True).stdout
        self.kubectl("apply", "-f", "-", stdin=chart)
        token = self.kubectl("-n", SYSTEM, "create", "token", "av1-operator", "--duration=24h").strip()
        config = json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                             "clusters": [{"name": "c", "cluster": {"server": API, "certificate-authority": str(self.state / "pki/ca.crt")}}],
                             "users": [{"name": "u", "user": {"token": token}}]})
        path = self.state / "operator.conf"
        path.touch(mode=0o600)
        path.write_text(config)
        volumes = [part for library in [*self.libraries, "slow"] for part in self.volume(library)]
        self.apply([self.node(n) for n in range(self.nodes)] + volumes)

    def node(self, number):
        resources = {"cpu": "16", "memory": "64Gi", "pods": "110"}
        labels = {"type": "kwok", "kubernetes.io/hostname": f"node-{number:04}", "films": self.libraries[number % len(self.libraries)]}
        info = {"bootID": f"boot-{number}", "architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": "v1.36.3", "kubeProxyVersion": "", "kernelVersion": "6.18",
                "containerRuntimeVersion": "kwok", "machineID": "", "systemUUID": "", "osImage": ""}
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number:04}", "labels": labels},
                "status": {"capacity": {**resources, "cpu": "17"}, "allocatable": resources, "nodeInfo": info}}

    @staticmethod
    def volume(library):
        size = {"storage": "80Ti"}
        return [{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": library},
                 "spec": {"capacity": size, "accessModes": ["ReadWriteMany"], "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
                          "nfs": {"server": "192.0.2.1", "path": f"/{library}"}, "claimRef": {"namespace": NAMESPACE, "name": library}}},
                {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": library, "namespace": NAMESPACE},
                 "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": library, "resources": {"requests": size}}}]

    def library(self, name, suspend, jobs, nodes):
        return {"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"volume": {"persistentVolumeClaim": {"claimName": name}}, "suspend": suspend, "concurrency": {"maxJobs": jobs, "queueDepth": 2 * jobs},
                         "pods": {"cpus": 8, "memory": "16Gi", "nodeSelector": {"films": nodes}}}}

    def start_libraries(self, names, files, jobs, nodes=None, suspend=True):
        """Makes libraries and answers as their catalogs, once the operator has made their Services."""
        self.apply([self.library(name, suspend, jobs, nodes or name) for name in names])
        for name in names:
            path = f"/api/v1/namespaces/{NAMESPACE}/services/{name}-catalog"
            until(f"{name} has a catalog", lambda: self.exists(path))
            self.stand_in.catalog(self.get(path)["spec"]["clusterIP"], name, files)
        for name in names:
            until(f"{name} is ready", lambda: self.condition(name, "CatalogReady") == "True")

    def condition(self, library, kind):
        status = self.get(f"/apis/av1.media/v1alpha1/namespaces/{NAMESPACE}/medialibraries/{library}").get("status", {})
        return next((c["status"] for c in status.get("conditions", []) if c["type"] == kind), None)

    def surveyed(self, library):
        status = self.get(f"/apis/av1.media/v1alpha1/namespaces/{NAMESPACE}/medialibraries/{library}").get("status", {})
        nodes = status.get("placement", {}).get("nodes", [])
        return nodes and all("survey" in node for node in nodes)

    # --- the operator ---

    def start_operator(self):
        log = open(self.state / "operator.log", "a")
        env = {"PATH": os.environ["PATH"], "KUBECONFIG": str(self.state / "operator.conf"), "RUST_LOG": os.environ.get("SCALE_LOG", "warn")}
        self.operator = subprocess.Popen([OPERATOR, "--encoder-image=registry.local/encoder:1", f"--metrics-listen={METRICS}", f"--lease-namespace={SYSTEM}", "--lease-duration-seconds=300"],
                                         env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop_operator(self):
        if self.operator:
            self.operator.terminate()
            self.operator.wait()
            self.operator = None

    def memory(self):
        """Resident bytes of the operator."""
        status = pathlib.Path(f"/proc/{self.operator.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) * 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.operator.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def scrape(self):
        """Every series of the operator's page with its value, and the seconds that it takes to get it."""
        start = time.monotonic()
        done = subprocess.run(["curl", "--silent", "--fail", f"http://{METRICS}/metrics"], text=True, capture_output=True)
        seconds = time.monotonic() - start
        if self.operator.poll() is not None:
            fail(f"the operator ended with {self.operator.returncode}; its log is {self.state}/operator.log")
        lines = [line.rsplit(" ", 1) for line in done.stdout.splitlines() if line and not line.startswith("#")]
        return {series: float(value) for series, value in lines}, seconds

    def metric(self, name):
        """Sum of a metric's series."""
        return total(self.scrape()[0], name)

    # --- what the operator wrote ---

    def audit(self, since=0):
        """The operator's writes from the given byte of the log on, leases apart."""
        with open(self.state / "log/audit.log", "rb") as log:
            log.seek(since)
            for line in log:
                event = json.loads(line) if line.endswith(b"\n") else {}
                if event.get("objectRef", {}).get("resource", "leases") != "leases":
                    yield event

    def audit_end(self):
        """Where the next write will be."""
        return (self.state / "log/audit.log").stat().st_size

    def wipe(self):
        shutil.rmtree(self.state, ignore_errors=True)
