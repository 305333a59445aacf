"""What a bench found: rows of figures, and all that one must know to judge them. Plain data."""

from dataclasses import asdict, dataclass, field

from edge.bench.figures import Latency
from edge.bench.settings import Pace, Setting
from models.spec import ModelId

SCHEMA = "inspectd.bench.v1"
LATE = "deadline_passed"


@dataclass(frozen=True, slots=True)
class Alone:
    """OpenVINO by itself: images per second of benchmark_app with the station's graph, precision and plan."""

    images_per_s: float
    median_ms: float
    threads: int
    streams: int
    requests: int


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one setting.

    Args:
        setting: what ran.
        pace: how parts came.
        rate_hz: parts per second asked for; None where they came as fast as told.
        in_flight: parts that might wait at once.
        seconds: it took.
        parts: triggered.
        parts_per_s: as the line saw it.
        alone: OpenVINO by itself, just before.
        ratio_to_openvino: images per second over what OpenVINO alone reached; None where a pace was kept.
        told: how long the line waited.
        verdicts: how often each was told.
        undecided_reasons: why parts were UNDECIDED.
        untold: parts without any answer.
        tail: (milliseconds, share of parts that waited longer).
    """

    setting: Setting
    pace: Pace
    rate_hz: float | None
    in_flight: int
    seconds: float
    parts: int
    parts_per_s: float
    alone: Alone
    ratio_to_openvino: float | None
    told: Latency
    verdicts: dict[str, int]
    undecided_reasons: dict[str, int]
    untold: int
    tail: tuple[tuple[float, float], ...] = ()

    @property
    def undecided(self) -> int:
        """Parts that were not judged."""
        return self.verdicts.get("UNDECIDED", 0)

    @property
    def late(self) -> int:
        """Parts that were UNDECIDED because their time was over."""
        return self.undecided_reasons.get(LATE, 0)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        plain = asdict(self)
        return {
            **plain.pop("setting"),
            "openvino_alone": plain.pop("alone"),
            **plain,
            "told": {f"{name}_ms" if name != "parts" else name: value for name, value in self.told.as_json().items()},
            "undecided": self.undecided,
            "late": self.late,
            "tail": [list(point) for point in self.tail],
        }


@dataclass(frozen=True, slots=True)
class BenchResult:
    """The whole of a bench.

    Args:
        station: its id.
        product: which was measured.
        model: which bundle.
        machine: processor, CPUs, versions.
        frames: where they are from, how many, how large.
        rows: in the order they ran.
        missing: what could not be measured, and why.
        warnings: what may have disturbed the figures.
        seconds: the whole bench took.
    """

    station: str
    product: str
    model: ModelId
    machine: dict[str, object]
    frames: dict[str, object]
    rows: tuple[Row, ...]
    missing: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every part was judged and told in every run."""
        return not any(row.undecided or row.untold for row in self.rows)

    @property
    def verdict(self) -> str:
        """One sentence for a person."""
        undecided, untold = (sum(getattr(row, what) for row in self.rows) for what in ("undecided", "untold"))
        parts = sum(row.parts for row in self.rows)
        if self.ok:
            return f"all {parts} parts were judged and told"
        reasons = sorted({reason for row in self.rows for reason in row.undecided_reasons})
        return f"of {parts} parts {undecided} were UNDECIDED ({', '.join(reasons)}) and {untold} untold"

    def as_json(self) -> dict[str, object]:
        """Plain values, for `--json` and bench.json."""
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "verdict": self.verdict,
            "station": self.station,
            "product": self.product,
            "model": asdict(self.model),
            "machine": self.machine,
            "frames": self.frames,
            "rows": [row.as_json() for row in self.rows],
            "missing": self.missing,
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 1),
        }
