"""A station without camera, model and line port, as a process of its own: the real recorder and the real uplink.

`python small_station.py STATION DATABASE BROKER LOG PARTS [PER_S [IDENTITY]]` records until the database has seen so
many parts, writes to the log what a line is told once a part's commit has returned, as the simulator does, and ends
with 0 when the cloud has acknowledged everything. Killed, it goes on where it was. It stands in for the daemon where
thousands of starts would take days, and where only the sync is to be measured.
"""

import json
import os
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from backlog_kit import backlog_inspection

from cloud_sync.station.connection import station_link
from cloud_sync.station.uplink import Uplink, UplinkSettings
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, Outcome, OutcomeOf
from edge.record.database import open_reader
from edge.record.outbox import SqliteOutbox
from edge.record.recorder import Recorder

IN_FLIGHT = 8
STOP_S = 5.0
SETTINGS = UplinkSettings(resend_after_s=1.0, resend_most_s=2.0)


class SmallStation:
    """Records parts at a pace and sends them."""

    def __init__(
        self, station: str, database: Path, broker: Address, log: Path, identity: Identity | None = None
    ) -> None:
        self._database = database
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._room = threading.Semaphore(IN_FLIGHT)
        self.recorder = Recorder(
            station,
            database,
            keeps_image=lambda _inspection: False,
            on_committed=self._tell,
            on_unrecorded=lambda inspection: sys.exit(f"not recorded: {inspection.part.part_id}"),
            on_storage=lambda works, why: sys.stderr.write(f"storage works: {works} {why}\n"),
        )
        self.uplink = Uplink(
            station=station,
            outbox=SqliteOutbox(self.recorder),
            link=station_link(station, broker, identity),
            settings=SETTINGS,
        )

    def run(self, parts: int, per_s: float) -> None:
        """Record what is missing to so many parts, then wait until all is acknowledged."""
        with ExitStack() as stack:
            stack.callback(self.recorder.stop, STOP_S)
            self.recorder.start()
            stack.callback(self.uplink.stop, STOP_S)
            self.uplink.start()
            first = self._asked("SELECT coalesce(max(seq), 0) FROM inspections") + 1
            began_s = time.monotonic()
            for number in range(first, parts + 1):
                self._room.acquire()
                if per_s:
                    threading.Event().wait(max(0.0, began_s + (number - first) / per_s - time.monotonic()))
                self._inspect(number)
            while self._asked(
                "SELECT EXISTS (SELECT 1 FROM outbox) OR EXISTS (SELECT 1 FROM inspections WHERE outcome IS NULL)"
            ):
                threading.Event().wait(0.05)

    def _inspect(self, number: int) -> None:
        made = backlog_inspection(number)
        part = replace(made.part, triggered_at=datetime.now(UTC), part_id=f"{made.part.part_id}-{os.getpid()}")
        self.recorder.record(replace(made, part=part))

    def _tell(self, committed: Committed, _frames: tuple[Frame, ...]) -> None:
        part_id, verdict = committed.inspection.part.part_id, committed.inspection.verdict
        event = {
            "event": "told",
            "part_id": part_id,
            "verdict": verdict.value,
            "reasons": [],
            "inspection_id": committed.inspection_id,
            "record_sha256": committed.record_sha256,
            "latency_ms": None,
        }
        os.write(self._log, json.dumps(event).encode() + b"\n")
        self.recorder.record_outcomes([OutcomeOf(committed.seq, part_id, Outcome.TOLD, verdict, 1.0)])
        self.uplink.notify()
        self._room.release()

    def _asked(self, query: str) -> int:
        with closing(open_reader(self._database)) as reader:
            return int(reader.execute(query).fetchone()[0])


def main() -> None:
    station, database, broker, log, parts, *more = sys.argv[1:]
    host, port = broker.rsplit(":", 1)
    identity = Identity(Path(more[1])) if len(more) > 1 else None
    small = SmallStation(station, Path(database), Address(host, int(port)), Path(log), identity)
    small.run(int(parts), float(more[0]) if more else 0.0)


if __name__ == "__main__":
    main()
