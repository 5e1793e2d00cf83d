"""Prompts about everything but the user's documents: what the base answers to them is kept, and watched. No torch here.

They are kb's own, as many in Chinese as in English: instructions with a form to keep, arithmetic, reasoning,
explanations, common knowledge, short writing, rewriting, translation, code, small talk, and questions that nobody can
answer. The part that is watched is never trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from kb.llm.base import Message, user

LANGUAGES = ("en", "zh")
WATCHED = 6
"""One prompt in so many is watched. The files go from kind to kind, so either part has prompts of each."""


@dataclass(frozen=True)
class GeneralPrompt:
    """A chat that has nothing to do with any document."""

    language: str
    messages: tuple[Message, ...]


def general_chats(part: Literal["replay", "watch"]) -> list[GeneralPrompt]:
    """The prompts that may be replayed, or those that are only watched: English, then Chinese, in a fixed order."""
    return [
        GeneralPrompt(language, user(line))
        for language in LANGUAGES
        for number, line in enumerate(_lines(language), 1)
        if (number % WATCHED == 0) == (part == "watch")
    ]


def _lines(language: str) -> list[str]:
    file = Path(str(resources.files("kb.llm"))) / "prompts" / f"general.{language}.txt"
    return file.read_text(encoding="utf-8").splitlines()
