"""What a cluster does to an operator, each on the real one: every case ends with the outcomes and the video of an undisturbed run.

Run by `make test-chaos`. Kills only programs of the cluster that tests/cluster started, and pods.
"""

import json
import os
import signal
import time

import kube
import results
from cases.isolation import FILM, page
from cases.interruptions import Context as Interrupted, operator_ready, processes

SMALL = "Shorts/-x $(HOSTNAME) $$ \"quote's\" %03d a:b \\ naïve 映画.mkv"
TIGHT = "Shorts/Tight.mp4"
TERMINAL = {SMALL: "Succeeded", TIGHT: "Rejected", FILM: "Succeeded"}


class Context(Interrupted):
    """A library of a film, a small film and one that does not shrink."""

    def start(self):
        self.fill()
        self.before = kube.hashes(self.folder)
        self.apply()

    def encoding(self):
        """Waits until the film has two chunks, and gives its pod."""
        kube.wait_for("the second chunk of the film", lambda: page(self)["chunksDone"] >= 2, timeout=300)
        return self.pod()

    def outcomes(self):
        return {path: self.phase(path) for path in TERMINAL}

    def finish(self):
        """Waits for the end and proves it: outcomes, videos, originals, and that nothing else changed."""
        kube.wait_for("every job to end", lambda: self.outcomes() == TERMINAL, timeout=600)
        problems = []
        for path in (FILM, SMALL):
            result = self.job(path)["status"]["result"]
            problems += results.prove_replacement(self.folder, path, result["original"], self.before)
            if results.video_hash(self.folder, path) != self.undisturbed[path]:
                problems.append(f"{path}: the video differs from that of an undisturbed run")
        problems += results.prove_untouched(self.folder, self.before, {FILM, SMALL}, {TIGHT})
        assert not problems, problems
        settled = [job["metadata"]["name"] for job in self.jobs() if job["status"]["phase"] == "Succeeded"]
        assert len(settled) == 2 and len(self.jobs()) == 3, [(j["spec"]["source"]["path"], j["status"]["phase"]) for j in self.jobs()]
        return self.job(FILM)["status"]


def setup():
    library = Context("chaos", {"scan": {"minSize": "100Ki", "intervalSeconds": 2, "include": [FILM, TIGHT, "Shorts/-x*"]},
                                "encode": {"overrides": {"preset": 8}}})
    library.start()
    kube.wait_for("the undisturbed run", lambda: library.outcomes() == TERMINAL, timeout=600)
    library.undisturbed = {path: results.video_hash(library.folder, path) for path in (FILM, SMALL)}
    return library


def kill_operators():
    for pid in processes("av1-operator"):
        os.kill(pid, signal.SIGKILL)


def restart(server):
    """Kills a server of the cluster and starts it again."""
    pid = int((kube.STATE / f"cluster/run/{server}.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    kube.wait_for(f"{server} to be dead", lambda: not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read().split()[2], timeout=30)
    kube.run(kube.ROOT / "tests/cluster/up", timeout=300)


def memory_of(pod):
    """Bytes that the pod's encoder may have; its request is the same."""
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"], resources
    text = resources["limits"]["memory"]
    units = {"Ki": 10, "Mi": 20, "Gi": 30}
    return int(text[:-2]) << units[text[-2:]] if text[-2:] in units else int(text)


def starve():
    """Kills the encoders that run, and leaves the container so little memory that the next ones are killed for it."""
    parents = processes("av1an")
    assert parents, "no av1an runs"
    for pid in parents:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in processes("SvtAv1EncApp"):
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        folders = dict(line.split(":", 2)[1:] for line in open(f"/proc/{parents[0]}/cgroup").read().split())
        if "memory" in folders:
            limit, used = (f"/sys/fs/cgroup/memory{folders['memory']}/memory.{name}" for name in ("limit_in_bytes", "usage_in_bytes"))
        else:
            limit, used = (f"/sys/fs/cgroup{folders['']}/memory.{name}" for name in ("max", "current"))
        # Version 1 refuses what cannot be freed: the first limit that it takes leaves next to nothing.
        for megabytes in range(16, (int(open(used).read()) >> 20) + 32, 4):
            try:
                with open(limit, "w") as file:
                    file.write(str(megabytes << 20))
                return
            except OSError:
                continue
        raise AssertionError(f"{limit} cannot be lowered")
    finally:
        for pid in parents:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass  # killed for its memory


def the_operator_is_killed_at_every_phase(library):
    library.start()
    seen = set()
    end = time.monotonic() + 900
    while library.outcomes() != TERMINAL and time.monotonic() < end:
        phases = {(path, phase) for path, phase in library.outcomes().items() if phase} - seen
        if phases:
            seen |= phases
            kill_operators()
            kube.wait_for("the operator to be back", operator_ready, timeout=180)
        time.sleep(0.2)
    status = library.finish()
    killed = {phase for _, phase in seen}
    assert {"Encoding", "Settling"} <= killed, seen
    assert status["failures"] == 0, status
    print(f"     killed at {sorted(seen)}", flush=True)


def of_two_operators_one_works_and_the_other_takes_over(library):
    kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "scale", f"deployment/{kube.RELEASE}", "--replicas=2")
    try:
        kube.wait_for("two operators", lambda: len(processes("av1-operator")) == 2, timeout=120)
        library.start()
        library.encoding()
        holder = kube.get("lease", kube.RELEASE, kube.OPERATOR_NAMESPACE)["spec"]["holderIdentity"]
        leader = next(pod["metadata"]["name"] for pod in operator_ready() if pod["metadata"]["name"] in holder)
        kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "delete", "pod", leader, "--grace-period=0", "--force")
        status = library.finish()
        now = kube.get("lease", kube.RELEASE, kube.OPERATOR_NAMESPACE)["spec"]["holderIdentity"]
        assert now != holder and (status["run"], status["failures"]) == (1, 0), (holder, now, status)
    finally:
        kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "scale", f"deployment/{kube.RELEASE}", "--replicas=1")


def the_api_server_is_killed_while_a_pod_encodes(library):
    library.start()
    library.encoding()
    restart("kube-apiserver")
    assert library.finish()["failures"] == 0


def the_kubelet_is_killed_while_a_pod_encodes(library):
    library.start()
    library.encoding()
    restart("kubelet")
    assert library.finish()["failures"] == 0


def an_evicted_pod_is_lost_and_not_failed(library):
    library.start()
    pod = library.encoding()
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": library.name}}
    kube.kubectl("create", "--raw", f"/api/v1/namespaces/{library.name}/pods/{pod}/eviction", "-f", "-", text_input=json.dumps(eviction))
    status = library.finish()
    assert status["failures"] == 0 and status["run"] >= 2, (status["failures"], status["run"])


def a_pod_whose_memory_ran_out_has_failed_and_the_next_one_gets_more(library):
    def pod_of(run):
        selector = f"av1.media/role=encode,av1.media/run={run},av1.media/encode-job={library.job(FILM)['metadata']['name']}"
        return next(iter(kube.get("pods", namespace=library.name, selector=selector) or []), None)

    library.start()
    library.encoding()
    had = memory_of(pod_of(1))
    starve()
    status = kube.wait_for("the run to fail", lambda: library.job(FILM)["status"]["failures"] and library.job(FILM)["status"], timeout=300)
    assert status["outcome"]["reason"] == "OutOfMemory", status["outcome"]
    assert (status["failures"], status["lost"], status["outOfMemory"]["kills"]) == (1, 0, 1), status
    assert "the next run gets" in status["outcome"]["message"] and "GiB" in status["outcome"]["message"], status["outcome"]
    next_pod = kube.wait_for("the next run", lambda: pod_of(2), timeout=300)
    assert memory_of(next_pod) == status["outOfMemory"]["memoryBytes"] > had, (had, memory_of(next_pod), status["outOfMemory"])
    status = library.finish()
    assert (status["failures"], status["run"]) == (1, 2), status


def a_drained_node_is_no_failure_and_the_encode_goes_on_when_it_is_back(library):
    library.start()
    library.encoding()
    node = kube.get("nodes")[0]["metadata"]["name"]
    try:
        kube.kubectl("drain", node, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=120s", timeout=150)
        assert not library.pod(), "an encode pod runs on a drained node"
    finally:
        kube.kubectl("uncordon", node)
    status = library.finish()
    assert status["failures"] == 0, status


def a_status_cleared_by_hand_is_made_good(library):
    library.start()
    library.encoding()
    name = library.job(FILM)["metadata"]["name"]
    nothing = json.dumps([{"op": "replace", "path": "/status", "value": {}}])
    kube.kubectl("-n", library.name, "patch", "ej", name, "--subresource=status", "--type=json", "-p", nothing)
    kube.kubectl("-n", library.name, "patch", "mlib", library.name, "--subresource=status", "--type=json", "-p", nothing)
    library.finish()


def a_job_deleted_while_it_encodes_leaves_the_file_alone_and_the_next_scan_takes_it_up(library):
    library.start()
    library.encoding()
    job = library.job(FILM)["metadata"]
    kube.kubectl("-n", library.name, "delete", "ej", job["name"], "--timeout=60s")
    assert kube.sha256(library.folder / FILM) == library.before[FILM]
    kube.wait_for("another job", lambda: (library.job(FILM) or job)["metadata"].get("uid", job["uid"]) != job["uid"], timeout=60)
    library.finish()


def a_job_deleted_while_it_settles_settles(library):
    library.start()
    job = kube.wait_for("the film to settle", lambda: library.job(FILM) if library.phase(FILM) == "Settling" else None, timeout=600, every=0.1)
    kube.kubectl("-n", library.name, "delete", "ej", job["metadata"]["name"], "--timeout=120s", timeout=150)
    kube.wait_for("the others", lambda: all(library.phase(path) == phase for path, phase in TERMINAL.items() if path != FILM), timeout=300)
    kube.wait_for("the catalog to know", lambda: library.files()[FILM]["reason"] in ("AlreadyAv1", "AlreadyDone"), timeout=60)
    assert results.video_hash(library.folder, FILM) == library.undisturbed[FILM]
    trash = [path for path, digest in all_hashes(library.folder).items() if digest == library.before[FILM]]
    assert len(trash) == 1 and trash[0].startswith(".av1/trash/"), trash


def a_library_deleted_with_jobs_under_way_touches_no_file(library):
    library.start()
    library.encoding()
    kube.kubectl("-n", library.name, "delete", "mlib", library.name, "--timeout=60s")
    kube.kubectl("-n", library.name, "delete", "ej", "--all", "--timeout=120s", timeout=150)
    kube.wait_for("every pod to go", lambda: not kube.get("pods", namespace=library.name), timeout=120)
    replaced = {path for path in (FILM, SMALL) if kube.sha256(library.folder / path) != library.before[path]}
    assert replaced <= {SMALL}, replaced
    library.apply()
    kube.wait_for("every job to end", lambda: all(library.files()[path]["reason"] for path in TERMINAL) and library.is_finished(), timeout=600)
    assert results.video_hash(library.folder, FILM) == library.undisturbed[FILM]


def all_hashes(folder):
    """SHA-256 of every file below `folder`, those in `.av1` too."""
    return {os.path.relpath(os.path.join(base, name), folder): kube.sha256(os.path.join(base, name))
            for base, _, files in os.walk(folder) for name in files}


def another_volume_in_its_place_stops_the_library_until_the_right_one_is_back(library):
    library.start()
    library.encoding()
    identity = library.folder / ".av1/volume.json"
    right = identity.read_text()
    identity.write_text(json.dumps(json.loads(right) | {"id": "0" * 32}))
    ready = lambda: {c["type"]: c for c in library.status()["conditions"]}["Ready"]
    kube.wait_for("the library to say that it is another volume", lambda: ready()["reason"] == "WrongVolume", timeout=180)
    kube.wait_for("the encode to stop or to end", lambda: not library.pod(), timeout=300)
    now = kube.hashes(library.folder)
    changed = [path for path in library.before if now.get(path) != library.before[path]]
    assert not changed and "Succeeded" not in library.outcomes().values(), (changed, library.outcomes())
    identity.write_text(right)
    kube.wait_for("the library to be ready again", lambda: ready()["status"] == "True", timeout=420)
    library.finish()


TESTS = [the_operator_is_killed_at_every_phase, of_two_operators_one_works_and_the_other_takes_over,
         the_api_server_is_killed_while_a_pod_encodes, the_kubelet_is_killed_while_a_pod_encodes,
         an_evicted_pod_is_lost_and_not_failed, a_pod_whose_memory_ran_out_has_failed_and_the_next_one_gets_more,
         a_drained_node_is_no_failure_and_the_encode_goes_on_when_it_is_back,
         a_status_cleared_by_hand_is_made_good,
         a_job_deleted_while_it_encodes_leaves_the_file_alone_and_the_next_scan_takes_it_up,
         a_job_deleted_while_it_settles_settles, a_library_deleted_with_jobs_under_way_touches_no_file,
         another_volume_in_its_place_stops_the_library_until_the_right_one_is_back]
