"""The operator's clock jumps while a pod encodes. The operator's own binary runs on this host, as its service account, under
libfaketime: the clocks of the cluster and of the pods stay as they are.

Run by `make test-chaos`. Starts one process and ends it.
"""

import datetime
import glob
import json
import os
import pathlib
import subprocess
import tempfile

import kube
from cases.chaos import FILM, setup  # noqa: F401  `setup` is what tests/e2e/run calls

PAGE = "127.0.0.1:18080"


def deployment():
    return kube.get("deployment", kube.RELEASE, kube.OPERATOR_NAMESPACE)


def scale(replicas):
    kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "scale", f"deployment/{kube.RELEASE}", f"--replicas={replicas}")


class Operator:
    """The operator with the arguments of its Deployment and a clock that can be set off."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.offset = self.folder / "clock"
        self.log = self.folder / "operator.log"

    def __enter__(self):
        spec = deployment()["spec"]["template"]["spec"]
        arguments = [argument.replace("$(POD_NAMESPACE)", kube.OPERATOR_NAMESPACE).replace("$(POD_NAME)", "on-the-host")
                     for argument in spec["containers"][0]["args"] if not argument.startswith("--metrics-listen")]
        token = kube.kubectl("-n", kube.OPERATOR_NAMESPACE, "create", "token", spec["serviceAccountName"], "--duration=2h").strip()
        config = json.loads(kube.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(config))
        self.jump(0)
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        assert library, "libfaketime is not installed: tests/packages chaos"
        clock = {"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": str(self.offset), "FAKETIME_NO_CACHE": "1",
                 "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        target = pathlib.Path(os.environ["CARGO_TARGET_DIR"]) / "debug/av1-operator"
        scale(0)
        kube.wait_for("the operator's pod to go", lambda: not kube.get("pods", namespace=kube.OPERATOR_NAMESPACE), timeout=120)
        self.process = subprocess.Popen([target, *arguments, f"--metrics-listen={PAGE}"], stdout=self.log.open("w"), stderr=subprocess.STDOUT,
                                        env={**os.environ, **clock, "KUBECONFIG": str(kubeconfig), "RUST_LOG": "info"})
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)
        scale(1)

    def jump(self, days):
        """Sets the clock so many days off."""
        replacement = self.offset.with_suffix(".new")
        replacement.write_text(f"{days:+d}d\n")
        replacement.rename(self.offset)


def days_ahead(library):
    """Days by which the last figures of the encode are ahead of this host's clock; None without any."""
    progress = library.job(FILM)["status"].get("progress") or {}
    if "updatedAt" not in progress:
        return None
    told = datetime.datetime.fromisoformat(progress["updatedAt"].replace("Z", "+00:00"))
    return (told - datetime.datetime.now(datetime.timezone.utc)) / datetime.timedelta(days=1)


def a_clock_that_jumps_two_days_ahead_and_three_back_changes_nothing(library):
    with tempfile.TemporaryDirectory() as folder, Operator(folder) as operator:
        library.start()
        library.encoding()
        for days in (2, -1):
            operator.jump(days)
            kube.wait_for(f"figures of a clock {days} days off", lambda: abs((days_ahead(library) or 0) - days) < 0.1, timeout=180)
        status = library.finish()
        assert operator.process.poll() is None, operator.log.read_text()[-2000:]
    assert (status["run"], status["failures"]) == (1, 0), (status["run"], status["failures"], status.get("lost"))


TESTS = [a_clock_that_jumps_two_days_ahead_and_three_back_changes_nothing]
