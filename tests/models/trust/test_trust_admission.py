"""Attacks with releases that are well signed, and with their bytes: for another station, older, altered, endless."""

import hashlib
from pathlib import Path

import pytest
from trust_kit import ARCHIVE, BUNDLES, STATION, Repository, about

from models.trust.errors import ForgedError, RefusedError
from models.trust.verifying import TrustStore, check_file


def test_what_was_signed_for_this_station_is_admitted(store: TrustStore, repository: Repository) -> None:
    found = store.admitted("cells-v1.bundle", STATION, BUNDLES)
    assert (found.size_bytes, found.sha256) == (len(ARCHIVE), hashlib.sha256(ARCHIVE).hexdigest())
    assert found.about == about(1)
    assert repository.asked == ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"]


def test_an_altered_block_of_a_release_is_refused(store: TrustStore, tmp_path: Path) -> None:
    target = store.admitted("cells-v1.bundle", STATION, BUNDLES)
    file = tmp_path / target.name
    file.write_bytes(ARCHIVE)
    check_file(target, file)
    damaged = bytearray(ARCHIVE)
    damaged[12_345] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(ForgedError, match="its bytes are not those that were signed"):
        check_file(target, file)


def test_a_release_of_fewer_bytes_is_refused(store: TrustStore, tmp_path: Path) -> None:
    file = tmp_path / "cells-v1.bundle"
    file.write_bytes(ARCHIVE[:-1])
    with pytest.raises(ForgedError, match="only 19999"):
        check_file(store.target("cells-v1.bundle"), file)


def test_endless_data_in_a_release_is_read_no_further_than_it_was_signed(store: TrustStore) -> None:
    with pytest.raises(ForgedError, match="signed with 20000 bytes, the file has more"):
        check_file(store.target("cells-v1.bundle"), Path("/dev/zero"))


def test_a_bundle_for_another_station_is_refused(store: TrustStore, repository: Repository) -> None:
    repository.release(about(2, stations=("press-4", "press-5")))
    store.refresh(repository.fetch)
    with pytest.raises(RefusedError, match="for press-4, press-5, and this is 'press-3'"):
        store.admitted("cells-v2.bundle", STATION, BUNDLES)
    assert store.admitted("cells-v2.bundle", "press-5", BUNDLES)


def test_a_bundle_that_no_product_here_uses_is_refused(store: TrustStore) -> None:
    with pytest.raises(RefusedError, match="bundle 'cells', and the products here use plates"):
        store.admitted("cells-v1.bundle", STATION, ["plates"])


@pytest.mark.parametrize("name", ["cells-v2.bundle", "", "../cells-v1.bundle", "root.json", "cells-v1.bundle\0"])
def test_what_nobody_signed_is_refused(store: TrustStore, name: str) -> None:
    with pytest.raises(RefusedError, match="no release that anybody signed"):
        store.admitted(name, STATION, BUNDLES)


def test_a_release_older_than_the_newest_taken_is_refused_also_after_a_restart(
    tmp_path: Path, repository: Repository, store: TrustStore
) -> None:
    repository.release(about(2))
    repository.release(about(1, bundle="plates"))
    store.refresh(repository.fetch)
    store.note_taken(store.admitted("cells-v2.bundle", STATION, BUNDLES))
    again = TrustStore(tmp_path / "trust", repository.pinned)
    again.refresh(repository.fetch)
    with pytest.raises(RefusedError, match="older than version 2"):
        again.admitted("cells-v1.bundle", STATION, BUNDLES)
    assert again.admitted("cells-v2.bundle", STATION, BUNDLES)  # the same one again is no step back
    assert again.admitted("plates-v1.bundle", STATION, ["plates"])  # each bundle counts for itself
    again.note_taken(again.target("cells-v1.bundle"))
    assert again.newest_taken("cells") == 2


@pytest.mark.parametrize(
    "custom",
    [None, {}, [], "text", {"version": 10**400}, about(1).as_json() | {"bundle": "plates"}, about(2).as_json()],
    ids=lambda value: str(value)[:20],
)
def test_a_release_that_is_signed_with_a_description_of_another_is_refused(
    store: TrustStore, repository: Repository, custom: object
) -> None:
    target = repository.state.targets.signed.targets["cells-v1.bundle"]
    target.unrecognized_fields["custom"] = custom
    repository.renew("targets")
    store.refresh(repository.fetch)
    with pytest.raises(ForgedError):
        store.admitted("cells-v1.bundle", STATION, [*BUNDLES, "plates"])
