"""What a TLS fault means to somebody who has to mend it. Pure text: OpenSSL's words in, ours out."""

import ssl

_ALERTS = (  # what the other end says of us
    ("CERTIFICATE_REVOKED", "the other end refuses our certificate: it was revoked: enrol again"),
    ("CERTIFICATE_EXPIRED", "the other end refuses our certificate: it has expired, or a clock is wrong: enrol again"),
    ("ALERT_UNKNOWN_CA", "the other end refuses our certificate: it is of another authority: enrol with this one"),
    ("CERTIFICATE_REQUIRED", "the other end wants a certificate, and we have none: enrol"),
    ("UNSUPPORTED_CERTIFICATE", "the other end refuses our certificate: it is not made for a client"),
    ("BAD_CERTIFICATE", "the other end refuses our certificate: it is damaged, or not valid yet"),
    ("ALERT_DECRYPT_ERROR", "the other end refuses our certificate: its key does not fit"),
    ("PROTOCOL_VERSION", "the other end speaks no TLS 1.3"),
    ("HANDSHAKE_FAILURE", "the other end finds no TLS in common with us"),
    ("ALERT_INTERNAL_ERROR", "the other end refuses our certificate"),
)
_LOCAL = (  # what we say of the other end
    ("WRONG_VERSION_NUMBER", "the other end speaks no TLS: is it a port for plain connections?"),
    ("UNSUPPORTED_PROTOCOL", "the other end speaks no TLS 1.3"),
    ("UNEXPECTED_EOF", "the other end hung up in the handshake: is it a port for plain connections?"),
    ("KEY_VALUES_MISMATCH", "our certificate and our key do not fit"),
)
_VERIFY = {  # OpenSSL's verify codes
    9: "its certificate is not valid yet, or this machine's clock is behind",
    10: "its certificate has expired, or this machine's clock is ahead",
    18: "its certificate is self-signed, not of our authority",
    19: "its certificate is of another authority",
    20: "its certificate is of another authority",
    26: "its certificate is not made for a server",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}


def tls_reason(error: ssl.SSLError) -> str:
    """The fault in words, with OpenSSL's own behind it."""
    own = (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        said = _VERIFY.get(error.verify_code)
        return f"{said} ({error.verify_message})" if said else f"its certificate is refused: {error.verify_message}"
    reason = error.reason or str(error)
    if isinstance(error, ssl.SSLEOFError):
        reason = "UNEXPECTED_EOF"
    for mark, said in (*_ALERTS, *_LOCAL):
        if mark in reason:
            return f"{said} ({own})"
    return own
