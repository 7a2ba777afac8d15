"""The models: their cards, what may be done with them, and the engines that run them.

    get(name)  entries()          which models there are
    add_manifest(path)  add(card) more of them; LINEAMENT_MANIFEST names a manifest too
    from_file(path)               an ONNX file that no card describes
    read(card)                    its bytes, after the license policy and the SHA-256 agreed
    LicensePolicy                 which licenses may be used

cards       what is said of a model
catalog     which models there are
license     which of them may be used
storage     where their files lie; download fetches those that are not in the package
registry    what runs them: detectors, landmarkers and embedders by name, plugins
runtime     OpenVINO and ONNX Runtime behind one call
"""

from __future__ import annotations

from lineament.models._license import LicensePolicy
from lineament.models._storage import (
    cache_folder,
    cached_path,
    is_present,
    license_text,
    locate,
    read,
)
from lineament.models.cards import Card, HeadFile, InputSpec, Measurement, Member, NormTerm, Source
from lineament.models.catalog import (
    DEFAULT_PRESET,
    PRESETS,
    Preset,
    add,
    add_manifest,
    entries,
    from_file,
    get,
    read_manifest,
)

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "Card",
    "HeadFile",
    "InputSpec",
    "LicensePolicy",
    "Measurement",
    "Member",
    "NormTerm",
    "Preset",
    "Source",
    "add",
    "add_manifest",
    "cache_folder",
    "cached_path",
    "entries",
    "from_file",
    "get",
    "is_present",
    "license_text",
    "locate",
    "read",
    "read_manifest",
]
