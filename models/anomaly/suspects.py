"""Frames among the good ones that look like none of the others: bad parts that slipped in, or another product. Pure.

Each quarter of the frames is judged by the statistics of every other quarter, and the strictest counts: no frame
explains itself, and two bad ones explain each other only before those quarters that hold one. A frame is suspect if
the logarithm of its distance lies far above the median, in units of the usual spread (median absolute deviation). Of
made frames without a bad one 1 in 6,000 did, of heavy-tailed ones 1 in 220: a named frame is a question, no verdict.
Never more than a tenth: where more stand out they are a kind of their own, and who made the folder must say which
kind is good.
"""

import numpy as np
from numpy.typing import NDArray

from models.anomaly.statistics import Seen, distances, main_directions, statistics_of

_FAR = 5.0
_MOST = 0.1
_FEWEST = 16
_PARTS = 4
_NORMAL = 1.4826
_TINY = 1e-3


def suspects(seen: Seen, seed: int) -> NDArray[np.int64]:
    """Indices of frames that the others do not explain, ascending; none where there are fewer than sixteen."""
    if len(seen) < _FEWEST:
        return np.zeros(0, np.int64)
    order = np.random.default_rng(seed).permutation(len(seen))
    highest = np.zeros(len(seen))
    for learned in np.array_split(order, _PARTS):
        own, judged = seen.part(learned), np.setdiff1d(order, learned)
        good = statistics_of(own, main_directions(own))
        highest[judged] = np.maximum(highest[judged], distances(seen.part(judged), good).max(axis=(1, 2)))
    return stand_out(highest)


def stand_out(highest: NDArray[np.floating]) -> NDArray[np.int64]:
    """Indices of distances (N,) far above the usual, ascending; a tenth of them at most."""
    logs = np.log(np.maximum(highest, _TINY))
    usual = float(np.median(logs))
    spread = max(_TINY, _NORMAL * float(np.median(np.abs(logs - usual))))
    far = np.flatnonzero((logs - usual) / spread > _FAR)
    furthest = far[np.argsort(-logs[far])][: max(1, int(_MOST * len(logs)))]
    return np.asarray(np.sort(furthest), np.int64)
