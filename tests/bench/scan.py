"""Ratio 11: what a scan of a library in which nothing changed costs against `find` over the same tree, and what the catalog
needs of memory for a file.

The catalog role scans a tree of sparse films again and again, as in a pod, and tells how long each scan took; `find` looks at the
size and the time of the same files in the pauses between. Both find the tree in the kernel's caches.
"""

import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

from settle import LIBRARY, role

FILES, A_FOLDER = 100_000, 20
ROUNDS = 7
PORT = 9_713
SETTINGS = {"profile": "QualityFirst", "tier": "High", "dropLanguages": [], "durationToleranceMillis": 1000, "maxPercent": 90,
            "trashRetentionSeconds": 3600, "modifiedTime": "Now", "whySidecars": "Jobs"}
SCAN = {"intervalSeconds": 1, "minSize": 2 << 30, "stableSeconds": 10, "extensions": ["mkv", "mp4", "m4v", "mov", "avi", "ts", "m2ts", "mpg", "mpeg", "wmv", "webm"],
        "include": [], "exclude": [], "order": "LargestFirst", "hardLinks": "Skip"}


def tree(folder, files):
    """A library of sparse films with the names that media managers give, twenty in a folder; each is older than an hour."""
    old = time.time() - 200_000
    for number in range(files):
        season = folder / f"Series {number // (10 * A_FOLDER):05} (2008)/Season {number // A_FOLDER % 10:02}"
        if number % A_FOLDER == 0:
            season.mkdir(parents=True)
        film = season / f"Series - S{number // A_FOLDER % 10:02}E{number % A_FOLDER:02} - {number:06} WEBDL-1080p.mkv"
        with open(film, "wb") as file:
            file.truncate(1_000_000 + number)
        os.utime(film, (old, old))
    os.sync()


def library(agent, folder, files):
    """Makes a library of so many films, and gives the id of its volume."""
    (folder / "library").mkdir(parents=True)
    (folder / "catalog").mkdir()
    tree(folder / "library", files)
    return role(agent, folder, "prepare", {"library": LIBRARY, "subPath": "", "step": "make"})[0]["volumeId"]


class Catalog:
    """The catalog role over a library, with its pages."""

    def __init__(self, agent, folder, volume):
        task = {"library": LIBRARY, "volumeId": volume, "scan": SCAN, "settings": SETTINGS}
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen([agent, "pod", "catalog", "--task", json.dumps(task), "--library", folder / "library", "--catalog", folder / "catalog",
                                         "--listen", f"127.0.0.1:{PORT}", "--termination-log", folder / "end"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def summary(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/summary", timeout=60) as answer:
            return json.load(answer)

    def scanned(self, more_than):
        """The summary once that many scans have ended."""
        until = time.monotonic() + 1_800
        while time.monotonic() < until and self.process.poll() is None:
            try:
                summary = self.summary()
                if summary["scans"] > more_than:
                    return summary
            except OSError:
                pass
            # Each summary looks at every entry: asked too often, it is what takes the time.
            time.sleep(1)
        raise RuntimeError(f"the catalog did not scan; its exit code is {self.process.poll()}\n{pathlib.Path(self.log.name).read_text()[-2000:]}")

    def memory(self):
        """Bytes that it holds for itself."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) << 10

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


def find(folder):
    """Seconds of `find`."""
    start = time.monotonic()
    subprocess.run(["find", folder, "-name", ".av1", "-prune", "-o", "-type", "f", "-printf", "%s %T@\n"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def measure(agent, folder):
    """The rows of the table."""
    folder = pathlib.Path(folder)
    empty = Catalog(agent, folder / "empty", library(agent, folder / "empty", 0))
    empty.scanned(1)
    without = empty.memory()
    empty.end()
    volume = library(agent, folder / "full", FILES)
    # The first one judges every file and would rest for long after that; the next begins with its index.
    first = Catalog(agent, folder / "full", volume)
    first.scanned(0)
    first.end()
    catalog = Catalog(agent, folder / "full", volume)
    try:
        scans = catalog.scanned(0)["scans"]
        pairs = []
        for _ in range(ROUNDS):
            theirs = find(folder / "full/library")
            summary = catalog.scanned(scans)
            scans = summary["scans"]
            pairs.append((summary["scanMillis"] / 1000, theirs))
        if summary["files"]["total"] != FILES:
            raise RuntimeError(f"the catalog counts {summary['files']['total']} files of {FILES}")
        memory = (catalog.memory() - without) / FILES
    finally:
        catalog.end()
    ours, theirs = (statistics.median(seconds) for seconds in zip(*pairs))
    ratio = ours / theirs
    print(f"11: scans {[f'{ours:.3f}' for ours, _ in pairs]} s, find {[f'{theirs:.3f}' for _, theirs in pairs]} s", file=sys.stderr)
    return [{"id": "11a", "name": f"rescan of {FILES} unchanged files / find -printf '%s %T@' over them, wall time", "value": round(ratio, 3), "bar": "<= 1.5", "within": ratio <= 1.5},
            {"id": "11b", "name": "bytes of memory of the catalog for a file", "value": round(memory), "bar": "<= 300", "within": memory <= 300}]
