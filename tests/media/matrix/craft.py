#!/usr/bin/env python3
"""Crafts what no tool at hand makes: picture subtitles, captions and HDR10+ data in a bare stream, and files that lie.

usage: craft.py pgs OUT | captions IN OUT | hdr10plus IN OUT | wrong-duration IN OUT | zeroed IN OUT | cut PERCENT IN OUT
Touches OUT alone.
"""

import pathlib
import struct
import sys


def segment(pts, kind, body):
    return b"PG" + struct.pack(">IIBH", pts, 0, kind, len(body)) + body


def pgs():
    """Two displays of a white box, half a second each."""
    width, height, box_width, box_height = 320, 180, 60, 20
    line = bytes([0, 0x80 | box_width, 1, 0, 0])
    picture = struct.pack(">HH", box_width, box_height) + line * box_height
    data = b""
    for number, start in enumerate((18_000, 108_000)):
        window = struct.pack(">BBHHHH", 1, 0, 130, 140, box_width, box_height)
        composition = struct.pack(">HHBHBBBB", width, height, 0x10, 2 * number, 0x80, 0, 0, 1) + struct.pack(">HBBHH", number, 0, 0, 130, 140)
        palette = bytes([0, 0, 1, 235, 128, 128, 255])
        an_object = struct.pack(">HBB", number, 0, 0xC0) + struct.pack(">I", len(picture))[1:] + picture
        data += segment(start, 0x16, composition) + segment(start, 0x17, window) + segment(start, 0x14, palette)
        data += segment(start, 0x15, an_object) + segment(start, 0x80, b"")
        end = start + 45_000
        data += segment(end, 0x16, struct.pack(">HHBHBBBB", width, height, 0x10, 2 * number + 1, 0, 0, 0, 0))
        data += segment(end, 0x17, window) + segment(end, 0x80, b"")
    return data


def escaped(payload):
    """With the bytes that keep a start code from appearing within a unit."""
    out, zeros = bytearray(), 0
    for byte in payload:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def units(stream):
    """The units of a bare H.264 or HEVC stream, each with its start code."""
    starts = []
    at = stream.find(b"\0\0\1")
    while at >= 0:
        starts.append(at - 1 if at > 0 and stream[at - 1] == 0 else at)
        at = stream.find(b"\0\0\1", at + 3)
    return [stream[a:b] for a, b in zip(starts, starts[1:] + [len(stream)])]


def behind_delimiters(stream, head, kind_of, delimiter, payload):
    """The stream with a message of user data behind each access unit delimiter."""
    message = b"\0\0\0\1" + head + escaped(bytes([4, len(payload)]) + payload + b"\x80")
    found = units(stream)
    is_delimiter = [kind_of(unit.lstrip(b"\0")[1:]) == delimiter for unit in found]
    assert any(is_delimiter), "the stream has no access unit delimiters"
    return b"".join(unit + (message if mark else b"") for unit, mark in zip(found, is_delimiter))


def captions(stream):
    """EIA-608: each picture carries a pair of bytes."""
    pairs = bytes([0xFC, 0x94, 0x2C])
    payload = b"\xb5\0\x31GA94\3" + bytes([0x40 | 1, 0xFF]) + pairs + b"\xff"
    return behind_delimiters(stream, b"\x06", lambda unit: unit[0] & 31, 9, payload)


def hdr10_plus(stream):
    bits = "".join(f"{value:0{width}b}" for value, width in [
        (0xB5, 8), (0x3C, 16), (1, 16), (4, 8), (1, 8), (1, 2), (400, 27), (0, 1),
        (9_000, 17), (9_000, 17), (9_000, 17), (4_000, 17), (1, 4), (50, 7), (5_000, 17), (10, 10), (0, 1), (0, 1), (0, 1)])
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return behind_delimiters(stream, b"\x4e\x01", lambda unit: unit[0] >> 1 & 63, 35, payload)


def wrong_duration(data):
    """A Matroska or MP4 file that says it lasts ten times as long as it does."""
    at = data.find(b"\x44\x89\x88")
    if at >= 0:
        seconds = struct.unpack(">d", data[at + 3:at + 11])[0]
        return data[:at + 3] + struct.pack(">d", seconds * 10) + data[at + 11:]
    out = bytearray(data)
    for kind, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        at = data.find(kind)
        while at >= 0:
            place = at + offset
            out[place:place + 4] = struct.pack(">I", struct.unpack(">I", data[place:place + 4])[0] * 10)
            at = data.find(kind, at + 4)
    return bytes(out)


def zeroed(data):
    """With a tenth of it zero, as a failing disk leaves it."""
    start, length = len(data) // 2, len(data) // 10
    return data[:start] + bytes(length) + data[start + length:]


def main():
    what, *rest = sys.argv[1:]
    paths = [pathlib.Path(path) for path in rest]
    if what == "pgs":
        paths[0].write_bytes(pgs())
    elif what == "cut":
        data = paths[1].read_bytes()
        paths[2].write_bytes(data[:len(data) * int(rest[0]) // 100])
    else:
        change = {"captions": captions, "hdr10plus": hdr10_plus, "wrong-duration": wrong_duration, "zeroed": zeroed}[what]
        paths[1].write_bytes(change(paths[0].read_bytes()))


if __name__ == "__main__":
    main()
