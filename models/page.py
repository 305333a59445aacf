"""What reports share: one HTML page that needs no other file, tables, notes, and plots as inline SVG.

It follows the reader's light or dark screen, and prints on A4: what belongs together stays on one sheet.
"""

import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.page_style import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GOOD, BAD, LINE = "#2f8f5b", "#cf4a3c", "#22303c"
_INKS = (LINE, "#000000")


def page(title: str, body: str) -> str:
    """The whole page.

    Args:
        title: plain text.
        body: HTML; whoever makes it escapes what it shows.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>
{body}
</body></html>
"""


def svg(figure: "Figure") -> str:
    """The figure as an SVG element, the same for the same figure; its black is the page's own ink."""
    import matplotlib as mpl  # a station that only runs has none, and its pages have no plots

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "inspectd", "font.size": 9, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    for ink in _INKS:
        text = text.replace(ink, "var(--ink)")
    return text[text.index("<svg") :]


def plotted(name: str) -> str:
    """A name that somebody chose as a plot shows it: matplotlib would read `$...$` as a formula, and fail on most."""
    return name.replace("$", r"\$")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows under a head, every cell escaped; no head where it says nothing."""

    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    top = f"<thead>{line(head, 'th')}</thead>" if any(head) else ""
    return f'<div class="wide"><table>{top}<tbody>{"".join(line(row, "td") for row in rows)}</tbody></table></div>'


def note(text: str, *, good: bool = True) -> str:
    """A sentence that decides something, escaped; marked by a sign too, so that it survives a grey print."""
    return f'<p class="verdict {"good" if good else "weak"}">{html.escape(text)}</p>'


def figure(content: str, caption: str) -> str:
    """HTML, such as a plot, over its caption, which is escaped; never torn by a page break."""
    return f"<figure>{content}<figcaption>{html.escape(caption)}</figcaption></figure>"


def section(title: str, body: str) -> str:
    """A part of the page under its heading, which is escaped."""
    return f"<section><h2>{html.escape(title)}</h2>\n{body}</section>\n"


def listed(items: Sequence[str]) -> str:
    """A list of sentences, escaped."""
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"
