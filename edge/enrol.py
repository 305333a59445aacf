"""How this station comes by its identity and keeps it: by a token, by hand, and by renewal in time."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.wire.certificates import signing_request
from cloud_sync.wire.enrolment import Grant, Token
from cloud_sync.wire.enrolment_client import enrol as ask_to_enrol
from cloud_sync.wire.enrolment_client import renew as ask_to_renew
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.identity_files import (
    RENEWAL_FILE,
    forget_key_under_way,
    install,
    keep_address,
    kept_address,
    key_under_way,
    own_standing,
    pin_trust_root,
    renewal_key,
    request_made,
)
from cloud_sync.wire.link import Address
from edge.config import StationConfig
from edge.domain.errors import ConfigError, StorageError


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the station is to the broker now."""

    station: str
    folder: Path
    not_after: dt.datetime
    renewed: bool = True


def enrol(config: StationConfig, text: str) -> Enrolled:
    """Use a token. The key is made here and never leaves; what was there before stays until all of the new is here.

    Args:
        config: the checked station.toml.
        text: what `cloud pki enrol` printed.

    Raises:
        ConfigError: it is no token, or another station's.
        LinkError: the authority cannot be reached, is another one, or refused.
        StorageError: the disk refuses.
    """
    try:
        token = Token.parse(text)
    except LinkError as error:
        raise ConfigError(str(error)) from error
    if token.station != config.station.id:
        raise ConfigError(
            f"the token is for station {token.station!r}, and this is {config.station.id!r} by its station.toml"
        )
    identity = Identity(config.identity_dir)
    with _disk(identity):
        key = key_under_way(identity)
    grant = ask_to_enrol(token, signing_request(key, token.station))
    with _disk(identity):
        made = install(identity, grant, key, token.station)
        pin_trust_root(identity, grant, anew=True)
        keep_address(identity, token.address)
        forget_key_under_way(identity)
    return Enrolled(token.station, identity.folder, made.not_after)


def write_request(config: StationConfig, to: Path) -> None:
    """Write a signing request, to be carried to `cloud pki sign`. Raises StorageError or LinkError."""
    identity = Identity(config.identity_dir)
    with _disk(identity):
        key = key_under_way(identity)
    try:
        to.write_bytes(signing_request(key, config.station.id))
    except OSError as error:
        raise StorageError(f"cannot write {to}: {error.strerror}") from error


def take_certificate(config: StationConfig, certificate: Path, ca: Path, address: Address | None) -> Enrolled:
    """Take what `cloud pki sign` made of our request.

    Args:
        config: the checked station.toml.
        certificate: ours.
        ca: the authority's.
        address: where to renew it; None: by hand again.

    Raises:
        ConfigError: a file cannot be read.
        LinkError: they do not fit each other, this station, or the key made here; nothing was changed.
        StorageError: the disk refuses.
    """
    try:
        grant = Grant(certificate.read_bytes(), ca.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from error
    identity = Identity(config.identity_dir)
    with _disk(identity):
        made = install(identity, grant, request_made(identity), config.station.id)
        if address is not None:
            keep_address(identity, address)
        forget_key_under_way(identity)
    return Enrolled(config.station.id, identity.folder, made.not_after)


def renew(config: StationConfig, now: dt.datetime, address: Address | None = None, *, anyway: bool = False) -> Enrolled:
    """Renew our certificate with itself, once a third of its life is left; a running station takes it by itself.

    Args:
        config: the checked station.toml.
        now: aware.
        address: where; None: where it was enrolled.
        anyway: also where more than a third is left.

    Raises:
        ConfigError: nobody said where.
        LinkError: there is no identity, or the authority cannot be reached or refused; the old one stays.
        StorageError: the disk refuses.
    """
    identity = Identity(config.identity_dir)
    held = own_standing(identity)
    if not anyway and not held.is_due(now):
        return Enrolled(held.name, identity.folder, held.not_after, renewed=False)
    at = address or kept_address(identity)
    if at is None:
        raise ConfigError(f"{identity.folder} does not say where it is renewed: name it with --address HOST:PORT")
    with _disk(identity):
        key = renewal_key(identity)  # an answer that is lost costs nothing: the next question comes with the same key
    grant = ask_to_renew(at, identity, signing_request(key, held.name))
    with _disk(identity):
        made = install(identity, grant, key, held.name)
        pin_trust_root(identity, grant, anew=False)
        forget_key_under_way(identity, RENEWAL_FILE)
    return Enrolled(held.name, identity.folder, made.not_after)


@contextmanager
def _disk(identity: Identity) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot read or write in {identity.folder}: {error.strerror}") from error
