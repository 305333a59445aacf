"""The one thread that looks at the station for everybody who looks at the pages.

- While nobody looks it reads the status file now and then, so that a trouble's beginning is known; nothing else.
- While somebody looks it asks the database every 20 ms whether anything was committed (`PRAGMA data_version` reads a
  counter in shared memory), and reads and publishes only then.
- It holds no transaction between two questions, so the daemon's checkpoints never wait for it.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import structlog

from edge.domain.errors import StorageError
from edge.web.broadcast import Broadcast
from edge.web.here import Here
from edge.web.newest import NewestParts
from edge.web.passing import Newest
from edge.web.sharpness import FocusAid
from edge.web.shown_pictures import ShownPictures
from edge.web.trouble import Trouble, of_pages, said, troubles

log = structlog.get_logger()
_ASK_S = 0.02
_PUBLISH_S = 0.04  # 25 pictures a second are a film
_TURN_S = 1.0
_IDLE_TURN_S = 5.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Noticed:
    """Since when these pages know of a trouble; `began` where they saw it begin, else it is older than they are."""

    at: datetime
    began: bool


class Watch:
    """Looks, and publishes what it saw as JSON.

    Args:
        here: the station.
        pictures: of that station.
    """

    def __init__(self, here: Here, pictures: ShownPictures) -> None:
        self.live = Broadcast(self._wake_up)
        self.focus = Broadcast(self._begin_focus)
        self._here = here
        self._aid = FocusAid(here.config, pictures)
        self._noticed: dict[str, Noticed] = {}
        self._looked = False
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look until the block ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._wake.set()
            self._thread.join(_STOP_S)

    @property
    def noticed(self) -> Mapping[str, Noticed]:
        """By a trouble's name, since when it is known here."""
        return dict(self._noticed)

    def _wake_up(self) -> None:
        self._wake.set()

    def _begin_focus(self) -> None:
        self._aid.begin()
        self._wake_up()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._turn()
            except Exception as error:  # whatever failed, the next second may be better, and pages say how old they are
                log.error("defect while looking at the station", exc_info=error)
                self._stop.wait(_TURN_S)

    def _turn(self) -> None:
        """One second for those who look; or, where nobody does, one look at the status and some seconds of rest."""
        self._wake.clear()
        state = self._state()
        if not (self.live.viewers or self.focus.viewers):
            self._wake.wait(_IDLE_TURN_S)
            return
        try:
            with self._here.reading() as connection:
                self._follow(NewestParts(connection, self._here.images), connection, state)
        except StorageError as error:
            self._publish(None, state | {"storage": str(error)})
            self._stop.wait(_TURN_S)

    def _follow(self, parts: NewestParts, connection: sqlite3.Connection, state: dict[str, object]) -> None:
        until_s = time.monotonic() + _TURN_S
        known, found, shown = -1, None, None
        while time.monotonic() < until_s and not self._stop.is_set():
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            somebody_came = self._wake.is_set()
            if version == known and not somebody_came and not (found and found.waits):
                self._stop.wait(_ASK_S)
                continue
            self._wake.clear()
            known, found = version, parts.read(datetime.now(UTC))
            if found.shown != shown or somebody_came:
                self._publish(found, state)
            shown = found.shown
            self._stop.wait(_PUBLISH_S)

    def _state(self) -> dict[str, object]:
        """How the station is; a status that cannot be read is a station that does not run."""
        try:
            status = self._here.status()
        except StorageError as error:
            status = {"running": False, "ready": False, "why": str(error)}
        found = [*troubles(status), *of_pages(outdated=self._here.is_outdated)]
        self._notice(found)
        return state_of(status, found)

    def _notice(self, found: list[Trouble]) -> None:
        now = datetime.now(UTC)
        names = {trouble.name for trouble in found}
        kept = {name: at for name, at in self._noticed.items() if name in names}
        self._noticed = {name: Noticed(now, began=self._looked) for name in names} | kept
        self._looked = True

    def _publish(self, parts: Newest | None, state: dict[str, object]) -> None:
        said = {"now": datetime.now(UTC).isoformat(), "state": state}
        if self.live.viewers:
            self.live.publish(_packed(said | {"parts": None if parts is None else asdict(parts)}))
        if self.focus.viewers:
            looks = [] if parts is None else parts.looks
            product = "" if parts is None or parts.part is None else parts.part.product
            found = self._aid.measure(looks, product)
            self.focus.publish(_packed(said | {"cameras": [asdict(each) for each in found]}))


def _packed(content: dict[str, object]) -> str:
    return json.dumps(content, separators=(",", ":"))


def state_of(status: Mapping[str, object], found: list[Trouble]) -> dict[str, object]:
    """What the live page shows of the status. Pure."""
    sync, disk = said(status, "sync"), said(status, "disk")
    waiting = said(said(status, "database"), "outbox")
    return {
        "running": bool(status.get("running")),
        "ready": bool(status.get("ready")),
        "why": str(status.get("why") or ""),
        "product": str(status.get("product") or ""),
        "models": {name: _model(said(said(status, "models"), name)) for name in said(status, "models")},
        "linked": bool(sync.get("connected")) if sync else None,
        "waiting": sum(int(str(rows)) for rows in waiting.values()),
        "free_bytes": disk.get("free_bytes"),
        "troubles": [{"weight": each.weight, "name": each.name, "why": each.why} for each in found],
    }


def _model(model: Mapping[str, object]) -> str:
    return f"{model.get('id')} v{model.get('version')} {model.get('precision')}"
