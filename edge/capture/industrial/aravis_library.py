"""The few calls of Aravis (libaravis-0.8, LGPL, loaded when a GigE camera is configured) that a driver needs, typed.

Nothing else knows ctypes or GObject. A camera is driven by one thread at a time, except that `owns_control` and
`execute` may run beside `pop`: they use the control channel, which Aravis guards with a lock, and `pop` does not. A
call to a camera that does not answer returns after 2.5 s (five tries of 0.5 s, fixed in the library).
"""

import ctypes
import functools
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.domain.errors import ConfigError

COMPLETE = 0
_LIBRARY = "libaravis-0.8.so.0"
_KIND = b"GigEVision"
_CONTROL_REGISTER = 0x0A00
_CONTROLS = 0x3
_UDP_ONLY = 1
_RESEND_ALWAYS = 1
_FIXED = 0
_CONTROL_PORT = 3956


class AravisError(Exception):
    """The library or the camera refused."""


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


_Error = POINTER(_GError)
_CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "arv_get_n_interfaces": (c_uint, ()),
    "arv_get_interface_id": (c_char_p, (c_uint,)),
    "arv_disable_interface": (None, (c_char_p,)),
    "arv_update_device_list": (None, ()),
    "arv_get_n_devices": (c_uint, ()),
    "arv_get_device_id": (c_char_p, (c_uint,)),
    "arv_get_device_address": (c_char_p, (c_uint,)),
    "arv_get_device_physical_id": (c_char_p, (c_uint,)),
    "arv_get_device_serial_nbr": (c_char_p, (c_uint,)),
    "arv_get_device_protocol": (c_char_p, (c_uint,)),
    "arv_gv_device_new": (c_void_p, (c_void_p, c_void_p, POINTER(_Error))),
    "arv_gv_device_is_controller": (c_int, (c_void_p,)),
    "arv_gv_device_set_stream_options": (None, (c_void_p, c_int)),
    "arv_device_create_stream": (c_void_p, (c_void_p, c_void_p, c_void_p, POINTER(_Error))),
    "arv_device_read_register": (c_int, (c_void_p, c_uint64, POINTER(c_uint32), POINTER(_Error))),
    "arv_device_is_feature_available": (c_int, (c_void_p, c_char_p, POINTER(_Error))),
    "arv_device_execute_command": (None, (c_void_p, c_char_p, POINTER(_Error))),
    "arv_device_set_string_feature_value": (None, (c_void_p, c_char_p, c_char_p, POINTER(_Error))),
    "arv_device_get_string_feature_value": (c_char_p, (c_void_p, c_char_p, POINTER(_Error))),
    "arv_device_set_boolean_feature_value": (None, (c_void_p, c_char_p, c_int, POINTER(_Error))),
    "arv_device_set_float_feature_value": (None, (c_void_p, c_char_p, c_double, POINTER(_Error))),
    "arv_device_get_float_feature_value": (c_double, (c_void_p, c_char_p, POINTER(_Error))),
    "arv_device_get_integer_feature_value": (c_int64, (c_void_p, c_char_p, POINTER(_Error))),
    "arv_gv_stream_get_port": (ctypes.c_uint16, (c_void_p,)),
    "arv_stream_push_buffer": (None, (c_void_p, c_void_p)),
    "arv_stream_timeout_pop_buffer": (c_void_p, (c_void_p, c_uint64)),
    "arv_buffer_new_allocate": (c_void_p, (c_size_t,)),
    "arv_buffer_get_status": (c_int, (c_void_p,)),
    "arv_buffer_get_frame_id": (c_uint64, (c_void_p,)),
    "arv_buffer_get_image_data": (c_void_p, (c_void_p, POINTER(c_size_t))),
    "arv_buffer_get_image_width": (c_int, (c_void_p,)),
    "arv_buffer_get_image_height": (c_int, (c_void_p,)),
    "arv_buffer_get_image_pixel_format": (c_uint32, (c_void_p,)),
    "g_inet_address_new_from_string": (c_void_p, (c_char_p,)),
    "g_object_unref": (None, (c_void_p,)),
    "g_error_free": (None, (c_void_p,)),
}


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A buffer that the camera filled, or tried to; `pixels` are the library's own memory until it is given back.

    Args:
        handle: names the buffer to `give_back`.
        status: COMPLETE, or the library's word for what is wrong with it.
        frame_id: the camera's count of its frames.
        pixel_format: code of the GenICam pixel format naming convention.
        pixels: (size,) uint8, read before it is given back.
    """

    handle: int
    status: int
    frame_id: int
    pixel_format: int = 0
    width: int = 0
    height: int = 0
    pixels: NDArray[np.uint8] | None = None


class _Library(Protocol):
    """The calls of `_CALLS` by name, and the variadic setter of GObject properties."""

    def __getattr__(self, name: str) -> Callable[..., Any]: ...


@functools.cache
def library() -> _Library:
    """The library, loaded once. Raises ConfigError."""
    return load(_LIBRARY)


def load(name: str) -> _Library:
    """Load a library by its file name and declare its calls.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        loaded = ctypes.CDLL(name)
    except OSError as error:
        raise ConfigError(
            f"a gige:// camera needs Aravis, which cannot be loaded ({error}): install Debian's libaravis-0.8-0"
        ) from error
    for call_name, (result, arguments) in _CALLS.items():
        call = getattr(loaded, call_name)
        call.restype, call.argtypes = result, arguments
    for kind in [loaded.arv_get_interface_id(index) for index in range(loaded.arv_get_n_interfaces())]:
        if kind != _KIND:
            loaded.arv_disable_interface(kind)  # looking for a GigE camera touches no USB device
    return loaded


def _checked(call: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - whatever the call's restype is
    error = _Error()
    result = call(*arguments, byref(error))
    if error:
        message = decoded(error.contents.message)
        library().g_error_free(error)
        raise AravisError(message)
    return result


def decoded(value: bytes | None) -> str:
    """A text of the library's."""
    return (value or b"").decode(errors="replace")


class AravisCamera:
    """One GigE camera, opened and under our control; settings by the names of its GenICam description.

    Args:
        address: the camera's IPv4 address.

    Raises:
        AravisError: it does not answer, or somebody else controls it.
    """

    def __init__(self, address: str) -> None:
        self._aravis = library()
        ours, theirs = self._inet(_our_address_towards(address)), self._inet(address)
        try:
            self._device = _checked(self._aravis.arv_gv_device_new, ours, theirs)
        finally:
            self._aravis.g_object_unref(ours)
            self._aravis.g_object_unref(theirs)
        self._stream: int | None = None
        if not self._aravis.arv_gv_device_is_controller(self._device):
            self.close()
            raise AravisError("somebody else controls it")

    def has(self, feature: str) -> bool:
        """Whether the camera offers a feature now."""
        return bool(_checked(self._aravis.arv_device_is_feature_available, self._device, feature.encode()))

    def text(self, feature: str) -> str:
        """An enumeration's or text's value."""
        return decoded(_checked(self._aravis.arv_device_get_string_feature_value, self._device, feature.encode()))

    def set_text(self, feature: str, value: str) -> None:
        """Set an enumeration or text."""
        _checked(self._aravis.arv_device_set_string_feature_value, self._device, feature.encode(), value.encode())

    def number(self, feature: str) -> float:
        """A float's value."""
        return float(_checked(self._aravis.arv_device_get_float_feature_value, self._device, feature.encode()))

    def set_number(self, feature: str, value: float) -> None:
        """Set a float."""
        _checked(self._aravis.arv_device_set_float_feature_value, self._device, feature.encode(), value)

    def set_flag(self, feature: str, *, value: bool) -> None:
        """Set a boolean."""
        _checked(self._aravis.arv_device_set_boolean_feature_value, self._device, feature.encode(), int(value))

    def execute(self, command: str) -> None:
        """Run a command; returns when the camera acknowledged it."""
        _checked(self._aravis.arv_device_execute_command, self._device, command.encode())

    def owns_control(self) -> bool:
        """Ask the camera whether we still control it; a camera that was restarted says no."""
        value = c_uint32()
        _checked(self._aravis.arv_device_read_register, self._device, _CONTROL_REGISTER, byref(value))
        return bool(value.value & _CONTROLS) and bool(self._aravis.arv_gv_device_is_controller(self._device))

    def start(self, buffers: int, socket_bytes: int) -> int:
        """Make the stream with its pool of buffers and start the acquisition; returns the bytes its socket really got.

        Plain UDP sockets: what a station without privileges gets is what everybody gets, firewall included.
        """
        aravis = self._aravis
        aravis.arv_gv_device_set_stream_options(self._device, _UDP_ONLY)
        stream = _checked(aravis.arv_device_create_stream, self._device, None, None)
        self._stream = stream
        self._set_int(b"socket-buffer", _FIXED)
        self._set_int(b"socket-buffer-size", socket_bytes)
        self._set_int(b"packet-resend", _RESEND_ALWAYS)
        granted = _widen_socket(aravis.arv_gv_stream_get_port(stream), socket_bytes)
        payload = _checked(aravis.arv_device_get_integer_feature_value, self._device, b"PayloadSize")
        for _ in range(buffers):
            aravis.arv_stream_push_buffer(stream, aravis.arv_buffer_new_allocate(payload))
        self.execute("AcquisitionStart")
        return granted

    def pop(self, timeout_s: float) -> Arrival | None:
        """The next buffer, or None; it must be given back."""
        aravis = self._aravis
        handle = aravis.arv_stream_timeout_pop_buffer(self._stream, round(timeout_s * 1e6))
        if handle is None:
            return None
        status, frame_id = aravis.arv_buffer_get_status(handle), aravis.arv_buffer_get_frame_id(handle)
        if status != COMPLETE:
            return Arrival(handle, status, frame_id)
        size = c_size_t()
        data = aravis.arv_buffer_get_image_data(handle, byref(size))
        return Arrival(
            handle,
            status,
            frame_id,
            aravis.arv_buffer_get_image_pixel_format(handle),
            aravis.arv_buffer_get_image_width(handle),
            aravis.arv_buffer_get_image_height(handle),
            np.ctypeslib.as_array((ctypes.c_uint8 * size.value).from_address(data)),
        )

    def give_back(self, arrival: Arrival) -> None:
        """Put a buffer back into the pool; its pixels are not to be touched any more."""
        self._aravis.arv_stream_push_buffer(self._stream, arrival.handle)

    def stop(self) -> None:
        """End the acquisition."""
        self.execute("AcquisitionStop")

    def close(self) -> None:
        """Let go of stream and camera: up to 8 s where the camera does not answer."""
        stream, self._stream = self._stream, None
        device, self._device = self._device, None
        for handle in (stream, device):
            if handle is not None:
                self._aravis.g_object_unref(handle)

    def _set_int(self, name: bytes, value: int) -> None:
        self._aravis.g_object_set(c_void_p(self._stream), c_char_p(name), c_int(value), None)

    def _inet(self, address: str) -> int:
        return int(self._aravis.g_inet_address_new_from_string(address.encode()))


def _our_address_towards(address: str) -> str:
    """The address of ours that packets to the camera leave from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, _CONTROL_PORT))
        except OSError as error:
            raise AravisError(f"no way to {address}: {error.strerror}") from error
        return str(probe.getsockname()[0])


def _widen_socket(port: int, size_bytes: int) -> int:
    """Give this process's UDP socket at `port` its buffer; returns what the kernel granted.

    The library does so itself, but only once the first packet is there, which costs the first frame.
    """
    for entry in Path("/proc/self/fd").iterdir():
        if not entry.is_socket():
            continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as stream:
            here = (socket.AF_INET, socket.SOCK_DGRAM, port)
            if stream.family == socket.AF_INET and (stream.family, stream.type, stream.getsockname()[1]) == here:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)
                # The kernel doubles what it grants, for its own book-keeping: socket(7).
                return stream.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    return 0
