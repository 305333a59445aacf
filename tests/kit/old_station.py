"""A station as inspectd of schema 1 left it, made by that very program: `tests/scenarios/schema_1`.

Made from commit 41746cc3a74e, the last before schema 2: its daemon told 24 parts and was killed, its collector had
acknowledged the first 12. The databases are SQL text, packed; station.toml and the images are as they lay there.
"""

import lzma
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from station_kit import Station

FROZEN = Path(__file__).parents[1] / "scenarios" / "schema_1"
EPOCH = "a99448d272fd478fb6e036a1be147d0c"
TOLD = 24
ACKNOWLEDGED = 12


def old_database(folder: Path) -> Path:
    """The station's database of then."""
    return _load("station", folder / "station.db")


def old_store(folder: Path) -> Path:
    """The collector's store of then."""
    return _load("cloud", folder / "cloud.db")


def old_station(folder: Path, broker: str | None) -> Station:
    """The whole station; only the addresses in its station.toml are those of today's test."""
    station = Station(folder, broker)
    old_database(folder / "data")
    shutil.copytree(FROZEN / "images", folder / "data" / "images")
    text = (FROZEN / "station.toml").read_text()
    text = re.sub(r"tcp://127\.0\.0\.1:\d+", f"tcp://127.0.0.1:{station.port}", text)
    sync = "" if broker is None else f'broker = "{broker}"\n'
    station.config.write_text(re.sub(r'broker = ".*"\n', sync, text))
    return station


def _load(name: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(lzma.decompress((FROZEN / f"{name}.sql.xz").read_bytes()).decode())
    return path
