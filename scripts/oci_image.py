"""oci_image.py MODULE DOCKERFILE VERSION OUT: writes an OCI image of the module, as a tar file, without a container engine.

The Dockerfile says what is in it. Of its language, what scripts/Dockerfile uses is read: FROM scratch, LABEL name="value",
COPY file /path; anything else is an error. The same input gives the same bytes: no times, no owners, and a gzip stream that is
stored, since compressors differ.

The image is the same for linux/amd64 and linux/arm64, so that every node takes it for its own.
"""

import hashlib
import io
import json
import re
import struct
import sys
import tarfile
import zlib

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
# Istio reads no other kind (pkg/wasm/imagefetcher.go, extractOCIStandardImage, 1.31).
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def instructions(dockerfile):
    """The labels, and where in the image the module goes."""
    labels, target = {}, None
    lines = [line.strip() for line in dockerfile.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines or lines.pop(0) != "FROM scratch":
        raise ValueError("the first instruction has to be FROM scratch")
    for line in lines:
        if label := re.fullmatch(r'LABEL ([\w.-]+)="([^"\\$]*)"', line):
            labels[label[1]] = label[2]
        elif copy := re.fullmatch(r"COPY ([\w.]+\.wasm) /([\w./]+)", line):
            if target:
                raise ValueError("more than one COPY")
            target = copy[2]
        else:
            raise ValueError(f"this is not understood: {line}")
    if not target:
        raise ValueError("there is no COPY")
    return labels, target


def tar(files):
    """A tar file that depends on nothing but names and contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def gzip_stored(content):
    """RFC 1952 around RFC 1951's stored blocks."""
    size = 0xFFFF
    blocks = [content[at : at + size] for at in range(0, len(content), size)] or [b""]
    out = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        out.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    out.append(struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return b"".join(out)


def main(module, dockerfile, version, out):
    with open(module, "rb") as file:
        wasm = file.read()
    with open(dockerfile, encoding="utf-8") as file:
        labels, target = instructions(file.read())
    labels["org.opencontainers.image.version"] = version

    blobs = {}

    def blob(kind, content):
        if not isinstance(content, bytes):
            content = json.dumps(content, sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    files = tar([(target, wasm)])
    layer = blob(LAYER, gzip_stored(files))
    manifests = []
    for architecture in ("amd64", "arm64"):
        platform = {"os": "linux", "architecture": architecture}
        diff = f"sha256:{hashlib.sha256(files).hexdigest()}"
        rootfs = {"type": "layers", "diff_ids": [diff]}
        config = blob(CONFIG, {**platform, "config": {"Labels": labels}, "rootfs": rootfs})
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        manifests.append({**blob(MANIFEST, manifest), "platform": platform})
    index = blob(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": labels})
    index["annotations"] = {"org.opencontainers.image.ref.name": version}
    layout = {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": {"schemaVersion": 2, "manifests": [index]}}
    entries = [(name, json.dumps(content, sort_keys=True).encode()) for name, content in layout.items()]
    with open(out, "wb") as file:
        file.write(tar(entries + sorted(blobs.items())))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"oci_image.py: {error}")
