"""What an engineer asks of `edge calibrate` on a page: the form as it came, what it means, its command line. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

LIVE, PASSED, NONE = "live", "passed", "none"
_Key = Annotated[str, Field(max_length=300)]
BOUNDS: Mapping[str, tuple[float, float]] = {
    "parts": (1, 5000),
    "interval_ms": (0, 60_000),
    "limit_min": (0.1, 240),
    "overkill_percent": (0.01, 99),
    "confidence_percent": (1, 99.99),
    "escape_percent": (0, 100),
    "tune_s": (0, 3600),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a field: the key of its word, and what stands in it."""

    word: str
    values: Mapping[str, object] = field(default_factory=dict)


class Given(BaseModel):
    """The form as a browser sent it: a switch that is off, and a field that means nothing beside others, are left out.

    Each field is meant as in `Asked`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    what: _Key = "model"
    product: _Key = ""
    camera: _Key = ""
    bundle: _Key = ""
    source: _Key = ""
    parts: _Key | None = None
    pace: _Key = "passing"
    interval_ms: _Key | None = None
    limit_min: _Key | None = None
    defects: _Key = ""
    repeats: _Key = ""
    overkill_percent: _Key | None = None
    confidence_percent: _Key | None = None
    escape_percent: _Key = ""
    tune_s: _Key | None = None
    seed: _Key | None = None
    quantize: _Key = ""
    fast: _Key = ""
    align: _Key = ""
    study: _Key = ""
    activate: _Key = ""
    anew: _Key = ""


class Asked(BaseModel):
    """What the form means; where a field is left out the command's own default holds, but nothing becomes active.

    Args:
        what: learn the product, take a bundle of the station's store, or learn the camera's checks alone.
        bundle: `ID/VERSION` of the bundle to take.
        source: `live`, `passed`, `none` (a bundle can be taken without), or the key of a folder.
        parts: of `live` and `passed`: how many frames.
        pace: of `live`: when a frame is another part's.
        defects: the key of a folder with bad parts' pictures; empty for none.
        repeats: the key of a folder with repeated pictures of the same parts; empty for none.
        overkill_percent: good parts that may be rejected.
        confidence_percent: how sure that must be.
        escape_percent: bad parts that may pass; None asks for nothing.
        tune_s: how long to look for the best threads and streams; 0 leaves them.
        quantize: put a bundle's float graph into INT8 here.
        anew: throw away what an interrupted run took with a camera.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    product: _Key
    source: _Key
    what: Literal["model", "bundle", "checks"] = "model"
    camera: _Key = ""
    bundle: _Key = ""
    parts: int = 200
    pace: Literal["passing", "by_hand", "every_frame"] = "passing"
    interval_ms: float = 0
    limit_min: float = 10
    defects: _Key = ""
    repeats: _Key = ""
    overkill_percent: float = 2
    confidence_percent: float = 95
    escape_percent: float | None = None
    tune_s: float = 25
    seed: int = 0
    quantize: bool = False
    fast: bool = False
    align: bool = False
    study: bool = True
    activate: bool = False
    anew: bool = False

    @field_validator(*BOUNDS)
    @classmethod
    def _within(cls, value: float | None, info: ValidationInfo) -> float | None:
        low, high = BOUNDS[str(info.field_name)]
        if value is not None and not low <= value <= high:
            raise ValueError(f"{value} is not from {low} to {high}")
        return value


@dataclass(frozen=True, slots=True)
class Chosen:
    """The folders and the bundle that the form's keys name; None where it names none, or the camera takes frames."""

    frames: Path | None = None
    defects: Path | None = None
    repeats: Path | None = None
    bundle: Path | None = None


def usual() -> Given:
    """The form as it is shown first: the command's own defaults."""
    plain = Asked(product="", source="").model_dump(exclude_none=True)
    said = {name: _text(value) for name, value in plain.items()}
    return Given.model_validate(said)


def filled(given: Given) -> Given:
    """The form as it is shown again: what was left out is as usual."""
    return usual().model_copy(update=given.model_dump(exclude_none=True))


def read_asked(given: Given) -> tuple[Asked | None, dict[str, Wrong]]:
    """What a form means; None, and what is wrong by field, where it cannot be read."""
    plain = given.model_dump(exclude_none=True)
    if not given.escape_percent:
        del plain["escape_percent"]
    switches = (name for name, one in Asked.model_fields.items() if one.annotation is bool)
    try:
        return Asked.model_validate(plain | {name: plain[name] == "true" for name in switches}), {}
    except ValidationError as error:
        return None, {(name := str(one["loc"][0])): _wrong(name) for one in error.errors()}


def words_of(asked: Asked, config: Path, chosen: Chosen) -> list[str]:
    """The command line after `edge`; `config` is the station's file."""
    words = ["calibrate", "-c", str(config), "--product", asked.product]
    words += ["--bundle", str(chosen.bundle)] if chosen.bundle is not None else []
    words += _frames(asked, chosen.frames)
    words += ["--camera", asked.camera] if asked.camera else []
    words += ["--checks-only"] if asked.what == "checks" else _proof(asked, chosen)
    return [*words, "--progress-lines", "--json"]


def resume_words(config: Path, product: str) -> list[str]:
    """Go on with the calibration of a product that was interrupted."""
    return ["calibrate", "-c", str(config), "--product", product, "--resume", "--progress-lines", "--json"]


def checks_words(config: Path, product: str, camera: str, frames: Path) -> list[str]:
    """Learn a camera's checks from frames that a calibration used."""
    words = ["calibrate", "-c", str(config), "--product", product, "--from", str(frames), "--checks-only"]
    return [*words, *(["--camera", camera] if camera else []), "--progress-lines", "--json"]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrong(name: str) -> Wrong:
    if name not in BOUNDS:
        return Wrong("calibrate.wrong_choice")
    low, high = BOUNDS[name]
    return Wrong("calibrate.wrong_number", {"low": f"{low:.10g}", "high": f"{high:.10g}"})


def _frames(asked: Asked, frames: Path | None) -> list[str]:
    if frames is not None:
        return ["--from", str(frames)]
    if asked.source != LIVE:
        return []
    words = ["--live", str(asked.parts), "--limit-s", f"{asked.limit_min * 60:g}"]
    words += _unusual(asked, "interval_ms")
    return words + {"passing": [], "by_hand": ["--by-hand"], "every_frame": ["--every-frame"]}[asked.pace]


def _proof(asked: Asked, chosen: Chosen) -> list[str]:
    words = [
        *("--overkill", f"{asked.overkill_percent / 100:g}", "--confidence", f"{asked.confidence_percent / 100:g}"),
        "--activate" if asked.activate else "--no-activate",
        "--study" if asked.study else "--no-study",
        *_unusual(asked, "tune_s"),
        *_unusual(asked, "seed"),
    ]
    words += ["--escape", f"{asked.escape_percent / 100:g}"] if asked.escape_percent is not None else []
    for name, folder in (("--defects", chosen.defects), ("--repeats", chosen.repeats)):
        words += [name, str(folder)] if folder is not None else []
    switches = ("fast", "quantize") if asked.what == "bundle" else ("fast", "align", "anew")
    return words + [f"--{name}" for name in switches if getattr(asked, name)]


def _unusual(asked: Asked, name: str) -> list[str]:
    """An option that is not the command's default: what was not asked for does not stand in the report."""
    value = getattr(asked, name)
    return [] if value == Asked.model_fields[name].default else [f"--{name.replace('_', '-')}", f"{value:.10g}"]
