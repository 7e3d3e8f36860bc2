"""Ratios 6 to 10 and 14 of docs/benchmarks.md: the real operator against a real API server with fake nodes.

Each run has a control plane of its own: one with a tenth of the jobs, one with all. What is counted are the operator's writes
in the API server's audit log and all writes in its metrics. Run it through tests/bench/run.
"""

import collections
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from plane import API, EJ, NAMESPACE, SLOW_SECONDS, Plane, fail, total, until

LIBRARIES, NODES, AT_ONCE = 20, 1000, 50
# Objects and seconds over which nothing may be written.
IDLE_OBJECTS, IDLE_SECONDS = 1000, 300
SLOW_JOBS = 20
TERMINAL = ("Succeeded", "Rejected", "Skipped", "Failed", "Cancelled", "Restored")


IDS = ["6a", "6b", "6c", "6d", "6e", "7", "8", "9", "10", "14a", "14b"]


def say(text):
    print(f"scale: {text}", file=sys.stderr, flush=True)


def at(event):
    return datetime.datetime.fromisoformat(event["stageTimestamp"]).timestamp()


class Writes:
    """The operator's writes of a part of the audit log, told apart."""

    def __init__(self, events):
        self.kinds, self.transitions, self.progress, self.refused = collections.Counter(), 0, collections.Counter(), collections.Counter()
        self.began = self.ended = None
        phases = {}
        for event in events:
            about = event["objectRef"]
            kind = "/".join(filter(None, (about["resource"], about.get("subresource"))))
            if event["responseStatus"]["code"] >= 300:
                self.refused[f"{event['verb']} {kind} {event['responseStatus']['code']}"] += 1
                continue
            if kind == "encodejobs" and event["verb"] == "create":
                self.began = self.began or at(event)
            status = (event.get("requestObject") or {}).get("status", {}) if kind == "encodejobs/status" else {}
            phase, name = status.get("phase"), about.get("name")
            if phase and phase != phases.get(name):
                self.transitions += 1
                phases[name] = phase
                self.ended = at(event) if phase in TERMINAL else self.ended
                kind += " with a phase"
            elif status.get("progress"):
                self.progress[name] += 1
                kind += " with progress"
            self.kinds[f"{event['verb']} {kind}"] += 1
        self.ended_jobs = sum(1 for phase in phases.values() if phase in TERMINAL)

    def but(self, *kinds):
        return sum(count for kind, count in self.kinds.items() if not any(k in kind for k in kinds))

    def events(self):
        return sum(count for kind, count in self.kinds.items() if kind.split(" ")[1] == "events")

    def tell(self, jobs):
        for kind, count in self.kinds.most_common():
            say(f"    {count / jobs:7.2f} a job  {kind}")
        for kind, count in self.refused.most_common():
            say(f"    {count / jobs:7.2f} a job  refused: {kind}")


class Run:
    """One control plane and so many jobs on it."""

    def __init__(self, plane, jobs):
        self.plane, self.jobs = plane, jobs

    def encode_all(self):
        plane, share = self.plane, self.jobs // len(self.plane.libraries)
        say(f"{self.jobs} jobs in {len(plane.libraries)} libraries over {plane.nodes} nodes")
        plane.start_operator()
        plane.start_libraries(plane.libraries, 0, plane.at_once, suspend=False)
        for library in plane.libraries:
            until(f"the nodes of {library} are surveyed", lambda: plane.surveyed(library), seconds=3600, pause=1)
        time.sleep(10)
        self.memory, cpu = plane.memory(), plane.cpu_seconds()
        log, before = plane.audit_end(), plane.writes()
        for library in plane.libraries:
            plane.stand_in.files[library] = [plane.stand_in.candidate(library, n) for n in range(share)]
        scrapes = []

        def done():
            page, seconds = plane.scrape()
            scrapes.append((len(page), seconds))
            return total(page, "av1_encode_job_outcomes_total") >= self.jobs

        until("every job has ended", done, seconds=4 * 3600, pause=1)
        self.series, self.scrape_seconds = max(series for series, _ in scrapes), statistics.median(seconds for _, seconds in scrapes)
        say(f"metrics: at most {self.series} series, {len(plane.scrape()[0])} once all have ended; a scrape takes {self.scrape_seconds * 1000:.0f} ms at work, "
            f"{max(seconds for _, seconds in scrapes) * 1000:.0f} ms at most")
        time.sleep(10)
        self.total_writes = plane.writes() - before
        self.main = Writes(plane.audit(log))
        if self.main.ended_jobs != self.jobs:
            fail(f"{self.main.ended_jobs} jobs have ended, {self.jobs} should have")
        self.seconds = self.main.ended - self.main.began
        say(f"{self.jobs} jobs in {self.seconds:.1f} s, {self.jobs / self.seconds:.2f} a second; {self.total_writes / self.jobs:.1f} writes a job by all programs, "
            f"{(plane.cpu_seconds() - cpu) / self.jobs * 1000:.1f} ms of the operator's CPU time a job")
        self.main.tell(self.jobs)

    def progress(self):
        """Most progress writes of a job whose encode takes a while."""
        plane = self.plane
        log = plane.audit_end()
        plane.start_libraries(["slow"], SLOW_JOBS, SLOW_JOBS, nodes=plane.libraries[0], suspend=False)
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=av1.media/library=slow,av1.media/role=encode"
        heard = set()

        def answered():
            for pod in plane.get(pods)["items"]:
                address = pod["status"].get("podIP")
                if address and address not in heard:
                    heard.add(address)
                    labels = pod["metadata"]["labels"]
                    plane.stand_in.encode(address, labels["av1.media/encode-job-uid"], int(labels["av1.media/run"]), SLOW_SECONDS)
            return len(heard) == SLOW_JOBS

        until("the slow encodes run", answered)
        before = plane.metric("av1_encode_job_outcomes_total")
        until("the slow encodes have ended", lambda: plane.metric("av1_encode_job_outcomes_total") >= before + SLOW_JOBS, seconds=SLOW_SECONDS + 600)
        slow = Writes(plane.audit(log))
        say(f"encodes of {SLOW_SECONDS} s")
        slow.tell(SLOW_JOBS)
        return max(slow.progress.values(), default=0)

    def idle(self):
        """Writes while nothing happens."""
        time.sleep(30)
        log = self.plane.audit_end()
        cpu = self.plane.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        writes = Writes(self.plane.audit(log))
        say(f"idle for {IDLE_SECONDS} s over {self.jobs} objects: {writes.but()} writes, {(self.plane.cpu_seconds() - cpu) / IDLE_SECONDS * 100:.1f} % of a CPU")
        writes.tell(1)
        return writes.but() + writes.refused.total()

    def memory_ratio(self):
        """The operator's growth against the objects' JSON."""
        plane = self.plane
        text = subprocess.run(plane.curl(f"{API}{EJ}"), check=True, capture_output=True).stdout
        for item in (bare := json.loads(text))["items"]:
            item["metadata"].pop("managedFields", None)
        small = len(json.dumps(bare, separators=(",", ":")))
        growth = plane.memory() - self.memory
        say(f"memory: {self.memory / 2**20:.1f} MiB before, {plane.memory() / 2**20:.1f} MiB after; the objects as JSON: {len(text) / 2**20:.1f} MiB, "
            f"{small / 2**20:.1f} MiB without managedFields ({growth / small:.2f} of that)")
        return growth / len(text)

    def raw_writes(self):
        """Status patches that the API server takes in a second when nothing else is asked of it; the operator must be down."""
        names = [item["metadata"]["name"] for item in self.plane.get(EJ)["items"]][:2000]
        common = ["http1.1", "silent", "fail", "output=/dev/null", 'request="PATCH"', 'header="Content-Type: application/merge-patch+json"',
                  f'cacert="{self.plane.state}/pki/ca.crt"', f'cert="{self.plane.state}/pki/admin.crt"', f'key="{self.plane.state}/pki/admin.key"']
        rates = []
        for attempt in range(3):
            body = json.dumps({"status": {"saved": f"{attempt}.00 GiB"}}).replace('"', '\\"')
            config = "\nnext\n".join("\n".join([f'url="{API}{EJ}/{name}/status"', f'data="{body}"', *common]) for name in names)
            start = time.monotonic()
            subprocess.run(["curl", "--parallel", "--parallel-max", "32", "--parallel-immediate", "--config", "-"], input=config, text=True, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            rates.append(len(names) / (time.monotonic() - start))
        say(f"raw writes a second: {', '.join(f'{rate:.0f}' for rate in rates)}")
        return statistics.median(rates)

    def restart_ratio(self):
        """Restart to the first new job of a file that came while the operator was down, against one LIST; and when all were looked at."""
        plane = self.plane
        lists = []
        for _ in range(3):
            start = time.monotonic()
            subprocess.run(plane.curl("--output", "/dev/null", f"{API}{EJ}"), check=True)
            lists.append(time.monotonic() - start)
        library = plane.libraries[0]
        plane.stand_in.files[library].insert(0, {**plane.stand_in.candidate(library, 0), "path": f"{library}/new.mkv"})
        log, start = plane.audit_end(), time.time()
        plane.start_operator()
        is_new = lambda event: event["verb"] == "create" and event["objectRef"]["resource"] == "encodejobs"
        event = until("the new file has a job", lambda: next(filter(is_new, plane.audit(log)), None), pause=0.1)
        seconds, once = at(event) - start, statistics.median(lists)
        until("every job was looked at", lambda: plane.metric("av1_operator_reconciles_total") >= self.jobs, pause=0.5)
        say(f"restart: {seconds:.2f} s to the first new job, {time.time() - start:.1f} s until every job was looked at; one LIST takes {once:.2f} s; "
            f"memory afterwards {plane.memory() / 2**20:.1f} MiB")
        return seconds / once


def measure(jobs, ids):
    """The rows of the ratios of those ids."""
    wanted = lambda ident: ident in ids
    rows = []

    def row(ident, name, value, side, bar):
        within = value >= bar if side == ">=" else value <= bar
        rows.append({"id": ident, "name": name, "value": round(value, 3), "bar": f"{side} {bar}", "within": within})
        print(f"{ident:<4} {value:>10.3f} {side} {bar}", file=sys.stderr, flush=True)

    nodes = min(NODES, max(LIBRARIES, jobs // 10))
    few = None
    with tempfile.TemporaryDirectory() as folder:
        if wanted("8"):
            with Plane(pathlib.Path(folder) / "few", LIBRARIES, nodes, jobs // 10, AT_ONCE) as plane:
                few = Run(plane, jobs // 10)
                few.encode_all()
            plane.wipe()
        with Plane(pathlib.Path(folder) / "all", LIBRARIES, nodes, jobs, AT_ONCE) as plane:
            run = Run(plane, jobs)
            run.encode_all()
            main = run.main
            row("6a", "API writes of the operator but progress and Events / phase transitions", main.but(" events", "with progress") / main.transitions, "<=", 1.5)
            row("6b", "the same, of EncodeJobs and libraries alone", main.but(" events", "with progress", " jobs") / main.transitions, "<=", 1.5)
            row("6d", "Events / phase transitions", main.events() / main.transitions, "<=", 1)
            if wanted("6c"):
                row("6c", "progress writes of a job, at most", run.progress(), "<=", 100)
            row("14a", "series of the operator at most / (100 + 100 a library + 5 a running job)", run.series / (100 + 100 * LIBRARIES + 5 * LIBRARIES * AT_ONCE), "<=", 1)
            row("14b", "seconds of a scrape while all libraries are at work, median", run.scrape_seconds, "<=", 1)
            if wanted("6e"):
                row("6e", f"writes in {IDLE_SECONDS} s over {jobs} idle objects", run.idle(), "<=", 0)
            if wanted("9"):
                row("9", "the operator's memory growth / the objects' JSON", run.memory_ratio(), "<=", 3)
            plane.stop_operator()
            if wanted("7"):
                row("7", "jobs a second / (raw API writes a second / writes a job)", jobs / run.seconds / (run.raw_writes() / (run.total_writes / jobs)), ">=", 0.5)
            if few:
                row("8", f"time for {jobs} jobs / time for {jobs // 10}", run.seconds / few.seconds, "<=", 11)
            if wanted("10"):
                row("10", "restart to the first correct reconcile / one LIST of all jobs", run.restart_ratio(), "<=", 3)
        plane.wipe()
    return [r for r in rows if wanted(r["id"])]
