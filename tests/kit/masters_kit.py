"""What tests of master parts need: a station with some, models that are wrong, and who kills an `add`."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
from station_kit import Station, bad_frame, good_frame, make_bundle, write_frames

from edge.masters.store import MasterStore, NewMaster

AT = datetime(2026, 7, 1, 6, tzinfo=UTC)


def new(file: Path, name: str = "", *, good: bool = True, camera: str = "top", expect: str | None = None) -> NewMaster:
    return NewMaster(file, name or file.stem, camera, good, "anna", AT, expect)


def pictures(folder: Path) -> tuple[Path, Path]:
    """(good, bad) picture files."""
    folder.mkdir(parents=True, exist_ok=True)
    good, bad = folder / "fine.png", folder / "blot.png"
    cv2.imwrite(str(good), good_frame(seed=101))
    cv2.imwrite(str(bad), bad_frame(seed=102))
    return good, bad


def add_masters(station: Station) -> MasterStore:
    """One good and one bad master part of product `blob`."""
    good, bad = pictures(station.folder / "pictures")
    store = MasterStore(station.folder / "data", "blob")
    store.add([new(good), new(bad, good=False, expect="anomaly")])
    return store


def masters_station(folder: Path, masters: str = "", recipe: str = "") -> Station:
    """A station with the blob bundle, frames and two master parts; `masters` stands in [product.masters]."""
    station = Station(folder / "station", settings={"line": {"deadline_ms": 4000}, "camera": {"timeout_ms": 3000}})
    text = station.write_config().read_text()
    station.config.write_text(text + (f"[product.masters]\n{masters}\n" if masters else "") + recipe)
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 6)
    add_masters(station)
    return station


def add_until_killed(folder: Path, good: Path, bad: Path) -> None:
    """Add `bad` to a store that holds `good` again and again, each time killed before a later write to disk."""
    for deadly in range(1, 20):
        root = folder / str(deadly)
        MasterStore(root, "blob").add([new(good)])
        child = os.fork()
        if not child:
            _kill_before(deadly)
            MasterStore(root, "blob").add([new(bad, good=False)])
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            sys.stdout.write(str(deadly))
            return


def _kill_before(deadly: int) -> None:
    """End this process before its so-manieth fsync or rename."""
    left = deadly
    fsync, replace = os.fsync, os.replace

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_fsync(fd: int) -> None:
        count()
        fsync(fd)

    def counted_replace(source: str, target: str) -> None:
        count()
        replace(source, target)

    os.fsync, os.replace = counted_fsync, counted_replace  # type: ignore[assignment]


if __name__ == "__main__":
    add_until_killed(*map(Path, sys.argv[1:]))
