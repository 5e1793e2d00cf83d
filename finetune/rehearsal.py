"""One real forward and backward on the longest micro-batch, before training starts: whether it fits, what it takes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from kb.finetune.batches import IGNORED, Example
from kb.finetune.cards import GIB
from kb.finetune.memory import GRADIENT_BYTES
from kb.finetune.plan import Plan
from kb.finetune.room import Room, keep_room
from kb.finetune.sizes import Calibration, Sizes, calibrate
from kb.finetune.speed import batch_flops
from kb.progress import duration
from kb.store import Store

log = logging.getLogger(__name__)

TELLING = 0.25
"""GiB of estimated growth from which on its error says something: below, what libraries set up once is more."""
LONG = 24 * 3600
"""Seconds of training on a CPU from which on a warning says how long it will take."""


@dataclass(frozen=True)
class Measured:
    """What the real step took."""

    seconds: float
    gib: float | None
    """Growth of memory at its peak; None where the system does not tell."""


class Rehearsal(TrainerCallback):  # type: ignore[misc]
    """Runs the largest micro-batch of a stage once before its first step, and keeps what it shows.

    It goes through the trainer's own `training_step`; gradients are dropped and the random state is put back, so that
    weights and figures are bitwise those of a run without it. Left out where a step of this size was measured before:
    by a run that was killed.
    """

    def __init__(self, plan: Plan, sizes: Sizes | None, store: Store, folder: Path) -> None:
        """`folder` is the stage's."""
        self._plan, self._sizes, self._store, self._folder = plan, sizes, store, folder
        self._trainer: Any = None
        self._room = plan.room

    def watch(self, trainer: Any, room: Room) -> None:
        """Be called by this trainer, which has so much of the stage in memory at once."""
        self._trainer, self._room = trainer, room
        trainer.add_callback(self)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The model is prepared and nothing is trained yet. Whatever the step raises ends the stage."""
        room = self._room
        if room.measured is not None:
            return
        rows = self._trainer.train_dataset
        held = min(room.micro, len(rows))
        # Rows of a micro-batch stand together by length, and the largest comes first; distillation writes the answers
        # of a whole step before it learns from the first of them.
        last = min(room.order, len(rows))
        first, last = (0, min(self._plan.batch, len(rows))) if self._plan.reads else (last - held, last)
        measured = measure(self._trainer, [self._fullest(rows[place]) for place in range(first, last)])
        keep_room(self._folder, replace(room, measured=asdict(measured)))
        self._say(measured, held, self._written() if self._plan.reads else self._sizes)

    def _fullest(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with as many of its tokens trained as any row has: what is longest need not be fullest."""
        if self._sizes is None or self._plan.reads:
            return row
        ids = tuple(row["input_ids"])
        return {"input_ids": ids, "labels": Example(ids, min(len(ids), self._sizes.scored)).labels}

    def _written(self) -> Sizes | None:
        """The sizes with answers as long as the step had them, which are forgotten: the first step writes its own."""
        trainer = self._trainer
        held = trainer._buffered_inputs[0]
        trainer._step, trainer._buffered_inputs = 0, None
        own, written, reads = (held[name].shape[1] for name in ("prompt_ids", "completion_ids", "teacher_input_ids"))
        return self._sizes and replace(self._sizes, longest=own + written, reads=reads, written=written)

    def _say(self, measured: Measured, held: int, sizes: Sizes | None) -> None:
        """Keep what a formula was wrong by, and say it."""
        plan, room = self._plan, self._room
        grown = "" if measured.gib is None else f", {measured.gib:.2f} GiB"
        if sizes is None:
            log.info("a real step of %d rows: %.1f s%s", held, measured.seconds, grown)
            return
        expected = sizes.first(room.micro, room.checkpointing).working + GRADIENT_BYTES * sizes.trained / GIB
        ratio = measured.gib / expected if measured.gib and expected >= TELLING else 0.0
        if plan.flops is None:
            calibrate(self._store, plan.card, plan.load_in_4bit, Calibration(ratio), plan.stage)
            log.info(
                "a real step, of which %d rows are learnt from: %.1f s%s beside the weights, estimated %.2f",
                held, measured.seconds, grown, expected,
            )  # fmt: skip
            return
        done = batch_flops(sizes.shape, [(held, sizes.longest)], held * sizes.scored, room.checkpointing)
        flops = done / measured.seconds
        calibrate(self._store, plan.card, plan.load_in_4bit, Calibration(ratio, flops))
        took = plan.flops / flops
        log.info(
            "a real step of %d rows of %d tokens: %.1f s%s beside the weights, estimated %.2f; sft takes about %s",
            held, sizes.longest, measured.seconds, grown, expected, duration(took),
        )  # fmt: skip
        if plan.card.cpu and took > LONG:
            log.warning(
                "sft will take about %s on this CPU. Train on a GPU, take a smaller model, or set max_steps under"
                " [train].",
                duration(took),
            )


def measure(trainer: Any, rows: list[Any]) -> Measured:
    """Forward and backward of these rows by the trainer's own way, leaving no trace in it."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices), peak_growth() as grown:
        began = time.monotonic()
        batch = trainer.data_collator(rows)
        # Distillation has no tokens yet, and divides by what the trainer's loop would have set.
        trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
        trained = (batch["labels"] != IGNORED).sum() if "labels" in batch else None
        trainer.training_step(trainer.model_wrapped, batch, num_items_in_batch=trained)
        if devices:
            torch.cuda.synchronize()
        seconds = time.monotonic() - began
    trainer.model.zero_grad()
    # What TRL has noted of the step for its next log.
    trainer._metrics["train"].clear()
    trainer._total_train_tokens = 0
    return Measured(seconds, grown[0] if grown else None)


@contextmanager
def peak_growth() -> Iterator[list[float]]:
    """A list that holds, once the block is done, by how many GiB memory grew in it; nothing where that is not known."""
    grown: list[float] = []
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield grown
        grown.append((torch.cuda.max_memory_allocated() - before) / GIB)
        return
    before = resident("VmRSS") if _reset_peak() else 0
    yield grown
    if before:
        grown.append(max(0, resident("VmHWM") - before) / GIB)


def _reset_peak() -> bool:
    """Let the kernel count this process's peak memory anew; whether it does (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def resident(what: str) -> int:
    """Bytes of memory of this process: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))
