"""One network: crops in, unit vectors out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lineament.errors import OptionError, WeightsError
from lineament.models import Card, LicensePolicy
from lineament.models.runtime import Model, Runtime, check_model, load_model
from lineament.types import Contract, Flip, FloatArray, Image

BATCH = 8
"""Crops in one call of the network: fewer or more cost a crop up to a tenth more time on a CPU."""

# ITU-R BT.601, what cv2.COLOR_RGB2GRAY and Pillow's "L" compute too.
_GRAY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class NetworkEmbedder:
    """An ``Embedder`` of one network. Calls from several threads are safe.

    Attributes:
        weights: its entry.
        contract: what its embeddings carry.
        size_wh: width and height of the crops it takes.
        batch: crops in one call of the network; 1 where its batch size is fixed.
    """

    weights: Card
    contract: Contract
    size_wh: tuple[int, int]
    _model: Model
    batch: int = BATCH

    def embed(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        """Embed aligned faces.

        Args:
            crops: (N, H, W, 3) uint8, RGB, of ``size_wh``; N may be 0.

        Returns:
            Unit vectors (N, D) float32, and their lengths (N,) float32 before they were scaled.
            With flip the network's outputs for the crop and its mirror image are averaged first, or
            stand one after the other ("concatenate"), as in ArcFace's evaluation.

        Raises:
            OptionError: the crops have another shape or type.
            WeightsError: the network returned something that is no vector.
        """
        expected = (self.size_wh[1], self.size_wh[0], 3)
        if crops.ndim != 4 or crops.shape[1:] != expected or crops.dtype != np.uint8:
            raise OptionError(
                f"expected uint8 of shape (N, {', '.join(map(str, expected))}), got "
                f"{crops.dtype} of shape {crops.shape}: make them with align_faces",
                option="crops",
            )
        flip, length = self.contract.flip, self._length
        outputs = np.zeros((len(crops), self.contract.dimension), np.float32)
        for start in range(0, len(crops), self.batch):
            batch = self.prepare(crops[start : start + self.batch])
            rows = outputs[start : start + self.batch]
            rows[:, :length] = self._run(batch)
            if flip:
                across = 3 if self.weights.input.layout == "nchw" else 2
                mirrored = np.ascontiguousarray(np.flip(batch, across))
                if flip == "concatenate":
                    rows[:, length:] = self._run(mirrored)
                else:
                    rows += self._run(mirrored)
        if flip is True:
            outputs /= 2
        with np.errstate(all="ignore"):  # NaN and infinity are refused next
            norms = np.linalg.norm(outputs, axis=1)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            raise WeightsError(
                f"{self.weights.name}: the network returned vectors of no length: check its input "
                "specification (size, color order, scaling)"
            )
        return outputs / norms[:, None], norms

    @property
    def _length(self) -> int:
        """Of what the network returns for one crop."""
        return self.contract.dimension // (2 if self.contract.flip == "concatenate" else 1)

    def _run(self, batch: FloatArray) -> FloatArray:
        first = self._model(batch)[0]
        expected = (len(batch), self._length)
        if first.shape != expected:
            raise WeightsError(
                f"{self.weights.name}: expected a first output of shape {expected}, got "
                f"{first.shape}: correct its entry"
            )
        return first

    def prepare(self, crops: Image) -> FloatArray:
        """Crops (n, H, W, 3) uint8 RGB -> what the network sees: (n, C, H, W) or (n, H, W, C)."""
        spec = self.weights.input
        values: Image | FloatArray = crops
        if spec.color_order == "gray":
            values = (crops.astype(np.float32) @ _GRAY)[..., None]
        elif spec.color_order == "bgr":
            values = values[..., ::-1]
        one_each: tuple[int, ...] = (-1,)
        if spec.layout == "nchw":
            values, one_each = values.transpose(0, 3, 1, 2), (-1, 1, 1)
        # Moved as bytes, which takes a quarter of the time that it takes as floats.
        prepared = np.ascontiguousarray(values).astype(np.float32, copy=False)
        if spec.mean != 0 or spec.scale != 1:  # one number, or one a channel
            mean, scale = (
                np.asarray(value, np.float32).reshape(one_each) for value in (spec.mean, spec.scale)
            )
            prepared = (prepared - mean) * scale
        return prepared


def load_network(
    weights: Card,
    *,
    flip: Flip,
    alignment: str | None = None,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> NetworkEmbedder:
    """Load a recognizer of one network; Args and Raises as ``load_embedder``."""
    if weights.task != "embedder":
        raise OptionError(f"{weights.name}: expected a recognizer, got a {weights.task} network")
    size_wh = weights.input.size_wh
    size_wh = (112, 112) if size_wh is None else size_wh
    model = load_model(weights, runtime=runtime, policy=policy)
    dimension, batch = weights.dimension, BATCH
    if dimension is None or weights.source is None:  # not one of ours: see what it does
        channels = 1 if weights.input.color_order == "gray" else 3
        shape = (channels, size_wh[1], size_wh[0])
        if weights.input.layout == "nhwc":
            shape = (size_wh[1], size_wh[0], channels)
        found = check_model(model, (1, *shape))
        try:
            check_model(model, (2, *shape))
        except WeightsError:  # as exported for one crop at a time
            batch = 1
        if dimension is not None and found != dimension:
            raise WeightsError(
                f"{weights.name}: expected embeddings of length {dimension}, got {found}"
            )
        dimension = found
    used = weights.alignment if alignment is None else alignment
    contract = Contract(
        weights=weights.name,
        weights_sha256=weights.sha256,
        alignment="arcface-112" if used is None else used,
        color_order=weights.input.color_order,
        flip=flip,
        dimension=2 * dimension if flip == "concatenate" else dimension,
    )
    return NetworkEmbedder(weights, contract, size_wh, model, batch)
