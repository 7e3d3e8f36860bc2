#!/usr/bin/env python3
# Runs inside the tools image, as a step of its build: asks every bundled tool for its version, stops
# the build at one that is missing, too old or unable to do its work, and writes what it found to
# /usr/share/av1-operator/versions.txt ("NAME VERSION" lines) and sbom.spdx.json (SPDX 2.3, every
# Debian and Python package). Reads nothing from the network, changes nothing else.
"""usage: record.py NAME>=VERSION..."""

import datetime
import json
import pathlib
import re
import subprocess
import sys
from importlib import metadata

FOLDER = pathlib.Path("/usr/share/av1-operator")
NUMBER = r"v?(\d+(?:\.\d+)*)"
ASK = {
    "ffmpeg": (["ffmpeg", "-version"], rf"^ffmpeg version {NUMBER}"),
    "ffprobe": (["ffprobe", "-version"], rf"^ffprobe version {NUMBER}"),
    "svt-av1": (["SvtAv1EncApp", "--version"], rf"SVT-AV1 {NUMBER}"),
    "aomenc": (["aomenc", "--help"], rf"AV1 Encoder {NUMBER}"),
    "rav1e": (["rav1e", "--version"], rf"^rav1e {NUMBER}"),
    "mkvmerge": (["mkvmerge", "--version"], rf"^mkvmerge {NUMBER}"),
    "vapoursynth": (["vspipe", "--version"], rf"Core R{NUMBER}"),
    "av1an": (["av1an", "--version"], rf"^av1an {NUMBER}"),
    "vmaf": (["vmaf", "--version"], rf"^{NUMBER}"),
}
ENCODERS = ["libsvtav1", "libaom-av1", "librav1e"]
PLUGINS = ["systems.innocent.lsmas", "com.vapoursynth.ffms2", "com.julek.vszip"]


def output_of(command):
    """What the command prints, on either stream; a failure ends the build with it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def tool_versions():
    """Version of each tool as it gives it itself."""
    found = {}
    for name, (command, pattern) in ASK.items():
        text = output_of(command)
        match = re.search(pattern, text, re.MULTILINE)
        if not match:
            sys.exit(f"{' '.join(command)} shows no version:\n{text[:500]}")
        found[name] = match.group(1)
    return found


def too_old(found, lowest):
    """One line for each tool below its lowest accepted version ("NAME>=VERSION")."""
    number = lambda text: [int(part) for part in text.split(".")]
    for requirement in lowest:
        name, version = requirement.split(">=")
        if number(found[name]) < number(version):
            yield f"{name} is {found[name]}, at least {version} is needed"


def missing():
    """One line for each encoder or plugin that does not load."""
    encoders = output_of(["ffmpeg", "-hide_banner", "-encoders"])
    for name in ENCODERS:
        if not re.search(rf"^ V\S+ {name} ", encoders, re.MULTILINE):
            yield f"ffmpeg has no encoder {name}"
    plugins = output_of(["av1an", "--version"])
    for name in PLUGINS:
        if not re.search(rf"^\s+{re.escape(name)}\s*: Found$", plugins, re.MULTILINE):
            yield f"the VapourSynth plugin {name} does not load"


def packages(tools):
    """(ecosystem purl, name, version) of everything installed."""
    query = output_of(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"])
    for line in query.splitlines():
        status, name, version, arch = line.split("\t")
        if status.startswith("ii"):
            yield f"pkg:deb/debian/{name}@{version}?arch={arch}", name, version
    for package in sorted(metadata.distributions(), key=lambda item: item.name):
        yield f"pkg:pypi/{package.name}@{package.version}", package.name, package.version
    yield f"pkg:cargo/av1an@{tools['av1an']}", "av1an", tools["av1an"]
    yield f"pkg:github/Netflix/vmaf@v{tools['vmaf']}", "vmaf", tools["vmaf"]


def spdx(tools):
    """The package list as an SPDX 2.3 document."""
    rows = [
        {
            "SPDXID": f"SPDXRef-{index}",
            "name": name,
            "versionInfo": version,
            "downloadLocation": "NOASSERTION",
            "externalRefs": [
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
            ],
        }
        for index, (purl, name, version) in enumerate(packages(tools))
    ]
    created = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "av1-operator-encoder",
        "documentNamespace": f"https://github.com/av1-operator/av1-operator/sbom/encoder/{created}",
        "creationInfo": {"created": created, "creators": ["Tool: docker/image/record.py"]},
        "documentDescribes": [row["SPDXID"] for row in rows],
        "packages": rows,
    }


def main():
    tools = tool_versions()
    wrong = [*too_old(tools, sys.argv[1:]), *missing()]
    if wrong:
        sys.exit("\n".join(wrong))
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{name} {version}\n" for name, version in tools.items())
    (FOLDER / "versions.txt").write_text(lines)
    (FOLDER / "sbom.spdx.json").write_text(json.dumps(spdx(tools), indent=1) + "\n")
    print(lines, end="")


main()
