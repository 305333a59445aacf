"""The watches of all products and cameras, and the file that keeps them: a restart must not take a drift for usual.

- A product's watches begin anew with another model.
- The file is written whole or not at all; one that cannot be read is said, and everything is learned again.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import structlog

from cloud_sync.wire.messages import DriftSigns
from edge.decide.drift import LEAST_SPREAD, LIMIT, OVERRULE_LIMIT, Sign, Watch
from edge.domain.errors import StorageError
from edge.triage.drift_file import Key, Watched, read, written
from models.durable import replace_file

log = structlog.get_logger()
SIGNS_MOST = 256  # that a message may hold


class DriftBook:
    """Watches by product, camera and sign; for one thread, but for `signs`, which is a fresh list each time.

    Args:
        known: the (product, camera) pairs of the configuration: no other is watched, so that memory is bounded.
    """

    def __init__(self, known: frozenset[tuple[str, str]]) -> None:
        self._known = known
        self._products: dict[str, Watched] = {}
        self._since: dict[Key, datetime] = {}

    @property
    def models(self) -> dict[str, str]:
        """The model of each product that is watched, by its digest."""
        return {name: product.sha256 for name, product in list(self._products.items())}

    def see(self, product: str, camera: str, sha256: str, values: Mapping[Sign, float], now: datetime) -> bool:
        """One more view; True where something must be told: an alarm opened or closed, or another model began."""
        if (product, camera) not in self._known:
            return False
        found, changed = self._products.get(product), False
        if found is None or found.sha256 != sha256:
            self._forget(product)
            found, changed = Watched(sha256), True
            self._products[product] = found
        for sign, value in values.items():
            watch = found.watches.setdefault((camera, sign), Watch(LEAST_SPREAD[sign]))
            if watch.see(value):
                self._mark((product, camera, sign), now, is_open=watch.alarm)
                changed = True
        return changed

    def see_part(self, product: str, now: datetime) -> bool:
        """One more part; True where the overrule alarm closed by it."""
        found = self._products.get(product)
        if found is None or not found.overrules.see_part():
            return False
        self._mark((product, "", Sign.OVERRULE), now, is_open=False)
        return True

    def see_overrule(self, product: str, now: datetime) -> bool:
        """A person overruled a part; True where the overrule alarm opened by it."""
        found = self._products.get(product)
        if found is None or not found.overrules.see_overrule():
            return False
        self._mark((product, "", Sign.OVERRULE), now, is_open=True)
        return True

    def signs(self) -> list[DriftSigns]:
        """Every sign that is watched, those with an alarm first, at most as many as a message holds."""
        found = sorted(self._signs(), key=lambda sign: (not sign.alarm, sign.product, sign.camera, sign.sign))
        return found[:SIGNS_MOST]

    def save(self, path: Path) -> None:
        """Keep everything. Raises StorageError."""
        try:
            replace_file(path, written(self._products, self._since))
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error

    def load(self, path: Path) -> None:
        """Go on where an earlier run was; of a file that is none, nothing is taken over, and that is said."""
        try:
            kept = read(path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.error("what drift is told by is learned again: its file cannot be read", path=str(path), why=str(error))
            return
        products = {product for product, _ in self._known}
        self._products = {name: one for name, one in kept.products.items() if name in products}
        self._since = {key: at for key, at in kept.since.items() if key[0] in products}

    def _forget(self, product: str) -> None:
        self._since = {key: at for key, at in self._since.items() if key[0] != product}

    def _mark(self, key: Key, now: datetime, *, is_open: bool) -> None:
        if is_open:
            self._since[key] = now
        else:
            self._since.pop(key, None)

    def _signs(self) -> Iterator[DriftSigns]:
        for name, product in list(self._products.items()):
            for (camera, sign), watch in list(product.watches.items()):
                yield DriftSigns(
                    product=name,
                    camera=camera,
                    sign=sign.value,
                    alarm=watch.alarm,
                    statistic=round(watch.statistic, 3),
                    limit=LIMIT,
                    parts=watch.parts,
                    since=self._since.get((name, camera, sign)),
                )
            told = product.overrules
            yield DriftSigns(
                product=name,
                sign="overrule",
                alarm=told.alarm,
                statistic=round(told.statistic, 3),
                limit=round(OVERRULE_LIMIT, 3),
                parts=told.parts,
                since=self._since.get((name, "", Sign.OVERRULE)),
            )
