"""Starting a work, finding it again, stopping it."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cloud_sync.pages.errors import PagesError
from edge.domain.errors import StorageError
from edge.processes import command
from edge.web.works.runner import ANSWER, EXIT, PID, SAID
from edge.web.works.steps import Step, last_object, read_steps
from models.durable import replace_file

_BEGUN, _LOCK = "work.json", "work.lock"
_START_S = 30.0
_TAIL_BYTES = 512 * 1024
_SAID_CHARS = 6000


class BusyError(PagesError):
    """A work of this kind is under way already."""


class _Begun(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    words: tuple[str, ...]
    by: str
    subject: str
    about: dict[str, str]
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Work:
    """A command that the pages started.

    Args:
        words: of the command line, after `edge`.
        by: the name of who asked.
        subject: what it is about, in the words of the command line.
        about: what the page that started it wants to know of it.
        started_at: when.
        ended_at: when it ended; None while it runs, or where nobody saw its end.
        running: whether it does.
        code: its exit code; None while it runs, or where nobody saw its end, as after a loss of power.
        answer: the JSON object that it answered with; empty while there is none.
        steps: its stages so far.
        said: what it said to people, the end of it where that is long.
    """

    words: tuple[str, ...]
    by: str
    subject: str
    about: Mapping[str, str]
    started_at: datetime
    ended_at: datetime | None
    running: bool
    code: int | None
    answer: Mapping[str, object]
    steps: tuple[Step, ...]
    said: str

    @property
    def command(self) -> str:
        """What it is, as one types it, without its options."""
        return " ".join(("edge", *self.words[: 2 if self.words[0] in {"bundle", "masters"} else 1]))

    @property
    def seconds(self) -> int:
        """How long it took, or has taken."""
        return max(0, round(((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds()))

    @property
    def fault(self) -> str:
        """What it said went wrong; empty where nothing did."""
        if self.running or self.code == 0:
            return ""
        return str(self.answer.get("error") or "") or self.said


class Works:
    """The works of one kind, of which one runs at a time.

    Args:
        folder: theirs alone.
        gives_way: whether they run only where nobody else wants the processor.
    """

    def __init__(self, folder: Path, *, gives_way: bool = True) -> None:
        self.folder = folder
        self._how = "idle" if gives_way else "plain"
        self._looking = threading.Lock()  # or who looks whether one runs could refuse who starts one

    def start(self, words: Sequence[str], by: str, subject: str, about: Mapping[str, str] | None = None) -> None:
        """Start `edge` with these words; it runs when this returns, and does not end with us.

        Raises:
            BusyError: one runs.
            StorageError: the folder cannot be written, or no process can be started.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._looking, (self.folder / _LOCK).open("a") as lock:
                self._take(lock.fileno())
                for name in (EXIT, PID, ANSWER, SAID):
                    (self.folder / name).unlink(missing_ok=True)
                begun = _Begun(
                    words=tuple(words), by=by, subject=subject, about=dict(about or {}), started_at=datetime.now(UTC)
                )
                replace_file(self.folder / _BEGUN, begun.model_dump_json(indent=1))
                self._run(words, lock.fileno(), by)
        except (OSError, subprocess.SubprocessError) as error:
            raise StorageError(f"cannot start `edge {' '.join(words[:2])}`: {error}: look at {self.folder}") from error

    def stop(self) -> bool:
        """Ask the work to end, as Ctrl-C does; False where none runs."""
        with self._running() as runs:
            if not runs:
                return False
            try:
                os.kill(int((self.folder / PID).read_text(encoding="ascii")), signal.SIGINT)
            except (OSError, ValueError):  # it has just begun, or just ended
                return False
            return True

    def forget(self) -> None:
        """Let go of what an ended work said."""
        with self._running() as runs:
            if not runs:
                (self.folder / _BEGUN).unlink(missing_ok=True)

    def find(self) -> Work | None:
        """The work that runs, or the last one; None where there was none."""
        with self._running() as runs:
            try:
                begun = _Begun.model_validate_json((self.folder / _BEGUN).read_bytes())
            except (OSError, ValidationError):
                return None
            code, ended_at = (None, None) if runs else self._ended()
            steps, said = read_steps(_tail(self.folder / SAID))
            answer = {} if runs else last_object(_tail(self.folder / ANSWER))
        words = (begun.words, begun.by, begun.subject, begun.about, begun.started_at)
        return Work(*words, ended_at, runs, code, answer, steps, said[-_SAID_CHARS:])

    @property
    def runs(self) -> bool:
        """Whether one is under way."""
        with self._running() as runs:
            return runs

    def _run(self, words: Sequence[str], lock: int, by: str) -> None:
        line = [sys.executable, "-P", "-m", "edge.web.works.runner", str(self.folder), str(lock), self._how]
        subprocess.run(
            [*line, command("edge"), *words],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            timeout=_START_S,
            env={**os.environ, "LOGNAME": by},  # so that what it writes down names who asked
        )

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError("one is under way already: wait for its end, or stop it") from error

    @contextmanager
    def _running(self) -> Iterator[bool]:
        """Whether a work holds the lock; none begins meanwhile."""
        with self._looking:
            yield self._is_held()

    def _is_held(self) -> bool:
        try:
            with (self.folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def _ended(self) -> tuple[int | None, datetime | None]:
        path = self.folder / EXIT
        try:
            return int(path.read_text(encoding="ascii")), datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except (OSError, ValueError):
            return None, None


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""
