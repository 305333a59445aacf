"""Frames that teach: taken by a camera or read from a folder, refused where they cannot."""
