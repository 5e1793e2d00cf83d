"""What the memory of a job's steps depends on: its rows in tokens, its model's shape, what was measured before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from kb.finetune.batches import Example, check_fits, encode, fitting_micro_batch, prompt_text
from kb.finetune.cards import Card
from kb.finetune.config import TrainConfig
from kb.finetune.contexts import DistilRow
from kb.finetune.job import Job
from kb.finetune.memory import (
    SAFETY,
    TRAINED_BYTES,
    TRAINED_BYTES_8BIT,
    MemoryEstimate,
    ModelShape,
    Step,
    estimate,
    model_shape,
)
from kb.finetune.room import Room
from kb.store import Store

KNOWN_ERROR = 1.05
"""`SAFETY` where a real step on the same device has corrected the estimate."""
MEASURED = "train: measured on "
"""The beginning of settings that hold what a real step has shown, by device and quantisation."""
ENOUGH = 8192
"""Tokens from which on a larger micro-batch is hardly faster: Llama2-7B in 4 bits on an A100 trains 2,295, 2,741, 2,926
and 3,128 tokens a second at 1k, 2k, 4k and 8k of them (LLaMA-Factory's wiki, April 2024)."""
PAIRED = ("dpo", "orpo", "simpo")
"""Stages that hold two answers to a prompt."""
CLOSED = ("short", "full", "reversed", "refusal")
"""Kinds of row whose prompts DPO asks as well."""


@dataclass(frozen=True)
class Tokens:
    """The training rows of a job, as its model reads them."""

    examples: tuple[Example, ...]
    kinds: tuple[str, ...]
    """Of each row."""
    config: Any
    """The model's configuration in transformers."""
    reads: int = 0
    """Tokens of the longest prompt that a teacher reads, with its answer; 0 where there is none."""

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(example.input_ids) for example in self.examples]

    @property
    def by_kind(self) -> dict[str, int]:
        """Tokens of all rows of each kind."""
        counts: Counter[str] = Counter()
        for kind, length in zip(self.kinds, self.lengths, strict=True):
            counts[kind] += length
        return dict(counts)


def in_tokens(job: Job) -> Tokens:
    """The job's rows in tokens, with the longest answers that a teacher may write. Raises KBError as `encode` does."""
    from kb.finetune.model import stop_tokens
    from kb.llm.weights import load_tokenizer

    tokenizer = load_tokenizer(job.base)
    config, limit = row_limit(job)
    kinds = tuple(row.kind for row in job.rows)
    if job.first == "distil":
        written = job.config.distil_tokens
        rows = [row for row in job.rows if isinstance(row, DistilRow)]
        own, reads = (
            [prompt_text(row, chat, tokenizer)[1] + written for row, chat in asked]
            for asked in ([(row, row.messages) for row in rows], [(row, row.teacher) for row in rows])
        )
        check_fits(rows, [max(pair) for pair in zip(own, reads, strict=True)], limit)
        return Tokens(tuple(Example((0,) * length, written) for length in own), kinds, config, max(reads))
    examples = encode(job.rows, tokenizer, stop_tokens(job.base, tokenizer), limit)
    return Tokens(tuple(examples), kinds, config)


def row_limit(job: Job) -> tuple[Any, int]:
    """The configuration of the job's model, and the tokens that a row may have."""
    from kb.finetune.model import model_config

    config = model_config(job.base)
    limits = (job.config.max_length, getattr(config, "max_position_embeddings", None))
    return config, min((one for one in limits if one), default=1 << 30) - job.config.virtual


@dataclass(frozen=True)
class Sizes:
    """What the memory of a step depends on, but for what a plan picks."""

    shape: ModelShape
    trained: int
    """Parameters that are trained."""
    full: bool
    """Whether they are the model's own."""
    trained_bytes: int
    """Of each of them, with gradient and optimiser state."""
    load_in_4bit: bool
    compute_bytes: int
    cpu: bool
    rows: int
    longest: int
    """Tokens of the longest row."""
    closed: int
    """Tokens of the longest row without passages; 0 where no stage of the run compares two answers."""
    scored: int
    """Trained tokens of the row that has most."""
    reads: int = 0
    """Tokens of the longest prompt that a teacher reads, with its answer; 0 where there is none."""
    written: int = 0
    """Most tokens of that answer."""
    batch: int = 0
    """Rows of a step, whose answers a teacher writes all at once."""

    def steps(self, micro: int, checkpointing: bool) -> list[Step]:
        """The largest micro-batch of the first stage: of SFT, the longest rows, each with as much to train as
        any; or of distillation, and the writing before it.
        """
        held = min(micro, self.rows)
        step = Step(
            held * self.longest, checkpointing, self.trained, self.trained_bytes, self.full,
            load_in_4bit=self.load_in_4bit, compute_bytes=self.compute_bytes, cpu=self.cpu,
            scored=held * self.scored,
        )  # fmt: skip
        if not self.reads:
            return [step]
        all_read = min(self.batch, self.rows) * self.reads
        return [
            replace(step, read=held * self.reads, compared=held * self.written),
            replace(step, tokens=0, scored=0, read=all_read, cached=all_read),
        ]

    def first(self, micro: int, checkpointing: bool) -> MemoryEstimate:
        """The peak of the first stage."""
        return self._most(self.steps(micro, checkpointing))

    def peak(self, micro: int, checkpointing: bool, order: int = 0) -> MemoryEstimate:
        """The peak of the whole run: of the first stage, or of DPO, which holds two answers to half the prompts and a
        copy of the adapter. The prompts are half the rows that stand together, `order`, where SFT holds fewer at once.
        """
        steps = self.steps(micro, checkpointing)
        answers = 2 * max(1, (order or micro) // 2)
        dpo = replace(
            steps[0], tokens=answers * self.closed, reference=self.trained,
            scored=answers * min(self.scored, self.closed), read=0, compared=0,
        )  # fmt: skip
        return self._most([*steps, dpo] if dpo.tokens else steps)

    def _most(self, steps: Sequence[Step]) -> MemoryEstimate:
        return max((estimate(self.shape, one) for one in steps), key=lambda one: one.total)


@dataclass(frozen=True)
class Calibration:
    """What a real step on a device has shown."""

    memory: float = 0.0
    """Working memory, measured over estimated; 0 where it was too little, or could not be measured."""
    flops: float = 0.0
    """Operations a second; 0 where nothing was measured."""

    @property
    def ratio(self) -> float:
        """By what the formula's working memory is to be multiplied."""
        return self.memory or 1.0

    @property
    def margin(self) -> float:
        """Factor for the error that the estimate has all the same."""
        return KNOWN_ERROR if self.memory else SAFETY


def calibration(store: Store, card: Card, load_in_4bit: bool, stage: str = "sft") -> Calibration:
    """What a first stage has shown on this device, with the model in 4 bits or not."""
    kept = store.setting(_measured_on(card, load_in_4bit, stage))
    return Calibration(**json.loads(kept)) if kept else Calibration()


def calibrate(store: Store, card: Card, load_in_4bit: bool, found: Calibration, stage: str = "sft") -> None:
    """Keep what was measured on a device, for the plans to come."""
    before = calibration(store, card, load_in_4bit, stage)
    kept = Calibration(found.memory or before.memory, found.flops or before.flops)
    store.set_setting(_measured_on(card, load_in_4bit, stage), json.dumps(asdict(kept)))


def _measured_on(card: Card, load_in_4bit: bool, stage: str) -> str:
    return f"{MEASURED}{card.name}, nf4={load_in_4bit}{'' if stage == 'sft' else f', {stage}'}"


def sizes_of(job: Job, tokens: Tokens, card: Card) -> Sizes | None:
    """What the memory of the job's steps depends on; None for an architecture that no formula is known for."""
    shape = model_shape(tokens.config)
    if shape is None:
        return None
    lengths = tokens.lengths
    closed = [length for length, kind in zip(lengths, tokens.kinds, strict=True) if kind in CLOSED]
    return Sizes(
        shape, trained_parameters(shape, job.config), job.config.tuning == "full", trained_bytes(job.config.optimizer),
        job.model.load_in_4bit, card.number_bytes, card.cpu,
        len(lengths), max(lengths),
        max(closed, default=0) if set(job.config.stages) & set(PAIRED) else 0,
        max(example.trained for example in tokens.examples),
        tokens.reads, job.config.distil_tokens, job.config.batch_size,
    )  # fmt: skip


def trained_parameters(shape: ModelShape, config: TrainConfig) -> int:
    """How many parameters are trained, by the way of tuning."""
    if config.tuning == "full":
        return shape.parameters
    if config.tuning == "prompt":
        return config.virtual * shape.hidden
    if config.tuning == "prefix":
        return config.virtual * shape.layers * 2 * shape.keys
    return shape.adapter(config.rank)


def trained_bytes(optimizer: str) -> int:
    """Bytes of a trained parameter with its gradient and what the optimiser keeps of it."""
    return TRAINED_BYTES_8BIT if optimizer.endswith("8bit") else TRAINED_BYTES


def pick_room(config: TrainConfig, sizes: Sizes | None, gib: float, found: Calibration) -> Room:
    """Micro-batch and checkpointing that fit into so many GiB, where the settings leave them open.

    Without checkpointing rather than with it, which costs a third of the time; then with the largest micro-batch, up to
    `ENOUGH` tokens and half of a step: rows of like length go together, and a step is to have short and long ones.
    Where nothing fits, the smallest: one row with checkpointing. Where a setting has more rows go together, a CPU holds
    `ENOUGH` tokens of them at once; what is learnt is the same.
    """
    batch, longest = config.batch_size, sizes.longest if sizes else ENOUGH
    allowed = [size for size in range(batch // 2, 1, -1) if batch % size == 0 and size * longest <= ENOUGH] + [1]
    if config.micro_batch:
        allowed = [fitting_micro_batch(batch, config.micro_batch)]
    savings = [False, True] if config.gradient_checkpointing == "auto" else [config.gradient_checkpointing]
    if config.tuning == "prefix":
        savings = [False]
    held = max(1, ENOUGH // longest) if sizes and sizes.cpu else batch
    rooms = [Room(size, fitting_micro_batch(size, held), saving) for saving, size in product(savings, allowed)]

    def fits(room: Room) -> bool:
        peak = sizes.peak(room.micro, room.checkpointing, room.order) if sizes else None
        return peak is not None and peak.calibrated(found.ratio).total * found.margin <= gib

    return next(filter(fits, rooms), rooms[-1])
