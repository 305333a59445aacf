"""How the station is started, and what it says of itself while it runs."""

import os
from collections.abc import Iterator

from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.doctor.running import said_by
from edge.doctor.unit import UNIT

_WANTED = f"etc/systemd/system/multi-user.target.wants/{UNIT}"
_GROUP = f"sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs"


def service(around: Around) -> Iterator[Finding]:
    """Whether systemd starts the station with the machine, and lets it do what it must."""
    if around.config is None or not (around.root / "run/systemd/system").is_dir():
        return
    unit = around.unit
    if unit is None:
        yield fault("station.no-unit", "service", f"{UNIT} is not installed: nobody starts the station")
        return
    if unit.is_on("MemoryDenyWriteExecute"):
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
