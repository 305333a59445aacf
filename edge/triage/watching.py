"""Whether the station still sees what it saw: the watches, their file, the alarm, the word for the cloud."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from cloud_sync.wire.messages import DriftMessage, DriftSigns
from edge.decide.drift import Sign
from edge.domain.inspection import Inspection, View
from edge.health import Health
from edge.record.database import epoch_of, open_reader
from edge.record.recorder import Recorder
from edge.triage.drift_book import DriftBook
from edge.triage.looks import Looks
from edge.triage.settings import TriageSettings

ALARM = "drift"
_SAVE_EVERY_S = 60.0


class DriftKeeper:
    """Watches drift; for the desk's thread, but for `message` and `signs`.

    Args:
        settings: what is watched, and where it is kept.
        recorder: whose database says which product a part is of.
        health: where a drift is an alarm.
        on_change: called where an alarm opened or closed, or another model began.
    """

    def __init__(
        self, settings: TriageSettings, recorder: Recorder, health: Health, on_change: Callable[[], None]
    ) -> None:
        self._path = settings.drift_path
        self._recorder = recorder
        self._health = health
        self._on_change = on_change
        self._book = DriftBook(settings.pairs)
        self._saved_s = time.monotonic()

    def begin(self) -> None:
        """Go on where the last run was."""
        self._book.load(self._path)
        self._say_alarm()

    def see(self, inspection: Inspection, looks: dict[str, Looks]) -> None:
        """One more part, and what was measured of its frames by camera. Raises StorageError."""
        now, product = datetime.now(UTC), inspection.part.product
        changed = self._book.see_part(product, now)
        for view in inspection.views:
            changed |= self._see_view(product, view, looks.get(view.camera_id), now)
        if changed:
            self._changed()

    def overruled(self, seq: int) -> None:
        """A person overruled this inspection. Raises StorageError, sqlite3.Error."""
        with closing(open_reader(self._recorder.path)) as reader:
            row = reader.execute("SELECT product FROM inspections WHERE seq = ?", (seq,)).fetchone()
        if row is not None and self._book.see_overrule(row[0], datetime.now(UTC)):
            self._changed()

    def save(self) -> None:
        """Keep what drift is told by. Raises StorageError."""
        self._saved_s = time.monotonic()
        self._book.save(self._path)

    def save_at_times(self) -> None:
        """The same once a minute, so that a kill costs a minute of learning. Raises StorageError."""
        if time.monotonic() - self._saved_s > _SAVE_EVERY_S:
            self.save()

    def signs(self) -> list[DriftSigns]:
        """How all that is watched stands. From any thread."""
        return self._book.signs()

    def message(self) -> DriftMessage:
        """The same for the cloud. From any thread. Raises StorageError, sqlite3.Error."""
        with closing(open_reader(self._recorder.path)) as reader:
            epoch = epoch_of(reader)
        return DriftMessage(at=datetime.now(UTC), epoch=epoch, model=self._book.models, signs=self._book.signs())

    def _see_view(self, product: str, view: View, looks: Looks | None, now: datetime) -> bool:
        if view.model is None or view.detections is None:
            return False
        values = {Sign.SCORE: view.detections.frame_score}
        if looks is not None:
            values |= {Sign.BRIGHTNESS: looks.brightness, Sign.FOCUS: looks.focus}
        return self._book.see(product, view.camera_id, view.model.sha256, values, now)

    def _changed(self) -> None:
        self._say_alarm()
        self._on_change()
        self.save()

    def _say_alarm(self) -> None:
        drifted = [f"{sign.sign} of {sign.product} {sign.camera}".strip() for sign in self._book.signs() if sign.alarm]
        why = (
            f"no longer as when the model went live: {', '.join(drifted)}: look at light, lens and material; where "
            f"all is right as it is now, delete {self._path} while the station is stopped: it is learned again"
        )
        self._health.set_alarm(ALARM, why if drifted else "")
