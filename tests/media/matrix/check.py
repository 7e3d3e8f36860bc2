"""Compares an output with its source, with ffprobe and ffmpeg alone and nothing of the agent's: an independent witness.

Touches nothing. `compare` returns a list of (name, passed, what was found).
"""

import json
import re
import subprocess


def run(*command):
    done = subprocess.run(command, text=True, capture_output=True, errors="replace", stdin=subprocess.DEVNULL, timeout=300)
    return done.returncode, done.stdout, done.stderr


def probe(path):
    _, out, _ = run("ffprobe", "-v", "error", "-protocol_whitelist", "file", "-show_format", "-show_streams", "-show_chapters",
                    "-show_data_hash", "sha256", "-of", "json", f"file:{path}")
    return json.loads(out or "{}")


def main_video(probed):
    videos = [s for s in probed["streams"] if s["codec_type"] == "video" and not s["disposition"]["attached_pic"]]
    return next((s for s in videos if s["disposition"]["default"]), videos[0] if videos else None)


def frames(path, index):
    """Times of decoded frames, and the side data of the first."""
    _, out, _ = run("ffprobe", "-v", "error", "-select_streams", str(index), "-show_frames", "-of", "json", f"file:{path}")
    found = json.loads(out or "{}").get("frames", [])
    times = [float(frame["best_effort_timestamp_time"]) if "best_effort_timestamp_time" in frame else None for frame in found]
    return times, found[0].get("side_data_list", []) if found else []


def light(stream, first_frame):
    """Mastering display and content light, from the container or the first picture, as numbers."""
    found = {}
    for data in stream.get("side_data_list", []) + first_frame:
        if data.get("side_data_type") in ("Mastering display metadata", "Content light level metadata"):
            for key, value in data.items():
                if key != "side_data_type":
                    num, _, den = str(value).partition("/")
                    found[key] = float(num) / float(den or 1)
    return found


def rotation(stream):
    return next((data.get("rotation") for data in stream.get("side_data_list", []) if "rotation" in data), 0)


def ratio(text):
    a, _, b = (text or "1:1").partition(":")
    return (int(a) / int(b)) if int(a) and int(b or 0) else 1.0


def colour(stream):
    keys = ("color_range", "color_primaries", "color_transfer", "color_space", "chroma_location")
    said = {key: stream.get(key) for key in keys}
    said = {key: None if value in ("unknown", "unspecified") else value for key, value in said.items()}
    said["color_range"] = said["color_range"] or "tv"
    # AV1 has words for these two alone.
    said["chroma_location"] = said["chroma_location"] if said["chroma_location"] in ("left", "topleft") else None
    return said


def stream_hash(path, index, decoded=False):
    codec = ["-c", "copy"] if not decoded else ["-c:a", "pcm_s32le"]
    code, out, err = run("ffmpeg", "-v", "error", "-nostdin", "-i", f"file:{path}", "-map", f"0:{index}", *codec, "-f", "streamhash", "-hash", "sha256", "-")
    return out.partition("SHA256=")[2].strip() if code == 0 else f"failed: {err[-100:]}"


def packet_times(path, index):
    _, out, _ = run("ffprobe", "-v", "error", "-select_streams", str(index), "-show_entries", "packet=pts_time", "-of", "csv=p=0", f"file:{path}")
    return [float(word) for word in re.findall(r"-?\d+\.\d+", out)]


def apart(ours, theirs):
    return max((abs(a - b) for a, b in zip(ours, theirs)), default=0.0)


def psnr(source, index, output, size):
    """Mean and worst PSNR over pictures of the same number."""
    graph = (f"[0:v:0]crop={size[0]}:{size[1]}:0:0:exact=1,format=yuv420p10le,settb=1/1000,setpts=N[a];"
             f"[1:{index}]format=yuv420p10le,settb=1/1000,setpts=N[b];[a][b]psnr=stats_file=-")
    _, out, err = run("ffmpeg", "-v", "error", "-nostdin", "-noautorotate", "-apply_cropping", "none", "-i", f"file:{output}", "-noautorotate", "-i", f"file:{source}", "-lavfi", graph, "-f", "null", "-")
    values = [100.0 if word == "inf" else float(word) for word in re.findall(r"psnr_y:(inf|[\d.]+)", out)]
    return (sum(values) / len(values), min(values)) if values else (0.0, 0.0)


def compare(source, output, case):
    facts, rows = case.get("out", {}), []
    skip = facts.get("skip", [])

    def row(name, passed, found=""):
        if name not in skip:
            rows.append((name, bool(passed), str(found)))

    a, b = probe(source), probe(output)
    video, ours = main_video(a), main_video(b)
    videos = [s["codec_name"] for s in b["streams"] if s["codec_type"] == "video"]
    row("one video, AV1", videos == ["av1"] and ours is not None, videos)
    if ours is None:
        return rows
    row("pixel format", ours["pix_fmt"] == "yuv420p10le", ours["pix_fmt"])
    even = [facts.get(key, video[key] + video[key] % 2) for key in ("width", "height")]
    row("size", [ours["width"], ours["height"]] == even, f"{ours['width']}x{ours['height']}, expected {even}")
    row("pixel aspect", abs(ratio(ours.get("sample_aspect_ratio")) - ratio(video.get("sample_aspect_ratio"))) < 1e-3, ours.get("sample_aspect_ratio"))
    row("rotation", rotation(ours) == rotation(video), f"{rotation(ours)}, expected {rotation(video)}")
    row("colour", colour(ours) == colour(video), f"{colour(ours)}, expected {colour(video)}")

    # The clock of a transport or program stream starts anywhere; the output's starts at zero.
    clock = float(a["format"]["start_time"]) if a["format"]["format_name"] in ("mpegts", "mpeg") else 0.0
    times, first = frames(source, video["index"])
    times = [time if time is None else time - clock for time in times]
    our_times, our_first = frames(output, ours["index"])
    want, got = light(video, first), light(ours, our_first)
    row("light levels", want.keys() == got.keys() and all(abs(want[key] - got[key]) <= 2e-3 * max(1.0, abs(want[key])) for key in want), f"{got}, expected {want}")
    count = facts.get("frames", len(times))
    row("frame count", len(our_times) == count > 0, f"{len(our_times)}, expected {count}")
    steps = sorted(later - earlier for earlier, later in zip(times, times[1:]) if None not in (earlier, later))
    limit = max(0.002, steps[len(steps) // 2] / 4 if steps else 0)
    if None not in times and count == len(times):
        row("frame times", None not in our_times and apart(our_times, times) <= limit, f"{apart(our_times, times) * 1000:.1f} ms apart")
    if "pictures" not in skip:
        mean, worst = psnr(source, video["index"], output, (video["width"], video["height"]))
        row("pictures", mean > 32 and worst > 26, f"PSNR {mean:.1f} dB, worst {worst:.1f} dB")

    kinds = {s["index"]: s for s in a["streams"]}
    usual = [i for i, s in kinds.items() if s["codec_type"] in ("audio", "subtitle")] + [i for i, s in kinds.items() if s["codec_type"] == "attachment"]
    kept = [kinds[i] for i in case.get("kept", usual)]
    rest = [s for s in b["streams"] if s["index"] != ours["index"] and s["codec_type"] != "data"]
    listed = lambda streams: [(s["codec_type"], s.get("codec_name", "")) for s in streams]
    row("streams", listed(kept) == listed(rest), f"{listed(rest)}, expected {listed(kept)}")
    for one, other in zip(kept, rest):
        name = f"stream {one['index']}"
        if one["codec_type"] == "attachment":
            same = [(s.get("extradata_hash"), s["tags"].get("filename"), s["tags"].get("mimetype")) for s in (one, other)]
            row(f"{name} content", same[0] == same[1], same)
            continue
        decoded = one["index"] in case.get("filtered", [])
        hashes = [stream_hash(source, one["index"], decoded), stream_hash(output, other["index"], decoded)]
        row(f"{name} packets", hashes[0] == hashes[1] and len(hashes[0]) == 64, hashes)
        there, here = [time - clock for time in packet_times(source, one["index"])], packet_times(output, other["index"])
        row(f"{name} times", len(there) == len(here) and apart(here, there) <= 0.002, f"{len(here)} of {len(there)} packets, {apart(here, there) * 1000:.1f} ms apart")
        words = lambda s: (s.get("tags", {}).get("language", "und"), s.get("tags", {}).get("title"), [k for k, v in s["disposition"].items() if v])
        row(f"{name} words", words(one) == words(other), f"{words(other)}, expected {words(one)}")

    marks = lambda p: [(round(float(c["start_time"]), 2), round(float(c["end_time"]), 2), c.get("tags", {}).get("title")) for c in p.get("chapters", [])]
    row("chapters", marks(a) == marks(b), f"{marks(b)}, expected {marks(a)}")
    own = ("encoder", "major_brand", "minor_version", "compatible_brands", "creation_time", "duration")
    tags = lambda p: {k.lower(): v for k, v in p["format"].get("tags", {}).items() if k.lower() not in own}
    row("tags", tags(a).items() <= tags(b).items(), f"{tags(b)}, expected {tags(a)}")
    code, _, err = run("ffmpeg", "-v", "error", "-nostdin", "-xerror", "-i", f"file:{output}", "-map", "0:v", "-map", "0:a?", "-fps_mode", "passthrough", "-enc_time_base:v", "demux",
                       "-f", "null", "-")
    row("decodes", code == 0 and not err.strip(), err.strip()[-100:])
    return rows
