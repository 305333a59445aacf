"""Users, passwords, sessions, and how often somebody may try: what the pages' database promises."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud_sync.pages import passwords
from cloud_sync.pages.accounts import Accounts
from cloud_sync.pages.audit import STRANGERS_AN_HOUR, AuditLog
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.people import Role
from cloud_sync.pages.sessions import IDLE_S, LONGEST_S, Sessions
from cloud_sync.pages.store import KEPT_ACTS, PagesStore
from cloud_sync.pages.tries import (
    KNOWN_S,
    PER_ADDRESS,
    PER_NAME,
    PER_NAME_AND_ADDRESS,
    WINDOW_S,
    From,
    LoginRefusedError,
    begin_try,
    digest,
)

RIGHT = "as-long-as-it-takes"
HASHED = passwords.hashed(RIGHT)
OURS, THEIRS = From("10.0.0.5"), From("10.0.0.66")


@dataclass
class House:
    """The database with one administrator in it, and a clock that a test turns."""

    store: PagesStore
    accounts: Accounts
    sessions: Sessions
    now_s: list[float]

    def fail(self, times: int, origin: From, name: str = "ada") -> str:
        """Try wrong passwords; gives the last refusal's word. Counted as a login counts, without hashing each."""
        word = "login.wrong"
        for _ in range(times):
            try:
                with self.store.transaction() as connection:
                    begin_try(connection, name, origin, self.now_s[0])
            except LoginRefusedError as error:
                word = error.word
        return word


@pytest.fixture
def house(tmp_path: Path) -> House:
    store, now_s = PagesStore(tmp_path / "pages.db"), [1_000_000.0]
    found = House(store, Accounts(store), Sessions(store, lambda: now_s[0]), now_s)
    with store.transaction() as connection:
        connection.execute("INSERT INTO people VALUES ('ada', 'admin', ?, '', 'auto', '2026-01-01')", (HASHED,))
    return found


def test_a_password_is_kept_as_argon2id_in_one_lane() -> None:
    assert HASHED.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert not passwords.outdated(HASHED)
    assert passwords.matches(HASHED, RIGHT)


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("short", id="short"),
        pytest.param("x" * 257, id="longer than is looked at"),
        pytest.param("aaaaaaaaaaaa", id="one letter"),
        pytest.param("ada-is-my-name", id="the name"),
        pytest.param("line\nfeed-in-it", id="a line feed"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused(house: House, password: str) -> None:
    with pytest.raises(PagesError):
        house.accounts.set_password("ada", password)
    house.sessions.check("ada", RIGHT, OURS)


def test_a_password_is_the_same_from_every_keyboard(house: House) -> None:
    house.accounts.set_password("ada", "schlu\u0308ssel-fu\u0308r-die-tu\u0308r")
    house.sessions.check("ada", "schl\u00fcssel-f\u00fcr-die-t\u00fcr", OURS)


def test_for_a_name_that_is_not_known_the_same_work_is_done() -> None:
    assert passwords.matches(None, "nobody has this one") is False
    assert passwords._NOBODY.split("$")[:4] == HASHED.split("$")[:4]  # noqa: SLF001


def test_a_password_hashed_with_other_parameters_is_hashed_anew_at_the_next_login(house: House) -> None:
    weak = passwords.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(RIGHT)
    with house.store.transaction() as connection:
        connection.execute("UPDATE people SET password = ?", (weak,))
    house.sessions.begin("ada", RIGHT, OURS)
    with house.store.transaction() as connection:
        assert not passwords.outdated(connection.execute("SELECT password FROM people").fetchone()[0])


def test_no_token_stands_in_the_database(house: House) -> None:
    begun = house.sessions.begin("ada", RIGHT, OURS)
    with house.store.transaction() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = house.store.path.read_bytes()
    assert begun.token.encode() not in content
    assert begun.browser.encode() not in content
    assert RIGHT.encode() not in content
    assert house.store.path.stat().st_mode & 0o077 == 0


def test_a_session_ends_unused_and_in_any_case(house: House) -> None:
    token = house.sessions.begin("ada", RIGHT, OURS).token
    began_s = house.now_s[0]
    while house.now_s[0] + IDLE_S < began_s + LONGEST_S:
        house.now_s[0] += IDLE_S
        assert house.sessions.find(token) is not None
    house.now_s[0] = began_s + LONGEST_S + 1
    assert house.sessions.find(token) is None
    idle = house.sessions.begin("ada", RIGHT, OURS).token
    house.now_s[0] += IDLE_S + 1
    assert house.sessions.find(idle) is None


def test_a_session_that_is_only_looked_at_grows_idle(house: House) -> None:
    token = house.sessions.begin("ada", RIGHT, OURS).token
    house.now_s[0] += IDLE_S - 1
    assert house.sessions.find(token, by_itself=True) is not None
    house.now_s[0] += 2
    assert house.sessions.find(token) is None


def test_the_screen_of_an_operator_stays_by_itself(house: House) -> None:
    token = house.sessions.begin("ada", RIGHT, OURS).token
    house.accounts.set_role("ada", Role.OPERATOR)
    for _ in range(3):
        house.now_s[0] += IDLE_S - 1
        assert house.sessions.find(token, by_itself=True) is not None


def test_a_clock_that_was_set_back_keeps_nobody_in_and_nobody_out(house: House) -> None:
    token = house.sessions.begin("ada", RIGHT, OURS).token
    assert house.fail(PER_NAME_AND_ADDRESS + 1, OURS) == "login.too_many"
    house.now_s[0] -= 365 * 86400
    assert house.sessions.find(token) is None
    house.sessions.begin("ada", RIGHT, OURS)


def test_a_role_a_password_and_a_removal_hold_at_the_next_request(house: House) -> None:
    token = house.sessions.begin("ada", RIGHT, OURS).token
    house.accounts.set_role("ada", Role.OPERATOR)
    found = house.sessions.find(token)
    assert found is not None
    assert found.person.role is Role.OPERATOR
    house.accounts.set_password("ada", "another-one-for-it")
    assert house.sessions.find(token) is None
    token = house.sessions.begin("ada", "another-one-for-it", OURS).token
    house.accounts.remove("ada")
    assert house.sessions.find(token) is None
    house.accounts.add("ada", Role.ADMIN, RIGHT)
    assert house.sessions.find(token) is None


def test_one_person_has_twenty_sessions_at_most(house: House) -> None:
    tokens = [f"token-{number}" for number in range(21)]
    with house.store.transaction() as connection:
        rows = [(digest(token), "ada", "csrf", house.now_s[0], house.now_s[0]) for token in tokens]
        connection.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", rows)
    tokens.append(house.sessions.begin("ada", RIGHT, OURS).token)
    assert [house.sessions.find(token) is not None for token in tokens] == [False] * 2 + [True] * 20


def test_ten_wrong_tries_from_one_place_are_enough_for_a_while(house: House) -> None:
    assert house.fail(PER_NAME_AND_ADDRESS, OURS) == "login.wrong"
    with pytest.raises(LoginRefusedError, match="too_many"):
        house.sessions.begin("ada", RIGHT, OURS)
    house.now_s[0] += WINDOW_S + 1
    house.sessions.begin("ada", RIGHT, OURS)


def test_whoever_gets_in_has_their_wrong_tries_forgotten(house: House) -> None:
    house.fail(PER_NAME_AND_ADDRESS - 1, OURS)
    house.sessions.begin("ada", RIGHT, OURS)
    assert house.fail(PER_NAME_AND_ADDRESS, OURS) == "login.wrong"


def test_a_stranger_elsewhere_keeps_nobody_out(house: House) -> None:
    assert house.fail(PER_ADDRESS + 1, THEIRS) == "login.too_many"
    house.sessions.begin("ada", RIGHT, OURS)


def test_a_stranger_at_the_same_address_or_at_many_keeps_no_known_browser_out(house: House) -> None:
    known = From(OURS.address, house.sessions.begin("ada", RIGHT, OURS).browser)
    house.fail(PER_ADDRESS + 1, OURS)
    for last in range(PER_NAME // PER_NAME_AND_ADDRESS + 1):
        house.fail(PER_NAME_AND_ADDRESS, From(f"10.9.0.{last}"))
    with pytest.raises(LoginRefusedError, match="too_many"):
        house.sessions.begin("ada", RIGHT, From("10.0.0.7"))
    house.sessions.begin("ada", RIGHT, known)


def test_a_known_browser_may_not_guess_for_ever_nor_be_anothers(house: House) -> None:
    house.accounts.add("bob", Role.OPERATOR, "a-key-that-opens")
    known = From(OURS.address, house.sessions.begin("bob", "a-key-that-opens", OURS).browser)
    assert house.fail(PER_NAME_AND_ADDRESS + 1, known, "bob") == "login.too_many"
    house.fail(PER_NAME_AND_ADDRESS, OURS)
    with pytest.raises(LoginRefusedError, match="too_many"):
        house.sessions.begin("ada", RIGHT, known)


def test_a_browser_is_known_for_half_a_year_and_until_the_password_changes(house: House) -> None:
    first = house.sessions.begin("ada", RIGHT, OURS).browser
    assert house.sessions.begin("ada", RIGHT, From(OURS.address, first)).browser == first
    house.now_s[0] += KNOWN_S + 1
    second = house.sessions.begin("ada", RIGHT, From(OURS.address, first)).browser
    assert second != first
    house.accounts.set_password("ada", "another-one-for-it")
    assert house.sessions.begin("ada", "another-one-for-it", From(OURS.address, second)).browser != second


def test_who_is_kept_out_gets_in_by_a_password_that_is_set_at_the_machine(house: House) -> None:
    for last in range(PER_NAME // PER_NAME_AND_ADDRESS):
        house.fail(PER_NAME_AND_ADDRESS, From(f"10.9.0.{last}"))
    house.accounts.set_password("ada", "another-one-for-it")
    house.sessions.begin("ada", "another-one-for-it", OURS)


def test_a_neighbour_with_many_ipv6_addresses_is_one(house: House) -> None:
    for last in range(PER_NAME_AND_ADDRESS):
        house.fail(1, From(f"fd00:1:2:3::{last:x}"))
    assert house.fail(1, From("fd00:1:2:3:aaaa::1")) == "login.too_many"
    assert house.fail(1, From("fd00:1:2:4::1")) == "login.wrong"


def test_many_tries_at_once_are_no_more_than_many_in_turn(house: House) -> None:
    words: list[str] = []
    house.fail(PER_NAME_AND_ADDRESS - 3, OURS)

    def attempt() -> None:
        try:
            house.sessions.begin("ada", "a-wrong-password", OURS)
        except LoginRefusedError as error:
            words.append(error.word)

    many = [threading.Thread(target=attempt) for _ in range(9)]
    for each in many:
        each.start()
    for each in many:
        each.join()
    assert sorted(words) == ["login.too_many"] * 6 + ["login.wrong"] * 3


def refuses(store: PagesStore, statement: str) -> bool:
    try:
        with store.transaction() as connection:
            connection.execute(statement)
    except sqlite3.IntegrityError:
        return True
    return False


def test_what_was_done_is_neither_changed_nor_forgotten(house: House) -> None:
    audit = AuditLog(house.store)
    audit.write(("ada", "admin"), "127.0.0.1", "rollback", "cells")
    assert refuses(house.store, "UPDATE audit SET name = 'eve'")
    assert refuses(house.store, "DELETE FROM audit")
    assert [entry.action for _, entry in audit.newest()] == ["rollback"]


def test_the_newest_million_acts_are_kept_and_no_more(house: House) -> None:
    audit, columns = AuditLog(house.store), "at, name, role, address, action, subject, outcome"
    for number in (1, 2, KEPT_ACTS + 999):
        with house.store.transaction() as connection:
            connection.execute(
                f"INSERT INTO audit (id, {columns}) VALUES (?, '', 'a', 'admin', '', '', '', '')",  # noqa: S608
                (number,),
            )
    audit.write(("ada", "admin"), "", "the thousandth", "")
    assert [number for number, _ in audit.newest()] == [KEPT_ACTS + 1000, KEPT_ACTS + 999]


def test_strangers_fill_no_disk_by_failing_and_leave_no_password_in_the_name(house: House) -> None:
    audit = AuditLog(house.store)
    for _ in range(STRANGERS_AN_HOUR + 20):
        audit.write_stranger("my-secret-typed-here", "10.0.0.66", "wrong")
    audit.write(("ada", "admin"), "10.0.0.5", "login", "ada")
    entries = [entry for _, entry in audit.newest()]
    assert len(entries) == STRANGERS_AN_HOUR + 1
    assert "are not written" in entries[1].outcome
    assert not any("my-secret" in str(entry) for entry in entries)


def test_a_failed_login_of_a_user_is_written_by_name(house: House) -> None:
    audit = AuditLog(house.store)
    audit.write_stranger("ada", "10.0.0.66", "wrong")
    (_, entry), *none = audit.newest()
    assert (entry.name, entry.role, entry.action, entry.address, none) == ("ada", "", "login", "10.0.0.66", [])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda accounts: accounts.add("ada", Role.OPERATOR, "long-enough-for-it"), id="a name twice"),
        pytest.param(lambda accounts: accounts.add("Ada Lovelace", Role.OPERATOR, "long-enough-for-it"), id="no name"),
        pytest.param(lambda accounts: accounts.add("", Role.OPERATOR, "long-enough-for-it"), id="empty name"),
        pytest.param(lambda accounts: accounts.remove("bob"), id="nobody to remove"),
        pytest.param(lambda accounts: accounts.set_role("bob", Role.ADMIN), id="nobody to promote"),
        pytest.param(lambda accounts: accounts.set_password("bob", "long-enough-for-it"), id="nobody's password"),
        pytest.param(lambda accounts: accounts.set_looks("ada", "fr", "dark"), id="no such language"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(house: House, change: Callable[[Accounts], None]) -> None:
    before = house.accounts.everybody()
    with pytest.raises(PagesError):
        change(house.accounts)
    assert house.accounts.everybody() == before


def test_pages_whose_users_were_removed_let_nobody_in_and_say_what_to_do(tmp_path: Path) -> None:
    store = PagesStore(tmp_path / "pages.db")
    for path in tmp_path.glob("pages.db*"):
        path.unlink()
    with pytest.raises(sqlite3.OperationalError, match="user add"), store.transaction():
        pass
    assert not store.path.exists(), "an empty one would let nobody know"
    PagesStore(store.path)  # as `user add` makes it
    with store.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone()[0] == 0
