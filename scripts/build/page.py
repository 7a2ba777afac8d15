"""Fetch what the server's page and its tests take from others: htm with preact, and axe-core.

    python -m scripts.build.page

Nothing is built or changed: files of pinned packages are copied, with their license texts.
"""

from __future__ import annotations

import hashlib
import json
import shutil

from scripts.packages import ROOT, Package, fetch

VENDOR = ROOT / "src" / "lineament" / "server" / "page" / "vendor"
AXE = ROOT / "tests" / "server" / "axe"
HTM = Package(
    "npm",
    "htm",
    "3.1.1",
    "htm-3.1.1.tgz",
    "2425b9bee11409177bcabc7f32e319926fc6690c1701c0b257c88bdff2d5ba90",
)
PREACT = Package(
    "npm", "preact", "10.5.15", "preact-10.5.15.tgz",
    "38ed030f0e0870102136bcee7a691fc820d7d0e65e3273beb590bd27eb23fcea",
)  # fmt: skip
"""For its license text alone: htm's file has preact inside."""

AXE_CORE = Package(
    "npm", "axe-core", "4.14.1", "axe-core-4.14.1.tgz",
    "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
)  # fmt: skip
"""For the tests alone (MPL-2.0): it is in no wheel."""


def main() -> None:
    vendor = json.loads((VENDOR / "vendor.json").read_text("utf-8"))
    htm, preact, axe = fetch(HTM), fetch(PREACT), fetch(AXE_CORE)
    source = htm / "package" / vendor["member"]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    vendor |= {"version": HTM.version, "sha256": digest, "bytes": source.stat().st_size}
    shutil.copyfile(source, VENDOR / vendor["file"])
    shutil.copyfile(htm / "package" / "LICENSE", VENDOR / "license-htm.txt")
    shutil.copyfile(preact / "package" / "LICENSE", VENDOR / "license-preact.txt")
    (VENDOR / "vendor.json").write_text(json.dumps(vendor, indent=2) + "\n", "utf-8")
    for name in ("axe.min.js", "LICENSE", "LICENSE-3RD-PARTY.txt"):
        shutil.copyfile(axe / "package" / name, AXE / name)
    print(f"{VENDOR / vendor['file']}: {vendor['bytes']:,} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()
