"""cloud.toml: what is written by `cloud init` can be read, what is wrong is said in words."""

from pathlib import Path

import pytest

from cloud_sync.hub.retraining.cloud_toml import load_config, write_template
from cloud_sync.hub.retraining.errors import CloudConfigError


def read(tmp_path: Path, text: str) -> str:
    """What is said against it."""
    file = tmp_path / "cloud.toml"
    file.write_text(text)
    with pytest.raises(CloudConfigError) as caught:
        load_config(file)
    return str(caught.value)


def test_what_init_writes_can_be_read_and_holds_the_defaults(tmp_path: Path) -> None:
    write_template(tmp_path / "cloud.toml")
    config = load_config(tmp_path / "cloud.toml")
    product = config.product_of("cells")
    assert config.cloud.store == str(tmp_path / "cloud.db")
    assert config.blobs == str(tmp_path / "cloud.blobs")
    assert (product.triggers.new_labels, product.limits.escapes_rise, product.plan.steps_percent) == (50, 0, (10, 100))


def test_every_default_of_the_template_is_the_real_default(tmp_path: Path) -> None:
    """A comment that says another value than the program's would be a trap."""
    write_template(tmp_path / "cloud.toml")
    bare = load_config(tmp_path / "cloud.toml")
    lines = (tmp_path / "cloud.toml").read_text().splitlines()
    set_ = [line[2:] if line.startswith("# ") and " = " in line.split("#")[1] else line for line in lines]
    optional = ("passphrase_file", "method", "minutes", "size_px", "overkill =", "certificate", "key =", "names")
    full = tmp_path / "full.toml"
    full.write_text("\n".join(line for line in set_ if not line.startswith(optional)))
    assert load_config(full) == bare


def test_an_existing_file_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text("ours")
    with pytest.raises(CloudConfigError, match="is there already"):
        write_template(file)
    assert file.read_text() == "ours"


def test_a_url_is_no_path(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text('[cloud]\nstore = "postgresql://a@127.0.0.1/b"\nblobs = "s3://bucket/a"\n')
    config = load_config(file)
    assert (config.cloud.store, config.blobs) == ("postgresql://a@127.0.0.1/b", "s3://bucket/a")


PRODUCT = '[[product]]\nid = "cells"\nbundle = "cells"\n'
WRONG = [
    pytest.param("[cloud]\nstroe = 'x'", "unknown key 'cloud.stroe': did you mean 'store'?", id="mistyped key"),
    pytest.param(PRODUCT + "[product.triggers]\nnew_label = 5", "did you mean 'new_labels'?", id="mistyped trigger"),
    pytest.param(PRODUCT + "[product.gate]\nescape_rise = 5", "did you mean 'escapes_rise'?", id="mistyped limit"),
    pytest.param(PRODUCT + "[product.rollout]\ncanry = 'a'", "did you mean 'canary'?", id="mistyped stage"),
    pytest.param(PRODUCT + "[product.gate]\noverkill_most = 2", "overkill_most is a share from 0 to 1", id="no share"),
    pytest.param(
        PRODUCT + "[product.rollout]\nsteps_percent = [100, 10]", "steps_percent rise", id="steps that do not rise"
    ),
    pytest.param(PRODUCT + PRODUCT, "two products are called 'cells'", id="one product twice"),
    pytest.param("[cloud]\nnice = 40", "cloud.nice: Input should be less than or equal to 19, got 40", id="too nice"),
    pytest.param(PRODUCT + 'kind = "anomaly"\nmethod = "probe"', "method is of a classifier", id="method of no method"),
    pytest.param(PRODUCT + "minutes = 5", "minutes are of kind", id="minutes of a probe"),
    pytest.param("[cloud]\nnice = nan", "nice", id="no number"),
    pytest.param("[cloud", "is not valid TOML", id="no toml"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_wrong_is_said_with_the_key_and_what_was_meant(tmp_path: Path, text: str, said: str) -> None:
    assert said in read(tmp_path, text)


def test_a_file_that_is_absent_says_who_writes_one(tmp_path: Path) -> None:
    with pytest.raises(CloudConfigError, match="run `cloud init`"):
        load_config(tmp_path / "none.toml")


def test_a_passwords_value_stands_in_no_message(tmp_path: Path) -> None:
    assert "secret" not in read(tmp_path, '[cloud]\nnice = "postgresql://a:secret@host/b"')
