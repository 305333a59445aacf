"""Old versions and old files of releases, taken away once a release is settled. What may be needed again stays.

Kept are the active version and the one before it, what runs, what any offer of the cloud may still want back, and as
many more as station.toml says.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import structlog

from edge.config import StationConfig
from edge.release.course import Course
from models import bundle_store
from models.archive import SUFFIX
from models.errors import ModelError

log = structlog.get_logger()


def prune(config: StationConfig, bundle_id: str, courses: Collection[Course], running: Collection[int]) -> None:
    """Take away what is old of a bundle. What the disk refuses is logged: it is tried again with the next release.

    Args:
        config: says where they lie, and how many stay.
        bundle_id: whose versions.
        courses: every offer that is known: what each brought, and what decided before it, stays.
        running: versions that are loaded.
    """
    more = config.release.keep_versions
    try:
        stored = [one for one in bundle_store.list_bundles(config.bundles_dir) if one.id == bundle_id]
        in_use = {number for one in courses if one.bundle == bundle_id for number in (one.version, one.before)}
        in_use |= {*running, *(one.version for one in stored if one.active or one.previous)}
        others = [one.version for one in stored if one.version not in in_use]
        keep = {*in_use, *others[len(others) - min(more, len(others)) :]}
        for number in bundle_store.prune(config.bundles_dir, bundle_id, keep):
            log.info("an old version is taken away", bundle=bundle_id, version=number)
        for path in _old_files(config.releases_dir, {one.job.name for one in courses}, more):
            path.unlink(missing_ok=True)
            log.info("an old release is taken away", name=path.name)
    except (ModelError, OSError) as error:
        log.warning("old releases are not taken away", why=str(error))


def _old_files(folder: Path, names: Collection[str], more: int) -> Iterator[Path]:
    files = [path for path in folder.glob(f"*{SUFFIX}") if path.name not in names] if folder.is_dir() else []
    newest = sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    yield from newest[more:]
