"""No release with a known weakness, and none that was never asked about."""

import json
import sys
from datetime import date
from pathlib import Path

import pytest
from advisory_server import advisory_server, weakness
from supply.advisories import ACCEPTED, Acceptance, Answer, Finding, ask, judge, read_accepted, read_answer
from supply.faults import MisuseError, RefusedError, UnreachableError
from supply.locks import Pin, read_lock

ENVIRONMENTS = (Path(sys.prefix).parent, Path(__file__).parents[2] / ".venv")
PIP_AUDIT = next((path for env in ENVIRONMENTS if (path := env / "release/bin/pip-audit").is_file()), Path("pip-audit"))
PINS = (Pin("bad", "1.0", ("0" * 64,)), Pin("good", "2.0", ("1" * 64,)))
FOUND = Finding("bad", "1.0", ("CVE-2026-0001", "GHSA-1"), ("1.1",))  # pip-audit puts the CVE first
TODAY = date(2026, 11, 26)

needs_pip_audit = pytest.mark.skipif(not PIP_AUDIT.is_file(), reason="pip-audit is not here: `make test` installs it")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.txt"
    path.write_text("".join(f"{pin.name}=={pin.version} --hash=sha256:{pin.hashes[0]}\n" for pin in PINS))
    return path


def accepting(known: str, until: date) -> tuple[Acceptance, ...]:
    return (Acceptance("bad", known, "we never call it", until),)


def test_a_known_weakness_stops_the_release() -> None:
    with pytest.raises(RefusedError, match="CVE-2026-0001, fixed in"):
        judge(Answer((FOUND,), ()), (), TODAY)


@pytest.mark.parametrize("known", ["GHSA-1", "CVE-2026-0001"])
def test_an_accepted_weakness_passes_until_its_last_day(known: str) -> None:
    judge(Answer((FOUND,), ()), accepting(known, TODAY), TODAY)
    with pytest.raises(RefusedError, match="CVE-2026-0001"):
        judge(Answer((FOUND,), ()), accepting(known, date(2026, 11, 25)), TODAY)


def test_an_acceptance_of_another_weakness_or_package_helps_nothing() -> None:
    for accepted in (accepting("GHSA-2", TODAY), (Acceptance("good", "GHSA-1", "x", TODAY),)):
        with pytest.raises(RefusedError):
            judge(Answer((FOUND,), ()), accepted, TODAY)


def test_pins_that_pip_audit_skips_or_leaves_out_are_not_audited() -> None:
    said = {"dependencies": [{"name": "bad", "skip_reason": "Dependency not found"}], "fixes": []}
    answer = read_answer(json.dumps(said), PINS)

    with pytest.raises(UnreachableError, match="not audited: the service did not answer for bad, good"):
        judge(answer, (), TODAY)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[[accepted]]\npackage="a"\nid="b"\nuntil=2027-01-01', id="no reason"),
        pytest.param('[[accepted]]\npackage="a"\nid="b"\nreason=" "\nuntil=2027-01-01', id="an empty reason"),
        pytest.param('[[accepted]]\npackage="a"\nid="b"\nreason="c"', id="no end"),
        pytest.param('[[accepted]]\npackage="a"\nid="b"\nreason="c"\nuntil="never"', id="an end that is no date"),
    ],
)
def test_nothing_is_accepted_without_a_reason_and_an_end(text: str, tmp_path: Path) -> None:
    (tmp_path / "accepted.toml").write_text(text)
    with pytest.raises(MisuseError):
        read_accepted(tmp_path / "accepted.toml")


def test_our_own_acceptances_are_well_formed() -> None:
    read_accepted(ACCEPTED)


@needs_pip_audit
def test_pip_audit_finds_the_weak_pin_of_a_lock(lock: Path) -> None:
    with advisory_server({"bad": weakness("bad", "GHSA-1", "1.1")}) as url:
        answer = ask(PIP_AUDIT, lock, read_lock(lock), ["-s", "osv", "--osv-url", url])

    assert answer == Answer((FOUND,), ())


@needs_pip_audit
def test_a_service_that_refuses_or_is_not_there_leaves_the_lock_unaudited(lock: Path) -> None:
    with advisory_server({}, status=503) as url, pytest.raises(UnreachableError, match="not audited"):
        ask(PIP_AUDIT, lock, read_lock(lock), ["-s", "osv", "--osv-url", url])
    with pytest.raises(UnreachableError, match="not audited"):
        ask(PIP_AUDIT, lock, read_lock(lock), ["-s", "osv", "--osv-url", url])


def test_without_pip_audit_the_lock_is_unaudited(lock: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="not audited"):
        ask(tmp_path / "none", lock, read_lock(lock), [])
