"""What may become of an output and its original, each way once on the cluster: beside the original, only reported, the original kept
beside, another container, and a quality that is aimed at; and undo of what can be undone."""

import json
import shutil

import kube
import results
from library import Library

BIKES = "Shorts/Bikes.mp4"
MOV = "Shorts/Trailer.mov"


class Mode(Library):
    """A library whose one job ends, and what its files were."""

    def __init__(self, name, path=BIKES, **spec):
        super().__init__(f"mode-{name}", {"scan": {"minSize": "100Ki", "intervalSeconds": 2, "include": [path]}, "streams": {}} | spec)
        self.path = path

    def __enter__(self):
        self.fill()
        shutil.copy2(self.folder / BIKES, self.folder / MOV)
        shutil.chown(self.folder / MOV, 1000, 1000)
        self.before = kube.hashes(self.folder)
        self.apply()
        kube.wait_for(f"{self.path} to end", lambda: self.job(self.path)["status"]["completionTime"], timeout=300)
        return self

    def __exit__(self, *_):
        self.remove()

    def ended(self):
        status = self.job(self.path)["status"]
        return status["phase"], status["outcome"]["reason"]

    def changes(self):
        """Files beyond `.av1` that came or changed, and those that went."""
        now = kube.hashes(self.folder)
        return {path for path in now if now[path] != self.before.get(path)}, self.before.keys() - now.keys()

    def codec(self, path):
        return next(stream["codec_name"] for stream in results.streams(self.folder, path) if stream["codec_type"] == "video")

    def settles(self):
        """Two more scans find nothing to do: the outcome is remembered."""
        self.scans_go_by()
        kube.wait_for("nothing to be left", self.is_finished, timeout=60)
        assert len(self.jobs()) == 1, [job["metadata"]["name"] for job in self.jobs()]

    def undo(self, path=None):
        """By the job, or by the library and the path that the file has now."""
        what = (self.name, path) if path else (self.job(self.path)["metadata"]["name"],)
        return kube.kubectl("av1", "undo", *what, "-n", self.name, "--wait", timeout=300)


def an_output_beside_leaves_the_original_as_it_is():
    with Mode("beside", replacement={"mode": "Beside"}) as library:
        assert library.ended() == ("Succeeded", "PutBeside"), library.ended()
        assert library.changes() == ({"Shorts/Bikes.av1.mp4"}, set()), library.changes()
        assert library.codec("Shorts/Bikes.av1.mp4") == "av1"
        assert library.job(BIKES)["status"]["result"]["path"] == "Shorts/Bikes.av1.mp4"
        library.settles()


def a_report_changes_no_file_and_is_told_in_figures():
    with Mode("report", replacement={"mode": "ReportOnly"}) as library:
        assert library.ended() == ("Succeeded", "Reported"), library.ended()
        assert library.changes() == (set(), set()), library.changes()
        status = library.job(BIKES)["status"]
        assert "would become" in status["outcome"]["message"] and int(status["sizeGate"]["outputBytes"]) > 0, status
        library.settles()


def an_original_that_is_kept_beside_comes_back_by_undo():
    with Mode("kept", replacement={"originals": "KeepBeside"}) as library:
        assert library.ended() == ("Succeeded", "Encoded"), library.ended()
        kept = f"{BIKES}.orig"
        assert library.changes() == ({BIKES, kept}, set()), library.changes()
        assert kube.sha256(library.folder / kept) == library.before[BIKES] and library.codec(BIKES) == "av1"
        library.settles()
        said = library.undo()
        assert "Restored" in said and library.changes() == (set(), set()), (said, library.changes())


def another_container_takes_the_place_under_its_own_name_until_undo():
    with Mode("container", MOV, replacement={"containerChange": "Allow"}) as library:
        assert library.ended() == ("Succeeded", "Encoded"), library.ended()
        new = MOV.replace(".mov", ".mkv")
        assert library.changes() == ({new}, {MOV}), library.changes()
        assert library.codec(new) == "av1" and library.job(MOV)["status"]["result"]["path"] == new
        library.settles()
        said = library.undo(new)
        assert "Restored" in said and library.changes() == (set(), set()), (said, library.changes())


def a_quality_that_is_aimed_at_is_measured_and_told():
    target = {"metric": "Ssimulacra2", "min": "60", "max": "75"}
    rule = {"metric": target["metric"], "minMean": "55"}
    with Mode("quality", encode={"profile": "TargetQuality", "targetQuality": target}, verify={"quality": rule}) as library:
        status = library.job(BIKES)["status"]
        assert library.ended() in {("Succeeded", "Encoded"), ("Rejected", "NotSmaller")}, status["outcome"]
        assert status["settings"]["targetQuality"] == target, status["settings"]
        assert status["quality"]["metric"] == target["metric"] and 55 <= float(status["quality"]["mean"]) <= 80, status["quality"]
        print(json.dumps({"asked": target, "quality": status["quality"], "sizeGate": status.get("sizeGate")}))


TESTS = [
    an_output_beside_leaves_the_original_as_it_is,
    a_report_changes_no_file_and_is_told_in_figures,
    an_original_that_is_kept_beside_comes_back_by_undo,
    another_container_takes_the_place_under_its_own_name_until_undo,
    a_quality_that_is_aimed_at_is_measured_and_told,
]
