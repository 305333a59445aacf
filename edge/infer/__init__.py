"""Running a bundle on frames: the engine protocol, OpenVINO behind it, and what a map becomes."""
