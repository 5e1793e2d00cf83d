"""kb.toml and flags."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from kb.config import read_settings
from kb.errors import ConfigError


@dataclass(frozen=True)
class Example:
    """Settings of every type."""

    top_k: int = 4
    weight: float = 0.5
    name: str = "a"
    on: bool = True
    stages: tuple[str, ...] = ("sft",)
    folder: Path | None = None
    fusion: Literal["minmax", "rrf"] = "minmax"


def settings(tmp_path, text):
    (tmp_path / "kb.toml").write_text(text, encoding="utf-8")
    return read_settings(tmp_path / "kb.toml")


def test_flags_over_file_over_defaults(tmp_path):
    """A flag wins over kb.toml, which wins over the default; each value says where it came from."""
    found, origin = settings(tmp_path, '[eval]\ntop_k = 7\nname = "b"\n').resolve(Example, "eval", name="c")
    assert (found.top_k, found.name, found.weight) == (7, "c", 0.5)
    assert (origin["name"], origin["weight"]) == ("flag", "default")
    assert origin["top_k"].endswith("kb.toml")


def test_types_are_converted_where_nothing_is_lost(tmp_path):
    """An int passes for a float, a list for a tuple, a string for a path or for a list of it alone."""
    found, _ = settings(tmp_path, '[eval]\nweight = 1\nstages = ["sft", "dpo"]\nfolder = "x"\n').resolve(
        Example, "eval"
    )
    assert found == Example(weight=1.0, stages=("sft", "dpo"), folder=Path("x"))
    assert settings(tmp_path, '[eval]\nstages = "sft"').resolve(Example, "eval")[0].stages == ("sft",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[eval]\ntopk = 1", "did you mean 'top_k'"),
        ('[eval]\nfusion = "rff"', "'rff'; did you mean 'rrf'"),
        ("[eval]\nfusion = 7", "7; known: minmax, rrf"),
        ("[eval]\ntop_k = 1.5", "expected int, got 1.5"),
        ("[eval]\ntop_k = true", "expected int, got True"),
        ('[eval]\non = "yes"', "expected bool"),
        ("[eval]\nstages = 3", "expected a list"),
    ],
)
def test_wrong_settings_are_one_clear_line(tmp_path, text, message):
    """An unknown key or a wrong type names the setting and the nearest known one."""
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, text).resolve(Example, "eval")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[evl]\n", "did you mean 'eval'"),
        ("top_k = 1\n", "outside a section|no section"),
        ("[eval\n", "not a TOML file"),
    ],
)
def test_wrong_files_are_one_clear_line(tmp_path, text, message):
    """An unknown section and broken TOML are named with the file."""
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, text)


def test_a_named_file_must_exist_and_the_usual_one_need_not(tmp_path, monkeypatch):
    """--config FILE that is missing is an error; no kb.toml in the folder is fine."""
    monkeypatch.chdir(tmp_path)
    assert read_settings().values == {}
    with pytest.raises(ConfigError, match="no such file"):
        read_settings(tmp_path / "other.toml")


def test_a_byte_order_mark_does_not_matter(tmp_path):
    """A kb.toml saved by a Windows editor is read."""
    (tmp_path / "kb.toml").write_bytes(b"\xef\xbb\xbf[eval]\ntop_k = 2\n")
    assert read_settings(tmp_path / "kb.toml").resolve(Example, "eval")[0].top_k == 2
