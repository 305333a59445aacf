"""One group of messages, through one transaction: records into the store, everything else to its desk.

- Whatever a message holds, it ends as records, as a desk's work or as a dead letter; it spoils no other message.
- What a desk wrote before it refused a message is taken back, that message's alone.
- A fault of the database itself is raised: then nothing of the group is committed.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.commands import new_epoch
from cloud_sync.hub.desk import Desk, Reply
from cloud_sync.hub.intake import RECORD_SUBJECTS, Intake, take_in
from cloud_sync.hub.store.entries import DeadLetter, Inserted, Key
from cloud_sync.hub.store.inserting import write_records
from cloud_sync.hub.store.writing import is_fault_of_database
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import BATCH_LIMIT_BYTES
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Message
from cloud_sync.wire.topics import Topic

_REASON_SHOWN = 300
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Read:
    """A message that was read, before any transaction.

    Args:
        message: itself.
        intake: its records and dead letters; None: it is for a desk.
        topic: where it came; None: nowhere of ours.
    """

    message: Message
    intake: Intake | None
    topic: Topic | None


@dataclass(frozen=True, slots=True)
class Sorted:
    """A group before its transaction begins.

    Args:
        intakes: what the messages that carry records hold, and what is no protocol of ours.
        others: what desks are to deal with, with where it came from.
    """

    intakes: tuple[Intake, ...]
    others: tuple[tuple[Desk, Topic, Message], ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """What one transaction did.

    Args:
        inserted: what became of the records and of the dead letters.
        dead: what came and is not our protocol.
        settled: the records that their stations need not send again.
        replies: what to tell the stations after the commit.
    """

    inserted: Inserted
    dead: tuple[DeadLetter, ...]
    settled: tuple[Key, ...]
    replies: tuple[Reply, ...]


NOTHING = Taken(Inserted(0, 0, ()), (), (), ())


def read(message: Message) -> Read:
    """Read a message; raises nothing. For any thread: it costs more than to store what was read."""
    try:
        topic = _topic(message)
        return Read(message, take_in(message, topic) if topic.subject in RECORD_SUBJECTS else None, topic)
    except LinkError as error:
        return Read(message, Intake(dead=(_letter(message, str(error)),)), None)
    except Exception as error:  # a defect of ours: to read it again, and for ever, is in vain
        _logger.exception("a message of %d bytes could not be read", len(message.payload))
        return Read(message, Intake(dead=(_letter(message, f"could not be read: {error!r}"),)), None)


def sort(group: Sequence[Read], desks: Sequence[Desk]) -> Sorted:
    """Find who deals with each message; raises nothing."""
    intakes: list[Intake] = []
    others: list[tuple[Desk, Topic, Message]] = []
    for item in group:
        if item.intake is not None or item.topic is None:
            intakes.append(item.intake or Intake())
        elif (desk := _desk(item.topic, desks)) is not None:
            others.append((desk, item.topic, item.message))
        else:
            reason = f"nobody here deals with {item.topic.subject[:120]!r}"
            intakes.append(Intake(dead=(_letter(item.message, reason),)))
    others.sort(key=lambda other: other[1].station)  # two collectors lock stations in the same order
    return Sorted(tuple(intakes), tuple(others))


def take(connection: sa.Connection, group: Sorted, at_ms: int) -> Taken:
    """Write all of a group. Raises SQLAlchemyError where the database fails."""
    replies: list[Reply] = []
    dead = [letter for intake in group.intakes for letter in intake.dead]
    for desk, topic, message in group.others:
        try:
            with connection.begin_nested():
                replies += desk.take(connection, topic.station, topic.subject, message.payload, at_ms)
        except LinkError as error:
            dead.append(_letter(message, str(error)))
        except Exception as error:
            if is_fault_of_database(error):
                raise
            _logger.exception("the desk for %s failed", topic.subject)
            dead.append(_letter(message, f"the desk failed: {type(error).__name__}: {error}"))
    records = [record for intake in group.intakes for record in intake.records]
    heard = {topic.station for _, topic, _ in group.others}
    inserted = write_records(connection, records, dead, heard, at_ms)
    reused = sorted({(key.station, key.epoch) for key in inserted.quarantined})
    replies += [new_epoch(connection, station, epoch) for station, epoch in reused]
    unkept = {letter.claims for letter in inserted.dropped}  # their stations are to keep them
    settled = tuple(key for intake in group.intakes for key in intake.settled if key not in unkept)
    return Taken(inserted, tuple(dead), settled, tuple(replies))


def refused(message: Message, reason: str) -> Sorted:
    """A group of this one message as a dead letter."""
    return Sorted((Intake(dead=(_letter(message, reason),)),), ())


def _topic(message: Message) -> Topic:
    topic = topics.parse(message.topic)
    if topic.direction != "up":
        raise LinkError(f"expected a topic .../up/..., got {message.topic[:120]!r}")
    if len(message.payload) > BATCH_LIMIT_BYTES:
        raise LinkError(f"expected at most {BATCH_LIMIT_BYTES} bytes, got {len(message.payload)}")
    return topic


def _desk(topic: Topic, desks: Sequence[Desk]) -> Desk | None:
    return next((desk for desk in desks if desk.takes(topic.subject)), None)


def _letter(message: Message, reason: str) -> DeadLetter:
    try:
        station = topics.parse(message.topic).station
    except LinkError:
        station = None
    return DeadLetter(message.topic, message.payload, reason[:_REASON_SHOWN], station)
