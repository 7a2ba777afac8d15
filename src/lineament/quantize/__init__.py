"""A recognizer -> the same in int8, for processors: smaller, faster, nearly as good.

    crops          a folder of photos -> aligned crops, and whom they show
    post_training  ``quantize``: a recognizer and crops -> NAME.onnx and its entry in manifest.json
    networks       its network -> the same in int8
    comparison     what it costs and gains: agreement, verification, speed
    output         the files

Post-training static quantization with 8-bit weights (symmetric, a scale for each output channel)
and 8-bit activations (a scale for each tensor, its range taken from the crops), as in B. Jacob et
al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018, arXiv:1712.05877; then the bias of each layer is corrected by the mean error that it made
(M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
2019, arXiv:1906.04721). NNCF does it and writes standard QuantizeLinear and DequantizeLinear nodes,
which OpenVINO and ONNX Runtime run with 8-bit arithmetic.

Nothing is written unless the new network, run as the pipeline runs it, loses no more than a stated
accuracy on crops that the calibration did not see, and is faster by a stated factor.

An int8 recognizer is another recognizer: its embeddings are close to those it was made from, and
carry another contract, so that comparing the two is an error. Thresholds are not taken over.
"""

from __future__ import annotations

from lineament.quantize._post_training import (
    LEAST_COSINE,
    LEAST_SPEEDUP,
    MOST_LOSS,
    SUBSET,
    Quantized,
    check_options,
    quantize,
)

__all__ = [
    "LEAST_COSINE",
    "LEAST_SPEEDUP",
    "MOST_LOSS",
    "SUBSET",
    "Quantized",
    "check_options",
    "quantize",
]
