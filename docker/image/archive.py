#!/usr/bin/env python3
# Writes one image of an OCI layout as an archive that `ctr images import` and `docker load` take, and
# drops from the layout what no named image needs any more. Touches that layout and the archive only.
# An archive may leave out the layers of another image: its reader must have imported that one before.
"""usage: archive.py LAYOUT TAG NAME ARCHIVE [--without TAG]"""

import argparse
import io
import json
import os
import pathlib
import tarfile

REFERENCE = "org.opencontainers.image.ref.name"


class Layout:
    """An OCI image layout in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.index = json.loads((self.folder / "index.json").read_text())

    def blob(self, digest):
        """Where a blob lies, of a digest such as sha256:abc."""
        return self.folder / "blobs" / digest.replace(":", "/")

    def manifest(self, entry):
        """The manifest that an entry of the index names."""
        return json.loads(self.blob(entry["digest"]).read_text())

    def entry(self, tag):
        """The index entry of a tag."""
        for entry in self.index["manifests"]:
            if entry.get("annotations", {}).get(REFERENCE) == tag:
                return entry
        raise SystemExit(f"{self.folder} holds no image named {tag}")

    def prune(self):
        """Forgets images that lost their tag to a newer one, and removes blobs nobody refers to."""
        named = [entry for entry in self.index["manifests"] if REFERENCE in entry.get("annotations", {})]
        kept = set()
        for entry in named:
            manifest = self.manifest(entry)
            kept |= {entry["digest"], manifest["config"]["digest"]}
            kept |= {layer["digest"] for layer in manifest["layers"]}
        (self.folder / "index.json").write_text(json.dumps({**self.index, "manifests": named}))
        for path in (self.folder / "blobs" / "sha256").iterdir():
            if f"sha256:{path.name}" not in kept:
                path.unlink()


def add_text(tar, name, text):
    """Adds a small file."""
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def write(layout, tag, name, archive, without):
    """Writes the archive: the OCI layout, and the list that Docker's own format has."""
    entry = layout.entry(tag)
    manifest = layout.manifest(entry)
    known = {layer["digest"] for layer in layout.manifest(layout.entry(without))["layers"]} if without else set()
    path = lambda digest: "blobs/" + digest.replace(":", "/")
    named = {**entry, "annotations": {"io.containerd.image.name": name, REFERENCE: name.rsplit(":", 1)[1]}}
    docker = {
        "Config": path(manifest["config"]["digest"]),
        "RepoTags": [name],
        "Layers": [path(layer["digest"]) for layer in manifest["layers"]],
    }
    digests = [entry["digest"], manifest["config"]["digest"]]
    digests += [layer["digest"] for layer in manifest["layers"] if layer["digest"] not in known]
    with tarfile.open(archive, "w") as tar:
        add_text(tar, "manifest.json", json.dumps([docker]))
        add_text(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}))
        add_text(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}))
        for digest in dict.fromkeys(digests):
            tar.add(layout.blob(digest), path(digest))


def main():
    parser = argparse.ArgumentParser()
    for name in ("layout", "tag", "name", "archive"):
        parser.add_argument(name)
    parser.add_argument("--without")
    given = parser.parse_args()
    layout = Layout(given.layout)
    part = given.archive + ".part"
    write(layout, given.tag, given.name, part, given.without)
    os.replace(part, given.archive)
    layout.prune()


main()
