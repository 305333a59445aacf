"""The server around the pages, for real: TLS, somebody who holds connections, streams, and how it ends."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from pages_kit import PASSWORD, let_in, served, visitor
from starlette.responses import StreamingResponse
from station_kit import Station

from cloud_sync.pages import server, streams
from cloud_sync.pages.errors import PagesError
from cloud_sync.pages.guard import Operator
from cloud_sync.pages.people import Role
from cloud_sync.pages.serving import Listen, serve
from cloud_sync.pages.site import Rooms
from cloud_sync.wire.broker import free_port
from edge.config import load_config
from edge.web.site import make_station_pages


def make_app(folder: Path) -> FastAPI:
    app = make_station_pages(load_config(Station(folder / "station").write_config()), Listen())

    @app.get("/stream")
    async def stream(session: Operator) -> StreamingResponse:  # noqa: ARG001 - the guard
        async def events() -> AsyncIterator[str]:
            while True:
                yield "data: x\n\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


def make_certificate(folder: Path, name: str, *, locked: bool = False) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    secret = ["-passout", "pass:hush"] if locked else ["-nodes"]
    words += [*secret, "-subj", "/CN=press-4.plant", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


@contextmanager
def web(config: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`edge web`, and the address that it says."""
    words = ["edge", "web", "-c", str(config), "--listen", "127.0.0.1:0", "--json", *options]
    child = subprocess.Popen(
        [sys.executable, "-c", "from edge.cli import main; main()", *words[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout
        yield child, json.loads(child.stdout.readline())["address"]
    finally:
        child.kill()
        child.communicate()


def port_of(address: str) -> int:
    return int(address.rstrip("/").rpartition(":")[2])


def begin_stream(address: str, cookie: str, path: str = "/stream") -> socket.socket:
    """Ask for a stream, and hear its head."""
    connection = socket.create_connection(("127.0.0.1", port_of(address)), timeout=20)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nAccept: text/event-stream\r\n\r\n"
    connection.sendall(head.encode())
    assert b" 200 " in connection.recv(100)
    return connection


def hear_end(connection: socket.socket) -> bytes:
    """All that comes until it ends."""
    heard = b""
    while more := connection.recv(65536):
        heard += more
        if heard.endswith(b"0\r\n\r\n"):
            break
    return heard


def cookie_of(app: FastAPI, role: str) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor(app, role).client.cookies.items())


def test_over_tls_by_a_certificate_of_ones_own_and_not_below_1_2(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "ours")
    settings = {"web": {"certificate": str(certificate), "key": str(key), "names": ["press-4.plant"]}}
    config = Station(tmp_path / "station", settings=settings).write_config()
    with web(config) as (child, address):
        assert address.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(certificate))
        with (
            socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            assert connection.version() in {"TLSv1.2", "TLSv1.3"}
            connection.sendall(b"GET /login HTTP/1.1\r\nHost: press-4.plant\r\nConnection: close\r\n\r\n")
            heard = connection.recv(8192)
        assert b" 200 OK" in heard
        assert b"strict-transport-security" in heard.lower()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            old.wrap_socket(plain)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0


def test_nobody_on_another_machine_is_asked_for_a_password_in_the_clear() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7", "press-4"):  # noqa: S104 - refused
        with pytest.raises(PagesError, match="in the clear"):
            Listen(host, 8080)
    assert Listen("127.0.0.9", 8080).is_local


def test_a_certificate_that_cannot_be_used_is_said_before_anybody_is_served(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    certificate, key = make_certificate(tmp_path, "ours")
    _, other = make_certificate(tmp_path, "other")
    locked, secret = make_certificate(tmp_path, "locked", locked=True)
    for named, with_key, why in (
        (certificate, other, "cannot use certificate"),
        (tmp_path / "nowhere", key, "cannot use certificate"),
        (key, key, "cannot use certificate"),
        (locked, secret, "asks for a password"),
    ):
        with pytest.raises(PagesError, match=why):
            serve(app, Listen("127.0.0.1", 0, named, with_key))
    with pytest.raises(PagesError, match="go together"):
        Listen("127.0.0.1", 0, certificate)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PagesError, match="already in use"):
        serve(app, Listen("127.0.0.1", taken.getsockname()[1]))
    with pytest.raises(PagesError, match="a port is"):
        Listen("127.0.0.1", 70000)
    with pytest.raises(PagesError, match="cannot serve"):
        serve(app, Listen("192.0.2.7", 0, *make_certificate(tmp_path, "ours")))


def test_it_ends_within_seconds_though_somebody_follows_a_stream(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    let_in(app)
    cookie = cookie_of(app, "operator")
    with served(app) as address:
        connections = [begin_stream(address, cookie) for _ in range(3)]
        ending = threading.Thread(target=lambda: [hear_end(each) for each in connections])
        ending.start()
        rooms: Rooms = app.state.rooms
        assert not rooms.stopping.is_set()
    ending.join(20)
    assert not ending.is_alive()
    for each in connections:
        each.close()
    assert rooms.stopping.is_set()


@pytest.mark.parametrize("how", ["logged out", "removed", "another role"])
def test_a_stream_ends_with_what_let_it_begin(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_ASKS_EVERY", 1)
    app = make_app(tmp_path)
    rooms: Rooms = app.state.rooms
    rooms.accounts.add("engineer", Role.ENGINEER, PASSWORD)
    there = visitor(app, "engineer")
    cookie = "; ".join(f"{name}={value}" for name, value in there.client.cookies.items())
    with served(app) as address, begin_stream(address, cookie) as connection:
        assert connection.recv(1000)
        if how == "logged out":
            there.post("/logout")
        elif how == "removed":
            rooms.accounts.remove("engineer")
        else:
            rooms.accounts.set_role("engineer", Role.OPERATOR)
        assert hear_end(connection).endswith(b"0\r\n\r\n")


def test_who_asks_nothing_is_let_go_and_who_is_slow_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.5)
    with served(make_app(tmp_path)) as address:
        for begun in (b"", b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "):
            with socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as silent:
                silent.sendall(begun)
                assert is_closed(silent)
        with socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as again:
            again.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b" 200 OK" in again.recv(65536)
            again.sendall(b"GET /log")
            while again.recv(65536):
                pass


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_sync.pages.bodies.FORM_S", 0.3)
    with (
        served(make_app(tmp_path)) as address,
        socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as slow,
    ):
        head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n"
        slow.sendall(head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a")
        heard = slow.recv(65536)
        assert b" 408 " in heard
        assert b"content-security-policy" in heard.lower()


ASKED = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_whoever_holds_many_connections_loses_the_oldest_and_keeps_nobody_out(tmp_path: Path) -> None:
    with served(make_app(tmp_path)) as address, contextlib.ExitStack() as open_ones:

        def connect() -> socket.socket:
            return open_ones.enter_context(socket.create_connection(("127.0.0.1", port_of(address)), timeout=20))

        held = [connect() for _ in range(server.PER_ADDRESS)]
        one_more = connect()
        assert is_closed(held[0])
        for each in (one_more, held[-1]):
            each.sendall(ASKED)
            assert b" 200 OK" in each.recv(65536)


def test_where_all_connections_ask_for_something_the_next_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PER_ADDRESS", 2)
    app = make_app(tmp_path)
    let_in(app)
    cookie = cookie_of(app, "operator")
    with served(app) as address, begin_stream(address, cookie) as one, begin_stream(address, cookie) as two:
        with socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as third:
            assert is_closed(third)
        assert one.recv(100)
        assert two.recv(100)


def test_rubbish_and_other_protocols_end_nothing(tmp_path: Path) -> None:
    with served(make_app(tmp_path)) as address:
        for rubbish in (
            b"\x16\x03\x01" + os.urandom(200),
            b"GET\r\n\r\n",
            b"x" * 100_000,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as connection:
                try:
                    connection.sendall(rubbish)
                    while connection.recv(65536):
                        pass
                except ConnectionError:
                    pass
        with socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as upgrading:
            upgrading.sendall(
                b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            assert b" 200 OK" in upgrading.recv(65536)


@pytest.mark.long
def test_a_port_that_is_free_again_is_served_at_once(tmp_path: Path) -> None:
    port = free_port()
    config = Station(tmp_path / "station").write_config()
    for _ in range(2):
        with web(config, "--listen", f"127.0.0.1:{port}") as (child, address):
            assert port_of(address) == port
            child.send_signal(signal.SIGTERM)
            assert child.wait(30) == 0
