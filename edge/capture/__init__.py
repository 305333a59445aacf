"""Cameras: the protocol, its drivers, and the one drain thread each camera has."""
