"""`edge user`, `cloud user`, `edge web`, `cloud web`: as a person and as a script call them."""

import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from labels_kit import receive, sample
from station_kit import Station

from cloud_sync.hub.cli import main as cloud_main
from cloud_sync.pages.accounts import Accounts
from cloud_sync.pages.audit import AuditLog
from cloud_sync.pages.sessions import Sessions
from cloud_sync.pages.store import PagesStore
from cloud_sync.pages.tries import From
from edge.cli import main as edge_main

Call = Callable[..., tuple[int, str, str]]
RIGHT, OTHER = "as-long-as-it-takes", "another-one-for-it"
MAIN = {"edge": edge_main, "cloud": cloud_main}
DATABASE = {"edge": "data/pages.db", "cloud": "pages.db"}


pytestmark = pytest.mark.long


@pytest.fixture(params=["edge", "cloud"])
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(tool: str, tmp_path: Path) -> Path:
    if tool == "edge":
        return Station(tmp_path / "house").write_config()
    place = tmp_path / "house" / "cloud.toml"
    place.parent.mkdir()
    place.write_text("")
    receive(str(place.with_name("cloud.db")), sample(1, 1))
    return place


def words(tool: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"from {MAIN[tool].__module__} import main; main()", *arguments]


@pytest.fixture
def call(
    tool: str, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command in this process: exit code, standard output, standard error."""

    def run(*arguments: str, typed: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [tool, *arguments, "--config", str(config)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
        with pytest.raises(SystemExit) as end:
            MAIN[tool]()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def sessions(tool: str, config: Path) -> Sessions:
    return Sessions(PagesStore(config.parent / DATABASE[tool]))


def test_users_come_change_and_go_by_a_pipe(tool: str, config: Path, call: Call) -> None:
    code, said, _ = call("user", "add", "ada", "--role", "admin", "--json", typed=f"{RIGHT}\n".encode())
    assert (code, json.loads(said)) == (0, {"ok": True, "name": "ada", "role": "admin"})
    token = sessions(tool, config).begin("ada", RIGHT, From("")).token
    code, said, _ = call("user", "role", "ada", "engineer", "--json")
    assert (code, json.loads(said)["role"]) == (0, "engineer")
    code, said, _ = call("user", "list", "--json")
    assert [(each["name"], each["role"]) for each in json.loads(said)["users"]] == [("ada", "engineer")]
    assert sessions(tool, config).find(token) is not None
    assert call("user", "password", "ada", typed=OTHER.encode())[0] == 0  # no line feed at the end
    assert sessions(tool, config).find(token) is None
    sessions(tool, config).check("ada", OTHER, From(""))
    code, said, _ = call("user", "remove", "ada")
    assert (code, said) == (0, "ada may log in no more\n")
    assert call("user", "list")[1] == "nobody may log in yet: `user add`\n"
    assert (config.parent / DATABASE[tool]).stat().st_mode & 0o077 == 0
    noted = [entry for _, entry in AuditLog(PagesStore(config.parent / DATABASE[tool])).newest()][::-1]
    assert [(each.action, each.subject) for each in noted] == [
        ("user add", "ada as admin"),
        ("user role", "ada as engineer"),
        ("password", "ada"),
        ("user remove", "ada"),
    ]
    assert {each.role for each in noted} == {"terminal"}
    assert all(each.name for each in noted)


@pytest.mark.parametrize(
    ("arguments", "typed", "why"),
    [
        pytest.param(["user", "add", "ada"], "short\n", "10 to 256 characters", id="short"),
        pytest.param(["user", "add", "ada"], "", "10 to 256 characters", id="nothing"),
        pytest.param(["user", "add", "Ada L"], f"{RIGHT}\n", "a user's name is", id="no name"),
        pytest.param(["user", "add", "ada", "--role", "king"], f"{RIGHT}\n", "king", id="no role"),
        pytest.param(["user", "remove", "bob"], "", "no user 'bob'", id="nobody"),
        pytest.param(["user", "password", "bob"], f"{RIGHT}\n", "no user 'bob'", id="nobody's password"),
        pytest.param(["web", "--listen", "8080"], "", "HOST:PORT", id="no host"),
        pytest.param(["web", "--listen", "0.0.0.0:8080"], "", "in the clear", id="for everybody without TLS"),
        pytest.param(["web", "--listen", "127.0.0.1:99999"], "", "0 to 65535", id="no port"),
    ],
)
def test_what_cannot_be_ends_with_2_and_says_why(call: Call, arguments: list[str], typed: str, why: str) -> None:
    code, said, error = call(*arguments, typed=typed.encode())
    assert (code, said) == (2, "")
    assert why in error
    assert "Traceback" not in error


def test_a_password_of_no_text_is_refused(call: Call) -> None:
    code, _, error = call("user", "add", "ada", typed=b"\xff\xfe-not-text-\xff\n")
    assert code == 2
    assert "is no text" in error


@pytest.mark.parametrize(("again", "code"), [pytest.param(RIGHT, 0, id="same"), pytest.param(OTHER, 2, id="another")])
def test_at_a_terminal_the_password_is_asked_twice_and_not_seen(tmp_path: Path, again: str, code: int) -> None:
    config = Station(tmp_path / "house").write_config()
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, words("edge", "user", "add", "ada", "-c", str(config)))  # noqa: S606 - ours
    heard = hear_until(terminal, b"password: ")
    os.write(terminal, RIGHT.encode() + b"\n")
    heard += hear_until(terminal, b"again: ")
    os.write(terminal, again.encode() + b"\n")
    heard += hear_until(terminal, None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    os.close(terminal)
    assert RIGHT.encode() not in heard
    people = Accounts(PagesStore(config.parent / DATABASE["edge"])).everybody()
    assert [person.name for person in people] == ([] if code else ["ada"])


def hear_until(terminal: int, end: bytes | None) -> bytes:
    heard = b""
    while end is None or not heard.endswith(end):
        try:
            more = os.read(terminal, 4096)
        except OSError:  # Linux says so where the other end is closed
            break
        if not more:
            break
        heard += more
    return heard


def test_a_port_that_is_taken_ends_with_2_before_anything_is_said(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said, error = call("web", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (code, said) == (2, "")
    assert "already in use" in error
    assert "--listen" in error


def test_without_the_extra_it_says_what_to_install(tool: str, config: Path) -> None:
    text = f"import sys; sys.modules['fastapi'] = None; {words(tool)[2]}"
    done = subprocess.run(
        [sys.executable, "-c", text, "web", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "inspectd[" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_it_says_where_it_is_and_ends_when_told(tool: str, config: Path, how: signal.Signals) -> None:
    child = subprocess.Popen(
        words(tool, "web", "--config", str(config), "--listen", "127.0.0.1:0", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout
        address = json.loads(child.stdout.readline())["address"]
        port = int(address.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as asking:
            asking.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 OK" in asking.recv(4096)
        child.send_signal(how)
        assert child.wait(30) == 0
    finally:
        child.kill()
        _, error = child.communicate()
    assert "Traceback" not in error
