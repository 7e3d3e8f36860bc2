"""What the dashboards are checked with, built or installed into the cache once: Prometheus and promtool from their Go module,
Grafana's schema from npm, matplotlib from PyPI. Each stands in a folder named after its pins, so that a change of one is seen.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "av1-operator" / "dashboards"


def run(*command, **options):
    """Runs a command; its output is shown when it fails."""
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(str(part) for part in command)[:200]}: exit code {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def install(name, pins, make):
    """The folder that `make(folder)` filled; made anew when a file of `pins` changed, what earlier pins left is removed."""
    key = hashlib.sha256(b"".join(path.read_bytes() for path in pins)).hexdigest()[:12]
    folder = CACHE / f"{name}-{key}"
    if not folder.exists():
        start = time.monotonic()
        new = CACHE / f"{name}-new-{os.getpid()}"
        new.mkdir(parents=True)
        try:
            make(new)
            for old in CACHE.glob(f"{name}-????????????"):
                shutil.rmtree(old)
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        print(f"{time.monotonic() - start:7.1f} s  {name}", flush=True)
    return folder


def lay_out_module(folder):
    """The module in `go/` with a copy of promtool that does not check discoveries of Kubernetes: for that alone it would compile 200
    packages of Kubernetes' client."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(HERE / "go" / name, folder)
    package = "github.com/prometheus/prometheus/cmd/promtool"
    source = pathlib.Path(run("go", "list", "-mod=readonly", "-f", "{{.Dir}}", package, cwd=folder).splitlines()[-1])
    (folder / "promtool").mkdir()
    for path in source.glob("*.go"):
        if not path.name.endswith("_test.go"):
            text = path.read_text().replace('\t"github.com/prometheus/prometheus/discovery/kubernetes"\n', "")
            text = re.sub(r"\t\t\tcase \*kubernetes\.SDConfig:\n(\t{4}.*\n)+", "", text)
            (folder / "promtool" / path.name).write_text(text)


def prometheus():
    """The folder with prometheus and promtool. No service discovery but files and HTTP: the others bring the clouds' libraries."""
    def make(folder):
        if shutil.which("go") is None:
            sys.exit("error: Go builds Prometheus, and it is not installed")
        print("building Prometheus from its Go module; the first time this takes some minutes", flush=True)
        module = folder / "module"
        module.mkdir()
        lay_out_module(module)
        run("go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false", "-tags", "remove_all_sd",
            "-ldflags", "-s -w", "-o", f"{folder}/", "./promtool", "github.com/prometheus/prometheus/cmd/prometheus", cwd=module,
            env=os.environ | {"CGO_ENABLED": "0"})
        shutil.rmtree(module)

    return install("prometheus", [HERE / "go/go.mod", HERE / "go/go.sum"], make)


def schema():
    """The folder with Grafana's types and the compiler that checks a dashboard against them."""
    def make(folder):
        if not (shutil.which("node") and shutil.which("npm")):
            run(ROOT / "tests/packages", "schema")
        for name in ("package.json", "package-lock.json", "types.ts"):
            shutil.copy(HERE / "schema" / name, folder)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    return install("schema", [HERE / "schema/package-lock.json", HERE / "schema/types.ts"], make)


def plotting():
    """A Python that has matplotlib."""
    def make(folder):
        run(sys.executable, "-m", "venv", folder)
        # Moved into place afterwards: only its python is called, never its scripts.
        run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--require-virtualenv", "-r", HERE / "requirements.txt")

    try:
        import ensurepip  # noqa: F401
    except ImportError:
        run(ROOT / "tests/packages", "plotting")
    return install("plotting", [HERE / "requirements.txt"], make) / "bin/python"
