"""What a stage logs: loss, rates, speed and memory of its steps, to metrics.jsonl; and the stop on a broken loss."""

from __future__ import annotations

import json
import math
import resource
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from kb.errors import KBError
from kb.finetune.cards import GIB
from kb.progress import progress
from kb.workspace import write_text


class Figures(TrainerCallback):  # type: ignore[misc]
    """Shows steps as progress, appends each log to metrics.jsonl, and stops on a loss that is not a number."""

    def __init__(self, what: str, metrics: Path, stack: ExitStack) -> None:
        """`stack` closes the progress region, however the training ends."""
        self._what, self._metrics, self._stack = what, metrics, stack
        self._advance: Any = None
        self._shown = 0
        self._began = self._busy = 0.0
        self._tokens = 0.0
        self._sound = 0
        self._broken = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the progress region where the run stands, and drop the figures of steps that are done again."""
        self._advance = self._stack.enter_context(progress(self._what, state.max_steps))
        self._sound = state.global_step
        self._step(state)
        kept = [line for line in _lines(self._metrics) if _step_of(line) <= state.global_step]
        write_text(self._metrics, "".join(kept))

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock: what goes on between steps is no training."""
        self._began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One optimiser step is done. A checkpoint is never saved before its loss was looked at."""
        self._busy += time.monotonic() - self._began
        self._step(state)
        control.should_log |= control.should_save

    def _step(self, state: Any) -> None:
        self._advance(state.global_step - self._shown)
        self._shown = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Append the figures, speed and memory among them; when they are broken, stop before a checkpoint is made of
        them.
        """
        if logs and "loss" in logs:
            logs |= self._load(logs.get("num_tokens", 0.0))
        figures = {key: value for key, value in (logs or {}).items() if key not in UNSTABLE}
        if "loss" not in figures:
            return
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step} | figures) + "\n")
        if math.isfinite(figures["loss"]) and math.isfinite(figures.get("grad_norm", 0.0)):
            self._sound = state.global_step
        else:
            self._broken = state.global_step
            control.should_save = False
            control.should_training_stop = True

    def _load(self, tokens: float) -> dict[str, float]:
        """Seconds of the steps since the last log, tokens a second in them without padding, the most memory so far."""
        busy, speed = self._busy, (tokens - self._tokens) / max(self._busy, 1e-9)
        self._tokens, self._busy = tokens, 0.0
        figures = {"seconds": round(busy, 3), "peak_gib": round(peak_memory() / GIB, 3)}
        return ({"tokens_per_second": round(speed, 1)} if tokens else {}) | figures

    def check_finite(self, rate: str) -> None:
        """Raise KBError, naming the setting of the learning rate, when the loss was not a number."""
        if self._broken:
            raise KBError(
                f"the loss stopped being a number between step {self._sound} and step {self._broken}. Lower {rate}"
                f" under [train] and train again; the checkpoints from before are kept in {self._metrics.parent}"
            )


def peak_memory() -> int:
    """Bytes: the most that torch has held on the GPU; without one, the most that the process has taken."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


UNSTABLE = ("num_tokens", "epoch", "step_time")
"""Figures that metrics.jsonl leaves out: the first starts at 0 after a resume, the second is a share of all epochs, the
third is another each time.
"""


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []


def _step_of(line: str) -> float:
    """The step of a line of metrics; infinity for one that a kill has torn."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
