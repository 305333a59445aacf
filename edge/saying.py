"""How commands are asked for a file and for JSON, and how they answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The station's file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
LinesOption = Annotated[
    bool, typer.Option("--progress-lines", help="Progress as JSON lines on stderr, for a program that shows it.")
]
DEFAULT_CONFIG = Path("station.toml")


def say(as_json: bool, content: dict[str, object], text: str) -> None:  # noqa: FBT001 - how to say it
    """The content as JSON, or the text."""
    if as_json:
        print_json(content)
    else:
        typer.echo(text)


def print_json(content: dict[str, object]) -> None:
    """One object on one line of stdout."""
    typer.echo(json.dumps(content))


def print_table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, tight: bool = False) -> None:
    """Rows under their columns, for a person; tight where there are too many columns for lines between them."""
    from rich.box import HEAVY_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    look, gap = (None, (0, 1, 0, 0)) if tight else (HEAVY_HEAD, (0, 1, 0, 1))
    table = Table(*columns, title=title, box=look, padding=gap, pad_edge=not tight)
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)
