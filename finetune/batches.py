"""Rows to tokens, and the order in which they are trained. No torch here.

The prompt is tokenised exactly as the model is asked it (`kb.llm.local`), and what is trained is the answer and the
token that ends it, nothing before and nothing after. Of a row that is a text, all is trained, to the end token.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jinja2 import TemplateError

from kb.errors import KBError
from kb.finetune.data import LabelledRow, Row
from kb.llm import Message

UNPLANNED = 4
"""Rows in memory at once where neither a setting nor a plan says how many."""
IGNORED = -100
"""The label of a token that is not trained, as torch's cross entropy has it."""


@dataclass(frozen=True)
class Example:
    """A row in tokens; the last `trained` of them are the answer and its stop token."""

    input_ids: tuple[int, ...]
    trained: int

    @property
    def labels(self) -> tuple[int, ...]:
        """What is to be predicted at each place, `IGNORED` in the prompt."""
        start = len(self.input_ids) - self.trained
        return (IGNORED,) * start + self.input_ids[start:]


def encode(rows: Sequence[Row], tokenizer: Any, stops: Collection[int], limit: int) -> list[Example]:
    """The rows in tokens, thinking mode off where the template has one.

    `stops` are the tokens that end an answer, `limit` the tokens that fit into the model. Raises KBError for a template
    that would teach another prompt than the one asked later, or no end; and for rows over the limit, because an answer
    that is cut off is never learnt.
    """
    examples = [encode_row(row, tokenizer, stops) for row in rows]
    check_fits(rows, [len(example.input_ids) for example in examples], limit)
    return examples


def check_fits(rows: Sequence[Row], lengths: Sequence[int], limit: int) -> None:
    """Raise KBError, naming the longest row, when rows are over the limit of tokens."""
    places = too_long(lengths, limit)
    if places:
        longest = rows[places[0]]
        raise KBError(
            f"{len(places)} of {len(rows)} rows are over the limit of {limit} tokens; the longest is"
            f" {longest.source} ({longest.kind}) with {lengths[places[0]]}; kb does not cut rows. Ingest with smaller"
            " chunks, lower top_k under [retrieval], or raise max_length under [train] if the model can hold more."
        )


def too_long(lengths: Sequence[int], limit: int) -> list[int]:
    """Places of the rows over a limit in tokens, longest first."""
    return sorted((place for place, length in enumerate(lengths) if length > limit), key=lambda place: -lengths[place])


def prompt_text(row: Row, chat: Sequence[Message], tokenizer: Any) -> tuple[str, int]:
    """A chat of the row as text that the tokenizer, left to itself, reads as the model is asked it; and its tokens.

    Raises KBError where the template refuses the chat or no such text can be had.
    """
    turns = [{"role": message.role, "content": message.content} for message in chat]
    try:
        ids = _ids(tokenizer, turns, add_generation_prompt=True)
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, enable_thinking=False, tokenize=False)
    except TemplateError as error:
        raise _refused(row, error) from error
    # Many tokenizers begin each text with the token that the template has written already.
    for form in (text, text.removeprefix(tokenizer.bos_token or "")):
        if tokenizer(text=form)["input_ids"] == ids:
            return form, len(ids)
    raise KBError(
        f"the tokenizer reads the prompt of the row {row.source} otherwise than the model is asked it:"
        f" {tokenizer.decode(ids)[:80]!r}. Take the model's own instruct tokenizer."
    )


def encode_row(row: Row, tokenizer: Any, stops: Collection[int]) -> Example:
    """One row in tokens. Raises KBError for a template that cannot be trained with, see `encode`."""
    if not row.messages:
        return _encode_text(row, tokenizer)
    asked = [{"role": message.role, "content": message.content} for message in row.messages]
    answered = [*asked, {"role": "assistant", "content": row.answer}]
    try:
        prompt = _ids(tokenizer, asked, add_generation_prompt=True)
        whole = _ids(tokenizer, answered)
    except TemplateError as error:
        raise _refused(row, error) from error
    if whole[: len(prompt)] != prompt:
        raise KBError(
            "the model's chat template writes a prompt differently once it is answered:"
            f" asked {tokenizer.decode(prompt)[-80:]!r}, answered {tokenizer.decode(whole)[-160:]!r}."
            " What is trained would not be what is asked; take the model's instruct variant that answers directly."
        )
    end = next((place for place in range(len(prompt), len(whole)) if whole[place] in stops), 0)
    if end <= len(prompt):
        raise KBError(
            f"the model's chat template ends the answer of the row {row.source} in"
            f" {tokenizer.decode(whole[len(prompt) :])!r}, without a token that stops generation"
            f" ({', '.join(repr(tokenizer.decode([stop])) for stop in sorted(stops))}): the tuned model would never"
            " stop. Take the model's own instruct tokenizer."
        )
    return Example(tuple(whole[: end + 1]), end + 1 - len(prompt))


def _encode_text(row: Row, tokenizer: Any) -> Example:
    """A text, trained from its first token to the end token: no template, whatever the tokenizer puts before a text."""
    if tokenizer.eos_token_id is None:
        raise KBError(
            f"the tokenizer has no end token, so the text {row.source} would have no end: set prose_form = "
            '"answer" under [train]'
        )
    ids: list[int] = tokenizer(row.answer)["input_ids"]
    ids = ids if ids[-1:] == [tokenizer.eos_token_id] else [*ids, tokenizer.eos_token_id]
    return Example(tuple(ids), len(ids))


def _refused(row: Row, error: TemplateError) -> KBError:
    return KBError(f"the model's chat template refuses the row {row.source} ({row.kind}): {error}")


def _ids(tokenizer: Any, chat: list[dict[str, str]], **options: bool) -> list[int]:
    encoded = tokenizer.apply_chat_template(chat, enable_thinking=False, return_dict=True, **options)
    ids: list[int] = encoded["input_ids"]
    return ids


def fitting_micro_batch(batch: int, most: int) -> int:
    """The rows in memory at once: the largest divisor of the batch that is not above `most`."""
    return next(size for size in range(min(batch, most), 0, -1) if batch % size == 0)


def training_order(lengths: Sequence[int], epochs: float, batch: int, micro: int, seed: int) -> list[int]:
    """Places of the rows in the order they are trained, all epochs in one list; `micro` consecutive ones go together.

    Rows of like length share a micro-batch, so little is padded; the micro-batches are dealt so that each step of
    `batch` rows has short and long ones in the proportion of the whole; each epoch is drawn anew. The micro-batch with
    most to hold comes first: a run that does not fit fails at once. It depends on nothing but the arguments, unlike
    the trainer's own grouping by length, which after a resume goes on in another order, with rows of the epoch trained
    twice and others left out.
    """
    rng = random.Random(seed)
    left = round(len(lengths) * epochs) or 1
    carried: list[int] = []
    groups: list[list[int]] = []
    while left > 0:
        places = list(range(len(lengths)))
        rng.shuffle(places)
        pool = carried + places[:left]
        left -= len(places)
        whole = len(pool) // micro * micro
        carried = pool[whole:]
        drawn = sorted(pool[:whole], key=lambda place: lengths[place])
        groups += _dealt([drawn[start : start + micro] for start in range(0, whole, micro)], batch // micro, rng)
    if groups:
        largest = max(range(len(groups)), key=lambda index: padded_length(lengths, groups[index]))
        groups[0], groups[largest] = groups[largest], groups[0]
    return [place for group in [*groups, carried] for place in group]


def unpaired_order(rows: Sequence[LabelledRow], epochs: float, micro: int, seed: int) -> list[int]:
    """Places of the rows in the order that KTO trains them: each epoch shuffled, the first row of every question before
    the second of any.

    TRL estimates the KL term from each prompt with the answer of the row before it in its micro-batch, so neighbours
    must not be of one question; with rows of like length together, as `training_order` has them, most would be. A last
    micro-batch of one row would be compared with itself, so it is left out.
    """
    rng = random.Random(seed)
    left = round(len(rows) * epochs) or 1
    order: list[int] = []
    while left > 0:
        places = list(range(len(rows)))
        rng.shuffle(places)
        earlier: Counter[tuple[Message, ...]] = Counter()
        turns = {}
        for place in places:
            turns[place] = earlier[rows[place].messages]
            earlier[rows[place].messages] += 1
        order += sorted(places, key=turns.__getitem__)[:left]
        left -= len(places)
    return order[:-1] if len(order) % micro == 1 and len(order) > 1 else order


def question_order(questions: int, epochs: float, step: int, seed: int) -> list[int]:
    """Places of the questions in the order that they are asked, each epoch shuffled; `step` of them go into one step.

    Filled up to whole steps from one more epoch: TRL leaves out the rest.
    """
    rng = random.Random(seed)
    total = math.ceil((round(questions * epochs) or 1) / step) * step
    order: list[int] = []
    while len(order) < total:
        places = list(range(questions))
        rng.shuffle(places)
        order += places
    return order[:total]


def _dealt(groups: list[list[int]], hand: int, rng: random.Random) -> list[list[int]]:
    """Sorted groups in an order in which any `hand` consecutive ones, or fewer, come from all over the range.

    The suits are dealt in an order that is spread out (0 4 2 6 1 5 3 7): the last step of a run, which is a part of a
    hand, would have nothing but the longest otherwise. Suits with one group more are in the middle, not at the end.
    """
    cuts = [(number * len(groups) + hand // 2) // hand for number in range(hand + 1)]
    suits = [groups[start:end] for start, end in pairwise(cuts)]
    for suit in suits:
        rng.shuffle(suit)
    bits = hand.bit_length()
    spread = [suits[number] for number in sorted(range(hand), key=lambda number: f"{number:0{bits}b}"[::-1])]
    most = max(map(len, suits))
    return [suit[number] for number in range(most) for suit in spread if number < len(suit)]


def padded_length(lengths: Sequence[int], group: Sequence[int]) -> int:
    """What the longest row of a micro-batch makes of each of its rows."""
    return max(lengths[place] for place in group)


def padded_tokens(lengths: Sequence[int], order: Sequence[int], micro: int) -> list[int]:
    """Tokens with padding of each micro-batch, in the order they are trained."""
    groups = [order[start : start + micro] for start in range(0, len(order), micro)]
    return [padded_length(lengths, group) * len(group) for group in groups]
