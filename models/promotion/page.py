"""The page about a promotion: the answer, every rule, the paired table, each class, the images on which they differ."""

import base64
import html
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.dataset.records import LabelledImage
from models.decoding import read_picture
from models.durable import replace_file
from models.evaluate import clopper_pearson
from models.evaluation.compare import Paired
from models.page import note, page, section, table
from models.promotion.holdout import Holdout
from models.promotion.judging import Judgement
from models.promotion.proof import ClassFigures, Proof, ProofFigures

_PICTURE_PX = 220
_QUALITY = 80
_MOST = 60
_BROKEN_MOST = 5


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the page shows beside the proof: names for people, the hold-out, what each said; None who said nothing."""

    challenger: str
    champion: str
    holdout: Holdout
    mine: Judgement | None
    other: Judgement | None


def write_proof(path: Path, proof: Proof, shown: Shown) -> None:
    """Write the page, whole or not at all: pictures inside, no scripts, no links to elsewhere. Raises OSError."""
    title = f"May {shown.challenger} take over?"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        note(_headline(proof), good=proof.passed),
        table(("", ""), _story(shown)),
        section("Rules", _rules(proof)),
        section("Mistakes, image by image", _pairs(proof.figures)) if shown.mine is not None else "",
        section("By class", _classes(proof.figures)) if proof.figures.by_class else "",
        section("Broken answers", _broken(shown.mine)) if shown.mine is not None and shown.mine.broken else "",
        section(*_pictures(shown)) if shown.mine is not None else "",
    ]
    replace_file(path, page(title, "\n".join(parts)).encode())


def _headline(proof: Proof) -> str:
    if proof.passed:
        return f"Yes: all {len(proof.reasons)} rules are met."
    missed = [reason for reason in proof.reasons if not reason.met]
    return f"No: {len(missed)} of {len(proof.reasons)} rules are not met. {proof.why_not}."


def _story(shown: Shown) -> list[tuple[str, str]]:
    bad = int(shown.holdout.defective.sum())
    data = f"{shown.holdout.dataset.root.name}: {len(shown.holdout.images)} held-out images, {bad} of them defective"
    rows = [("Challenger", shown.challenger), ("Champion", shown.champion or "none: only absolute limits count")]
    return [*rows, ("Judged on", data), ("Judged as", "the station does: rejected from 0.5 on, UNDECIDED is rejected")]


def _rules(proof: Proof) -> str:
    rows = [("met" if one.met else "NOT MET", one.rule, one.text) for one in sorted(proof.reasons, key=lambda r: r.met)]
    return table(("", "rule", "what was found"), rows)


def _pairs(found: ProofFigures) -> str:
    head = ("", "of", "challenger", "champion", "only challenger", "only champion", "both", "McNemar p")
    rows = [
        _row("defective images that pass", found.bad, found.escapes, found.champion_escapes, found.paired_escapes),
        _row(
            "good images that are rejected", found.good, found.overkill, found.champion_overkill, found.paired_overkill
        ),
    ]
    rates = [
        ("escape", str(clopper_pearson(found.escapes, found.bad))),
        ("overkill", str(clopper_pearson(found.overkill, found.good))),
        ("not decided, so rejected", str(found.undecided)),
    ]
    return table(head, rows) + table(("challenger", "share and its interval"), rates)


def _row(what: str, of: int, mine: int, other: int | None, pair: Paired | None) -> tuple[str, ...]:
    if pair is None:
        return what, str(of), str(mine), "-" if other is None else str(other), "-", "-", "-", "-"
    alone = str(pair.only_challenger), str(pair.only_champion), str(pair.both), f"{pair.p_value:.3g}"
    return what, str(of), str(mine), str(other), *alone


def _classes(found: ProofFigures) -> str:
    head = ("class", "", "of", "challenger misses", "champion misses", "change", "challenger's share, 95 % interval")
    rows = [_class_row(name, "images", own) for name, own in found.by_class.items()]
    rows += [_class_row(name, "boxes", own) for name, own in found.boxes_by_class.items()]
    return table(head, rows)


def _class_row(name: str, what: str, own: ClassFigures) -> tuple[str, ...]:
    rate = clopper_pearson(own.challenger_passed, own.count)
    before, change = ("-", "-") if own.champion_passed is None else (str(own.champion_passed), f"{own.rise:+d}")
    share = f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"
    return name, what, str(own.count), str(own.challenger_passed), before, change, share


def _broken(said: Judgement) -> str:
    told = [(text,) for text in said.broken[:_BROKEN_MOST]]
    return f"<p>{len(said.broken)} answers could not be used.</p>" + table(("",), told)


def _pictures(shown: Shown) -> tuple[str, str]:
    """Where the two say different things; with no champion, where the challenger is wrong."""
    mine, bad = shown.mine, shown.holdout.defective
    assert mine is not None  # noqa: S101 - the caller looked
    apart = mine.rejected != (bad if shown.other is None else shown.other.rejected)
    order = sorted(np.flatnonzero(apart), key=lambda index: (not (bad[index] and not mine.rejected[index]), index))
    title = "Where they differ" if shown.other is not None else "Where the challenger is wrong"
    if not order:
        return title, "<p>Nowhere.</p>"
    more = f"<p>{len(order)} images, the escapes first" + (
        f"; {_MOST} are shown.</p>" if len(order) > _MOST else ".</p>"
    )
    figures = "".join(_picture(shown, int(index)) for index in order[:_MOST])
    return title, f'{more}<div class="pictures">{figures}</div>'


def _picture(shown: Shown, index: int) -> str:
    image, kind = shown.holdout.images[index], shown.holdout.kinds[index] or "good"
    lines = [image.name, f"truth: {kind}", f"challenger: {_said(shown.mine, index)}"]
    if shown.other is not None:
        lines.append(f"champion: {_said(shown.other, index)}")
    caption = "<br>".join(html.escape(line) for line in lines)
    return f"<figure>{_thumbnail(image)}<figcaption>{caption}</figcaption></figure>"


def _said(said: Judgement | None, index: int) -> str:
    if said is None or said.undecided[index]:
        return "UNDECIDED"
    word = "REJECT" if said.rejected[index] else "PASS"
    name = f", {said.named[index]}" if said.named[index] else ""
    return f"{word}, score {said.scores[index]:.2f}{name}"


def _thumbnail(image: LabelledImage) -> str:
    pixels = read_picture(image.path, cv2.IMREAD_COLOR)
    if pixels is None:
        return ""
    scale = _PICTURE_PX / max(pixels.shape[:2])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    _, jpeg = cv2.imencode(
        ".jpg", cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    text = html.escape(image.name)
    return f'<img alt="{text}" src="data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}">'
