"""What was found, for people: room by room, the way to mend it below each thing that is not well."""

from collections.abc import Sequence
from io import StringIO
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edge.doctor.finding import Finding, meanings
from edge.doctor.rooms import ROOMS

_LOOKS = {"ok": "green", "note": "yellow", "bad": "bold red"}
_NAME_WIDTH = 18
_PLAIN_WIDTH = 100


def show(findings: Sequence[Finding], console: Console) -> None:
    """A table of each room, and one line of how many things are how."""
    order = list(ROOMS)
    for room, group in groupby(sorted(findings, key=lambda each: order.index(each.room)), lambda each: each.room):
        console.print(Text(ROOMS[room], style="bold"))
        console.print(Padding(_room(list(group)), (0, 0, 1, 1)))
    console.print(summary(findings))


def as_text(findings: Sequence[Finding]) -> str:
    """The same, for a file."""
    paper = StringIO()
    show(findings, Console(file=paper, width=_PLAIN_WIDTH, color_system=None, force_terminal=False))
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def summary(findings: Sequence[Finding]) -> str:
    """How many are how, and where to read more."""
    counts = {state: sum(each.state == state for each in findings) for state in _LOOKS}
    said = f"{counts['bad']} bad, {counts['note']} to note, {counts['ok']} ok"
    bad = list(dict.fromkeys(each.name for each in findings if each.state == "bad"))
    named = f" ({', '.join(bad)})" if bad else ""
    first = next((each for state in ("bad", "note") for each in findings if each.state == state), None)
    more = "" if first is None else f". More of one: edge doctor --explain {first.id}"
    return said.replace(" bad", f" bad{named}", 1) + more


def explain(fault_ids: Sequence[str], console: Console) -> None:
    """What faults mean and how to mend them. Raises KeyError for an id that there is none of."""
    for fault_id in fault_ids:
        meaning = meanings()[fault_id]
        console.print(Text(f"{fault_id} ({meaning.state})", style=_LOOKS[meaning.state]))
        console.print(Padding(Text(meaning.means), (0, 0, 0, 1)))
        console.print(Padding(Text(f"To mend it: {spoken(meaning.mend)}", style="cyan"), (0, 0, 1, 1)))


def spoken(mend: str) -> str:
    """The way to mend it where nothing is known of the station: words in capitals for what it depends on."""
    return mend.format_map(_Capitals())


class _Capitals(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "" if key == "option" else key.upper()


def _room(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=4, no_wrap=True)
    table.add_column(width=_NAME_WIDTH, overflow="fold")
    table.add_column(overflow="fold")
    for each in findings:
        look = _LOOKS[each.state]
        said = Text(each.found)
        if each.state != "ok":
            said.append(f"\n→ {each.mend}", style="cyan").append(f"  [{each.id}]", style="dim")
        table.add_row(Text(each.state, style=look), Text(each.name), said)
    return table
