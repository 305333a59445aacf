"""The running station's side of master parts: checks them when asked, records that, and drops `ready` where it must.

Invariants:
- A check passed counts, and is told, only once its record is on disk; one that failed drops `ready` before that.
- What a check passed with is what it counts for: after a changeover it counts no more.
- An engine is given a master's picture only in a pause between parts, by the thread that gives it theirs.
"""

import dataclasses
import queue
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import structlog

from edge.assembly import Assembly
from edge.domain.errors import InspectdError
from edge.domain.frame import Image
from edge.infer.engine import Engine, Ticket
from edge.line.protocol import MastersAnswer, VerifyMasters
from edge.masters.check import Judge, Request, check_each, check_masters
from edge.masters.eyes import eyes_digest
from edge.masters.shown import shown_master
from edge.masters.standing import LastCheck, Standing, may_check, standing, terms_of
from edge.masters.store import MasterStore
from edge.pipeline import Product
from edge.record.checks import CheckOutcome, CheckRecord, insert_check, last_checks

log = structlog.get_logger()
_PATIENCE_S = 0.2
_MOST_WAITING = 8


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last check of a product, and what it was made with in this run, if it was made in it."""

    check: CheckRecord
    product: Product | None
    at_s: float | None


class MasterKeeper:
    """Checks master parts in a thread of its own; `watch` is for the daemon's too.

    Args:
        station: what runs; its database was opened.
    """

    def __init__(self, station: Assembly) -> None:
        self._station = station
        self._sections = {section.id: section for section in station.config.product}
        self._eyes = {product: self._eyes_of(product) for product in self._sections}
        self._terms = {section.id: terms_of(section.masters) for section in station.config.product}
        self._seen = {
            product: _Seen(check, None, None)
            for product, (_, check) in last_checks(station.config.database_path).items()
        }
        self._standings: dict[str, Standing] = {}
        self._runs = {product: (runs, datetime.now(UTC)) for product, runs in station.products.items()}
        self._watching = threading.Lock()  # or one thread could say what the other has just seen to be over
        self._asked: queue.Queue[tuple[int, VerifyMasters]] = queue.Queue(_MOST_WAITING)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="masters", daemon=True)
        station.port.on_verify(self._ask)

    def start(self) -> None:
        """Say at once where a check is missing, and make those that were asked for."""
        self.watch(datetime.now(UTC), time.monotonic())
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread, waiting at most `timeout_s` seconds for the check that runs."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def watch(self, now: datetime, now_s: float) -> None:
        """Drop `ready` for each product whose last check does not count any more, and take that back where one does."""
        with self._watching:
            for product, terms in self._terms.items():
                self._note_change(product, now)
                found = standing(product, terms, self._last(product), now, now_s)
                before = self._standings.get(product)
                self._standings[product] = found
                if found.word == "due" and (before is None or before.word != "due"):
                    log.warning("master parts are due", product=product, left_s=round(found.left_s or 0))
                self._station.health.restate_fault(masters_fault(product), found.why)

    def standings(self) -> dict[str, object]:
        """How each product stands, for the status file."""
        return {product: dataclasses.asdict(found) for product, found in dict(self._standings).items()}

    def _note_change(self, product: str, now: datetime) -> None:
        runs = self._station.products[product]
        if self._runs[product][0] is not runs:
            self._runs[product] = runs, now
            self._eyes[product] = self._eyes_of(product)

    def _last(self, product: str) -> LastCheck | None:
        seen = self._seen.get(product)
        if seen is None:
            return None
        runs = self._station.products[product]
        same = runs is seen.product if seen.product is not None else made_with(seen.check, runs, self._eyes[product])
        return LastCheck(seen.check.outcome, seen.check.why, seen.check.at, seen.at_s, same)

    def _eyes_of(self, product: str) -> str:
        return eyes_digest(self._station.config, self._sections[product], self._station.products[product])

    def _ask(self, peer: int, asked: VerifyMasters) -> str:
        has_masters = self._store(asked.product).exists
        if not may_check(self._terms[asked.product], known=asked.product in self._seen, has_masters=has_masters):
            return f"product {asked.product!r} has no master parts: add some with `edge masters add`"
        try:
            self._asked.put_nowait((peer, asked))
        except queue.Full:
            return f"{_MOST_WAITING} checks of master parts wait already: ask again"
        return ""

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                peer, asked = self._asked.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue
            self._station.port.answer_masters(peer, self._answer(asked))

    def _answer(self, asked: VerifyMasters) -> MastersAnswer:
        try:
            number, check = self._verify(asked)
        except InspectdError as error:
            log.error("no check of master parts", product=asked.product, why=str(error))
            return MastersAnswer(
                asked.product, CheckOutcome.INCOMPLETE, str(error), None, datetime.now(UTC).isoformat()
            )
        except Exception as error:
            log.error("defect in a check of master parts", product=asked.product, exc_info=error)
            return MastersAnswer(
                asked.product, CheckOutcome.INCOMPLETE, "internal_fault", None, datetime.now(UTC).isoformat()
            )
        return MastersAnswer(asked.product, check.outcome, check.why[:1000], number, check.at.isoformat())

    def _verify(self, asked: VerifyMasters) -> tuple[int, CheckRecord]:
        """Look, drop `ready` if it failed, write, and only then let a pass count. Raises StorageError."""
        station, product = self._station, self._station.products[asked.product]
        check = self._shown(asked, product) if asked.shown else self._stored(asked, product)
        seen = _Seen(check, product, time.monotonic())
        if check.outcome == CheckOutcome.FAILED:
            self._count(asked.product, seen)
        numbers: list[int] = []
        station.recorder.write_and_wait(lambda connection: numbers.append(insert_check(connection, check)))
        log.info("master parts checked", product=asked.product, outcome=check.outcome, why=check.why, check=numbers[-1])
        if check.outcome == CheckOutcome.PASSED:
            self._count(asked.product, seen)
        return numbers[-1], check

    def _stored(self, asked: VerifyMasters, product: Product) -> CheckRecord:
        station = self._station
        timeout_s = station.config.inference.timeout_ms / 1000
        start = _BetweenParts(station, product.engine, self._stop)
        judge = Judge(product, station.pictures, start, timeout_s, station.config.cut_sizes)
        with station.pipeline.pauses.wanted():
            return check_masters(self._store(asked.product), judge, self._request(asked))

    def _shown(self, asked: VerifyMasters, product: Product) -> CheckRecord:
        runs, since = self._runs[asked.product]
        since = since if runs is product else datetime.now(UTC)
        look_up = partial(shown_master, self._station.config.database_path, asked.shown, product, since)
        return check_each(self._store(asked.product), product, self._request(asked), look_up)

    def _store(self, product: str) -> MasterStore:
        return MasterStore(self._station.config.station.data_dir, product)

    def _request(self, asked: VerifyMasters) -> Request:
        how: Literal["stored", "live"] = "live" if asked.shown else "stored"
        eyes = self._eyes_of(asked.product)
        return Request(self._station.config.station.id, asked.asked_by or "the line", how, eyes)

    def _count(self, product: str, seen: _Seen) -> None:
        self._seen = {**self._seen, product: seen}
        self.watch(datetime.now(UTC), time.monotonic())


class _BetweenParts:
    """Starts an engine on a picture in a pause between parts."""

    def __init__(self, station: Assembly, engine: Engine, stop: threading.Event) -> None:
        self._pauses, self._engine, self._stop = station.pipeline.pauses, engine, stop
        self._longest_s = station.config.inference.timeout_ms / 1000

    def __call__(self, image: Image, timeout_s: float) -> Ticket:
        tickets: list[Ticket] = []
        self._pauses.run(
            lambda: tickets.append(self._engine.submit(image, self._longest_s)), timeout_s, self._stop.is_set
        )
        return tickets[0]


def masters_fault(product_id: str) -> str:
    """The name of the fault that a product's master parts raise."""
    return f"masters:{product_id}"


def made_with(check: CheckRecord, product: Product, eyes: str) -> bool:
    """Whether an earlier run's check was made with this bundle and all else that looks at parts now."""
    model = product.engine.model_id
    return check.model is not None and (
        (check.model.sha256, check.model.precision, check.recipe_version, check.eyes_sha256)
        == (model.sha256, model.precision.value, product.recipe.version, eyes)
    )
