"""A part's own code: read from its picture, never guessed, and UNDECIDED where it cannot be."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from codes_kit import Image, Laid, ean13, laid_on, qr
from daemon_kit import daemon, line_to
from edge_rows import rows
from plates_kit import plate
from station_kit import Station, make_bundle

from cloud_sync.wire.records import InspectionRecord
from edge.capture.codes.desk import CodeDesk, code_rules
from edge.capture.codes.reading import CodeReader, CodeRule, Seen
from edge.config import load_config
from edge.domain.errors import ConfigError
from edge.health import Health

QR, BARCODE = CodeRule("qr", "top"), CodeRule("barcode", "top")


def part(seed: int = 0) -> Image:
    return np.asarray(cv2.resize(plate(seed), (720, 560), interpolation=cv2.INTER_CUBIC), np.uint8)


def reading(image: Image, rule: CodeRule) -> tuple[str | None, str]:
    return CodeReader().read(image, rule).reading


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(Laid(), id="upright"),
        pytest.param(Laid(turn_deg=10), id="turned a little"),
        pytest.param(Laid(turn_deg=90), id="turned by a quarter"),
        pytest.param(Laid(narrow=0.15), id="in perspective"),
        pytest.param(Laid(blur_px=0.7), id="soft"),
    ],
)
def test_codes_are_read_as_they_lie(how: Laid) -> None:
    digits, bars = ean13("400638130017")
    for seed in range(2):
        text = f"PART-{seed:06}"
        assert reading(laid_on(part(seed), qr(text), (360, 280), how, seed), QR) == (text, "")
        assert reading(laid_on(part(seed), bars, (360, 280), how, seed), BARCODE) == (digits, "")


@pytest.mark.parametrize("rule", [pytest.param(QR, id="qr"), pytest.param(BARCODE, id="barcode")])
def test_no_code_or_one_too_blurred_is_unreadable(rule: CodeRule) -> None:
    code = qr("PART-1") if rule is QR else ean13("400638130017")[1]
    assert reading(part(), rule) == (None, "code_unreadable")
    assert reading(laid_on(part(), code, (360, 280), Laid(blur_px=6)), rule) == (None, "code_unreadable")


def test_two_codes_are_ambiguous_though_only_one_can_be_read() -> None:
    one = laid_on(part(), qr("PART-1"), (200, 280))
    assert reading(laid_on(one, qr("PART-2"), (520, 280)), QR) == (None, "code_ambiguous")
    broken = qr("PART-2")
    data = broken[len(broken) * 13 // 29 :, len(broken) * 13 // 29 :]
    data[:] = np.random.default_rng(1).permutation(data.ravel()).reshape(data.shape)
    assert reading(laid_on(one, broken, (520, 280)), QR) == (None, "code_ambiguous")
    bars = laid_on(part(), ean13("400638130017")[1], (360, 150))
    assert reading(laid_on(bars, ean13("590123412345")[1], (360, 420)), BARCODE) == (None, "code_ambiguous")


def test_brushed_metal_that_looks_like_a_barcode_does_not_hide_the_one_that_is() -> None:
    seen = [CodeReader()._bars.detectAndDecodeMulti(part(seed))[1] for seed in range(4)]  # noqa: SLF001 - the trap itself
    assert any("" in texts for texts in seen)
    digits, bars = ean13("400638130017")
    assert [reading(laid_on(part(seed), bars, (360, 280)), BARCODE)[0] for seed in range(4)] == [digits] * 4


def test_the_region_decides_which_code_counts() -> None:
    both = laid_on(laid_on(part(), qr("PART-1"), (200, 280)), qr("OTHER"), (520, 280))
    assert reading(both, replace(QR, roi_xyxy=(60, 120, 340, 440))) == ("PART-1", "")
    with pytest.raises(ValueError, match="reaches out of a frame of 720x560"):
        reading(both, replace(QR, roi_xyxy=(60, 120, 900, 440)))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(Seen(), (None, "code_unreadable"), id="nothing"),
        pytest.param(Seen((), 1, 0), (None, "code_unreadable"), id="one that is not decoded"),
        pytest.param(Seen(("a",), 2, 2), ("a", ""), id="the same printed twice"),
        pytest.param(Seen(("a",), 2, 1), (None, "code_ambiguous"), id="one beside it that is not decoded"),
        pytest.param(Seen(("a", "b"), 2, 2), (None, "code_ambiguous"), id="two"),
        pytest.param(Seen(("a",), 1, 1) | Seen(("b",), 1, 1), (None, "code_ambiguous"), id="two detectors disagree"),
        pytest.param(Seen((), 1, 0) | Seen(("a",), 1, 1), ("a", ""), id="one detector decodes what both see"),
        pytest.param(Seen(("x" * 257,), 1, 1), (None, "code_unreadable"), id="too long for a record"),
    ],
)
def test_what_was_seen_decides(seen: Seen, expected: tuple[str | None, str]) -> None:
    assert seen.reading == expected


@contextmanager
def desk(waiting: int = 8) -> Iterator[tuple[CodeDesk, Health]]:
    health = Health()
    made = CodeDesk(["top"], waiting, health)
    made.start()
    try:
        yield made, health
    finally:
        made.stop(5)


def judged(made: CodeDesk, image: Image, rule: CodeRule, within_s: float = 5) -> tuple[str | None, tuple[str, ...]]:
    return made.judge("blob", rule, made.ask(image, rule, time.monotonic() + within_s))


def test_the_same_code_twice_in_a_row_is_as_configured() -> None:
    first, second = (laid_on(part(), qr(text), (360, 280)) for text in ("PART-1", "PART-2"))
    strict = replace(QR, repeat_allowed=False)
    with desk() as (made, _):
        assert judged(made, first, QR) == judged(made, first, QR) == ("PART-1", ())
        assert judged(made, first, strict) == ("PART-1", ("code_repeated",))
        assert judged(made, second, strict) == ("PART-2", ())
        assert judged(made, first, strict) == ("PART-1", ())


def test_only_an_unreadable_code_may_be_allowed() -> None:
    loose = replace(QR, unreadable_allowed=True)
    with desk() as (made, health):
        assert judged(made, part(), QR) == (None, ("code_unreadable",))
        assert judged(made, part(), loose) == (None, ())
        assert made.judge("blob", QR, None) == (None, ("code_unreadable",))
        assert judged(made, part(), replace(loose, roi_xyxy=(0, 0, 9999, 99))) == (None, ("code_fault",))
        assert set(health.faults()) == {"code:top"}
        assert judged(made, part(), loose) == (None, ())
        assert health.faults() == {}


def test_a_slow_picture_costs_its_own_part_and_what_is_over_is_not_read() -> None:
    with desk(waiting=2) as (made, _):
        late = judged(made, np.tile(part(), (3, 3, 1)), QR, within_s=0.001)
        assert late == (None, ("code_late",))
    stopped = CodeDesk(["top"], 1, Health())
    stopped.ask(part(), QR, time.monotonic() + 5)
    started_s = time.monotonic()
    assert judged(stopped, part(), QR) == (None, ("code_late",)), "a queue that is full"
    assert time.monotonic() - started_s < 4, "and nobody waits for it"


CODED = "[product.code]\nkind = 'qr'\n"


def station(folder: Path, frames: list[Image], code: str = CODED) -> Station:
    made = Station(folder, settings={"line": {"deadline_ms": 4000}, "camera": {"timeout_ms": 3000}})
    made.write_config()
    made.config.write_text(made.config.read_text() + code)
    make_bundle(made.bundles)
    (folder / "frames").mkdir()
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / "frames" / f"{number:03}.png"), image)
    return made


def test_a_parts_code_is_told_and_recorded_and_one_without_is_undecided(tmp_path: Path) -> None:
    grey = np.full((560, 720, 3), 128, np.uint8)
    one = laid_on(grey, qr("PART-1"), (360, 280))
    made = station(tmp_path / "s", [one, grey, laid_on(laid_on(grey, qr("PART-2"), (180, 280)), qr("X"), (540, 280))])
    told = []
    with daemon(made), line_to(made) as line:
        line.hear_ready(ready=True)
        for number in range(3):
            line.trigger(f"p-{number}")
            told.append(line.hear())
            line.ack(f"p-{number}")
    assert [(one["part_id"], one.get("code")) for one in told] == [("p-0", "PART-1"), ("p-1", None), ("p-2", None)]
    assert (told[0]["verdict"], told[0]["reasons"]) == ("PASS", [])
    assert [(one["verdict"], "code_unreadable" in one["reasons"]) for one in told[1:2]] == [("UNDECIDED", True)]
    assert (told[2]["verdict"], told[2]["reasons"][0]) == ("UNDECIDED", "code_ambiguous")
    query = "SELECT payload FROM records WHERE stream = 'inspections' ORDER BY seq"
    records = [InspectionRecord.model_validate_json(payload) for (payload,) in rows(made.database, query)]  # type: ignore[arg-type]
    assert [record.code for record in records] == ["PART-1", None, None]


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        pytest.param(CODED + "camera = 'attic'\n", "read by one of the cameras top, got 'attic'", id="no such camera"),
        pytest.param("[product.code]\nkind = 'qrr'\n", "product.0.code.kind", id="no such kind"),
        pytest.param(CODED + "roi = [9, 9, 5, 50]\n", "holds something", id="a region of nothing"),
    ],
)
def test_a_code_that_nobody_can_read_is_refused_at_the_start(tmp_path: Path, code: str, complaint: str) -> None:
    made = station(tmp_path / "s", [part()], code)
    with pytest.raises(ConfigError, match=complaint):
        code_rules(load_config(made.config))
