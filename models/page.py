"""What reports share: one HTML page that needs no other file, tables, and plots as inline SVG."""

import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GOOD, BAD, LINE = "#2f7d4f", "#c0392b", "#22303c"


def page(title: str, body: str) -> str:
    """The whole page.

    Args:
        title: plain text.
        body: HTML; whoever makes it escapes what it shows.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>
{body}
</body></html>
"""


def svg(figure: "Figure") -> str:
    """The figure as an SVG element, the same for the same figure."""
    import matplotlib as mpl  # a station that only runs has none, and its pages have no plots

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "inspectd", "font.size": 9}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows under a head, every cell escaped."""

    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(row, "td") for row in rows) + "</table>"


_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#22303c}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;margin:.5rem 0}
td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #d8dee4;vertical-align:top}
svg{max-width:100%;height:auto}.row{display:flex;flex-wrap:wrap;gap:1.5rem;
align-items:flex-start}.verdict{padding:.6rem .9rem}
.good{background:#e3f3e8}.weak{background:#fdf1dc}"""
