"""Preference rows, most of them from checked answers of the tuned model, and of what it was before. No torch here.

A pair teaches when both answers are the model's own and one is wrong (KDPO, arXiv 2406.09920; FLAME, 2405.01525), so
the model after SFT is sampled closed-book on training questions and each sample is checked against the fact.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from kb.finetune.config import TrainConfig
from kb.finetune.data import LabelledRow, PreferenceRow
from kb.llm import LLM, Item, Message, Request, ask
from kb.llm.closed import closed_prompt, closed_request
from kb.prompt import Prompts
from kb.records import Fact, Question
from kb.store import Store
from kb.text.match import judge
from kb.workspace import read_jsonl, write_jsonl

STAGE = "train: own answers"
BASE_STAGE = "train: answers of the base"
TEMPERATURE = 0.9
LENGTH_TOLERANCE = 0.3
"""Of the longer answer: a pair that differs by more would teach length, not truth."""
SHORT = 8
"""Characters below which a length does not count as short."""

Answers = dict[tuple[str, str], list[str]]
"""Answers by id of the question and verdict."""


@dataclass(frozen=True)
class OwnAnswers:
    """What came of sampling the tuned model: pairs, and how many questions it answers."""

    rows: tuple[PreferenceRow, ...]
    always: int
    """Questions whose samples are all right: there is nothing to prefer, but over what the base says."""
    sometimes: int
    never: int
    """Questions without a right sample: SFT has to teach them, with more wordings."""
    weak: tuple[str, ...] = ()
    """Ids of the facts that these ask for."""
    checked: tuple[LabelledRow, ...] = ()
    """The first right and the first wrong answer to each question, as far as there is one."""

    @property
    def note(self) -> str:
        """For the report."""
        said = f"own answers: {self.always} questions always right, {self.sometimes} sometimes, {self.never} never"
        if not self.weak:
            return said
        return (
            f"{said}; facts that are never right want more wordings, not DPO ({len(self.weak)}):"
            " kb generate-qa --strengthen, then kb train"
        )


def own_preferences(
    tuned: LLM, store: Store, prompts: Prompts, config: TrainConfig, base: LLM | None = None
) -> OwnAnswers:
    """Pairs of the tuned model's own right and wrong closed-book answers to training questions.

    One wording a fact, and none that asks the other way round; a trained refusal counts as a question whose right
    answer is not to know. A question that is always right or always wrong gives no pair, nor does an answer that
    declines or is cut off at the token limit. Of several right and wrong answers, the two that are most alike in length
    are taken.

    Where the tuned model is right and never wrong, a wrong answer of the untrained `base` stands against its right one:
    what the model believed before is what it should say no more (KDPO).
    """
    facts = {fact.id: fact for fact in store.all(Fact)}
    questions = training_questions(store, facts)
    sampler = _Sampler(store, prompts, facts, config.seed)
    own = sampler.sample(tuned, questions, config.dpo_samples, STAGE)
    rows = _pairs(prompts, questions, own, own, "own")
    if base is not None and config.dpo_base_samples:
        rest = [q for q in questions if own[q.id, "correct"] and not own[q.id, "wrong"]]
        before = sampler.sample(base, rest, config.dpo_base_samples, BASE_STAGE)
        rows += _pairs(prompts, rest, own, before, "base")
    fine = [len(own[question.id, "correct"]) for question in questions]
    always, never = fine.count(config.dpo_samples), fine.count(0)
    weak = tuple(q.fact_id for q, right in zip(questions, fine, strict=True) if not right and not q.open)
    checked = tuple(_checked(prompts, questions, own))
    return OwnAnswers(tuple(rows), always, len(fine) - always - never, never, weak, checked)


@dataclass(frozen=True)
class _Sampler:
    """What sampling a model and judging it needs, whichever model it is."""

    store: Store
    prompts: Prompts
    facts: dict[str, Fact]
    seed: int

    def sample(self, llm: LLM, questions: Sequence[Question], count: int, stage: str) -> Answers:
        """`count` closed-book answers of a model to each question."""
        asked = [(question, number) for question in questions for number in range(count)]
        items = [Item(f"{question.id}:{number}", self._request(question, number)) for question, number in asked]
        answers: Answers = defaultdict(list)
        results = ask(llm, self.store, items, str.strip, stage, attempts=1)
        for (question, _), result in zip(asked, results, strict=True):
            verdict = "unparsed" if result.value is None else _verdict(question, result.value, self.facts)
            answers[question.id, verdict].append(result.value or "")
        # A sample that ran into the token limit is not a failure that waits for a rerun.
        self.store.clear_failures(stage)
        return answers

    def _request(self, question: Question, number: int) -> Request:
        seed = self.seed * 1000 + number
        return closed_request(self.prompts, question.text, question.language, TEMPERATURE, seed)


def _pairs(
    prompts: Prompts, questions: Sequence[Question], right: Answers, wrong: Answers, source: str
) -> list[PreferenceRow]:
    """A row for each question with a right and a wrong answer: the two that are most alike in length."""
    rows = []
    for question in questions:
        both = list(product(right[question.id, "correct"], wrong[question.id, "wrong"]))
        if both:
            chat = closed_prompt(prompts, question.text, question.language)
            rows.append(PreferenceRow(chat, *min(both, key=lambda pair: abs(len(pair[0]) - len(pair[1]))), source))
    return rows


def _checked(prompts: Prompts, questions: Sequence[Question], own: Answers) -> Iterator[LabelledRow]:
    """A row for the first right and one for the first wrong answer to a question."""
    for question in questions:
        chat = closed_prompt(prompts, question.text, question.language)
        for verdict in ("correct", "wrong"):
            for answer in own[question.id, verdict][:1]:
                yield LabelledRow(chat, answer, verdict == "correct", "own")


def training_questions(store: Store, facts: dict[str, Fact]) -> list[Question]:
    """The first training wording of each fact, and every trained question without an answer."""
    questions: dict[str, Question] = {}
    for question in store.all(Question, "split = 'train'"):
        if question.open:
            questions[question.id] = question
        elif question.kind == "answerable" and question.fact_id in facts:
            questions.setdefault(question.fact_id, question)
    return list(questions.values())


def _verdict(question: Question, answer: str, facts: dict[str, Fact]) -> str:
    """What the scorer says of a closed-book answer; to a question without an answer, not knowing is right."""
    if question.open:
        return judge(answer, "", "text").verdict
    fact = facts[question.fact_id]
    return judge(answer, fact.answer, fact.answer_type, fact.aliases).verdict


def preference_rows(
    own: Sequence[PreferenceRow], ready: Sequence[PreferenceRow], config: TrainConfig
) -> list[PreferenceRow]:
    """The pairs of sampled answers, with refusals and swaps up to their shares of all rows; never two for one prompt.

    A pair whose answers differ much in length is left out, unless one of them is a refusal of `kb generate-qa`, whose
    length says nothing of the other's. Fewer than there are means evenly spread ones.
    """
    rows = {row.messages: row for row in own if _alike(row)}
    refusals = [row for row in ready if row.source == "refusal" and row.messages not in rows]
    taken = rows.keys() | {row.messages for row in refusals}
    swaps = [row for row in ready if row.source == "swap" and row.messages not in taken and _alike(row)]
    most = _most(len(rows), len(refusals), len(swaps), config)
    return [*rows.values(), *_spread(refusals, most[0]), *_spread(swaps, most[1])]


def _most(own: int, refusals: int, swaps: int, config: TrainConfig) -> tuple[int, int]:
    """The most refusals and swaps of which neither is more than its share of all rows."""
    while True:
        total = own + refusals + swaps
        fewer = (
            min(refusals, math.floor(config.dpo_refusal_share * total + 1e-9)),
            min(swaps, math.floor(config.dpo_swap_share * total + 1e-9)),
        )
        if fewer == (refusals, swaps):
            return fewer
        refusals, swaps = fewer


def _spread(rows: Sequence[PreferenceRow], count: int) -> Iterator[PreferenceRow]:
    """So many of the rows, at even distances."""
    return (rows[number * len(rows) // count] for number in range(count))


def _alike(row: PreferenceRow) -> bool:
    """Whether the answers are of like length, in characters."""
    short, long = sorted((len(row.chosen), len(row.rejected)))
    return long - max(short, SHORT) <= LENGTH_TOLERANCE * long


def labelled_rows(pairs: Sequence[PreferenceRow], checked: Sequence[LabelledRow]) -> list[LabelledRow]:
    """What KTO is trained on: both answers of each pair, and checked answers to the questions that have none.

    Those are of questions that the model always or never answers right, which give DPO nothing. None at all where only
    right or only wrong answers are there.
    """
    rows = [
        LabelledRow(pair.messages, answer, label, pair.source)
        for pair in pairs
        for answer, label in ((pair.chosen, True), (pair.rejected, False))
    ]
    paired = {pair.messages for pair in pairs}
    rows += [row for row in checked if row.messages not in paired]
    return rows if len({row.label for row in rows}) == 2 else []


def save_rows(file: Path, rows: Sequence[PreferenceRow | LabelledRow]) -> None:
    """Write what a stage is trained on, whole or not at all: a resumed one must go on with the same rows."""
    write_jsonl(file, (asdict(row) for row in rows))


def read_rows(file: Path) -> list[PreferenceRow]:
    """The pairs that `save_rows` wrote."""
    return [PreferenceRow(**row | {"messages": _chat(row)}) for row in read_jsonl(file)]


def read_labelled(file: Path) -> list[LabelledRow]:
    """The labelled rows that `save_rows` wrote."""
    return [LabelledRow(**row | {"messages": _chat(row)}) for row in read_jsonl(file)]


def _chat(row: dict[str, Any]) -> tuple[Message, ...]:
    return tuple(Message(**turn) for turn in row["messages"])
