"""A real Prometheus on loopback: over blocks made of a simulated history, or scraping an operator. Stops what it started.

May: start prometheus and promtool, write below a folder of its own. Must never: stop another process.
"""

import datetime
import json
import math
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import history
import tools

RULES = tools.ROOT / "dashboards/rules.yaml"
# Rules are evaluated so often that no test waits for them.
EVALUATE = "2s"
SCRAPE = "5s"


class Prometheus:
    """Context: a Prometheus with the rules of `dashboards/rules.yaml`; `target` is HOST:PORT of an operator, or None for the history."""

    def __init__(self, target=None):
        self.target, self.bin = target, tools.prometheus()

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="av1-dashboards-")
        home = pathlib.Path(self.folder.name)
        # What this Prometheus is asked for lies between these two.
        self.start = int(time.time())
        (home / "data").mkdir()
        if self.target is None:
            self.end = self.start
            self.start = history.write(home / "history.om", self.end)
            tools.run(self.bin / "promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", home / "history.om", home / "data")
        rules = re.sub(r"interval: .*", f"interval: {EVALUATE}", RULES.read_text())
        (home / "rules.yaml").write_text(rules)
        jobs = [{"job_name": "av1-operator", "honor_labels": True, "static_configs": [{"targets": [self.target]}]}] if self.target else []
        # JSON is YAML.
        (home / "prometheus.yaml").write_text(json.dumps({
            "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": EVALUATE},
            "rule_files": [str(home / "rules.yaml")], "scrape_configs": jobs,
        }))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.log = (home / "log").open("w+")
        self.process = subprocess.Popen(
            [self.bin / "prometheus", f"--config.file={home}/prometheus.yaml", f"--storage.tsdb.path={home}/data",
             f"--web.listen-address={self.address}", "--log.level=warn", "--storage.tsdb.retention.time=30d"],
            stdout=self.log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5).close()
                return self
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.log.seek(0)
                    text = self.log.read()[-3000:]
                    self.__exit__()
                    raise SystemExit(f"error: Prometheus did not start: {error}\n{text}") from error
            time.sleep(0.1)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def ask(self, what, **parameters):
        """The data of an answer of the HTTP API; an error says what Prometheus said."""
        try:
            url = f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(parameters, doseq=True)}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from error

    def variables(self):
        """What Grafana puts into expressions before it asks."""
        span = 6 * 3600 if self.target is None else max(60, int(time.time()) - self.start)
        rate = "5m" if self.target is None else "1m"
        return {"$__range": f"{span}s", "$__rate_interval": rate, "$namespace": ".*", "$library": ".*"}

    def fill(self, expr):
        for name, value in self.variables().items():
            expr = expr.replace(name, value)
        return expr

    def instant(self, expr, now=False):
        """Series at the end of the history, or at this time, without those that are not a number."""
        at = self.end if self.target is None and not now else time.time()
        found = self.ask("query", query=self.fill(expr), time=at)["result"]
        return [series for series in found if not math.isnan(float(series["value"][1]))]

    def latest(self, expr):
        """Series at this time, or, of an operator, at the last time that there were any since it is scraped."""
        found = self.instant(expr)
        if found or self.target is None:
            return found
        series = [(one["metric"], [pair for pair in one["values"] if not math.isnan(float(pair[1]))]) for one in self.course(expr)]
        last = max((values[-1][0] for _, values in series if values), default=None)
        return [{"metric": metric, "value": values[-1]} for metric, values in series if values and values[-1][0] == last]

    def course(self, expr, points=240):
        """Series over the time that there is data of, and the step in seconds."""
        end = self.end if self.target is None else time.time()
        start = end - 6 * 3600 if self.target is None else self.start
        step = max(1, int((end - start) / points))
        return self.ask("query_range", query=self.fill(expr), start=start, end=end, step=step)["result"]

    def rules(self):
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def wait_for_rules(self, timeout=90):
        """Until every rule was evaluated over what there is now."""
        since, end = time.time() + 1, time.monotonic() + timeout
        while time.monotonic() < end:
            # Nanoseconds are more than Python reads.
            times = [datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", rule["lastEvaluation"])) for rule in self.rules()]
            if times and min(times).timestamp() > since:
                return
            time.sleep(0.5)
        raise SystemExit(f"error: the rules were not evaluated within {timeout} s")
