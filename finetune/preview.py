"""`kb train --preview`: what the model is going to read and what of it is trained, before anything is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kb.finetune.batches import Example, encode_row, too_long
from kb.finetune.config import TrainConfig
from kb.finetune.data import Row
from kb.finetune.job import named_job
from kb.finetune.sizes import row_limit
from kb.llm.base import ModelConfig
from kb.prompt import Prompts
from kb.retrieval.hybrid import Retriever
from kb.text.language import detect
from kb.workspace import Workspace

BINS = 10
"""Bars of the histogram of lengths."""
WIDTH = 40
"""Characters of its longest bar."""
HEAD, TAIL = 200, 400
"""Characters of a long prompt that are shown of its beginning and its end."""
NAMED = 10
"""Rows over the limit that are named."""


@dataclass(frozen=True)
class Sample:
    """A row as the model reads it."""

    kind: str
    source: str
    language: str
    tokens: int
    trained_tokens: int
    prompt: str
    """With the template's own tokens."""
    trained: str
    """The answer and the token that ends it."""

    def lines(self, mark: tuple[str, str]) -> list[str]:
        """For the terminal; `mark` is put around what is trained."""
        title = f"{self.kind} {self.source} ({self.language}), {self.tokens} tokens, {self.trained_tokens} trained:"
        text = f"{_shortened(self.prompt)}{mark[0]}{self.trained}{mark[1]}"
        return [title, *(f"  {line}" for line in text.split("\n"))]


@dataclass(frozen=True)
class KindCount:
    """All rows of a kind."""

    kind: str
    rows: int
    tokens: int
    trained: int
    """Tokens of them that are trained."""
    longest: int


@dataclass(frozen=True)
class Preview:
    """What is trained of a job's rows."""

    samples: tuple[Sample, ...]
    kinds: tuple[KindCount, ...]
    histogram: tuple[tuple[int, int], ...]
    """Tokens of the longest row of a bar, and its number of rows."""
    limit: int
    """Tokens that a row may have."""
    over: tuple[str, ...]
    """Rows over the limit, longest first, with their tokens: kb does not cut rows, and refuses to train these."""
    masked: float
    """Share of the tokens that are prompt, and not trained."""
    ended: int
    """Rows in which a token that stops generation is trained as the last."""

    @property
    def rows(self) -> int:
        """Of all kinds."""
        return sum(one.rows for one in self.kinds)

    def lines(self, mark: tuple[str, str]) -> list[str]:
        """For the terminal; `mark` is put around what is trained."""
        lines = [line for sample in self.samples for line in (*sample.lines(mark), "")]
        lines.append("kind        rows    tokens   trained  longest")
        lines += [f"{k.kind:<9} {k.rows:>6} {k.tokens:>9} {k.trained:>9} {k.longest:>8}" for k in self.kinds]
        lines += ["", "tokens a row:", *self._bars(), ""]
        ends = "every row" if self.ended == self.rows else f"{self.ended} of {self.rows} rows"
        lines.append(
            f"prompt, not trained: {self.masked:.0%} of the tokens; the end of the answer is trained in {ends}"
        )
        return [*lines, *self._cut()]

    def _bars(self) -> list[str]:
        most = max(count for _, count in self.histogram)
        low, lines = 1, []
        for high, count in self.histogram:
            lines.append(f"{low:>6} to {high:>6} {count:>7} {'#' * -(-count * WIDTH // most)}".rstrip())
            low = high + 1
        return lines

    def _cut(self) -> list[str]:
        if not self.over:
            return [f"cut off: nothing; a row may have {self.limit} tokens"]
        more = [f"  and {len(self.over) - NAMED} more"] if len(self.over) > NAMED else []
        title = (
            f"over the limit of {self.limit} tokens: {len(self.over)} rows, which kb train refuses, as it cuts none:"
        )
        return [title, *(f"  {one}" for one in self.over[:NAMED]), *more]


def previewed(
    workspace: Workspace, config: TrainConfig, model: ModelConfig, prompts: Prompts, retriever: Retriever, each: int
) -> Preview:
    """What `kb.finetune.run.run` would train on, with `each` samples of every kind in every language; nothing is begun.

    Raises as that does before anything is trained, but not for rows that are too long: it names them.
    """
    from kb.finetune.model import stop_tokens
    from kb.llm.weights import load_tokenizer

    job, _ = named_job(workspace, config, model, prompts, retriever)
    tokenizer = load_tokenizer(job.base)
    return preview_of(job.rows, tokenizer, stop_tokens(job.base, tokenizer), row_limit(job)[1], each)


def preview_of(rows: Sequence[Row], tokenizer: Any, stops: frozenset[int], limit: int, each: int) -> Preview:
    """What is trained of these rows. Raises KBError for a template that cannot be trained with."""
    examples = [encode_row(row, tokenizer, stops) for row in rows]
    lengths = [len(example.input_ids) for example in examples]
    over = too_long([len(example.input_ids) for example in examples], limit)
    return Preview(
        _samples(rows, examples, tokenizer, each),
        _kinds(rows, examples),
        histogram(lengths),
        limit,
        tuple(f"{rows[place].source} ({rows[place].kind}): {lengths[place]} tokens" for place in over),
        1 - sum(example.trained for example in examples) / sum(lengths),
        sum(example.labels[-1] in stops for example in examples),
    )


def _samples(rows: Sequence[Row], examples: Sequence[Example], tokenizer: Any, each: int) -> tuple[Sample, ...]:
    """The first of every kind in every language, sorted by these."""
    taken: Counter[tuple[str, str]] = Counter()
    samples = []
    for row, example in zip(rows, examples, strict=True):
        language = detect(row.messages[-1].content)
        taken[row.kind, language] += 1
        if taken[row.kind, language] <= each:
            start = len(example.input_ids) - example.trained
            prompt, trained = (
                tokenizer.decode(list(ids)) for ids in (example.input_ids[:start], example.labels[start:])
            )
            samples.append(
                Sample(row.kind, row.source, language, len(example.input_ids), example.trained, prompt, trained)
            )
    return tuple(sorted(samples, key=lambda sample: (sample.kind, sample.language)))


def _kinds(rows: Sequence[Row], examples: Sequence[Example]) -> tuple[KindCount, ...]:
    by_kind: dict[str, list[Example]] = {}
    for row, example in zip(rows, examples, strict=True):
        by_kind.setdefault(row.kind, []).append(example)
    counts = []
    for kind, own in sorted(by_kind.items()):
        lengths = [len(example.input_ids) for example in own]
        counts.append(KindCount(kind, len(own), sum(lengths), sum(one.trained for one in own), max(lengths)))
    return tuple(counts)


def histogram(lengths: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Upper end and number of rows of up to `BINS` ranges of the same width, from 1 to the longest."""
    width = -(-max(lengths) // BINS)
    counts = Counter(-(-length // width) for length in lengths)
    return tuple((place * width, counts[place]) for place in range(1, max(counts) + 1))


def _shortened(prompt: str) -> str:
    """A long prompt without its middle."""
    left = len(prompt) - HEAD - TAIL
    return prompt if left <= 0 else f"{prompt[:HEAD]}[... {left} characters ...]{prompt[-TAIL:]}"
