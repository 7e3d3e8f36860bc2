"""Eight hours of an operator with three libraries, as OpenMetrics text: what promtool makes blocks of, for every panel and rule to ask.

Everything that can happen happens at least once. The same bytes at every run but for the times. May write one file.
"""

import random

STEP = 60
HOURS = 8
TARGET = {"job": "av1-operator", "instance": "10.244.0.7:8080", "pod": "av1-operator-5c8d-x7k2p"}
BUCKETS = {
    "av1_encode_duration_seconds": [30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 57600, 86400, 172800],
    "av1_encode_speed_ratio": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20],
    "av1_size_ratio": [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.5],
    "av1_quality_score": [20, 30, 34, 36, 38, 40, 42, 44, 46, 50, 60, 70, 75, 80, 85, 90, 92, 93, 94, 95, 96, 97, 98, 99],
    "av1_settle_duration_seconds": [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200],
    "av1_operator_reconcile_duration_seconds": [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
}
GIB = 2**30


class Series:
    """The present values of all series, written line by line."""

    def __init__(self):
        self.values = {}

    def set(self, name, value, **labels):
        self.values[name, tuple(sorted(labels.items()))] = value

    def add(self, name, by=1, **labels):
        key = name, tuple(sorted(labels.items()))
        self.values[key] = self.values.get(key, 0) + by

    def remove(self, name, **labels):
        self.values.pop((name, tuple(sorted(labels.items()))), None)

    def observe(self, name, value, **labels):
        for bound in [*BUCKETS[name], "+Inf"]:
            self.add(f"{name}_bucket", bound == "+Inf" or value <= bound, le=str(bound), **labels)
        self.add(f"{name}_sum", value, **labels)
        self.add(f"{name}_count", 1, **labels)

    def write(self, file, time):
        for (name, labels), value in self.values.items():
            # As with honorLabels: what a series says of itself counts.
            text = ",".join(f'{key}="{word}"' for key, word in ({"namespace": "av1-system"} | TARGET | dict(labels)).items())
            file.write(f"{name}{{{text}}} {value} {time}\n")


class Library:
    """A library whose files are encoded one after the other by some workers at once."""

    def __init__(self, series, chance, namespace, name, files, at_once, size, seconds, scored):
        self.series, self.chance, self.at_once, self.size, self.seconds, self.scored = series, chance, at_once, size, seconds, scored
        self.labels = {"namespace": namespace, "library": name}
        self.files = {"total": files, "eligible": int(files * 0.8), "done": 0, "alreadyAv1": int(files * 0.08), "skipped": int(files * 0.11),
                      "rejected": 0, "failed": 0, "unreadable": files - int(files * 0.8) - int(files * 0.08) - int(files * 0.11)}
        self.bytes = {"scanned": files * size, "replacedBefore": 0, "replacedAfter": 0, "freed": 0, "inTrash": 0}
        self.running, self.settling, self.number, self.ended = [], [], 0, {}
        self.total = 8 * self.bytes["scanned"] // 7

    def start(self):
        self.number += 1
        self.running.append({"job": f"{self.labels['library']}-{self.number:04x}", "done": 0.0, "fps": self.chance.uniform(14, 60),
                             "size": int(self.size * self.chance.lognormvariate(0, 0.4)), "frames": int(self.seconds * 24 * self.chance.uniform(0.7, 1.4)), "time": 0})

    def end(self, job, height):
        """The encode's verdict; what was good is settled later."""
        draw, ratio = self.chance.random(), min(1.3, self.chance.lognormvariate(-0.9, 0.35))
        reason = "EncodeFailed" if draw < 0.03 else "VerificationFailed" if draw < 0.05 else "NotSmaller" if ratio > 0.85 else "Encoded"
        series, labels = self.series, self.labels
        if reason == "VerificationFailed":
            series.add("av1_verification_failures_total", check=self.chance.choice(["video.frames", "audio.packets"]))
        if reason != "EncodeFailed":
            series.add("av1_frames_encoded_total", job["frames"])
            series.add("av1_bytes_read_total", job["size"])
            series.add("av1_bytes_written_total", int(job["size"] * ratio))
            series.observe("av1_encode_duration_seconds", job["time"], height_class=height)
            series.observe("av1_encode_speed_ratio", job["frames"] / 24 / job["time"], height_class=height)
            series.observe("av1_size_ratio", ratio, **labels)
            if self.scored:
                series.observe("av1_quality_score", self.chance.gauss(44, 2), metric="Xpsnr", **labels)
                series.observe("av1_quality_score", self.chance.gauss(94, 2), metric="Vmaf", **labels)
        self.settling.append((job, reason, ratio, 0))

    def settle(self, job, reason, ratio):
        series, labels = self.series, self.labels
        series.observe("av1_settle_duration_seconds", self.chance.lognormvariate(2.5, 0.8))
        series.add("av1_encode_job_outcomes_total", reason=reason, **labels)
        state, phase = {"Encoded": ("done", "Succeeded"), "NotSmaller": ("rejected", "Rejected")}.get(reason, ("failed", "Failed"))
        self.files[state] += 1
        self.ended[phase] = self.ended.get(phase, 0) + 1
        if reason == "Encoded":
            after = int(job["size"] * ratio)
            self.bytes["replacedBefore"] += job["size"]
            self.bytes["replacedAfter"] += after
            self.bytes["freed"] += job["size"] - after
            self.bytes["inTrash"] += job["size"]
            series.add("av1_bytes_saved_total", job["size"] - after)
            series.add("av1_notifications_total", result="failed" if self.chance.random() < 0.1 else "delivered", **labels)

    def step(self, minute):
        series, labels = self.series, self.labels
        while len(self.running) < self.at_once:
            self.start()
        for job in list(self.running):
            job["time"] += STEP
            rate = job["fps"] * self.chance.uniform(0.9, 1.1)
            job["done"] += rate * STEP
            own = labels | {"job": job["job"]}
            left = max(0, job["frames"] - job["done"])
            figures = {"progress_ratio": min(1.0, job["done"] / job["frames"]), "frames_per_second": rate, "eta_seconds": int(left / rate),
                       "projected_bytes": int(job["size"] * 0.41), "workers": 4}
            for name, value in figures.items():
                if left:
                    series.set(f"av1_encode_job_{name}", value, **own)
                else:
                    series.remove(f"av1_encode_job_{name}", **own)
            if not left:
                self.running.remove(job)
                self.end(job, self.chance.choice(["sd", "720p", "1080p", "1080p", "1080p", "2160p"]))
        for entry in list(self.settling):
            self.settling.remove(entry)
            if entry[3] >= 1:
                self.settle(*entry[:3])
            else:
                self.settling.append((*entry[:3], entry[3] + 1))
        if minute == 200:
            purged = self.bytes["inTrash"] // 3
            self.bytes["inTrash"] -= purged
            series.add("av1_trash_purged_bytes_total", purged, **labels)
        self.show(minute)

    def show(self, minute):
        series, labels = self.series, self.labels
        pending = self.files["eligible"] - self.files["done"] - self.files["rejected"] - self.files["failed"]
        for state, value in (self.files | {"pending": pending}).items():
            series.set("av1_library_files", value, state=state, **labels)
        for state, value in self.bytes.items():
            series.set("av1_library_bytes", value, state=state, **labels)
        phases = {"Queued": 12, "Encoding": len(self.running), "Paused": 0, "Settling": len(self.settling), "Restoring": 0, "Skipped": 3}
        for phase in ("Succeeded", "Rejected", "Failed", "Restored", "Cancelled"):
            phases[phase] = self.ended.get(phase, 0)
        for phase, value in phases.items():
            series.set("av1_encode_jobs", value, phase=phase, **labels)
        degraded = labels["library"] == "clips" and 300 < minute < 330
        conditions = {"StorageReady": 1, "CatalogReady": 1, "Encoding": int(bool(self.running)), "Degraded": int(degraded), "Ready": int(not degraded)}
        for condition, value in conditions.items():
            series.set("av1_library_condition", value, condition=condition, **labels)
        series.set("av1_library_storage_bytes", self.total - self.bytes["scanned"] - self.bytes["inTrash"] + self.bytes["freed"], state="free", **labels)
        series.set("av1_library_storage_bytes", self.total, state="total", **labels)
        series.set("av1_queue_oldest_seconds", 1800 + minute % 90 * 60, **labels)
        series.set("av1_trash_kept_files", 1 if labels["library"] == "films" else 0, **labels)


def operate(series, chance, minute, start, time):
    """What the process and the nodes tell."""
    series.set("av1_operator_leader", 1)
    series.set("av1_operator_build_info", 1, version="0.1.0")
    series.set("process_start_time_seconds", start)
    series.set("process_resident_memory_bytes", int(38e6 + 4e6 * chance.random() + minute * 8e3))
    series.add("process_cpu_seconds_total", 1.2 + chance.random())
    series.set("process_open_fds", 24 + minute % 5)
    for kind, many in (("EncodeJob", 30), ("MediaLibrary", 9)):
        for _ in range(many):
            series.observe("av1_operator_reconcile_duration_seconds", chance.lognormvariate(-4, 1.2), kind=kind)
        series.add("av1_operator_reconciles_total", many, kind=kind, result="ok")
        if chance.random() < 0.3:
            series.add("av1_operator_reconciles_total", kind=kind, result="Conflict")
        series.set("av1_operator_queue_depth", chance.choice([0, 0, 0, 1, 2, 5]), kind=kind)
    for verb, code, many in (("get", 200, 80), ("patch", 200, 25), ("post", 201, 4), ("delete", 200, 2), ("get", 404, 1), ("patch", 409, 1)):
        series.add("av1_operator_api_requests_total", int(many * chance.uniform(0.5, 1.5) + 0.5), verb=verb, code=str(code))
    for node, cpus in (("epyc-1", 32), ("epyc-2", 16)):
        busy = cpus * chance.uniform(0.86, 0.97)
        series.set("av1_node_encode_cpus", cpus, node=node, state="assigned")
        series.set("av1_node_encode_cpus", busy, node=node, state="busy")
        series.set("av1_node_cpu_utilization_ratio", min(1.0, (busy + 1) / (cpus + 2)), node=node)
        series.set("av1_node_memory_utilization_ratio", chance.uniform(0.38, 0.44), node=node)
        for window in ("1m", "5m", "15m"):
            series.set("av1_node_load", busy * chance.uniform(0.95, 1.1), node=node, window=window)
    if minute == 150:
        series.add("av1_chunks_resumed_total", 17)
    series.set("up", 1)


def write(path, end):
    """Writes the history that ends at `end`, in whole seconds, and gives the time that it starts at."""
    chance, series = random.Random(1), Series()
    start = end - HOURS * 3600
    libraries = [
        Library(series, chance, "media", "films", 900, 4, 9 * GIB, 6600, True),
        Library(series, chance, "media", "series", 4200, 6, 2 * GIB, 2600, True),
        Library(series, chance, "home", "clips", 700, 2, GIB // 2, 500, False),
    ]
    for counter in ("av1_frames_encoded_total", "av1_bytes_read_total", "av1_bytes_written_total", "av1_bytes_saved_total", "av1_chunks_resumed_total"):
        series.set(counter, 0)
    with open(path, "w") as file:
        for minute, time in enumerate(range(start, end + 1, STEP)):
            operate(series, chance, minute, start - 120, time)
            for library in libraries:
                library.step(minute)
            series.write(file, time)
        file.write("# EOF\n")
    return start
