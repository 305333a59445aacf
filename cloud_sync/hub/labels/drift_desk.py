"""The desk for drift: the last word of each station on each sign, and each time that an alarm began or ended."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from cloud_sync.hub.desk import Publish, Reply
from cloud_sync.hub.labels.samples import ms
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.label_tables import drift_changes, drift_signs
from cloud_sync.wire.messages import DriftMessage, DriftSigns

_LATE_MS = 10 * 60 * 1000  # a message that is older than what is held by less came late; by more, a clock was set back
_SIGN = ("product", "camera", "sign")
_Sign = tuple[str, str, str]


class DriftDesk:
    """Keeps what stations say of drift. A word that comes twice, or late, changes nothing."""

    def takes(self, subject: str) -> bool:
        """See `Desk`."""
        return subject == "drift"

    def take(
        self,
        connection: sa.Connection,
        station: str,
        subject: str,  # noqa: ARG002 - there is one
        payload: bytes,
        at_ms: int,
    ) -> Sequence[Reply]:
        """See `Desk`."""
        message = DriftMessage.unpack(payload)
        held = _held(connection, station)
        if is_late(message, {(row.epoch, row.said_at_ms) for row in held.values()}):
            return ()
        said = {_key(sign): sign for sign in message.signs}
        for key in held.keys() - said.keys():
            _end(connection, station, key, held[key], ms(message.at), at_ms)
        for key, sign in sorted(said.items()):
            _say(connection, station, key, sign, message, at_ms)
            if sign.alarm != bool(key in held and held[key].alarm):
                change = {"alarm": sign.alarm, "statistic": sign.statistic, "threshold": sign.limit}
                _note(connection, station, key, change, ms(message.at), at_ms)
        return ()

    def work(self, publish: Publish) -> None:
        """See `Desk`."""


def is_late(message: DriftMessage, held: set[tuple[str, int]]) -> bool:
    """Whether what is held of this epoch was said just after this message. Pure."""
    newest_ms = max((at_ms for epoch, at_ms in held if epoch == message.epoch), default=0)
    return 0 <= newest_ms - ms(message.at) < _LATE_MS


def _held(connection: sa.Connection, station: str) -> dict[_Sign, sa.Row[Any]]:
    """What a station said last; locked, so that two collectors do not note one change twice."""
    query = sa.select(drift_signs).where(drift_signs.c.station == station).order_by(*drift_signs.primary_key)
    rows = connection.execute(query.with_for_update())
    return {(row.product, row.camera, row.sign): row for row in rows}


def _key(sign: DriftSigns) -> _Sign:
    return storable(sign.product), storable(sign.camera), sign.sign


def _where(station: str, key: _Sign) -> list[sa.ColumnElement[bool]]:
    named = dict(zip(_SIGN, key, strict=True)) | {"station": station}
    return [drift_signs.c[name] == value for name, value in named.items()]


def _end(connection: sa.Connection, station: str, key: _Sign, row: sa.Row[Any], said_ms: int, at_ms: int) -> None:
    """A sign is watched no more; an alarm ends with it."""
    connection.execute(sa.delete(drift_signs).where(*_where(station, key)))
    if row.alarm:
        change = {"alarm": False, "statistic": row.statistic, "threshold": row.threshold}
        _note(connection, station, key, change, said_ms, at_ms)


def _say(
    connection: sa.Connection, station: str, key: _Sign, sign: DriftSigns, message: DriftMessage, at_ms: int
) -> None:
    values: dict[str, object] = {
        "alarm": sign.alarm,
        "statistic": sign.statistic,
        "threshold": sign.limit,
        "parts": sign.parts,
        "since_ms": ms(sign.since) if sign.since else None,
        "epoch": message.epoch,
        "said_at_ms": ms(message.at),
        "heard_at_ms": at_ms,
    }
    add_absent(connection, drift_signs, dict(zip(_SIGN, key, strict=True)) | {"station": station} | values)
    connection.execute(sa.update(drift_signs).where(*_where(station, key)).values(values))


def _note(
    connection: sa.Connection, station: str, key: _Sign, change: Mapping[str, object], said_ms: int, at_ms: int
) -> None:
    named = dict(zip(_SIGN, key, strict=True)) | {"station": station}
    add_absent(connection, drift_changes, named | dict(change) | {"said_at_ms": said_ms, "heard_at_ms": at_ms})
