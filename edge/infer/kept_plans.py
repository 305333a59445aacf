"""The plans that `edge tune` found, kept in the data folder: one file for each model on this machine as it was then.

- A plan holds only for the machine, share of it, model, cameras and time limit that it was measured with: its key.
- A file that cannot be used is no reason not to run: the station takes its default and says why.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.domain.errors import StorageError
from edge.infer.plan import Plan
from models.bundle import Bundle
from models.cpus import CpuGrant, cpu_grant, cpu_model
from models.durable import replace_file

_SCHEMA = "inspectd.plan.v1"
_DIGITS = 16
_MAX_BYTES = 1 << 20
_Count = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What a plan holds for; another value of any field makes it a plan of something else.

    Args:
        cpu: the processor's name.
        cpus: CPUs' worth of computing that are granted, such as 1.5.
        logical: logical CPUs the process may run on.
        cores: physical cores among them.
        nodes: NUMA nodes they lie on.
        openvino: its version.
        graph_sha256: of the graph and its weights.
        precision: of the bundle.
        cameras: whose frames come at once.
        limit_ms: from trigger to decision.
    """

    cpu: str
    cpus: float
    logical: int
    cores: int
    nodes: int
    openvino: str
    graph_sha256: str
    precision: str
    cameras: int
    limit_ms: float

    @property
    def digest(self) -> str:
        """Names the key's file."""
        return hashlib.sha256(repr(asdict(self)).encode()).hexdigest()[:_DIGITS]

    def differences(self, now: "PlanKey") -> list[str]:
        """What has changed since, in words: name, what it was, what it is."""
        return _differences(asdict(self), asdict(now))

    def machine_differences(self, now: Mapping[str, object]) -> list[str]:
        """The same for what `machine_now` gives."""
        return _differences({name: value for name, value in asdict(self).items() if name in now}, now)


@dataclass(frozen=True, slots=True)
class Found:
    """The kept plan, or why there is none that holds."""

    plan: Plan | None
    why: str


class _PlanEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: _Count
    streams: _Count
    requests: _Count
    per_frame: _Count
    pinning: bool


class _KeyEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cpu: str
    cpus: Annotated[float, Field(gt=0)]
    logical: _Count
    cores: _Count
    nodes: _Count
    openvino: str
    graph_sha256: str
    precision: str
    cameras: _Count
    limit_ms: float


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["inspectd.plan.v1"] = Field(alias="schema")
    key: _KeyEntry
    plan: _PlanEntry
    parts_per_s: float
    tuned_at: datetime


def key_of(bundle: Bundle, grant: CpuGrant, cameras: int, limit_ms: float) -> PlanKey:
    """What a plan for this bundle holds for, here and now."""
    files = bundle.manifest.files
    graph = hashlib.sha256("".join(files[name].sha256 for name in ("model.xml", "model.bin")).encode()).hexdigest()
    return PlanKey(*_machine(grant), graph, bundle.precision.value, cameras, limit_ms)


def machine_now() -> dict[str, object]:
    """The part of a key that is of the machine and this process's share of it."""
    return dict(zip(PlanKey.__slots__, _machine(cpu_grant()), strict=False))


def _machine(grant: CpuGrant) -> tuple[str, float, int, int, int, str]:
    share = round(grant.amount, 3), len(grant.cpus), grant.cores, grant.nodes
    return cpu_model(), *share, metadata.version("openvino")


def keep_plan(folder: Path, key: PlanKey, plan: Plan, parts_per_s: float, tuned_at: datetime) -> Path:
    """Write the plan, whole and on disk or not at all; one of the same key is replaced. Raises StorageError."""
    entry = {name: value for name, value in plan.as_json().items() if name in _PlanEntry.model_fields}
    content = _File.model_validate(
        {"schema": _SCHEMA, "key": asdict(key), "plan": entry, "parts_per_s": parts_per_s, "tuned_at": tuned_at}
    )
    path = folder / f"{key.graph_sha256[:_DIGITS]}-{key.digest}.json"
    try:
        replace_file(path, content.model_dump_json(by_alias=True, indent=1))
    except OSError as error:
        raise StorageError(f"cannot keep the plan {path}: {error.strerror}") from error
    return path


def find_plan(folder: Path, key: PlanKey) -> Found:
    """The plan kept for this key; else the nearest one of the same graph tells what has changed. Never raises."""
    others: list[list[str]] = []
    damaged = ""
    for path in sorted(folder.glob(f"{key.graph_sha256[:_DIGITS]}-*.json")):
        read = _read(path)
        if isinstance(read, str):
            damaged = f"the kept plan {path} cannot be used ({read}): run `edge tune` again"
            continue
        kept, plan = read
        if kept == key:
            return Found(plan, "tuned for this machine, model and cameras")
        others.append(kept.differences(key))
    if damaged or not others:
        return Found(None, damaged or "no plan is kept for this model: run `edge tune`")
    nearest = min(others, key=len)
    return Found(None, f"the kept plan is of something else ({'; '.join(nearest)}): run `edge tune` as the daemon runs")


def kept_plans(folder: Path) -> Iterator[tuple[Path, PlanKey | str]]:
    """Every kept plan: its file, and its key or why it cannot be used."""
    for path in sorted(folder.glob("*.json")):
        read = _read(path)
        yield path, read if isinstance(read, str) else read[0]


def _read(path: Path) -> tuple[PlanKey, Plan] | str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return "far too large"
        file = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        return error.strerror or "unreadable"
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the whole file'}: {first['msg']}"
    return PlanKey(**file.key.model_dump()), Plan(**file.plan.model_dump(), origin="tuned")


def _differences(then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return [f"{name} {_short(then[name])}, now {_short(now[name])}" for name in then if then[name] != now[name]]


def _short(value: object) -> str:
    return f"{value:.12}" if isinstance(value, str) and len(value) > 2 * _DIGITS else f"{value}"
