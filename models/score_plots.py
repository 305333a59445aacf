"""What pages about models with one score an image share: plots as figures, an image beside its map."""

import base64
import html

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.detections import FloatArray
from models.gate import THRESHOLD
from models.letterbox import Image
from models.page import BAD, GOOD, LINE

_PICTURE_PX = 220
_QUALITY = 82
_WEIGHT = 0.45


def roc(scores: FloatArray, bad: NDArray[np.bool_]) -> Figure:
    """Defective against good images rejected, whatever the threshold; scores and `bad` are (N,)."""
    figure = Figure(figsize=(3.8, 3.6), layout="constrained")
    axes = figure.subplots()
    order = np.argsort(-scores, kind="stable")
    axes.plot(_climb(~bad[order]), _climb(bad[order]), color=GOOD, linewidth=1.4)
    at = scores >= THRESHOLD
    axes.plot([_share(at[~bad])], [_share(at[bad])], "o", color=BAD, label="the threshold")
    axes.plot([0, 1], [0, 1], color=LINE, linestyle=":", linewidth=1)
    axes.set(xlabel="good images rejected", ylabel="defective images rejected", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def histogram(scores: FloatArray, bad: NDArray[np.bool_]) -> Figure:
    """Scores of good and of defective images beside the threshold."""
    figure = Figure(figsize=(4.4, 3.6), layout="constrained")
    axes, bins = figure.subplots(), np.linspace(0, 1, 41).tolist()
    axes.hist(scores[~bad], bins, color=GOOD, alpha=0.8, label="good")
    axes.hist(scores[bad], bins, color=BAD, alpha=0.6, label="defective")
    axes.axvline(THRESHOLD, color=LINE, linestyle=":", linewidth=1)
    axes.set(xlabel="score", ylabel="images")
    axes.legend(frameon=False, fontsize=8)
    return figure


def picture(caption: str, image: Image, heat: FloatArray) -> str:
    """The image, and beside it the image under its map."""
    scale = _PICTURE_PX / max(image.shape[:2])
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    wide = cv2.resize(heat, small.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    hot = cv2.applyColorMap((255 * np.clip(wide, 0, 1)).astype(np.uint8), cv2.COLORMAP_INFERNO)
    both = np.hstack([small, cv2.addWeighted(small, 1 - _WEIGHT, hot, _WEIGHT, 0)])
    _, jpeg = cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    data, text = base64.b64encode(jpeg.tobytes()).decode(), html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/jpeg;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _climb(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(hits) / max(1, int(hits.sum()))])


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else 0.0
