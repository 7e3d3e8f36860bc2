"""Crafts hostile files: thousands of streams, absurd sizes, playlists under the name of a video. Returns bytes, touches nothing."""

import struct


def ebml(ident, content):
    """One element; the length always takes eight bytes."""
    return bytes.fromhex(ident) + b"\x01" + len(content).to_bytes(7, "big") + content


def number(ident, value):
    return ebml(ident, value.to_bytes(8, "big"))


def matroska(*tracks, block=b""):
    head = ebml("1A45DFA3", ebml("4282", b"matroska") + number("4287", 4) + number("4285", 2))
    info = ebml("1549A966", number("2AD7B1", 1_000_000) + ebml("4489", struct.pack(">d", 2_000.0)))
    cluster = ebml("1F43B675", number("E7", 0) + block) if block else b""
    return head + ebml("18538067", info + ebml("1654AE6B", b"".join(tracks)) + cluster)


def track(index, kind, codec, video=b""):
    return ebml("AE", number("D7", index) + number("73C5", index) + number("83", kind) + ebml("86", codec) + (ebml("E0", video) if video else b""))


def many_tracks(count):
    video = track(1, 1, b"V_VP8", number("B0", 320) + number("BA", 180))
    return matroska(video, *(track(2 + n, 17, b"S_TEXT/UTF8") for n in range(count)))


def huge_picture(width, height):
    return matroska(track(1, 1, b"V_VP8", number("B0", width) + number("BA", height)), block=ebml("A3", b"\x81\0\0\x80" + bytes(40)))


def nested_elements(depth):
    """Tags within tags within tags."""
    inner = b""
    for _ in range(depth):
        inner = ebml("67C8", inner)
    return matroska(track(1, 1, b"V_VP8", number("B0", 320) + number("BA", 180))) + ebml("1254C367", ebml("7373", inner))


def box(kind, *parts):
    return struct.pack(">I", 8 + sum(map(len, parts))) + kind + b"".join(parts)


def many_traks(count):
    tkhd = box(b"tkhd", bytes([0, 0, 0, 3]) + bytes(80))
    stbl = box(b"stbl", box(b"stsd", bytes(4) + struct.pack(">I", 0)))
    mdia = box(b"mdia", box(b"mdhd", bytes(12) + struct.pack(">II", 1_000, 2_000) + bytes(4)), box(b"hdlr", bytes(8) + b"soun" + bytes(13)), box(b"minf", stbl))
    return box(b"ftyp", b"isom" + bytes(4) + b"isom") + box(b"moov", box(b"mvhd", bytes(12) + struct.pack(">II", 1_000, 2_000) + bytes(80)), *([box(b"trak", tkhd, mdia)] * count))


def nested_boxes(depth):
    inner = b""
    for _ in range(depth):
        inner = box(b"moov", inner)
    return box(b"ftyp", b"isom" + bytes(4) + b"isom") + inner


def playlists(port):
    """Texts that name another file or an address, by the name that each gets here."""
    http = f"http://127.0.0.1:{port}"
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
    return {
        "hls-http.mkv": f"{head}{http}/a.ts\n#EXT-X-ENDLIST\n",
        "hls-file.mkv": f"{head}secret.mkv\n#EXT-X-ENDLIST\n",
        "hls-absolute.mp4": f"{head}file:///library/playlists/secret.mkv\n#EXT-X-ENDLIST\n",
        "hls-key.ts": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI=\"{http}/key\"\n#EXTINF:2,\nsecret.mkv\n#EXT-X-ENDLIST\n",
        "master.mkv": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{http}/b.m3u8\n",
        "concat.mkv": "ffconcat version 1.0\nfile secret.mkv\n",
        "concat-absolute.mkv": "ffconcat version 1.0\nfile '/library/playlists/secret.mkv'\n",
        "concat-http.mkv": f"ffconcat version 1.0\nfile '{http}/c.mkv'\n",
        "session.mkv": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "dash.mp4": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">'
                    f'<Representation id="1" bandwidth="1"><BaseURL>{http}/d.mp4</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>',
        "rtsp.mkv": f"rtsptext\nrtsp://127.0.0.1:{port}/x\n",
        "asx.wmv": f'<asx version="3.0"><entry><ref href="{http}/e.wmv"/></entry></asx>',
        "idx.mkv": "# VobSub index file, v7 (do not modify this line!)\nsize: 720x576\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
    }
