"""Labelled images on disk: read in any common form, checked, split without leakage, frozen with hashes. No torch."""
