"""A store as a collector, a worker and stations leave it: stations, a run with its proof, a rollout."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa
from outboxes import AT, STATION
from outboxes import EPOCH as RECORDS_EPOCH
from stores import engine

from cloud_sync.hub.intake import take_in
from cloud_sync.hub.rollout.plan import RolloutPlan, pack_plan
from cloud_sync.hub.store.entries import NewRecord
from cloud_sync.hub.store.file_tables import jobs, releases
from cloud_sync.hub.store.hour_tables import HOUR_MS, inspection_hours
from cloud_sync.hub.store.label_tables import drift_signs
from cloud_sync.hub.store.retraining_tables import retraining_runs
from cloud_sync.hub.store.rollout_tables import rollout_stations, rollouts
from cloud_sync.hub.store.tables import conditions, stations
from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch
from cloud_sync.wire.link import Message
from cloud_sync.wire.messages import HealthMessage
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import InspectionRecord, canonical_json

EPOCH = "0123456789abcdef0123456789abcdef"
RUN = "cells-0123456789ab"
RELEASE = "cells-v2.bundle"


def as_new(record: InspectionRecord) -> NewRecord:
    """As the collector reads it off the wire."""
    row = OutboxRow(Stream.INSPECTIONS, record.seq, canonical_json(record), RECORDS_EPOCH)
    taken = take_in(Message(topics.inspections(STATION), pack_batch(STATION, RECORDS_EPOCH, [row], AT)))
    assert taken.dead == ()
    return taken.records[0]


def add(place: str, table: sa.Table, *rows: Mapping[str, object]) -> None:
    with engine(place).begin() as connection:
        connection.execute(sa.insert(table), [dict(row) for row in rows])


def health(at_ms: int, *, ready: bool = True, waiting: int = 0, faults: dict[str, str] | None = None) -> str:
    content = {
        "at": datetime.fromtimestamp(at_ms / 1000, UTC),
        "epoch": EPOCH,
        "ready": ready,
        "faults": faults or {},
        "alarms": {},
        "outbox": {"inspections": waiting},
        "dead_letters": 0,
        "losses": 0,
        "uploads": 0,
        "spool_bytes": 1,
        "disk_free_bytes": 10**9,
    }
    return HealthMessage.model_validate(content).pack().decode()


def station(  # noqa: PLR0913 - what a test says of it, by name
    place: str,
    name: str,
    now_ms: int,
    *,
    state: str | None = "online",
    seen_ago_ms: int = 1000,
    judged: tuple[int, int, int] = (0, 0, 0),
    model: str = "cells-v1",
    said: str = "",
) -> None:
    """One that was heard of; `judged` this hour: PASS, REJECT, UNDECIDED."""
    seen_ms = now_ms - seen_ago_ms
    row = {"station": name, "first_seen_at_ms": 1, "last_seen_at_ms": seen_ms, "duplicates": 0}
    add(place, stations, row)
    word = {"station": name, "state": state, "since_ms": seen_ms, "epoch": EPOCH, "version": "0.1.0", "resets": 0}
    if state is not None:
        add(place, conditions, word | {"health": said or health(seen_ms), "health_at_ms": seen_ms})
    if any(judged):
        counts = dict(zip(("passed", "rejected", "undecided"), judged, strict=True))
        key = {"hour": now_ms // HOUR_MS, "station": name, "product": "cells", "model": model}
        add(place, inspection_hours, key | counts | {"last_at_ms": now_ms})


def drifts(place: str, name: str) -> None:
    row = {"station": name, "product": "cells", "camera": "top", "sign": "focus", "alarm": True, "statistic": 9.0}
    row |= {"threshold": 5.0, "parts": 40, "since_ms": 1, "epoch": EPOCH, "said_at_ms": 1, "heard_at_ms": 1}
    add(place, drift_signs, row)


PROOF = {
    "passed": False,
    "why_not": "3 of 20 good images are rejected",
    "reasons": [
        {"rule": "sound", "met": True, "text": "every file verified"},
        {"rule": "escapes of scratch", "met": True, "text": "1 of 30 images are missed"},
        {"rule": "overkill", "met": False, "text": "3 of 20 good images are rejected"},
        {"rule": "a rule of a later version", "met": True, "text": "it is met"},
    ],
    "figures": {
        "good": 20,
        "bad": 30,
        "escapes": 1,
        "overkill": 3,
        "champion_escapes": 4,
        "champion_overkill": 1,
        "by_class": {"scratch": {"count": 30, "challenger_passed": 1, "champion_passed": 4}},
        "boxes_by_class": {},
        "paired_escapes": {"only_champion": 4, "only_challenger": 1, "both": 0, "p_value": 0.375},
        "paired_overkill": None,
        "disagree": 7,
    },
}


def run(place: str, now_ms: int, **more: object) -> None:
    """A run that the gate refused, with its proof."""
    row: dict[str, object] = {
        "run": RUN,
        "product": "cells",
        "trigger": "new labels",
        "why": "60 of 50 new labels",
        "started_at_ms": now_ms - 90_000,
        "step": "prove",
        "step_since_ms": now_ms - 10_000,
        "worker": "w1",
        "images": 50,
        "classes": json.dumps(["good", "scratch"]),
        "bundle": "cells-v2",
        "proof": json.dumps(PROOF),
        "result": "refused",
        "reason": PROOF["why_not"],
        "ended_at_ms": now_ms,
    }
    add(place, retraining_runs, row | more)


def rollout(place: str, now_ms: int, names: tuple[str, ...], *, state: str = "running", stage: int = 0) -> None:
    """A release on its way: the first station looks on with it, the others wait for their turn."""
    plan = RolloutPlan(shadow_parts=50, live_parts=40, min_minutes=0)
    add(place, releases, {"name": RELEASE, "sha256": "ab" * 32, "size_bytes": 10, "made_at_ms": 1})
    row = {"release": RELEASE, "product": "cells", "attempt": 1, "state": state, "stage": stage, "why": "asked it"}
    times = dict.fromkeys(("stage_since_ms", "made_at_ms", "changed_at_ms"), now_ms)
    add(place, rollouts, row | times | {"plan": pack_plan(plan)})
    for number, name in enumerate(names):
        asked, job = ("shadow", f"job-{number}") if not number else ("", "")
        place_row = {"release": RELEASE, "station": name, "place": number, "asked": asked, "job": job, "faults": "[]"}
        add(place, rollout_stations, place_row | {"asked_at_ms": now_ms if job else None})
    figures = json.dumps({"parts": 30.0, "disagreements": 4.0, "rejects": 6.0, "champion_rejects": 5.0})
    offer = {"station": names[0], "job": "job-0", "name": RELEASE, "state": "shadow", "why": "", "figures": figures}
    add(place, jobs, offer | {"offered_at_ms": now_ms, "changed_at_ms": now_ms})
