from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository() -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, and a release is made from a commit")
    return ROOT
