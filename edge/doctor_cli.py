"""`edge doctor`: what can be wrong here, and what mends it. Heavy imports stand inside, as in `edge.cli`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import EXIT_REFUSED, ConfigError, StorageError
from edge.saying import JsonOption, print_json

if TYPE_CHECKING:
    from edge.doctor import Finding


def doctor(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The station's file; if left out, one here or in /etc/inspectd."),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the data lie, whatever the file says.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="No pictures, self-tests or check of the database.")] = False,  # noqa: FBT002
    report: Annotated[Path | None, typer.Option(help="Write what was found there too, as text.")] = None,
    explain: Annotated[
        str, typer.Option(metavar="ID", help="Say what a finding means: an id, a room such as disk, or all.")
    ] = "",
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Look for everything that can be wrong with this machine, or with the station on it. Exit 1 if anything is bad.

    Nothing is changed, and a running station is not disturbed.
    """
    from rich.console import Console

    from edge.doctor import examine, make_around
    from edge.doctor.showing import show

    if explain:
        _explain(explain, as_json=as_json)
        return
    if report is not None and not report.absolute().parent.is_dir():
        raise ConfigError(f"--report {report}: its folder is not there")
    findings = examine(make_around(config, data_dir, quick=quick))
    if report is not None:
        _write(report, findings)
    if as_json:
        content = [asdict(finding) | {"room": finding.room} for finding in findings]
        print_json({"ok": all(finding.state != "bad" for finding in findings), "findings": content})
    else:
        show(findings, Console())
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(EXIT_REFUSED)


def _explain(asked: str, *, as_json: bool) -> None:
    from rich.console import Console

    from edge.doctor.finding import meanings
    from edge.doctor.showing import explain, spoken

    known = meanings()
    wanted = [each for each in known if asked in {"all", each, each.partition(".")[0]}]
    if not wanted:
        rooms = dict.fromkeys(each.partition(".")[0] for each in known)
        raise ConfigError(f"there is no finding {asked!r}: give an id, a room ({', '.join(rooms)}), or all")
    if as_json:
        rows = [(each, known[each]) for each in wanted]
        words = [{"id": each, "state": one.state, "means": one.means, "mend": spoken(one.mend)} for each, one in rows]
        print_json({"ok": True, "meanings": words})
    else:
        explain(wanted, Console())


def _write(report: Path, findings: list["Finding"]) -> None:
    from edge.doctor.showing import as_text

    try:
        report.write_text(as_text(findings), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {report}: {error.strerror}: name another --report") from error
