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


def av1an_killed_goes_on_from_its_finished_chunks(library):
    library.start()
    victims = processes("av1an")
    assert victims, "no av1an runs"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    status = library.finish()
    assert status["failures"] == 1 and status["run"] >= 2, (status["failures"], status["run"])


def a_pod_killed_at_once_is_lost_not_failed(library):
    library.start()
    kube.kubectl("-n", library.name, "delete", "pod", library.pod(), "--grace-period=0", "--force")
    status = library.finish()
    assert status["failures"] == 0 and status["lost"] >= 1, (status["failures"], status["lost"])


def the_operator_killed_while_a_job_encodes_and_while_it_settles_goes_on(library):
    library.start()
    pod = library.pod()
    for pid in processes("av1-operator"):
        os.kill(pid, signal.SIGKILL)
    kube.wait_for("the operator to be back", operator_ready, timeout=120)
    assert library.pod() == pod, "the encode was started again"
    kube.wait_for("the job to settle", lambda: library.phase(FILM) == "Settling", timeout=400, every=0.1)
    for pid in processes("av1-operator"):
        os.kill(pid, signal.SIGKILL)
    status = library.finish()
    assert status["run"] == 1 and status["failures"] == 0, status


def operator_ready():
    pods = kube.get("pods", namespace=kube.OPERATOR_NAMESPACE)
    return [p for p in pods if p["status"].get("containerStatuses", [{}])[0].get("ready")]


TESTS = [av1an_killed_goes_on_from_its_finished_chunks, a_pod_killed_at_once_is_lost_not_failed,
         the_operator_killed_while_a_job_encodes_and_while_it_settles_goes_on]
