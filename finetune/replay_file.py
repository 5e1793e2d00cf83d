"""A file of replay: chats that a model was made with, of which a part is never replayed but watched. No torch here.

What is watched shows what training costs only where no replayed row tells it. So a row is kept apart by its answer, not
by its wording, and rows that say the same in more words are neither replayed nor watched.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from kb.errors import ConfigError
from kb.finetune.data import Row, stands_in
from kb.llm import Message
from kb.text.canonical import canonical
from kb.text.refusal import is_refusal
from kb.workspace import read_jsonl

HELD_OUT = 10
"""One answer in so many is never replayed."""
TELLING = 40
"""Most characters of an answer that is looked for in longer ones; longer answers are hardly repeated in others."""


def replay_rows(path: Path, count: int, rng: random.Random) -> list[Row]:
    """Up to `count` rows of a replay file, drawn without repetition from those that may be replayed.

    Raises ConfigError for rows of another form.
    """
    replayed, _ = _parts(path)
    return rng.sample(replayed, min(count, len(replayed)))


def held_out_replay(path: Path) -> list[Row]:
    """The rows of a replay file that are watched: about one in `HELD_OUT`, and what they say is in no replayed row.

    Which ones depends on what the row answers alone, and where it declines on the whole row. Raises ConfigError for
    rows of another form.
    """
    return _parts(path)[1]


def _parts(path: Path) -> tuple[list[Row], list[Row]]:
    """The rows that may be replayed, and those that are watched, in their order."""
    held: list[tuple[Row, str]] = []
    others: list[tuple[Row, str]] = []
    for row in _chats(path):
        told = _told(row)
        (held if _is_held_out(row, told) else others).append((row, told))
    watched = {told for _, told in held if told and len(told) <= TELLING}
    return [row for row, told in others if not _has_one(told, watched)], [row for row, _ in held]


def _told(row: Row) -> str:
    """What a row answers, in one form of writing; nothing where it declines."""
    return "" if is_refusal(row.answer) else canonical(row.answer)


def _is_held_out(row: Row, told: str) -> bool:
    chat = [[turn.role, turn.content] for turn in row.messages]
    said = told or json.dumps([chat, row.answer], ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(said.encode()).digest()[:8]) % HELD_OUT == 0


def _has_one(told: str, answers: Collection[str]) -> bool:
    """Whether what a row answers has one of these answers in it."""
    return any(one in told and stands_in(one, told) for one in answers)


def _chats(path: Path) -> Iterator[Row]:
    """The rows of a replay file, in their order."""
    for number, row in enumerate(read_jsonl(path), 1):
        turns = row.get("messages")
        if not isinstance(turns, list) or not _is_chat(turns) or turns[-1]["role"] != "assistant":
            raise ConfigError(
                f'{path}, row {number}: a replay row is {{"messages": [{{"role": ..., "content": ...}}, ...]}} and ends'
                f" with an assistant's answer; this one has {', '.join(row) or 'nothing'}"
            )
        messages = tuple(Message(turn["role"], turn["content"]) for turn in turns)
        yield Row(messages[:-1], messages[-1].content, "replay", f"{path.name}:{number}")


def _is_chat(turns: Sequence[object]) -> bool:
    """Whether there are at least two turns, each with a role and text."""
    return len(turns) > 1 and all(
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
        for turn in turns
    )
