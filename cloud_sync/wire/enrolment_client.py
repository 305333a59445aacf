"""Asks the authority for a certificate over HTTPS: within a time limit, and of nobody else.

The first contact, with nothing but a token, goes in two steps: the authority's certificate is fetched from whoever
answers, and held against the token's fingerprint; only then, over a connection that this authority vouches for by the
server's name too, goes the secret.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cloud_sync.wire import strict_json
from cloud_sync.wire.certificates import certificate_pem, fingerprint, read_certificate
from cloud_sync.wire.enrolment import ANSWER_LIMIT_BYTES, AUTHORITY_PATH, ENROL_PATH, RENEW_PATH, Grant, Request, Token
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address
from cloud_sync.wire.tls import hear_refusal
from cloud_sync.wire.tls_reasons import tls_reason

STEP_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 30.0
_SHOWN = 300


class RefusedError(LinkError):
    """The authority was reached and said no."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    payload: bytes


def enrol(token: Token, csr: bytes, total_timeout_s: float = TOTAL_TIMEOUT_S) -> Grant:
    """Use the token for this signing request.

    Raises:
        RefusedError: the authority said no.
        LinkError: it cannot be reached in time, or is not the token's.
    """
    authority = _fetched_authority(token, total_timeout_s)
    context = _context()
    context.load_verify_locations(cadata=authority)
    request = Request(csr, token.secret)
    grant = Grant.parse(_asked(token.address, context, ENROL_PATH, request, total_timeout_s))
    if fingerprint(read_certificate(grant.authority)) != token.authority_sha256:
        raise LinkError(f"{token.address} sent another authority than the token's: do not use this token again")
    return grant


def renew(address: Address, identity: Identity, csr: bytes, total_timeout_s: float = TOTAL_TIMEOUT_S) -> Grant:
    """Ask for the next certificate with the one we have. Raises RefusedError, LinkError as `enrol`."""
    return Grant.parse(_asked(address, identity.context(), RENEW_PATH, Request(csr), total_timeout_s))


def _fetched_authority(token: Token, total_timeout_s: float) -> str:
    stranger = _context()
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE  # nothing is told to it, and what it says is held against the token
    answer = _exchange(token.address, stranger, "GET", AUTHORITY_PATH, b"", total_timeout_s)
    if answer.status != http.HTTPStatus.OK:
        raise LinkError(f"{token.address} is no enrolment server of ours: it answers {answer.status}")
    found = read_certificate(answer.payload)
    if fingerprint(found) != token.authority_sha256:
        raise LinkError(
            f"{token.address} is not the token's authority: expected fingerprint {token.authority_sha256[:16]}..., "
            f"got {fingerprint(found)[:16]}...; somebody stands in between, or the token is of another installation. "
            "The token's secret was not sent"
        )
    return certificate_pem(found).decode()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _asked(address: Address, context: ssl.SSLContext, path: str, request: Request, total_timeout_s: float) -> bytes:
    answer = _exchange(address, context, "POST", path, request.pack(), total_timeout_s)
    if answer.status != http.HTTPStatus.OK:
        raise RefusedError(f"{address} refused: {_reason(answer)}")
    return answer.payload


def _reason(answer: _Answer) -> str:
    try:
        found = strict_json.members(strict_json.loads(answer.payload), ("error",), "a refusal")
    except LinkError:
        return f"HTTP status {answer.status}"
    return ascii(found["error"])[1:-1][:_SHOWN]


def _exchange(
    address: Address, context: ssl.SSLContext, method: str, path: str, body: bytes, total_timeout_s: float
) -> _Answer:
    connection = http.client.HTTPSConnection(address.host, address.port, timeout=STEP_TIMEOUT_S, context=context)
    try:
        raw = socket.create_connection((address.host, address.port), timeout=min(STEP_TIMEOUT_S, total_timeout_s))
        secure = context.wrap_socket(raw, server_hostname=address.host, do_handshake_on_connect=False)
        connection.sock = secure
        with _limited(secure, total_timeout_s):
            secure.do_handshake()
            _hear_refusal(secure, address)
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            payload = response.read(ANSWER_LIMIT_BYTES + 1)
    except ssl.SSLError as error:
        raise LinkError(f"no TLS with the enrolment server {address}: {tls_reason(error)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise LinkError(f"cannot ask the enrolment server {address}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if len(payload) > ANSWER_LIMIT_BYTES:
        raise LinkError(f"{address} answers with more than {ANSWER_LIMIT_BYTES} bytes: it is no enrolment server")
    return _Answer(response.status, payload)


def _hear_refusal(secure: ssl.SSLSocket, address: Address) -> None:
    step_s = secure.gettimeout()
    secure.setblocking(False)
    try:
        hear_refusal(secure)
    except LinkError as error:
        raise LinkError(f"no TLS with the enrolment server {address}: {error}") from error
    secure.settimeout(step_s)


@contextmanager
def _limited(connected: socket.socket, total_timeout_s: float) -> Iterator[None]:
    """Each wait is bounded by the socket; this bounds their sum, against a server that drips."""
    timer = threading.Timer(total_timeout_s, _hang_up, [connected])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(connected: socket.socket) -> None:
    try:
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # not TLS's own, which the reading thread is in
    except OSError:
        return  # it has ended by itself
