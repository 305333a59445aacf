"""The second table: the same parts, inspected by the model of before and by the one that the loop brought. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from edge.demo.judged import VERDICTS, Inspected, rates
from models.evaluate import Estimate
from models.evaluation.compare import Paired, paired


@dataclass(frozen=True, slots=True)
class Side:
    """What one model said of the parts. Rates as (value, low, high) with 95 % confidence.

    Args:
        models: who decided, each as `ID vN PRECISION`; one, unless something went wrong.
        parts: how many.
        verdicts: counted.
        overkill: good parts that did not pass.
        escape: defective parts that passed.
        auroc: of the scores.
    """

    models: tuple[str, ...]
    parts: int
    verdicts: dict[str, int]
    overkill: Estimate
    escape: Estimate
    auroc: Estimate


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """Both sides on the same parts, and McNemar's test of each kind of mistake, part by part."""

    before: Side
    after: Side
    paired_escape: Paired
    paired_overkill: Paired


@dataclass(frozen=True, slots=True)
class _Seen:
    inspected: Inspected
    model: str


def compare_sides(
    before: Mapping[str, bytes], after: Mapping[str, bytes], probabilities: Mapping[str, float]
) -> BeforeAfter:
    """Join both by the name of the replayed file.

    Args:
        before: the payloads of the inspection records, by inspection id.
        after: likewise.
        probabilities: of each replayed file, how likely it is defective.
    """
    first, second = (_by_file(payloads, probabilities) for payloads in (before, after))
    both = sorted(first.keys() & second.keys())
    bad = np.array([round(3 * probabilities[name]) == 3 for name in both], np.bool_)  # noqa: PLR2004 - three thirds
    passed = [np.array([side[name].inspected.verdict == "PASS" for name in both], np.bool_) for side in (first, second)]
    return BeforeAfter(
        _side([first[name] for name in both]),
        _side([second[name] for name in both]),
        paired(passed[0][bad], passed[1][bad]),
        paired(~passed[0][~bad], ~passed[1][~bad]),
    )


def show_second(found: BeforeAfter, console: Console) -> None:
    """Print the table."""
    table = Table(title="parts that neither model had seen, before and after (in brackets 95 %)")
    for heading in ("", "before", "after"):
        table.add_column(heading)
    before, after = found.before, found.after
    table.add_row("decided by", ", ".join(before.models), ", ".join(after.models))
    table.add_row("parts", str(before.parts), str(after.parts))
    table.add_row("PASS / REJECT / UNDECIDED", _verdicts(before), _verdicts(after))
    table.add_row("overkill: good ones not passed", _percent(before.overkill), _percent(after.overkill))
    table.add_row("escape: defective ones passed", _percent(before.escape), _percent(after.escape))
    table.add_row("AUROC", _share(before.auroc), _share(after.auroc))
    console.print(table)
    for what, pair in (("escape", found.paired_escape), ("overkill", found.paired_overkill)):
        console.print(f"{what:>9}, part by part: {_paired(pair)}", highlight=False)


def in_words(found: BeforeAfter) -> str:
    """What the table shows, in one sentence that claims no more than the tests do."""
    words = [
        f"{name} {_word(pair)} ({before.value:.1%} to {after.value:.1%})"
        for name, pair, before, after in (
            ("escape", found.paired_escape, found.before.escape, found.after.escape),
            ("overkill", found.paired_overkill, found.before.overkill, found.after.overkill),
        )
    ]
    return "; ".join(words)


_ALPHA = 0.05


def _word(pair: Paired) -> str:
    if pair.p_value >= _ALPHA:
        return "shows no proven difference"
    return "fell" if pair.only_champion > pair.only_challenger else "rose"


def _paired(pair: Paired) -> str:
    return (
        f"{pair.only_champion} mistakes went, {pair.only_challenger} came, {pair.both} stayed; "
        f"McNemar's exact p = {pair.p_value:.2g}"
    )


def _by_file(payloads: Mapping[str, bytes], probabilities: Mapping[str, float]) -> dict[str, _Seen]:
    seen = {}
    for record in map(json.loads, payloads.values()):
        for view in record["views"]:
            if (name := view["source"]) in probabilities:
                said = Inspected(record["verdict"], view["score"], probabilities[name])
                seen[name] = _Seen(said, _model(view["model"]))
    return seen


def _model(said: Mapping[str, object] | None) -> str:
    return "none" if said is None else f"{said['id']} v{said['version']} {said['precision']}"


def _side(seen: list[_Seen]) -> Side:
    overkill, escape, roc = rates([one.inspected for one in seen])
    verdicts = Counter(one.inspected.verdict for one in seen)
    return Side(tuple(sorted({one.model for one in seen})), len(seen), dict(verdicts), overkill, escape, roc)


def _percent(rate: Estimate) -> str:
    return f"{100 * rate.value:.1f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f})"


def _share(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _verdicts(side: Side) -> str:
    return " / ".join(str(side.verdicts.get(name, 0)) for name in VERDICTS)
