"""Classifiers: labels of whole images in, a verdict with calibrated probabilities and a map of where out; no torch."""
