"""Calibration from a page: `edge calibrate` asked for, watched, stopped and gone on with, and what it made."""
