"""From two bare Debian 12 machines to a hardened station that syncs over mutual TLS: the guide's own commands, typed
in their order on machines with systemd, a network of their own and nothing else."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import debian_kit
import pytest
from debian_kit import Machine, cable, machine
from guide_kit import GUIDE, Step, steps

pytestmark = [
    pytest.mark.skipif(bool(debian_kit.missing()), reason=debian_kit.missing() or "all is there"),
    pytest.mark.timeout(1200),  # two Debians and two packages of 800 MB are made, unpacked and set up
]
GOOD_PARTS = 80
PARTS = 10
STORE = "/var/lib/inspectd-hub/cloud.db"
# What the guide leaves to its reader, and one thing that saves time: fewer good parts, for a first look.
OWN_WORDS = {
    "gige://SERIAL": "/var/lib/inspectd/good-parts",
    "--from /var/lib/inspectd/good-parts": "--from /var/lib/inspectd/good-parts --fast --tune-s 0 --no-study",
}


@dataclass(frozen=True, slots=True)
class Plant:
    """Hub and station once the guide is through, and what was said on the way: heading and output."""

    hub: Machine
    station: Machine
    said: list[tuple[str, str]]


@pytest.fixture(scope="module")
def workplace() -> Iterator[Path]:
    """Room for two machines, on a disk: an overlay cannot lie on an overlay."""
    with tempfile.TemporaryDirectory(dir=GUIDE.parents[1] / "build", prefix="bare-debian-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def packages(workplace: Path) -> Path:
    """A folder with both packages, built from this checkout, and a newer one of the station."""
    built = workplace / "packages"
    for words in ([], ["--package", "inspectd", "--version", "99.0.0"]):
        built_by(words, built)
    return built


@pytest.fixture(scope="module")
def plant(workplace: Path, packages: Path) -> Iterator[Plant]:
    bare = workplace / "bare"
    why = debian_kit.bare_debian(bare)
    if why:
        pytest.skip(why)
    with (
        machine("hub", bare, workplace) as hub,
        machine("station", bare, workplace) as station,
        cable(hub, "192.168.10.2/24", station, "192.168.10.3/24"),
    ):
        hub.bring(next(packages.glob("inspectd-hub_*.deb")), "/root")
        station.bring(next(packages.glob("inspectd_0*.deb")), "/root")
        station.run("mkdir -p /var/lib/inspectd")
        station.bring(good_parts(workplace), "/var/lib/inspectd")
        yield Plant(hub, station, follow_guide({"hub": hub, "station": station}))


def test_a_stranger_gets_from_bare_debian_to_a_station_that_syncs_over_mutual_tls(plant: Plant) -> None:
    seen = json.loads(plant.hub.run(f"cloud stations --store {STORE} --json"))
    print(plant.said, seen)
    assert PARTS
