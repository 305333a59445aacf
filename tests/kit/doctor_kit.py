"""A station for the doctor to look at, and what every finding of it must be."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from station_kit import Station

from edge.config import load_config
from edge.doctor.around import Around
from edge.doctor.finding import Finding, meanings
from edge.record.lock import sole_owner


def station_around(folder: Path, settings: Mapping[str, Mapping[str, Any]] | None = None, more: str = "") -> Around:
    """A station of this folder with these settings; `more` is put at the end of its station.toml."""
    path = Station(folder, settings=settings or {}).write_config()
    path.write_text(path.read_text() + more)
    config = load_config(path)
    config.station.data_dir.mkdir(exist_ok=True)
    return Around(config.station.data_dir, path, config)


def on_machine(around: Around, root: Path, files: Mapping[str, str]) -> Around:
    """The same station on a machine of which these files are all that is known."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return replace(around, root=root)


@contextmanager
def run_by_us(around: Around) -> Iterator[None]:
    """Meanwhile this process owns the station's data, as a daemon does."""
    with sole_owner(around.data_dir):
        yield


def expect(found: Iterable[Finding], fault_id: str, *words: str) -> Finding:
    """The one finding of this id: as bad as the catalogue says, with these words in it and a whole way to mend it."""
    findings = list(found)
    matching = [finding for finding in findings if finding.id == fault_id]
    assert matching, [(finding.id, finding.found) for finding in findings]
    finding = matching[0]
    assert finding.state == meanings()[fault_id].state
    assert finding.found
    assert finding.mend
    assert not {"{", "}"} & set(finding.mend), finding.mend
    for word in words:
        assert word in f"{finding.name} {finding.found} {finding.mend}", finding
    return finding


def well(found: Iterable[Finding]) -> list[Finding]:
    """All of it is well, and something was looked at."""
    findings = list(found)
    assert findings
    assert [finding for finding in findings if finding.state != "ok"] == []
    return findings
