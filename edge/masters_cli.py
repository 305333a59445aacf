"""`edge masters` and `edge verify-masters`. Heavy imports stand inside the commands, as in `edge.cli`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.domain.errors import EXIT_REFUSED, ConfigError
from edge.saying import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, print_table, say

if TYPE_CHECKING:
    from edge.config import ProductSection, StationConfig
    from edge.line.protocol import MastersAnswer
    from edge.masters.store import Master
    from edge.record.checks import CheckRecord

masters_app = typer.Typer(help="Known good and known bad parts, kept with the product.", no_args_is_help=True)
_LIVE = "Put the parts themselves under the camera, one by one, at a running station."
_SHOWN = "Judge what the line itself triggered: part ids master:SHOWN:NAME, each with the field master NAME."
ProductOption = Annotated[str, typer.Option(help="Which product of station.toml; the only one if left out.")]


@masters_app.command("add")
def masters_add(  # noqa: PLR0913, PLR0917 - each is an option of the command
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures of master parts.")],
    good: Annotated[
        bool | None, typer.Option("--good/--bad", help="What they are: the station must pass, or reject them.")
    ] = None,
    product: ProductOption = "",
    camera: Annotated[str, typer.Option(help="Whose pictures these are; the only camera if left out.")] = "",
    name: Annotated[str, typer.Option(help="What to call it; the file's name if left out.")] = "",
    expect: Annotated[str, typer.Option("--class", help="With --bad: the class it must be rejected for.")] = "",
    note: Annotated[str, typer.Option(help="A word on it: what is wrong with it, who says so.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Keep pictures of known parts with the product; all or none of them."""
    from edge.config import load_config
    from edge.masters.store import MasterStore, NewMaster, whoever

    checked = load_config(config)
    section, owner = _product(checked, product), _camera(checked, camera)
    if good is None:
        raise ConfigError("say whether these are known --good or known --bad parts")
    if name and len(files) > 1:
        raise ConfigError(f"--name is for one picture, and {len(files)} are given: leave it out, or add one by one")
    if expect and (good or expect not in section.recipe.classes):
        known = ", ".join(section.recipe.classes)
        raise ConfigError(f"--class is for --bad parts, and one of {known}, got {expect!r}")
    by, at = whoever(), datetime.now(UTC)
    size = checked.cut_sizes.get(owner)
    new = [NewMaster(file, name or file.stem, owner, good, by, at, expect or None, note, size) for file in files]
    store = MasterStore(checked.station.data_dir, section.id)
    added = store.add(new)
    left = _wanting(store.masters())
    names = ", ".join(master.name for master in added)
    content = {"ok": True, "product": section.id, "added": [_plain(master) for master in added], "wanting": left}
    say(as_json, content, f"added to {section.id}: {names}{left and f'; {left}'}\nnow `edge verify-masters`")


@masters_app.command("list")
def masters_list(
    product: Annotated[str, typer.Option(help="Only this one's.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Every master part, and whether its picture is what was added. Exit 1 when one is not."""
    from edge.config import load_config
    from edge.domain.errors import StorageError
    from edge.masters.store import MasterStore

    checked = load_config(config)
    rows = []
    for section in [_product(checked, product)] if product else checked.product:
        store = MasterStore(checked.station.data_dir, section.id)
        for master in store.masters():
            try:
                store.image(master)
            except StorageError as error:
                damage = str(error)
            else:
                damage = ""
            rows.append({"product": section.id, **_plain(master), "damage": damage})
    intact = not any(row["damage"] for row in rows)
    if as_json:
        print_json({"ok": intact, "masters": rows})
    else:
        head = ("product", "name", "expected", "class", "camera", "added", "by", "note", "damage")
        print_table("master parts", head, [tuple(str(row[column] or "") for column in head) for row in rows])
    if not intact:
        raise typer.Exit(EXIT_REFUSED)


@masters_app.command("remove")
def masters_remove(
    name: Annotated[str, typer.Argument(help="The master part's name.")],
    product: ProductOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Forget a master part; the list keeps that it was there, and who removed it."""
    from edge.config import load_config
    from edge.masters.store import MasterStore, whoever

    checked = load_config(config)
    section = _product(checked, product)
    store = MasterStore(checked.station.data_dir, section.id)
    gone = store.remove(name, whoever(), datetime.now(UTC))
    left = _wanting(store.masters())
    content = {"ok": True, "product": section.id, "removed": _plain(gone), "wanting": left}
    say(as_json, content, f"removed from {section.id}: {name}{left and f'; {left}'}")


@masters_app.command("history")
def masters_history(
    product: Annotated[str, typer.Option(help="Only this one's.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """The checks that were made, newest first: when, who asked, with which bundle, what came of it."""
    from edge.config import load_config
    from edge.record.checks import read_checks

    checked = load_config(config)
    if product:
        _product(checked, product)
    found = read_checks(checked.database_path, product, limit)
    if as_json:
        print_json({"ok": True, "checks": [{"check": number, **_whole(check)} for number, check in found]})
        return
    head = ("check", "product", "at", "asked by", "bundle", "recipe", "right", "outcome", "why")
    print_table("checks of master parts", head, [_row(number, check) for number, check in found])


def verify_masters(
    product: Annotated[str, typer.Option(help="Only this one; all that have master parts if left out.")] = "",
    live: Annotated[bool, typer.Option("--live", help=_LIVE)] = False,  # noqa: FBT002 - a flag
    shown: Annotated[str, typer.Option("--shown", help=_SHOWN)] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Does the station still tell known good from known bad parts? Exit 1, and not ready, when it does not.

    A running station checks the stored pictures between parts, with the bundle, rules and picture checks that judge
    its parts now; without one, this command does. With --live the parts themselves are inspected, by a running one.
    """
    from edge.config import load_config
    from edge.masters.asking import show_all, verify, verify_shown
    from edge.masters.store import whoever

    checked = load_config(config)
    if live and shown:
        raise ConfigError("--live asks for the parts itself, --shown takes those that the line triggered: give one")
    sections = [_product(checked, product)] if product else _with_masters(checked)
    session = f"{datetime.now(UTC):%Y%m%dT%H%M%S}" if live else shown
    if live:
        for section in sections:
            show_all(checked, section, session, _ask_for, lambda text: typer.echo(text, err=True))
    found = [
        verify_shown(checked, section, whoever(), session) if session else verify(checked, section, whoever())
        for section in sections
    ]
    _tell(found, as_json)


def _ask_for(master: "Master") -> None:
    what = "good" if master.good else "bad"
    note = f" ({master.note})" if master.note else ""
    text = f"put the {what} part {master.name!r}{note} under camera {master.camera!r}, then press Enter"
    typer.echo(text, err=True)
    if not sys.stdin.readline():
        raise ConfigError(f"the input ended before master part {master.name!r} was shown: nothing was checked")


def _tell(found: "list[tuple[MastersAnswer, CheckRecord | None]]", as_json: bool) -> None:  # noqa: FBT001 - how to say it
    good = all(answer.outcome == "passed" for answer, _ in found)
    if as_json:
        rows = [
            {"check": answer.check_id, "product": answer.product, "outcome": answer.outcome, "why": answer.why}
            | ({} if check is None else _whole(check))
            for answer, check in found
        ]
        print_json({"ok": good, "checks": rows})
    else:
        for answer, check in found:
            _show(answer.product, answer.outcome, answer.why, check)
    if not good:
        raise typer.Exit(EXIT_REFUSED)


def _show(product: str, outcome: str, why: str, check: "CheckRecord | None") -> None:
    rows = [
        (
            each.name,
            " ".join(filter(None, (each.expected, each.expected_class))),
            " ".join((each.got or "unreadable", *each.reasons)),
            "" if each.score is None else f"{each.score:.3f}",
            "right" if each.ok else "WRONG",
        )
        for each in (check.masters if check else ())
    ]
    print_table(f"{product}: {outcome}", ("master part", "expected", "got", "score", ""), rows)
    if why:
        typer.echo(why)


def _product(config: "StationConfig", product: str) -> "ProductSection":
    known = {section.id: section for section in config.product}
    if product not in known and (product or len(known) > 1):
        raise ConfigError(f"--product must be one of {', '.join(sorted(known))}, got {product!r}")
    return known[product] if product else next(iter(known.values()))


def _camera(config: "StationConfig", camera: str) -> str:
    known = [section.id for section in config.camera]
    if camera not in known and (camera or len(known) > 1):
        raise ConfigError(f"--camera must be one of {', '.join(known)}, got {camera!r}")
    return camera or known[0]


def _with_masters(config: "StationConfig") -> "list[ProductSection]":
    from edge.masters.store import MasterStore

    found = [
        section
        for section in config.product
        if section.masters.required
        or section.masters.every_h
        or MasterStore(config.station.data_dir, section.id).exists
    ]
    if not found:
        raise ConfigError("no product has master parts: add some with `edge masters add`")
    return found


def _wanting(masters: "tuple[Master, ...]") -> str:
    missing = [word for word, good in (("good", True), ("bad", False)) if all(one.good is not good for one in masters)]
    return f"a check needs a known {' and a known '.join(missing)} part too" if missing else ""


def _plain(master: "Master") -> dict[str, object]:
    return {
        "name": master.name,
        "camera": master.camera,
        "expected": master.expected.value,
        "class": master.expected_class,
        "sha256": master.sha256,
        "note": master.note,
        "added": master.added_at.isoformat(timespec="seconds"),
        "by": master.added_by,
    }


def _whole(check: "CheckRecord") -> dict[str, object]:
    return check.model_dump(mode="json", exclude={"schema_"})


def _row(number: int, check: "CheckRecord") -> tuple[str, ...]:
    model = check.model
    bundle = "" if model is None else f"{model.id} v{model.version}"
    right = f"{sum(one.ok for one in check.masters)} of {len(check.masters)}"
    at = check.at.isoformat(timespec="seconds")
    return (
        str(number),
        check.product,
        at,
        check.asked_by,
        bundle,
        check.recipe_version,
        right,
        check.outcome,
        check.why,
    )
