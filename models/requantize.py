"""A released float graph goes through the INT8 gate where it will run, on good frames of that place.

Three sets that share no frame: what ranges are learned from, good frames to judge by, and defective ones. What is
compared is the frame's score at the bundle's own threshold, so it works for every kind. What it does not do: a
classifier's logits are not laid on FP32's, for which the trainer has defects, and an anomaly model keeps the statistics
of its FP32 features. Where that costs anything the gate sees it, and the released graph stays.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from models.alignment import Golden
from models.bundle import Bundle, SelftestCase
from models.classifying import classify_images
from models.compile import compile_graph, save_graph
from models.detecting import detect_images, model_inputs
from models.detections import FloatArray
from models.errors import AlignmentError, RequestError
from models.evaluate import auroc, auroc_drop
from models.gate import THRESHOLD, GateResult, GateScores, judge
from models.labelled_gate import LabelledResult, Measured, judge_labelled, turned
from models.letterbox import Image
from models.manifest import GateRecord, Manifest, SelftestEntry
from models.progress import Progress
from models.quantize import ANOMALY_FLOAT, DETECTOR_FLOAT, Inputs, quantize
from models.scoring import model_input, pose_of, read_image, score_images
from models.selftest_frames import expected_findings, write_expected
from models.spec import Kind, Precision
from models.speed import median_ms
from models.synthetic import Painted
from models.tiling import tiles

_SEEN_LEAST = 0.2
_FLOATING = {Kind.ANOMALY: ANOMALY_FLOAT, Kind.CLASSIFIER: DETECTOR_FLOAT, Kind.DETECTOR: DETECTOR_FLOAT}
Pictures = Sequence[Image | Path]
AnyGate = GateResult | LabelledResult


@dataclass(frozen=True, slots=True)
class StationFrames:
    """Frames of the station, by use; no frame has two.

    Args:
        ranges: good ones, to learn the ranges of INT8 from, as they are and with a painted defect: of good ones alone
            a graph that knows defects learns ranges that cut these off (tested).
        good: good ones to judge by.
        defective: labelled ones, or good ones with a painted defect.
        labelled: which of the two they are.
        golden: the reference that a comparing model lays on every frame.
    """

    ranges: Sequence[Path]
    good: Pictures
    defective: Pictures
    labelled: bool
    golden: Image | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Requantized:
    """What came of it: the INT8 graph, the gate's answer, scores of both, and milliseconds per frame.

    `selftest` is what INT8 says of the release's own frames; `turned` names those that get another verdict than FP32's.
    """

    graph: ov.Model
    gate: AnyGate
    fp32: GateScores
    int8: GateScores
    speed_ms: Mapping[Precision, float]
    labelled: bool
    selftest: tuple[SelftestEntry, ...]
    turned: tuple[str, ...]

    @property
    def allows(self) -> bool:
        """Whether INT8 may run and is worth it."""
        return not self.against

    @property
    def seen(self) -> float:
        """Share of the defective frames that FP32 rejects: what it does not see, INT8 cannot lose."""
        return float((self.fp32.defective >= THRESHOLD).mean())

    @property
    def against(self) -> str:
        """Why INT8 does not run; empty if it does."""
        if not self.gate.allows:
            return f"INT8 failed the gate: {self.gate.reason}"
        if self.turned:
            return f"INT8 gives the release's own frames {', '.join(self.turned)} another verdict"
        if self.seen < _SEEN_LEAST:
            kind = "labelled" if self.labelled else "painted"
            return (
                f"FP32 itself rejects {self.seen:.0%} of the {kind} defects, so that the gate cannot show a loss: give "
                "defects of its classes with --defects"
            )
        if self.speed_ms[Precision.INT8] >= self.speed_ms[Precision.FP32]:
            return "INT8 is no faster here"
        return ""


def float_graph(bundle: Bundle) -> Path:
    """The graph to quantize.

    Raises:
        RequestError: the bundle runs in INT8 already, or holds no FP32 graph.
    """
    if bundle.precision is Precision.INT8:
        raise RequestError(f"--quantize: bundle {bundle.path} runs in INT8 already: leave --quantize out")
    if bundle.fp32_xml.is_file():
        return bundle.fp32_xml
    if bundle.precision is Precision.FP32:
        return bundle.model_xml
    raise RequestError(f"--quantize: bundle {bundle.path} keeps no fp32/ graph to quantize: leave --quantize out")


def requantize(
    bundle: Bundle, frames: StationFrames, threads: int, progress: Progress, speed_s: float = 2.0
) -> Requantized:
    """Quantize a released float graph, and let the gate judge it.

    Raises:
        RequestError: as `float_graph`, or too few frames fit their reference.
        GateError: no two good and two defective frames that could be judged.
        ModelError: OpenVINO or nncf refuses the graph, or a frame cannot be read.
    """
    source = ov.Core().read_model(float_graph(bundle))
    shown = [*frames.ranges, *Painted(frames.ranges, frames.seed + 1)]
    inputs = [one for image in shown if (one := _inputs(image, frames.golden, bundle)) is not None]
    if not inputs:
        raise RequestError("--quantize: no good frame fits the reference: show parts as the reference shows them")
    progress.stage("quantize", 1)
    graph = quantize(source, inputs, _FLOATING[bundle.spec.kind])
    progress.advance()
    graphs = {Precision.FP32: source, Precision.INT8: graph}
    compiled = {name: compile_graph(one, name, threads=threads) for name, one in graphs.items()}
    progress.stage("gate", 2 * (len(frames.good) + len(frames.defective)))
    fp32, int8 = _scores(compiled, frames, bundle, progress)
    progress.stage("measure", 1)
    medians = median_ms({str(name): one for name, one in compiled.items()}, speed_s)
    gate = _judge(fp32, int8, labelled=frames.labelled)
    speed_ms = {name: round(medians[str(name)], 3) for name in graphs}
    entries = tuple(_entry(compiled[Precision.INT8], case, bundle) for case in bundle.selftest)
    other = tuple(case.frame.name for case, entry in zip(bundle.selftest, entries, strict=True) if _differ(case, entry))
    return Requantized(graph, gate, fp32, int8, speed_ms, frames.labelled, entries, other)


def write_graph(folder: Path, bundle: Bundle, found: Requantized) -> Manifest:
    """Put the INT8 graph in place of a copied bundle's own, keep the float one, and say what its frames give now.

    Args:
        folder: a copy of the bundle's files.
        bundle: the release.
        found: by its gate.

    Returns:
        The release's manifest with the INT8 graph's claims; its files are not listed anew.
    """
    kept = folder / "fp32"
    if not kept.is_dir():
        kept.mkdir()
        for name in ("model.xml", "model.bin"):
            shutil.copyfile(folder / name, kept / name)
    save_graph(found.graph, folder / "model.xml")
    write_expected(folder, list(found.selftest))
    manifest = bundle.manifest
    thresholds = dict(manifest.thresholds)
    if own := thresholds.get("fp32") or thresholds.get("bf16"):
        thresholds["int8"] = own
    changes = {"precision": Precision.INT8, "thresholds": thresholds, "gate": gate_record(found)}
    return manifest.model_copy(update=changes)


def gate_record(found: Requantized) -> GateRecord:
    """What the manifest says of the gate."""
    gate = found.gate
    speeds = ", ".join(f"{name} {value:.2f} ms" for name, value in found.speed_ms.items())
    return GateRecord(
        outcome=gate.outcome.value,
        reason=f"at the station: {gate.reason}",
        images=gate.images,
        auroc_drop=gate.drop.value,
        auroc_drop_low=gate.drop.low,
        auroc_drop_high=gate.drop.high,
        budget=gate.budget,
        step="ptq",
        trials={"ptq": f"{gate.outcome.value}: {gate.reason}; {speeds}"},
    )


def frame_scores(
    compiled: ov.CompiledModel,
    images: Pictures,
    bundle: Bundle,
    golden: Image | None,
    advance: Callable[[], None] | None = None,
) -> FloatArray:
    """(N,): each frame's own score, 0.5 being the bundle's threshold; NaN where its reference does not fit."""
    spec, misfits = bundle.spec, list[int]()
    if spec.kind is Kind.CLASSIFIER:
        return classify_images(compiled, images, spec, advance).frame_scores

    def misfit(index: int, _: AlignmentError) -> None:
        misfits.append(index)

    if spec.kind is Kind.ANOMALY:
        pose = pose_of(bundle)
        scores = score_images(compiled, images, spec.inputs[0], advance, pose=pose, on_misfit=misfit).scores.copy()
        scores[misfits] = np.nan
        return scores
    goldens = None if golden is None else [golden] * len(images)
    found = detect_images(compiled, images, spec, goldens, advance, misfit)
    scores = np.array([one.frame_score for one in found], np.float32)
    scores[misfits] = np.nan
    return scores


def _scores(
    compiled: Mapping[Precision, ov.CompiledModel], frames: StationFrames, bundle: Bundle, progress: Progress
) -> tuple[GateScores, GateScores]:
    """Of the frames that both could judge."""

    def seen(images: Pictures) -> tuple[FloatArray, FloatArray]:
        pair = [frame_scores(one, images, bundle, frames.golden, progress.advance) for one in compiled.values()]
        both = np.isfinite(pair[0]) & np.isfinite(pair[1])
        return pair[0][both], pair[1][both]

    good, bad = seen(frames.good), seen(frames.defective)
    return GateScores(good[0], bad[0]), GateScores(good[1], bad[1])


def _judge(fp32: GateScores, int8: GateScores, *, labelled: bool) -> AnyGate:
    if not labelled:
        return judge(fp32, int8)
    drop = auroc_drop((fp32.good, fp32.defective), (int8.good, int8.defective))
    before, after = (auroc(one.good, one.defective).value for one in (fp32, int8))
    cases = (
        turned("defective images", fp32.defective >= THRESHOLD, int8.defective >= THRESHOLD),
        turned("good images", fp32.good < THRESHOLD, int8.good < THRESHOLD),
    )
    count, bad = len(fp32), len(fp32.defective)
    return judge_labelled(Measured("auroc", before, after, drop, count, bad, cases, unit="defective images"))


def _inputs(frame: Path | Image, golden: Image | None, bundle: Bundle) -> Inputs | None:
    """The frame as the graph takes it, of a tiled one the middle tile; None where the reference does not fit."""
    image, spec = read_image(frame) if isinstance(frame, Path) else frame, bundle.spec
    try:
        if spec.kind is not Kind.DETECTOR:
            return {spec.inputs[0].name: model_input(image, spec.inputs[0], pose_of(bundle))}
        laid = Golden(golden, spec.alignment).onto(image) if spec.compares and golden is not None else None
    except AlignmentError:
        return None
    cut = tiles(image.shape[1], image.shape[0], spec.tiling)
    inputs, _ = model_inputs(image, laid, cut[len(cut) // 2], spec)
    return {name: pixels[0] for name, pixels in inputs.items()}


def _entry(compiled: ov.CompiledModel, case: SelftestCase, bundle: Bundle) -> SelftestEntry:
    """What a graph says of a frame of the release's."""
    spec = bundle.spec
    if spec.kind is Kind.DETECTOR:
        (found,) = detect_images(compiled, [case.frame], spec, [case.reference])
        return expected_findings(case.frame, found, case.reference)
    if spec.kind is Kind.CLASSIFIER:
        values = [float(score) for score in classify_images(compiled, [case.frame], spec).scores[0]]
        return SelftestEntry(frame=case.frame.name, score=max(values), tolerance=case.tolerance, scores=values)
    score = float(score_images(compiled, [case.frame], spec.inputs[0], pose=pose_of(bundle)).scores[0])
    return SelftestEntry(frame=case.frame.name, score=score, tolerance=case.tolerance)


def _differ(case: SelftestCase, entry: SelftestEntry) -> bool:
    return (entry.score >= THRESHOLD) != (case.score >= THRESHOLD)
