"""The demo's second half: reviewed labels reach the cloud, a trigger fires, what it brings goes live by its gates."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from edge.demo.going_round import LONGEST_S, Round, go_round
from edge.demo.plant import FIRST_PARTS, Plant, ended_well
from edge.demo.records import compare_all, read_records
from edge.demo.reviewer import NAME, review
from edge.demo.second import BeforeAfter, compare_sides, in_words, show_second
from edge.demo.settings import LINE, UNSEEN, Loop
from edge.processes import follow

BEFORE, AFTER = "before", "after"  # what the names of these parts begin with


@dataclass(frozen=True, slots=True)
class LoopResult:
    """How it ended.

    Args:
        live: the new model decides, and every record of the line is at station and cloud.
        why: how the run or the rollout ended, in its own words.
        reviewer: who labelled.
        labels: how many samples got which label.
        trigger: what began the training.
        release: what went to the station; empty where nothing did.
        seconds: from the trigger to the rollout's end.
        steps: when each step began, in seconds after the trigger.
        line_parts: parts that passed meanwhile.
        untold: of them, those that the line was not told in time.
        comparison: identities that line, station and cloud do not share, over the whole demo; empty: none.
        unseen: both models on parts that neither had seen; None where the new one never decided.
    """

    live: bool
    why: str
    reviewer: str
    labels: dict[str, int]
    trigger: str
    release: str
    seconds: float
    steps: dict[str, float]
    line_parts: int
    untold: int
    comparison: dict[str, int]
    unseen: BeforeAfter | None


@dataclass(frozen=True, slots=True)
class Truth:
    """How likely each replayed file is defective: of the parts that are labelled, and of those that are not."""

    inspected: Mapping[str, float]
    unseen: Mapping[str, float]


def run_loop(plant: Plant, loop: Loop, truth: Truth, console: Console) -> LoopResult:
    """Go once around. Raises OutputError: one of the product's own commands failed."""
    console.print(f"5/9 before: {len(truth.unseen)} parts that nobody labels and no model learns from")
    _inspect_unseen(plant, BEFORE, len(truth.unseen))
    console.print(f"6/9 review: [bold]{NAME} plays the reviewer[/bold], by the files of a labelling tool")
    reviewed = review(plant, _parts(plant, truth.inspected))
    console.print(f"  {reviewed.shown} samples; labels: {_counted(reviewed.labels)}", highlight=False)
    console.print(f"7/9 train, prove, sign: `cloud work` waits for {loop.labels} new labels; a probe, without torch")
    with plant.inspecting(LINE), plant.training() as work:
        round_ = go_round(plant, work, console)
        plant.await_drained()
    course = round_.course
    if course.live:
        console.print(f"9/9 after: the same {len(truth.unseen)} parts, inspected by what is live now")
        _inspect_unseen(plant, AFTER, len(truth.unseen))
    return _conclude(plant, round_, reviewed.labels, truth.unseen)


def show_loop(result: LoopResult, plant: Plant, console: Console) -> None:
    """Print the second table, or why there is none."""
    if result.unseen is None:
        console.print(f"[red]NOT LIVE[/red]: {result.why}", highlight=False)
    else:
        show_second(result.unseen, console)
        console.print(f"In words: {in_words(result.unseen)}.", highlight=False)
        console.print(f"From the trigger to live: {result.seconds:.0f} s; {result.line_parts} parts passed meanwhile")
    if result.comparison or result.untold:
        console.print(f"[red]line, station and cloud differ[/red]: {result.comparison}, untold: {result.untold}")
    console.print(f"The labels are {result.reviewer}: no person looked at anything here.", highlight=False)
    store = f"--store {plant.store}"
    rollout = f"show {result.release}" if result.release else "list"
    for what, command in (
        ("the run", f"cloud status --config {plant.cloud}"),
        ("rollout", f"cloud rollout {rollout} {store}"),
        ("samples", f"cloud labels list --product {plant.settings.product} {store}"),
    ):
        console.print(f"{what:>7}: {command}", soft_wrap=True, highlight=False)


def _inspect_unseen(plant: Plant, prefix: str, parts: int) -> None:
    with plant.inspecting(UNSEEN):
        with plant.line(parts, prefix) as line:
            ended_well(line, follow(line, lambda: None), plant.folder / "logs")
        plant.await_drained()


def _parts(plant: Plant, probabilities: Mapping[str, float]) -> dict[str, float]:
    """By part id."""
    return {
        record["part_id"]: probabilities[view["source"]]
        for record in map(json.loads, read_records(plant, FIRST_PARTS).values())
        for view in record["views"]
        if view["source"] in probabilities
    }


def _conclude(plant: Plant, round_: Round, labels: dict[str, int], unseen: Mapping[str, float]) -> LoopResult:
    course, comparison = round_.course, compare_all(plant)
    return LoopResult(
        live=course.live and comparison.equal and not round_.untold,
        why=course.why or f"not live within {LONGEST_S:g} s",
        reviewer=NAME,
        labels=labels,
        trigger=course.trigger,
        release=course.release,
        seconds=round(course.ended_s - course.fired_s, 1) if course.over else 0.0,
        steps={step.text: round(step.at_s - course.fired_s, 1) for step in course.steps},
        line_parts=round_.parts,
        untold=round_.untold,
        comparison=comparison.differences(),
        unseen=_both_sides(plant, unseen) if course.live else None,
    )


def _both_sides(plant: Plant, probabilities: Mapping[str, float]) -> BeforeAfter:
    return compare_sides(read_records(plant, BEFORE), read_records(plant, AFTER), probabilities)


def _counted(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(labels.items()))
