"""From an output's section of station.toml to its thread. A driver is loaded only where it is configured."""

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings
from edge.config_outputs import GpioSection, ModbusSection, MqttSection, OpcUaSection, OutputSection
from edge.domain.errors import ConfigError
from edge.line.outputs.mqtt import MqttOutput
from edge.line.outputs.output import Output
from edge.line.outputs.teller import Teller
from edge.line.protocol import Address


def make_teller(section: OutputSection, station: str, address: Address, on_trouble: Callable[[str], None]) -> Teller:
    """An output and its thread; nothing is opened yet.

    Raises:
        ConfigError: the library that it needs is not installed.
    """
    listens = not isinstance(section, ModbusSection)
    return Teller(section.id, make_output(section, station), address, listens=listens, on_trouble=on_trouble)


def make_output(section: OutputSection, station: str) -> Output:
    """The driver of an output. Raises ConfigError."""
    match section:
        case ModbusSection():
            _need(section.id, "pymodbus", "modbus")
            from edge.line.outputs.modbus import ModbusOutput

            return ModbusOutput(section, datetime.now(UTC))
        case OpcUaSection():
            _need(section.id, "asyncua", "opcua")
            from edge.line.outputs.opcua import OpcUaOutput

            return OpcUaOutput(section, station)
        case GpioSection():
            _need(section.id, "gpiod", "gpio")
            from edge.line.outputs.gpio import GpioOutput
            from edge.line.outputs.gpiochip import GpioChip

            return GpioOutput(section, GpioChip(section.chip, active_low=section.active_low))
        case MqttSection():
            endpoint = Endpoint.parse(section.broker, section.identity or Path("identity"))
            name = f"inspectd-{station}-{section.id}"
            settings = MqttSettings(endpoint.address, name, identity=endpoint.identity)
            return MqttOutput(lambda: MqttLink(settings), section.topic, section.queue_messages, station)


def _need(output_id: str, package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ConfigError(f"output {output_id!r} needs {package}: pip install 'inspectd[{extra}]'")
