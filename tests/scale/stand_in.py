"""What the pods of fake nodes would serve, served on loopback: the pages of catalogs and the progress of encodes.

A catalog's page is asked at its Service's address, which the control plane of this bench takes from a range of loopback
addresses; an encode's at its pod's address, which KWOK takes from another. May: listen there. Must never: listen elsewhere.
"""

import asyncio
import hashlib
import json
import threading
import time

PORT = 9090
SETTINGS = {"profile": "QualityFirst", "tier": "High", "preset": 4, "crf": 24, "dropLanguages": ["ru"], "durationToleranceMillis": 1000, "maxPercent": 90,
            "trashRetentionSeconds": 604800, "modifiedTime": "Now", "whySidecars": "Jobs"}
SIZE, MODIFIED = 8053063680, 1700000000000000000


def check(name, expected, measured):
    return {"name": name, "passed": True, "expected": expected, "measured": measured}


MEDIA = {"container": "matroska,webm", "codec": "h264", "pixelFormat": "yuv420p", "width": 1920, "height": 800, "frameRate": "24000/1001", "variableFrameRate": False,
         "hdr": "", "durationSeconds": "7020.515", "frames": 168323, "bitRate": 9176000, "audio": 2, "subtitles": 3}
PLAN = {"engine": "Av1an", "encoder": "SvtAv1", "encoderVersion": "SVT-AV1 v4.2.0", "preset": 4, "crf": 24,
        "parameters": "--preset 4 --crf 24 --lp 1 --keyint 0 --tune 0 --film-grain 0 --color-primaries 1 --transfer-characteristics 1 --matrix-coefficients 1",
        "workers": 8, "threadsPerWorker": 1, "chunks": 912, "filters": ["crop to 1920x800"], "dropped": ["audio 2: ru"]}
CLASSIFICATION = {"kind": "DiscLike", "score": -3, "reasons": ["-2: chapters", "-1: several subtitles"]}
CHECKS = [check("FrameCount", "168323 frames", "168323 frames"), check("Duration", "7020.515 s, within 1.000 s", "7020.515 s"), check("Decode", "no error", "no error"),
          check("TimeStamps", "those of the source", "the same"), check("VideoCodec", "av1, 10 bit", "av1, yuv420p10le"), check("Picture", "1920x800", "1920x800"),
          check("Colour", "bt709, tv", "bt709, tv"), check("Audio", "1 track: truehd, eng", "1 track: truehd, eng"), check("Subtitles", "2 tracks", "2 tracks"),
          check("Chapters", "24", "24"), check("Attachments", "2", "2"), check("Quality", "at least 38 dB", "44.31 dB")]


def report():
    """Bytes of the report that every encode of the bench announces."""
    result = {"verdict": "Encoded", "reason": "Encoded", "message": "the output has 41 % of the source's size: 3.07 GiB of 7.50 GiB", "source": None, "output": None,
              "reportSha256": None, "sizeGate": None, "pinning": {"cpus": "0-7", "exclusive": True, "cpuModel": "AMD EPYC 9354 32-Core Processor"},
              "frames": 168323, "encodeSeconds": 3600.5, "chunksResumed": 0}
    whole = {"result": result, "media": MEDIA, "classification": CLASSIFICATION, "plan": PLAN, "checks": CHECKS, "settings": SETTINGS,
             "quality": {"metric": "Xpsnr", "mean": "44.31", "worstWindow": "36.02", "worstWindowAt": "3012.5"},
             "versions": {"ffmpeg": "9.0.2", "av1an": "0.5.2", "svt-av1": "4.2.0"}, "commands": {"encode": ["av1an", "-i", "source.vpy"]}}
    return json.dumps(whole).encode()


REPORT = report()
REPORT_SHA256 = hashlib.sha256(REPORT).hexdigest()


def volume_id(library):
    """The id that the stage of prepare pods gives the volume of a library."""
    return hashlib.sha256(library.encode()).hexdigest()[:32]


class StandIn:
    """One server in a thread of its own, with an address for each catalog and each encode."""

    def __init__(self):
        self.libraries, self.files, self.encodes, self.servers = {}, {}, {}, []
        self.scanned = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def catalog(self, address, library, files):
        """Answers as the catalog of `library`, in which a scan before the first job found so many files."""
        self.libraries[address] = library
        self.files[library] = [self.candidate(library, n) for n in range(files)]
        self.listen(address)

    def encode(self, address, uid, run, seconds):
        """Answers as an encode that takes so long."""
        self.encodes[address] = (uid, run, time.monotonic(), seconds)
        self.listen(address)

    @staticmethod
    def candidate(library, number):
        return {"path": f"{library}/Season {number // 20 + 1:02}/Episode {number + 1:04} - A name as long as names are.mkv", "size": SIZE, "modifiedTimeNs": MODIFIED,
                "width": 1920, "height": 800, "durationMillis": 7020515}

    def listen(self, address):
        self.servers.append(asyncio.run_coroutine_threadsafe(asyncio.start_server(self.serve, address, PORT, backlog=512), self.loop).result())

    def close(self):
        """Gives the addresses back: the next control plane deals out the same."""
        for server in self.servers:
            self.loop.call_soon_threadsafe(server.close)

    async def serve(self, reader, writer):
        address = writer.get_extra_info("sockname")[0]
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip():
                    pass
                body = self.page(address, line.split()[1].decode())
                status = b"200 OK" if body is not None else b"404 Not Found"
                body = body or b""
                writer.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def page(self, address, target):
        path, _, query = target.partition("?")
        if path == "/progress" and address in self.encodes:
            return self.progress(*self.encodes[address])
        library = self.libraries.get(address)
        if library is None:
            return None
        files = self.files[library]
        if path == "/v1/summary":
            return self.summary(library, len(files))
        if path == "/v1/candidates":
            asked = dict(pair.split("=") for pair in query.split("&"))
            offset, limit = int(asked["offset"]), int(asked["limit"])
            return json.dumps({"items": files[offset:offset + limit], "total": len(files), "complete": True}).encode()
        if path == "/v1/leftovers":
            return b'{"due": [], "nextDue": null, "work": []}'
        return REPORT if path.startswith("/v1/reports/") else None

    def summary(self, library, files):
        counts = {"total": files, "eligible": files, "pending": files, "complete": True}
        return json.dumps({"volumeId": volume_id(library), "files": counts, "skippedByReason": {}, "bytes": {"scanned": files * SIZE}, "freeBytes": 40_000_000_000_000,
                           "totalBytes": 80_000_000_000_000, "scans": 1, "scanFinishedAt": self.scanned, "scanMillis": 1000}).encode()

    @staticmethod
    def progress(uid, run, start, seconds):
        part = min(1.0, (time.monotonic() - start) / seconds)
        return json.dumps({"jobUid": uid, "run": run, "stage": "Encoding", "frames": int(168323 * part), "totalFrames": 168323, "framesPerSecond": 168323 / seconds,
                           "etaSeconds": int(seconds * (1 - part)), "bitRate": 3_700_000, "projectedSize": 3301756108, "chunksDone": int(912 * part), "chunks": 912,
                           "pinning": {"cpus": "0-7", "exclusive": True, "cpuModel": "AMD EPYC 9354 32-Core Processor"}, "media": MEDIA, "classification": CLASSIFICATION,
                           "plan": PLAN, "timestampUnixMs": int(time.time() * 1000)}).encode()
