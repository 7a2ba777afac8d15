"""The parts of ``train.quantize``: which crops it takes, and how it judges what it made."""
