"""What became of the files: proof with the image's own tools, independent of what the operator says.

Reads the library and the hashes taken before; writes nothing.
"""

import json

import kube


def streams(folder, path):
    """ffprobe's streams of a file, with decoded frames counted for video."""
    text = kube.tools(folder, "ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", f"file:/m/{path}")
    return json.loads(text)["streams"]


def stream_hashes(folder, path, indexes):
    """SHA-256 of the packets of some streams of a file, in that order."""
    if not indexes:
        return []
    maps = [part for index in indexes for part in ("-map", f"0:{index}")]
    text = kube.tools(folder, "ffmpeg", "-v", "error", "-nostdin", "-i", f"file:/m/{path}", *maps, "-c", "copy", "-f", "streamhash",
                      "-hash", "sha256", "-")
    return [line.rsplit("=", 1)[1] for line in text.split()]


def video_hash(folder, path):
    """SHA-256 of the main video's packets."""
    return stream_hashes(folder, path, ["v:0"])[0]


def kept(probed, drop):
    return [s["index"] for s in probed
            if s["codec_type"] in ("audio", "subtitle") and s.get("tags", {}).get("language", "und") not in drop]


def prove_replacement(folder, path, original, before, drop=("rus", "ru")):
    """Problems with a replaced file, as sentences; none is what we want. `original` is its path in the trash."""
    problems = []
    if kube.sha256(folder / original) != before[path]:
        problems.append(f"{original} is not the original")
    source, output = streams(folder, original), streams(folder, path)
    videos = [s for s in output if s["codec_type"] == "video"]
    if [s["codec_name"] for s in videos] != ["av1"]:
        problems.append(f"video streams are {[s['codec_name'] for s in videos]}, not one AV1")
    frames = [next(s["nb_read_frames"] for s in probed if s["codec_type"] == "video") for probed in (source, output)]
    if frames[0] != frames[1]:
        problems.append(f"{frames[1]} frames instead of {frames[0]}")
    wanted, found = (stream_hashes(folder, p, kept(s, d)) for p, s, d in ((original, source, drop), (path, output, ())))
    if wanted != found:
        problems.append(f"copied streams differ: {wanted} against {found}")
    return problems


def prove_untouched(folder, before, replaced, marked):
    """Problems with files that were not to change: every file but `replaced` is as before, and nothing new is there but
    markers and sidecars of the files in `marked`."""
    after = kube.hashes(folder)
    allowed = {f"{path}{suffix}" for path in marked for suffix in (".av1skip", ".why.txt")}
    problems = [f"{path} is gone" for path in before if path not in after]
    problems += [f"{path} changed" for path in before if path in after and path not in replaced and after[path] != before[path]]
    problems += [f"{path} is new" for path in after if path not in before and path not in allowed]
    return problems


def table(library, before_sizes):
    """Rows for people: file, outcome, reason, before, after, saved, CPUs."""
    jobs = {job["spec"]["source"]["path"]: job.get("status") or {} for job in library.jobs()}
    rows = []
    for path, verdict in sorted(library.files().items()):
        status = jobs.get(path, {})
        outcome = status.get("outcome") or {}
        before, after = before_sizes.get(path, verdict["size"]), verdict["size"]
        rows.append((path, status.get("phase") or verdict["state"][0].upper() + verdict["state"][1:], outcome.get("reason") or verdict["reason"],
                     size(before), size(after), f"{100 - 100 * after // before} %" if after < before else "-",
                     (status.get("pinning") or {}).get("cpus") or "-"))
    head = ("FILE", "OUTCOME", "REASON", "BEFORE", "AFTER", "SAVED", "CPUS")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *rows])


def size(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
