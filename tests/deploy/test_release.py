"""The same commit makes the same bytes, and no release comes from a tree or an audit that says no."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from supply.artefacts import last_commit, same_sdist, sign, write_sums
from supply.faults import MisuseError

pytestmark = pytest.mark.long

BUILD = "import sys; from pathlib import Path; from supply import artefacts as a; p = Path; "
BUILD += "a.build_archives(a.last_commit(p(sys.argv[1])), p(sys.argv[2]), p(sys.argv[3]))"
HERE = {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
ELSEWHERE = {"TZ": "Pacific/Chatham", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "77", "SOURCE_DATE_EPOCH": "1"}


def built(repository: Path, folder: Path, env: dict[str, str], umask: int) -> dict[str, str]:
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    command = [sys.executable, "-c", BUILD, str(repository), str(out), str(scratch)]
    path = {"PYTHONPATH": str(repository / "deploy")}
    subprocess.run(command, check=True, env=os.environ | env | path, umask=umask, cwd=folder)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in out.iterdir()}


def test_one_commit_is_the_same_archives_in_any_folder_zone_language_umask_and_hash_order(
    repository: Path, tmp_path: Path
) -> None:
    first = built(repository, tmp_path / "a", HERE, 0o022)
    second = built(repository, tmp_path / "other place" / "b", ELSEWHERE, 0o077)

    assert first == second
    assert len(first) == 2

    (wheel,), (sdist,) = (tmp_path / "a" / "out").glob("*.whl"), (tmp_path / "a" / "out").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as made:
        names = made.namelist()
    assert {"edge/cli.py", "edge/station.example.toml", "cloud_sync/wire/asyncapi.json"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "deploy"))]
    with tarfile.open(sdist) as came:
        members = came.getmembers()
    assert {(one.uid, one.uname, one.mtime) for one in members} == {(0, "", last_commit(repository).epoch_s)}


def test_the_order_modes_users_and_times_of_an_sdist_are_ours(tmp_path: Path) -> None:
    made = []
    for order, mode, user in (("ab", 0o600, "eve"), ("ba", 0o666, "bob")):
        archive = tmp_path / "x.tar.gz"
        with tarfile.open(archive, "w:gz") as out:
            for name in order:
                (tmp_path / name).write_text(name)
                info = out.gettarinfo(str(tmp_path / name), arcname=name)
                info.mode, info.uname = mode, user
                with (tmp_path / name).open("rb") as content:
                    out.addfile(info, content)
        made.append(same_sdist(archive.read_bytes(), 1_000_000_000))

    assert made[0] == made[1]


def test_the_sums_hold_by_sha256sum_and_the_signature_by_openssl(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.whl").write_bytes(b"a")
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)

    sums = write_sums(out)
    signature = sign(sums, key)
    checked = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        public,
        "-rawin",
        "-in",
        sums,
        "-sigfile",
        signature,
    ]

    subprocess.run(["sha256sum", "--check", "--quiet", sums.name], check=True, cwd=out)
    subprocess.run(checked, check=True, capture_output=True)
    sums.write_text(sums.read_text().replace("a", "b"))
    assert subprocess.run(checked, check=False, capture_output=True).returncode != 0


def test_a_key_of_another_kind_signs_nothing(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(MisuseError, match="--key"):
        sign(tmp_path / "SHA256SUMS", tmp_path / "key.pem")


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", repository, copy], check=True)
    shutil.copytree(
        repository / "deploy", copy / "deploy", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.rmtree(copy / "tests")
    author = ["-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run(["git", "add", "--all"], check=True, cwd=copy)
    subprocess.run(["git", *author, "commit", "--quiet", "--message", "x"], check=True, cwd=copy)
    return copy


def release(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "deploy/release.py", "--out", str(checkout.parent / "out"), *words]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, env=env)


def test_a_release_is_whole_or_not_there_and_says_loudly_what_was_not_audited(checkout: Path) -> None:
    out = checkout.parent / "out"

    unaudited = release(checkout, "--pip-audit", str(out / "none"))
    assert unaudited.returncode == 3, unaudited.stderr
    assert "not audited" in unaudited.stderr
    assert list(out.iterdir()) == []

    (checkout / "edge" / "stray.py").write_text("")
    dirty = release(checkout, "--no-audit", "--no-deb")
    assert dirty.returncode == 1
    assert "not clean" in dirty.stderr
    (checkout / "edge" / "stray.py").unlink()

    named = release(checkout, "--no-audit", "--no-deb")
    assert named.returncode == 0, named.stderr
    assert "NOT AUDITED" in named.stderr
    (made,) = out.iterdir()
    suffixes = ("whl", "gz")
    names = sorted(path.name for path in made.iterdir() if path.suffix[1:] not in suffixes)
    bills = ["sbom-inspectd-hub.cdx.json", "sbom-inspectd.cdx.json"]
    assert names == ["LICENSES-inspectd-hub.md", "LICENSES-inspectd.md", "NOT-AUDITED", "SHA256SUMS", *bills]
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], check=True, cwd=made)

    again = release(checkout, "--no-audit", "--no-deb")
    assert again.returncode == 2
    assert "is there already" in again.stderr
