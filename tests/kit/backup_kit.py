"""A station with one of everything that a kit holds, and what a folder holds, to the byte."""

import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import cv2
from edge_kit import inspection, part
from masters_kit import add_masters
from spool_kit import fill
from station_kit import Station, good_frame, make_bundle

from edge.capture.scales import KeptScale, save_scale
from edge.domain.part import Verdict
from edge.record.database import open_database
from edge.record.inspections import insert_inspection, next_seq

KEY = "-----BEGIN PRIVATE KEY-----\nnobody else's business\n"
PASSWORD = "camera-password-7"  # noqa: S105 - of a camera that is none
LOGIN = "rtsp://eve:login-in-the-file@camera/1"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def make_station(folder: Path, parts: int = 30) -> Station:
    """A station that ran: its last two inspections are open, nothing was acknowledged."""
    settings = {"camera": {"source": LOGIN, "password_file": "top.password", "trigger": "free", "loop": False}}
    station = Station(folder, settings=settings)
    station.write_config()
    text = station.config.read_text() + "reference = 'golden.png'\n"
    station.config.write_text(f"# the old camera: {LOGIN}\n" + text)
    (folder / "top.password").write_text(PASSWORD)
    cv2.imwrite(str(folder / "golden.png"), good_frame())
    make_bundle(station.bundles)
    shutil.rmtree(station.bundles / ".source-blob-1")  # what it was made from
    data = folder / "data"
    add_masters(station)
    save_scale(data, _scale())
    (data / "plans").mkdir()
    (data / "plans" / "a-b.json").write_text("{}")
    (data / "checks" / "blob").mkdir(parents=True)
    (data / "checks" / "blob" / "top.json").write_text("{}")
    (data / "identity").mkdir(mode=0o700)
    (data / "identity" / "identity.pem").write_text(KEY)
    (data / "identity" / "ca.crt").write_text("an authority\n")
    fill(station.database, parts)
    with closing(open_database(station.database)) as connection:
        for _ in range(2):
            seq = next_seq(connection)
            insert_inspection(connection, "test-1", seq, inspection(Verdict.PASS, part(f"p-{seq}")), keeps_image=True)
    return station


def _scale() -> KeptScale:
    return KeptScale(
        schema="inspectd.camera-scale.v1",
        camera="top",
        mm_per_px=0.1,
        uncertainty_mm_per_px=0.001,
        by="points",
        frame_size=(80, 60),
        seen_xyxy=(0, 0, 80, 60),
        tilt=None,
        bend_px=None,
        measured_at=NOW,
    )


def everything(folder: Path, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Every file below a folder and its hash, every link and where it leads; what only reading leaves is left out."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root) / name
            short = path.relative_to(folder).as_posix()
            if short.startswith(but or ("?",)) or name.endswith((".lock", "-shm")):
                continue
            if path.is_symlink():
                found[short] = f"-> {path.readlink()}"
            elif path.is_file() and not (name.endswith("-wal") and not path.stat().st_size):
                found[short] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def records(path: Path) -> set[tuple[object, ...]]:
    """Every record of a database, by identity and content."""
    query = "SELECT epochs.epoch, stream, seq, payload FROM records JOIN epochs ON epochs.id = records.epoch"
    with closing(open_database(path)) as connection:
        return set(connection.execute(query).fetchall())


_WRITES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"}


def dies_at(step: int, work: Callable[[], object]) -> bool:
    """Do the work in a process of its own that kills itself before its so-manieth change of the disk; did it die?"""
    child = os.fork()
    if not child:
        left = [step]

        def count(event: str, arguments: tuple[object, ...]) -> None:
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in _WRITES or writes:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work()
        except BaseException:  # noqa: BLE001 - the parent asks how it ended
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in {0, signal.SIGKILL}, f"the work failed by itself: {status}"
    return status == signal.SIGKILL
