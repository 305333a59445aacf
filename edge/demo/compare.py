"""Who holds what: simulator log, station database and cloud store, joined record by record. Pure but for reading."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.wire.records import inspection_id
from edge.record.database import open_reader


@dataclass(frozen=True, slots=True)
class Told:
    """What the line was told of one part."""

    part_id: str
    verdict: str
    reasons: tuple[str, ...]
    inspection_id: str | None
    sha256: str | None
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Identities that are not where they should be; all empty means: the same set, once each, equal in content."""

    told_twice: tuple[str, ...]
    told_unrecorded: tuple[str, ...]
    told_not_at_station: tuple[str, ...]
    station_not_told: tuple[str, ...]
    station_not_in_cloud: tuple[str, ...]
    cloud_not_at_station: tuple[str, ...]
    cloud_twice: tuple[str, ...]
    other_content: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether all three hold the same."""
        return not self.differences()

    def differences(self) -> dict[str, int]:
        """How many identities each complaint names, where there are any."""
        return {name: len(getattr(self, name)) for name in self.__slots__ if getattr(self, name)}


def compare(told: Iterable[Told], station: Mapping[str, str], cloud: Iterable[tuple[str, str]]) -> Comparison:
    """Join by identity and content hash.

    Args:
        told: every `told` event of the simulator log.
        station: inspection id to sha256, from the station's database.
        cloud: (inspection id, sha256) of every inspection row in the cloud's store.
    """
    told, cloud = list(told), list(cloud)
    by_line = {each.inspection_id: each.sha256 for each in told if each.inspection_id}
    by_cloud = dict(cloud)
    return Comparison(
        told_twice=_twice(each.part_id for each in told),
        told_unrecorded=tuple(each.part_id for each in told if each.inspection_id is None),
        told_not_at_station=tuple(sorted(set(by_line) - set(station))),
        station_not_told=tuple(sorted(set(station) - set(by_line))),
        station_not_in_cloud=tuple(sorted(set(station) - set(by_cloud))),
        cloud_not_at_station=tuple(sorted(set(by_cloud) - set(station))),
        cloud_twice=_twice(identity for identity, _ in cloud),
        other_content=tuple(
            sorted(
                identity
                for identity, sha256 in station.items()
                if by_line.get(identity, sha256) != sha256 or by_cloud.get(identity, sha256) != sha256
            )
        ),
    )


def read_told(log: Path) -> list[Told]:
    """Every `told` event of a simulator log, in order."""
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [
        Told(
            event["part_id"],
            event["verdict"],
            tuple(event["reasons"]),
            event["inspection_id"],
            event["record_sha256"],
            event["latency_ms"],
        )
        for event in events
        if event["event"] == "told"
    ]


def read_station(database: Path, station: str, stream: str = "inspections") -> dict[str, tuple[str, bytes]]:
    """Inspection id to (sha256, payload) of every record of a stream in the station's database. Raises StorageError."""
    connection = open_reader(database)
    try:
        query = (
            "SELECT epochs.epoch, seq, sha256, payload FROM records JOIN epochs ON epochs.id = records.epoch"
            " WHERE stream = ?"
        )
        rows = connection.execute(query, (stream,)).fetchall()
    finally:
        connection.close()
    return {inspection_id(station, epoch, seq): (sha256, bytes(payload)) for epoch, seq, sha256, payload in rows}


def parse_cloud(lines: Iterable[str], stream: str = "inspections") -> list[tuple[str, str]]:
    """(inspection id, sha256) of a stream from the lines of `cloud status --records --json`."""
    rows = [json.loads(line) for line in lines if line.strip()]
    return [
        (inspection_id(row["station"], row["epoch"], row["seq"]), row["sha256"])
        for row in rows
        if row["stream"] == stream
    ]


def _twice(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name, count in Counter(names).items() if count > 1))
