"""Every word of the pages in every language: catalogues `page.en.toml` beside `page.zh.toml`, keys `table.name`."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud_sync.pages.people import LANGUAGES

OURS = Path(__file__).parent / "words"


class Words:
    """The catalogues of a site: the shared ones, and its own.

    Args:
        folders: of catalogues, `*.en.toml` and `*.zh.toml`; a key stands in one of them only.

    Raises:
        ValueError: a language lacks a key that another has, or a key stands twice.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._said = {language: _read(folders, language) for language in LANGUAGES}
        known = self._said[LANGUAGES[0]].keys()
        for language, said in self._said.items():
            if unlike := known ^ said.keys():
                raise ValueError(f"only some languages know {sorted(unlike)[:5]} (looked at {language})")

    def say(self, language: str, key: str, **values: object) -> str:
        """The text of a key, its {names} filled in. Raises LookupError: there is no such key, or a value lacks."""
        return self._said[language][key].format(**values)

    def known(self, language: str) -> Mapping[str, str]:
        """All texts of a language by key."""
        return self._said[language]


def choose_language(preferred: str, accepted: str) -> str:
    """The language to speak: what the person chose, else the first that their browser accepts, else English."""
    if preferred in LANGUAGES:
        return preferred
    wanted = [part.split(";")[0].strip().lower()[:2] for part in accepted.split(",")]
    return next((each for each in wanted if each in LANGUAGES), LANGUAGES[0])


def _read(folders: Sequence[Path], language: str) -> dict[str, str]:
    said: dict[str, str] = {}
    for path in (path for folder in folders for path in sorted(folder.glob(f"*.{language}.toml"))):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        found = {f"{page}.{name}": text for page, texts in content.items() for name, text in texts.items()}
        if twice := said.keys() & found.keys():
            raise ValueError(f"{path}: {sorted(twice)[:5]} stand in another catalogue too")
        said |= found
    return said
