"""The station as a whole: its configuration, how it is started, and what it says of itself while it runs."""

import os
from collections.abc import Iterator

from edge.capture.codes.desk import code_rules
from edge.doctor.around import UNIT, Around
from edge.doctor.finding import Finding, fault, ok
from edge.doctor.running import said_by
from edge.domain.errors import ConfigError
from edge.line.outputs.open import make_output
from edge.line.protocol import parse_address

_WANTED = f"etc/systemd/system/multi-user.target.wants/{UNIT}"
_GROUP = f"sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs"
_YES = frozenset({"yes", "true", "on", "1"})


def configuration(around: Around) -> Iterator[Finding]:
    """Whether station.toml is right, as far as nothing need be opened."""
    if around.config_path is None:
        yield ok("station", "station.toml", "none here: the machine alone is looked at")
    elif around.config is None:
        yield fault("station.configuration", "station.toml", around.config_error, option=around.config_option)
    else:
        yield from _buildable(around)


def _buildable(around: Around) -> Iterator[Finding]:
    config = around.config
    assert config is not None  # noqa: S101 - asked before
    try:
        parse_address(config.line.port)
        code_rules(config)
        for output in config.output:
            make_output(output, config.station.id)
    except ConfigError as error:
        yield fault("station.refused", "station.toml", str(error), option=around.config_option)
        return
    parts = (config.camera, "cameras"), (config.product, "products"), (config.output, "outputs")
    counts = ", ".join(f"{len(sections)} {name}" for sections, name in parts)
    yield ok("station", "station.toml", f"station {config.station.id!r}: {counts}")


def service(around: Around) -> Iterator[Finding]:
    """Whether systemd starts the station with the machine, and lets it do what it must."""
    if around.config is None or not (around.root / "run/systemd/system").is_dir():
        return
    unit = around.unit
    if unit is None:
        yield fault("station.no-unit", "service", f"{UNIT} is not installed: nobody starts the station")
        return
    if unit.get("memorydenywriteexecute", "").lower() in _YES:
        yield fault("station.no-new-code", "service", f"{UNIT} has MemoryDenyWriteExecute: no model can be compiled")
    if not os.path.lexists(around.root / _WANTED):
        yield fault("station.not-enabled", "service", f"{UNIT} is installed and does not start with the machine")
    elif not around.read(_GROUP):
        yield fault("station.not-started", "service", f"{UNIT} is enabled, and no process runs in it")
    else:
        yield ok("station", "service", f"{UNIT} runs and starts with the machine")


def running(around: Around) -> Iterator[Finding]:
    """What the daemon says of itself."""
    owner = around.daemon
    if owner is None:
        if around.config is not None:
            yield ok("station", "daemon", "none runs")
        return
    said = said_by(around)
    if str(said.get("pid")) != owner:
        yield ok("station", "daemon", f"process {owner} has the data, and has not said how it is yet")
    elif not said.get("ready"):
        why = said.get("why") or "it does not say why"
        yield fault("station.not-ready", "daemon", f"process {owner} runs and is not ready: {why}")
    else:
        yield ok("station", "daemon", f"process {owner} runs and is ready")
    alarms = said.get("alarms")
    for name, why in alarms.items() if isinstance(alarms, dict) else ():
        yield fault("station.alarm", f"alarm {name}", str(why))
