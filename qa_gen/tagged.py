"""Replies with one value a tag, read as forgivingly as all others: a fact turned around, a question translated."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kb.errors import Unparsed
from kb.qa_gen.replies import parse_lines, says_none, tag_pattern, unquoted

_SUBJECT = {"subject": "subject", "answer": "subject", "对象": "subject", "答案": "subject"}
_TRANSLATION = {
    "name": "name", "名称": "name", "question": "question", "问题": "question", "answer": "answer", "答案": "answer",
}  # fmt: skip


@dataclass(frozen=True)
class Reversal:
    """What a fact's answer belongs to, and questions that ask for it; empty where the model finds none."""

    subject: str = ""
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Translation:
    """A question in the other language, what it is about as it was given, and the answer."""

    name: str
    question: str
    answer: str


def parse_reversal(text: str) -> Reversal:
    """The SUBJECT line and one question a line; "NONE" gives an empty one. Raises Unparsed without either."""
    found, rest = _tagged(text, _SUBJECT)
    subject = found.get("subject", "")
    if says_none(text) or (subject and says_none(subject)):
        return Reversal()
    if not subject:
        raise Unparsed("no SUBJECT line in the answer", "回答中没有“对象”行")
    return Reversal(subject, parse_lines(rest))


def parse_translation(text: str) -> Translation:
    """The NAME, QUESTION and ANSWER lines. Raises Unparsed when one is missing."""
    found, _ = _tagged(text, _TRANSLATION)
    if found.keys() < set(_TRANSLATION.values()):
        raise Unparsed("no NAME / QUESTION / ANSWER lines in the answer", "回答中没有“名称”“问题”“答案”三行")
    return Translation(**found)


def _tagged(text: str, fields: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The first value of each field, which may stand on the line below its tag, and the lines that no tag claims."""
    found: dict[str, str] = {}
    rest = []
    waiting = ""
    for line in text.splitlines():
        match = _pattern(tuple(fields)).match(line)
        field = fields[match["tag"].casefold()] if match else waiting
        value = unquoted(match["value"] if match else line)
        if not field:
            rest.append(line)
        elif value:
            found.setdefault(field, value)
        waiting = field if not value else ""
    return found, "\n".join(rest)


@functools.cache
def _pattern(tags: tuple[str, ...]) -> re.Pattern[str]:
    return tag_pattern(*tags)
