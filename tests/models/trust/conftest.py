from pathlib import Path

import pytest
from trust_kit import Repository, about

from models.trust.verifying import TrustStore


@pytest.fixture
def repository() -> Repository:
    made = Repository()
    made.release(about(1))
    return made


@pytest.fixture
def store(tmp_path: Path, repository: Repository) -> TrustStore:
    """A station that has seen the first release."""
    made = TrustStore(tmp_path / "trust", repository.pinned)
    made.refresh(repository.fetch)
    return made
