"""Anomaly models: learned from good parts alone; statistics of features, a proven threshold, a bundle; no torch."""
