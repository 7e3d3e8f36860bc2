"""Ratio 12: what settling costs against plain tools that do the least that a safe copy needs, on the same file system.

Settling reads the output, copies it beside the film, fsyncs, reads the copy back from the disk and hashes it, hashes the whole
original, swaps, and writes journal and receipt. The plain tools hash the output, copy it, fsync, and read the copy back.
"""

import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

MIB = 1 << 20
OUTPUT, ORIGINAL = 512, 576  # MiB; the least that the size gate lets pass: the output has 89 % of the original
ROUNDS = 3
LIBRARY = {"namespace": "n", "name": "l", "uid": "u", "cluster": "c"}


def noise(path, mebibytes):
    """A file that nothing can compress or share."""
    block = bytearray(os.urandom(MIB))
    with open(path, "wb") as file:
        for number in range(mebibytes):
            block[:8] = number.to_bytes(8, "little")
            file.write(block)
        os.fsync(file.fileno())


def forget(*paths):
    """Has the kernel forget what it holds of the files."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def role(agent, folder, name, task):
    """One run of a role of the agent; what it says, and its seconds."""
    start = time.monotonic()
    subprocess.run([agent, "pod", name, "--task", json.dumps(task), "--library", folder / "library", "--volume", folder / "library",
                    "--pod-uid", "bench", "--termination-log", folder / "end"], check=True, capture_output=True)
    return json.loads((folder / "end").read_text())["done"], time.monotonic() - start


def identity(path):
    """What the encode would have told of the film."""
    stat = path.stat()
    fingerprint = hashlib.sha256(stat.st_size.to_bytes(8, "little"))
    with open(path, "rb") as file:
        for at in (0, (stat.st_size - MIB) // 2, stat.st_size - MIB):
            file.seek(at)
            fingerprint.update(file.read(MIB))
    return {"size": str(stat.st_size), "modifiedTimeNs": str(stat.st_mtime_ns), "changedTimeNs": str(stat.st_ctime_ns),
            "inode": str(stat.st_ino), "fingerprint": fingerprint.hexdigest()}


def settle(agent, folder, volume, swap, run):
    """Seconds of settling one film; the film is made anew."""
    film, work = folder / "library/film.mkv", folder / f"library/.av1/work/job/{run}"
    film.unlink(missing_ok=True)
    shutil.rmtree(folder / "library/.av1/trash/job", ignore_errors=True)
    shutil.copyfile(folder / "original", film)
    work.mkdir(parents=True)
    shutil.copyfile(folder / "output", work / "out.mkv")
    forget(film, work / "out.mkv")
    settings = {"profile": "QualityFirst", "tier": "High", "dropLanguages": [], "durationToleranceMillis": 1000, "maxPercent": 90,
                "trashRetentionSeconds": 3600, "modifiedTime": "Now", "whySidecars": "Jobs"}
    task = {"library": LIBRARY, "job": {"name": "j", "uid": "job", "run": run}, "volumeId": volume, "path": "film.mkv",
            "source": identity(film), "verdict": "Encoded", "reason": "Encoded", "message": "m", "swap": swap, "settings": settings,
            "output": {"name": "out.mkv", "size": OUTPUT * MIB, "sha256": hashlib.sha256((folder / "output").read_bytes()).hexdigest()}}
    forget(film, work / "out.mkv", folder / "output", folder / "original")
    done, seconds = role(agent, folder, "settle", task)
    assert done["verdict"] == "Replaced", done
    return seconds


def plain(folder):
    """Seconds of the plain tools."""
    forget(folder / "output")
    steps = 'sha256sum output >sum && dd if=output of=copy bs=1M conv=fsync && dd of=copy oflag=nocache conv=notrunc,fdatasync count=0 && cat copy >/dev/null'
    start = time.monotonic()
    subprocess.run(["sh", "-ec", steps], cwd=folder, check=True, capture_output=True)
    seconds = time.monotonic() - start
    (folder / "copy").unlink()
    return seconds


def measure(agent, folder):
    """The row of the table."""
    folder = pathlib.Path(folder)
    (folder / "library").mkdir(parents=True)
    noise(folder / "output", OUTPUT)
    noise(folder / "original", ORIGINAL)
    made, _ = role(agent, folder, "prepare", {"library": LIBRARY, "subPath": "", "step": "make"})
    # Turn by turn, so that what else the machine does meets both.
    pairs = [(settle(agent, folder, made["volumeId"], made["swap"], run), plain(folder)) for run in range(1, ROUNDS + 1)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    return {"id": "12", "name": f"settle / sha256sum, copy, fsync, read back of {OUTPUT} MiB, wall time", "value": round(ratio, 3), "bar": "<= 1.2",
            "within": ratio <= 1.2}
