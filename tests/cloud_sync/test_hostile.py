"""One message, however it is made, costs little memory and leaves few rows."""

import hashlib
import io
import json
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from brokers import eventually, local_broker
from fuzz_hub import HubEnd
from fuzz_station import StationEnd
from outboxes import AT, EPOCH, STATION, OutboxRow
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry, start_http_server
from wire_samples import MESSAGES
from wiretap import wiretap

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.group import NOTHING
from cloud_sync.hub.intake import take_in
from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.store.errors import BlobError
from cloud_sync.station.downlink import Downlink
from cloud_sync.wire import strict_json, topics
from cloud_sync.wire.broker import available_kinds
from cloud_sync.wire.envelopes import BATCH_LIMIT_RECORDS, pack_batch, split, unpack_ack, unpack_batch
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.scraping import hurry
from cloud_sync.wire.strict_json import PAYLOAD_LIMIT_BYTES

MEMORY_LIMIT_BYTES = 32 << 20
TOPIC = topics.inspections(STATION)
MARK = f'"epoch":"{EPOCH}","seq":1,"station":"{STATION}"'.encode()


def batch(records: list[bytes]) -> bytes:
    """An envelope that is right around anything."""
    body = b",".join(records)
    start = f'{{"specversion":"1.0","id":"{hashlib.sha256(body).hexdigest()[:32]}","source":"inspectd/{STATION}",'
    middle = (
        f'"type":"inspectd.inspections.v1","time":"x","data":{{"stream":"inspections","epoch":"{EPOCH}","records":['
    )
    return (start + middle).encode() + body + b"]}}"


def wide(count: int, item: bytes) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


HOSTILE = [
    pytest.param(b"[" * 65_536, id="brackets"),
    pytest.param(b'{"a":' * 13_000, id="braces"),
    pytest.param(b"1" * 65_536, id="digits"),
    pytest.param(b'"' + b"x" * 65_530 + b'"', id="one long text"),
    pytest.param(b"{" + b'"a":1,' * 10_000 + b'"a":1}', id="a key 10,000 times"),
    pytest.param(batch([b"0"] * 32_000), id="32,000 records that are none"),
    pytest.param(batch([b"%d" % number for number in range(10_000)]), id="10,000 different records that are none"),
    pytest.param(batch([b"{" + MARK + b',"views":' + wide(20_000, b"{}") + b"}"]), id="20,000 views that are none"),
    pytest.param(batch([b"{" + MARK + b',"reasons":' + wide(30_000, b"0") + b"}"]), id="30,000 reasons that are none"),
    pytest.param(batch([wide(21_000, b"[]")]), id="a wide list"),
    pytest.param(batch([b"[" * 900 + b"]" * 900]), id="900 deep"),
    pytest.param(b'{"file":"' + b"ab" * 32 + b'","ranges":' + wide(16_000, b"[]") + b"}", id="16,000 bad ranges"),
]


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("payload", HOSTILE)
def test_a_hostile_batch_costs_the_collector_little_and_changes_no_record(payload: bytes, tmp_path: Path) -> None:
    assert peak_bytes(lambda: take_in(Message(TOPIC, payload))) < MEMORY_LIMIT_BYTES
    assert len(take_in(Message(TOPIC, payload)).dead) <= BATCH_LIMIT_RECORDS

    end = HubEnd(tmp_path)
    assert not end.feed(Message(TOPIC, payload))
    end.close()


@pytest.mark.parametrize("payload", [row for row in HOSTILE if "records" not in str(row.values[0])])
@pytest.mark.parametrize("name", ["health.v1.json", "file-ack.v1.json"])
def test_a_hostile_message_costs_little_and_is_refused(name: str, payload: bytes) -> None:
    def unpack() -> None:
        with pytest.raises(LinkError):
            type(MESSAGES[name]).unpack(payload)

    assert peak_bytes(unpack) < MEMORY_LIMIT_BYTES


@pytest.mark.parametrize(
    ("ranges", "accepted"),
    [
        pytest.param(wide(3_000, b"[1,9007199254740991]"), True, id="everything, 3,000 times"),
        pytest.param(wide(10_000, b"[7,7]"), True, id="one, 10,000 times"),
        pytest.param(wide(10_000, b"[7,6]"), False, id="10,000 that run backwards"),
        pytest.param(b"[" * 65_000, False, id="brackets"),
    ],
)
def test_a_hostile_acknowledgement_costs_the_station_little(ranges: bytes, accepted: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a row of the table
    payload = f'{{"stream":"inspections","epoch":"{EPOCH}","ranges":'.encode() + ranges + b"}"
    end = StationEnd(tmp_path / "outbox.db")

    assert peak_bytes(lambda: end.feed(payload)) < MEMORY_LIMIT_BYTES

    end.close()
    if not accepted:
        with pytest.raises(LinkError):
            unpack_ack(payload)


@pytest.mark.parametrize(
    "name", ["state.v1.json", "job.v1.json", "command.v1.json", "file-ack.v1.json", "want.v1.json"]
)
def test_a_message_that_says_one_thing_twice_is_refused(name: str) -> None:
    message = MESSAGES[name]
    packed = message.pack()
    first = packed[1 : packed.index(b",")]

    assert type(message).unpack(packed) == message
    with pytest.raises(LinkError, match="twice"):
        type(message).unpack(b"{" + first + b"," + packed[1:])


def test_an_acknowledgement_that_names_its_ranges_twice_deletes_nothing() -> None:
    twice = f'{{"stream":"inspections","epoch":"{EPOCH}","ranges":[[1,1]],"ranges":[[1,9]]}}'.encode()
    with pytest.raises(LinkError, match="twice"):
        unpack_ack(twice)


@pytest.mark.parametrize(
    "name",
    ["../x", "..", ".x", "a/b", "/etc/passwd", "A", "a\\b", "a\n", "a\0", "", "x" * 129, "a b", "\u202e", "\u00e9"],
)
def test_a_release_whose_name_is_a_path_is_never_begun(name: str, tmp_path: Path) -> None:
    offer = json.loads(MESSAGES["job.v1.json"].pack()) | {"name": name}
    downlink = Downlink(STATION, tmp_path / "releases")

    with pytest.raises(LinkError, match="name"):
        downlink.hear("job", json.dumps(offer).encode())
    assert not (tmp_path / "releases").exists()


@pytest.mark.parametrize("name", ["../" + "a" * 61, "a" * 63, "A" * 64, "a" * 63 + "\n", "a" * 64 + "/x", ""])
def test_a_blob_whose_name_is_no_hash_reaches_no_path(name: str, tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")

    for asked in (lambda: blobs.put(name, io.BytesIO(b"x")), lambda: blobs.read(name, 0, 1), lambda: blobs.holds(name)):
        with pytest.raises(BlobError, match="named by its sha256"):
            asked()
    assert not (tmp_path / "blobs").exists()


def test_a_scrape_that_says_nothing_holds_no_thread() -> None:
    server, thread = start_http_server(0, "127.0.0.1", CollectorRegistry())
    hurry(server, request_s=0.1)
    with socket.create_connection(server.server_address[:2]) as silent:
        silent.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        assert silent.recv(1) == b""  # hung up on; else the test's own limit ends it
    with socket.create_connection(server.server_address[:2]) as asking:
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert asking.recv(15) == b"HTTP/1.0 200 OK"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_scrape_that_drips_holds_no_thread() -> None:
    server, thread = start_http_server(0, "127.0.0.1", CollectorRegistry())
    hurry(server, request_s=0.4)
    with socket.create_connection(server.server_address[:2]) as dripping:
        dripping.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        dripping.settimeout(0.1)

        def is_hung_up() -> bool:
            try:
                dripping.sendall(b"x")
                return dripping.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        eventually(is_hung_up)
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_payload_larger_than_any_packet_of_ours_is_not_even_parsed() -> None:
    vast = b"[" + b"0," * PAYLOAD_LIMIT_BYTES + b"0]"

    def read() -> None:
        for unpack in (strict_json.loads, unpack_ack, unpack_batch, type(MESSAGES["health.v1.json"]).unpack):
            with pytest.raises(LinkError, match="at most"):
                unpack(vast)

    assert peak_bytes(read) < PAYLOAD_LIMIT_BYTES


def test_no_label_of_a_collectors_figures_is_a_strangers_word() -> None:
    metrics = CollectorMetrics()
    metrics.committed(1, NOTHING, 0.1, 0)

    labels = {name for family in metrics.registry.collect() for sample in family.samples for name in sample.labels}
    assert labels == {"fate", "le"}


def test_a_station_never_makes_a_batch_that_the_collector_finds_too_long() -> None:
    rows = [OutboxRow(Stream.INSPECTIONS, seq, b"{}", EPOCH) for seq in range(1, 2000)]

    runs = split(rows)

    assert [row for run in runs for row in run] == rows
    assert max(len(run) for run in runs) == BATCH_LIMIT_RECORDS
    assert len(take_in(Message(TOPIC, pack_batch(STATION, EPOCH, runs[0], AT))).dead) == BATCH_LIMIT_RECORDS


@pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")
def test_a_message_too_large_for_us_never_reaches_our_memory_and_stops_nothing(tmp_path: Path) -> None:
    stranger = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    with local_broker("mosquitto", tmp_path) as broker, wiretap(broker.address, "a/b") as heard:
        stranger.connect(broker.address.host, broker.address.port)
        stranger.loop_start()
        for payload in (b"before", b"x" * (1 << 20), b"after"):
            stranger.publish("a/b", payload, qos=1).wait_for_publish(10)
        eventually(lambda: len(heard) == 2)
        stranger.disconnect()
        stranger.loop_stop()

    assert [message.payload for message in heard] == [b"before", b"after"]
