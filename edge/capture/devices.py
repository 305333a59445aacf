"""The V4L2 devices of this machine, from what the kernel says in /sys and /dev."""

import os
from dataclasses import dataclass
from pathlib import Path

_CLASS = "sys/class/video4linux"


@dataclass(frozen=True, slots=True)
class Device:
    """A video device, its name, and why this user cannot open it, if so."""

    path: Path
    name: str
    trouble: str


def video_devices(root: Path = Path("/")) -> list[Device]:
    """Every video device, in the order of its number; none where the kernel has no V4L2."""
    try:
        nodes = sorted((root / _CLASS).iterdir(), key=lambda node: (len(node.name), node.name))
    except OSError:
        return []
    return [Device(root / "dev" / node.name, _name(node), device_trouble(root / "dev" / node.name)) for node in nodes]


def device_trouble(path: Path) -> str:
    """Why this user cannot open a device; empty when nothing speaks against it."""
    if not path.exists():
        return f"{path} is not there: check that the camera is plugged in (`edge camera list` shows all)"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"{path} is not for this user: add it to the group video, then log in again"
    return ""


def _name(node: Path) -> str:
    try:
        return (node / "name").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
