"""What all stages share: arguments, checkpoints, and the loop from the last checkpoint to the saved adapter."""

from __future__ import annotations

import errno
import gc
import json
import logging
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch.utils.tensorboard import SummaryWriter
from transformers import PrinterCallback
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from kb.errors import KBError
from kb.finetune.agreement import Agreement
from kb.finetune.batches import UNPLANNED, fitting_micro_batch, training_order
from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow
from kb.finetune.figures import Figures
from kb.finetune.memory import CHECKPOINT_BYTES
from kb.finetune.model import (
    START,
    adapters_to_fp32,
    keep_start,
    lora_plus_optimizer,
    training_dtype,
    whole_weights,
)
from kb.finetune.processes import agreed, count, first, share
from kb.finetune.room import OutOfMemory, room_of, within_memory
from kb.finetune.scored import trained_places_only
from kb.finetune.stages import RATES, REWARD
from kb.finetune.watch import BEST, Watch
from kb.finetune.watchlist import Watchlist, read_watchlist
from kb.llm.memory import out_of_memory
from kb.workspace import write_json

log = logging.getLogger(__name__)

OPTIMIZERS = {"adamw": "adamw_torch", "adamw_8bit": "adamw_bnb_8bit"}
"""What transformers calls them, where it is another name."""
SCHEDULES = {"cosine": "cosine", "constant": "constant_with_warmup", "wsd": "warmup_stable_decay"}
AT_ONCE = 3
"""Checkpoints on the disk while the oldest is still there."""
MIB = 1 << 20
LOGGED = 50
"""Times a stage writes its figures, about; each checkpoint does, too."""


def shared_arguments(config: TrainConfig, rows: int, micro: int, rate: float, folder: Path) -> dict[str, Any]:
    """Arguments that TRL's trainers take alike, for `rows` in the order they come, each trained once.

    All epochs are one pass over a list of rows that repeats them: the order is kb's own, and a resumed run finds its
    place in it exactly. Of the `micro` rows that stand together, fewer are in memory at once where they did not fit, or
    where several processes share them.
    """
    room = room_of(folder, micro, saves_memory(config))
    held = share(config.batch_size, room.micro)
    steps = math.ceil(rows / config.batch_size)
    gpu = torch.cuda.is_available()
    dtype = training_dtype(config.precision)
    decay = {"num_decay_steps": math.ceil(config.decay * steps)} if config.schedule == "wsd" else {}
    return {
        "output_dir": str(folder), "seed": config.seed, "data_seed": config.seed,
        "per_device_train_batch_size": held, "gradient_accumulation_steps": config.batch_size // (held * count()),
        "ddp_find_unused_parameters": False,
        "num_train_epochs": 1, "train_sampling_strategy": "sequential", "max_length": None,
        "learning_rate": rate, "lr_scheduler_type": SCHEDULES[config.schedule], "warmup_steps": config.warmup,
        "lr_scheduler_kwargs": decay, "weight_decay": config.weight_decay, "max_grad_norm": config.max_grad_norm,
        "optim": OPTIMIZERS.get(config.optimizer, config.optimizer),
        "bf16": dtype == torch.bfloat16, "fp16": dtype == torch.float16, "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "gradient_checkpointing": room.checkpointing,
        "save_strategy": "steps", "save_steps": max(1, steps // config.checkpoints), "save_total_limit": AT_ONCE - 1,
        # By default the trainer replaces a loss that is not a number by the mean of those before, and goes on.
        "logging_nan_inf_filter": False,
        "logging_steps": max(1, steps // LOGGED), "logging_first_step": True, "report_to": "none", "disable_tqdm": True,
    }  # fmt: skip


def micro_batch(config: TrainConfig) -> int:
    """Rows of like length that go together."""
    return fitting_micro_batch(config.batch_size, config.micro_batch or UNPLANNED)


def saves_memory(config: TrainConfig) -> bool:
    """Whether gradient checkpointing is on; it is where neither a setting nor a plan says so."""
    return config.gradient_checkpointing is not False and config.tuning != "prefix"


def pair_order(rows: Sequence[PreferenceRow], epochs: float, config: TrainConfig) -> tuple[list[int], int]:
    """Places of preference rows in the order they are trained, and how many are in memory at once.

    Half as many as SFT rows, because each holds two answers; of like length in characters.
    """
    micro = micro_batch(replace(config, micro_batch=max(1, (config.micro_batch or UNPLANNED) // 2)))
    lengths = [len(row.messages[-1].content) + max(len(row.chosen), len(row.rejected)) for row in rows]
    return training_order(lengths, epochs, config.batch_size, micro, config.seed), micro


def one_gpu(arguments: Any) -> Any:
    """The arguments for one GPU, where kb puts the model; with several in sight the trainer would take them all."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def fit(
    trainer: Any, tokenizer: Any, config: TrainConfig, folder: Path, rows: int,
    more: Callable[[], dict[str, float]] = dict,
) -> dict[str, float]:  # fmt: skip
    """Train from the last whole checkpoint, to the end or until the watch ends it, and return the stage's figures.

    The adapter that the watch keeps, at the scale that it chooses, else the last one, is left in `folder`/adapter;
    metrics.jsonl and TensorBoard events beside it. `more` gives further figures once the training is done. Raises
    KBError when the loss is not a number, and OutOfMemory when memory runs out; checkpoints are kept until the stage is
    done.

    Of several processes the first looks, logs, decides and saves; the others only train, and have no figures.
    """
    checkpoint = agreed(last_checkpoint(folder) if first() else None)
    if checkpoint:
        log.info("going on from %s of %s", Path(checkpoint).name, folder.name)
    reached = int(Path(checkpoint).name.rpartition("-")[2]) if checkpoint else 0
    adapters_to_fp32(trainer.model)
    keep_start(trainer.model, folder)
    if config.lora_plus:
        trainer.optimizer = lora_plus_optimizer(trainer, config)
    trainer.remove_callback(PrinterCallback)
    if not first():
        trainer.add_callback(Agreement())
        with _told(trainer, folder), trained_places_only():
            trainer.train(resume_from_checkpoint=checkpoint)
            whole_weights(trainer)
        return {}
    with ExitStack() as stack:
        stack.enter_context(trained_places_only())
        writer = SummaryWriter(str(folder / "tensorboard"), purge_step=reached + 1)  # type: ignore[no-untyped-call]
        stack.callback(writer.close)
        figures = Figures(f"train: {folder.name}", folder / "metrics.jsonl", stack)
        # A reward model answers nothing that could be watched.
        watchlist = Watchlist() if folder.name == REWARD else read_watchlist(folder.parent)
        watch = Watch(trainer.model, tokenizer, watchlist, config, folder, writer)
        # The figures first: they add to what is logged, and count no time of what the others do.
        watching = [watch] if watchlist.facts else []
        for callback in (figures, TensorBoardCallback(writer), *watching, *([Agreement()] if count() > 1 else [])):
            trainer.add_callback(callback)
        with _told(trainer, folder):
            trainer.train(resume_from_checkpoint=checkpoint)
            weights = whole_weights(trainer)
            figures.check_finite(RATES[folder.name])
            # What is measured from here on is no step of the training.
            trainer.remove_callback(TensorBoardCallback)
            result = _figures(trainer, rows) | more()
            scale = watch.choose_scale()
            result |= {"scale": scale} if scale < 1 else {}
            write_json(folder / "result.json", result)
            watch.save(folder / "adapter", weights)
    return result


@contextmanager
def _told(trainer: Any, folder: Path) -> Iterator[None]:
    """Say what a user can do about it when memory or the disk does not suffice."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError, SafetensorError) as error:
        if out_of_memory(error):
            arguments = trainer.args
            held = arguments.per_device_train_batch_size
            room = room_of(folder, held, arguments.gradient_checkpointing)
            raise OutOfMemory(replace(room, micro=held)) from None
        if not disk_full(error):
            raise
        raise KBError(_no_space(trainer, folder)) from error


def _figures(trainer: Any, rows: int) -> dict[str, float]:
    state = trainer.state
    return {
        "rows": rows, "steps": state.global_step, "planned": state.max_steps,
        "loss": round(mean_loss(state.log_history), 4),
    }  # fmt: skip


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


def stage_figures(folder: Path, batch: int, train: Callable[[], dict[str, float]], least: int = 1) -> dict[str, float]:
    """The figures of the stage in `folder`: of a finished one as it wrote them, before its adapter, else `train`'s.

    `train` loads the model anew, and is tried again with fewer rows in memory as `within_memory` says; memory is given
    back before each try. Then what no resume needs any more is removed.
    """

    def attempt() -> dict[str, float]:
        free()
        return train()

    if (folder / "adapter").exists():
        figures: dict[str, float] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    else:
        figures = within_memory(folder, batch, attempt, least)
    free()
    remove_scaffolding(folder)
    return figures


def free() -> None:
    """Give back the memory of what is not used any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def remove_scaffolding(folder: Path) -> None:
    """Remove what no resume needs once a stage's adapter is saved: its checkpoints (up to two, each of three times the
    adapter's size), what PiSSA started from, adapters that gave way to it and TRL's draft of a model card.
    """
    for kind in (PREFIX_CHECKPOINT_DIR, BEST):
        for left in folder.glob(f"{kind}-*"):
            shutil.rmtree(left)
    shutil.rmtree(folder / START, ignore_errors=True)
    (folder / "README.md").unlink(missing_ok=True)
