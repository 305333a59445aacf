"""How the demo's station and cloud are set, in the files that anybody would write."""

from dataclasses import dataclass
from typing import Protocol

STATION = "demo"
PRODUCT = "cell"
DEFECT = "defect"
OVERKILL = 0.05  # few hundred good cells cannot prove much less without passing most defects
_STATION_FILE = """\
[station]
id = "{station}"
data_dir = "station"

[[camera]]
id = "top"
source = "{source}"
trigger = "software"
loop = true
timeout_ms = 500
max_age_ms = 1000
# The cells are pictures of many modules, each lit in its own way: what one camera sees cannot be learned from them.
checks.off = ["exposure", "clipped", "blurred"]

[[product]]
id = "{product}"
bundle = "{product}"

# The rules for a model that the cloud may send later: it knows one kind of defect, by name.
[[product.other_recipes]]
kind = "classifier"
[product.other_recipes.classes.{defect}]

[line]
port = "tcp://127.0.0.1:{port}"
deadline_ms = 1000

[sync]
broker = "{broker}"
trust_root = "root.json"
images = "{images}"
resend_s = 5

# A line of a million parts keeps a few of them for people to look at; the demo has some hundred, and keeps each.
[triage]
per_hour = {samples}
uncertain_within = 0.5
audit_share = 1.0
drift = false

# Half of the demo's cells are defective, and the models shall differ on them: on a real line they would seldom.
[release]
shadow_parts = {shadow_parts}
live_parts = {live_parts}
disagreement_most = 0.6
reject_shift_most = 0.6
"""
_CLOUD_FILE = """\
[cloud]
store = "cloud.db"
broker = "{broker}"
folder = "work"
trust = "trust"
passphrase_file = "passphrase"
# A line's cloud trains in what time is left over; here somebody waits for it.
nice = 5
idle = false

[[product]]
id = "{product}"
bundle = "{product}"
champion_station = "{station}"
kind = "classifier"
method = "probe"
overkill = {overkill}
size_px = {size_px}

[product.triggers]
new_labels = {labels}
drift = false
cool_down_h = 0

# The first model lets every other defective cell pass. To catch more of them, some good cells may be rejected.
[product.gate]
overkill_most = 0.10
overkill_rise_most = 0.10
alpha = 0.01

# Half of the demo's cells are defective, and the models shall differ on them: on a real line they would seldom.
[product.rollout]
shadow_parts = {shadow_parts}
live_parts = {live_parts}
disagreement_most = 0.6
reject_shift_most = 0.6
min_minutes = 0.0
steps_percent = [100]
"""


@dataclass(frozen=True, slots=True)
class Loop:
    """How much the loop does: labels that let a training begin, the model's size, parts in shadow and on the canary."""

    labels: int
    size_px: int
    shadow_parts: int
    live_parts: int


FULL_LOOP = Loop(labels=300, size_px=288, shadow_parts=200, live_parts=100)
FAST_LOOP = Loop(labels=200, size_px=192, shadow_parts=100, live_parts=50)


@dataclass(frozen=True, slots=True)
class Shift:
    """What the station does for a while: the folder that its camera shows, images that go up, samples an hour."""

    source: str
    images: str
    samples: int


FIRST = Shift("inspect", "all", 20_000)
LINE = Shift("inspect", "not_pass", 60)
UNSEEN = Shift("unseen", "none", 0)


class Settings(Protocol):
    """What a plant is set to."""

    @property
    def station(self) -> str:
        """The station's id."""
        ...

    @property
    def product(self) -> str:
        """The product of its line."""
        ...

    def station_file(self, shift: Shift, line_port: int, broker: str) -> str:
        """station.toml."""
        ...

    def cloud_file(self, broker: str) -> str:
        """cloud.toml."""
        ...


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """Those of the demo."""

    loop: Loop
    station: str = STATION
    product: str = PRODUCT

    def station_file(self, shift: Shift, line_port: int, broker: str) -> str:
        """One camera that shows cells, one product, a line port, and all samples kept."""
        return _STATION_FILE.format(
            station=self.station,
            product=self.product,
            defect=DEFECT,
            source=shift.source,
            images=shift.images,
            samples=shift.samples,
            shadow_parts=self.loop.shadow_parts,
            live_parts=self.loop.live_parts,
            port=line_port,
            broker=broker,
        )

    def cloud_file(self, broker: str) -> str:
        """One product, whose classifier is a probe."""
        return _CLOUD_FILE.format(
            station=self.station,
            product=self.product,
            broker=broker,
            overkill=OVERKILL,
            size_px=self.loop.size_px,
            labels=self.loop.labels,
            shadow_parts=self.loop.shadow_parts,
            live_parts=self.loop.live_parts,
        )
