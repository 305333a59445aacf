"""Graphs that others trained: a head declares what their outputs mean, and they become bundles of our contract."""
