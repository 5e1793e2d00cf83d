"""What SFT and DPO share: arguments, checkpoints, the loop, and the callback that reports and writes metrics."""

from __future__ import annotations

import errno
import json
import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch.utils.tensorboard import SummaryWriter
from transformers import PrinterCallback, TrainerCallback
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from kb.errors import KBError
from kb.finetune.batches import fitting_micro_batch
from kb.finetune.config import TrainConfig
from kb.finetune.memory import CHECKPOINT_BYTES
from kb.finetune.model import adapters_to_fp32, save_adapter
from kb.finetune.room import OutOfMemory, room_of
from kb.llm.memory import out_of_memory
from kb.progress import progress
from kb.workspace import write_json, write_text

log = logging.getLogger(__name__)

RATES = {"sft": "learning_rate", "dpo": "dpo_learning_rate"}
"""The setting of a stage's learning rate; a stage's folder bears its name."""
AT_ONCE = 3
"""Checkpoints on the disk while the oldest is still there."""
MIB = 1 << 20
LOGGED = 50
"""Times a stage writes its figures, about; each checkpoint does, too."""


def shared_arguments(config: TrainConfig, rows: int, micro: int, rate: float, folder: Path) -> dict[str, Any]:
    """Arguments that SFTConfig and DPOConfig take alike, for `rows` in the order they come, each trained once.

    All epochs are one pass over a list of rows that repeats them: the order is kb's own, and a resumed run finds its
    place in it exactly. Of the `micro` rows that stand together, fewer are in memory at once where they did not fit.
    """
    room = room_of(folder, micro, saves_memory(config))
    steps = math.ceil(rows / config.batch_size)
    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(folder), "seed": config.seed, "data_seed": config.seed,
        "per_device_train_batch_size": room.micro, "gradient_accumulation_steps": config.batch_size // room.micro,
        "num_train_epochs": 1, "train_sampling_strategy": "sequential", "max_length": None,
        "learning_rate": rate, "lr_scheduler_type": "cosine", "warmup_steps": config.warmup,
        "weight_decay": config.weight_decay, "max_grad_norm": 1.0, "optim": "adamw_torch",
        "bf16": gpu and torch.cuda.is_bf16_supported(), "use_cpu": not gpu, "dataloader_pin_memory": gpu,
        "gradient_checkpointing": room.checkpointing,
        "save_strategy": "steps", "save_steps": max(1, steps // config.checkpoints), "save_total_limit": AT_ONCE - 1,
        # By default the trainer replaces a loss that is not a number by the mean of those before, and goes on.
        "logging_nan_inf_filter": False,
        "logging_steps": max(1, steps // LOGGED), "logging_first_step": True, "report_to": "none", "disable_tqdm": True,
    }  # fmt: skip


UNPLANNED = 4
"""Rows in memory at once where neither a setting nor a plan says how many."""


def micro_batch(config: TrainConfig) -> int:
    """Rows of like length that go together."""
    return fitting_micro_batch(config.batch_size, config.micro_batch or UNPLANNED)


def saves_memory(config: TrainConfig) -> bool:
    """Whether gradient checkpointing is on; it is where neither a setting nor a plan says so."""
    return config.gradient_checkpointing is not False


def one_gpu(arguments: Any) -> Any:
    """The arguments for one GPU, where kb puts the model; with several in sight the trainer would take them all."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def fit(trainer: Any, tokenizer: Any, config: TrainConfig, folder: Path, rows: int) -> dict[str, float]:
    """Train to the end from the last whole checkpoint, save `folder`/adapter, and return the stage's figures.

    Writes metrics.jsonl and TensorBoard events beside it. Raises KBError when the loss is not a number, and OutOfMemory
    when memory runs out; checkpoints are kept until the stage is done.
    """
    checkpoint = last_checkpoint(folder)
    if checkpoint:
        log.info("going on from %s of %s", Path(checkpoint).name, folder.name)
    reached = int(Path(checkpoint).name.rpartition("-")[2]) if checkpoint else 0
    adapters_to_fp32(trainer.model)
    with ExitStack() as stack:
        writer = SummaryWriter(str(folder / "tensorboard"), purge_step=reached + 1)  # type: ignore[no-untyped-call]
        stack.callback(writer.close)
        watch = Watch(f"train: {folder.name}", folder / "metrics.jsonl", stack)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(TensorBoardCallback(writer))
        trainer.add_callback(watch)
        with _told(trainer, folder):
            trainer.train(resume_from_checkpoint=checkpoint)
            watch.check_finite(RATES[folder.name])
            figures = _figures(trainer, rows)
            write_json(folder / "result.json", figures)
            save_adapter(trainer.model, tokenizer, folder / "adapter")
    return figures


@contextmanager
def _told(trainer: Any, folder: Path) -> Iterator[None]:
    """Say what a user can do about it when memory or the disk does not suffice."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError, SafetensorError) as error:
        if out_of_memory(error):
            arguments = trainer.args
            room = room_of(folder, arguments.per_device_train_batch_size, arguments.gradient_checkpointing)
            raise OutOfMemory(room) from None
        if not disk_full(error):
            raise
        raise KBError(_no_space(trainer, folder)) from error


def _figures(trainer: Any, rows: int) -> dict[str, float]:
    state = trainer.state
    return {"rows": rows, "steps": state.global_step, "loss": round(mean_loss(state.log_history), 4)}


def disk_full(error: BaseException) -> bool:
    """Whether an error says that no more can be written: Python, safetensors and torch each have their own for it."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(words in str(error) for words in ("No space left on device", "quota exceeded", "inline_container"))


def _no_space(trainer: Any, folder: Path) -> str:
    """What is kept of a stage whose disk is full, and how much it needs; removes the checkpoint that is not whole."""
    kept = last_checkpoint(folder)
    done = f"what was trained up to {Path(kept).name} is kept" if kept else "nothing was saved yet"
    numbers = sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad)
    need, free = AT_ONCE * CHECKPOINT_BYTES * numbers / MIB, shutil.disk_usage(folder).free / MIB
    return (
        f"the disk of {folder} is full: the checkpoints take up to {need:.1f} MiB together, and {free:.1f} MiB are"
        f" free; {done}. Free some space, and the same command goes on from there"
    )


def mean_loss(history: Sequence[dict[str, Any]]) -> float:
    """Mean loss over all steps of a stage, also those before a resume; each entry is the mean since the one before."""
    total, last = 0.0, 0
    for entry in history:
        if "loss" in entry:
            total += entry["loss"] * (entry["step"] - last)
            last = entry["step"]
    return total / max(last, 1)


def last_checkpoint(folder: Path) -> str | None:
    """The last whole checkpoint of a stage; a torn one (killed while it was written) is removed first.

    The trainer writes trainer_state.json last, so a checkpoint whose state is whole JSON is whole.
    """
    while folder.exists() and (found := get_last_checkpoint(str(folder))):
        try:
            json.loads((Path(found) / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            log.info("removing the unfinished checkpoint %s", Path(found).name)
            shutil.rmtree(found)
            continue
        return str(found)
    return None


def remove_scaffolding(folder: Path) -> None:
    """Remove what no resume needs once a stage's adapter is saved: its checkpoints (up to two, each of three times the
    adapter's size) and TRL's draft of a model card.
    """
    for checkpoint in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        shutil.rmtree(checkpoint)
    (folder / "README.md").unlink(missing_ok=True)


class Watch(TrainerCallback):  # type: ignore[misc]
    """Shows steps as progress, appends each log to metrics.jsonl, and stops on a loss that is not a number."""

    def __init__(self, what: str, metrics: Path, stack: ExitStack) -> None:
        """`stack` closes the progress region, however the training ends."""
        self._what, self._metrics, self._stack = what, metrics, stack
        self._advance: Any = None
        self._shown = 0
        self._sound = 0
        self._broken = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the progress region where the run stands, and drop the figures of steps that are done again."""
        self._advance = self._stack.enter_context(progress(self._what, state.max_steps))
        self._sound = state.global_step
        self._step(state)
        kept = [line for line in _lines(self._metrics) if _step_of(line) <= state.global_step]
        write_text(self._metrics, "".join(kept))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One optimiser step is done. A checkpoint is never saved before its loss was looked at."""
        self._step(state)
        control.should_log |= control.should_save

    def _step(self, state: Any) -> None:
        self._advance(state.global_step - self._shown)
        self._shown = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Append the figures; when they are broken, stop before a checkpoint is made of them."""
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

    def check_finite(self, rate: str) -> None:
        """Raise KBError, naming the setting of the learning rate, when the loss was not a number."""
        if self._broken:
            raise KBError(
                f"the loss stopped being a number between step {self._sound} and step {self._broken}. Lower {rate}"
                f" under [train] and train again; the checkpoints from before are kept in {self._metrics.parent}"
            )


UNSTABLE = ("num_tokens", "epoch")
"""Figures that metrics.jsonl leaves out: the first starts at 0 after a resume, the second is a share of all epochs."""


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []


def _step_of(line: str) -> float:
    """The step of a line of metrics; infinity for one that a kill has torn."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
