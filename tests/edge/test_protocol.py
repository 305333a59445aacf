import json
import random
from pathlib import Path

import pytest

from cloud_sync.wire.outbox import Stream
from edge.domain.errors import ConfigError, OutputError
from edge.domain.part import Verdict
from edge.line.protocol import (
    LINE_LIMIT_BYTES,
    Ack,
    Address,
    Choose,
    FromLine,
    Listen,
    MastersAnswer,
    Ping,
    RetryDead,
    Trigger,
    VerifyMasters,
    error_line,
    heartbeat_line,
    masters_line,
    parse_address,
    parse_line,
    pong_line,
    ready_line,
    retry_dead_line,
    trigger_line,
    verdict_line,
    verify_masters_line,
)

TRIGGER = b'{"type": "trigger", "part_id": "p-1", "product": "cell", "cameras": ["top", "side"]}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(TRIGGER, Trigger("p-1", "cell", ("top", "side")), id="trigger"),
        pytest.param(b'{"type":"trigger","part_id":"p"}', Trigger("p", "", ()), id="the product that was chosen"),
        pytest.param(b'{"type":"product","product":"c"}', Choose("c"), id="a product chosen"),
        pytest.param(b'{"type":"trigger","part_id":"p","product":"c"}\r', Trigger("p", "c", ()), id="no cameras, CR"),
        pytest.param(
            b'{"type":"trigger","part_id":"p","product":"c","cameras":null}', Trigger("p", "c", ()), id="null cameras"
        ),
        pytest.param(
            b'{"type":"trigger","part_id":"p","product":"c","cameras":["a","a"]}',
            Trigger("p", "c", ("a",)),
            id="a camera named twice is asked once",
        ),
        pytest.param(
            '{"type":"trigger","part_id":"Zelle-ü","product":"c"}'.encode(), Trigger("Zelle-ü", "c", ()), id="utf-8"
        ),
        pytest.param(b'{"type": "ack", "part_id": "p-1", "more": 1}', Ack("p-1"), id="ack, unknown field ignored"),
        pytest.param(b'{"type": "ping"}', Ping(), id="ping"),
        pytest.param(b'{"type": "listen"}', Listen(), id="listen"),
        pytest.param(
            b'{"type":"trigger","part_id":"p","product":"c","master":"dent"}',
            Trigger("p", "c", (), "dent"),
            id="a master",
        ),
        pytest.param(b'{"type":"retry_dead"}', RetryDead(None), id="all dead letters again"),
        pytest.param(retry_dead_line(Stream.IMAGES), RetryDead(Stream.IMAGES), id="those of one stream"),
        pytest.param(b'{"type":"verify_masters","product":"c"}', VerifyMasters("c"), id="masters"),
        pytest.param(
            b'{"type":"verify_masters","product":"c","asked_by":"plc","shown":"s1"}',
            VerifyMasters("c", "plc", "s1"),
            id="masters that were shown",
        ),
    ],
)
def test_the_messages_of_the_line(line: bytes, message: FromLine) -> None:
    assert parse_line(line) == message


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        pytest.param(b"", "one JSON object", id="empty"),
        pytest.param(b"trigger p-1", "one JSON object", id="no JSON"),
        pytest.param(b"[" * 4000, "one JSON object", id="deeply nested"),
        pytest.param(b"\xff\xfe{}", "one JSON object", id="no UTF-8"),
        pytest.param(b"[1]", "JSON object", id="a list"),
        pytest.param(b"{}", "type trigger, ack, product, ping, .* feedback or retry_dead", id="no type"),
        pytest.param(
            b'{"type": ["ack"]}',
            "type trigger, ack, product, ping, listen, verify_masters, feedback or retry_dead",
            id="type is a list",
        ),
        pytest.param(b'{"type": "ack"}', "part_id must be", id="no part"),
        pytest.param(b'{"type": "ack", "part_id": ""}', "part_id must be", id="empty part"),
        pytest.param(b'{"type": "ack", "part_id": 5}', "part_id must be", id="part is a number"),
        pytest.param(b'{"type": "ack", "part_id": "a\\nb"}', "part_id must be", id="newline in the id"),
        pytest.param(b'{"type": "ack", "part_id": "\\ud800"}', "part_id must be", id="half a surrogate pair"),
        pytest.param(b'{"type": "ack", "part_id": "%s"}' % (b"p" * 129), "part_id must be", id="id too long"),
        pytest.param(b'{"type":"trigger","part_id":"p","product":""}', "product must be", id="an empty product"),
        pytest.param(b'{"type":"trigger","part_id":"p","product":null}', "product must be", id="a null product"),
        pytest.param(b'{"type":"product"}', "product must be", id="no product to choose"),
        pytest.param(b'{"type":"verify_masters"}', "product must be", id="masters of no product"),
        pytest.param(b'{"type":"retry_dead","stream":"verdicts"}', "stream must be one of", id="a stream that is none"),
        pytest.param(b'{"type":"retry_dead","stream":["images"]}', "stream must be one of", id="a list of streams"),
        pytest.param(b'{"type":"verify_masters","product":"c","shown":""}', "shown must be", id="an empty session"),
        pytest.param(b'{"type":"trigger","part_id":"p","product":"c","master":7}', "master must be", id="no name"),
        pytest.param(b'{"type":"trigger","part_id":"p","product":"\\ud800"}', "product must be", id="broken product"),
        pytest.param(
            b'{"type":"trigger","part_id":"p","product":"c","cameras":"top"}', "cameras must be", id="cameras no list"
        ),
        pytest.param(
            b'{"type":"trigger","part_id":"p","product":"c","cameras":{}}', "cameras must be", id="cameras an object"
        ),
        pytest.param(
            b'{"type":"trigger","part_id":"p","product":"c","cameras":false}', "cameras must be", id="cameras false"
        ),
        pytest.param(b'{"type":"ping","x":"%s"}' % (b"x" * LINE_LIMIT_BYTES), "at most 4096 bytes", id="overlong"),
    ],
)
def test_what_is_no_message_is_refused_with_what_was_expected(line: bytes, complaint: str) -> None:
    with pytest.raises(OutputError, match=complaint):
        parse_line(line)


def test_five_thousand_damaged_lines_are_messages_or_refused_never_a_crash() -> None:
    rng = random.Random(7)
    seeds = [TRIGGER, b'{"type":"ack","part_id":"p-1"}', b'{"type":"ping"}']
    refused = 0
    for _ in range(5000):
        line = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            position = rng.randrange(len(line) + 1)
            match rng.randrange(3):
                case 0:
                    line[position:position] = rng.randbytes(rng.randint(1, 3))
                case 1:
                    del line[position : position + rng.randint(1, 4)]
                case _:
                    line[position : position + 1] = rng.choice([b"\\u", b'"', b"{", b"NaN", b"1e999", b"\0", b"null"])
        try:
            assert isinstance(parse_line(bytes(line)), Trigger | Ack | Ping)
        except OutputError:
            refused += 1
    assert 1000 < refused < 5000


@pytest.mark.parametrize("verdict", [pytest.param(Verdict.PASS, id="PASS"), pytest.param(Verdict.REJECT, id="REJECT")])
def test_only_undecided_can_be_told_without_a_record(verdict: Verdict) -> None:
    with pytest.raises(OutputError, match="only after its commit"):
        verdict_line("p", verdict, (), None, None)
    assert json.loads(verdict_line("p", Verdict.UNDECIDED, ("why",), None, None))["image"] == "none"


def test_what_a_station_is_told_of_masters_it_reads_and_a_pass_without_a_record_cannot_be_told() -> None:
    for asked in (VerifyMasters("c"), VerifyMasters("c", "plc", "s1")):
        assert parse_line(verify_masters_line(asked)) == asked
    for trigger in (Trigger("p", "c", ("top",)), Trigger("p", "c", (), "dent")):
        assert parse_line(trigger_line(trigger)) == trigger
    with pytest.raises(OutputError, match="only after its commit"):
        masters_line(MastersAnswer("c", "passed", "", None, ""))
    assert json.loads(masters_line(MastersAnswer("c", "failed", "why", None, "")))["check_id"] is None


def test_every_line_out_is_one_json_object_on_one_line() -> None:
    lines = [
        verdict_line("p\u2028", Verdict.PASS, (), "s/e/1", "0" * 64),
        ready_line(False, "two\nlines"),
        heartbeat_line(True),
        pong_line(),
        error_line("bad"),
    ]
    assert [json.loads(line)["type"] for line in lines] == ["verdict", "ready", "heartbeat", "pong", "error"]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("tcp://127.0.0.1:7411", Address(7411, None), id="tcp"),
        pytest.param("tcp://localhost:1", Address(1, None), id="localhost"),
        pytest.param("unix:///run/line.sock", Address(None, Path("/run/line.sock")), id="unix"),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("tcp://0.0.0.0:7411", id="every interface"),
        pytest.param("tcp://127.0.0.1:0", id="port 0"),
        pytest.param("tcp://127.0.0.1:70000", id="port too high"),
        pytest.param("tcp://127.0.0.1", id="no port"),
        pytest.param("http://127.0.0.1:80", id="another scheme"),
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="line port"):
        parse_address(text)
