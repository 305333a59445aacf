"""The release under way, as a file: whole or not there, so that the station goes on where it was.

Beside it stand those that decide for other products, or did when another offer came: the cloud may still want one back.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cloud_sync.wire.messages import Job
from edge.config import StationConfig
from edge.domain.errors import StorageError
from edge.release.course import Course, Phase
from models.durable import replace_file

log = structlog.get_logger()
_OTHERS_MOST = 16


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_: Literal["inspectd/release/1"] = "inspectd/release/1"
    course: Course | None = None
    others: list[Course] = []


_KEPT = TypeAdapter(_Kept)


class KeptCourse:
    """The file; one thread's alone. One that cannot be read is no reason not to inspect: then nothing is under way.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._kept = _read(path)
        except StorageError as error:
            log.error("how far a release came is not known any more", why=str(error))
            self._kept = _Kept()

    @property
    def course(self) -> Course | None:
        """Where it stands."""
        return self._kept.course

    @property
    def others(self) -> list[Course]:
        """Those beside it that decide, or did when another offer came."""
        return self._kept.others

    def begun(self, job: Job) -> Course:
        """Where an offer stands that takes the place of another one: at its beginning, or where it was."""
        held = next((one for one in self._kept.others if one.job.is_same(job)), None)
        return Course(job) if held is None else replace(held, job=job)

    def before(self, bundle: str, version: int) -> int:
        """What decided before this version, by the offer with which it came; 0 where that is not known any more."""
        known = [*self._kept.others, *([self._kept.course] if self._kept.course else [])]
        found = [
            one.before for one in known if (one.bundle, one.version) == (bundle, version) and one.before != version
        ]
        return found[-1] if found else 0

    def keep(self, course: Course) -> None:
        """From now on it stands here. Raises StorageError; then it stands where it stood."""
        before = self._kept.course
        known = (
            [*self._kept.others] if before is None or before.phase is not Phase.LIVE else [*self._kept.others, before]
        )
        others = [one for one in known if not one.job.is_same(course.job)]
        kept = _Kept(course=course, others=others[-_OTHERS_MOST:])
        try:
            replace_file(self._path, _KEPT.dump_json(kept, indent=1, by_alias=True))
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror or error}: make room") from error
        self._kept = kept


def course_path(config: StationConfig) -> Path:
    """Where a station keeps it."""
    return config.station.data_dir / "release.json"


def _read(path: Path) -> _Kept:
    try:
        return _KEPT.validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Kept()
    except (OSError, ValidationError) as error:
        raise StorageError(f"{path} cannot be read: remove it, then the release is offered anew ({error})") from error
