"""The way to each broker: name, connection, TLS in both directions. Not a word of MQTT is said.

A CONNECT would have to name a client, and the broker takes the name from the certificate: it would put the running
station off the line. That the broker takes our certificate shows without: under TLS 1.3 a refusal comes as an alert
after the handshake, and a broker that took it waits for us to speak.
"""

import socket
import ssl
from collections.abc import Iterator

from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.tls_reasons import tls_reason
from edge.config_outputs import MqttSection
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok

_CONNECT_S = 4.0
_HANDSHAKE_S = 4.0
_REFUSAL_S = 1.5
_BY_CODE = {9: "not-yet-valid", 10: "expired", 62: "other-name", 64: "other-name"}  # X509_V_ERR_*
_OTHER_AUTHORITY = frozenset({2, 18, 19, 20, 21})
_PLAIN_REASONS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_EOF", "RECORD_LAYER_FAILURE", "PACKET_LENGTH")
_OLD_REASONS = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")


def brokers(around: Around) -> Iterator[Finding]:
    """Each that station.toml names."""
    if around.config is None:
        return
    if around.config.sync.broker is None:
        yield ok("broker", "broker", "none is set: records stay here, nothing is sent")
    else:
        yield _reached("broker", Endpoint.parse(around.config.sync.broker, around.config.identity_dir))
    for output in around.config.output:
        if isinstance(output, MqttSection):
            folder = output.identity or around.config.identity_dir
            yield _reached(f"output {output.id}", Endpoint.parse(output.broker, folder))


def _reached(name: str, endpoint: Endpoint) -> Finding:
    where = {"host": endpoint.address.host, "port": endpoint.address.port}
    try:
        connection = socket.create_connection((endpoint.address.host, endpoint.address.port), _CONNECT_S)
    except socket.gaierror as error:
        return fault("broker.no-name", name, f"{endpoint.address.host} is not known here: {error.strerror}", **where)
    except TimeoutError:
        return fault("broker.silent", name, f"{endpoint} does not answer within {_CONNECT_S:g} s", **where)
    except OSError as error:
        return fault("broker.no-connection", name, f"{endpoint}: {error.strerror or error}", **where)
    with connection:
        if endpoint.identity is None:
            return fault("broker.plain", name, f"{endpoint} takes connections, in the clear on this machine")
        return _shaken(name, endpoint, endpoint.identity, connection)


def _shaken(name: str, endpoint: Endpoint, identity: Identity, connection: socket.socket) -> Finding:
    where = {"host": endpoint.address.host, "port": endpoint.address.port}
    connection.settimeout(_HANDSHAKE_S)
    try:
        context = identity.context()
    except LinkError as error:
        return fault("broker.no-identity", name, f"{endpoint} takes connections; {error}")
    try:
        with context.wrap_socket(connection, server_hostname=endpoint.address.host) as secured:
            return _accepted(name, endpoint, secured)
    except ssl.SSLCertVerificationError as error:
        return _not_believed(name, endpoint, error)
    except TimeoutError:
        return fault(
            "broker.silent", name, f"{endpoint} connects and then says nothing for {_HANDSHAKE_S:g} s", **where
        )
    except (ssl.SSLError, OSError) as error:
        return _no_tls(name, endpoint, error)


def _accepted(name: str, endpoint: Endpoint, secured: ssl.SSLSocket) -> Finding:
    secured.settimeout(_REFUSAL_S)
    try:
        said = secured.recv(1)
    except TimeoutError:
        return ok("broker", name, f"{endpoint} and we believe each other ({secured.version()}); no MQTT was spoken")
    except (ssl.SSLError, OSError) as error:
        return fault("broker.refuses-us", name, f"{endpoint} does not take our certificate: {_why(error)}")
    why = "it spoke first, as no broker does" if said else "it closed the connection"
    return fault("broker.refuses-us", name, f"{endpoint} does not take our certificate: {why}")


def _not_believed(name: str, endpoint: Endpoint, error: ssl.SSLCertVerificationError) -> Finding:
    other = "other-authority" if error.verify_code in _OTHER_AUTHORITY else "not-believed"
    what = _BY_CODE.get(error.verify_code, other)
    where = {"host": endpoint.address.host, "port": endpoint.address.port}
    return fault(f"broker.{what}", name, f"{endpoint}: {tls_reason(error)}", **where)


def _no_tls(name: str, endpoint: Endpoint, error: OSError) -> Finding:
    reason, said = getattr(error, "reason", None) or "", _why(error)
    where = {"host": endpoint.address.host, "port": endpoint.address.port}
    if any(each in reason for each in _OLD_REASONS):
        return fault("broker.old-tls", name, f"{endpoint} speaks no TLS 1.3: {said}", **where)
    closed = isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError)
    if closed or any(each in reason for each in _PLAIN_REASONS):
        return fault("broker.not-tls", name, f"{endpoint} speaks no TLS: {said}", **where)
    return fault("broker.no-handshake", name, f"{endpoint}: no handshake: {said}", **where)


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return tls_reason(error)
    return error.strerror or str(error) or type(error).__name__
