"""What an import says of itself: the facts, what is odd, and the samples with what was found drawn in."""

import base64
import html
from pathlib import Path

import cv2
import numpy as np

from models.detections import Detections
from models.foreign.graph import ForeignGraph
from models.foreign.head import Head
from models.foreign.trial import Tried
from models.letterbox import Image
from models.page import page, table
from models.scoring import model_input, read_image

_PICTURES = 6
_PICTURE_PX = 320
_QUALITY = 80
_COLOUR = (43, 57, 192)
_THRESHOLD = 0.5


def write_report(path: Path, title: str, foreign: ForeignGraph, head: Head, tried: Tried) -> None:
    """Write the page; the pictures are those that score highest, and the lowest."""
    facts = [
        ("Made from", f"{foreign.file}, sha256 {foreign.sha256}"),
        ("Kind", head.kind),
        ("Classes", ", ".join(head.classes)),
        ("Input", f"{foreign.spec.width}x{foreign.spec.height} {head.input.colour}"),
        ("0.5 lies at", f"{head.decode.threshold:g}, as head.toml says"),
        ("Precision", "FP32; no INT8 was made, so no gate was run"),
        ("Samples", f"{len(tried.samples)}; {sum(_sure(one) for one in tried.found)} score 0.5 or more"),
    ]
    warned = "".join(f'<p class="verdict weak">{html.escape(text)}</p>' for text in tried.warnings)
    order = np.argsort([-one.frame_score for one in tried.found], kind="stable")
    chosen = dict.fromkeys([*order[: _PICTURES - 1].tolist(), int(order[-1])])
    shown = "".join(_figure(index, tried) for index in chosen)
    body = f"""<h1>{html.escape(title)}</h1>{table(("", ""), facts)}{warned}
<p>The original graph, read in plain numpy, gives the same on every sample. Whether boxes, classes and colours are right
only a person sees: look at these.</p><div class="row">{shown}</div>"""
    path.write_text(page(title, body), encoding="utf-8")


def _sure(found: Detections) -> bool:
    return found.frame_score >= _THRESHOLD


def _figure(index: int, tried: Tried) -> str:
    sample, found = tried.samples[index], tried.found[index]
    picture = _boxes(sample, found, tried.spec.classes) if found.map is None else _heat(sample, found.map, tried)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    data = base64.b64encode(jpeg.tobytes()).decode()
    text = html.escape(f"{sample.name}: {found.frame_score:.2f}")
    return f'<figure><img alt="{text}" src="data:image/jpeg;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _boxes(sample: Path, found: Detections, classes: tuple[str, ...]) -> Image:
    image = read_image(sample)
    scale = _PICTURE_PX / max(image.shape[:2])
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    for box, score, class_id in zip(found.boxes_xyxy, found.scores, found.class_ids, strict=True):
        if score >= _THRESHOLD:
            left, top, right, bottom = (round(float(value) * scale) for value in box)
            cv2.rectangle(small, (left, top), (right, bottom), _COLOUR, 1)
            words = f"{classes[class_id]} {score:.2f}"
            cv2.putText(small, words, (left, max(10, top - 3)), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _COLOUR, 1, cv2.LINE_AA)
    return small


def _heat(sample: Path, heat: np.ndarray[tuple[int, ...], np.dtype[np.float32]], tried: Tried) -> Image:
    """The model's input with the map over it."""
    seen = model_input(sample, tried.spec.inputs[0])
    size = seen.shape[1], seen.shape[0]
    levels = cv2.resize((np.clip(heat, 0, 1) * 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    mixed = cv2.addWeighted(seen, 0.55, cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), 0.45, 0)
    scale = _PICTURE_PX / max(size)
    return np.asarray(cv2.resize(mixed, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
