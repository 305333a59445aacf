"""Whether a challenger may take the champion's place: both judge the same frozen hold-out as the station would."""

from dataclasses import dataclass
from pathlib import Path

from models.bundle import Bundle, open_bundle
from models.errors import ModelError
from models.progress import Progress, SilentProgress
from models.promotion.counting import count
from models.promotion.holdout import Holdout, learned_of, read_holdout
from models.promotion.judging import Judgement, judge
from models.promotion.limits import PromotionLimits
from models.promotion.page import Shown, write_proof
from models.promotion.proof import Proof, ProofFigures
from models.promotion.rules import About, reasons, unfit
from models.spec import Kind


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    bundle: Bundle
    said: Judgement


def prove(
    challenger: Path,
    champion: Path | None,
    data: Path,
    limits: PromotionLimits,
    report: Path | None,
    progress: Progress | None = None,
) -> Proof:
    """Judge, count, decide and write the page.

    Args:
        challenger: a bundle's folder.
        champion: the bundle in use, maybe of another kind; None: there is none, only absolute limits count.
        data: a dataset with declared splits; `test` is the hold-out.
        limits: what must be kept.
        report: the page to write, HTML; None: none.
        progress: told how far it is.

    Raises:
        DatasetError: the dataset will not do, or declares no `test`.
        ModelError: the champion cannot be used. What is wrong with the challenger is a reason, and no error.
    """
    told = progress or SilentProgress()
    told.stage("read", 1)
    holdout = read_holdout(data)
    told.advance()
    other = None if champion is None else _side(champion, holdout, told)
    before = None if other is None else other.said
    try:
        mine = _side(challenger, holdout, told)
    except ModelError as fault:
        proof = Proof(False, unfit(str(fault)), ProofFigures())
        if report is not None:
            write_proof(report, proof, Shown(challenger.name, _title(other), holdout, None, before))
        return proof
    found = count(holdout, mine.said, before)
    every = reasons(_about(mine, other, holdout), found, limits)
    proof = Proof(all(reason.met for reason in every), every, found)
    if report is not None:
        write_proof(report, proof, Shown(_title(mine), _title(other), holdout, mine.said, before))
    return proof


def _side(path: Path, holdout: Holdout, progress: Progress) -> _Side:
    bundle = open_bundle(path)
    return _Side(bundle, judge(bundle, holdout.images, progress))


def _about(mine: _Side, other: _Side | None, holdout: Holdout) -> About:
    bundle, learned = mine.bundle, learned_of(mine.bundle, holdout)
    names = _names(bundle)
    known = None if other is None else _names(other.bundle)
    return About(
        precision=bundle.precision,
        gate=bundle.manifest.gate,
        learned=None if learned is None else tuple(learned),
        names=names,
        wanted=holdout.classes,
        new=tuple(sorted(set(names or ()) - set(known))) if known is not None else (),
        broken=mine.said.broken,
        twin=other is not None and other.bundle.model_id.sha256 == bundle.model_id.sha256,
    )


def _names(bundle: Bundle) -> tuple[str, ...] | None:
    return None if bundle.spec.kind is Kind.ANOMALY else tuple(bundle.spec.classes)


def _title(side: _Side | None) -> str:
    if side is None:
        return ""
    own = side.bundle.model_id
    return f"{own.id} v{own.version} ({side.bundle.spec.kind.value}, {side.bundle.precision.value})"
