"""What `cloud tune` measured, as a page with one plot and the tables behind it."""

import html
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from models.page import BAD, GOOD, LINE, page, svg, table
from models.training.tune.showcase import Row, Showcase

_PUBLISHED = "A published story of the same kind: 160 s to 4.55 s an epoch by threads alone, and 1.93 times by BF16."


def write_page(path: Path, found: Showcase) -> None:
    """Write the page: one HTML file, the plot as inline SVG, no links to elsewhere."""
    tables = [
        ("Default, oversubscribed, tuned", (found.default, found.oversubscribed, found.tuned)),
        ("Threads", found.threads),
        ("Cores granted", found.cores),
        ("Jobs side by side", found.jobs),
    ]
    parts = "".join(f"<h2>{html.escape(name)}</h2>{_table(rows)}" for name, rows in tables)
    path.write_text(page("cloud tune", f"<h1>Training on this machine</h1>{_words(found)}{svg(plot(found))}{parts}"))


def summary(found: Showcase) -> list[str]:
    """The answer in a few lines."""
    bf16, tuned, default, shown = found.bf16_factor, found.tuned, found.default, found.oversubscribed
    return [
        f"tuned: {tuned.threads} threads, {_kind(bf16=tuned.bf16)}: {_epoch(tuned)}, accuracy {found.accuracy[1]:.3f}",
        f"default: {default.threads} threads: {_epoch(default)}, accuracy {found.accuracy[0]:.3f}",
        f"tuned is {default.epoch_s / tuned.epoch_s:.2f} times as fast as the default",
        f"a machine that shows {shown.threads} CPUs and grants {found.cpus}: {_epoch(shown)} by default, "  # noqa: ISC004
        f"{shown.epoch_s / tuned.epoch_s:.0f} times as long as tuned",
        "BF16: this CPU has none" if bf16 is None else f"BF16 is {bf16:.2f} times as fast as FP32 with these threads",
        f"most images a second: {found.best_jobs.label}, {found.best_jobs.images_per_s:.0f}",
    ]


def _epoch(row: Row) -> str:
    return f"{row.epoch_s:.2f} s an epoch"


def plot(found: Showcase) -> Figure:
    """Epoch time by threads on the left, by cores and their use on the right."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for bf16, colour in ((False, LINE), (True, GOOD)):
        rows = [row for row in found.threads if row.bf16 is bf16]
        rows += [found.oversubscribed] if not bf16 else []
        if rows:
            left.plot([r.threads for r in rows], [r.epoch_s for r in rows], "o-", color=colour, label=_kind(bf16=bf16))
    left.axvline(found.cpus, color=BAD, linestyle=":", linewidth=1, label=f"{found.cpus} CPUs granted")
    left.set(xscale="log", yscale="log", xlabel="threads", ylabel="seconds an epoch")
    left.legend(frameon=False, fontsize=8)
    right.plot([r.cores for r in found.cores], [r.epoch_s for r in found.cores], "o-", color=LINE)
    right.set(xlabel="cores", ylabel="seconds an epoch", ylim=(0, None), xticks=[r.cores for r in found.cores])
    beside = right.twinx()
    beside.plot([r.cores for r in found.cores], [100 * r.busy for r in found.cores], "s--", color=GOOD)
    beside.set_ylim(0, 105)
    beside.set_ylabel("use of the cores, %", color=GOOD)
    return figure


def _kind(*, bf16: bool) -> str:
    return "BF16" if bf16 else "FP32"


def _words(found: Showcase) -> str:
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in summary(found))
    return (
        f"<p>LeNet-5 on Fashion-MNIST, {found.images} images an epoch, batches of 64.</p><ul>{lines}</ul>"
        f"<p>{html.escape(_PUBLISHED)} Default and tuned are whole epochs; the other rows were stopped after some "
        "seconds and scaled to one. Each was measured in turn, round after round; rows are medians, with the fastest "
        "and the slowest round beside them.</p>"
    )


def _table(rows: Sequence[Row]) -> str:
    head = ("", "threads", "arithmetic", "cores", "jobs", "s per epoch", "from, to", "images/s", "cores busy")
    return table(
        head,
        [
            (
                row.label,
                str(row.threads),
                _kind(bf16=row.bf16),
                str(row.cores),
                str(row.jobs),
                f"{row.epoch_s:.2f}",
                f"{min(row.rounds_s):.2f}, {max(row.rounds_s):.2f}",
                f"{row.images_per_s:.0f}",
                f"{row.busy:.0%}",
            )
            for row in rows
        ],
    )
