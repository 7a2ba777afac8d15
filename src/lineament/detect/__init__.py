"""Stage 2: a photo -> the faces in it.

``load_detector`` builds one of ``DETECTORS``; each has the one method of ``Detector``. The default,
"yunet+onet", takes YuNet's boxes at as many scales as it takes, the O-Net's landmarks, and turns
photos that lie on a side; ``docs/concepts/detectors.md`` has the table that chose it.
"""

from __future__ import annotations

from lineament import models
from lineament.detect.detector import Detector
from lineament.detect.options import DetectOptions
from lineament.errors import OptionError
from lineament.models import LicensePolicy
from lineament.models.runtime import Model, Runtime, load_model

__all__ = [
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "DetectOptions",
    "Detector",
    "check_detector",
    "load_detector",
]

DEFAULT_DETECTOR = "yunet+onet"

DETECTORS: dict[str, tuple[str, ...]] = {
    "yunet+onet": ("yunet", "mtcnn-o"),
    "yunet": ("yunet",),
    "mtcnn": ("mtcnn-p", "mtcnn-r", "mtcnn-o"),
    "blazeface": ("blazeface-full",),
    "blazeface+onet": ("blazeface-full", "mtcnn-o"),
    "ultralight": ("ultralight-320",),
    "ultralight+onet": ("ultralight-320", "mtcnn-o"),
}
"""Names of detectors and of the weights each needs. "+onet" adds landmarks, or finer ones."""


def check_detector(name: str, policy: LicensePolicy) -> None:
    """Return if there is a detector of that name and the policy accepts its weights.

    Raises:
        OptionError: there is no detector of that name.
        LicenseError: the policy refuses one of its weights.
    """
    if name not in DETECTORS:
        raise OptionError(
            f"expected one of {', '.join(DETECTORS)}, got {name!r}", option="detector"
        )
    for weights_name in DETECTORS[name]:
        policy.check(models.get(weights_name))


def load_detector(
    name: str = DEFAULT_DETECTOR,
    *,
    turning: bool = True,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> Detector:
    """Build a detector.

    Args:
        name: one of ``DETECTORS``.
        turning: look at the photo turned by 90, 180 and 270 degrees too when nothing certain
            is found upright.
        runtime: engine, device and threads.
        policy: which licenses may be used.

    Raises:
        OptionError: there is no detector of that name.
        WeightsError: its weights are missing, damaged or refused.
    """
    policy = LicensePolicy.active() if policy is None else policy
    check_detector(name, policy)

    def load(weights_name: str) -> Model:
        return load_model(models.get(weights_name), runtime=runtime, policy=policy)

    # Each file is imported when it is wanted: the start of the command line counts milliseconds.
    detector: Detector
    base, _, refined = name.partition("+")
    if base == "yunet":
        from lineament.detect.yunet import YuNet

        detector = YuNet(load("yunet"))
    elif base == "mtcnn":
        from lineament.detect.mtcnn import MTCNN

        detector = MTCNN(load("mtcnn-p"), load("mtcnn-r"), load("mtcnn-o"))
    elif base == "blazeface":
        from lineament.detect.blazeface import BlazeFace

        detector = BlazeFace(load("blazeface-full"))
    else:
        from lineament.detect.ultralight import UltraLight

        detector = UltraLight(load("ultralight-320"))
    if refined or turning:
        from lineament.detect.refine import Refined, Turning

        if refined:
            detector = Refined(detector, load("mtcnn-o"))
        if turning:
            detector = Turning(detector)
    return detector
