"""The live screen on a terminal: a job in progress in three sizes, every kind of key, the operator away, a signal and a panic."""

import json
import os
import re
import signal

import kube
from library import Library
from terminal import Terminal
from cases.isolation import FILM

SIZES = [(80, 24), (120, 40), (240, 70)]
PICTURES = kube.CACHE / "screens"


class Context(Library):
    def top(self, terminal, *more):
        """Starts the screen and waits for the running job with its progress."""
        terminal.type(" ".join(["clear; kubectl av1 top -n", self.name, *more, "; echo ended $?"]))
        return self.progress(terminal)

    def progress(self, terminal):
        def seen():
            line = next((line for line in terminal.picture().splitlines() if "Feature.mkv" in line and "%" in line), None)
            return line
        return kube.wait_for("the job's row with its progress", seen, timeout=60)


def keep(name, terminal):
    """Keeps a picture as text."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = terminal.picture()
    (PICTURES / f"{name}.txt").write_text(picture)
    return picture


def setup():
    # Slow enough that there is time to look around.
    library = Context("screen", {"scan": {"minSize": "10Mi", "intervalSeconds": 3}, "encode": {"overrides": {"preset": 1}}})
    library.fill()
    library.apply()
    kube.wait_for("frames to be encoded", lambda: int(library.job(FILM)["status"]["progress"]["frames"]) > 0, timeout=240)
    return library


def a_job_in_progress_is_seen_in_three_sizes(library):
    for columns, rows in SIZES:
        with Terminal("sizes", columns, rows) as terminal:
            library.top(terminal)
            terminal.wait_for("operator ok", "Nodes", "cpu ", "load ", "Throughput", "Events", "Job ", "plan", "? help", timeout=60)
            picture = keep(f"main-{columns}x{rows}", terminal)
            assert max(len(line) for line in picture.splitlines()) <= columns, picture
            job = library.job(FILM)["status"]
            shown = int(re.search(r"(\d+)%", library.progress(terminal))[1])
            percent = int(job["progress"]["percent"].rstrip("%"))
            assert abs(shown - percent) <= 15, f"{shown}% instead of {percent}%\n{picture}"
            terminal.press("q")
            terminal.wait_for("ended 0")


def every_key_does_what_the_help_says(library):
    name = library.job(FILM)["metadata"]["name"]
    with Terminal("keys", 120, 40) as terminal:
        settings = terminal.settings()
        library.top(terminal)
        terminal.press("?")
        terminal.wait_for("Keys", "Home g", "asks first")
        keep("help-120x40", terminal)
        terminal.press("?")
        terminal.wait_for("Queue: All, by Status", without=["asks first"])
        terminal.press("Enter")
        terminal.wait_for(f"Job {library.name}/{name}", "made", "started", without=["Queue:"])
        keep("details-120x40", terminal)
        terminal.press("Enter")
        terminal.press("f")
        terminal.wait_for("Queue: Pending")
        terminal.press("f")
        terminal.wait_for("Queue: Running", "Feature.mkv")
        terminal.press("s")
        terminal.wait_for("by Savings")
        terminal.press("/")
        terminal.write("no such film")
        terminal.wait_for("/no such film", "No job matches")
        terminal.press("Escape")
        # Escape and a key right after it would be one key to a terminal.
        terminal.wait_for("by Savings", without=["/no such film"])
        terminal.press("/")
        terminal.write("feature")
        terminal.press("Enter")
        terminal.wait_for("/feature", "Feature.mkv")
        terminal.press("x")
        terminal.wait_for("Cancel the job?", name)
        keep("confirm-120x40", terminal)
        terminal.press("n")
        terminal.wait_for("Nothing was changed.")
        assert library.phase(FILM) == "Encoding", library.phase(FILM)
        terminal.press("Escape")
        terminal.wait_for("Queue: All")
        terminal.press("s", "s", "s")
        terminal.wait_for("by Status")
        terminal.press("n")
        terminal.write("default")
        terminal.press("Enter")
        terminal.wait_for("av1 default", "No jobs.")
        terminal.press("n", "Enter")
        terminal.wait_for("av1 all namespaces", "Feature.mkv")
        terminal.press("q")
        terminal.wait_for("ended 0")
        terminal.is_sane(settings)


def a_job_is_paused_and_let_go_on(library):
    spec = lambda: library.job(FILM)["spec"].get("suspend", False)
    with Terminal("pause", 80, 24) as terminal:
        library.top(terminal)
        terminal.press("p")
        terminal.wait_for("Pause the job?")
        terminal.press("y")
        terminal.wait_for("suspend false -> true")
        assert spec() is True
        kube.wait_for("the job to pause", lambda: library.phase(FILM) == "Paused", timeout=150)
        terminal.wait_for("Paused")
        terminal.press("p")
        terminal.wait_for("Let the job go on?")
        terminal.press("y")
        terminal.wait_for("suspend true -> false")
        assert spec() is False
        kube.wait_for("the encode to go on", lambda: library.phase(FILM) == "Encoding", timeout=150)
        terminal.press("q")
        terminal.wait_for("ended 0")


def without_rights_to_change_one_sentence_says_so(library):
    viewer = "screen-viewer"
    kube.kubectl("create", "clusterrole", viewer, "--verb=get,list,watch", "--resource=encodejobs.av1.media,medialibraries.av1.media,events")
    kube.kubectl("create", "clusterrolebinding", viewer, f"--clusterrole={viewer}", f"--user={viewer}")
    try:
        config = json.loads(kube.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"]["as"] = viewer
        path = library.home / "viewer.kubeconfig"
        path.write_text(json.dumps(config))
        with Terminal("rights", 120, 40, KUBECONFIG=str(path)) as terminal:
            library.top(terminal)
            terminal.wait_for("operator away", "not allowed to list Services")
            terminal.press("x", "y")
            said = " ".join(terminal.wait_for("not allowed to change EncodeJob").splitlines()[-3:])
            assert "cannot patch resource" in said and "ask whoever runs the cluster for that right" in said, said
            terminal.press("q")
            terminal.wait_for("ended 0")
    finally:
        kube.kubectl("delete", "clusterrolebinding,clusterrole", viewer)


def with_the_operator_away_it_says_so_and_goes_on(library):
    scale = lambda replicas: kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "scale", f"deployment/{kube.RELEASE}", f"--replicas={replicas}")
    with Terminal("away", 120, 40) as terminal:
        library.top(terminal)
        terminal.wait_for("operator ok", timeout=60)
        scale(0)
        try:
            terminal.wait_for("operator away", "The operator is away for", "figures are from the API", "Feature.mkv", timeout=90)
            keep("away-120x40", terminal)
        finally:
            scale(1)
        terminal.wait_for("operator ok", timeout=120, without=["operator away"])
        terminal.press("q")
        terminal.wait_for("ended 0")


def signals_and_a_panic_leave_the_terminal_as_it_was(library):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)):
        with Terminal("signal", 80, 24) as terminal:
            settings = terminal.settings()
            library.top(terminal)
            os.kill(terminal.program(), number)
            terminal.wait_for(f"ended by {number.name}", f"ended {code}")
            terminal.is_sane(settings)
    # Builds for development panic at a refresh when they are asked to.
    with Terminal("panic", 80, 24, KUBECTL_AV1_TEST_PANIC="1") as terminal:
        settings = terminal.settings()
        library.top(terminal)
        terminal.press("r")
        terminal.wait_for("panicked at", "ended 101")
        terminal.is_sane(settings)


def without_colours_there_are_none_and_without_a_terminal_it_says_what_to_do(library):
    with Terminal("plain", 80, 24, NO_COLOR="1") as terminal:
        library.top(terminal)
        coloured = re.findall(r"\x1b\[(?:\d+;)*3[0-8][;m]", terminal.tmux("capture-pane", "-p", "-e"))
        assert not coloured, coloured
        terminal.press("q")
        terminal.wait_for("ended 0")
    said = kube.kubectl("av1", "top", "-n", library.name, check=False, merged=True)
    assert "--once" in said and "-o json" in said, said


def the_document_says_the_same(library):
    document = json.loads(kube.kubectl("av1", "top", "-n", library.name, "-o", "json"))
    job = next(job for job in document["jobs"] if job["input_path"] == FILM)
    assert job["id"] == library.job(FILM)["metadata"]["uid"] and 0 <= job["progress"] <= 1, job
    assert job["size_in_bytes_before"] == (library.folder / FILM).stat().st_size, job
    assert document["running_jobs"] == 1 and document["system"]["mem_usage_percent"] > 0 and document["events"], document


TESTS = [a_job_in_progress_is_seen_in_three_sizes, every_key_does_what_the_help_says, with_the_operator_away_it_says_so_and_goes_on,
         signals_and_a_panic_leave_the_terminal_as_it_was, without_colours_there_are_none_and_without_a_terminal_it_says_what_to_do,
         the_document_says_the_same, without_rights_to_change_one_sentence_says_so, a_job_is_paused_and_let_go_on]
