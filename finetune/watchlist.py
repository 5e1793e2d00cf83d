"""What is watched while a model is trained: the development split of the facts, and what must not be lost. No torch.

The watched facts are trained like all others; their held-out wordings choose the adapter, so an evaluation leaves them
out. A run's list lies in its folder, where every stage finds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from kb.finetune.config import TrainConfig
from kb.finetune.data import Row
from kb.finetune.replay_file import held_out_replay
from kb.finetune.stopping import decides
from kb.llm import Message
from kb.llm.closed import closed_prompt
from kb.llm.general import general_chats
from kb.llm.identity import combine
from kb.prompt import Prompts
from kb.records import Fact, Knownness, Question, make_id
from kb.store import Store
from kb.text.canonical import canonical
from kb.text.form import answer_type
from kb.text.refusal import is_refusal
from kb.text.right import right_answer
from kb.workspace import write_json

FILE = "watchlist.json"
BASE = "base.safetensors"
"""File of a run with what its base said to the general prompts."""
WORDINGS = 3
"""Held-out wordings of a watched fact that are asked; more facts say more than more wordings."""
GENERAL = 48
"""Most general prompts, and most questions that the base is asked about what it knows."""

Chat = tuple[Message, ...]
Some = TypeVar("Some")


@dataclass(frozen=True)
class Asked:
    """A question without passages, and what is right; nothing is where there is no gold."""

    fact: str
    """Id of the fact, or place of a replay row."""
    messages: Chat
    gold: str
    answer_type: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watchlist:
    """Everything that is asked at every look; without facts there is none."""

    facts: tuple[str, ...] = ()
    """Ids of the development split."""
    held_out: tuple[Asked, ...] = ()
    trained: tuple[Asked, ...] = ()
    """One trained wording of each of the same facts."""
    refusals: tuple[Asked, ...] = ()
    """Held-out near misses and unanswerable questions about them."""
    known: tuple[Asked, ...] = ()
    """What the base may know; what it does not answer right before training is not watched."""
    general: tuple[Chat, ...] = ()
    """Prompts to which the base's own answers are compared."""
    batch_tokens: int = 16384
    """As `[model]` has it; decides nothing."""

    @property
    def key(self) -> str:
        """Sixteen hex digits over what decides which adapter is kept and when training ends; empty: nothing does."""
        if not self.decides:
            return ""
        asked = [asdict(one) for one in self.held_out], [[asdict(turn) for turn in chat] for chat in self.general]
        return combine([json.dumps(asked, ensure_ascii=False)])

    @property
    def decides(self) -> bool:
        """Whether there are enough facts."""
        return decides(len(self.facts))


def watchlist(store: Store, prompts: Prompts, config: TrainConfig, replay: Path | None) -> Watchlist:
    """The list of a run; empty where `watch` is off or no fact has held-out wordings.

    General prompts are the rows of the replay file that are never replayed, and kb's own where there is none: a model
    that ships such a file was made for what it holds. Raises ConfigError for a row of another form.
    """
    if not config.watch:
        return Watchlist()
    questions = _questions(store)
    facts = development_split(store.all(Fact), questions, config.watch_share, config.watch_facts)
    rows = held_out_replay(replay) if replay else []
    general = [row.messages for row in rows] or [prompt.messages for prompt in general_chats("watch")]
    return Watchlist(
        tuple(fact.id for fact in facts),
        tuple(_asked(prompts, facts, questions, "held_out")),
        tuple(_asked(prompts, facts, questions, "trained")),
        tuple(_asked(prompts, facts, questions, "open")),
        tuple(_spread(list(_closed(rows, prompts)), GENERAL)),
        tuple(_spread(general, GENERAL)),
    )


def development_split(
    facts: Iterable[Fact], questions: dict[tuple[str, str], list[Question]], share: float, most: int
) -> list[Fact]:
    """The watched facts: of those whose questions are trained, a share and no more than `most`, each with held-out
    wordings; those of the lowest hash of what they say, so that they stay the same when documents come.
    """
    trained = [fact for fact in facts if fact.taught == "questions" and (fact.id, "trained") in questions]
    probed = [fact for fact in trained if (fact.id, "held_out") in questions]
    return sorted(probed, key=_rank)[: min(round(share * len(trained)), most)]


def _rank(fact: Fact) -> str:
    return make_id("", "watch", canonical(fact.statement), canonical(fact.answer))


def _questions(store: Store) -> dict[tuple[str, str], list[Question]]:
    """Questions by fact and what they are asked for: held_out, trained or open."""
    found: dict[tuple[str, str], list[Question]] = {}
    for question in store.all(Question):
        held = question.split == "probe"
        if question.kind == "answerable":
            found.setdefault((question.fact_id, "held_out" if held else "trained"), []).append(question)
        elif question.open and held:
            found.setdefault((question.fact_id, "open"), []).append(question)
    return found


def _asked(
    prompts: Prompts, facts: Sequence[Fact], questions: dict[tuple[str, str], list[Question]], what: str
) -> Iterator[Asked]:
    """The questions of one kind about the facts; nothing is right where they are open."""
    for fact in facts:
        for question in questions.get((fact.id, what), [])[: 1 if what == "trained" else WORDINGS]:
            chat = closed_prompt(prompts, question.text, question.language)
            if question.open:
                yield Asked(fact.id, chat, "", "text")
            else:
                right = right_answer(question, fact)
                yield Asked(fact.id, chat, right.answer, right.answer_type, right.aliases)


def _closed(rows: Iterable[Row], prompts: Prompts) -> Iterator[Asked]:
    """The rows that ask as a question about the documents is asked, without passages, and that tell something."""
    forms = [closed_prompt(prompts, "\0", language, tagged=False) for language in ("en", "zh")]
    for row in rows:
        if not is_refusal(row.answer) and any(_is_closed(row.messages, form) for form in forms):
            yield Asked(row.source, row.messages, row.answer, answer_type(row.answer))


def _is_closed(chat: Chat, form: Chat) -> bool:
    """Whether the chat is that of the form, with a question of one line in place of its NUL."""
    before, after = form[-1].content.split("\0")
    text = chat[-1].content
    question = text[len(before) : len(text) - len(after)]
    return chat[:-1] == form[:-1] and text == before + question + after and "\n" not in question.strip()


def with_known(watched: Watchlist, store: Store, prompts: Prompts, identity: str) -> Watchlist:
    """The list with facts that the base of this identity knows, in a held-out wording each, as far as there is room."""
    levels = {one.fact_id: one.level for one in store.all(Knownness, "model = ?", identity)}
    facts = [fact for fact in store.all(Fact) if levels.get(fact.id) == "known"]
    first = {key: found[:1] for key, found in _questions(store).items()}
    asked = [*watched.known, *_asked(prompts, sorted(facts, key=_rank), first, "held_out")]
    return replace(watched, known=tuple(asked[:GENERAL]))


def _spread(items: Sequence[Some], most: int) -> list[Some]:
    """At most so many, at even distances."""
    count = min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def write_watchlist(folder: Path, watched: Watchlist) -> None:
    """Write the list to the folder of a run."""
    write_json(folder / FILE, asdict(watched))


def read_watchlist(folder: Path) -> Watchlist:
    """The list of the run in a folder; empty where there is none."""
    file = folder / FILE
    if not file.exists():
        return Watchlist()
    found = json.loads(file.read_text(encoding="utf-8"))
    asked = {key: tuple(map(_read, found[key])) for key in ("held_out", "trained", "refusals", "known")}
    general = tuple(_chat(chat) for chat in found["general"])
    return Watchlist(facts=tuple(found["facts"]), general=general, batch_tokens=found["batch_tokens"], **asked)


def _read(row: dict[str, Any]) -> Asked:
    return Asked(**row | {"messages": _chat(row["messages"]), "aliases": tuple(row["aliases"])})


def _chat(turns: Sequence[dict[str, str]]) -> Chat:
    return tuple(Message(**turn) for turn in turns)
