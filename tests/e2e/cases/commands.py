"""The plugin's commands as a user types them: what each prints, what each exits with, with little rights and without the operator."""

import json
import os
import pathlib
import subprocess
import tempfile

import kube
from library import Library
from cases.isolation import FILM

BIKES = "Shorts/Bikes.mp4"
TIGHT = "Shorts/Tight.mp4"
READER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: NAME}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NAME}
rules:
  - {apiGroups: [av1.media], resources: [medialibraries, encodejobs], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [services/proxy], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: NAME}]
"""


class Context(Library):
    def av1(self, *args, exits=0):
        """What a command prints, stderr too, when it exits as it should."""
        done = subprocess.run(["kubectl", "av1", *args, "-n", self.name], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == exits, f"{args}: exit code {done.returncode} instead of {exits}: {done.stdout[-2000:]}"
        return done.stdout

    def versions(self):
        return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in kube.get("mlib", namespace=self.name) + self.jobs()}

    def aside(self, path):
        return self.home / "aside" / path


def says(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in: {text}"


def setup():
    # The newest first: Bikes before the film, which is slow enough to be paused. Neither is there until the node was surveyed, which
    # takes the only whole CPU.
    library = Context("commands", {"scan": {"minSize": "600Ki", "intervalSeconds": 2, "order": "NewestFirst", "include": [FILM, BIKES, TIGHT]},
                                   "encode": {"overrides": {"preset": 4}}})
    library.fill()
    stat = (library.folder / BIKES).stat()
    os.utime(library.folder / BIKES, (stat.st_atime, stat.st_mtime + 3600))
    for path in (FILM, BIKES):
        library.aside(path).parent.mkdir(parents=True, exist_ok=True)
        (library.folder / path).rename(library.aside(path))
    library.apply()
    return library


def doctor_finds_a_healthy_cluster_ok_within_twenty_lines(library):
    def well():
        done = subprocess.run(["kubectl", "av1", "doctor", "-n", library.name], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        lines = done.stdout.splitlines()
        if done.returncode != 0 or not all(line.startswith("ok ") for line in lines[:-1]):
            raise kube.CommandFailed(done.stdout)
        return lines

    lines = kube.wait_for("doctor to find all ok", well, timeout=90, every=1)
    assert 10 <= len(lines) <= 20, lines
    says("\n".join(lines), "operator and plugin are", "static: encode pods have CPUs of their own", "leads")
    findings = json.loads(library.av1("doctor", "-o", "json"))
    assert {finding["state"] for finding in findings} == {"ok"}, findings


def a_library_is_paused_and_a_plan_says_what_would_be_encoded_and_writes_nothing(library):
    says(library.av1("pause", library.name, "--wait"), "suspend false -> true", "paused, no job encodes")
    says(library.av1("pause", f"library/{library.name}"), "nothing to change, suspend is true already")
    for path in (FILM, BIKES):
        library.aside(path).rename(library.folder / path)
    kube.wait_for("both files to be seen", lambda: "2 files would be encoded" in library.av1("plan", library.name), timeout=60)

    def unchanged():
        before = library.versions()
        text = library.av1("plan", library.name)
        # The operator may have written a scan's end meanwhile.
        return text if library.versions() == before else None

    text = kube.wait_for("a plan between two writes of the operator", unchanged, timeout=30, every=0.1)
    says(text, "the newest first. Nothing was written.", "become about", "rule of thumb", "the library is paused")
    assert text.index("Bikes.mp4") < text.index("Long Feature.mkv"), text
    assert not library.jobs(), "a job was made"
    plan = json.loads(library.av1("plan", library.name, "-o", "json"))
    bikes, film = plan["files"]
    assert (bikes["path"], bikes["codec"], bikes["preset"], film["width"]) == (BIKES, "h264", 4, 854), plan["files"]
    assert 0 < bikes["predictedSize"] < bikes["size"] and film["predictedSeconds"] > 0, plan["files"]
    assert plan["total"]["files"] == 2 and plan["suspended"] is True, plan
    says(library.av1("plan", library.name, "-o", "yaml"), f"path: {BIKES}")
    says(library.av1("plan", "nothing", exits=1), "no MediaLibrary nothing in namespace commands")


def resume_lets_the_library_go_on(library):
    says(library.av1("resume", library.name, "--wait"), "suspend true -> false", "goes on")
    kube.wait_for("the first encode", lambda: library.phase(BIKES) == "Succeeded", timeout=120)


def a_job_is_paused_by_its_file_and_resumed_by_its_name(library):
    kube.wait_for("the film to be encoded", lambda: library.phase(FILM) == "Encoding", timeout=60)
    says(library.av1("pause", library.name, FILM, "--wait"), "suspend false -> true", "Paused, what is encoded is kept")
    job = library.job(FILM)
    assert (job["spec"]["suspend"], job["status"]["phase"]) == (True, "Paused"), job
    says(library.av1("resume", job["metadata"]["name"], "--wait"), "suspend true -> false")
    assert library.phase(FILM) in ("Queued", "Encoding"), library.phase(FILM)
    says(library.av1("pause", library.name, TIGHT, exits=1), "there is nothing to pause")
    says(library.av1("pause", library.job(BIKES)["metadata"]["name"], exits=1), "has ended already (Succeeded)")
    says(library.av1("resume", "nothing", exits=1), "no MediaLibrary and no EncodeJob nothing")
    kube.wait_for("the film to be encoded again", lambda: library.phase(FILM) == "Encoding", timeout=60)
    library.av1("pause", library.name, "--wait")
    # Its pod had hardly begun.
    pods = lambda: kube.get("pods", namespace=library.name, selector="av1.media/role=encode")
    kube.wait_for("the pod that has ended to be gone", lambda: not pods(), timeout=60)
    assert library.phase(FILM) == "Paused", library.job(FILM)["status"]


def jobs_are_listed_in_each_format_and_filtered(library):
    table, name = library.av1("jobs"), library.job(BIKES)["metadata"]["name"]
    says(table, "JOB", "PROGRESS", name, "Succeeded", "Encoded", "2 jobs:")
    says(library.av1("jobs", "-o", "wide"), "NODE", BIKES, FILM, "CRF")
    rows = json.loads(library.av1("jobs", "-o", "json", "--sort", "savings"))
    assert [row["path"] for row in rows] == [BIKES, FILM] and rows[0]["saved"] > 0, rows
    says(library.av1("jobs", "-o", "yaml"), f"path: {BIKES}", "phase: Succeeded")
    chosen = json.loads(library.av1("jobs", "-o", "json", "--phase", "succeeded,failed", "--library", library.name, "--reason", "Encoded"))
    assert [row["name"] for row in chosen] == [name], chosen
    says(library.av1("jobs", "--phase", "Failed"), "No job is of that kind; there are 2 jobs in all.")
    says(library.av1("jobs", "--phase", "Done", exits=2), "Succeeded")
    everywhere = kube.run("kubectl", "av1", "jobs", "-A", "--library", library.name)
    says(everywhere, "LIBRARY", f"{library.name}/{library.name}")


def a_file_is_explained_whether_it_is_done_skipped_or_missing(library):
    kube.wait_for("the catalog to know", lambda: library.files()[BIKES]["reason"] == "AlreadyDone", timeout=60)
    says(library.av1("explain", library.name, BIKES), "AlreadyDone", "STOPPED", "Succeeded", "passed: ", "saved", "original", "receipt")
    told = json.loads(library.av1("explain", library.name, BIKES, "-o", "json"))
    assert (told["file"]["state"], told["job"]["status"]["phase"]) == ("done", "Succeeded"), told
    gates = {gate["gate"]: gate["outcome"] for gate in told["file"]["gates"]}
    assert gates["AlreadyDone"] == "Stopped" and gates["UsersMarker"] == "Passed" and len(gates) > 20, gates
    says(library.av1("explain", library.name, TIGHT), "skipped: TooSmall", "STOPPED    TooSmall", "scan.minSize", "There is no job of this file")
    says(library.av1("explain", library.name, FILM), "worth encoding", "How it would be encoded now", "predicted", "the library's spec.suspend is true")
    says(library.av1("explain", library.name, "Films/readme.txt"), "No scan comes by this file", "scan.extensions")
    says(library.av1("explain", library.name, "Films/none.mkv", exits=1), "has no file and no job at Films/none.mkv")


def completions_are_a_script_that_bash_reads(library):
    for shell in ("bash", "zsh", "fish"):
        says(kube.kubectl("av1", "completions", shell), "explain", "doctor")
    kube.run("bash", "-n", "-c", kube.kubectl("av1", "completions", "bash"))


def who_may_only_read_reads_and_is_told_what_is_not_allowed(library):
    kube.apply(READER.replace("NAME", library.name))
    config = json.loads(kube.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": kube.kubectl("-n", library.name, "create", "token", "reader").strip()}
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = pathlib.Path(folder) / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(config))
        reader = ("--kubeconfig", str(kubeconfig))
        for command in (("jobs",), ("explain", library.name, BIKES), ("plan", library.name), ("status", library.name), ("files", library.name)):
            library.av1(*command, *reader)
        says(library.av1("resume", library.name, *reader, exits=5), f"not allowed to change MediaLibrary {library.name}", "ask whoever runs the cluster")
        says(library.av1("pause", "job/" + library.job(FILM)["metadata"]["name"], *reader, exits=5), "not allowed to change EncodeJob")
        assert kube.get("mlib", library.name, library.name)["spec"]["suspend"] is True, "the library was resumed"
        assert library.job(FILM)["spec"].get("suspend") is False, library.job(FILM)["spec"]
        says(library.av1("doctor", *reader), "not allowed to look", "that cannot be told")


def a_wrong_context_is_named(library):
    says(library.av1("jobs", "--context", "nowhere", exits=6), "the kubeconfig has no context nowhere", "--context")


def with_the_operator_away_every_read_works_and_doctor_says_what_to_do(library):
    def scale(replicas):
        kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "scale", f"deployment/{kube.RELEASE}", f"--replicas={replicas}")

    scale(0)
    try:
        kube.wait_for("the operator's pod to go", lambda: not kube.get("pods", namespace=kube.OPERATOR_NAMESPACE), timeout=60)
        says(library.av1("status", library.name), f"{library.name}/{library.name}: ready")
        says(library.av1("jobs"), "Succeeded", "Paused")
        says(library.av1("files", library.name), "done", "TooSmall")
        says(library.av1("explain", library.name, BIKES), "AlreadyDone", "Succeeded")
        says(library.av1("plan", library.name), "1 file would be encoded", "from one encode of this library")
        says(library.av1("doctor", exits=4), "FIX", "is scaled to 0", f"scale deployment/{kube.RELEASE} --replicas=1")
    finally:
        scale(1)
        kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "rollout", "status", f"deployment/{kube.RELEASE}", "--timeout=120s", timeout=150)


TESTS = [doctor_finds_a_healthy_cluster_ok_within_twenty_lines, a_library_is_paused_and_a_plan_says_what_would_be_encoded_and_writes_nothing,
         resume_lets_the_library_go_on, a_job_is_paused_by_its_file_and_resumed_by_its_name, jobs_are_listed_in_each_format_and_filtered,
         a_file_is_explained_whether_it_is_done_skipped_or_missing, completions_are_a_script_that_bash_reads,
         who_may_only_read_reads_and_is_told_what_is_not_allowed, a_wrong_context_is_named,
         with_the_operator_away_every_read_works_and_doctor_says_what_to_do]
