"""What a run is going to do, take and cost, before any weight is loaded: the model's shape, rows in tokens and a card
give micro-batch, gradient checkpointing, peak memory and time. What a real step has shown corrects the next plan.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from kb.errors import KBError
from kb.finetune.batches import padded_tokens, training_order
from kb.finetune.cards import GIB, MFU, Card, found_card
from kb.finetune.config import TrainConfig
from kb.finetune.device import check_device
from kb.finetune.job import Job, named_job
from kb.finetune.memory import CHECKPOINT_BYTES, MemoryEstimate, cure
from kb.finetune.replay import UNWRITTEN, awaited
from kb.finetune.room import Room, described, kept_room
from kb.finetune.sizes import Calibration, Tokens, calibration, in_tokens, pick_room, sizes_of
from kb.finetune.speed import batch_flops
from kb.finetune.thumb import Rule, rules, table
from kb.llm.base import ModelConfig
from kb.progress import duration
from kb.prompt import Prompts
from kb.retrieval.hybrid import Retriever
from kb.store import Store
from kb.workspace import Workspace

BIG = 1_000_000_000
"""Parameters from which on a CPU is no place to train."""


@dataclass(frozen=True)
class Plan:
    """What a run is going to do. Figures are None where nothing is known of the model's architecture or the device."""

    name: str
    stage: str
    """The first, which the plan is of."""
    model: str
    parameters: int | None
    load_in_4bit: bool
    rows: dict[str, int]
    """By kind."""
    awaited: int
    """Rows of replay among them that the model has still to write, whose answers are not counted."""
    tokens: dict[str, int]
    """By kind."""
    masked: float
    """Share of the tokens that are prompt, and not trained."""
    longest: int
    """Tokens of the longest row."""
    reads: int
    """Tokens of the longest prompt that a teacher reads, with its answer; 0 where there is none."""
    epochs: float
    steps: int
    batch: int
    """Rows behind a step."""
    step_tokens: float
    """Of a mean step, padding included."""
    padding: float
    """Share of the tokens that are padding."""
    trained: int | None
    """Parameters of the adapter."""
    checkpoint_gib: float | None
    """Of one checkpoint; up to three lie on the disk at once."""
    card: Card
    room: Room
    memory: MemoryEstimate | None
    """With what a real step has shown worked in."""
    calibration: Calibration
    flops: float | None
    """Operations of all steps."""
    rules: tuple[Rule, ...] = ()
    """Rules of thumb; only where they were asked for."""

    @property
    def margin(self) -> float:
        """Factor for the error of the memory estimate."""
        return self.calibration.margin

    @property
    def seconds(self) -> float | None:
        """How long SFT takes: from a measured step, or from the card's peak; None for a CPU that was not measured."""
        rate = self.calibration.flops or self.card.tflops * 1e12 * MFU
        return self.flops / rate if self.flops and rate else None

    @property
    def fits(self) -> bool | None:
        """Whether it fits with its margin; None where that cannot be said."""
        return self.memory.total * self.margin <= self.card.gib if self.memory else None

    @property
    def hopeless(self) -> bool:
        """Whether the smallest micro-batch is larger than the card by more than the estimate's error."""
        smallest = self.room.micro == 1 and self.room.checkpointing
        return self.memory is not None and smallest and self.memory.total > self.card.gib * self.margin

    @property
    def warnings(self) -> list[str]:
        """What speaks against starting, each with its cure."""
        found = []
        if self.memory and not self.fits:
            verdict = "does not fit" if self.hopeless else "may not fit"
            found.append(
                f"this {verdict}: {self.memory.total:.1f} GiB and a margin of {self.margin - 1:.0%}, against"
                f" {self.card.gib:.1f} GiB. {self.cures}"
            )
        if self.card.cpu and (self.parameters or 0) >= BIG:
            found.append(
                f"a model of {_count(self.parameters)} parameters is slow on a CPU, and torch finds no GPU here (see kb"
                f" doctor); time: {self._time}"
            )
        return found

    @property
    def cures(self) -> str:
        """What to change where memory does not suffice."""
        quantised = "" if self.load_in_4bit else "Set load_in_4bit = true under [model]; or under"
        writing = (
            "; a teacher writes the answers of a whole step at once, so a lower batch_size helps" if self.reads else ""
        )
        return f"{quantised or 'Under'} [train], {cure(self.room.micro, self.room.checkpointing)}{writing}."

    def lines(self) -> list[str]:
        """The plan for the terminal."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.rows.items()))
        total = sum(self.tokens.values())
        bits = "in 4 bits" if self.load_in_4bit else "not quantised"
        lines = [
            f"model: {self.model}, {_count(self.parameters)} parameters, {bits}",
            f"data: {sum(self.rows.values())} rows ({kinds}) of {total} tokens, {self.masked:.0%} of them prompt,"
            " which is not trained",
            f"tokens: {', '.join(f'{count} {kind}' for kind, count in sorted(self.tokens.items()))}; longest row"
            f" {self.longest}{self._taught}",
            f"{self.stage}: {self.epochs:.3g} epochs = {self.steps} steps of {self.batch} rows,"
            f" {self.step_tokens:.0f} tokens a step, {self.padding:.0%} of them padding",
            f"on {self.card.name}: {described(self.room, self.batch)}",
        ]
        if self.awaited:
            lines.append(
                f"replay: {self.awaited} rows at most, which the model writes itself before it is trained; counted"
                " without their answers"
            )
        if self.memory and self.trained and self.checkpoint_gib is not None:
            lines += [
                f"trained: {_count(self.trained)} parameters; a checkpoint takes {_size(self.checkpoint_gib)}",
                f"memory: {self.memory.total:.1f} of {self.card.gib:.1f} GiB estimated ({_parts(self.memory)})"
                f"{self._said}",
            ]
        else:
            lines.append("memory: no estimate for this architecture")
        return [*lines, f"time: {self._time}"]

    @property
    def _said(self) -> str:
        ratio = self.calibration.memory
        return f"; activations as a real step had them here, {ratio:.2f} of the formula" if ratio else ""

    @property
    def _taught(self) -> str:
        return f", answers as long as they may get; its teacher reads up to {self.reads}" if self.reads else ""

    @property
    def _time(self) -> str:
        if self.reads:
            return "not estimated: it hangs on how long the teacher's answers get"
        if self.seconds is None:
            return "said after the first step, which is timed"
        how = "at the speed of a real step here"
        if not self.calibration.flops:
            how = f"at {MFU:.0%} of the card's {self.card.tflops:.0f} TFLOP/s"
        return f"about {duration(self.seconds)} for sft, {how}"

    def report(self) -> list[str]:
        """All there is to say with `--plan`: the plan, what speaks against it, and the rules of thumb."""
        return [*self.lines(), *(f"warning: {one}" for one in self.warnings), "", *table(self.rules)]

    def document(self) -> dict[str, Any]:
        """For --json: the plan with what follows from it."""
        peak = self.memory.total if self.memory else None
        derived = {"peak_gib": peak, "fits": self.fits, "seconds": self.seconds, "warnings": self.warnings}
        return asdict(self) | derived

    def refuse(self) -> None:
        """Raise KBError when the run cannot fit, however small its micro-batches."""
        if self.hopeless:
            raise KBError(f"{self.name} on {self.card.name}: {self.warnings[0]}")


def planned(
    workspace: Workspace,
    config: TrainConfig,
    model: ModelConfig,
    prompts: Prompts,
    retriever: Retriever,
    card: Card | None,
) -> Plan:
    """What `kb.finetune.run.run` would do on this card, or on the device that is here; nothing is begun.

    Raises as `run` does before anything is trained.
    """
    if card is None:
        check_device(config)
    job, _ = named_job(workspace, config, model, prompts, retriever, awaited)
    return make_plan(job, in_tokens(job), workspace.store, card, rule_table=True)


def make_plan(job: Job, tokens: Tokens, store: Store, other: Card | None = None, rule_table: bool = False) -> Plan:
    """The plan of a job on the device that is here, or on another card."""
    config, lengths = job.config, tokens.lengths
    card = other or found_card()
    found = calibration(store, card, job.model.load_in_4bit, job.first)
    sizes = sizes_of(job, tokens, card)
    room = pick_room(config, sizes, card.gib, found)
    if not other:
        room = kept_room(job.folder / job.first) or room
    order = training_order(lengths, config.epochs_over(len(lengths)), config.batch_size, room.order, config.seed)
    padded = padded_tokens(lengths, order, room.micro)
    counts, shares = Counter(tokens.kinds), tokens.by_kind
    steps = math.ceil(len(order) / config.batch_size)
    batches = [(rows, size // rows) for rows, size in zip(_sizes(len(order), room.micro), padded, strict=True)]
    scored = sum(tokens.examples[place].trained for place in order)
    return Plan(
        name=job.name, stage=job.first, model=job.model.name, parameters=sizes.shape.parameters if sizes else None,
        load_in_4bit=job.model.load_in_4bit, rows=dict(counts),
        awaited=sum(row.kind == "replay" and row.answer == UNWRITTEN for row in job.rows) if not tokens.reads else 0,
        tokens=shares,
        masked=1 - sum(example.trained for example in tokens.examples) / sum(lengths), longest=max(lengths),
        reads=tokens.reads,
        epochs=config.epochs_over(len(lengths)), steps=steps, batch=config.batch_size,
        step_tokens=sum(padded) / steps, padding=1 - sum(lengths[place] for place in order) / sum(padded),
        trained=sizes.trained if sizes else None,
        checkpoint_gib=CHECKPOINT_BYTES * sizes.trained / GIB if sizes else None,
        card=card, room=room,
        memory=sizes.peak(room.micro, room.checkpointing, room.order).calibrated(found.ratio) if sizes else None,
        calibration=found,
        flops=batch_flops(sizes.shape, batches, scored, room.checkpointing) if sizes and not tokens.reads else None,
        rules=rules(config.rank) if rule_table else (),
    )  # fmt: skip


def settled(job: Job, room: Room) -> Job:
    """The job with what its plan has picked as its settings. Its keys are those of what the user set."""
    config = replace(job.config, micro_batch=room.order, gradient_checkpointing=room.checkpointing)
    return replace(job, config=config)


def _sizes(rows: int, micro: int) -> list[int]:
    """Rows of each micro-batch; the last may have fewer."""
    return [min(micro, rows - start) for start in range(0, rows, micro)]


def _parts(memory: MemoryEstimate) -> str:
    """The components that count, in GiB."""
    parts = ((name, gib) for name, gib in asdict(memory).items() if gib >= 0.05)
    return ", ".join(f"{name} {gib:.1f}" for name, gib in parts)


def _count(number: int | None) -> str:
    """A number of parameters as people say it."""
    if number is None:
        return "an unknown number of"
    return f"{number / 1e9:.1f} B" if number >= 1e9 else f"{number / 1e6:.1f} M"


def _size(gib: float) -> str:
    return f"{gib:.1f} GiB" if gib >= 1 else f"{gib * 1024:.0f} MiB"
