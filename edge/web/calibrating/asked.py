"""What an engineer asks of `edge calibrate` on a page, as its command line. Pure."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Key = Annotated[str, Field(max_length=300)]
_Percent = Annotated[float, Field(gt=0, lt=100, allow_inf_nan=False)]


class Asked(BaseModel):
    """The form.

    Args:
        source: `live`, `passed`, or the key of a folder.
        parts: of `live` and `passed`: how many frames.
        pace: of `live`: when a frame is another part's.
        defects: the key of a folder with bad parts' pictures; empty for none.
        overkill_percent: good parts that may be rejected.
        confidence_percent: how sure that must be.
        escape_percent: bad parts that may pass; None asks for nothing.
        what: the model, or the camera's checks alone.
        anew: throw away what an interrupted run took with a camera.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    product: _Key
    source: _Key
    camera: _Key = ""
    parts: Annotated[int, Field(ge=1, le=5000)] = 200
    pace: Literal["passing", "by_hand", "every_frame"] = "passing"
    limit_min: Annotated[float, Field(ge=0.1, le=240, allow_inf_nan=False)] = 10
    defects: _Key = ""
    overkill_percent: _Percent = 2
    confidence_percent: _Percent = 95
    escape_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | Literal[""] | None = None
    what: Literal["model", "checks"] = "model"
    fast: bool = False
    align: bool = False
    study: bool = False
    tune: bool = False
    activate: bool = False
    anew: bool = False


def words_of(asked: Asked, config: Path, frames: Path | None, defects: Path | None) -> list[str]:
    """The command line after `edge`.

    Args:
        asked: the form.
        config: the station's file.
        frames: the folder that was chosen; None where the camera takes them now.
        defects: the folder with bad parts' pictures, if one was chosen.
    """
    words = ["calibrate", "-c", str(config), "--product", asked.product, *_frames(asked, frames)]
    words += ["--camera", asked.camera] if asked.camera else []
    if asked.what == "checks":
        words.append("--checks-only")
    else:
        words += _model(asked, defects)
    return [*words, "--progress-lines", "--json"]


def resume_words(config: Path, product: str) -> list[str]:
    """Go on with the calibration of a product that was interrupted."""
    return ["calibrate", "-c", str(config), "--product", product, "--resume", "--progress-lines", "--json"]


def checks_words(config: Path, product: str, camera: str, frames: Path) -> list[str]:
    """Learn a camera's checks from frames that a calibration used."""
    words = ["calibrate", "-c", str(config), "--product", product, "--from", str(frames), "--checks-only"]
    return [*words, *(["--camera", camera] if camera else []), "--progress-lines", "--json"]


def _frames(asked: Asked, frames: Path | None) -> list[str]:
    if frames is not None:
        return ["--from", str(frames)]
    words = ["--live", str(asked.parts), "--limit-s", f"{asked.limit_min * 60:g}"]
    return words + {"passing": [], "by_hand": ["--by-hand"], "every_frame": ["--every-frame"]}[asked.pace]


def _model(asked: Asked, defects: Path | None) -> list[str]:
    words = [
        *("--overkill", f"{asked.overkill_percent / 100:g}", "--confidence", f"{asked.confidence_percent / 100:g}"),
        "--activate" if asked.activate else "--no-activate",
        "--study" if asked.study else "--no-study",
    ]
    words += [] if asked.tune else ["--tune-s", "0"]
    words += ["--escape", f"{asked.escape_percent / 100:g}"] if isinstance(asked.escape_percent, float) else []
    words += ["--defects", str(defects)] if defects is not None else []
    return words + [f"--{name}" for name in ("fast", "align", "anew") if getattr(asked, name)]
