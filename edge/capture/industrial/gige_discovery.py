"""Which GigE cameras answer on the network, and the address of the one that is meant."""

import ipaddress
import threading
import time
from dataclasses import dataclass

from edge.capture.industrial.aravis_library import AravisError, decoded, library

_SCAN_FRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """A GigE camera on the network."""

    serial: str
    name: str
    address: str
    hardware: str


class Scan:
    """The cameras that answered a broadcast; drivers that look at the same time share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[Found] = []
        self._scanned_s = float("-inf")

    def cameras(self) -> list[Found]:
        """Every GigE camera that answers within a second."""
        with self._lock:
            if time.monotonic() - self._scanned_s > _SCAN_FRESH_S:
                self._found = _scan()
                self._scanned_s = time.monotonic()
            return list(self._found)


def _scan() -> list[Found]:
    aravis = library()
    aravis.arv_update_device_list()
    return [
        Found(
            decoded(aravis.arv_get_device_serial_nbr(index)),
            decoded(aravis.arv_get_device_id(index)),
            decoded(aravis.arv_get_device_address(index)),
            decoded(aravis.arv_get_device_physical_id(index)),
        )
        for index in range(aravis.arv_get_n_devices())
        if aravis.arv_get_device_protocol(index) == b"GigEVision"
    ]


_SCAN = Scan()


def address_of(name: str) -> str:
    """The IPv4 address of a camera, by serial number, by Aravis's name for it, by hardware address, or as it stands.

    Raises:
        AravisError: no camera of that name answers, or several do.
    """
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        pass
    known = cameras_on_network()
    found = {camera.address for camera in known if name in {camera.serial, camera.name, camera.hardware}}
    if len(found) != 1:
        others = ", ".join(f"{camera.serial} at {camera.address}" for camera in known) or "none"
        raise AravisError(f"{len(found) or 'no'} cameras of that name answer; found: {others}")
    return found.pop()


def cameras_on_network() -> list[Found]:
    """Every GigE camera that answers within a second."""
    return _SCAN.cameras()
