"""Whatever a customer installs has a licence that somebody has read."""

from pathlib import Path

import pytest
from supply.faults import MisuseError, RefusedError
from supply.licences import BY_HAND, Weight, licences, page, weigh
from supply.locks import Pin, read_lock

HASHED = Path(__file__).parents[2] / "deploy" / "requirements" / "hashed"
LOCKED = HASHED.parent


@pytest.mark.parametrize("part", ["inspectd", "inspectd-hub"])
def test_every_distribution_of_a_lock_has_a_known_licence_and_its_text(part: str) -> None:
    pins = read_lock(HASHED / f"{part}.txt")
    found = licences(pins)

    assert [each.pin for each in found] == list(pins)
    assert [each.pin.name for each in found if not each.texts and "no licence text" not in each.evidence] == []


def test_the_page_lists_weak_copyleft_what_is_bundled_and_every_text() -> None:
    found = licences(read_lock(HASHED / "inspectd-hub.txt"))
    text = page(found)

    assert "- psycopg 3" in text
    assert "libavcodec" in text
    assert all(f"### {each.pin.name} {each.pin.version}" in text for each in found)


@pytest.mark.parametrize(
    ("expression", "weight"),
    [
        pytest.param("MIT", Weight.FREE, id="free"),
        pytest.param("LGPL-3.0-only", Weight.LISTED, id="lesser"),
        pytest.param("MIT AND (MPL-2.0 OR Apache-2.0)", Weight.FREE, id="a choice inside"),
        pytest.param("GPL-3.0-or-later WITH GCC-exception-3.1 AND MIT", Weight.LISTED, id="a run time's exception"),
        pytest.param("GPL-2.0-only OR MIT", Weight.FREE, id="we choose"),
        pytest.param("GPL-3.0-or-later", Weight.REFUSED, id="GPL"),
        pytest.param("AGPL-3.0-only", Weight.REFUSED, id="AGPL"),
        pytest.param("MIT AND AGPL-3.0-only", Weight.REFUSED, id="one part is AGPL"),
        pytest.param("GPL-3.0-only WITH Classpath-exception-2.0", Weight.REFUSED, id="an exception nobody has read"),
        pytest.param("SSPL-1.0", Weight.REFUSED, id="on no list"),
        pytest.param("Apache 2.0", Weight.REFUSED, id="no SPDX"),
        pytest.param("", Weight.REFUSED, id="none"),
    ],
)
def test_a_licence_weighs_what_its_heaviest_needed_part_does(expression: str, weight: Weight) -> None:
    assert weigh(expression) is weight


def test_a_lock_that_gains_a_package_without_known_licence_is_refused(tmp_path: Path) -> None:
    (tmp_path / "licences.toml").write_text("")
    shellingham = next(pin for pin in read_lock(HASHED / "inspectd.txt") if pin.name == "shellingham")

    with pytest.raises(RefusedError, match="shellingham: unknown"):
        licences((shellingham,), tmp_path / "licences.toml")


def test_a_lock_that_gains_a_package_which_is_not_here_is_refused() -> None:
    with pytest.raises(MisuseError, match="no-such-thing 1 is not installed"):
        licences((Pin("no-such-thing", "1", ()),))


def test_a_licence_by_hand_needs_evidence(tmp_path: Path) -> None:
    (tmp_path / "licences.toml").write_text('[rich]\nlicence = "MIT"\n')
    with pytest.raises(MisuseError, match="rich needs licence and evidence"):
        licences((), tmp_path / "licences.toml")


def test_no_licence_by_hand_is_left_over() -> None:
    import tomllib

    locked = {pin.name for lock in HASHED.glob("*.txt") for pin in read_lock(lock)}
    assert set(tomllib.loads(BY_HAND.read_text())) <= locked


@pytest.mark.parametrize("part", ["inspectd", "inspectd-hub"])
def test_locks_with_and_without_hashes_pin_the_same(part: str) -> None:
    plain = sorted((LOCKED / f"{part}.txt").read_text().split())
    developed = (LOCKED / "dev.txt").read_text().split()

    assert sorted(f"{pin.name}=={pin.version}" for pin in read_lock(HASHED / f"{part}.txt")) == plain
    assert set(plain) <= set(developed), "tests run with other versions than customers have: `make lock`"


@pytest.mark.parametrize("line", ["rich==15.0.0", "rich>=15 --hash=sha256:" + "0" * 64, "-r other.txt", ""])
def test_a_lock_line_without_pin_or_hash_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text(line + "\n")
    with pytest.raises(MisuseError, match=r"lock\.txt:1"):
        read_lock(tmp_path / "lock.txt")
