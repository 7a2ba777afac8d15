"""What finds many points of a face, and which there are.

A landmarker is any object with the method of ``Landmarker``. A class or function that makes one is
registered by name, with the models that it takes:

    @register_landmarker("mine", models=("my-model",))
    class Mine:
        def __init__(self, model): ...
        def locate(self, image, faces): ...

What is made of the points here (frontal faces, faces cut out) needs 68, numbered as in 300-W.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lineament import models
from lineament.models import LicensePolicy
from lineament.models.registry import Entry, Registry
from lineament.models.runtime import Runtime, load_model
from lineament.types import Face, FloatArray, Image

DEFAULT_LANDMARKER = "landmarks68"


class Landmarker(Protocol):
    """Finds points of faces. Calls from several threads are safe."""

    def locate(self, image: Image, faces: Sequence[Face], /) -> FloatArray:
        """Find the points of each face.

        Args:
            image: (H, W, 3) uint8, RGB.
            faces: as a detector returns them.

        Returns:
            (N, P, 2) float32, pixels of the photo; P is the same for all photos. Points that are
            hidden or outside of the photo have a place too.
        """
        ...


LANDMARKERS: Registry[Callable[..., Landmarker]] = Registry(
    "landmarker",
    {
        DEFAULT_LANDMARKER: Entry("lineament.align.landmarks68:Landmarks68", ("landmarks68",)),
        "mesh": Entry("lineament.align.mesh:MeshLandmarker", ("facemesh", "blendshapes")),
    },
)

register_landmarker = LANDMARKERS.register
"""Decorator of a class or function that takes loaded models and returns a ``Landmarker``."""


def load_landmarker(
    name: str = DEFAULT_LANDMARKER,
    *,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> Landmarker:
    """Build a landmarker.

    Args:
        name: one of ``LANDMARKERS``.
        runtime: engine, device and threads.
        policy: which licenses may be used.

    Raises:
        OptionError: there is no landmarker of that name.
        WeightsError: its models are missing, damaged or refused.
    """
    cards = [models.get(model) for model in LANDMARKERS.get(name).models]
    loaded = [load_model(card, runtime=runtime, policy=policy) for card in cards]
    return LANDMARKERS.builder(name)(*loaded)
