"""Which words the pages use, by their templates and modules; and what a template says without asking for one."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from jinja2 import Environment, nodes

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "cloud_sync" / "pages"
FOLDERS = {"station": ROOT / "edge" / "web", "cloud": ROOT / "cloud_sync" / "hub" / "web"}
_KEY = re.compile(r"[a-z_]+\.[A-Za-z0-9_]*")
_SIGNS = {"B", "MB", "edge", "min", "ms", "px", "v"}  # units, a command's name, and v for version, as in every language
_SPOKEN = ("alt", "aria-label", "aria-description", "placeholder", "title")


@dataclass(frozen=True, slots=True)
class Said:
    """One place that says a word: a key, or a pattern of keys where a part is known only later; values, if they are."""

    where: str
    key: str
    is_pattern: bool
    values: frozenset[str]


def templates(site: str) -> list[Path]:
    return sorted([*(SHARED / "templates").glob("*.html"), *(FOLDERS[site] / "templates").rglob("*.html")])


def said_by_templates(site: str) -> Iterator[Said]:
    """Every `t(...)` with a key, or a key put together."""
    for path in templates(site):
        tree = Environment(autoescape=True).parse(path.read_text())
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t" and call.args:
                pattern = _pattern(call.args[0])
                is_pattern = not isinstance(call.args[0], nodes.Const)
                if pattern != ".+":
                    values = frozenset(each.key for each in call.kwargs)
                    yield Said(path.name, pattern, is_pattern, values)


def named_by_templates(site: str) -> Iterator[str]:
    """Every string of a template that could be a key: a macro says it."""
    for path in templates(site):
        tree = Environment(autoescape=True).parse(path.read_text())
        yield from (each.value for each in tree.find_all(nodes.Const) if _is_key(each.value))


def tables_for_scripts(site: str) -> Iterator[str]:
    """The tables that a page hands to its script whole."""
    for path in FOLDERS[site].rglob("*.py"):
        yield from re.findall(r"""spoken\([^"]*"([a-z_]+)"\)""", path.read_text())


def said_by_modules(site: str) -> Iterator[Said]:
    """Every string that could be a key, whole or put together, in the site's modules and the shared ones."""
    for path in [*SHARED.glob("*.py"), *FOLDERS[site].rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and _is_key(node.value):
                yield Said(path.name, re.escape(str(node.value)), is_pattern=False, values=frozenset())
            if isinstance(node, ast.JoinedStr):
                parts = [re.escape(str(each.value)) if isinstance(each, ast.Constant) else ".+" for each in node.values]
                if re.match(r"[a-z_]+\\\.", parts[0]):
                    yield Said(path.name, "".join(parts), is_pattern=True, values=frozenset())


def _pattern(node: nodes.Node) -> str:
    if isinstance(node, nodes.Const):
        return re.escape(str(node.value))
    if isinstance(node, nodes.Concat):
        return "".join(_pattern(each) for each in node.nodes)
    if isinstance(node, nodes.CondExpr):
        other = ".+" if node.expr2 is None else _pattern(node.expr2)
        return f"(?:{_pattern(node.expr1)}|{other})"
    return ".+"


def _is_key(value: object) -> bool:
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


class _Spoken(HTMLParser):
    """What a reader would see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "style"}
        self.texts += [value for name, value in attrs if name in _SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


def literals(path: Path) -> list[str]:
    """Words that stand in a template as they are."""
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(), flags=re.DOTALL)
    parser = _Spoken()
    parser.feed(plain)
    words = [word for text in parser.texts for word in re.findall(r"[A-Za-z\u4e00-\u9fff]+", text)]
    return [word for word in words if word not in _SIGNS]
