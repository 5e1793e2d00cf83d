"""How many rows a stage holds in memory at once: picked before it, halved when memory runs out, kept in its folder.

The order in which rows are trained depends on how many went together in the first plan, and stays that when fewer do.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from kb.errors import KBError
from kb.finetune.batches import fitting_micro_batch
from kb.finetune.memory import cure
from kb.finetune.processes import count, share
from kb.workspace import write_json

T = TypeVar("T")

log = logging.getLogger(__name__)

FILE = "plan.json"
"""In the folder of a stage."""


@dataclass(frozen=True)
class Room:
    """What of a stage is in memory at once."""

    order: int
    """Rows of like length that stand together in the order of training."""
    micro: int
    """Rows of one forward and backward: `order`, or a divisor of it where that did not fit or is slower."""
    checkpointing: bool
    measured: Mapping[str, float] | None = None
    """What a real step of this size has shown; None before."""

    def smaller(self) -> Room | None:
        """The next try after memory ran out; None when nothing is left to be made smaller."""
        if self.micro > 1:
            return replace(self, micro=fitting_micro_batch(self.micro, self.micro // 2), measured=None)
        return None if self.checkpointing else replace(self, checkpointing=True, measured=None)


class OutOfMemory(KBError):
    """Memory ran out in a stage, with its message for when no smaller micro-batch is left."""

    def __init__(self, room: Room) -> None:
        super().__init__(f"out of memory. Under [train], {cure(room.micro, room.checkpointing)}.")
        self.room = room


def room_of(folder: Path, micro: int, checkpointing: bool) -> Room:
    """What is kept of the stage in this folder; where nothing is, what the settings say."""
    return kept_room(folder) or Room(micro, micro, checkpointing)


def kept_room(folder: Path) -> Room | None:
    """What is kept of the stage in this folder."""
    file = folder / FILE
    if not file.exists():
        return None
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Room(**kept)


def keep_room(folder: Path, room: Room) -> None:
    """Write it down, so that a run that is killed goes on with the same rows in the same order."""
    write_json(folder / FILE, asdict(room))


def within_memory(folder: Path, batch: int, attempt: Callable[[], T], least: int = 1) -> T:
    """What `attempt` makes of the stage in this folder, tried again with half the rows in memory when it runs out.

    `attempt` builds model and trainer anew and goes on from the last checkpoint. What is trained stays the same: the
    same rows in the same order, `batch` of them behind each step, of twice as many micro-batches. The SFT loss is the
    sum over the trained tokens of a step, divided by their number, so its gradient is the same but for rounding. DPO's
    and KTO's is a mean over rows of means over micro-batches: the same but for rounding in steps of whole
    micro-batches; the likelihood term beside DPO's weighs a token by its micro-batch, so it changes a little.
    Raises OutOfMemory when `least` rows at a time with gradient checkpointing do not fit, and KBError where the other
    processes of a training are still in the step that did not.
    """
    while True:
        try:
            return attempt()
        except OutOfMemory as error:
            smaller = error.room.smaller()
            if smaller is None or smaller.micro < least:
                raise
        # Outside of the handler: the traceback would hold what is to be freed.
        keep_room(folder, smaller)
        if count() > 1:
            raise KBError(f"{folder.name}: out of memory. The same command again takes {described(smaller, batch)}")
        log.warning("%s: out of memory; going on with %s", folder.name, described(smaller, batch))


def described(room: Room, batch: int) -> str:
    """How a step is computed: "micro-batches of 4 rows, 4 for a step, with gradient checkpointing"."""
    processes, held = count(), share(batch, room.micro)
    rows = "1 row" if held == 1 else f"{held} rows"
    saving = "with" if room.checkpointing else "without"
    each = f" in each of {processes} processes" if processes > 1 else ""
    return f"micro-batches of {rows}, {batch // (held * processes)} for a step{each}, {saving} gradient checkpointing"
