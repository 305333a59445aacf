"""What the authority does: gives, renews and revokes certificates, by the register's word.

- A token gives one certificate, for its own station, within its time. The same key with the same token is given the
  same certificate once more, because an answer can be lost; any other second use is refused.
- A station that enrols again is a new machine or a mended one: what it had before is revoked with it.
- A renewal takes nothing away: its answer can be lost, and the old certificate ends by itself. The same key is given
  the same certificate once more, so that a station whose answers are lost for days uses up nothing.
"""

import datetime as dt
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from cloud_sync.hub.pki.authority import Kind
from cloud_sync.hub.pki.errors import RefusedError, RequestError
from cloud_sync.hub.pki.folder import PkiFolder
from cloud_sync.hub.pki.register import Issued, KeptToken, Ledger, key_sha256, serial_text
from cloud_sync.hub.pki.requests import public_key_of, read_request
from cloud_sync.hub.pki.revocation import write_lists
from cloud_sync.wire import strict_json
from cloud_sync.wire.certificates import certificate_pem, fingerprint, read_certificate, standing
from cloud_sync.wire.enrolment import TRUST_ROOT_LIMIT_BYTES, Grant, Token
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Address
from cloud_sync.wire.topics import checked_station

TOKEN_LIFE_H = 24.0
LIVE_MOST = 8  # certificates of one name at once: more is a renewal in a loop

_logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The time, aware."""
    return dt.datetime.now(dt.UTC)


class TokenReuseError(RefusedError):
    """A token came a second time, with another key: somebody else has it."""


@dataclass(frozen=True, slots=True)
class Office:
    """The authority of a folder. Every call reads what it needs anew: several processes may work on one folder.

    Args:
        folder: where the authority lies.
        clock: the time, aware.
        trust_root: the root by which stations check signed releases, given to each with its certificate; None: the
            one in the authority's folder, if there is one.
    """

    folder: PkiFolder
    clock: Clock = utc_now
    trust_root: Path | None = None

    def token(self, station: str, life_h: float = TOKEN_LIFE_H, address: Address | None = None) -> Token:
        """A new one-time token. Raises RequestError for a station that cannot be one, or a server with another name."""
        settings = self.folder.settings()
        try:
            checked_station(station)
            at = address or Address.parse(settings.enrolment)
        except LinkError as error:
            raise RequestError(str(error)) from error
        if at.host not in settings.hosts:
            raise RequestError(
                f"the enrolment server's certificate is for {', '.join(settings.hosts)}, not for {at.host}: "
                "add it with `cloud pki renew-own --broker-host`"
            )
        authority = fingerprint(self.folder.stations().certificate)
        token = Token(station, at, authority, secrets.token_hex(32))
        now_s = self.clock().timestamp()
        with self.folder.register.changing() as ledger:
            ledger.add_token(token.secret, station, now_s, now_s + life_h * 3600)
        return token

    def enrol(self, csr: bytes, secret: str) -> Grant:
        """Use a token. Raises RefusedError; TokenReuseError where the token was used before."""
        now, request = self.clock(), read_request(csr)
        with self.folder.register.changing() as ledger:
            kept = ledger.token(secret)
            if kept is None:
                raise RefusedError("this token is not known here: it was taken back, or is of another installation")
            if request.name != kept.station:
                raise RefusedError(f"the token is for station {kept.station!r}, and the request for {request.name!r}")
            if kept.used_at is not None:
                return self._given_before(ledger, kept, request.key)
            if kept.expires_at <= now.timestamp():
                raise RefusedError(f"the token of {kept.station!r} has expired: `cloud pki enrol {kept.station}` again")
            certificate, replaced = self._instead_of_all(ledger, request.key, kept.station, now)
            ledger.use_token(secret, serial_text(certificate), now.timestamp())
        return self._grant_after(certificate, replaced, now)

    def renew(self, csr: bytes, shown: x509.Certificate) -> Grant:
        """The next certificate for the name in the one that was shown, which TLS has checked. Raises RefusedError."""
        now, request = self.clock(), read_request(csr)
        with self.folder.register.changing() as ledger:
            held = ledger.issued(serial_text(shown))
            if held is None or held.kind is not Kind.STATION:
                raise RefusedError("the certificate shown is no station's that was issued here")
            if not held.is_live(now.timestamp()):
                raise RefusedError(f"the certificate of {held.name!r} is {_end(held)}: it needs a new token")
            if request.name != held.name:
                raise RefusedError(f"{held.name!r} may renew its own certificate only, and asks for {request.name!r}")
            live = self._live(ledger, held.name, now)
            if given := self._given_for(request.key, [one for one in live if one.serial != held.serial], now):
                return given
            if len(live) >= LIVE_MOST:
                raise RefusedError(f"{held.name!r} has {LIVE_MOST} certificates already: it renews in a loop")
            return self._grant(certificate_pem(self._station_certificate(ledger, request.key, held.name, now)))

    def sign(self, station: str, csr: bytes) -> Grant:
        """The certificate for a request that came by hand. Raises RefusedError or RequestError."""
        now, request = self.clock(), read_request(csr)
        if request.name != station:
            raise RefusedError(f"the request is for {request.name!r}, and {station!r} was named")
        try:
            checked_station(station)
        except LinkError as error:
            raise RequestError(str(error)) from error
        with self.folder.register.changing() as ledger:
            certificate, replaced = self._instead_of_all(ledger, request.key, station, now)
        return self._grant_after(certificate, replaced, now)

    def revoke(self, name: str) -> int:
        """Nothing that this station or hub identity has is good any more; how many certificates were.

        Raises RequestError where the name was never given any.
        """
        now = self.clock()
        kind = Kind.HUB if name.startswith("_") else Kind.STATION
        with self.folder.register.changing() as ledger:
            had = ledger.issued_to(name, kind)
            tokens = ledger.drop_tokens(name)
            live = [one for one in had if one.is_live(now.timestamp())]
            for one in live:
                ledger.revoke(one.serial, "revoked", now.timestamp())
        if not had and not tokens:
            raise RequestError(f"{name!r} has neither certificate nor token: `cloud pki list` says who has")
        write_lists(self.folder, now)
        return len(live)

    def issued(self) -> tuple[list[Issued], list[KeptToken]]:
        """Every certificate, and the tokens that are out. Raises PkiError."""
        with self.folder.register.changing() as ledger:
            return ledger.all_issued(), ledger.open_tokens(self.clock().timestamp())

    def root_given(self) -> bytes:
        """The root of signed releases that stations are given now; b"" for none. Raises RequestError: it is none."""
        path = self.trust_root or self.folder.trust_root
        return read_trust_root(path) if self.trust_root is not None or path.exists() else b""

    def _instead_of_all(
        self, ledger: Ledger, key: object, station: str, now: dt.datetime
    ) -> tuple[x509.Certificate, int]:
        """A certificate, and how many it replaced, which are revoked with it."""
        old = self._live(ledger, station, now)
        for one in old:
            ledger.revoke(one.serial, "enrolled again", now.timestamp())
        return self._station_certificate(ledger, key, station, now), len(old)

    def _grant_after(self, certificate: x509.Certificate, replaced: int, now: dt.datetime) -> Grant:
        if replaced:
            write_lists(self.folder, now)
            name = standing(certificate).name
            _logger.warning("%s enrolled again: %d older certificates are revoked", name, replaced)
        return self._grant(certificate_pem(certificate))

    def _live(self, ledger: Ledger, station: str, now: dt.datetime) -> list[Issued]:
        return [one for one in ledger.issued_to(station, Kind.STATION) if one.is_live(now.timestamp())]

    def _station_certificate(self, ledger: Ledger, key: object, station: str, now: dt.datetime) -> x509.Certificate:
        life_days = self.folder.settings().life_days
        made = self.folder.stations().issue(public_key_of(key), station, Kind.STATION, now, life_days)
        ledger.add(made, Kind.STATION, now.timestamp())
        _logger.info("%s has a certificate until %s", station, standing(made).not_after.isoformat())
        return made

    def _given_for(self, key: object, live: list[Issued], now: dt.datetime) -> Grant | None:
        """What this key was given before, if that is good for long."""
        wanted = key_sha256(key)
        for one in live:
            if one.key_sha256 == wanted and not standing(read_certificate(one.pem)).is_due(now):
                return self._grant(one.pem)
        return None

    def _given_before(self, ledger: Ledger, kept: KeptToken, key: object) -> Grant:
        held = ledger.issued(kept.serial or "")
        if held is None or held.key_sha256 != key_sha256(key) or held.revoked_at is not None:
            _logger.error(
                "ALARM: the token of %s, used at %s, came again with another key: somebody else had it. "
                "Was it the right machine that enrolled? If not: cloud pki revoke %s",
                kept.station,
                dt.datetime.fromtimestamp(kept.used_at or 0.0, dt.UTC).isoformat(timespec="seconds"),
                kept.station,
            )
            raise TokenReuseError(f"the token of {kept.station!r} was used before: each is good once")
        return self._grant(held.pem)

    def _grant(self, certificate: bytes) -> Grant:
        return Grant(certificate, self.folder.stations().pem, self.root_given())


def read_trust_root(path: Path) -> bytes:
    """The root that `cloud keys root` wrote. Raises RequestError where the file is none."""
    try:
        content = path.read_bytes()
        signed = strict_json.members(strict_json.loads(content), ("signed", "signatures"), "a root of signed releases")
        kind = strict_json.members(signed["signed"], ("_type",), "what is signed")["_type"]
    except (OSError, LinkError) as error:
        raise RequestError(f"cannot use the root of signed releases {path}: {error}") from error
    if kind != "root" or len(content) > TRUST_ROOT_LIMIT_BYTES:
        raise RequestError(f"{path} is no root of at most {TRUST_ROOT_LIMIT_BYTES} bytes: `cloud keys root` writes it")
    return content


def _end(held: Issued) -> str:
    return "revoked" if held.revoked_at is not None else "over"
