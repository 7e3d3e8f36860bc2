"""docs/troubleshooting.md is true: what its examples apply is applied, and what it shows is what `kubectl` prints.

Each example is a piece of a manifest (```yaml library, a spec; ```yaml job, a spec) and what a command shows (```text). Blanks
count as one; lines of … stand for whatever is left out. `python3 tests/e2e/cases/troubleshooting.py [TITLE...]` prints what is shown instead.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import kube
from library import Library

PAGE = kube.ROOT / "docs/troubleshooting.md"
NAMESPACE, NAME, CLAIM = "walk", "films", "media"
EXAMPLE = re.compile(r"^###? (?P<title>[^\n]+)\n(?:(?!^##)[^\n]*\n)*?```yaml (?P<kind>library|job)\n(?P<spec>.*?)```\n.*?```text\n\$ (?P<command>[^\n]+)\n(?P<shown>.*?)```", re.M | re.S)
BASE = {"library": f"volume:\n  persistentVolumeClaim: {{claimName: {CLAIM}}}\npods: {{cpus: 1}}\nscan: {{minSize: 1Ki, intervalSeconds: 2}}\nsuspend: true\n",
        "job": f"libraryRef: {{name: {NAME}}}\n"}
KINDS = {"library": ("MediaLibrary", NAME), "job": ("EncodeJob", "heat")}


def examples():
    return [match.groupdict() for match in EXAMPLE.finditer(PAGE.read_text(encoding="utf-8"))]


def manifest(example):
    """The example's spec, with what every library or job needs besides where it does not say otherwise."""
    kind, name = KINDS[example["kind"]]
    own = re.findall(r"^(\w+):", example["spec"], re.M)
    base = re.sub(r"^(\w+):[^\n]*\n(?: [^\n]*\n)*", lambda m: "" if m[1] in own else m[0], BASE[example["kind"]], flags=re.M)
    indented = "".join(f"  {line}\n" for line in (base + example["spec"]).splitlines())
    return f"apiVersion: av1.media/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec:\n{indented}"


def words(text):
    return " ".join(text.split())


def missing(example, text):
    """The first piece of what the page shows that `text` does not have; none when all is there."""
    pieces = [words(piece) for piece in re.split(r"^\s*…\s*$", example["shown"], flags=re.M)]
    return next((piece for piece in pieces if piece and piece not in words(text)), None)


class Walk:
    """A library that is there, for jobs to name."""

    def __init__(self):
        self.library = Library(NAMESPACE)
        self.library.fill()
        namespace_volume_and_claim = self.library.manifest().split("\n---\n")[:3]
        kube.apply("\n---\n".join(namespace_volume_and_claim))

    def see(self, example, done):
        """Applies an example, and looks at what its command prints until `done` says that it is all there."""
        try:
            if example["kind"] == "job":
                kube.apply(manifest({"kind": "library", "spec": "suspend: false\nscan: {minSize: \"1\", include: [none]}\n"}))
            if example["command"].startswith("kubectl apply"):
                try:
                    text = kube.apply(manifest(example))
                except kube.CommandFailed as error:
                    text = str(error)
                assert done(text), f"not shown: {missing(example, text)!r}, but: {text}"
                return text
            kube.apply(manifest(example))
            command = example["command"].split()[1:]

            def shown():
                text = kube.kubectl(*command, "-n", NAMESPACE)
                return text if done(text) else None

            return kube.wait_for(f"{missing(example, '')!r}", shown, timeout=90)
        finally:
            # The volume is its library's: the one that jobs name stays.
            for what in ("ej",) if example["kind"] == "job" else ("ej", "mlib"):
                kube.kubectl("delete", what, "--all", "-n", NAMESPACE, "--timeout=60s")

    def remove(self):
        self.library.remove()


def setup():
    return Walk()


def test(example):
    def shown(walk):
        walk.see(example, lambda text: missing(example, text) is None)
    shown.__name__ = example["title"].replace(" ", "_")
    return shown


TESTS = [test(example) for example in examples()]


def record():
    import time
    kube.use_cluster()
    walk = Walk()
    for example in (example for example in examples() if not sys.argv[1:] or example["title"] in sys.argv[1:]):
        until = time.monotonic() + (0 if example["command"].startswith("kubectl apply") else 20)
        print(f"===== {example['title']}\n{walk.see(example, lambda _: time.monotonic() > until)}", flush=True)
    walk.remove()


if __name__ == "__main__":
    record()
