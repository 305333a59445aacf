"""The network: ports of our own that others hold, PLCs that answer, and what a GigE camera asks of an interface."""

import socket
from collections.abc import Iterator

from edge.config_outputs import ModbusSection, OpcUaSection
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok

_CONNECT_S = 3.0
_GIGE = "gige://"
_GIGE_BUFFER_BYTES = 4 * 1024 * 1024  # what edge.capture.industrial.gige asks the kernel for
_JUMBO = 8000
_MEGABITS = 1000
_LISTEN = "0A"  # proc_net_tcp: the state of a listening socket


def ports(around: Around) -> Iterator[Finding]:
    """Whether the ports that the station listens at are free, or its own."""
    taken = _listening(around)
    for name, port, key in _own_ports(around):
        if port not in taken:
            yield ok("network", name, f"port {port} is free")
        elif around.daemon is not None:
            yield ok("network", name, f"port {port} is held while this station runs")
        else:
            yield fault("network.port-taken", name, f"port {port} is held by another program", port=port, key=key)


def _own_ports(around: Around) -> Iterator[tuple[str, int, str]]:
    if around.config is None:
        return
    if around.config.line.port.startswith("tcp://"):
        yield "line port", _port(around.config.line.port), "line.port"
    if around.config.metrics.listen is not None:
        yield "metrics", _port(around.config.metrics.listen), "metrics.listen"
    for output in around.config.output:
        if isinstance(output, OpcUaSection):
            yield f"output {output.id}", output.port, f"port of output {output.id!r}"


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _listening(around: Around) -> set[int]:
    """Ports that somebody listens at; read from the kernel's list, because trying one could refuse a daemon."""
    lines = [line for name in ("tcp", "tcp6") for line in around.read(f"proc/net/{name}").splitlines()[1:]]
    rows = [line.split() for line in lines]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == _LISTEN}  # noqa: PLR2004


def plcs(around: Around) -> Iterator[Finding]:
    """Whether each PLC takes a connection; not beside a running station, whose only one it may be."""
    if around.config is None or around.daemon is not None:
        return
    for output in around.config.output:
        if not isinstance(output, ModbusSection):
            continue
        name, where = f"output {output.id}", f"{output.host}:{output.port}"
        try:
            socket.create_connection((output.host, output.port), _CONNECT_S).close()
        except OSError as error:
            found = f"no connection to {where}: {error.strerror or error}"
            yield fault("network.no-plc", name, found, host=output.host, port=output.port)
        else:
            yield ok("network", name, f"{where} takes connections")


def gige(around: Around) -> Iterator[Finding]:
    """Whether kernel and interfaces take a GigE camera's packets as fast as they come."""
    if around.config is None or not any(str(each.source).startswith(_GIGE) for each in around.config.camera):
        return
    text = around.read("proc/sys/net/core/rmem_max")
    allowed = int(text) if text.isdecimal() else 0
    if allowed < _GIGE_BUFFER_BYTES:
        found = f"net.core.rmem_max is {allowed}, wanted {_GIGE_BUFFER_BYTES}"
        yield fault("network.receive-buffer", "receive buffer", found, wanted=_GIGE_BUFFER_BYTES)
    else:
        yield ok("network", "receive buffer", f"net.core.rmem_max is {allowed}")
    yield from _interfaces(around)


def _interfaces(around: Around) -> Iterator[Finding]:
    """Of those that are up at least one should be fit for a camera; which it is on, only the camera's answer shows."""
    names = [path.name for path in sorted((around.root / "sys/class/net").glob("*")) if path.name != "lo"]
    up = [name for name in names if around.read(f"sys/class/net/{name}/operstate") == "up"]
    if not up:
        yield fault("network.no-interface", "interface", f"none is up of {', '.join(names) or 'none'}")
        return
    mtus = {name: _figure(around, name, "mtu") for name in up}
    speeds = {name: _figure(around, name, "speed") for name in up}
    if max(mtus.values()) < _JUMBO:
        name = max(mtus, key=lambda each: mtus[each])
        yield fault(
            "network.small-packets", "packets", f"no interface has an MTU of 9000: {_listed(mtus)}", interface=name
        )
    else:
        yield ok("network", "packets", f"MTU: {_listed(mtus)}")
    if 0 < max(speeds.values()) < _MEGABITS:
        yield fault("network.slow-link", "link", f"no interface has a gigabit: {_listed(speeds)} Mbit/s")


def _figure(around: Around, name: str, what: str) -> int:
    text = around.read(f"sys/class/net/{name}/{what}")
    return int(text) if text.isdecimal() else 0


def _listed(figures: dict[str, int]) -> str:
    return ", ".join(f"{name} {figure}" for name, figure in figures.items())
