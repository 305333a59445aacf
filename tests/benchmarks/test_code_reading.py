"""Which codes are read, and how long that takes at 1080p, with the whole frame searched and with a region of it."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from codes_kit import Image, Laid, ean13, laid_on, qr
from paced_kit import prepared

from edge.capture.codes.reading import CodeReader, CodeRule

pytestmark = pytest.mark.benchmark
VIDEO = Path(__file__).parents[2].parent / "shared" / "data" / "video" / "bottle-detection.mp4"
FRAMES = 12
REGION = (660, 300, 1260, 780)
CENTRE = (960, 540)
WAYS = {
    "upright": Laid(),
    "turned 10": Laid(turn_deg=10),
    "turned 45": Laid(turn_deg=45),
    "turned 90": Laid(turn_deg=90),
    "narrowed 15 %": Laid(narrow=0.15),
    "narrowed 30 %, turned 10": Laid(narrow=0.3, turn_deg=10),
    "blur 1 px": Laid(blur_px=1),
    "blur 2 px": Laid(blur_px=2),
    "blur 3 px": Laid(blur_px=3),
}


def scenes() -> list[Image]:
    """1080p frames of a real belt, or of a soft scene where the video is absent."""
    if not VIDEO.is_file():
        return prepared(FRAMES)
    capture = cv2.VideoCapture(str(VIDEO))
    grabbed = (number for number in range(FRAMES * 60) if capture.grab() and number % 60 == 0)
    return [np.asarray(cv2.resize(capture.retrieve()[1], (1920, 1080)), np.uint8) for _ in grabbed]


def qr_code(number: int) -> tuple[str, Image]:
    """160 px wide, 21 modules."""
    return f"PART-{number:06}", qr(f"PART-{number:06}")


def barcode(number: int) -> tuple[str, Image]:
    """EAN-13, three px a module."""
    return ean13(f"4006381{number:05}")


@pytest.mark.parametrize(
    ("kind", "make"), [pytest.param("qr", qr_code, id="qr"), pytest.param("barcode", barcode, id="barcode")]
)
def test_how_many_codes_are_read_and_how_long_it_takes(kind: str, make: Callable[[int], tuple[str, Image]]) -> None:
    reader, whole = CodeReader(), CodeRule("qr" if kind == "qr" else "barcode", "top")
    rules = {"frame": whole, "region": replace(whole, roi_xyxy=REGION)}
    frames = scenes()
    took_ms: dict[str, list[float]] = {name: [] for name in rules}
    for way, how in WAYS.items():
        read = dict.fromkeys(rules, 0)
        for number, frame in enumerate(frames):
            text, code = make(number)
            image = laid_on(frame, code, CENTRE, how, number)
            for name, rule in rules.items():
                started_s = time.perf_counter()
                code_read, _ = reader.read(image, rule).reading
                took_ms[name].append((time.perf_counter() - started_s) * 1000)
                read[name] += code_read == text
                assert code_read in {text, None}, "a misread code is worse than none"
        sys.stdout.write(
            f"\n{kind}, {way}: " + ", ".join(f"{name} {hits}/{len(frames)}" for name, hits in read.items())
        )
    none = [reader.read(frame, rule).texts for frame in frames for rule in rules.values()]
    assert none == [()] * len(none), "nothing is read where nothing is"
    figures = {name: (round(float(np.median(each)), 1), round(max(each), 1)) for name, each in took_ms.items()}
    sys.stdout.write(f"\n{kind}: ms p50 and worst, 600 x 480 region and 1920 x 1080 frame: {figures}")
