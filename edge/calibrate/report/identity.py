"""What a page's figures belong to: product, station, machine, tools, date and options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from models.bundle import file_entries
from models.claims import tools_used
from models.cpus import cpu_model, granted_cpus
from models.page import section, table


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose figures these are.

    Args:
        product: of station.toml.
        station: its id; empty where none was named.
        made_at: when, in UTC.
        cpu: the processor's own name.
        cores: that this process was really granted.
        tools: versions by name.
        options: of the command, as (name, value).
    """

    product: str
    station: str
    made_at: datetime
    cpu: str
    cores: int
    tools: Mapping[str, str] = field(default_factory=dict)
    options: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "product": self.product,
            "station": self.station,
            "made_at": self.made_at.isoformat(),
            "cpu": self.cpu,
            "cores": self.cores,
            "tools": dict(self.tools),
            "options": dict(self.options),
        }


def identify(product: str, made_at: datetime, station: str = "", options: Sequence[tuple[str, str]] = ()) -> Identity:
    """Of what is made on this machine."""
    return Identity(product, station, made_at, cpu_model(), granted_cpus(), tools_used(), tuple(options))


def identity_section(identity: Identity, rows: Sequence[tuple[str, str]]) -> str:
    """As HTML.

    Args:
        identity: whose figures.
        rows: of the bundle itself.
    """
    own = [
        ("Product", identity.product),
        *rows,
        ("Station", identity.station or "not named"),
        ("Machine", f"{identity.cpu}, {identity.cores} cores granted"),
        ("Made", identity.made_at.strftime("%Y-%m-%d %H:%M UTC")),
        ("Options", ", ".join(f"{name} {value}".strip() for name, value in identity.options) or "none"),
        ("Tools", ", ".join(f"{name} {version}" for name, version in sorted(identity.tools.items()))),
    ]
    return section("What this is about", f'<div class="facts">{table(("", ""), own)}</div>')


def files_section(folder: Path) -> str:
    """Every file of the bundle beside the page, and what it must be."""
    rows = [(name, f"{entry.size_bytes:,}", entry.sha256) for name, entry in sorted(file_entries(folder).items())]
    body = (
        "<p>Every file of the bundle but this page and its JSON. The bundle's own digest covers these two as well, so "
        "it cannot stand here: <code>edge bundle list --json</code> tells it, and every start checks it.</p>"
    )
    return section("Files", f'{body}<div class="digest">{table(("file", "bytes", "sha256"), rows)}</div>')


def files_json(folder: Path) -> dict[str, object]:
    """The same, plain."""
    return {name: entry.model_dump() for name, entry in sorted(file_entries(folder).items())}
