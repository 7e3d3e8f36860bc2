# Runs inside the encoder image's root: makes one source a case, encodes it with the agent, and checks verdict, report, output and
# stills.
import base64
import json
import os
import re
import subprocess
import sys
from fractions import Fraction

LIBRARY, RUNS = "/library", "/runs"
FAT = "-c:v libx264 -preset ultrafast -qp 4 -bf 2 -g 24"
# Real film: what idet says of drawn patterns is arbitrary.
FILM = "-t 2 -i /clips/bigbuckbunny.mp4 -map 0:v:0 -vf scale=320:180:flags=area,format=yuv420p"
BIKES = "-ss 1 -t 3 -i /clips/bikes.mp4 -map 0:v:0 -vf scale=320:240:flags=area,format=yuv420p"
WIDE = "setparams=range=tv:color_primaries=bt2020:colorspace=bt2020nc:color_trc="
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR = "-c:v libx265 -preset ultrafast -x265-params qp=4:log-level=none:repeat-headers=1:"
TOLD = f"hdr10=1:master-display={DISPLAY}:max-cll=1000,400"
passed, failed = 0, 0


def ok(what, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(("ok   " if good else "FAIL ") + what + ("" if good else f": {detail}"), flush=True)


def ffmpeg(arguments):
    words = [word.replace("~", " ") for word in arguments.split()]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *words], check=True)


def probe(path, *arguments):
    call = ["ffprobe", "-v", "error", "-of", "json", *arguments, path]
    return json.loads(subprocess.run(call, check=True, capture_output=True).stdout)


def times(path):
    call = ["ffprobe", "-v", "error", "-select_streams", "V:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0", path]
    lines = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
    return [float(line.strip(",")) for line in lines]


def psnr(output, source, on_output="null", on_source="null"):
    """Of the luma, frame by frame whatever the times."""
    graph = (f"[0:v]{on_output},format=yuv420p10le,setpts=N[a];[1:V:0]{on_source},format=yuv420p10le,setpts=N[b];[a][b]psnr")
    call = ["ffmpeg", "-nostdin", "-hide_banner", "-noautorotate", "-apply_cropping", "none", "-i", output, "-noautorotate", "-i", source]
    text = subprocess.run([*call, "-lavfi", graph, "-fps_mode", "passthrough", "-f", "null", "-"], capture_output=True, text=True)
    found = re.search(r"PSNR y:(\S+)", text.stderr)
    return float(found[1]) if found else 0.0


def encode(name, path, **settings):
    work = f"{RUNS}/{name}"
    os.makedirs(work)
    task = {
        "library": {"namespace": "n", "name": "l", "uid": "u", "cluster": "c"}, "job": {"name": "j", "uid": "u", "run": 1},
        "volumeId": "v", "path": path, "workers": 1,
        "settings": {
            "profile": "QualityFirst", "tier": "High", "preset": 12, "crf": 20, "dropLanguages": [], "durationToleranceMillis": 1000,
            "maxPercent": 100, "trashRetentionSeconds": 1, "modifiedTime": "Now", "whySidecars": "Jobs", **settings},
        "scan": {"intervalSeconds": 60, "minSize": 1, "stableSeconds": 1, "extensions": [], "include": [], "exclude": [],
                 "order": "LargestFirst", "hardLinks": "Skip"}}
    call = ["av1-agent", "pod", "encode", "--task", json.dumps(task), "--library", LIBRARY, "--work", work,
            "--listen", "127.0.0.1:0", "--termination-log", f"{work}/end"]
    ran = subprocess.run(call, capture_output=True, text=True)
    try:
        report = json.load(open(f"{work}/report.json"))
    except OSError:
        end = open(f"{work}/end").read() if os.path.exists(f"{work}/end") else ran.stderr[-2000:]
        return {"result": {"reason": f"no report: {end}"}}, None
    output = report["result"]["output"]
    return report, output and f"{work}/{output['name']}"


def expect(name, path, reason, report):
    result = report["result"]
    bad = [c for c in report.get("checks", []) if not c["passed"]]
    ok(f"{name}: {reason}", result["reason"] == reason, f"{result['reason']}: {result.get('message')} {bad}")
    return result["reason"] == reason


def whole(name, path, report, output, least=38.0, on_output="null", on_source="null"):
    """What holds of every encoded file."""
    source = f"{LIBRARY}/{path}"
    a, b = times(source), times(output)
    apart = max((abs(x - y) for x, y in zip(a, b)), default=9.0)
    ok(f"{name}: {len(a)} frames at the source's times", len(a) == len(b) and apart <= 0.002, f"{len(a)} {len(b)} {apart}")
    value = psnr(output, source, on_output, on_source)
    ok(f"{name}: looks like the source", value >= least, f"PSNR {value}")
    stills(name, report, output, ["Middle"])


def stills(name, report, output, places):
    """Pictures of source and output show the same frame alike, decode, are small, and are of one size. Returns the pairs."""
    try:
        pairs = json.load(open(f"{os.path.dirname(output)}/stills.json"))["pairs"]
    except OSError as error:
        pairs = []
        report.setdefault("notes", []).append(str(error))
    found = [pair["place"] for pair in pairs]
    ok(f"{name}: stills of {' and '.join(places)}", found == places and not report.get("notes"), f"{found} {report.get('notes')}")
    for pair in pairs:
        files = {}
        for side in ("before", "after"):
            files[side] = f"{RUNS}/{name.replace(' ', '-')}-{pair['place']}-{side}.jpg"
            with open(files[side], "wb") as file:
                file.write(base64.b64decode(pair[side], validate=True))
        sizes = [(s["codec_name"], s["width"], s["height"]) for s in (video(file) for file in files.values())]
        told = ("mjpeg", pair["width"], pair["height"])
        ok(f"{name}: both are JPEG of {told[1:]}", sizes == [told, told] and max(told[1:]) <= 960, sizes)
        bytes_of = [os.path.getsize(file) for file in files.values()]
        ok(f"{name}: both are small", max(bytes_of) <= 60 << 10, bytes_of)
        value = psnr(files["after"], files["before"])
        ok(f"{name}: both show the same", value >= 28, f"PSNR {value}")
        pair["files"] = files
    return pairs


def video(path):
    return probe(path, "-show_streams", "-select_streams", "V:0")["streams"][0]


def side_data(stream, kind):
    return next((d for d in stream.get("side_data_list", []) if d["side_data_type"] == kind), {})


def value(data, key):
    return float(Fraction(data[key])) if key in data else None


def default_duration(path):
    text = subprocess.run(["mkvinfo", path], capture_output=True, text=True).stdout
    return "Default duration" in text.split("Track type: video")[1].split("+ Track\n")[0]


def make(path, arguments):
    os.makedirs(os.path.dirname(f"{LIBRARY}/{path}"), exist_ok=True)
    ffmpeg(f"{arguments} {LIBRARY}/{path}")
    os.utime(f"{LIBRARY}/{path}", (1_600_000_000, 1_600_000_000))


def case_varying():
    jitter = "settb=1/1000,setpts='N*40+13*mod(N,3)'"
    for ext, clock in (("mkv", "1/1000"), ("mp4", "1/24000")):
        path = f"Phone/varying.{ext}"
        make(path, f"{FILM},{jitter} -fps_mode passthrough -enc_time_base {clock} {FAT}")
        report, output = encode(f"varying-{ext}", path)
        if expect(f"varying {ext}", path, "Encoded", report):
            whole(f"varying {ext}", path, report, output)
            ok(f"varying {ext}: told as varying", report["media"]["variableFrameRate"], report["media"])
            if ext == "mkv":
                ok("varying mkv: no duration of frames is claimed", not default_duration(output))
    path = "constant.mkv"
    make(path, f"{FILM} {FAT}")
    report, output = encode("constant", path)
    if expect("constant", path, "Encoded", report):
        whole("constant", path, report, output)
        ok("constant: the duration of frames is told", default_duration(output) and not report["media"]["variableFrameRate"])
    path = "Show.S01E01.1080p.WEB-DL/late.mkv"
    make(path, f"-f lavfi -i sine=d=2 {FILM.replace('0:v', '1:v')} -map 0:a {FAT} -qp 31 -c:a aac -b:a 24k -output_ts_offset 1.4")
    report, output = encode("web", path, crf=60)
    found = report.get("classification") or {}
    ok("web: classified", (found.get("kind"), found.get("score", 0) >= 2) == ("WebLike", True), found)
    expect("web", path, "Encoded", report)


def case_odd():
    odd = f"{FILM},format=yuv444p,scale=321:181,format=yuv420p"
    for ext, codec in (("mkv", "libvpx-vp9 -cpu-used 8 -crf 2 -b:v 0"), ("mp4", "mpeg4 -q 1")):
        path = f"odd.{ext}"
        make(path, f"{odd} -c:v {codec}")
        report, output = encode(f"odd-{ext}", path)
        if not expect(f"odd {ext}", path, "Encoded", report):
            continue
        whole(f"odd {ext}", path, report, output, 38.0, "crop=320:180:0:0", "crop=320:180:0:0")
        stream = video(output)
        hidden = side_data(stream, "Frame Cropping")
        ok(f"odd {ext}: even", (stream["width"], stream["height"]) == (322, 182), stream)
        ok(f"odd {ext}: one pixel is hidden", (hidden.get("crop_right"), hidden.get("crop_bottom")) == (1, 1), hidden)
        ok(f"odd {ext}: told", any("322x182" in f for f in report["plan"]["filters"]), report["plan"])


def case_anamorphic():
    for ext, aspect in (("mkv", "32/27"), ("mp4", "64/45"), ("mkv", "853/720")):
        name = f"anamorphic-{aspect.replace('/', '-')}"
        path = f"{name}.{ext}"
        make(path, f"{FILM},setsar={aspect} {FAT}")
        report, output = encode(name, path)
        if expect(name, path, "Encoded", report):
            whole(name, path, report, output)
            a, b = video(f"{LIBRARY}/{path}")["sample_aspect_ratio"], video(output)["sample_aspect_ratio"]
            ok(f"{name}: {a}", a == b != "1:1", b)


def case_rotated():
    for ext, turn in (("mp4", "90"), ("mkv", "90"), ("mp4", "180"), ("mp4", "-90~-display_hflip")):
        name = f"rotated{turn.replace('~', '')}-{ext}"
        path = f"{name}.{ext}"
        make("plain.mp4", f"{FILM} {FAT}")
        make(path, f"-display_rotation {turn.replace('~', ' ')} -i {LIBRARY}/plain.mp4 -c copy")
        report, output = encode(name, path)
        if expect(name, path, "Encoded", report):
            whole(name, path, report, output)
            rows = [side_data(video(f), "Display Matrix").get("displaymatrix", "").split("\n")[1:3] for f in (f"{LIBRARY}/{path}", output)]
            ok(f"{name}: the same matrix", rows[0] == rows[1] != [], rows)


def hdr(run, path, transfer, is_told, **settings):
    """Encodes an HDR file, and looks for its colours and light in the output's container and stream."""
    report, output = encode(run, path, **settings)
    if not expect(run, path, "Encoded", report):
        return
    whole(run, path, report, output)
    stream = video(output)
    colours = (stream.get("color_transfer"), stream.get("color_primaries"), stream.get("color_space"))
    ok(f"{run}: colours", colours == (transfer, "bt2020", "bt2020nc"), colours)
    display, light = side_data(stream, "Mastering display metadata"), side_data(stream, "Content light level metadata")
    told = (value(display, "max_luminance"), value(display, "green_y"), light.get("max_content"), light.get("max_average"))
    ok(f"{run}: light in the container", told == ((1000.0, 0.69, 1000, 400) if is_told else (None,) * 4), (display, light))
    ffmpeg(f"-i {output} -map 0:V:0 -c copy -f ivf {RUNS}/{run}.ivf")
    frame = probe(f"{RUNS}/{run}.ivf", "-show_frames", "-read_intervals", "%+#1")["frames"][0]
    kinds = [d["side_data_type"] for d in frame.get("side_data_list", [])]
    ok(f"{run}: light in the stream", ("Mastering display metadata" in kinds) == is_told, kinds)
    colours = (frame.get("color_transfer"), frame.get("color_primaries"), frame.get("color_space"))
    ok(f"{run}: colours in the stream", colours == (transfer, "bt2020", "bt2020nc"), colours)
    ok(f"{run}: told", report["media"]["hdr"] == ("Hlg" if transfer == "arib-std-b67" else "Hdr10"), report["media"])


def case_hdr():
    for name, transfer, told in (
        ("hdr10.mkv", "smpte2084", TOLD), ("hdr10.mp4", "smpte2084", TOLD), ("pq.mkv", "smpte2084", ""),
        ("hlg.mkv", "arib-std-b67", ""),
    ):
        make(name, f"{FILM}10le,{WIDE}{transfer} {HDR}{told}")
        hdr(name.replace(".", "-"), name, transfer, bool(told))
    for encoder, engine in (("Aom", "Av1an"), ("Rav1e", "Av1an"), ("SvtAv1", "Ffmpeg"), ("Aom", "Ffmpeg"), ("Rav1e", "Ffmpeg")):
        preset = {"SvtAv1": 12, "Aom": 6, "Rav1e": 10}[encoder]
        quality = {} if encoder == "SvtAv1" else {"crf": None}
        hdr(f"hdr10-{encoder}-{engine}", "hdr10.mkv", "smpte2084", True, encoder=encoder, engine=engine, preset=preset, **quality)


def case_reduced():
    for pix_fmt, reason in (("yuv422p", "ChromaReduced"), ("yuv444p10le", "ChromaReduced"), ("yuv420p12le", "DepthReduced")):
        path = f"{pix_fmt}.mkv"
        codec = "libx265 -preset ultrafast -x265-params qp=4:log-level=none" if "12" in pix_fmt else "libx264 -preset ultrafast -qp 4"
        make(path, f"{FILM} -pix_fmt {pix_fmt} -c:v {codec}")
        expect(f"{pix_fmt} without leave", path, reason, encode(f"{pix_fmt}-skip", path)[0])
        report, output = encode(pix_fmt, path, allow=[reason])
        if expect(f"{pix_fmt} with leave", path, "Encoded", report):
            whole(pix_fmt, path, report, output)
            ok(f"{pix_fmt}: the loss is told", any(pix_fmt in d for d in report["plan"]["dropped"]), report["plan"])


def case_interlaced():
    flags = "-flags +ildct+ilme -x264opts tff=1"
    # Fields of two moments, which no camera of 25 frames a second shows: the film is told to be twice as fast.
    woven = f"{BIKES},interlace=scan=tff:lowpass=off"
    for name, source, reason in (
        ("interlaced", f"{woven} {FAT} {flags}", "Interlaced"),
        ("unmarked", f"{woven},setfield=prog {FAT}", "Interlaced"),
        ("telecined", f"{BIKES},telecine {FAT} {flags}", "Interlaced"),
        ("marked", f"{BIKES} {FAT} {flags}", "Encoded"),
    ):
        path = f"{name}.mkv"
        make(path, source)
        report, output = encode(name, path)
        expect(name, path, reason, report)


def case_bars():
    bars = f"{FILM},crop=320:140,pad=320:180:0:20"
    path = "bars.mkv"
    make(path, f"{bars} {FAT}")
    report, output = encode("bars-off", path)
    if expect("bars, off", path, "Encoded", report):
        ok("bars, off: kept", video(output)["height"] == 180, video(output)["height"])
    report, output = encode("bars", path, crop="Auto")
    if expect("bars", path, "Encoded", report):
        whole("bars", path, report, output, 38.0, "null", "crop=320:140:0:20")
        ok("bars: cut off", video(output)["height"] == 140, video(output)["height"])
        ok("bars: told", any("320x140" in f for f in report["plan"]["filters"]), report["plan"])
    path = "mixed.mkv"
    make("whole.mkv", f"{FILM} {FAT}")
    both = f"-i {LIBRARY}/bars.mkv -i {LIBRARY}/whole.mkv -filter_complex [0:v][1:v]concat=n=2:v=1,format=yuv420p"
    make(path, f"{both} {FAT}")
    report, output = encode("mixed", path, crop="Auto")
    if expect("mixed", path, "Encoded", report):
        ok("mixed: a picture of two shapes is not cut", video(output)["height"] == 180, video(output)["height"])


def case_stills():
    # An empty beginning, moving pictures from then on; MP4 that starts late.
    black = "-f lavfi -i color=black:s=320x240:r=25:d=2.4,format=yuv420p"
    film = f"{black} -ss 1 -t 5 -i /clips/bikes.mp4 -filter_complex [1:v]scale=320:240:flags=area,fps=25,format=yuv420p,setsar=1[f];[0:v][f]concat=n=2:v=1"
    for ext, more in (("mkv", ""), ("mp4", "-output_ts_offset 1.4")):
        name = f"stills-{ext}"
        make(f"{name}.{ext}", f"{film} {FAT} {more}")
        report, output = encode(name, f"{name}.{ext}", quality={"metric": "Xpsnr"})
        if not expect(name, f"{name}.{ext}", "Encoded", report):
            continue
        pairs = stills(name, report, output, ["Worst", "Best"])
        ok(f"{name}: they are of two scenes with their scores", len({p["frame"] for p in pairs}) == 2 and all(float(p["score"]) > 20 for p in pairs), pairs and [(p["frame"], p.get("score")) for p in pairs])
        ok(f"{name}: the empty scene is not the best", pairs and pairs[-1]["frame"] >= 60, pairs and pairs[-1]["frame"])
        for pair in pairs:
            for side, file in (("before", f"{LIBRARY}/{name}.{ext}"), ("after", output)):
                # The very frame of that number: its neighbours are no better match.
                near = {}
                for shift in (-1, 0, 1):
                    number = f"select=eq(n\\,{max(pair['frame'] + shift, 0)})"
                    near[shift] = psnr(pair["files"][side], file, "scale=out_range=tv", f"{number},trim=end_frame=1")
                ok(f"{name}: {pair['place']} {side} is frame {pair['frame']}", max(near, key=near.get) == 0 and near[0] >= 28, near)


CASES = {name[5:]: run for name, run in list(globals().items()) if name.startswith("case_")}
for name in sys.argv[1:] or CASES:
    CASES[name]()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
