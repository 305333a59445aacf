"""TLS for one connection after another: our files as they are now, a handshake in time, a refusal that can be named.

With TLS 1.3 a client has shaken hands before the server has looked at its certificate: a refusal comes as an alert
with the first bytes that are read. So the socket keeps what it met.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Self

from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.tls_reasons import tls_reason

_LOOK_S = 0.2
_REFUSAL_S = 0.3


def hear_refusal(secure: ssl.SSLSocket) -> None:
    """Wait for the other end's first word after a handshake: a ticket if we are let in, an alert if not.

    Else what we write meanwhile crosses the refusal, and the system throws the alert away with the connection.

    Args:
        secure: a client's, not blocking.

    Raises:
        LinkError: we were refused.
    """
    select.select([secure], [], [], _REFUSAL_S)
    try:
        said = secure.recv(1)
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return
    except ssl.SSLError as error:
        raise LinkError(tls_reason(error)) from error
    except ConnectionError as error:
        raise LinkError("the other end hung up after the handshake: its log says why") from error
    raise LinkError(f"the other end {'spoke first' if said else 'hung up'} after the handshake")


class TellingSocket(ssl.SSLSocket):
    """Keeps the TLS fault that ended it."""

    fault: ssl.SSLError | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As the base class does. Raises what it raises."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.fault = error
            raise


class FreshContext(ssl.SSLContext):
    """A client's context that reads the identity's files for each connection.

    So a renewed certificate counts from the next connection on, and an authority that is believed no more is forgotten.
    """

    _identity: Identity
    _stopping: Callable[[], bool]
    _timeout_s: float
    opened: TellingSocket | None = None

    @classmethod
    def of(cls, identity: Identity, timeout_s: float, stopping: Callable[[], bool]) -> Self:
        """A context for this identity.

        Args:
            identity: its folder.
            timeout_s: how long a handshake may take, all its steps together.
            stopping: whether to give up.
        """
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        made._identity, made._timeout_s, made._stopping = identity, timeout_s, stopping
        return made

    def wrap_socket(
        self, sock: socket.socket, *_: object, server_hostname: str | bytes | None = None, **__: object
    ) -> TellingSocket:
        """Shake hands, now.

        Raises:
            LinkError: the files cannot be used; the other end is not who it should be, or took too long.
        """
        try:
            context = self._identity.context()
            context.sslsocket_class = TellingSocket
            secure = context.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)
        except (LinkError, OSError, ValueError):
            sock.close()
            raise
        assert isinstance(secure, TellingSocket)  # noqa: S101 - the class named above
        try:
            self._shake_hands(secure)
        except BaseException:
            secure.close()
            raise
        self.opened = secure
        return secure

    def fault(self) -> str | None:
        """Why the last connection was refused after its handshake; None where TLS had nothing against it."""
        found = self.opened.fault if self.opened else None
        return tls_reason(found) if found else None

    def _shake_hands(self, secure: TellingSocket) -> None:
        self.opened = None
        secure.setblocking(False)
        until_s = time.monotonic() + self._timeout_s
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                select.select([secure], [], [], _LOOK_S)
            except ssl.SSLWantWriteError:
                select.select([], [secure], [], _LOOK_S)
            except ssl.SSLError as error:
                raise LinkError(tls_reason(error)) from error
            except ConnectionError as error:
                raise LinkError("it hung up in the handshake: is it a port for plain connections?") from error
            else:
                hear_refusal(secure)
                return
            if self._stopping() or time.monotonic() > until_s:
                raise LinkError(f"it took the connection, and shook no hands within {self._timeout_s:g} s")
