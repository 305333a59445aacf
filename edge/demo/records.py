"""What line, station and cloud hold of the demo's parts, read where each keeps it."""

import json

from edge.demo.compare import Comparison, compare, parse_cloud, read_station, read_told
from edge.demo.plant import Plant
from edge.processes import ask


def read_records(plant: Plant, prefix: str) -> dict[str, bytes]:
    """Payloads of the station's inspections of parts whose names begin so, by inspection id. Raises StorageError."""
    kept = read_station(plant.folder / "station" / "station.db", plant.settings.station)
    return {
        identity: payload
        for identity, (_sha256, payload) in kept.items()
        if json.loads(payload)["part_id"].startswith(f"{prefix}-")
    }


def compare_all(plant: Plant) -> Comparison:
    """Every part that passed so far, at all three. Raises StorageError, OutputError."""
    told = [each for log in sorted((plant.folder / "lines").iterdir()) for each in read_told(log)]
    kept = read_station(plant.folder / "station" / "station.db", plant.settings.station)
    lines = ask(["cloud", "status", "--store", str(plant.store), "--records", "--json"]).splitlines()
    return compare(told, {identity: sha256 for identity, (sha256, _) in kept.items()}, parse_cloud(lines))
