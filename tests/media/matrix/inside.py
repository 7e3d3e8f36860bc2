#!/usr/bin/env python3
"""The part of the media matrix that runs among the encoder image's tools: makes the files that are not there yet, has the real
agent encode each, and compares what came out with what is expected.

Reads /in (real clips) and /matrix, writes /cache (made files) and /runs. Prints one line a file, then `N passed, N failed`.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import cases
import check

CACHE, RUNS, HERE = pathlib.Path("/cache"), pathlib.Path("/runs"), pathlib.Path("/matrix")
SETTINGS = {"profile": "QualityFirst", "tier": "High", "preset": 12, "dropLanguages": ["ru"], "durationToleranceMillis": 1000,
            "maxPercent": 90, "trashRetentionSeconds": 1, "modifiedTime": "Now", "whySidecars": "Jobs"}
SCAN = {"intervalSeconds": 60, "minSize": 1, "stableSeconds": 1, "include": [], "exclude": [], "order": "LargestFirst", "hardLinks": "Skip",
        "extensions": ["mkv", "mp4", "m4v", "mov", "avi", "ts", "m2ts", "mpg", "mpeg", "wmv", "webm"]}
LONGEST = 600
# Reasons that need a decode, an encode or its output.
DECIDED_BY_FRAMES = ("Encoded", "NotSmaller", "ProjectedTooLarge", "VerificationFailed", "FrameCountMismatch", "CannotDecode", "UnsupportedTimestamps", "Interlaced", "UnsupportedStream")


def hashed(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def shell(script, folder, **environment):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", f". /matrix/common.sh; {script}"], cwd=folder, env={**os.environ, "SVT_LOG": "1", **environment},
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LONGEST)
    if done.returncode != 0:
        raise RuntimeError(f"could not be made: {done.stderr.strip()[-300:]}")


def made_once(name, make):
    """The folder `name` in the cache; `make` fills it when it is not there."""
    folder = CACHE / name
    if not folder.is_dir():
        making = CACHE / f"making-{name}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        make(making)
        making.rename(folder)
    return folder


BASE_KEY = hashed((HERE / "common.sh").read_text(), (HERE / "craft.py").read_text())


def common():
    return made_once(f"common-{BASE_KEY}", lambda folder: shell("make_common", folder))


def source_of(case):
    """The file of a case, made when it is not there."""
    def make(folder):
        scratch = folder / "scratch"
        scratch.mkdir()
        for part in common().iterdir():
            (scratch / part.name).symlink_to(part)
        out = scratch / f"out{pathlib.Path(case['file']).suffix}"
        shell(case["make"], scratch, OUT=str(out))
        out.rename(folder / case["file"])
        shutil.rmtree(scratch)
    return made_once(hashed(BASE_KEY, case["make"], case["file"]), make) / case["file"]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encode(case, number, source):
    """Runs the agent on a copy of the file in a library of its own; what it said, and its folder."""
    library, work = RUNS / f"library-{number}", RUNS / f"work-{number}"
    library.mkdir()
    work.mkdir()
    film = library / case["file"]
    shutil.copyfile(source, film)
    os.utime(film, (time.time() - 200_000,) * 2)
    task = {"library": {"namespace": "n", "name": "l", "uid": "u", "cluster": "c"}, "job": {"name": "j", "uid": "u", "run": 1}, "volumeId": "v",
            "path": case["file"], "workers": 1, "settings": {**SETTINGS, **case.get("settings", {})}, "scan": SCAN}
    command = ["av1-agent", "pod", "encode", "--task", json.dumps(task), "--library", str(library), "--work", str(work), "--listen", "127.0.0.1:0",
               "--termination-log", str(work / "end")]
    done = subprocess.run(command, text=True, capture_output=True, errors="replace", stdin=subprocess.DEVNULL, timeout=LONGEST)
    try:
        said = json.loads((work / "end").read_text())
    except (OSError, ValueError):
        said = {"failed": {"reason": f"exit code {done.returncode}", "message": done.stderr[-200:]}}
    return said, film, work


# Where settings of a task stand in the settings of a library.
PLACES = {"preset": "encode.overrides.preset", "crf": "encode.overrides.crf", "profile": "encode.profile", "dropLanguages": "streams.dropLanguages", "allow": "streams.allow",
          "maxPercent": "sizeGate.maxPercent", "containerChange": "replacement.containerChange", "crop": "encode.crop", "deinterlace": "encode.deinterlace", "extensions": "scan.extensions", "stableSeconds": "scan.stableSeconds",
          "minSize": "scan.minSize"}


def explained(case, film, work):
    """The reason that `av1-agent explain` gives for the file, from its gates alone."""
    settings = {"preset": 12, "dropLanguages": ["ru"], "extensions": SCAN["extensions"], "stableSeconds": 1, "minSize": "1", **case.get("settings", {})}
    config = work / "explain.toml"
    config.write_text("".join(f"{PLACES[name]} = {json.dumps(value)}\n" for name, value in settings.items()))
    done = subprocess.run(["av1-agent", "explain", "--json", "--library", str(film.parent), "--config", str(config), "--", str(film)], text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=LONGEST)
    try:
        return json.loads(done.stdout)["reason"]
    except (ValueError, KeyError):
        return f"nothing ({done.stderr.strip()[-200:]})"


def judge(case, number):
    """One row of the table, and what is wrong with it."""
    begun = time.monotonic()
    row = {"case": case, "verdict": "-", "reason": "-", "before": 0, "after": 0, "passed": 0, "wrong": [], "note": "", "message": ""}
    try:
        source = source_of(case)
        row["before"] = source.stat().st_size
        said, film, work = encode(case, number, source)
        look(case, row, said, film, work)
        told = explained(case, film, work)
        # What only frames tell is decided behind the gates, but a gate that stops a file stops it everywhere.
        if told != row["reason"] and not (told == "Eligible" and row["reason"] in DECIDED_BY_FRAMES) and row["reason"] != "InvalidTask":
            row["wrong"].append(f"explain says {told}")
        if sha256(film) != sha256(source) or [p.name for p in film.parent.iterdir()] != [case["file"]]:
            row["wrong"].append("the library was changed")
    except Exception as error:  # whatever it is, the other rows are still worth having
        row["wrong"].append(f"{type(error).__name__}: {error}")
    row["seconds"] = time.monotonic() - begun
    for folder in (f"library-{number}", f"work-{number}"):
        if not row["wrong"]:
            shutil.rmtree(RUNS / folder, ignore_errors=True)
    return row


def look(case, row, said, film, work):
    result = said.get("done") or said["failed"]
    row["verdict"], row["reason"], row["message"] = result.get("verdict", "failure"), result["reason"], result["message"]
    today, why = case.get("deviates", ("", ""))
    if row["reason"] == today:
        row["note"] = f"{row['reason']} today, {case['expected']} is expected: {why}"
    elif row["reason"] != case["expected"]:
        row["wrong"].append(f"expected {case['expected']}: {row['message']}")
    elif today:
        row["note"] = f"{row['reason']} as expected: take `deviates` away"
    row["after"] = (result.get("sizeGate") or {}).get("outputBytes", 0)
    if row["reason"] != "Encoded":
        return
    output = work / result["output"]["name"]
    report = json.loads((work / "report.json").read_text())
    checks = check.compare(film, output, case)
    checks.append(("hash", sha256(output) == result["output"]["sha256"] and output.stat().st_size == row["after"], ""))
    checks.append(("agent's checks", report["checks"] and all(c["passed"] for c in report["checks"]), ""))
    for key, want in case.get("plan", {}).items():
        found = report["plan"].get(key)
        checks.append((f"plan.{key}", (len(found) if isinstance(found, list) else found) == want, f"{found}, expected {want}"))
    row["passed"] = sum(1 for _, passed, _ in checks if passed)
    row["wrong"] += [f"{name}: {found}" for name, passed, found in checks if not passed]


def shown(row):
    case = row["case"]
    name = case["file"] if len(case["file"]) <= 24 else case["file"][:21] + "..."
    size = lambda n: f"{n / 1024:.0f} KiB" if n else "-"
    mark = "FAIL" if row["wrong"] else "note" if row["note"] else "ok"
    print(f"{mark:<5}{name:<25}{case['expected']:<26}{row['verdict']:<9} {row['reason']:<26}{size(row['before']):>9}{size(row['after']):>9}{row['passed']:>4}{row['seconds']:>7.1f}", flush=True)
    for what in row["wrong"]:
        print(f"       {case['name']}: {re.sub(chr(10), ' ', what)[:600]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names or files of cases, or parts of them")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--make", action="store_true", help="make the files and encode none")
    args = parser.parse_args()
    chosen = [c for c in cases.CASES if not args.only or any(word in c["name"] or word in c["file"] for word in args.only)]
    common()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        if args.make:
            for case, made in [(case, pool.submit(source_of, case)) for case in chosen]:
                print(f"FAIL {case['name']}: {made.exception()}" if made.exception() else f"ok   {case['file']}", flush=True)
            return
        print(f"{'':<5}{'file':<25}{'expected':<26}{'verdict':<9} {'reason':<26}{'before':>9}{'after':>9}{'chk':>4}{'s':>7}")
        rows = []
        for row in pool.map(judge, chosen, range(len(chosen))):
            shown(row)
            rows.append(row)
    failed = sum(1 for row in rows if row["wrong"])
    for row in rows:
        if row["note"]:
            print(f"note   {row['case']['file']}: {row['note']}")
    print(f"{len(rows) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not rows else 0)


if __name__ == "__main__":
    main()
