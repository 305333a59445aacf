"""What `bundle.json` holds: everything a bundle claims of itself. Unknown keys are refused."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer

from models.networks.suppression import SUPPRESSION
from models.spec import Fit, InputSpec, Kind, Precision

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")]
BUNDLE_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
BundleName = Annotated[str, StringConstraints(pattern=BUNDLE_NAME)]


PrecisionName = Literal["fp32", "bf16", "int8"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """One file of the bundle, with what it must be."""

    sha256: Digest
    size_bytes: Annotated[int, Field(ge=0)]


class InputEntry(_Strict):
    """One input of the graph: (1, height, width, 3) uint8 BGR, letterboxed onto `pad_value` or stretched."""

    name: str
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    pad_value: Annotated[int, Field(ge=0, le=255)] = 114
    fit: Fit = Fit.LETTERBOX

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Letterboxed is left unsaid, so that a station of before still takes what is new in nothing else."""
        return {name: value for name, value in dump(self).items() if (name, value) != ("fit", Fit.LETTERBOX)}

    @classmethod
    def of(cls, spec: InputSpec) -> "InputEntry":
        """The entry that says this."""
        return cls(name=spec.name, height=spec.height, width=spec.width, pad_value=spec.pad_value, fit=spec.fit)

    @property
    def spec(self) -> InputSpec:
        """What it says."""
        return InputSpec(self.name, self.height, self.width, self.pad_value, self.fit)


class Rate(_Strict):
    """A share and the interval that holds the true one with 95 % confidence."""

    value: float
    low: float
    high: float


class Metrics(_Strict):
    """What one precision reached on the gate's frames; AUROC on synthetic defects unless labels were given."""

    auroc: float
    auroc_low: float
    auroc_high: float
    good_frames: int
    defect_frames: int
    synthetic: bool


class DetectorMetrics(_Strict):
    """What one precision of a detector reached on held-out labelled frames, at its threshold; rates with intervals."""

    map50: float
    map50_95: float
    pooled_map33: float
    ap50: dict[str, float]
    images: int
    boxes: int
    escape: Rate | None = None
    overkill: Rate | None = None
    missed: Rate | None = None


class DetectorThreshold(_Strict):
    """The network's own probability that leaves the graph as 0.5, what chose it, and what is never reported.

    `lowest_raw_score` is the probability below which the graph drops a finding, `most_findings` how many leave it.
    """

    raw_score: Annotated[float, Field(gt=0, lt=1)]
    chosen_by: str
    lowest_raw_score: Annotated[float, Field(gt=0, lt=1)] = SUPPRESSION.min_score
    most_findings: Annotated[int, Field(ge=1)] = SUPPRESSION.most


class ClassifierMetrics(_Strict):
    """What one precision of a classifier reached on held-out frames; `ece` is how far probabilities are off."""

    auroc: Rate
    auroc_by_class: dict[str, float]
    accuracy: Rate
    balanced_accuracy: float
    ece: float
    images: int
    defective_images: int
    escape: Rate | None = None
    overkill: Rate | None = None


class ClassifierThreshold(_Strict):
    """The calibrated probability of any defect that leaves the graph as 0.5, what chose it, and the calibration.

    A logit against good is `scale` times the network's own, plus its class's of `shifts`.
    """

    probability: Annotated[float, Field(gt=0, lt=1)]
    chosen_by: str
    scale: Annotated[float, Field(gt=0)] = 1.0
    shifts: list[float] = []


class TilingEntry(_Strict):
    """How frames larger than a tile are cut, in frame pixels."""

    tile_px: Annotated[int, Field(ge=32)]
    overlap_px: Annotated[int, Field(ge=0)]


class AlignmentEntry(_Strict):
    """How far a frame may lie beside its reference, and how alike they must then be, before it is UNDECIDED.

    `reference` is the bundle's own picture that frames are laid on; a detector that compares has each product's.
    """

    max_shift_px: Annotated[float, Field(ge=0)]
    min_correlation: Annotated[float, Field(ge=0, le=1)]
    reference: FileName | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No reference is left unsaid. A station of before refuses one: it would judge frames as they come."""
        return {name: value for name, value in dump(self).items() if value is not None}


class Threshold(_Strict):
    """Where 0.5 lies, and what overkill rate is proven there."""

    distance: Annotated[float, Field(gt=0)]
    target_rate: float
    confidence: float
    proven_rate: float
    held_out: int
    rejected: int
    needed: int


class DeclaredThreshold(_Strict):
    """The raw value of an imported anomaly graph that leaves the bundle as 0.5, on the scale that its head declares."""

    raw_value: float
    values: Literal["distance", "probability", "logit"]
    chosen_by: str


class ImportedEntry(_Strict):
    """The file that an imported graph was made from; `head.toml` in the bundle says how."""

    file: str
    sha256: Digest


class GateRecord(_Strict):
    """What the INT8 gate answered: passed, not proven (used, but with too few images) or failed."""

    outcome: Literal["passed", "not proven", "failed", "not run"]
    reason: str
    images: int
    auroc_drop: float | None = None
    auroc_drop_low: float | None = None
    auroc_drop_high: float | None = None
    agreement: float | None = None
    agreement_low: float | None = None
    agreement_high: float | None = None
    budget: float | None = None
    metric: str | None = None
    metric_drop: float | None = None
    metric_drop_low: float | None = None
    metric_drop_high: float | None = None
    boxes: int | None = None
    step: Literal["ptq", "ptq-partial", "accuracy-aware", "qat", "bf16", "fp32"] | None = None
    trials: dict[str, str] | None = None


class FindingEntry(_Strict):
    """One detection that a self-test frame must give."""

    box_xyxy: Annotated[list[float], Field(min_length=4, max_length=4)]
    score: Annotated[float, Field(ge=0, le=1)]
    class_id: Annotated[int, Field(ge=0)]


class SelftestEntry(_Strict):
    """One frame of the self-test and what it must give.

    That is the score, a detector's findings from 0.5 on, or a classifier's score of every class.
    """

    frame: FileName
    score: Annotated[float, Field(ge=0, le=1)]
    tolerance: Annotated[float, Field(gt=0, lt=0.5)]
    reference: FileName | None = None
    findings: list[FindingEntry] | None = None
    scores: list[Annotated[float, Field(ge=0, le=1)]] | None = None


class SelftestFile(_Strict):
    """What `selftest/expected.json` holds."""

    cases: Annotated[list[SelftestEntry], Field(min_length=1)]


class Manifest(_Strict):
    """A bundle's manifest; its own bytes are what the bundle's digest covers."""

    schema_: Annotated[Literal["inspectd/bundle/1"], Field(alias="schema")] = "inspectd/bundle/1"
    id: BundleName
    kind: Kind
    version: Annotated[int, Field(ge=1)]
    classes: Annotated[list[str], Field(min_length=1)]
    inputs: Annotated[list[InputEntry], Field(min_length=1)]
    precision: Precision
    parent: Digest | None = None
    dataset_sha256: Digest
    metrics: dict[PrecisionName, Metrics | DetectorMetrics | ClassifierMetrics]
    thresholds: dict[PrecisionName, Threshold | DetectorThreshold | DeclaredThreshold | ClassifierThreshold]
    gate: GateRecord
    tiling: TilingEntry | None = None
    alignment: AlignmentEntry | None = None
    imported: ImportedEntry | None = None
    tools: dict[str, str]
    created_at: datetime
    files: dict[FileName, FileEntry]

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)
