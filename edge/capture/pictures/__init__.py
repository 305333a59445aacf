"""Whether a picture can be trusted: checks, the limits that calibration learned, alarms."""
