"""`cloud train --kind anomaly`, top-down: read, split, fit, threshold, gate, figures, bundle. No torch."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.anomaly.bench import Choice, FrameSets, Trial, Workbench
from models.anomaly.figures import PartExam, PartFigures, measure, part_exam
from models.anomaly.fit import FULL_FRAMES, SIDE_PX, input_for
from models.anomaly.packaging import Provenance, package
from models.anomaly.page import part_page
from models.bundle import Bundle
from models.dataset.errors import DatasetError
from models.dataset.good_parts import split_good_parts
from models.dataset.learnable import Division
from models.dataset.reading import read_dataset
from models.dataset.snapshot import digest
from models.dataset.splits import Splits, groups_of
from models.errors import RequestError
from models.evaluate import auroc, shown
from models.evaluation.scored_page import PageHead, ScoredPage, write_scored_page
from models.gate import Outcome
from models.networks.anomaly import feature_graph
from models.networks.weights import read_weights
from models.packaging import name_of
from models.pose import Pose
from models.progress import Progress
from models.scoring import Scored, rejected
from models.scratch import TRAINING, scratch_folder
from models.spec import InputSpec, Kind, Precision

OVERKILL, CONFIDENCE = 0.02, 0.95
LARGEST_PX = 512
_RANGES = 100
_LEAST_GOOD = 2


@dataclass(frozen=True, slots=True)
class PartRequest:
    """What to learn, of what.

    Args:
        data: the dataset's folder, of any form that `read_dataset` knows; defects serve to judge by.
        out: the bundle's folder; must not exist. `.../tiles/v3` is version 3 of `tiles`.
        division: how the data is divided: learned from are good images of train, the threshold is set by those of val.
        size_px: side of a square input of as many pixels; None: 256.
    """

    data: Path
    out: Path
    division: Division = field(default_factory=Division)
    size_px: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MadeParts:
    """What came of it."""

    bundle: Bundle
    choice: Choice
    figures: PartFigures
    fp32: PartFigures
    splits: Splits
    seconds: dict[str, float]

    def as_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        own, proof = self.bundle, self.choice.chosen.candidate.proof
        return {
            "bundle": str(own.path),
            "id": own.model_id.id,
            "version": own.model_id.version,
            "sha256": own.model_id.sha256,
            "kind": Kind.ANOMALY.value,
            "precision": own.precision.value,
            "gate": own.manifest.gate.model_dump(exclude_none=True),
            "figures": self.figures.as_json(),
            "fp32": self.fp32.as_json(),
            "overkill_proven": proof.proven_rate,
            "speed_ms": {str(name): round(value, 3) for name, value in self.choice.speed_ms.items()},
            "left_out": self.names(self.choice.left_out),
            "doubtful": self.names(self.choice.doubtful),
            "split": {"by": self.splits.by, "groups": self.splits.groups, **{n: len(p) for n, p in self.splits}},
            "dataset_sha256": own.manifest.dataset_sha256,
            "seconds": self.seconds,
        }

    def names(self, paths: Sequence[Path]) -> list[str]:
        """Of these images in the dataset."""
        known = {image.path: image.name for _, part in self.splits for image in part.images}
        return [known[path] for path in paths]

    @property
    def lines(self) -> Sequence[str]:
        """What the command says without `--json`."""
        gate = self.bundle.manifest.gate
        return (
            f"bundle {self.bundle.path}: {self.bundle.precision.value}, gate {gate.outcome} ({gate.reason})",
            *self.figures.lines,
            f"threshold: {self.choice.chosen.candidate.proof}",
            *(f"looks like no other good part, not learned from: {one}" for one in self.names(self.choice.left_out)),
            *(f"far above all other good parts, a bad one? {one}" for one in self.names(self.choice.doubtful)),
            f"report: {self.bundle.path / 'report.html'}",
        )


def run_parts(request: PartRequest, progress: Progress) -> MadeParts:
    """Make an anomaly bundle of a dataset's good parts, and judge it by its defects.

    Raises:
        DatasetError: the dataset or its split will not do.
        RequestError: an input larger than 512.
        ModelError: the target exists, the weights are missing, or a library refuses.
    """
    if request.size_px is not None and request.size_px > LARGEST_PX:
        raise RequestError(
            f"anomaly: an input of {request.size_px} x {request.size_px} pixels, expected {LARGEST_PX} at most: the "
            "features of all good parts are held at once; larger than 256 was no better where it was measured"
        )
    splits = read_splits(request.data, request.division, progress)
    sizes = [(image.width, image.height) for image in splits.train.images]
    return make_parts(request, splits, input_for(sizes, request.size_px or SIDE_PX), None, progress)


def read_splits(data: Path, division: Division, progress: Progress) -> Splits:
    """The dataset's good parts to learn from, and all else to judge by. Raises DatasetError."""
    progress.stage("read", 1)
    splits = split_good_parts(read_dataset(data), division)
    progress.advance()
    return splits


def make_parts(
    request: PartRequest,
    splits: Splits,
    spec: InputSpec,
    parent: str | None,
    progress: Progress,
    pose: Pose | None = None,
) -> MadeParts:
    """Fit, prove and write a bundle of these splits, which may be the child of another. Raises as `run_parts`."""
    name, version = name_of(request.out)
    started_s = time.monotonic()
    exam = part_exam(splits.test)
    bench = Workbench(
        _sets(splits, exam, request.division.seed),
        spec,
        FULL_FRAMES,
        (OVERKILL, CONFIDENCE),
        request.division.seed,
        0,
        progress,
        pose,
    )
    choice = bench.choose(feature_graph(read_weights(), spec))
    seconds = {"fit": round(time.monotonic() - started_s, 1)}
    found, fp32 = (_figures(exam, trial, bench) for trial in (choice.chosen, choice.trials[Precision.FP32]))
    origin = Provenance(name, version, digest(splits), datetime.now(UTC), parent)
    progress.stage("write", 1)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(request.out.parent, TRAINING) as folder:
        write_scored_page(folder / "report.html", _page(request, splits, choice, (found, spec)))
        bundle = package(folder, request.out, bench, choice, origin)
    progress.advance()
    return MadeParts(bundle, choice, found, fp32, splits, seconds)


def _sets(splits: Splits, exam: PartExam, seed: int) -> FrameSets:
    good = exam.part(defective=False).paths
    if len(good) < _LEAST_GOOD or len(splits.train) < _LEAST_GOOD:
        raise DatasetError(
            f"anomaly: {len(splits.train)} good images to learn from and {len(good)} to judge by, expected "
            f"{_LEAST_GOOD} or more of each: give more good parts"
        )
    learned = tuple(image.path for image in splits.train.images)
    order = np.random.default_rng(seed).permutation(len(learned))[:_RANGES]
    ranges = tuple(learned[int(index)] for index in np.sort(order))
    return FrameSets(learned, ranges, _one_of_each(splits), good, _defects(exam))


def _one_of_each(splits: Splits) -> tuple[Path, ...]:
    """One image of each group of val: the threshold's proof counts independent parts."""
    groups = groups_of(splits.val, splits.by)
    first = dict(zip(reversed(groups), reversed(splits.val.images), strict=True))
    return tuple(first[group].path for group in dict.fromkeys(groups))


def _defects(exam: PartExam) -> tuple[Path, ...]:
    """The labelled defects to judge by; one alone shows nothing, so then they are painted."""
    paths = exam.part(defective=True).paths
    return paths if len(paths) >= _LEAST_GOOD else ()


def _figures(exam: PartExam, trial: Trial, bench: Workbench) -> PartFigures:
    """Of all labelled images, a single defect too; painted defects are the gate's affair alone."""
    spec, candidate = bench.spec, trial.candidate
    if not _defects(exam):
        return measure(exam, bench.runner.scores(candidate.graph, candidate.precision, exam.paths, rejected), spec)
    parts = (trial.good, trial.defective)
    scored = Scored(
        np.concatenate([one.scores for one in parts]),
        np.concatenate([one.maps for one in parts]),
        sum((one.places for one in parts), ()),
    )
    return measure(exam, scored, spec)


def _page(request: PartRequest, splits: Splits, choice: Choice, found: tuple[PartFigures, InputSpec]) -> ScoredPage:
    parts = ", ".join(f"{name} {len(part)} images" for name, part in splits)
    proof = choice.chosen.candidate.proof
    story = [
        ("Data", f"{request.data.name}, {splits.train.form}, {splits.groups} groups by {splits.by}: {parts}"),
        ("Method", "statistics of EfficientNet-Lite0 features by place, from good images of train alone"),
        ("Input", f"{found[1].width} x {found[1].height}, stretched"),
        ("Threshold", f"{proof}; set by good images of val"),
        ("INT8 gate", f"{choice.gate.outcome}: {choice.gate.reason}"),
        *(("Not learned from", f"{path.name}: looks like no other good image") for path in choice.left_out),
        *(("Counts for the threshold", f"{path.name}: far above all others, a bad part?") for path in choice.doubtful),
    ]
    rows = [
        (str(name), f"{choice.speed_ms[name]:.2f}", str(auroc(trial.good.scores, trial.defective.scores)))
        for name, trial in choice.trials.items()
    ]
    fine = choice.gate.outcome is Outcome.PASSED and proof.meets_target and not found[0].notes
    title = f"{request.out.parent.name} {request.out.name}: anomaly model"
    headline = f"{choice.precision} runs; its gate: {choice.gate.outcome}. AUROC {shown(found[0].auroc)}."
    return part_page(PageHead(title, headline, fine, story), *found, rows)
