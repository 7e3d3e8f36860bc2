"""What an encode container can see and do, asked from inside; and whether everybody tells the same progress."""

import json
import os
import re
import time

import kube
from library import Library

FILM = "Films/Long Feature (2008)/Long Feature.mkv"


class Context(Library):
    def pod(self):
        pods = kube.get("pods", namespace=self.name, selector="av1.media/role=encode")
        running = [p["metadata"]["name"] for p in pods or [] if p["status"].get("phase") == "Running"]
        return running[0] if running else None

    def inside(self, command, check=True):
        return kube.kubectl("-n", self.name, "exec", self.pod(), "-c", "encode", "--", "sh", "-c", command, check=check, merged=True)


def setup():
    # Slow enough that there is time to look around.
    library = Context("isolation", {"scan": {"minSize": "10Mi", "intervalSeconds": 3}, "encode": {"overrides": {"preset": 3}}})
    library.fill()
    library.apply()
    kube.wait_for("frames to be encoded", lambda: int(library.job(FILM)["status"]["progress"]["frames"]) > 0, timeout=240)
    return library


def its_cpus_are_its_own(library):
    allowed = re.search(r"Cpus_allowed_list:\s*(\S+)", library.inside("cat /proc/self/status")).group(1)
    pinning = library.job(FILM)["status"]["pinning"]
    assert pinning["cpus"] == allowed and pinning["exclusive"] is True, (pinning, allowed)
    others = kube.run("bash", "-c", "for p in $(pgrep -x kube-apiserver); do taskset -pc $p; done", check=False)
    assert allowed not in ("0", "0-1"), (allowed, others)


def the_survey_found_that_whole_cpus_are_exclusive(library):
    def surveyed():
        nodes = library.status()["placement"]["nodes"]
        return nodes if all(node.get("survey") for node in nodes) else None

    nodes = kube.wait_for("the survey", surveyed, timeout=30)
    machine = kube.get("nodes")[0]
    assert len(nodes) == 1 and nodes[0]["name"] == machine["metadata"]["name"], nodes
    assert nodes[0]["bootId"] == machine["status"]["nodeInfo"]["bootID"], nodes
    survey = nodes[0]["survey"]
    assert survey["exclusive"] is True, survey
    assert survey["onlineCpus"] == os.cpu_count() and survey["threadsPerCore"] >= 1, survey
    model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    assert survey["cpuModel"] == (model[1].strip() if model else ""), survey


def the_librarys_status_says_where_encodes_can_run(library):
    placement = library.status()["placement"]
    assert (placement["eligibleNodes"], placement["cpusPerJob"], placement["workersPerJob"]) == (1, 1, 1), placement
    assert "message" not in placement, placement


def more_cpus_than_any_node_has_are_named_before_a_pod_is_made(library):
    most = int(kube.get("nodes")[0]["status"]["allocatable"]["cpu"])
    library.patch({"pods": {"cpus": most + 1}})
    said = kube.wait_for("the status to say so", lambda: library.status()["placement"].get("message"), timeout=30)
    assert f"asks for {most + 1} CPUs" in said and "lower spec.pods.cpus" in said, said
    assert library.status()["placement"]["eligibleNodes"] == 0, library.status()["placement"]
    library.patch({"pods": {"cpus": 1}})
    kube.wait_for("the node to fit again", lambda: library.status()["placement"]["eligibleNodes"] == 1, timeout=30)


def it_has_no_token_and_no_capabilities(library):
    assert "no such file" in library.inside("ls /var/run/secrets/kubernetes.io", check=False).lower()
    status = library.inside("cat /proc/1/status")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert re.search(rf"{name}:\s*0+\n", status), status
    assert re.search(r"NoNewPrivs:\s*1", status) and re.search(r"Seccomp:\s*2", status), status
    assert library.inside("id -u").strip() == "1000"


def it_cannot_write_to_the_library_or_its_own_root(library):
    for path in ("/library/x", "/library/Films/x", "/usr/x", "/x"):
        said = library.inside(f"touch {path} 2>&1; echo code $?", check=False)
        assert "code 1" in said and ("Read-only" in said or "denied" in said), (path, said)


def it_sees_no_state_and_no_other_jobs_folder(library):
    assert library.inside("ls -A /library/.av1").strip() == ""
    work = library.inside("ls -A /work")
    assert "video" in work or "scenes" in work or "av1an" in work or work.strip(), work
    mounts = library.inside("cat /proc/self/mountinfo")
    assert "/.av1/work/" in mounts and mounts.count("/.av1/") == 1, mounts


def resources_metrics_and_the_plugin_agree_with_the_encodes_own_log(library):
    name = library.job(FILM)["metadata"]["name"]
    kube.wait_for("the first chunk", lambda: page(library)["chunksDone"] >= 1, timeout=120)

    def logged():
        """Frames of finished chunks, as Av1an records them."""
        done = json.loads(library.inside("cat /work/av1an/done.json"))
        return sum(chunk["frames"] for chunk in done["done"].values())

    def agrees():
        begun, first = time.monotonic(), page(library)
        time.sleep(10)
        finished, own = logged(), page(library)
        rate = (own["frames"] - first["frames"]) / (time.monotonic() - begun)
        metrics = kube.operator_metrics()
        value = {m[1]: float(m[2]) for m in re.finditer(rf'av1_encode_job_(\w+){{job="{name}",[^}}]*}} (\S+)', metrics)}
        top = kube.kubectl("av1", "top", "--once", "-n", library.name)
        get = kube.kubectl("get", "ej", "-n", library.name)
        ratio, left = own["frames"] / own["totalFrames"], own["totalFrames"] - own["frames"]
        line = next(line for line in top.splitlines() if "Long Feature" in line)
        checks = {
            "frames of finished chunks": finished <= own["frames"] <= finished + 2 * 240,
            "rate": abs(own["framesPerSecond"] - rate) <= 0.5 * rate,
            "time left": abs(own["etaSeconds"] - left / own["framesPerSecond"]) <= max(3, 0.1 * left / own["framesPerSecond"]),
            "metrics: progress": abs(value["progress_ratio"] - ratio) <= 0.08,
            "metrics: rate": abs(value["frames_per_second"] - own["framesPerSecond"]) <= 0.3 * own["framesPerSecond"],
            "metrics: time left": abs(value["eta_seconds"] - own["etaSeconds"]) <= max(10, 0.4 * own["etaSeconds"]),
            "top": abs(int(re.search(r"(\d+)%", line)[1]) - 100 * ratio) <= 8,
            "get": abs(int(re.search(r"(\d+)%", get)[1]) - 100 * ratio) <= 15,
        }
        wrong = [check for check, agreed in checks.items() if not agreed]
        if wrong:
            raise kube.CommandFailed(f"{wrong}: page {own}, log {finished}, rate {rate:.1f}, metrics {value}\n{top}\n{get}")
        return top + "\n" + get

    seen = kube.wait_for("all to agree", agrees, timeout=75)
    print("\n".join(f"     {line}" for line in seen.splitlines()))


def suspending_keeps_finished_chunks_and_resuming_goes_on(library):
    kube.wait_for("two finished chunks", lambda: page(library)["chunksDone"] >= 2, timeout=240)
    library.patch({"suspend": True})
    kube.wait_for("the job to pause", lambda: library.phase(FILM) == "Paused", timeout=150)
    kube.wait_for("the pod to be gone", lambda: library.pod() is None, timeout=150)
    library.patch({"suspend": False})
    resumed = kube.wait_for("the encode to go on", lambda: page(library) if page(library)["chunks"] else None, timeout=180)
    assert resumed["chunksResumed"] >= 2, resumed
    kube.wait_for("a new frame", lambda: page(library)["frames"] > resumed["frames"], timeout=120)


def a_schedule_that_closes_pauses_the_encode_and_one_that_opens_goes_on(library):
    hour = (time.gmtime().tm_hour + 2) % 24
    before = page(library)["chunksDone"]
    library.patch({"schedule": {"windows": [{"start": f"{hour:02}:00", "end": f"{hour:02}:30"}]}})
    kube.wait_for("the job to pause", lambda: library.phase(FILM) == "Paused", timeout=150)
    placed = {c["type"]: c for c in library.job(FILM)["status"]["conditions"]}["Placed"]
    assert placed["reason"] == "OutsideSchedule" and f"{hour:02}:00 UTC" in placed["message"], placed
    kube.wait_for("the library to say so", lambda: "OutsideSchedule" in [c["reason"] for c in library.status()["conditions"]], timeout=30)
    hour = time.gmtime().tm_hour
    library.patch({"schedule": {"windows": [{"start": f"{hour:02}:00", "end": f"{(hour + 2) % 24:02}:00"}]}})
    resumed = kube.wait_for("the encode to go on", lambda: page(library) if page(library)["chunks"] else None, timeout=180)
    assert resumed["chunksResumed"] >= before, (resumed, before)


def page(library):
    return json.loads(kube.kubectl("get", "--raw", f"/api/v1/namespaces/{library.name}/pods/{library.pod()}:9090/proxy/progress"))


TESTS = [its_cpus_are_its_own, the_survey_found_that_whole_cpus_are_exclusive, the_librarys_status_says_where_encodes_can_run,
         more_cpus_than_any_node_has_are_named_before_a_pod_is_made, it_has_no_token_and_no_capabilities, it_cannot_write_to_the_library_or_its_own_root,
         it_sees_no_state_and_no_other_jobs_folder, resources_metrics_and_the_plugin_agree_with_the_encodes_own_log,
         suspending_keeps_finished_chunks_and_resuming_goes_on,
         a_schedule_that_closes_pauses_the_encode_and_one_that_opens_goes_on]
