"""The newest inspections, as the live page shows them: rows and records of the station's database in, nouns out."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import InspectionRecord, ViewRecord, read_record
from edge.record.images import ImageStore
from edge.web.passing import PARTS, Box, Look, Newest, Passed, age_s, figures
from edge.web.picture_size import size_in_file

_STRIP = 10
_NOT_GOOD = 6
_LOOKED = 24
_PENDING_S = 0.5  # so long a verdict waits for its picture, to be shown with it
_ROWS = (
    "SELECT seq, part_id, product, verdict, triggered_at, outcome, told_verdict, told_ms"
    " FROM inspections ORDER BY seq DESC LIMIT ?"
)
_RECORDS = "SELECT seq, payload FROM records WHERE stream = ? AND seq IN ({})"
_IMAGES = "SELECT seq, camera, sha256, media_type, stored FROM images WHERE seq IN ({})"


@dataclass(frozen=True, slots=True)
class _Picture:
    sha256: str
    media_type: str
    stored: bool


class NewestParts:
    """Reads the newest parts again and again over one connection; for one thread.

    Records never change, so each is read once.

    Args:
        connection: reads the station's database.
        images: where the daemon keeps pictures.
    """

    def __init__(self, connection: sqlite3.Connection, images: ImageStore) -> None:
        self._connection = connection
        self._images = images
        self._records: dict[int, InspectionRecord] = {}

    def read(self, now: datetime) -> Newest:
        """What there is now. A part whose picture is still on its way to the disk waits for it, half a second at most.

        Raises:
            sqlite3.Error: the database refuses.
        """
        rows = [_passed(row) for row in self._connection.execute(_ROWS, (PARTS,)).fetchall()]
        self._read_records(_wanted(rows))
        settled = self._settled(rows[:_LOOKED])
        shown = [row for row in rows if row.seq in settled or not _may_wait(row, now)]
        not_good = [row for row in shown if row.verdict != "PASS"][:_NOT_GOOD]
        pictures = self._pictures({row.seq for row in (*shown[:_LOOKED], *not_good)})
        part = shown[0] if shown else None
        record = None if part is None else self._records.get(part.seq)
        return Newest(
            part,
            [] if record is None else record.reasons,
            self._looks(shown[:_LOOKED], settled, pictures),
            [self._with_picture(row, pictures) for row in shown[:_STRIP]],
            [self._with_picture(row, pictures) for row in not_good],
            figures([row for row in shown if not row.is_master], now),
            len(shown) < len(rows),
        )

    def _read_records(self, wanted: Collection[int]) -> None:
        self._records = {seq: record for seq, record in self._records.items() if seq in wanted}
        missing = [seq for seq in wanted if seq not in self._records]
        query = _RECORDS.format(_places(missing))
        for seq, payload in self._connection.execute(query, (Stream.INSPECTIONS.value, *missing)).fetchall():
            self._records[seq] = read_record(InspectionRecord, payload)

    def _settled(self, rows: Sequence[Passed]) -> dict[int, frozenset[str]]:
        """Of those that wait for no picture, the cameras whose pictures were given up."""
        seqs = [row.seq for row in rows]
        query = _RECORDS.format(_places(seqs))
        told = self._connection.execute(query, (Stream.IMAGES.value, *seqs)).fetchall()
        found = {seq: frozenset(json.loads(payload)["dropped"]) for seq, payload in told}
        bare = {seq for seq in seqs if (record := self._records.get(seq)) is not None and record.image == "none"}
        return dict.fromkeys(bare, frozenset()) | found

    def _pictures(self, seqs: Collection[int]) -> dict[tuple[int, str], _Picture]:
        found = self._connection.execute(_IMAGES.format(_places(seqs)), tuple(seqs)).fetchall()
        return {(seq, camera): _Picture(sha256, kind, bool(stored)) for seq, camera, sha256, kind, stored in found}

    def _looks(
        self,
        rows: Sequence[Passed],
        settled: dict[int, frozenset[str]],
        pictures: dict[tuple[int, str], _Picture],
    ) -> list[Look]:
        looks: dict[str, Look] = {}
        for row in rows:
            record = self._records.get(row.seq)
            for view in () if record is None else record.views:
                if view.camera not in looks:
                    picture = pictures.get((row.seq, view.camera))
                    missing = _missing(record, view, picture, settled.get(row.seq))
                    looks[view.camera] = self._look(row, view, picture, missing)
        return list(looks.values())

    def _look(self, row: Passed, view: ViewRecord, picture: _Picture | None, missing: str) -> Look:
        size = None
        if picture is not None and not missing:
            size = size_in_file(self._images.path_of(picture.sha256, picture.media_type))
            missing = "" if size is not None else "gone"
        model = view.model
        return Look(
            view.camera,
            row.seq,
            row.part_id,
            view.verdict,
            view.reasons,
            view.score,
            [Box(each.box_xyxy, each.label, each.score) for each in view.detections],
            view.detections_total - len(view.detections),
            "" if missing or picture is None else picture.sha256,
            missing,
            size,
            () if model is None else (model.id, str(model.version), model.precision),
            None if view.heat is None or size is None else view.heat.plain(),
        )

    def _with_picture(self, row: Passed, pictures: dict[tuple[int, str], _Picture]) -> Passed:
        record = self._records.get(row.seq)
        views = [] if record is None else sorted(record.views, key=lambda view: view.verdict == "PASS")
        for view in views:
            found = pictures.get((row.seq, view.camera))
            if found is not None and found.stored:
                return replace(row, picture=found.sha256)
        return row


def _may_wait(row: Passed, now: datetime) -> bool:
    """Whether a part came just now; one of a later moment than now came before the clock was set back."""
    return -_PENDING_S <= age_s(row, now) <= _PENDING_S


def _wanted(rows: Sequence[Passed]) -> set[int]:
    """Of which parts the record is read: the newest, and some of those that did not pass."""
    not_good = [row.seq for row in rows if row.verdict != "PASS"][: 2 * _NOT_GOOD]
    return {row.seq for row in rows[:_LOOKED]}.union(not_good)


def _missing(
    record: InspectionRecord | None, view: ViewRecord, picture: _Picture | None, dropped: frozenset[str] | None
) -> str:
    if picture is not None:
        return "" if picture.stored else "gone"
    if view.frame_seq is None:
        return "no_frame"
    if record is not None and record.image == "none":
        return "not_kept"
    if dropped is None:
        return "pending"
    return "dropped" if view.camera in dropped else "gone"


def _passed(row: tuple[int, str, str, str, str, str | None, str | None, float | None]) -> Passed:
    seq, part_id, product, found, at, outcome, told, told_ms = row
    return Passed(seq, part_id, product, told or found, found, outcome or "", told_ms, at)


def _places(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)
