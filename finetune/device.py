"""Whether the GPU that a run needs is there, asked before anything is computed. No torch here until that is asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

from kb.errors import KBError
from kb.finetune.config import TrainConfig


def check_device(config: TrainConfig) -> None:
    """Raise UsageError for a setting that this machine cannot train by: a precision that it does not have.

    8-bit and paged optimisers are none: without a GPU, bitsandbytes computes them on the CPU, in its memory.
    """
    if config.precision != "auto":
        from kb.finetune.model import training_dtype

        training_dtype(config.precision)


def device_name() -> str:
    """What kb trains on here: the GPU's name, or "cpu"."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def check_still_there(folder: Path) -> None:
    """Raise KBError where the run in `folder` was begun on a GPU and there is none any more.

    It would go on by the CPU, far slower and in another precision, with nobody the wiser. With CUDA_VISIBLE_DEVICES set
    to nothing, the GPU was taken away on purpose.
    """
    file = folder / "config.json"
    begun = json.loads(file.read_text(encoding="utf-8")).get("device", "cpu") if file.exists() else "cpu"
    if begun == "cpu" or device_name() != "cpu" or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return
    raise KBError(
        f"the run {folder.name} was begun on {begun}, and torch finds no GPU here now; what was trained is kept. Once"
        " it is back (kb doctor says what is found), the same command goes on; to go on by the CPU, put"
        " CUDA_VISIBLE_DEVICES= before it"
    )
