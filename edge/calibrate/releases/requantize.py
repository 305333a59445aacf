"""`edge calibrate --bundle --quantize`: a released float graph in INT8, if the station's own frames let it through."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.calibrate.frames.collect import Collected
from edge.calibrate.frames.defects import DefectFrames
from models.anomaly.dealing import split_ranges
from models.bundle import MANIFEST, Bundle, file_entries, write_bundle
from models.letterbox import Image
from models.near_twins import thumbnail_groups
from models.progress import Progress
from models.synthetic import Painted
from models.tradeoff import ENOUGH_DEFECTS

if TYPE_CHECKING:
    from models.requantize import Requantized

_JUDGED_MOST = 300


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """The bundle that will be taken, and the good frames that may still judge it.

    Args:
        bundle: the release, or the same in INT8.
        good: frames that INT8 has not learned its ranges from.
        quantized: what the gate found; None where nobody asked.
        ranges: how many frames INT8 learned its ranges from.
    """

    bundle: Bundle
    good: tuple[Path, ...]
    quantized: "Requantized | None" = None
    ranges: int = 0


@dataclass(frozen=True, slots=True)
class QuantizeRequest:
    """What a release is quantized with: good frames, defects if any, the reference if it compares, seed, threads."""

    collected: Collected
    defects: DefectFrames | None
    golden: Image | None
    seed: int
    threads: int


@contextlib.contextmanager
def quantized(bundle: Bundle, request: QuantizeRequest, progress: Progress) -> Iterator[Offer]:
    """The release in INT8 if its gate lets it, in a folder that is gone afterwards; else the release as it is.

    Raises:
        RequestError: too few good frames, or nothing to quantize.
        GateError, ModelError: as `models.requantize.requantize`.
    """
    from models.requantize import StationFrames, float_graph, requantize  # nncf takes seconds to import

    float_graph(bundle)
    frames = request.collected.frames
    ranges, rest = split_ranges(thumbnail_groups([frame.thumbnail for frame in frames]), request.seed)
    good = tuple(frames[index].path for index in rest)
    judged = good[:_JUDGED_MOST]
    labelled = request.defects is not None and len(request.defects.paths) >= ENOUGH_DEFECTS
    bad: Sequence[Path | Image] = Painted(judged, request.seed)
    if request.defects is not None and labelled:
        bad = request.defects.paths
    used = StationFrames([frames[i].path for i in ranges], judged, bad, labelled, request.golden, request.seed)
    found = requantize(bundle, used, request.threads, progress)
    if found.against:
        yield Offer(bundle, good, found, len(ranges))
        return
    with tempfile.TemporaryDirectory(prefix="inspectd-int8-") as folder:
        yield Offer(_written(Path(folder), bundle, found), good, found, len(ranges))


def _written(folder: Path, bundle: Bundle, found: "Requantized") -> Bundle:
    from models.requantize import write_graph

    files = folder / "files"
    shutil.copytree(bundle.path, files, ignore=shutil.ignore_patterns(MANIFEST))
    manifest = write_graph(files, bundle, found)
    return write_bundle(files, folder / "int8", manifest.model_copy(update={"files": file_entries(files)}))
