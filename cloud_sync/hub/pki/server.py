"""The enrolment server: HTTPS with TLS 1.3 for three questions, and for nothing else.

- Whoever asks is a stranger: a request has a size, a connection a time, the server a number of connections at once,
  and a peer a number of wrong tokens.
- Renewal needs the certificate that is to be renewed; TLS checks it against the authority, the register does the rest.
- A refusal says why to whoever asked, and the log says it too; a token that comes twice is an ALARM line there.
"""

import logging
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase

from cryptography import x509

from cloud_sync.hub.pki.errors import PkiError, RefusedError
from cloud_sync.hub.pki.office import Office
from cloud_sync.wire import strict_json
from cloud_sync.wire.enrolment import AUTHORITY_PATH, ENROL_PATH, RENEW_PATH, REQUEST_LIMIT_BYTES, Request
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Address

CONNECTIONS_MOST = 16
CONNECTIONS_EACH = 12  # of one address: several stations behind one, and never all places
WRONG_MOST = 10
WRONG_WITHIN_S = 600.0

_QUESTION_BYTES = REQUEST_LIMIT_BYTES + 8 * 1024  # with its first line and its headers
_PEERS_MOST = 1000
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class WrongTokens:
    """Counts the refused requests of each peer, so that nobody tries tokens for long. Knows no clock."""

    _at_s: dict[str, deque[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_too_many(self, peer: str, now_s: float) -> bool:
        """Whether this peer has to wait."""
        with self._lock:
            times = self._at_s.get(peer, deque())
            while times and now_s - times[0] > WRONG_WITHIN_S:
                times.popleft()
            return len(times) >= WRONG_MOST

    def count(self, peer: str, now_s: float) -> None:
        """It was refused once more."""
        with self._lock:
            if peer not in self._at_s and len(self._at_s) >= _PEERS_MOST:
                self._at_s.pop(next(iter(self._at_s)))
            self._at_s.setdefault(peer, deque(maxlen=WRONG_MOST)).append(now_s)


class EnrolmentServer(socketserver.ThreadingTCPServer):
    """Listens from construction on; `serve_forever` answers. A context manager.

    Args:
        office: who decides.
        listen: where.

    Raises:
        OSError: nobody can listen there.
        PkiError: the server's own certificate cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    connection_s = 20.0  # all of one connection's steps
    step_s = 10.0
    request_queue_size = 128  # of 5, a fleet that renews at once would wait for its second SYN

    def __init__(self, office: Office, listen: Address) -> None:
        self.office = office
        self.wrong = WrongTokens()
        self._held: Counter[str] = Counter()
        self._since_s: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._tls = _context(office)
        self.address_family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        super().__init__((listen.host, listen.port), _Handler)

    @property
    def port(self) -> int:
        """Where it really listens."""
        return int(self.server_address[1])

    def use_own_certificate(self) -> None:
        """Take the server's certificate as its file is now; it counts from the next connection on. Raises PkiError."""
        _load_own(self._tls, self.office)

    def get_request(self) -> tuple[socket.socket, object]:
        """The next connection, not shaken hands with yet: that is its own thread's work."""
        connected, peer = self.socket.accept()
        connected.settimeout(self.step_s)
        secure = self._tls.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        return secure, peer

    def verify_request(self, _request: object, client_address: object) -> bool:
        """Whether there is room for it."""
        peer = _peer(client_address)
        with self._lock:
            if self._held.total() < CONNECTIONS_MOST and self._held[peer] < CONNECTIONS_EACH:
                self._held[peer] += 1
                return True
        _logger.warning(
            "%s is sent away: %d connections at once are the most, %d of one address",
            peer,
            CONNECTIONS_MOST,
            CONNECTIONS_EACH,
        )
        return False

    def process_request_thread(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """One connection, from handshake to end."""
        with self._lock:
            self._since_s[request] = time.monotonic()
        try:
            request.do_handshake()
            super().process_request_thread(request, client_address)
        except OSError as error:
            _logger.info("%s: no request: %s", _peer(client_address), error)
            self.shutdown_request(request)
        finally:
            with self._lock:
                self._since_s.pop(request, None)
                self._held -= Counter([_peer(client_address)])  # forgets who has none left

    def handle_error(self, _request: object, client_address: object) -> None:
        """A connection that broke off is one line, and no fault of ours; anything else is shown whole."""
        error = sys.exception()
        if isinstance(error, OSError):
            _logger.info("%s: connection broken off: %s", _peer(client_address), error)
        else:
            _logger.error("%s: no answer after a defect of ours", _peer(client_address), exc_info=error)

    def service_actions(self) -> None:
        """End connections that drip: each step is in time, and all of them together are not."""
        with self._lock:
            late = [one for one, since_s in self._since_s.items() if time.monotonic() - since_s > self.connection_s]
        for one in late:
            _hang_up(one)


class _Handler(BaseHTTPRequestHandler):
    server: EnrolmentServer
    protocol_version = "HTTP/1.0"  # one question a connection
    server_version = "inspectd"
    sys_version = ""

    def setup(self) -> None:
        """As the base class does, and no more is read than a question of ours has."""
        super().setup()
        self.rfile = _AtMost(self.rfile, _QUESTION_BYTES)  # type: ignore[assignment]

    def do_GET(self) -> None:
        if self.path == AUTHORITY_PATH:
            self._answer(HTTPStatus.OK, self.server.office.folder.stations().pem, "application/x-pem-file")
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        peer = _peer(self.client_address)
        counts = self.path != RENEW_PATH  # who renews has shown a certificate: there is nothing to try
        if counts and self.server.wrong.is_too_many(peer, time.monotonic()):
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "too many refused requests from here: wait ten minutes")
            return
        try:
            self._answer(HTTPStatus.OK, self._granted(), "application/json")
        except (RefusedError, LinkError) as error:
            if counts:
                self.server.wrong.count(peer, time.monotonic())
            self._refuse(HTTPStatus.FORBIDDEN, str(error))
        except (PkiError, OSError) as error:
            _logger.error("cannot answer %s: %s", peer, error)
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the authority cannot answer just now: its log says why")

    def _granted(self) -> bytes:
        request = Request.parse(self._body())
        if self.path == ENROL_PATH:
            return self.server.office.enrol(request.csr, request.secret).pack()
        if self.path == RENEW_PATH:
            return self.server.office.renew(request.csr, self._shown()).pack()
        raise RefusedError("there is nothing here")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or len(length) > 9 or int(length) > REQUEST_LIMIT_BYTES:  # noqa: PLR2004 - digits
            raise RefusedError(f"expected a request of at most {REQUEST_LIMIT_BYTES} bytes with a Content-Length")
        return self.rfile.read(int(length))

    def _shown(self) -> x509.Certificate:
        assert isinstance(self.connection, ssl.SSLSocket)  # noqa: S101 - the server wraps each
        shown = self.connection.getpeercert(binary_form=True)
        if shown is None:
            raise RefusedError("a renewal wants the certificate that is to be renewed, and none was shown")
        return x509.load_der_x509_certificate(shown)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        _logger.warning("refused %s: %s", _peer(self.client_address), why)
        self._answer(status, strict_json.canonical({"error": why}), "application/json")

    def _answer(self, status: HTTPStatus, payload: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, _format: str, *_arguments: object) -> None:
        """Nothing for each request: the office and `_refuse` say what matters."""


class _AtMost:
    """What is read of a connection, up to a limit: a hundred headers of 64 KiB each are no question.

    Raises:
        ConnectionError: there is more.
    """

    def __init__(self, source: BufferedIOBase, most_bytes: int) -> None:
        self._source = source
        self._left_bytes = most_bytes

    @property
    def closed(self) -> bool:
        """See `BufferedIOBase`."""
        return self._source.closed

    def close(self) -> None:
        """See `BufferedIOBase`."""
        self._source.close()

    def read(self, size: int = -1) -> bytes:
        """See `BufferedIOBase`."""
        return self._counted(self._source.read(self._allowed(size)))

    def readline(self, size: int = -1) -> bytes:
        """See `BufferedIOBase`."""
        return self._counted(self._source.readline(self._allowed(size)))

    def _allowed(self, size: int) -> int:
        return self._left_bytes + 1 if size < 0 else min(size, self._left_bytes + 1)

    def _counted(self, found: bytes) -> bytes:
        self._left_bytes -= len(found)
        if self._left_bytes < 0:
            raise ConnectionError("it sends more than any question of ours has")
        return found


def _context(office: Office) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=office.folder.stations().pem.decode())
    _load_own(context, office)
    return context


def _load_own(context: ssl.SSLContext, office: Office) -> None:
    try:
        context.load_cert_chain(office.folder.enrolment)
    except OSError as error:
        raise PkiError(f"cannot use {office.folder.enrolment}: {error}") from error


def _peer(client_address: object) -> str:
    return str(client_address[0]) if isinstance(client_address, tuple) else str(client_address)


def _hang_up(connected: socket.socket) -> None:
    try:
        socket.socket.shutdown(connected, socket.SHUT_RDWR)  # not TLS's own, which the connection's thread is in
    except OSError:
        return  # it has ended by itself
