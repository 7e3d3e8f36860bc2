"""The cluster of tests/cluster as the end-to-end tests and the demo use it: kubectl, helm, waiting, hashes.

May start commands and read files. Never stops a process or removes a file that it did not make.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "av1-operator"
STATE = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state") / "av1-operator"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target") / "debug"
OPERATOR_NAMESPACE = "av1-system"
RELEASE = "av1-operator"


class CommandFailed(Exception):
    """A command ended with an error; the text holds what it said."""


def run(*args, text_input=None, check=True, timeout=300, env=None, merged=False):
    """Runs a command and returns its stdout; with `merged`, stderr too."""
    done = subprocess.run([str(a) for a in args], input=text_input, text=True, timeout=timeout, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT if merged else subprocess.PIPE)
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(str(a) for a in args)[:300]}: exit code {done.returncode}\n{(done.stdout + (done.stderr or ''))[-3000:]}")
    return done.stdout


def use_cluster():
    """Puts the cluster's kubectl, helm and kubeconfig into this process's environment, and our plugin on the PATH."""
    shell = f'eval "$("{ROOT}/tests/cluster/env")"; env -0'
    for pair in run("bash", "-c", shell).split("\0"):
        name, separator, value = pair.partition("=")
        if separator:
            os.environ[name] = value
    os.environ["PATH"] = f"{TARGET}:{os.environ['PATH']}"


def kubectl(*args, **options):
    return run("kubectl", *args, **options)


def apply(manifest, **options):
    return kubectl("apply", "-f", "-", text_input=manifest, **options)


def get(kind, name=None, namespace=None, selector=None):
    """An object, or a list of objects, as plain values; None when there is no such object."""
    args = ["get", kind, "-o", "json", "--ignore-not-found"]
    if name:
        args.append(name)
    if namespace:
        args += ["-n", namespace]
    if selector:
        args += ["-l", selector]
    text = kubectl(*args)
    if not text.strip():
        return None
    value = json.loads(text)
    return value if name else value["items"]


def operator_metrics():
    """The operator's metrics page, through the API server."""
    return kubectl("get", "--raw", f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/services/{RELEASE}:metrics/proxy/metrics")


def wait_for(what, condition, timeout=120, every=0.5):
    """Waits until `condition()` is true and returns its value; a failure says what was waited for and the last error."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (CommandFailed, KeyError, IndexError, TypeError) as error:
            last = error
        time.sleep(every)
    raise TimeoutError(f"waited {timeout} s for {what}; last seen: {str(last)[-1500:]}")


def tools(folder, *command, timeout=900):
    """Runs a tool of the encoder image over a library, which is /m there and read-only, as the library's owner."""
    owner = os.stat(folder).st_uid
    return run(ROOT / "docker/tools-exec", "--uid", owner, "--bind", f"{folder}:/m:ro", "--", *command, timeout=timeout)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(folder):
    """SHA-256 of every file below `folder` but for `.av1`, by relative path."""
    found = {}
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not (name == ".av1" and pathlib.Path(base) == pathlib.Path(folder))]
        for name in files:
            path = os.path.join(base, name)
            found[os.path.relpath(path, folder)] = sha256(path)
    return found


def install_images_and_chart(*settings):
    """Loads the images that `make images` built and installs the chart with them."""
    run(ROOT / "tests/cluster/load", *(CACHE / f"images/av1-{name}.tar" for name in ("tools", "operator", "encoder")), timeout=600)
    values = {
        "image.repository": "av1-operator.local/operator", "image.tag": "dev", "image.pullPolicy": "Never",
        "encoderImage.repository": "av1-operator.local/encoder", "encoderImage.tag": "dev", "encoderImage.pullPolicy": "Never",
        # Any CPU request of the operator would take the only whole CPU of a two-CPU node from the encode pods.
        "resources.requests.cpu": "0",
    }
    flags = [part for name, value in values.items() for part in ("--set-string", f"{name}={value}")]
    run("helm", "upgrade", "--install", RELEASE, ROOT / "helm/av1-operator", "--namespace", OPERATOR_NAMESPACE, "--create-namespace",
        *flags, *settings, timeout=300)
    kubectl("-n", OPERATOR_NAMESPACE, "rollout", "restart", f"deployment/{RELEASE}")
    kubectl("-n", OPERATOR_NAMESPACE, "rollout", "status", f"deployment/{RELEASE}", "--timeout=180s", timeout=200)
