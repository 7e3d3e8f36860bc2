"""What the metrics tell while two small files are encoded, and after: every family of the reference, values that are those of the status,
and series that go with what they are about."""

import re
import time

import kube
from library import Library

BIKES = "Shorts/Bikes.mp4"
TIGHT = "Shorts/Tight.mp4"
OF_JOB = "av1_encode_job_progress_ratio"
OF_NODE = ("av1_node_cpu_utilization_ratio", "av1_node_memory_utilization_ratio", "av1_node_load", "av1_node_encode_cpus")
SAMPLE = re.compile(r'^(\w+)(?:{(.*)})? (\S+)$', re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def find(text, metric, /, **wanted):
    """Labels and value of every series of the metric that has these labels."""
    found = [(dict(LABEL.findall(m[2] or "")), float(m[3])) for m in SAMPLE.finditer(text) if m[1] == metric]
    return [(labels, value) for labels, value in found if wanted.items() <= labels.items()]


def total(text, metric, /, **wanted):
    return sum(value for _, value in find(text, metric, **wanted))


class Context(Library):
    """Scrapes from before the first job to after the last."""

    def watch(self):
        self.before, self.during, self.pages = kube.operator_metrics(), [], {}
        self.apply()
        end = time.monotonic() + 240
        while not self.is_finished():
            assert time.monotonic() < end, f"not finished: {self.status()}"
            self.during.append(kube.operator_metrics())
            self.look_at_pods()
            time.sleep(1)
        self.ended = {job["spec"]["source"]["path"]: job["status"] for job in self.jobs()}
        self.after = kube.operator_metrics()

    def look_at_pods(self):
        for role in ("encode", "catalog"):
            for pod in kube.get("pods", namespace=self.name, selector=f"av1.media/role={role}") or []:
                path = f"/api/v1/namespaces/{self.name}/pods/{pod['metadata']['name']}:9090/proxy/metrics"
                text = kube.kubectl("get", "--raw", path, check=False)
                # A pod that is about to begin or end gives none; the page that tells most is kept.
                if "# TYPE" in text and len(text) >= len(self.pages.get(role, "")):
                    self.pages[role] = text

    def rose(self, metric, /, **labels):
        return total(self.after, metric, **labels) - total(self.before, metric, **labels)


def setup():
    spec = {"scan": {"minSize": "100Ki", "intervalSeconds": 2, "include": [BIKES, TIGHT]}, "encode": {"overrides": {"preset": 4}},
            "verify": {"quality": {"metric": "Xpsnr"}}}
    library = Context("metrics", spec)
    library.fill()
    library.watch()
    return library


def tables():
    """Names and kinds of all metrics by the heading of their table in the reference."""
    reference = (kube.ROOT / "docs/reference.md").read_text(encoding="utf-8")
    parts = re.split(r"^#+ (.*)$", reference, flags=re.M)
    found = {title: re.findall(r"^\| `(av1_\w+)` \| (\w+)", body, re.M) for title, body in zip(parts[1::2], parts[2::2])}
    return {title: rows for title, rows in found.items() if rows}


def every_family_of_the_reference_is_in_the_exposition(library):
    where = {"Metrics of the operator": library.after, "Metrics of encode pods": library.pages["encode"], "Metrics of catalog pods": library.pages["catalog"]}
    assert set(tables()) == set(where), set(tables())
    missing = [f"{title}: {name}" for title, rows in tables().items() for name, kind in rows
               if f"# HELP {name} " not in where[title] or f"# TYPE {name} {kind}\n" not in where[title]]
    assert not missing, missing
    for title, text in where.items():
        for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"):
            assert find(text, name), f"{title}: {name}"


def a_running_job_has_gauges_and_they_go_with_it(library):
    name = {job["spec"]["source"]["path"]: job["metadata"]["name"] for job in library.jobs()}[BIKES]
    own = {"namespace": library.name, "library": library.name, "job": name}
    seen = [text for text in library.during if find(text, OF_JOB, **own)]
    assert seen, "the progress of the job was never told"
    ratios = [total(text, OF_JOB, **own) for text in seen]
    assert all(0 <= ratio <= 1 for ratio in ratios) and ratios == sorted(ratios) and ratios[-1] > 0, ratios
    workers = library.ended[BIKES]["plan"]["workers"]
    assert total(seen[-1], "av1_encode_job_workers", **own) == workers, (workers, seen[-1])
    kube.wait_for("the gauges of jobs to be gone", lambda: 'job="' not in kube.operator_metrics(), timeout=30)


def a_node_has_figures_while_an_encode_runs_there(library):
    nodes = {pod_node for status in library.ended.values() if (pod_node := status.get("nodeName"))}
    seen = [text for text in library.during if find(text, OF_NODE[0])]
    assert seen, "no figures of any node"
    for text in seen:
        for metric in OF_NODE:
            assert {labels["node"] for labels, _ in find(text, metric)} <= nodes, (metric, nodes)
        for metric in OF_NODE[:2]:
            assert all(0 <= value <= 1 for _, value in find(text, metric)), find(text, metric)
        assert {labels["window"] for labels, _ in find(text, "av1_node_load")} == {"1m", "5m", "15m"}
        assigned, busy = (total(text, "av1_node_encode_cpus", state=state) for state in ("assigned", "busy"))
        # A pod has one CPU; two may encode at once.
        assert assigned in (1, 2) and 0 <= busy <= assigned + 0.5, (assigned, busy)
    assert max(total(text, "av1_node_encode_cpus", state="busy") for text in seen) > 0.3, "an encode keeps its CPU busy"
    assert max(total(text, OF_NODE[0]) for text in seen) > 0 and min(total(text, OF_NODE[1]) for text in seen) > 0
    kube.wait_for("the figures of nodes to be gone", lambda: not any(find(kube.operator_metrics(), metric) for metric in OF_NODE), timeout=30)


def counters_and_histograms_are_the_outcomes(library):
    own = {"namespace": library.name, "library": library.name}
    reasons = sorted(status["outcome"]["reason"] for status in library.ended.values())
    counted = sorted(labels["reason"] for labels, value in find(library.after, "av1_encode_job_outcomes_total", **own) for _ in range(int(value)))
    assert counted == reasons and len(reasons) == 2, (counted, reasons)
    for metric in ("av1_encode_duration_seconds", "av1_encode_speed_ratio", "av1_settle_duration_seconds"):
        assert library.rose(f"{metric}_count") == 2, (metric, library.rose(f"{metric}_count"))
    assert library.rose("av1_encode_duration_seconds_sum") > 0 and library.rose("av1_encode_speed_ratio_sum") > 0
    gates = [status["sizeGate"] for status in library.ended.values() if status.get("sizeGate")]
    ratios = sum(gate["outputBytes"] / gate["inputBytes"] for gate in gates)
    assert total(library.after, "av1_size_ratio_count", **own) == len(gates) >= 1, (len(gates), library.ended)
    assert abs(total(library.after, "av1_size_ratio_sum", **own) - ratios) < 0.001, ratios
    scores = [float(status["quality"]["mean"]) for status in library.ended.values() if status.get("quality")]
    assert total(library.after, "av1_quality_score_count", metric="Xpsnr", **own) == len(scores) >= 1, scores
    assert abs(total(library.after, "av1_quality_score_sum", **own) - sum(scores)) < 0.01, scores
    read = sum(int(status["source"]["size"]) for status in library.ended.values())
    assert library.rose("av1_bytes_read_total") == read, read
    saved = sum(status["result"]["bytesSaved"] for status in library.ended.values() if status.get("result"))
    assert library.rose("av1_bytes_saved_total") == saved > 0, saved


def values_agree_with_the_status(library):
    own = {"namespace": library.name, "library": library.name}

    def agree():
        text, status = kube.operator_metrics(), library.status()
        phases = [job["status"]["phase"] for job in library.jobs()]
        wrong = [key for key in ("total", "eligible", "done", "skipped", "rejected", "failed", "pending")
                 if total(text, "av1_library_files", state=key, **own) != status["files"][key]]
        wrong += [key for key in ("scanned", "replacedBefore", "replacedAfter", "freed", "inTrash")
                  if total(text, "av1_library_bytes", state=key, **own) != status["bytes"][key]]
        wrong += [phase for phase in set(phases) if total(text, "av1_encode_jobs", phase=phase, **own) != phases.count(phase)]
        wrong += [c["type"] for c in status["conditions"]
                  if find(text, "av1_library_condition", condition=c["type"], **own)[0][1] != (c["status"] == "True")]
        space = {state: total(text, "av1_library_storage_bytes", state=state, **own) for state in ("free", "total")}
        if space["total"] != status["storage"]["totalBytes"] or not 0 < space["free"] <= space["total"]:
            wrong.append(f"space {space}")
        if total(text, "av1_queue_oldest_seconds", **own) != 0 or not find(text, "av1_queue_oldest_seconds", **own):
            wrong.append("the oldest job that waits")
        if wrong:
            raise kube.CommandFailed(f"{wrong}: {status}")
        return True

    kube.wait_for("metrics and status to agree", agree, timeout=30)


def the_operator_tells_of_its_own_work(library):
    text = library.after
    for kind in ("EncodeJob", "MediaLibrary"):
        assert total(text, "av1_operator_reconcile_duration_seconds_count", kind=kind) > 0, kind
        assert 0 <= find(text, "av1_operator_queue_depth", kind=kind)[0][1] <= 50, kind
    for verb in ("get", "list", "watch", "patch", "create"):
        assert any(labels["code"].startswith("2") for labels, _ in find(text, "av1_operator_api_requests_total", verb=verb)), verb
    assert total(text, "av1_operator_leader") == 1


def no_file_is_named(library):
    for text in [library.before, *library.during, library.after, *library.pages.values()]:
        named = [word for word in ("Shorts", "Bikes", "Tight", ".mp4") if word in text]
        assert not named, named


def a_deleted_library_has_no_series(library):
    assert f'namespace="{library.name}"' in kube.operator_metrics()
    kube.kubectl("delete", "mlib", library.name, "-n", library.name, "--wait=true", "--timeout=120s", timeout=150)
    kube.wait_for("its series to be gone", lambda: f'namespace="{library.name}"' not in kube.operator_metrics(), timeout=60)


TESTS = [every_family_of_the_reference_is_in_the_exposition, a_running_job_has_gauges_and_they_go_with_it,
         a_node_has_figures_while_an_encode_runs_there, counters_and_histograms_are_the_outcomes, values_agree_with_the_status,
         the_operator_tells_of_its_own_work, no_file_is_named, a_deleted_library_has_no_series]
