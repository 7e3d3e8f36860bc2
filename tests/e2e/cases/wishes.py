"""What a user wishes of one file, by the plugin: cancel, undo, undo of undo, skip, retry with force; and what becomes of the trash."""

import hashlib
import json
import os
import time

import kube
from library import Library
from cases.isolation import FILM

BIKES = "Shorts/Bikes.mp4"
TIGHT = "Shorts/Tight.mp4"
NASTY = "Shorts/-x $(HOSTNAME) $$ \"quote's\" %03d a:b \\ naïve 映画.mkv"


class Context(Library):
    def av1(self, *args, **options):
        return kube.kubectl("av1", *args, "-n", self.name, timeout=300, **options)

    def verdict(self, path):
        return self.files()[path]["reason"]

    def jobs_of(self, path):
        return [job for job in self.jobs() if job["spec"]["source"]["path"] == path]

    def sha256(self, path):
        return kube.sha256(self.folder / path)


def setup():
    # By size: the film comes first.
    library = Context("wishes", {"scan": {"minSize": "600Ki", "intervalSeconds": 2, "include": [FILM, BIKES, TIGHT]}})
    library.fill()
    library.before = kube.hashes(library.folder)
    library.apply()
    return library


def a_running_encode_is_cancelled_and_no_scan_takes_the_file_up_again(library):
    kube.wait_for("frames", lambda: int(library.job(FILM)["status"]["progress"]["frames"]) > 0, timeout=240)
    name = library.job(FILM)["metadata"]["name"]
    said = library.av1("cancel", name, "--wait")
    assert "desired Encoded -> Cancelled" in said and "Cancelled, CancelledByUser" in said, said
    assert not kube.get("pods", namespace=library.name, selector=f"av1.media/role=encode,av1.media/encode-job={name}"), "its pod is there"
    kube.wait_for("the catalog to know", lambda: library.verdict(FILM) == "CancelledByUser", timeout=60)
    library.scans_go_by()
    assert len(library.jobs_of(FILM)) == 1 and library.sha256(FILM) == library.before[FILM]


def undo_brings_the_very_same_bytes_back_and_no_scan_encodes_them_again(library):
    kube.wait_for("the encode", lambda: library.phase(BIKES) == "Succeeded", timeout=240)
    library.encoded = library.sha256(BIKES)
    assert library.encoded != library.before[BIKES]
    said = library.av1("undo", library.job(BIKES)["metadata"]["name"], "--wait")
    assert "desired Encoded -> Original" in said and "Restored" in said, said
    assert library.sha256(BIKES) == library.before[BIKES], "not the bytes that were there"
    result = library.job(BIKES)["status"]["result"]
    assert kube.sha256(library.folder / result["replacement"]) == library.encoded, "the AV1 file is not in the trash"
    kube.wait_for("the catalog to know", lambda: library.verdict(BIKES) == "RestoredByUser", timeout=60)
    library.scans_go_by()
    assert len(library.jobs_of(BIKES)) == 1 and library.phase(BIKES) == "Restored"


def undo_of_undo_brings_the_av1_file_back_without_an_encode(library):
    runs = library.job(BIKES)["status"]["run"]
    said = library.av1("encode", library.name, BIKES, "--wait")
    assert "desired Original -> Encoded" in said and "Succeeded" in said, said
    assert library.sha256(BIKES) == library.encoded
    assert library.job(BIKES)["status"]["run"] == runs + 1, "it was encoded again"
    kube.wait_for("the catalog to know", lambda: library.verdict(BIKES) == "AlreadyDone", timeout=60)


def undo_works_from_the_volume_alone_when_the_job_is_gone(library):
    kube.kubectl("delete", "ej", library.job(BIKES)["metadata"]["name"], "-n", library.name, "--wait=true", "--timeout=60s", timeout=90)
    said = library.av1("undo", library.name, BIKES, "--wait")
    assert "made, desired Original" in said and "Restored" in said, said
    assert library.sha256(BIKES) == library.before[BIKES]


def skip_leaves_a_marker_and_asking_again_encodes_the_file(library):
    said = library.av1("skip", library.name, BIKES, "--wait")
    assert "Skipped, SkipMarker" in said, said
    marker = library.folder / f"{BIKES}.av1skip"
    assert marker.is_file() and library.sha256(BIKES) == library.before[BIKES]
    kube.wait_for("the catalog to know", lambda: library.verdict(BIKES) == "SkipMarker", timeout=60)
    said = library.av1("encode", library.name, BIKES, "--wait")
    assert "Succeeded" in said, said
    assert not marker.exists() and library.sha256(BIKES) != library.before[BIKES]


def a_forced_gate_is_passed_over_and_a_rejected_job_is_tried_again(library):
    refused = library.av1("encode", library.name, TIGHT, "--wait", check=False, merged=True)
    assert "Skipped, TooSmall" in refused and "error:" in refused, refused
    name = library.job(TIGHT)["metadata"]["name"]
    library.av1("retry", name, "--force", "TooSmall", "--wait", check=False)
    status = library.job(TIGHT)["status"]
    assert (status["phase"], status["outcome"]["reason"]) == ("Rejected", "NotSmaller"), status
    assert (library.folder / f"{TIGHT}.av1skip").is_file()
    library.av1("retry", name, "--wait", check=False)
    again = library.job(TIGHT)["status"]
    assert (again["phase"], again["outcome"]["reason"], again["retry"]) == ("Rejected", "NotSmaller", 2), again
    assert again["run"] > status["run"] and library.sha256(TIGHT) == library.before[TIGHT]


def protecting_gates_cannot_be_forced(library):
    said = library.av1("encode", library.name, TIGHT, "--force", "OtherOwner", check=False, merged=True)
    assert "protect the file" in said, said


def ended_jobs_go_after_their_time_and_no_scan_makes_them_again(library):
    library.patch({"history": {"jobsTtl": "1s"}})
    kube.wait_for("the cancelled and the rejected job to go", lambda: not library.jobs_of(FILM) + library.jobs_of(TIGHT), timeout=60)
    library.scans_go_by()
    assert not library.jobs_of(FILM) and library.verdict(FILM) == "CancelledByUser", library.verdict(FILM)
    assert library.jobs_of(BIKES), "a job whose original is in the trash went"


def originals_leave_the_trash_after_their_time_unless_their_replacement_changed(library):
    short = Context("purged", {"scan": {"minSize": "100Ki", "intervalSeconds": 2, "include": [BIKES, "Shorts/-x*"]},
                               "pods": {"cpus": 1, "scratch": "EmptyDir"}, "verify": {"decode": "Sampled"}, "streams": {},
                               "replacement": {"trashRetention": "15s", "notify": {"url": "http://127.0.0.1:9/nobody?key=secret"}}})
    short.fill()
    short.apply()
    try:
        # A deleted job's pod was killed before it let go of its path: without a purge no other job could ever settle it.
        claims = short.folder / ".av1/state/claims"
        kube.wait_for("the volume to be prepared", claims.is_dir, timeout=120)
        claim = claims / hashlib.sha256(BIKES.encode()).hexdigest()
        claim.write_text(json.dumps({"v": 1, "path": BIKES, "job": "deleted-job", "run": 1, "pod": "killed-pod", "at": "2026-01-01T00:00:00Z"}))
        os.utime(claim, (time.time() - 90_000,) * 2)
        for path in (BIKES, NASTY):
            kube.wait_for(f"{path} to be encoded", lambda path=path: short.phase(path) == "Succeeded", timeout=240)
            if path == BIKES:
                with open(short.folder / BIKES, "r+b") as file:  # somebody changes the replacement
                    file.write(b"changed")
        originals = {path: short.folder / short.job(path)["status"]["result"]["original"] for path in (BIKES, NASTY)}
        purge = kube.wait_for("one original to leave and one to be kept", lambda: (lambda p: p if p["purged"] and p["keptCount"] else None)(
            short.status()["purge"]), timeout=120)
        assert not originals[NASTY].exists() and originals[BIKES].is_file(), originals
        assert [kept["file"] for kept in purge["kept"]] == [str(originals[BIKES].relative_to(short.folder))], purge
        events = kube.get("events.events.k8s.io", namespace=short.name)
        assert any(event["reason"] == "OriginalKept" for event in events), [event["reason"] for event in events]
        size = originals[BIKES].stat().st_size
        kube.wait_for("the trash to be counted", lambda: size <= short.status()["bytes"]["inTrash"] <= size + 65536, timeout=60)
        kube.wait_for("nothing to be told any more", lambda: not any(job["status"].get("notifications") for job in short.jobs()), timeout=90)
        told = [event["note"] for event in kube.get("events.events.k8s.io", namespace=short.name) if event["reason"] == "NotifyFailed"]
        assert len(told) == 2 and not any("secret" in note for note in told), told
        status = short.job(NASTY)["status"]
        assert (status["phase"], status["settings"]["decode"]) == ("Succeeded", "Sampled"), status
        assert status["settings"]["dropLanguages"] == ["ru"], "the chart's default does not hold"
        assert status["settingsFrom"] == {"chart": ["streams.dropLanguages"],
                                          "library": ["replacement.notify.url", "replacement.trashRetention", "verify.decode"]}, status["settingsFrom"]
    finally:
        short.remove()


def every_file_that_is_passed_over_for_good_says_why_beside_it_until_that_holds_no_more(library):
    told = Context("told", {"scan": {"minSize": "1Ti", "intervalSeconds": 2}, "replacement": {"whySidecars": "All"}})
    told.fill()
    before = kube.hashes(told.folder)
    (told.folder / f"{TIGHT}.why.txt").write_text("my notes")
    told.apply()
    sidecars = lambda: {str(path.relative_to(told.folder)) for path in told.folder.rglob("*.why.txt") if ".av1" not in path.parts}
    try:
        kube.wait_for("every verdict to be final", lambda: told.is_finished(), timeout=120)
        verdicts = told.files()
        final = {f"{path}.why.txt" for path in verdicts}
        kube.wait_for("every file's sidecar", lambda: sidecars() == final, timeout=120)
        text = (told.folder / f"{NASTY}.why.txt").read_text()
        assert verdicts[NASTY]["reason"] == "TooSmall" and f"({verdicts[NASTY]['reason']})" in text and verdicts[NASTY]["message"] in text, text
        assert (told.folder / f"{TIGHT}.why.txt").read_text() == "my notes", "the user's own was touched"
        assert not told.jobs(), "a job was made"
        kube.wait_for("the round to end", lambda: told.summary()["sidecarsDue"] == 0 and not told.status()["sidecars"]["active"], timeout=60)
        runs = told.status()["sidecars"]["run"]
        times = {path: (told.folder / path).stat().st_mtime_ns for path in final}
        told.scans_go_by()
        assert told.status()["sidecars"]["run"] == runs, "there is nothing to do"
        assert times == {path: (told.folder / path).stat().st_mtime_ns for path in final}, "written though nothing changed"
        (told.folder / BIKES).rename(told.folder / "Shorts/Moved.mp4")
        moved = final - {f"{BIKES}.why.txt"} | {"Shorts/Moved.mp4.why.txt"}
        kube.wait_for("the sidecar to follow its file", lambda: sidecars() == moved, timeout=120)
        told.patch({"replacement": {"whySidecars": "Jobs"}})
        kube.wait_for("the sidecars of scans to go", lambda: sidecars() == {f"{TIGHT}.why.txt"}, timeout=180)
        (told.folder / "Shorts/Moved.mp4").rename(told.folder / BIKES)
        (told.folder / f"{TIGHT}.why.txt").unlink()
        assert kube.hashes(told.folder) == before, "a file was changed"
    finally:
        told.remove()


TESTS = [a_running_encode_is_cancelled_and_no_scan_takes_the_file_up_again,
         undo_brings_the_very_same_bytes_back_and_no_scan_encodes_them_again,
         undo_of_undo_brings_the_av1_file_back_without_an_encode, undo_works_from_the_volume_alone_when_the_job_is_gone,
         skip_leaves_a_marker_and_asking_again_encodes_the_file, a_forced_gate_is_passed_over_and_a_rejected_job_is_tried_again,
         protecting_gates_cannot_be_forced,
         ended_jobs_go_after_their_time_and_no_scan_makes_them_again, originals_leave_the_trash_after_their_time_unless_their_replacement_changed,
         every_file_that_is_passed_over_for_good_says_why_beside_it_until_that_holds_no_more]
