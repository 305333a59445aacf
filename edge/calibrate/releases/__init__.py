"""Releases that others trained: tried at the station and taken."""
