#!/usr/bin/env python3
"""The part of the hostile library that runs among the encoder image's tools: builds the library, has the real catalog judge all
of it and the real encode role each file, and looks at what was read and changed beside them.

Writes /library and /runs. Prints ok and FAIL lines, then `N passed, N failed`.
"""

import concurrent.futures
import ctypes
import hashlib
import http.server
import json
import os
import pathlib
import random
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import craft

LIBRARY, RUNS = b"/library", pathlib.Path("/runs")
IDENTITY = {"namespace": "n", "name": "l", "uid": "u", "cluster": "c"}
SETTINGS = {"profile": "QualityFirst", "tier": "High", "preset": 12, "dropLanguages": [], "durationToleranceMillis": 1000, "maxPercent": 90,
            "trashRetentionSeconds": 1, "modifiedTime": "Now", "whySidecars": "Jobs"}
SCAN = {"intervalSeconds": 3600, "minSize": 1, "stableSeconds": 1, "include": [], "exclude": [], "order": "Path", "hardLinks": "Skip",
        "extensions": ["mkv", "mp4", "m4v", "mov", "avi", "ts", "m2ts", "mpg", "mpeg", "wmv", "webm"]}
# Longest that one file may take, in seconds, whatever it is, on a machine that is busy.
LONGEST = 240
# Most memory of any program, in bytes.
MOST_MEMORY = 2 << 30

passed = failed = 0


def ok(what, good, found=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"ok   {what}" if good else f"FAIL {what}: {found}", flush=True)


def put(path, content):
    """A file below the library, old enough to be looked at."""
    folder, name = os.path.split(path)
    at = os.open(LIBRARY, os.O_RDONLY | os.O_DIRECTORY)
    for part in [part for part in folder.split(b"/") if part]:
        try:
            os.mkdir(part, dir_fd=at)
        except FileExistsError:
            pass
        below = os.open(part, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=at)
    with open(file, "wb") as out:
        out.write(content)
    os.utime(name, (time.time() - 300_000, time.time() - 200_000), dir_fd=at)
    os.close(at)


def real_video(frames=24):
    path = RUNS / f"video-{frames}.mkv"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", "/in/bigbuckbunny.mp4", "-map", "0:v", "-vf", "scale=192:108", "-frames:v", str(frames),
                    "-c:v", "libx264", "-preset", "ultrafast", "-crf", "2", "-pix_fmt", "yuv420p", str(path)], check=True)
    return path.read_bytes()


NAMES = [b"-i.mkv", b"--help.mkv", b"new\nline.mkv", b"quote'\".mkv", b"%03d.mkv", b"$(HOSTNAME).mkv", b"$$.mkv", b"a:b.mkv", b"back\\slash.mkv", b"concat:a|b.mkv",
         b"http:x.mkv", "\u202egnp.mkv".encode(), b" tab\t .mkv", b"*?[a].mkv", b"n" * 251 + b".mkv", b"-vf %n/\\\nframe:0 pts:1.mkv"]
DEEP = b"/".join([b"d" * 205] * 19) + b"/"


def build(port):
    """The library: path, reasons of which the catalog gives one, reasons of which the encode role gives one."""
    video = real_video()
    rows = []

    def add(path, content, catalog, encode=None):
        put(path, content)
        rows.append((path, catalog, encode or catalog))

    for name in NAMES:
        add(b"names/" + name, video, ["Eligible"], ["Encoded"])
    # As long as a path can be, and longer: that one can be made and listed, but no program can open it by its path.
    longest = 4_095 - len(LIBRARY) - 1
    fitting = DEEP + b"f" * (longest - len(DEEP) - 4) + b".mkv"
    add(fitting, video, ["Eligible"], ["Encoded"])
    add(b"/".join([b"e" * 200] * 22) + b"/x.mkv", video, None, ["IoError", "NotFound", "Unreadable", "UnrepresentableName", "InvalidTask"])

    random.seed(1)
    noise = random.randbytes(1 << 20)
    for name, content in [("zeros.mkv", bytes(1 << 20)), ("zeros.mp4", bytes(1 << 20)), ("random.mkv", noise), ("random.ts", noise[::-1]), ("random.avi", noise[1:]),
                          ("head-only.mkv", video[:300]), ("text.mkv", b"Not a video.\n" * 100), ("elf.mkv", pathlib.Path("/bin/sh").read_bytes()[:100_000])]:
        add(f"junk/{name}".encode(), content, ["Unreadable", "NoVideo", "CannotDecode", "ContainerChange"])
    add(b"junk/half.mkv", video[:len(video) // 2], ["Unreadable", "Eligible"], ["Unreadable", "CannotDecode", "FrameCountMismatch"])
    add(b"junk/damaged.mkv", video[:len(video) // 2] + noise[:len(video) // 4] + video[3 * len(video) // 4:], ["Eligible", "Unreadable", "Interlaced", "UnsupportedTimestamps"],
        ["CannotDecode", "Unreadable", "FrameCountMismatch", "UnsupportedTimestamps", "Interlaced"])
    add(b"junk/empty.mkv", b"", ["TooSmall"])
    for name, content in craft.playlists(port).items():
        add(f"playlists/{name}".encode(), content.encode() + b"#" * 10, ["Unreadable", "NoVideo", "ContainerChange"])
    put(b"playlists/secret.mkv", video)
    rows.append((b"playlists/secret.mkv", ["Eligible"], None))
    for name, content in [("ten-thousand.mkv", craft.many_tracks(10_000)), ("ten-thousand.mp4", craft.many_traks(10_000)), ("nested.mkv", craft.nested_elements(5_000)),
                          ("nested.mp4", craft.nested_boxes(5_000)), ("wide.mkv", craft.huge_picture(2**31 - 1, 2**31 - 1)), ("wider.mkv", craft.huge_picture(2**63, 1)),
                          ("limit.mkv", craft.huge_picture(16_384, 16_384)), ("none.mkv", craft.huge_picture(0, 0))]:
        add(f"absurd/{name}".encode(), content, ["Unreadable", "CannotDecode", "UnsupportedSize", "UnsupportedStream", "Interlaced", "UnsupportedTimestamps", "ContainerChange", "NoVideo"])
    add(b"absurd/control.mkv", titled(), ["UnsupportedStream"])

    for name, target in [("passwd.mkv", "/etc/passwd"), ("dangling.mkv", "nowhere.mkv"), ("loop.mkv", "loop.mkv"), ("inside.mkv", "../names/$$.mkv")]:
        os.makedirs("/library/links", exist_ok=True)
        os.symlink(target, f"/library/links/{name}")
        rows.append((f"links/{name}".encode(), ["NotRegular"], ["NotRegular"]))
    os.mkfifo("/library/links/pipe.mkv")
    rows.append((b"links/pipe.mkv", ["NotRegular"], ["NotRegular"]))
    os.symlink("/", "/library/links/root")
    os.symlink("..", "/library/links/up")
    for path in (b"links/root/etc/passwd", b"links/up/names/$$.mkv", b"../etc/passwd", b"/etc/passwd", b"names/../../etc/passwd"):
        rows.append((path, None, ["NotFound", "IoError", "InvalidTask", "NotRegular", "TooSmall"]))
    return rows


def titled():
    """A stream that is refused, with a title of control characters."""
    path = RUNS / "control.mkv"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", "testsrc2=size=192x108:rate=24", "-f", "lavfi", "-i", "anoisesrc", "-t", "1", "-c:v", "libx264", "-preset",
                    "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "wmav1", "-metadata:s:a:0", "title=" + "\1" * 2_000, str(path)], check=True)
    return path.read_bytes()


def tree():
    """Everything below the library but our own folder: kind, size, time, content."""
    found = {}
    for folder, folders, files in os.walk(b"."):
        folders[:] = [name for name in folders if name != b".av1"]
        for name in files + folders:
            path = os.path.join(folder, name)
            try:
                stat = os.lstat(path)
                content = hashlib.sha256(open(path, "rb").read()).hexdigest() if os.path.isfile(path) and not os.path.islink(path) else ""
            except OSError as error:
                stat, content = None, str(error.errno)
            found[path] = (stat and (stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ino), content)
    return found


class Watch:
    """Counts how often a file is opened (inotify)."""

    def __init__(self, path):
        libc = ctypes.CDLL(None)
        self.file = libc.inotify_init1(os.O_NONBLOCK)
        assert self.file >= 0 and libc.inotify_add_watch(self.file, path.encode(), 0x20) >= 0
        self.count = 0

    def opened(self):
        try:
            self.count += len(os.read(self.file, 1 << 20)) // 16
        except BlockingIOError:
            pass
        return self.count


class Ear(http.server.BaseHTTPRequestHandler):
    """Notes who comes by; nobody may."""
    calls = []

    def do_GET(self):
        self.calls.append(self.path)
        self.send_error(404)

    def log_message(self, *_):
        pass


def agent(*args, **more):
    return subprocess.run(["av1-agent", "pod", *args], capture_output=True, stdin=subprocess.DEVNULL, timeout=LONGEST, **more)


def volume_id():
    end = RUNS / "prepare"
    agent("prepare", "--task", json.dumps({"library": IDENTITY, "subPath": "", "step": "make"}), "--volume", "/library", "--termination-log", str(end), check=True)
    return json.loads(end.read_text())["done"]["volumeId"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def catalog(volume):
    """The verdicts of a whole scan, by path."""
    port = free_port()
    task = {"library": IDENTITY, "volumeId": volume, "scan": SCAN, "settings": SETTINGS}
    (RUNS / "catalog").mkdir()
    log = open(RUNS / "catalog.log", "wb")
    running = subprocess.Popen(["av1-agent", "pod", "catalog", "--task", json.dumps(task), "--library", "/library", "--catalog", "/runs/catalog", "--listen", f"127.0.0.1:{port}",
                                "--termination-log", "/runs/catalog.end"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def page(rest):
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/{rest}", timeout=30))

    try:
        until = time.monotonic() + LONGEST
        while True:
            assert time.monotonic() < until and running.poll() is None, "the catalog did not come to an end"
            try:
                if page("summary")["files"]["complete"]:
                    break
            except OSError:
                pass
            time.sleep(0.2)
        found, after = {}, ""
        while after is not None:
            items = page("files?limit=1000&after=" + urllib.parse.quote(after))
            found.update((item["path"], item) for item in items["items"])
            after = items["next"]
        return found
    finally:
        running.terminate()
        running.wait()


def encode(number, path):
    """The reason that the encode role gives for a path, and its message."""
    work = RUNS / f"work-{number}"
    work.mkdir()
    task = {"library": IDENTITY, "job": {"name": "j", "uid": "u", "run": 1}, "volumeId": "v", "path": os.fsdecode(path), "workers": 1, "settings": SETTINGS, "scan": SCAN}
    done = agent("encode", "--task", json.dumps(task, ensure_ascii=False), "--library", "/library", "--work", str(work), "--listen", "127.0.0.1:0", "--termination-log", str(work / "end"))
    try:
        said = json.loads((work / "end").read_text())
        result = said.get("done") or said["failed"]
        return result["reason"], result["message"]
    except (OSError, ValueError):
        return f"nothing, exit code {done.returncode}", done.stderr.decode(errors="replace")[-300:]


def changing_source(kind):
    """Changes the file while it is encoded; the reason that comes of it."""
    name = f"changing-{kind}.mkv"
    path = pathlib.Path("/runs/changing") / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(real_video(120))
    os.utime(path, (time.time() - 200_000,) * 2)
    work, port = RUNS / f"work-{kind}", free_port()
    work.mkdir()
    task = {"library": IDENTITY, "job": {"name": "j", "uid": "u", "run": 1}, "volumeId": "v", "path": name, "workers": 1, "settings": {**SETTINGS, "preset": 8}, "scan": SCAN}
    running = subprocess.Popen(["av1-agent", "pod", "encode", "--task", json.dumps(task), "--library", str(path.parent), "--work", str(work), "--listen", f"127.0.0.1:{port}",
                                "--termination-log", str(work / "end")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + LONGEST
    while True:
        assert time.monotonic() < until and running.poll() is None, "the encode did not begin"
        try:
            if json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/progress", timeout=5))["stage"] in ("SplittingScenes", "Encoding"):
                break
        except OSError:
            pass
        time.sleep(0.02)
    match kind:
        case "grows":
            with open(path, "ab") as file:
                file.write(b"more")
        case "shrinks":
            os.truncate(path, 1000)
        case "vanishes":
            path.unlink()
        case "swapped":
            other = path.with_suffix(".new")
            other.write_bytes(real_video(48))
            other.rename(path)
    running.wait(LONGEST)
    said = json.loads((work / "end").read_text())
    return (said.get("done") or said["failed"])["reason"]


def main():
    ear = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=ear.serve_forever, daemon=True).start()
    os.chdir(LIBRARY)
    rows = build(ear.server_address[1])
    volume = volume_id()
    before = tree()
    verdicts = catalog(volume)
    for path, reasons, _ in rows:
        if reasons is not None:
            found = verdicts.get(path.decode(errors="replace"), {"reason": "no verdict", "message": ""})
            ok(f"catalog: {shown(path)}: {found['reason']}", found["reason"] in reasons and (found["message"] or found["reason"] == "no verdict"), f"{found}, expected {reasons}")
    known = {path.decode(errors="replace") for path, reasons, _ in rows if reasons is not None}
    ok("catalog: nothing is listed that is not there", set(verdicts) <= known, set(verdicts) - known)

    chosen = [(path, reasons) for path, _, reasons in rows if reasons]
    watch = Watch("/library/playlists/secret.mkv")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (path, reasons), (reason, message) in zip(chosen, pool.map(lambda pair: encode(*pair), enumerate(path for path, _ in chosen))):
            ok(f"encode: {shown(path)}: {reason}", reason in reasons, f"{message}, expected {reasons}")

    ok("no playlist led to the file beside it", watch.opened() == 0, f"it was opened {watch.opened()} times")
    after = tree()
    ok("no file, link or folder of the library was changed", before == after, [shown(p) for p in set(before) | set(after) if before.get(p) != after.get(p)][:5])
    ok("no address in a playlist was asked", not Ear.calls, Ear.calls)
    for kind in ("grows", "shrinks", "vanishes", "swapped"):
        reason = changing_source(kind)
        ok(f"a file that {'is ' if kind == 'swapped' else ''}{kind} while it is encoded: {reason}", reason in ("SourceChanged", "NotFound", "IoError", "EncodeFailed"), reason)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    ok(f"no program took more than {MOST_MEMORY >> 20} MiB: {most >> 20} MiB", most < MOST_MEMORY)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def shown(path):
    text = path.decode(errors="replace").encode("unicode_escape").decode()
    return text if len(text) < 60 else f"{text[:28]}...{text[-28:]} ({len(path)} bytes)"


if __name__ == "__main__":
    main()
