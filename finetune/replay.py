"""Replay for a model that ships none: what it says itself to general prompts. No torch here.

Without the data that a model was trained on, its own generations keep what it could do (self-synthesized rehearsal,
Huang et al. 2024, arXiv 2403.01244).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from kb.errors import Unparsed
from kb.finetune.data import Row
from kb.llm import LLM, Item, Request, ask
from kb.llm.general import GeneralPrompt, general_chats
from kb.records import make_id
from kb.store import Store

STAGE = "train: replay"
TEMPERATURE = 0.7
TOKENS = 512
"""Of an answer; a longer one is left out, because cut off it would teach to stop anywhere."""
SAMPLES = 4
"""Most answers to one prompt: they differ little, so more would be repetitions."""
UNWRITTEN = "..."
"""Stands for an answer in a plan; an empty one could not be made a row."""
ASKED = 32
"""Prompts asked first, and least at once: enough to see whether a model ends its answers, and not to idle a GPU."""


def own_replay(base: LLM, store: Store, count: int, rng: random.Random) -> list[Row]:
    """Up to `count` answers of the base to the general prompts that may be replayed, no two alike.

    Every prompt is answered once before any is again. They are stored like every answer, so a killed run takes them up;
    which prompts come first is drawn by `rng`, an answer depends on the prompt alone. Answers that are empty or cut off
    are left out, and a model that gives nothing else is asked no further. Raises LLMError when it cannot be asked.
    """
    waiting = _in_turn(rng)
    rows: dict[tuple[str, str], Row] = {}
    before = -1
    while before < len(rows) < count:
        before = len(rows)
        asked = list(itertools.islice(waiting, max(count - len(rows) if rows else 0, ASKED)))
        items = [Item(_id(chat, number), _request(chat, number)) for chat, number in asked]
        for (chat, number), result in zip(asked, ask(base, store, items, _text, STAGE, attempts=1), strict=True):
            if result.value is not None:
                row = Row(chat.messages, result.value, "replay", _id(chat, number))
                rows.setdefault((row.messages[-1].content, row.answer), row)
        # A sample that is left out is not a failure that waits for a rerun.
        store.clear_failures(STAGE)
    return list(rows.values())[:count]


def unanswered(count: int, rng: random.Random) -> list[Row]:
    """Up to `count` of the same prompts, without an answer: for a teacher that will write it."""
    chats = general_chats("replay")
    return [Row(chat.messages, "", "replay", _id(chat, 0)) for chat in rng.sample(chats, min(count, len(chats)))]


def awaited(count: int, rng: random.Random) -> list[Row]:
    """The rows of `own_replay`, at most, with `UNWRITTEN` for answers: for a plan, which has nothing written."""
    asked = itertools.islice(_in_turn(rng), count)
    return [Row(chat.messages, UNWRITTEN, "replay", _id(chat, number)) for chat, number in asked]


def _in_turn(rng: random.Random) -> Iterator[tuple[GeneralPrompt, int]]:
    """The prompts that may be replayed, in an order drawn by `rng`: all once for each sample, with its number."""
    chats = general_chats("replay")
    rng.shuffle(chats)
    return ((chat, number) for number in range(SAMPLES) for chat in chats)


def _id(chat: GeneralPrompt, number: int) -> str:
    return make_id("gen", chat.messages[-1].content, number)


def _request(chat: GeneralPrompt, number: int) -> Request:
    seed = int(_id(chat, number).rpartition("_")[2][:7], 16)
    return Request(chat.messages, TOKENS, TEMPERATURE, seed)


def _text(answer: str) -> str:
    """The answer. Raises Unparsed for an empty one."""
    if not answer.strip():
        raise Unparsed("empty")
    return answer.strip()
