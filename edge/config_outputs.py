"""The `[[output]]` sections of station.toml: the ways to the line beside the line port."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.errors import LinkError

OutputId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Milliseconds = Annotated[float, Field(gt=0, le=600_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Table = Literal["coil", "discrete", "holding", "input"]

_READ = r"(?:coil|discrete):\d{1,5}|(?:holding|input):\d{1,5}\.(?:1[0-5]|\d)"
_WRITTEN = r"coil:\d{1,5}|holding:\d{1,5}\.(?:1[0-5]|\d)"
BitRead = Annotated[str, Field(pattern=f"^(?:{_READ})$")]
BitWritten = Annotated[str, Field(pattern=f"^(?:{_WRITTEN})$")]
WordRead = Annotated[str, Field(pattern=r"^(?:holding|input):\d{1,5}$")]
WordWritten = Annotated[str, Field(pattern=r"^holding:\d{1,5}$")]
BeatWritten = Annotated[str, Field(pattern=rf"^(?:{_WRITTEN}|holding:\d{{1,5}})$")]
_LAST_ADDRESS = 65_535


def _checked_broker(text: str) -> str:
    try:
        Endpoint.parse(text, Path())
    except LinkError as error:
        raise ValueError(str(error)) from error
    return text


BrokerEndpoint = Annotated[
    str, Field(pattern=r"^(mqtts?://)?(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$"), AfterValidator(_checked_broker)
]
_PLACE = re.compile(r"(coil|discrete|holding|input):(\d+)(?:\.(\d+))?")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a signal stands in a PLC's memory: a coil, a discrete input, a word, or a bit of one (0 is the lowest)."""

    table: Table
    address: int
    bit: int | None


def parse_place(text: str) -> Place:
    """From `coil:3`, `discrete:3`, `holding:100`, `input:100` or, for a bit, `holding:100.3`. Raises ValueError."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected coil:3, discrete:3, holding:100, input:100 or holding:100.3, got {text!r}")
    table, address, bit = found.groups()
    if int(address) > _LAST_ADDRESS:
        raise ValueError(f"an address is 0 to {_LAST_ADDRESS}, got {text!r}")
    return Place(table, int(address), None if bit is None else int(bit))  # type: ignore[arg-type]


class ModbusMap(_Section):
    """Which signal stands where; the PLC writes the first four, the station the others. Addresses count from 0."""

    trigger: BitRead
    result_ack: BitRead | None = None
    product: WordRead | None = None
    part_number: WordRead | None = None
    ready: BitWritten
    trigger_ack: BitWritten | None = None
    busy: BitWritten
    result_valid: BitWritten
    pass_bit: BitWritten
    fail_bit: BitWritten
    undecided_bit: BitWritten | None = None
    result_number: WordWritten | None = None
    heartbeat: BeatWritten | None = None

    @property
    def read(self) -> dict[str, Place]:
        """What the PLC says, by signal."""
        return self._places("trigger", "result_ack", "product", "part_number")

    @property
    def written(self) -> dict[str, Place]:
        """What the station says, by signal."""
        return self._places(*(name for name in type(self).model_fields if name not in self.read))

    @model_validator(mode="after")
    def _apart(self) -> "ModbusMap":
        read, written = self.read, self.written
        places = Counter((*read.values(), *written.values()))
        twice = next((place for place, times in places.items() if times > 1), None)
        if twice is not None:
            raise ValueError(f"two signals stand at {_text(twice)}")
        ours = {(place.table, place.address) for place in written.values()}
        shared = next((place for place in read.values() if (place.table, place.address) in ours), None)
        if shared is not None:
            raise ValueError(f"{_text(shared)} is the PLC's, and the station writes that word: use another word")
        words = {(place.table, place.address) for place in places if place.bit is None and place.table == "holding"}
        bits = [place for place in places if place.bit is not None]
        split = next((place for place in bits if (place.table, place.address) in words), None)
        if split is not None:
            raise ValueError(f"{_text(split)} is a bit of a word that is a signal of its own")
        return self

    def _places(self, *names: str) -> dict[str, Place]:
        texts = {name: getattr(self, name) for name in names}
        return {name: parse_place(text) for name, text in texts.items() if text is not None}


def _text(place: Place) -> str:
    return f"{place.table}:{place.address}" + ("" if place.bit is None else f".{place.bit}")


class _OutputSection(_Section):
    """What all outputs have: a name, and whether the station is not ready without it."""

    id: OutputId
    required: bool = False


class ModbusSection(_OutputSection):
    """A PLC's Modbus TCP server, with the usual handshake: it triggers parts and is told their verdicts.

    `products` maps the number in `map.product` to a product's id; without that signal all parts are of `product`.
    """

    kind: Literal["modbus"]
    host: Annotated[str, Field(min_length=1)]
    port: Port = 502
    device: Annotated[int, Field(ge=0, le=255)] = 1
    map: ModbusMap
    product: str | None = None
    products: dict[Annotated[str, Field(pattern=r"^(?:0|[1-9]\d{0,4})$")], str] = {}
    poll_ms: Milliseconds = 10
    timeout_ms: Milliseconds = 100
    heartbeat_ms: Milliseconds = 500
    result_hold_ms: Milliseconds = 2000

    @model_validator(mode="after")
    def _product_known(self) -> "ModbusSection":
        if self.map.product is None and (self.product is None or self.products):
            raise ValueError("without map.product set product (and no products): it names what every part is")
        if self.map.product is not None and (self.product is not None or not self.products):
            raise ValueError("with map.product set products (and no product): they say what each number means")
        return self

    @property
    def product_ids(self) -> set[str]:
        """The products it names."""
        return {*self.products.values()} if self.product is None else {self.product}


class OpcUaSection(_OutputSection):
    """An OPC UA server that says the station's state and an event for each verdict; clients may only read."""

    kind: Literal["opcua"]
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 4840


class GpioSection(_OutputSection):
    """Lines of a GPIO chip: a pulse for each verdict, a level for ready. Offsets are the chip's."""

    kind: Literal["gpio"]
    chip: Path = Path("/dev/gpiochip0")
    pass_line: Annotated[int, Field(ge=0)]
    fail_line: Annotated[int, Field(ge=0)]
    undecided_line: Annotated[int, Field(ge=0)] | None = None
    ready_line: Annotated[int, Field(ge=0)] | None = None
    active_low: bool = False
    pulse_ms: Milliseconds = 50
    gap_ms: Milliseconds = 10

    @model_validator(mode="after")
    def _lines_apart(self) -> "GpioSection":
        lines = [self.pass_line, self.fail_line, self.undecided_line, self.ready_line]
        used = [line for line in lines if line is not None]
        if len(set(used)) < len(used):
            raise ValueError(f"each signal needs a line of its own, got {used}")
        return self


class MqttSection(_OutputSection):
    """A broker's topic on which every verdict is published, QoS 1; over mutual TLS unless it is on this machine."""

    kind: Literal["mqtt"]
    broker: BrokerEndpoint
    identity: Path | None = None
    topic: Annotated[str, Field(pattern=r"^[^#+\x00]{1,200}$")]
    queue_messages: Annotated[int, Field(ge=1, le=100_000)] = 1000


OutputSection = Annotated[ModbusSection | OpcUaSection | GpioSection | MqttSection, Field(discriminator="kind")]


def check_sessions(outputs: list[OutputSection], broker: str | None, identity: Path | None) -> None:
    """Raises ValueError where an output would go to the cloud's broker as this station.

    That broker knows a client by its certificate alone: output and sync would put each other off the line for ever.
    """
    cloud = Endpoint.parse(broker, Path()) if broker is not None else None
    for output in outputs:
        if cloud is None or cloud.identity is None or not isinstance(output, MqttSection):
            continue
        to = Endpoint.parse(output.broker, Path())
        if to == cloud and output.identity in {None, identity}:
            raise ValueError(
                f"output {output.id!r} goes to sync's broker {broker} with the station's identity, and would put the "
                "sync off the line: name another broker, or an identity of its own"
            )
