"""Several processes that train one model together, as `accelerate launch` starts them, one on each GPU.

The first does what must happen once: it holds the workspace, plans, encodes, asks the model, looks, decides and saves.
The others have neither store nor settings. They wait for what the first calls `together`, which is a training, and run
the same function with the same arguments; in it they follow the decisions of the first. No torch until they meet.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from math import gcd
from typing import Any, TypeVar

from kb.errors import UsageError
from kb.finetune.config import TrainConfig
from kb.offline import switch_off_telemetry

T = TypeVar("T")

SHARED = ("sft", "dpo")
"""Stages that several processes train together."""
WAIT = timedelta(days=365)
"""How long a process waits for the first, which may ask the model for hours before it trains. Where the first ends, the
others learn of it at once.
"""


def count() -> int:
    """Processes that train together, as torch's launcher, which `accelerate launch` uses, tells each; else 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Whether this process is the one that does what must happen once; true where there is only one."""
    return int(os.environ.get("RANK", "0")) == 0


def in_parts() -> bool:
    """Whether each of several processes holds a part of the model (FSDP), as `accelerate launch` tells them."""
    return count() > 1 and os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def share(batch: int, micro: int) -> int:
    """Rows that each process has in memory at once, of `batch` behind a step and `micro` that stand together.

    A divisor of both, so that a step is made of the same rows however many processes share it.
    """
    return gcd(micro, batch // count())


def missing(rows: int, micro: int) -> int:
    """Rows without anything to learn that fill up the last round, in which each process has `micro` rows.

    Without them accelerate would take rows from the beginning once more, since no process may stop before the others.
    """
    return -rows % (micro * count()) if count() > 1 else 0


def check_shared(config: TrainConfig, load_in_4bit: bool) -> None:
    """Raise UsageError for a training that these processes cannot share; one process alone can do all."""
    processes = count()
    if processes == 1:
        return
    alone = [stage for stage in config.stages if stage not in SHARED]
    if alone:
        raise UsageError(
            f"[train] stages: {alone[0]} trains in one process, and {processes} were started; several can share"
            f" {' and '.join(SHARED)}. Start kb train without accelerate launch, on one GPU"
        )
    if config.batch_size % processes:
        raise UsageError(
            f"[train] batch_size: {config.batch_size} rows behind a step cannot be divided among {processes} processes;"
            f" set a multiple of {processes}, or start another number of processes"
        )
    if os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3":
        raise UsageError(
            "DeepSpeed's ZeRO-3 splits the weights, and kb would save a part of them for the whole; take zero_stage 2"
            " or lower, or FSDP"
        )
    if in_parts():
        _check_in_parts(config, load_in_4bit)


def _check_in_parts(config: TrainConfig, load_in_4bit: bool) -> None:
    """Raise UsageError for what needs the whole model in one process, and for what was never trained in parts."""
    for setting, wrong, cure in (
        ("[train] watch", config.watch, "set watch = false"),
        ("[train] tuning", config.tuning in ("prompt", "prefix"), 'set tuning = "lora"'),
        ("[train] init", config.init == "pissa", 'set init = "default"'),
        ("[train] dora", config.dora, "set dora = false"),
        ("[model] load_in_4bit", load_in_4bit, "set load_in_4bit = false"),
    ):
        if wrong:
            raise UsageError(
                f"{setting}: does not go with FSDP, where each process has a part of the model; {cure}, or let each"
                " have all of it: accelerate launch --multi_gpu"
            )


@contextmanager
def leading() -> Iterator[None]:
    """In the first process: meet the others, and let them go in the end. After an error the launcher ends them."""
    if count() > 1:
        _channel()
    yield
    if count() > 1:
        agreed(None)


def together(function: Callable[..., T], *arguments: Any) -> T:
    """What `function` gives in the first process, which calls it in all of them; its arguments are pickled."""
    if count() > 1:
        agreed((function, arguments))
    return function(*arguments)


def follow() -> None:
    """In every other process: take part in what the first calls `together`, until it lets them go.

    Ends the process where the first has ended with an error, which it says itself.
    """
    switch_off_telemetry()
    # What there is to warn of, the first does.
    warnings.simplefilter("ignore")
    from kb.finetune.training import free

    while call := _next():
        function, arguments = call
        function(*arguments)
        free()


def _next() -> Any:
    try:
        return agreed(None)
    except RuntimeError:
        sys.exit(1)


def agreed(value: T) -> T:
    """The value that the first process gives; it is in all of them once all have come here."""
    if count() == 1:
        return value
    from torch.distributed import broadcast_object_list

    values = [value]
    broadcast_object_list(values, src=0, group=_channel())
    return values[0]


@cache
def _channel() -> Any:
    """The group by which the first tells the others; made when all of them have come here.

    It is one of its own, through the CPU, because those of the training do not wait for so long.
    """
    import torch
    from accelerate import PartialState

    # With a GPU it makes the process's own the current one, where `kb.llm.weights` puts the model.
    PartialState(cpu=not torch.cuda.is_available())
    return torch.distributed.new_group(backend="gloo", timeout=WAIT)
