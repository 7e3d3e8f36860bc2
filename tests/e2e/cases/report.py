"""What the encodes of a library came to, by the plugin: totals as in the status, and one HTML file with pictures of before and after."""

import html.parser
import json
import re

import kube
from library import Library

BIKES = "Shorts/Bikes.mp4"
VARIABLE = "Phone/Variable.mkv"
TIGHT = "Shorts/Tight.mp4"


class Page(html.parser.HTMLParser):
    """Tags and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(dict(attributes)["src"])


class Context(Library):
    def report(self, *args):
        return kube.kubectl("av1", "report", self.name, "-n", self.name, *args, timeout=120)

    def json(self):
        return json.loads(self.report("-o", "json"))

    def page(self):
        file = self.home / "report.html"
        self.report("--html", file)
        return file.read_text()


def setup():
    library = Context("report", {
        "scan": {"minSize": "100Ki", "intervalSeconds": 2, "include": [BIKES, VARIABLE, TIGHT]}, "verify": {"quality": {"metric": "Xpsnr"}}})
    library.fill()
    library.apply()
    kube.wait_for("the library to be finished", library.is_finished, timeout=600)
    return library


def totals_are_those_of_the_status_and_every_file_is_told(library):
    kube.wait_for("the status to know", lambda: library.status()["bytes"]["freed"] == library.json()["totals"]["bytesSaved"] > 0, timeout=60)
    totals, files = library.json()["totals"], {file["path"]: file for file in library.json()["files"]}
    counted = library.status()["bytes"]
    assert (totals["bytesBefore"], totals["bytesAfter"]) == (counted["replacedBefore"], counted["replacedAfter"]), (totals, counted)
    assert totals["filesReplaced"] == 2, totals
    assert (files[TIGHT]["outcome"], files[TIGHT]["reason"], files[TIGHT]["replaced"]) == ("Rejected", "NotSmaller", False), files[TIGHT]
    assert files[BIKES]["seconds"] > 0 and files[BIKES]["framesPerSecond"] > 0 and files[BIKES]["quality"]["metric"] == "Xpsnr", files[BIKES]
    text = library.report()
    assert "saved" in text and "Worst two seconds, Xpsnr" in text and BIKES in text, text


def the_page_has_charts_and_pictures_of_before_and_after_and_no_script(library):
    text = library.page()
    page = Page(text)
    assert page.tags.count("svg") >= 3 and "script" not in page.tags, page.tags
    # The worst and the best scene of both files.
    assert len(page.pictures) == 8, len(page.pictures)
    assert all(re.fullmatch(r"data:image/jpeg;base64,/9j/[A-Za-z0-9+/]+={0,2}", source) for source in page.pictures), [s[:40] for s in page.pictures]
    assert len(set(page.pictures)) > 4 and BIKES in text


def it_all_stands_on_the_volume_when_the_jobs_are_gone(library):
    before = library.json()["totals"]
    kept = list((library.folder / ".av1/state/stills").glob("*.json"))
    assert len(kept) == 2 and all(file.stat().st_size <= 384 << 10 for file in kept), kept
    kube.kubectl("delete", "ej", "--all", "-n", library.name, "--wait=true", "--timeout=60s", timeout=90)
    after = library.json()["totals"]
    assert after["bytesSaved"] == before["bytesSaved"] and after["filesReplaced"] == 2, (before, after)
    assert len(Page(library.page()).pictures) == 8


def without_the_operator_it_is_the_same_and_without_the_catalog_it_says_what_is_missing(library):
    operator = ("-n", kube.OPERATOR_NAMESPACE, f"deployment/{kube.RELEASE}")
    before = library.json()["totals"]
    kube.kubectl("scale", *operator, "--replicas=0")
    try:
        kube.wait_for("the operator to be gone", lambda: not kube.get("pods", namespace=kube.OPERATOR_NAMESPACE), timeout=120)
        assert library.json()["totals"] == before
        kube.kubectl("-n", library.name, "delete", "service", f"{library.name}-catalog", "--wait=true")
        said = library.report()
        assert "catalog" in said and "missing" in said, said
    finally:
        kube.kubectl("scale", *operator, "--replicas=1")
        kube.kubectl("rollout", "status", *operator, "--timeout=180s", timeout=200)


TESTS = [totals_are_those_of_the_status_and_every_file_is_told, the_page_has_charts_and_pictures_of_before_and_after_and_no_script,
         it_all_stands_on_the_volume_when_the_jobs_are_gone, without_the_operator_it_is_the_same_and_without_the_catalog_it_says_what_is_missing]
