"""The keeper put together: what is signed, by the uplink's own channel, and the station's desk of shadows."""

import time
from collections.abc import Collection

from edge.assembly import Assembly
from edge.config import StationConfig
from edge.domain.errors import ConfigError
from edge.release.around import Fetch, NotYetError
from edge.release.gates import Beside
from edge.release.keeper import ReleaseKeeper
from edge.release.trial import Limits
from edge.shadow.desk import ShadowDesk
from models.bundle import Bundle
from models.trust.errors import ExpiredError, UnreachableError
from models.trust.verifying import Target, TrustStore

_LOADED_WITHIN_S = 3600.0


def make_keeper(station: Assembly, limits: Limits | None = None) -> ReleaseKeeper:
    """The keeper of a station's releases, not started."""
    trust = SignedReleases(station.config, station.metadata.fetch)
    return ReleaseKeeper(station, trust, ShadowsOf(station.shadow), limits)


class SignedReleases:
    """A `Trust` over tuf's client, by the root that is pinned here; it asks the cloud each time.

    Args:
        config: says where the root lies, and what was seen before.
        fetch: gives signed metadata.
    """

    def __init__(self, config: StationConfig, fetch: Fetch) -> None:
        self._config = config
        self._fetch = fetch

    def admitted(self, name: str, station: str, bundles: Collection[str]) -> Target:
        """See `Trust`. Raises ConfigError: no root is pinned."""
        store = self._store()
        try:
            store.refresh(self._fetch)
        except (UnreachableError, ExpiredError) as error:
            raise NotYetError(f"waits for what is signed: {error}") from error
        return store.admitted(name, station, bundles)

    def note_taken(self, signed: Target) -> None:
        """See `Trust`. Raises ConfigError: no root is pinned any more."""
        self._store().note_taken(signed)

    def _store(self) -> TrustStore:
        path = self._config.trust_root_path
        try:
            return TrustStore(self._config.trust_dir, path.read_bytes())
        except OSError as error:
            raise ConfigError(
                f"no trust root can be read at {path} ({error.strerror or error}), so nothing is taken: enrol, or "
                "set sync.trust_root in station.toml"
            ) from error


class ShadowsOf:
    """A `Shadow` over the station's desk.

    Args:
        desk: of the station.
    """

    def __init__(self, desk: ShadowDesk) -> None:
        self._desk = desk
        self._loading_since_s: dict[str, float] = {}

    def begin(self, product_id: str, bundle: Bundle) -> None:
        """See `Shadow`."""
        self._desk.begin(product_id, bundle)
        self._loading_since_s[product_id] = time.monotonic()

    def end(self, product_id: str) -> None:
        """See `Shadow`."""
        self._desk.end(product_id)

    def figures(self, product_id: str) -> Beside:
        """See `Shadow`."""
        found = self._desk.figures(product_id)
        return Beside(**{name: getattr(found, name) for name in Beside.__slots__})

    def trouble(self, product_id: str) -> str:
        """See `Shadow`."""
        found, now_s = self._desk.figures(product_id), time.monotonic()
        if found.state == "loading" and now_s > self._loading_since_s.get(product_id, now_s) + _LOADED_WITHIN_S:
            return f"it could not be loaded within {_LOADED_WITHIN_S:g} s beside the line"
        return found.why if found.state == "broken" else ""
