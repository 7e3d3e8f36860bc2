"""A library for the demo and the tests: folder, volume, claim and MediaLibrary in a namespace of its own.

Writes only below the folder that it made itself.
"""

import json
import os
import pathlib
import shutil

import kube

FINISHED = {"Succeeded", "Skipped", "Rejected", "Failed", "Restored", "Cancelled"}


class Library:
    """A MediaLibrary named as its namespace, over a hostPath volume at `folder`."""

    def __init__(self, name, spec=None):
        self.name = name
        self.home = kube.STATE / "libraries" / name
        self.folder = self.home / "library"
        self.spec = spec or {}

    def fill(self, source=None):
        """Makes the folder anew: the sample library, or a copy of `source`."""
        self.remove()
        self.folder.mkdir(parents=True)
        os.chmod(self.home, 0o755)
        if source is None:
            print(kube.run(kube.ROOT / "tests/media/sample", self.folder, timeout=900), end="")
        else:
            kube.run("cp", "-a", f"{pathlib.Path(source).resolve()}/.", self.folder, timeout=3600)
            shutil.rmtree(self.folder / ".av1", ignore_errors=True)
            # Pods never run as root: what root owns is given to an ordinary user, in the copy.
            kube.run("find", self.folder, "-uid", "0", "-exec", "chown", "-h", "1000:1000", "{}", "+")

    def use(self, folder):
        """Takes a folder of the user's own, as it is: nothing is copied, and it is never removed."""
        self.remove()
        self.home.mkdir(parents=True)
        self.folder = pathlib.Path(folder).resolve()

    def manifest(self):
        """What a user would apply: namespace, volume, claim, library."""
        size = {"storage": "1Gi"}
        volume = {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"library-{self.name}"},
            "spec": {"capacity": size, "accessModes": ["ReadWriteMany"], "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
                     "claimRef": {"namespace": self.name, "name": "media"}, "hostPath": {"path": str(self.folder), "type": "Directory"}},
        }
        claim = {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "media", "namespace": self.name},
            "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": f"library-{self.name}", "resources": {"requests": size}},
        }
        spec = {
            "volume": {"persistentVolumeClaim": {"claimName": "media"}},
            "scan": {"minSize": "100Ki", "intervalSeconds": 3},
            "streams": {"dropLanguages": ["ru"]},
            "pods": {"cpus": 1},
        } | self.spec
        library = {"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": self.name, "namespace": self.name}, "spec": spec}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
        return "\n---\n".join(json.dumps(o, indent=2) for o in (namespace, volume, claim, library))

    def apply(self):
        return kube.apply(self.manifest())

    def patch(self, spec):
        kube.kubectl("-n", self.name, "patch", "mlib", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def status(self):
        return (kube.get("mlib", self.name, self.name) or {}).get("status", {})

    def jobs(self):
        return kube.get("ej", namespace=self.name) or []

    def job(self, path):
        """The EncodeJob of `path`, the youngest if there are several; None when there is none."""
        found = [job for job in self.jobs() if job["spec"]["source"]["path"] == path]
        return max(found, key=lambda job: job["metadata"]["creationTimestamp"], default=None)

    def phase(self, path):
        return ((self.job(path) or {}).get("status") or {}).get("phase")

    def files(self):
        """Every path with its verdict, by the user's command."""
        text = kube.kubectl("av1", "files", self.name, "-n", self.name, "-o", "json")
        return {item["path"]: item for item in json.loads(text)}

    def summary(self):
        """What the catalog says, at this moment."""
        page = f"/api/v1/namespaces/{self.name}/services/{self.name}-catalog:http/proxy/v1/summary"
        return json.loads(kube.kubectl("get", "--raw", page))

    def scans_go_by(self, count=2):
        """Waits until that many whole scans began and ended from now on."""
        seen = self.summary()["scans"]
        kube.wait_for("more scans", lambda: self.summary()["scans"] > seen + count, timeout=60)

    def is_finished(self):
        """Whether the whole library was looked at and nothing is left to do."""
        status = self.status()
        files = status.get("files") or {}
        live = [job for job in self.jobs() if (job.get("status") or {}).get("phase", "Queued") not in FINISHED]
        return bool(files.get("complete")) and files.get("pending") == 0 and not live

    def remove(self):
        """Removes the resources, waits until they are gone, and then the folder."""
        if kube.get("namespace", self.name):
            kube.kubectl("delete", "namespace", self.name, "--wait=true", "--timeout=180s", timeout=200)
        if kube.get("pv", f"library-{self.name}"):
            kube.kubectl("delete", "pv", f"library-{self.name}", "--timeout=60s")
        if self.home.exists():
            mounted = [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.home) in line]
            if mounted:
                raise RuntimeError(f"{self.home} is still mounted: {mounted[0]}")
            kube.run("rm", "-rf", "--one-file-system", self.home)
