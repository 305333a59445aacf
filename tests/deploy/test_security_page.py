"""What SECURITY.md claims is shown by tests that exist, and by no others."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_attack_names_tests_that_exist() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "tests/" in line]
    named = set(re.findall(r"`(tests/[^`]+)`", PAGE))

    assert len(rows) >= 15
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_file_of_ours_that_it_names_exists() -> None:
    named = set(re.findall(r"`(deploy/[^`]+)`", PAGE))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
