"""Kill -9 in the middle: av1an, the pod, the operator. The result is bit-identical to an undisturbed encode."""

import os
import signal

import kube
import results
from library import Library
from cases.isolation import FILM, page


class Context(Library):
    undisturbed = None

    def pod(self):
        pods = kube.get("pods", namespace=self.name, selector="av1.media/role=encode")
        running = [p["metadata"]["name"] for p in pods or [] if p["status"].get("phase") == "Running"]
        return running[0] if running else None

    def start(self):
        self.fill()
        self.apply()
        kube.wait_for("the second chunk", lambda: page(self)["chunksDone"] >= 2, timeout=240)

    def finish(self):
        kube.wait_for("the end", lambda: self.phase(FILM) == "Succeeded", timeout=400)
        status = self.job(FILM)["status"]
        hash_now = results.video_hash(self.folder, FILM)
        assert hash_now == self.undisturbed, "the video differs from that of an undisturbed encode"
        before = {FILM: status["result"]["originalSha256"]}
        assert not results.prove_replacement(self.folder, FILM, status["result"]["original"], before)
        return status


def setup():
    library = Context("interrupted", {"scan": {"minSize": "10Mi", "intervalSeconds": 3}, "encode": {"overrides": {"preset": 7}}})
    library.fill()
    library.apply()
    kube.wait_for("the undisturbed encode", lambda: library.phase(FILM) == "Succeeded", timeout=400)
    library.undisturbed = results.video_hash(library.folder, FILM)
    return library


def processes(name):
    """Processes of that name in a pod of the cluster, on this host."""
    found = kube.run("pgrep", "-x", name, check=False).split()
    return [int(pid) for pid in found if "av1-cluster" in open(f"/proc/{pid}/cgroup").read()]


def kill_all(name):
    victims = processes(name)
    assert victims, f"no {name} runs"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


def av1an_killed_and_then_the_operator_goes_on_from_finished_chunks(library):
    library.start()
    first = library.pod()
    kill_all("av1an")
    kube.wait_for("the next run to encode", lambda: library.pod() not in (None, first) and page(library)["stage"] == "Encoding", timeout=240)
    kill_all("av1-operator")
    kube.wait_for("the operator to be back", operator_ready, timeout=120)
    status = library.finish()
    assert (status["failures"], status["run"]) == (1, 2), "the encode was started again, or not at all"


def a_pod_killed_at_once_is_lost_not_failed_and_the_operator_killed_while_it_settles_goes_on(library):
    library.start()
    kube.kubectl("-n", library.name, "delete", "pod", library.pod(), "--grace-period=0", "--force")
    kube.wait_for("the job to settle", lambda: library.phase(FILM) == "Settling", timeout=400, every=0.1)
    kill_all("av1-operator")
    status = library.finish()
    assert status["failures"] == 0 and status["lost"] >= 1, (status["failures"], status["lost"])


def a_file_whose_encodes_fail_is_left_as_it_is_and_remembered_on_the_volume(library):
    library.spec["failurePolicy"] = {"maxAttempts": 1}
    library.start()
    before = kube.sha256(library.folder / FILM)
    kill_all("av1an")
    kube.wait_for("the job to be given up", lambda: library.phase(FILM) == "Failed", timeout=240)
    status = library.job(FILM)["status"]
    assert status["outcome"]["reason"] == "TooManyFailures" and status["failures"] == 1, status["outcome"]
    receipts = [file.read_text() for file in (library.folder / ".av1/state/receipts").iterdir()]
    assert any("TooManyFailures" in text for text in receipts), receipts
    kube.wait_for("the catalog to know", lambda: library.files()[FILM]["reason"] == "FailedBefore", timeout=60)
    assert kube.sha256(library.folder / FILM) == before and len(library.jobs()) == 1, "the file, or its job, is another"


def a_pod_that_no_node_takes_is_made_anew_once_what_it_wants_was_mended(library):
    alone = {"labelSelector": {"matchLabels": {"nobody": "has-this"}}, "topologyKey": "kubernetes.io/hostname"}
    library.spec["pods"] = {"cpus": 1, "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [alone]}}}
    library.fill()
    library.apply()
    placed = lambda: next((c for c in library.job(FILM)["status"]["conditions"] if c["type"] == "Placed"), {})
    kube.wait_for("no node to take the pod", lambda: placed().get("reason") == "Unschedulable", timeout=120)
    first = library.job(FILM)["status"]["run"]
    library.patch({"pods": {"affinity": None}})
    kube.wait_for("the pod to run", library.pod, timeout=120)
    status = library.job(FILM)["status"]
    assert status["run"] == first + 1 and not status.get("failures") and not status.get("lost"), status


def operator_ready():
    pods = kube.get("pods", namespace=kube.OPERATOR_NAMESPACE)
    return [p for p in pods if p["status"].get("containerStatuses", [{}])[0].get("ready")]


TESTS = [av1an_killed_and_then_the_operator_goes_on_from_finished_chunks,
         a_pod_killed_at_once_is_lost_not_failed_and_the_operator_killed_while_it_settles_goes_on,
         a_file_whose_encodes_fail_is_left_as_it_is_and_remembered_on_the_volume,
         a_pod_that_no_node_takes_is_made_anew_once_what_it_wants_was_mended]
