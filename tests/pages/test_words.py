"""Both languages say everything, nothing is said in vain, and no word stands in a template."""

import re
from string import Formatter

import pytest
from words_kit import (
    FOLDERS,
    literals,
    named_by_templates,
    said_by_modules,
    said_by_templates,
    tables_for_scripts,
    templates,
)

from cloud_sync.pages.people import LANGUAGES
from cloud_sync.pages.words import OURS, Words

CHINESE = re.compile(r"[\u4e00-\u9fff]")
NAMES = {"account.language_en", "bundles.metric_auroc"}  # in every language the same


@pytest.fixture(params=FOLDERS)
def site(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def words(site: str) -> Words:
    return Words([OURS, FOLDERS[site] / "words"])


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_word_that_a_template_says_is_known_with_its_values(site: str, words: Words) -> None:
    known = words.known("en")
    wrong = []
    for said in said_by_templates(site):
        found = [key for key in known if re.fullmatch(said.key, key)]
        if not found:
            wrong.append((said.where, said.key))
        elif not said.is_pattern and not places(known[found[0]]) <= {name.split(".")[0] for name in said.values}:
            wrong.append((said.where, said.key, places(known[found[0]])))
    assert wrong == []


def test_no_word_is_kept_in_vain(site: str, words: Words) -> None:
    patterns = {said.key for said in (*said_by_templates(site), *said_by_modules(site))}
    patterns |= {re.escape(key) for key in named_by_templates(site)}
    patterns |= {rf"{table}\..+" for table in tables_for_scripts(site)}
    used = re.compile("|".join(patterns))
    assert [key for key in words.known("en") if not used.fullmatch(key)] == []


def test_every_language_says_the_same_things(words: Words) -> None:
    english = words.known(LANGUAGES[0])
    for language in LANGUAGES[1:]:
        unlike = {key: text for key, text in words.known(language).items() if places(text) != places(english[key])}
        assert unlike == {}
    assert all(text.strip() == text != "" for language in LANGUAGES for text in words.known(language).values())


def test_chinese_is_chinese_and_english_is_not(words: Words) -> None:
    english, chinese = words.known("en"), words.known("zh")
    said = [key for key, text in english.items() if re.search("[A-Za-z]{2}", re.sub(r"\{[^}]*\}", "", text))]
    assert [key for key in said if not CHINESE.search(chinese[key]) and key not in NAMES] == []
    assert [key for key, text in english.items() if CHINESE.search(text)] == ["account.language_zh"]


def test_no_template_says_a_word_by_itself(site: str) -> None:
    assert {path.name: found for path in templates(site) if (found := literals(path))} == {}


def test_no_script_says_a_word_by_itself(site: str) -> None:
    """A string of a script that holds two words beside each other is a sentence: selectors and policies have signs."""
    sentence = re.compile(r"""(["'`])([A-Z][a-z]+(?: [a-z]+)+[.:!?]?)\1""")
    folders = [OURS.parent / "static", FOLDERS[site] / "static"]
    scripts = [path for folder in folders for path in folder.rglob("*.js") if ".min." not in path.name]
    assert {path.name: found for path in scripts if (found := sentence.findall(path.read_text()))} == {}
