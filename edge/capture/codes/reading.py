"""The code a part carries, read from its picture: QR codes and linear barcodes (EAN-8, EAN-13, UPC-A), by OpenCV.

Invariants:
- A code counts only where the picture shows no other. A second QR code that is seen makes it ambiguous, read or not;
  of barcodes only a second one that is read does, because brushed metal looks like a barcode that cannot be read.
- What cannot be told apart is never guessed: no text is taken that a detector did not decode with its checksum.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np

from edge.domain.frame import Image
from edge.domain.inspection import CODE_LIMIT

Kind = Literal["qr", "barcode"]


@dataclass(frozen=True, slots=True)
class CodeRule:
    """A product's code.

    Args:
        kind: which codes are looked for.
        camera_id: whose picture shows it.
        roi_xyxy: left, top, right, bottom in frame pixels, or None for the whole frame.
        unreadable_allowed: a part without a readable code is judged all the same.
        repeat_allowed: a part may carry the code of the part before it.
    """

    kind: Kind
    camera_id: str
    roi_xyxy: tuple[int, int, int, int] | None = None
    unreadable_allowed: bool = False
    repeat_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What one picture shows: the different texts that were decoded, and how many codes lie there at least."""

    texts: tuple[str, ...] = ()
    codes: int = 0
    decoded: int = 0

    def __or__(self, other: "Seen") -> "Seen":
        texts = tuple(dict.fromkeys((*self.texts, *other.texts)))
        return Seen(texts, max(self.codes, other.codes), max(self.decoded, other.decoded))

    @property
    def reading(self) -> tuple[str | None, str]:
        """(code, reason why there is none)."""
        if not self.texts or len(self.texts[0]) > CODE_LIMIT:
            return None, "code_unreadable"
        if len(self.texts) > 1 or self.codes > self.decoded:
            return None, "code_ambiguous"
        return self.texts[0], ""


@dataclass(slots=True)
class CodeReader:
    """OpenCV's detectors; for one thread."""

    _finders: cv2.QRCodeDetector = field(default_factory=cv2.QRCodeDetector)
    _markers: cv2.QRCodeDetectorAruco = field(default_factory=cv2.QRCodeDetectorAruco)
    _bars: cv2.barcode.BarcodeDetector = field(default_factory=cv2.barcode.BarcodeDetector)

    def read(self, image: Image, rule: CodeRule) -> Seen:
        """Look for a rule's codes in an image (H, W, 3) uint8 BGR.

        Both QR detectors look, as each reads what the other does not; a barcode is tried upright, turned and small.
        """
        grey = cv2.cvtColor(_cut(image, rule.roi_xyxy), cv2.COLOR_BGR2GRAY)
        if rule.kind == "qr":
            return _look(self._markers, grey) | _look(self._finders, grey)
        seen = _look(self._bars, grey)
        if not seen.texts:
            seen |= _look(self._bars, cv2.rotate(grey, cv2.ROTATE_90_CLOCKWISE))
        if not seen.texts:
            seen |= _look(self._bars, cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        return replace(seen, codes=seen.decoded)


def _look(
    detector: cv2.QRCodeDetector | cv2.QRCodeDetectorAruco | cv2.barcode.BarcodeDetector, grey: cv2.typing.MatLike
) -> Seen:
    try:
        found, texts, *_ = detector.detectAndDecodeMulti(grey)
    except UnicodeDecodeError:
        return Seen((), 1, 0)
    if not found:
        return Seen()
    decoded = [text for text in texts if text]
    return Seen(tuple(dict.fromkeys(decoded)), len(texts), len(decoded))


def _cut(image: Image, roi_xyxy: tuple[int, int, int, int] | None) -> Image:
    if roi_xyxy is None:
        return image
    left, top, right, bottom = roi_xyxy
    height, width = image.shape[:2]
    if right > width or bottom > height:
        raise ValueError(
            f"the code's roi {list(roi_xyxy)} reaches out of a frame of {width}x{height}: set product.code.roi"
        )
    return np.ascontiguousarray(image[top:bottom, left:right])
