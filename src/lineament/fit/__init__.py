"""Labeled photos -> a Calibration: clean the photos, fit it; tune for a folder of your own."""
