"""The cloud's own certificates: the two authorities at the start, then broker, enrolment server and hub identities.

They are renewed here and not over the network: whoever may ask for them has the authority's folder anyway.
"""

import datetime as dt
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from cloud_sync.hub.pki.authority import LEAF_LIFE_DAYS, Authority, Kind, checked_host
from cloud_sync.hub.pki.errors import PkiError, RequestError
from cloud_sync.hub.pki.folder import PkiFolder, Settings
from cloud_sync.hub.pki.revocation import write_lists
from cloud_sync.wire.certificates import Standing, certificate_pem, key_pem, new_key, read_certificate, standing
from cloud_sync.wire.enrolment import ENROL_PORT
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.identity import SHARE_FILE
from cloud_sync.wire.link import Address
from cloud_sync.wire.whole_file import make_private_folder, write_whole

FIRST_HUB = "collector"

_HUB_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,61}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")  # a collector on the broker's machine says so
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def found(path: Path, hosts: Sequence[str], now: dt.datetime, life_days: float = LEAF_LIFE_DAYS) -> PkiFolder:
    """A new folder: both authorities, empty revocation lists, the broker's certificate, one hub identity.

    Args:
        path: absent or empty.
        hosts: the names and addresses by which stations and hub reach the broker and the enrolment server.
        now: aware.
        life_days: how long stations', servers' and hubs' certificates are good.

    Raises:
        RequestError: there is something at the path, or a host is none.
        OSError: the disk refuses.
    """
    settings = Settings(hosts=checked_hosts(hosts), enrolment=str(Address(hosts[0], ENROL_PORT)), life_days=life_days)
    folder = PkiFolder(path)
    folder.make()
    mark = secrets.token_hex(4)
    folder.keep_authority("ca", Authority.make(f"inspectd stations {mark}", now, for_servers=True))
    folder.keep_authority("hub-ca", Authority.make(f"inspectd hubs {mark}", now, for_servers=False))
    folder.register.make()
    write_lists(folder, now)
    folder.keep_settings(settings)
    renew_own(folder, now)
    give_hub(folder, FIRST_HUB, now)
    return folder


def checked_hosts(hosts: Sequence[str]) -> list[str]:
    """The hosts, each once. Raises RequestError."""
    try:
        return list(dict.fromkeys(checked_host(host) for host in hosts))
    except ValueError as error:
        raise RequestError(str(error)) from error


def give_hub(folder: PkiFolder, name: str, now: dt.datetime, life_days: float = 0) -> Standing:
    """A hub identity in its folder; one that is there is replaced.

    Args:
        folder: the authority's.
        name: a-z, 0-9 and '-'.
        now: aware.
        life_days: how long it is good; 0: as the settings say.

    Raises:
        RequestError: it cannot be a name.
        PkiError: the folder cannot be used.
    """
    if _HUB_NAME.fullmatch(name) is None:
        raise RequestError(f"a hub identity's name is 1 to 62 of a-z, 0-9 and '-', got {name[:80]!r}")
    identity = folder.identity(name)
    make_private_folder(identity.folder)
    write_whole(identity.ca, folder.stations().pem, 0o644)
    write_whole(identity.folder / SHARE_FILE, folder.share_key().encode())
    return _issue(folder, identity.pem, f"_{name}", Kind.HUB, now, life_days)


def renew_own(folder: PkiFolder, now: dt.datetime, *, anyway: bool = False) -> list[Standing]:
    """Renew what has a third of its life left, or less, and what is not there; what was renewed.

    Args:
        folder: the authority's.
        now: aware.
        anyway: also what is good for longer, because the hosts changed.

    Raises:
        PkiError: the folder cannot be used.
    """
    servers = ((folder.broker / "broker.pem", Kind.BROKER), (folder.enrolment, Kind.ENROLMENT))
    renewed = [
        _issue(folder, path, f"inspectd {kind.value}", kind, now)
        for path, kind in servers
        if anyway or _is_due(path, now)
    ]
    due = [place.name for place in sorted(folder.identities.iterdir()) if _is_due(place / "identity.pem", now)]
    return renewed + [give_hub(folder, name, now) for name in due if _may_renew(folder, f"_{name}")]


def own_standings(folder: PkiFolder) -> dict[str, Standing]:
    """What the cloud's own certificates say, by their files. Raises LinkError where one is damaged."""
    paths = [folder.broker / "broker.pem", folder.enrolment]
    paths += [place / "identity.pem" for place in sorted(folder.identities.iterdir())]
    return {str(path): _standing(path) for path in paths if path.exists()}


def _issue(folder: PkiFolder, path: Path, name: str, kind: Kind, now: dt.datetime, life_days: float = 0) -> Standing:
    settings, key = folder.settings(), new_key()
    authority = folder.hubs() if kind is Kind.HUB else folder.stations()
    hosts = dict.fromkeys([*settings.hosts, *_LOOPBACK]) if kind.is_server else ()
    made = authority.issue(key.public_key(), name, kind, now, life_days or settings.life_days, list(hosts))
    with folder.register.changing() as ledger:
        ledger.add(made, kind, now.timestamp())
    write_whole(path, key_pem(key) + certificate_pem(made))
    return standing(made)


def _may_renew(folder: PkiFolder, name: str) -> bool:
    """Whether the last certificate of this hub identity was not revoked."""
    with folder.register.changing() as ledger:
        had = ledger.issued_to(name, Kind.HUB)
    return bool(had) and had[-1].revoked_at is None


def _is_due(path: Path, now: dt.datetime) -> bool:
    """Also where it is not good yet, because a clock was ahead when it was made."""
    return not path.exists() or (held := _standing(path)).is_due(now) or now < held.not_before


def _standing(path: Path) -> Standing:
    try:
        content = path.read_bytes()
        return standing(read_certificate(content[max(0, content.find(_CERTIFICATE)) :]))
    except (OSError, LinkError) as error:
        raise PkiError(f"cannot use {path}: {error}") from error
