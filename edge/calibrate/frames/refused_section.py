"""The report's part on what was collected and what was refused: counts, advice, and a sheet of small pictures."""

import base64
import html

from edge.calibrate.frames.collect import Collected, Refusal
from models.page import table

_SHEET = "display:flex;flex-wrap:wrap;gap:.8rem;margin:.8rem 0"
_CARD = "margin:0;width:8.5rem;font-size:.78rem;line-height:1.25;overflow-wrap:anywhere;break-inside:avoid"
_PICTURE = "display:block;width:8.5rem;height:6rem;object-fit:contain;background:#eef1f4"
_NAMED = 60


def refused_section(collected: Collected) -> str:
    """The section as HTML, its pictures inside."""
    if not collected.refused:
        return f"<p>{html.escape(collected.told)}.</p>"
    trouble = f'<p class="verdict weak">{html.escape(collected.trouble)}.</p>' if collected.trouble else ""
    counts = sorted(collected.summary().items(), key=lambda each: -each[1])
    total = len(collected.frames) + len(collected.refused)
    rows = [(word, str(count), f"{count / total:.1%}") for word, count in counts]
    cards = [
        _card(each, collected.pictures[each.name]) for each in collected.refused if each.name in collected.pictures
    ]
    sheet = f'<div style="{_SHEET}">{"".join(cards)}</div>' if cards else ""
    return (
        f"<p>{len(collected.frames)} frames are used, {len(collected.refused)} of {total} were refused.</p>{trouble}"
        f"{table(('refused as', 'frames', 'of all'), rows)}{sheet}{_others(collected)}"
    )


def refused_json(collected: Collected) -> dict[str, object]:
    """The same as plain values, without pictures."""
    return {
        "used": len(collected.frames),
        "refused": [{"name": refusal.name, "reason": refusal.reason} for refusal in collected.refused],
        "by_reason": collected.summary(),
        "trouble": collected.trouble,
    }


def refused_with_pictures(collected: Collected) -> dict[str, object]:
    """The same and what was told, with the small pictures as base64 by name: for who looks on while it is made."""
    pictures = {name: base64.b64encode(picture).decode() for name, picture in collected.pictures.items()}
    return refused_json(collected) | {"told": collected.told, "pictures": pictures}


def _card(refusal: Refusal, picture: bytes) -> str:
    data = base64.b64encode(picture).decode()
    name, why = html.escape(refusal.name), html.escape(refusal.reason)
    return (
        f'<figure style="{_CARD}"><img style="{_PICTURE}" alt="{name}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption><b>{name}</b><br>{why}</figcaption></figure>"
    )


def _others(collected: Collected) -> str:
    """Those that the sheet does not show, by name; of very many the first."""
    rest = [(refusal.name, refusal.reason) for refusal in collected.refused if refusal.name not in collected.pictures]
    if not rest:
        return ""
    more = f"<p>and {len(rest) - _NAMED} more.</p>" if len(rest) > _NAMED else ""
    return table(("refused too", "why"), rest[:_NAMED]) + more
