"""The answer to an HTTP 401: Basic or Digest, by the standard library."""

import base64
from email.message import Message
from urllib.request import (
    AbstractDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    Request,
    parse_http_list,
    parse_keqv_list,
)

from edge.capture.network import Address


def authorization(address: Address, headers: Message) -> str:
    """The Authorization header for a server's challenge, Digest preferred; empty when it asks for anything else."""
    challenges = {str(line).partition(" ")[0].lower(): str(line) for line in headers.get_all("WWW-Authenticate", [])}
    if "digest" in challenges:
        return _digest(address, challenges["digest"])
    if "basic" in challenges:
        return "Basic " + base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
    return ""


def _digest(address: Address, challenge: str) -> str:
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, address.url, address.user, address.password)
    fields = parse_keqv_list(parse_http_list(challenge.partition(" ")[2]))
    request = Request(address.url)  # noqa: S310 - http and https alone come here, and nothing is opened
    try:
        answer = AbstractDigestAuthHandler(passwords).get_authorization(request, fields)
    except (ValueError, KeyError):
        return ""
    return f"Digest {answer}" if answer else ""
