"""The parts of ``train.quantize``: its crops, the network itself, how it is judged, its files."""
