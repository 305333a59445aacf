"""A product's master parts, judged as parts are: by its engine, its recipe and its cameras' picture checks.

A stored picture is held against the same limits of exposure, sharpness and place as a part's: one that would not be
trusted from the camera proves nothing about the parts that come from it. Only `frozen` says nothing of a stored one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import structlog

from cloud_sync.wire.records import ModelRecord
from edge.capture.pictures.checks import Check
from edge.capture.pictures.watch import PictureWatch
from edge.decide.recipe import decide
from edge.domain.errors import StorageError
from edge.domain.frame import Image
from edge.domain.part import Verdict
from edge.infer.engine import ModelTimeoutError, Ticket
from edge.masters.store import Master, MasterStore
from edge.pauses import NoPauseError
from edge.pipeline import Product
from edge.record.checks import CheckOutcome, CheckRecord, MasterRecord
from models.detections import Detections
from models.errors import AlignmentError, ModelError

log = structlog.get_logger()
LIMIT_S = 60.0
_SHOWN = 3
_OTHER_SIZE = f"camera_{Check.SIZE}"
Start = Callable[[Image, float], Ticket]


@dataclass(frozen=True, slots=True)
class Judge:
    """What looks at masters, and how a frame is started: between parts, or at once.

    Args:
        product: its engine and recipe.
        pictures: the checks of the cameras.
        start: starts the engine on a frame within so many seconds; raises NoPauseError, ModelError.
        timeout_s: how long the model may take.
        sizes: (width, height) that the roi of a camera leaves; a stored picture of another shows what no part shows.
    """

    product: Product
    pictures: PictureWatch
    start: Start
    timeout_s: float
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """Which station, who asked, whether stored pictures are looked at or what was shown is looked up, and what looks.

    `eyes` is of `eyes_digest`; a check without it counts in the run that made it only.
    """

    station: str
    asked_by: str
    how: Literal["stored", "live"] = "stored"
    eyes: str | None = None


def check_masters(store: MasterStore, judge: Judge, request: Request) -> CheckRecord:
    """Look at every master part; whatever goes wrong with one of them is in the result."""
    until_s = time.monotonic() + LIMIT_S
    return check_each(store, judge.product, request, lambda master: look(master, store, judge, until_s))


def check_each(
    store: MasterStore, product: Product, request: Request, judge_one: Callable[[Master], MasterRecord]
) -> CheckRecord:
    """Judge every master part of a product, and conclude."""
    started_s, at = time.monotonic(), datetime.now(UTC)
    masters: list[MasterRecord] = []
    try:
        for master in store.masters():
            masters.append(judge_one(master))  # noqa: PERF401 - those before a failure stay
        outcome, why = conclude(product.product_id, masters)
    except StorageError as error:
        outcome, why = CheckOutcome.FAILED, str(error)
    except NoPauseError as error:
        why = f"product {product.product_id!r}: the check of its master parts did not end: {error}"
        outcome = CheckOutcome.INCOMPLETE
    model = product.engine.model_id
    return CheckRecord(
        schema="inspectd.master-check.v1",
        station=request.station,
        product=product.product_id,
        at=at,
        asked_by=request.asked_by,
        how=request.how,
        model=ModelRecord(id=model.id, version=model.version, sha256=model.sha256, precision=model.precision.value),
        recipe_version=product.recipe.version,
        eyes_sha256=request.eyes,
        masters=tuple(masters),
        outcome=outcome,
        why=why,
        took_ms=round((time.monotonic() - started_s) * 1000, 1),
    )


def conclude(product: str, masters: Sequence[MasterRecord]) -> tuple[CheckOutcome, str]:
    """Passed, or failed and why. Pure."""
    wrong = [_complaint(master) for master in masters if not master.ok]
    for what, expected in (("good", "PASS"), ("bad", "REJECT")):
        if not any(master.expected == expected for master in masters):
            wrong.append(f"there is no {what} one: add it with `edge masters add --{what}`")
    if not wrong:
        return CheckOutcome.PASSED, ""
    more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return CheckOutcome.FAILED, f"product {product!r}: master parts: {', '.join(wrong[:_SHOWN])}{more}"


def judged(master: Master, verdict: Verdict, reasons: tuple[str, ...], score: float | None) -> MasterRecord:
    """What a master got, beside what was expected of it. Pure."""
    named = master.expected_class
    found = named is None or any(reason.partition(":")[0] == named for reason in reasons)
    return MasterRecord(
        name=master.name,
        camera=master.camera,
        sha256=master.sha256,
        expected="PASS" if master.good else "REJECT",
        expected_class=named,
        got=verdict.value,
        reasons=reasons,
        score=score,
        ok=verdict is master.expected and found,
    )


def _complaint(master: MasterRecord) -> str:
    expected = master.expected + (f" for {master.expected_class!r}" if master.expected_class else "")
    if master.got is None:
        return (
            f"{master.name!r} was not shown" if master.reasons == ("not_shown",) else f"{master.name!r} cannot be read"
        )
    why = f" ({', '.join(master.reasons)})" if master.reasons else ""
    return f"{master.name!r} is {master.got}{why}, expected {expected}"


def look(master: Master, store: MasterStore, judge: Judge, until_s: float) -> MasterRecord:
    """What a stored master gets. Raises NoPauseError where the engine could not be asked."""
    try:
        image = store.image(master)
    except StorageError as error:
        unread = judged(master, Verdict.UNDECIDED, (str(error),), None)
        return unread.model_copy(update={"got": None})
    try:
        doubts = _doubts(master, image, judge)
        found = judge.start(image, until_s - time.monotonic()).result(judge.timeout_s)
        verdict, reasons = _decide(found, judge.product, master.camera)
    except NoPauseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever failed, the master was not told good from bad
        return judged(master, Verdict.UNDECIDED, (_fault(master, error),), None)
    if doubts:
        return judged(master, Verdict.UNDECIDED, doubts, round(found.frame_score, 6))
    return judged(master, verdict, reasons, round(found.frame_score, 6))


def _doubts(master: Master, image: Image, judge: Judge) -> tuple[str, ...]:
    size = image.shape[1], image.shape[0]
    doubts = judge.pictures.doubts(judge.product.product_id, master.camera, image)
    cut = judge.sizes.get(master.camera, size) == size
    return doubts if cut else tuple(dict.fromkeys((*doubts, _OTHER_SIZE)))


def _decide(found: Detections, product: Product, camera: str) -> tuple[Verdict, tuple[str, ...]]:
    return decide(found, product.engine.spec.classes, product.recipe_for(camera))


def _fault(master: Master, error: Exception) -> str:
    match error:
        case ModelTimeoutError():
            return "model_timeout"
        case AlignmentError():
            return "reference_misaligned"
        case ModelError():
            log.error("a master part broke the model", master=master.name, why=str(error))
            return "model_fault"
        case KeyError():
            return "unknown_camera"
        case _:
            log.error("defect while looking at a master part", master=master.name, exc_info=error)
            return "internal_fault"
