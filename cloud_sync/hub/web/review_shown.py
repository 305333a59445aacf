"""A sample as the review page's script wants it."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from cloud_sync.hub.labels.listing import SampleView
from cloud_sync.hub.labels.review_progress import Progress
from cloud_sync.hub.labels.truths import LabelTruth
from cloud_sync.hub.labels.usefulness import ORDER, usefulness_of
from cloud_sync.hub.web.proposals import as_proposed

_CHALLENGED = ("champion", "challenger")
_VERDICTS = ("PASS", "REJECT", "UNDECIDED")
_PLAIN = (
    *("good", "unsure", "nothing", "no_class", "champion", "challenger", "again", "drop"),
    *("boxes", "mode", "said", "word_right", "word_wrong", "no_picture", "late", "logged_out", "refused"),
    *("no_heat", "heat_late"),
    *("disputed", "new_class", "unknown_class", "other_person"),
)
_LEFT_OPEN = ("names", "count", "number", "name", "by", "what", "verdict", "label", "why", "part")


def shown(sample: SampleView, classes: Collection[str], *, places: bool, seen: int | None) -> dict[str, Any]:
    """One sample.

    Args:
        sample: as the store has it.
        classes: of its product.
        places: labels of its product are boxes.
        seen: what the reviewer is to know of earlier labels; None: all of it.
    """
    champion = sample.proposals.get("champion")
    same = ("id", "sha256", "station", "camera", "part_id")
    return {
        **{name: getattr(sample, name) for name in same},
        "reasons": sorted(sample.reasons, key=lambda reason: -usefulness_of([reason])),
        "at": datetime.fromtimestamp(sample.at_ms / 1000, UTC).isoformat(timespec="seconds"),
        "seen": sample.label if seen is None else seen,
        "proposals": {name: said for name in _CHALLENGED if (said := sample.proposals.get(name))},
        "as_proposed": truth_shown(as_proposed(champion, classes, places=places)),
        "said": truth_shown(sample.truth if seen is None else None),
        "said_by": sample.by if seen is None else "",
        "words": [
            {"by": word.by, "verdict": word.verdict, "right": word.is_right, "label": word.label}
            for word in sample.words
        ],
    }


def script_words(say: Callable[..., str]) -> dict[str, Any]:
    """What the script says, in the reader's language; the {names} in it are filled there."""
    open_names = {name: f"{{{name}}}" for name in _LEFT_OPEN}
    words: dict[str, Any] = {name: say(f"review.{name}", **open_names) for name in _PLAIN}
    words["reasons"] = {reason: say(f"reason.{reason}") for reason in ORDER}
    words["verdicts"] = {verdict: say(f"review.verdict_{verdict}") for verdict in _VERDICTS}
    return words


def truth_shown(truth: LabelTruth | None) -> dict[str, Any] | None:
    """A label, as the script says it back."""
    if truth is None:
        return None
    return {
        "says": truth.says,
        "name": truth.name,
        "boxes": [{"name": box.name, "corners": list(box.corners_px)} for box in truth.boxes],
    }


def progress_shown(found: Progress, me: str) -> dict[str, Any]:
    """How far everybody is."""
    people = [
        {
            "name": pace.name,
            "me": pace.name == me,
            "today": pace.today,
            "an_hour": pace.an_hour,
            "judged": pace.agreement.judged if pace.agreement else 0,
            "alike": pace.agreement.alike if pace.agreement else 0,
            "kappa": pace.agreement.kappa if pace.agreement else None,
        }
        for pace in found.reviewers
    ]
    return {"left": found.left, "disputed": found.disputed, "people": people}
