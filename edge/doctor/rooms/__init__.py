"""Every check, room by room, in the order in which people read them.

A room is imported in the process that looks: it may need what is broken on this machine, and that is a finding too.
"""

import importlib
from collections.abc import Iterable
from functools import partial

from edge.config import CameraSection
from edge.doctor.around import Around
from edge.doctor.check import Check
from edge.doctor.finding import Finding

ROOMS = {
    "station": "the station",
    "machine": "the machine",
    "packages": "Python and its packages",
    "clock": "the clock",
    "disk": "the disk",
    "permissions": "who may what",
    "camera": "the cameras",
    "bundles": "the models",
    "records": "the records",
    "network": "the network",
    "broker": "the way to the cloud",
    "certificates": "who the station is",
    "doctor": "what could not be looked at",
}
_OPENVINO_S = 40.0
_SETTLE_S = 15.0
_SELF_TEST_S = 90.0
_BROKER_S = 12.0
DATABASE_S = 20.0
_INSIDE = frozenset(
    {"camera", "product", "plans", "unfinished", "records", "whole", "plcs", "ports", "running", "plausible"}
)


def checks_of(around: Around) -> tuple[Check, ...]:
    """All checks of this station and machine."""
    return (*_of_the_machine(), *_of_the_cameras(around), *_of_the_models(around), *_of_the_rest(around))


def _of_the_machine() -> tuple[Check, ...]:
    return (
        _check("station.toml", "station", "configuration"),
        _check("service", "service", "service"),
        _check("daemon", "service", "running"),
        _check("processor", "machine", "processor"),
        _check("cores", "machine", "cores"),
        _check("clock rate", "machine", "pace"),
        _check("memory", "machine", "memory"),
        _check("open files", "machine", "limits"),
        _check("python", "packages", "python"),
        _check("packages", "packages", "requirements"),
        _check("opencv", "packages", "opencv"),
        _check("openvino", "packages", "openvino", _OPENVINO_S),
        _check("extras", "packages", "extras"),
        _check("clock", "clock", "kept"),
        _check("time", "clock", "plausible"),
        _check("file system", "disk", "file_system"),
        _check("room", "disk", "room"),
        _check("writing", "disk", "pace", 15.0, alone=True),
        _check("user", "permissions", "user"),
        _check("data", "permissions", "data"),
        _check("station.toml", "permissions", "secrets"),
        _check("private key", "permissions", "identity"),
        _check("devices", "permissions", "devices"),
        _check("line port", "permissions", "socket_folder"),
        _check("sandbox", "sandbox", "sandbox"),
    )


def _of_the_cameras(around: Around) -> tuple[Check, ...]:
    cameras = () if around.config is None else tuple(around.config.camera)
    return tuple(
        Check(f"camera {each.id}", partial(_look, "camera", "camera", section=each), _camera_s(each))
        for each in cameras
    )


def _camera_s(section: CameraSection) -> float:
    times_ms = section.open_timeout_ms, section.read_timeout_ms, section.latency_ms, section.timeout_ms
    return sum(times_ms) / 1000 + _SETTLE_S


def _of_the_models(around: Around) -> tuple[Check, ...]:
    products = () if around.config is None else tuple(around.config.product)
    looks = ((each.id, partial(_look, "bundles", "product", section=each)) for each in products)
    return (
        *(Check(f"product {name}", look, _SELF_TEST_S) for name, look in looks),
        _check("plans", "bundles", "plans", _OPENVINO_S),
        _check("unfinished", "bundles", "unfinished"),
    )


def _of_the_rest(around: Around) -> tuple[Check, ...]:
    others = 1 + (0 if around.config is None else len(around.config.output))
    return (
        _check("records", "records", "records"),
        _check("database", "records", "whole", DATABASE_S + 10),
        _check("ports", "network", "ports"),
        _check("PLC", "network", "plcs", _SETTLE_S * others),
        _check("GigE", "network", "gige"),
        _check("broker", "broker", "brokers", _BROKER_S * others),
        _check("identity", "certificates", "identities"),
        _check("trust root", "certificates", "trust_root"),
    )


def _check(name: str, room: str, what: str, limit_s: float = 10.0, *, alone: bool = False) -> Check:
    return Check(name, partial(_look, room, what), limit_s, alone)


def _look(room: str, what: str, around: Around, **more: object) -> Iterable[Finding]:
    if what in _INSIDE and not around.may_look:
        return ()  # `permissions.cannot-look` says so; what runs there could be disturbed, and nobody would know
    found: Iterable[Finding] = getattr(importlib.import_module(f"{__name__}.{room}"), what)(around, **more)
    return found
