import json
import random

import pytest
from outboxes import AT, EPOCH, STATION, images, inspection, outcome

from cloud_sync.wire.envelopes import (
    BATCH_LIMIT_BYTES,
    Ack,
    pack_ack,
    pack_batch,
    split,
    to_ranges,
    unpack_ack,
    unpack_batch,
)
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream

HARD_VALUES = [
    pytest.param(0.1 + 0.2, id="a float that needs 17 digits"),
    pytest.param(5e-324, id="the smallest float"),
    pytest.param(1.7976931348623157e308, id="the largest float"),
    pytest.param(-0.0, id="minus zero"),
    pytest.param(1.0, id="a whole float"),
    pytest.param(1e16, id="a float with an exponent"),
    pytest.param(2**53 + 1, id="an int no float holds"),
    pytest.param(-(10**400), id="an int no machine word holds"),
    pytest.param("Größe 部品 😀 \u2028 \x7f", id="unicode"),
    pytest.param('"]}}\\,"records":[', id="text that looks like the envelope"),
    pytest.param({"ß": 1, "a": {"B": [], "A": None}}, id="nested, sorted by code point"),
]


def row_of(value: object, seq: int = 1) -> OutboxRow:
    text = json.dumps({"v": value}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return OutboxRow(Stream.INSPECTIONS, seq, text.encode(), EPOCH)


@pytest.mark.parametrize("value", HARD_VALUES)
def test_a_records_bytes_survive_the_envelope(value: object) -> None:
    rows = [row_of(value), inspection(2)]

    batch = unpack_batch(pack_batch(STATION, EPOCH, rows, AT))

    assert batch.payloads == tuple(row.payload for row in rows)


def test_random_floats_survive_bit_for_bit() -> None:
    dice = random.Random(7)
    values = [dice.uniform(-1, 1) * 10 ** dice.randint(-300, 300) for _ in range(1000)]
    rows = [row_of(values[at : at + 20], at + 1) for at in range(0, 1000, 20)]

    assert unpack_batch(pack_batch(STATION, EPOCH, rows, AT)).payloads == tuple(row.payload for row in rows)


@pytest.mark.parametrize("make", [inspection, outcome, images])
def test_a_batch_says_whose_and_what_it_is(make: object) -> None:
    row = make(3)  # type: ignore[operator]
    packed = pack_batch(STATION, EPOCH, [row], AT)
    batch = unpack_batch(packed)

    assert (batch.station, batch.epoch, batch.stream) == (STATION, EPOCH, row.stream)
    envelope = json.loads(packed)
    assert envelope["specversion"] == "1.0"
    assert envelope["source"] == "inspectd/press-3"
    assert envelope["type"] == f"inspectd.{row.stream}.v1"
    assert envelope["time"] == "2026-03-01T12:00:00.123456+00:00"


def test_the_same_records_make_the_same_id_and_others_another() -> None:
    ids = [json.loads(pack_batch(STATION, EPOCH, [inspection(seq)], AT))["id"] for seq in (1, 1, 2)]

    assert ids[0] == ids[1] != ids[2]


def test_split_keeps_order_and_fills_batches_that_fit() -> None:
    rows = [inspection(seq, part_id="x" * 100) for seq in range(1, 1001)]

    runs = split(rows)

    assert [row for run in runs for row in run] == rows
    sizes = [len(pack_batch(STATION, EPOCH, run, AT)) for run in runs]
    assert max(sizes) <= BATCH_LIMIT_BYTES
    assert min(sizes[:-1]) > BATCH_LIMIT_BYTES - 2000


def test_split_gives_a_row_too_large_a_run_of_its_own() -> None:
    large = row_of("x" * BATCH_LIMIT_BYTES, seq=2)
    runs = split([inspection(1), large, inspection(3)])

    assert [[row.seq for row in run] for run in runs] == [[1], [2], [3]]
    with pytest.raises(LinkError, match="at most 65536 bytes"):
        pack_batch(STATION, EPOCH, [large], AT)


def test_a_batch_is_of_one_stream() -> None:
    with pytest.raises(LinkError, match="one stream"):
        pack_batch(STATION, EPOCH, [inspection(1), outcome(1)], AT)
    with pytest.raises(LinkError, match="one or more"):
        pack_batch(STATION, EPOCH, [], AT)


def changed(**members: object) -> bytes:
    """A batch with some members changed, and written anew."""
    envelope = json.loads(pack_batch(STATION, EPOCH, [row_of(1)], AT))
    envelope["data"].update({name: members.pop(name) for name in list(members) if name in envelope["data"]})
    envelope.update(members)
    return json.dumps(envelope, separators=(",", ":")).encode()


BAD_BATCHES = [
    pytest.param(b"", "expected JSON", id="empty"),
    pytest.param(b"\xff\xfe", "expected JSON", id="not UTF-8"),
    pytest.param(b"{", "expected JSON", id="cut"),
    pytest.param(b"[" * 60_000, "expected JSON", id="nested too deep"),
    pytest.param(b"1" * 60_000, "expected JSON", id="a number too long"),
    pytest.param(b"NaN", "NaN is no JSON number", id="NaN"),
    pytest.param(b"[]", "a batch has the members", id="a list"),
    pytest.param(b"{}", "a batch has the members", id="no members"),
    pytest.param(changed(data=[]), "a batch's data has the members", id="data is a list"),
    pytest.param(changed(stream="secrets"), "expected a stream of", id="unknown stream"),
    pytest.param(changed(stream=["inspections"]), "expected a stream of", id="stream is a list"),
    pytest.param(changed(epoch="x"), "expected an epoch", id="bad epoch"),
    pytest.param(changed(epoch=EPOCH + "\n"), "expected an epoch", id="epoch with a line end"),
    pytest.param(changed(source="press-3"), "expected a source", id="bad source"),
    pytest.param(changed(source="inspectd/UP"), "station id", id="bad station"),
    pytest.param(changed(type="inspectd.outcomes.v1"), "expected specversion", id="type of another stream"),
    pytest.param(changed(specversion="2.0"), "expected specversion", id="other version"),
    pytest.param(changed(records=[]), "one or more records", id="no record"),
    pytest.param(changed(records={}), "one or more records", id="records are an object"),
    pytest.param(changed(records=[{"b": 1, "a": 2}]), "canonical", id="keys not sorted"),
    pytest.param(changed(records=[{"v": 1.0}]).replace(b"1.0}", b"1.00}"), "canonical", id="a float written otherwise"),
    pytest.param(changed(records=[{"v": 1}]).replace(b'"v":1', b'"v":1,"v":1'), "canonical", id="a key twice"),
    pytest.param(changed(records=[{"v": 1}]).replace(b'"v":1', b'"v":1e999'), "JSON can hold", id="infinity"),
    pytest.param(changed(records=[{"v": "x"}]).replace(b'"x"', b'"\\ud800"'), "JSON can hold", id="half a character"),
    pytest.param(changed(records=[{"v": 2}]), "id says", id="records that the id does not name"),
    pytest.param(b" " * (BATCH_LIMIT_BYTES + 1), "at most 65536 bytes", id="too large"),
]


@pytest.mark.parametrize(("payload", "words"), BAD_BATCHES)
def test_a_bad_batch_is_refused_in_words(payload: bytes, words: str) -> None:
    with pytest.raises(LinkError, match=words):
        unpack_batch(payload)


def test_an_acknowledgement_survives_the_wire() -> None:
    ack = Ack(Stream.OUTCOMES, EPOCH, to_ranges([1, 2, 3, 7]), to_ranges([2]))

    assert unpack_ack(pack_ack(ack)) == ack
    assert json.loads(pack_ack(ack)) == {
        "stream": "outcomes",
        "epoch": EPOCH,
        "ranges": [[1, 3], [7, 7]],
        "quarantined": [[2, 2]],
    }


def test_an_acknowledgement_without_trouble_has_the_members_of_the_design() -> None:
    assert set(json.loads(pack_ack(Ack(Stream.IMAGES, EPOCH, to_ranges([1]))))) == {"stream", "epoch", "ranges"}


def test_a_batch_of_a_later_version_is_understood() -> None:
    assert unpack_batch(changed(later=True)).payloads == (row_of(1).payload,)


def test_an_acknowledgement_of_a_later_version_is_understood() -> None:
    content = {"stream": "images", "epoch": EPOCH, "ranges": [[1, 1]], "later": True}

    assert unpack_ack(json.dumps(content).encode()).ranges == (SeqRange(1, 1),)


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param(None, id="none"),
        pytest.param([1, 2], id="numbers"),
        pytest.param([[2, 1]], id="downwards"),
        pytest.param([[0, 1]], id="from zero"),
        pytest.param([[1, 2, 3]], id="three"),
        pytest.param([[1.0, 2.0]], id="floats"),
        pytest.param([[True, True]], id="booleans"),
        pytest.param([[1, 2**53]], id="too high"),
        pytest.param([["1", "2"]], id="texts"),
    ],
)
def test_bad_ranges_delete_nothing(ranges: object) -> None:
    content = {"stream": "inspections", "epoch": EPOCH, "ranges": ranges}

    with pytest.raises(LinkError, match="expected"):
        unpack_ack(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("seqs", "ranges"),
    [
        pytest.param([], [], id="none"),
        pytest.param([5], [(5, 5)], id="one"),
        pytest.param([3, 1, 2, 2], [(1, 3)], id="unordered, repeated"),
        pytest.param([1, 3, 4, 9], [(1, 1), (3, 4), (9, 9)], id="gaps"),
    ],
)
def test_ranges_hold_exactly_the_numbers(seqs: list[int], ranges: list[tuple[int, int]]) -> None:
    assert [(item.first, item.last) for item in to_ranges(seqs)] == ranges
