"""A simulated GigE Vision camera that shows our own images, run as a process: `python gige_camera.py SERIAL FOLDER`.

It is Aravis's own simulator; each frame shows the next image of a folder, in the order of their names. It prints a line
when it is there, and writes a line into `--log` for each frame that it exposes. A line `pulse` on its stdin is an edge
on its line input.
"""

import argparse
import ctypes
import os
import sys
import tempfile
import time
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_double, c_int, c_size_t, c_uint32, c_void_p
from pathlib import Path

import cv2
import numpy as np

FORMATS = {"Mono8": 0x01080001, "BayerRG8": 0x01080009, "RGB8": 0x02180014, "Mono16": 0x01100007}
WIDTH, HEIGHT, PERIOD_US, FORMAT, TRIGGER_SOFTWARE = 0x100, 0x104, 0x138, 0x128, 0x30C
FILL = CFUNCTYPE(None, c_void_p, c_void_p, c_uint32, c_uint32, c_uint32)
GAIN = """
  <Float Name="Gain" NameSpace="Standard"><pValue>GainInDb</pValue><Min>0.0</Min><Max>40.0</Max></Float>
  <Converter Name="GainInDb" NameSpace="Custom"><FormulaTo>FROM * 10</FormulaTo><FormulaFrom>TO / 10</FormulaFrom>
    <pValue>GainRawRegister</pValue></Converter>
"""


def load() -> ctypes.CDLL:
    aravis = ctypes.CDLL("libaravis-0.8.so.0")
    aravis.arv_gv_fake_camera_new_full.restype = c_void_p
    aravis.arv_gv_fake_camera_new_full.argtypes = [c_char_p, c_char_p, c_char_p]
    aravis.arv_gv_fake_camera_get_fake_camera.restype = c_void_p
    aravis.arv_gv_fake_camera_get_fake_camera.argtypes = [c_void_p]
    aravis.arv_gv_fake_camera_is_running.argtypes = [c_void_p]
    aravis.arv_fake_camera_new.restype = c_void_p
    aravis.arv_fake_camera_new.argtypes = [c_char_p]
    aravis.arv_fake_camera_get_genicam_xml.restype = c_void_p
    aravis.arv_fake_camera_get_genicam_xml.argtypes = [c_void_p, POINTER(c_size_t)]
    aravis.arv_fake_camera_write_register.restype = c_int
    aravis.arv_fake_camera_write_register.argtypes = [c_void_p, c_uint32, c_uint32]
    aravis.arv_fake_camera_set_trigger_frequency.argtypes = [c_void_p, c_double]
    aravis.arv_fake_camera_set_fill_pattern.argtypes = [c_void_p, FILL, c_void_p]
    aravis.arv_buffer_get_data.restype = c_void_p
    aravis.arv_buffer_get_data.argtypes = [c_void_p, POINTER(c_size_t)]
    return aravis


def described(aravis: ctypes.CDLL, *, with_line: bool, halves_exposure: bool) -> bytes:
    """The simulator's own description with a gain in dB; and, if asked, a line input or an exposure that it halves."""
    size = c_size_t()
    start = aravis.arv_fake_camera_get_genicam_xml(aravis.arv_fake_camera_new(b"X"), byref(size))
    text = ctypes.string_at(start, size.value).decode()
    text = text.replace("<!-- Analog control -->", GAIN)
    if with_line:
        # The simulator exposes on its command register while the source is 1: call that the line.
        text = text.replace('Name="Line0" NameSpace="Standard">\n\t\t\t<Value>0<', 'Name="Line0"><Value>3<')
        text = text.replace('Name="Software" NameSpace="Standard">\n\t\t\t<Value>1<', 'Name="Line1"><Value>1<')
    if halves_exposure:
        text = text.replace("<FormulaTo>FROM</FormulaTo>", "<FormulaTo>FROM / 2</FormulaTo>")
    return text.encode()


def read_images(folder: Path, pixel_format: str) -> list[np.ndarray]:
    """The folder's images as the camera's sensor would give them."""
    images = []
    for file in sorted(folder.iterdir()):
        bgr = cv2.imread(str(file), cv2.IMREAD_COLOR)
        assert bgr is not None
        if pixel_format == "RGB8":
            images.append(np.ascontiguousarray(bgr[..., ::-1]))
        elif pixel_format == "BayerRG8":
            mosaic = bgr[..., 1].copy()
            mosaic[::2, ::2], mosaic[1::2, 1::2] = bgr[::2, ::2, 2], bgr[1::2, 1::2, 0]
            images.append(mosaic)
        else:
            images.append(np.ascontiguousarray(bgr[..., 0]))
    return images


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("serial")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--log", type=Path, default=Path(os.devnull))
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--format", default="Mono8", choices=FORMATS)
    parser.add_argument("--fps", type=float, default=50.0)
    parser.add_argument("--trigger-hz", type=float, default=500.0)
    parser.add_argument("--with-line", action="store_true")
    parser.add_argument("--halves-exposure", action="store_true")
    options = parser.parse_args()
    aravis = load()
    images = read_images(options.folder, options.format)
    with tempfile.NamedTemporaryFile(suffix=".xml") as description:
        description.write(described(aravis, with_line=options.with_line, halves_exposure=options.halves_exposure))
        description.flush()
        simulator = aravis.arv_gv_fake_camera_new_full(
            options.address.encode(), options.serial.encode(), description.name.encode()
        )
    camera = aravis.arv_gv_fake_camera_get_fake_camera(simulator)
    shown = 0
    exposures = options.log.open("a", buffering=1)

    @FILL
    def fill(buffer: int, _data: int, _exposure_us: int, _gain: int, _format: int) -> None:
        nonlocal shown
        pixels = images[shown % len(images)]
        ctypes.memmove(aravis.arv_buffer_get_data(buffer, byref(c_size_t())), pixels.ctypes.data, pixels.nbytes)
        exposures.write(f"{shown} {time.monotonic()}\n")
        shown += 1

    aravis.arv_fake_camera_set_fill_pattern(camera, fill, None)
    aravis.arv_fake_camera_set_trigger_frequency(camera, options.trigger_hz)
    height, width = images[0].shape[:2]
    for register, value in (
        (WIDTH, width),
        (HEIGHT, height),
        (PERIOD_US, round(1e6 / options.fps)),
        (FORMAT, FORMATS[options.format]),
    ):
        aravis.arv_fake_camera_write_register(camera, register, value)
    print("ready" if aravis.arv_gv_fake_camera_is_running(simulator) else "cannot start", flush=True)  # noqa: T201
    for line in sys.stdin:
        if line.strip() == "pulse":
            aravis.arv_fake_camera_write_register(camera, TRIGGER_SOFTWARE, 1)


if __name__ == "__main__":
    main()
