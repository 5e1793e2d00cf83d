"""Prompts are text files beside the stage that owns them, in English and Chinese, filled by `string.Template`.

A file is the user's message; with a line `===`, what stands above it is the system message. A prompt pack is a folder
whose files replace kb's own by name: the lab model's pack and a user's `--prompts` are the same mechanism.
"""

from __future__ import annotations

import functools
import hashlib
import string
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from kb.errors import ConfigError


@dataclass(frozen=True)
class Prompt:
    """A prompt with `$name` places."""

    name: str
    """File name without .txt: "facts.zh"."""
    text: str
    system: str = ""

    @property
    def id(self) -> str:
        """Name and hash of the text: part of everything that the prompt made."""
        return f"{self.name}#{hashlib.sha256(f'{self.system}==={self.text}'.encode()).hexdigest()[:8]}"

    @property
    def language(self) -> str:
        """The language it is written in, "en" or "zh"."""
        return self.name.rpartition(".")[2]

    @property
    def places(self) -> frozenset[str]:
        """The names that `fill` needs."""
        return frozenset(string.Template(self.text).get_identifiers())

    def fill(self, **fields: str) -> str:
        """The user's message with every place filled. Raises KeyError for a place without a value."""
        return string.Template(self.text).substitute(fields)


@functools.cache
def read(path: Path) -> Prompt:
    """Read a prompt file. Raises FileNotFoundError when it is missing."""
    head, mark, tail = path.read_text(encoding="utf-8-sig").partition("\n===\n")
    text, system = (tail, head) if mark else (head, "")
    return Prompt(path.name.removesuffix(".txt"), text.strip("\n"), system.strip("\n"))


@dataclass(frozen=True)
class Prompts:
    """The prompts of kb, with those of a pack in front."""

    pack: Path | None = None
    tag: str = ""
    """Name of the documents, in front of what is asked about them without passages (`kb.llm.closed`); empty: none."""

    def get(self, package: str, name: str, language: str) -> Prompt:
        """The prompt `name` of a package in a language ("en" or "zh"), from the pack if it is there.

        Raises ConfigError when the pack's prompt has a place that kb does not fill.
        """
        return _find(self.pack, package, f"{name}.{language}.txt")


@functools.cache
def _find(pack: Path | None, package: str, file: str) -> Prompt:
    """A prompt is asked for with every question and row: its file is looked for once."""
    own = read(Path(str(resources.files(package))) / "prompts" / file)
    if pack is None or not (pack / file).exists():
        return own
    prompt = read(pack / file)
    unknown = prompt.places - own.places
    if unknown:
        known = ", ".join(f"${place}" for place in sorted(own.places))
        raise ConfigError(f"{pack / file}: ${min(unknown)} is not a place kb fills; it fills {known}")
    return prompt


def open_pack(folder: str, tag: str = "") -> Prompts:
    """The prompts with the pack in `folder`, empty for kb's own, and a tag.

    Raises ConfigError when the folder has no prompts.
    """
    if not folder:
        return Prompts(tag=tag)
    path = Path(folder).expanduser()
    if not any(path.glob("*.txt")):
        raise ConfigError(f"{path}: no prompt files (NAME.en.txt, NAME.zh.txt) in this folder")
    return Prompts(path, tag)
