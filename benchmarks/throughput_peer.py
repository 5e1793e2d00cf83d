"""LLaMA-Factory's training, timed, with its trained tokens counted; run by `throughput.py` in its environment.

python throughput_peer.py SETTINGS.yaml COUNT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer


def main() -> None:
    """Train, and write how many tokens bore loss, and the processor's seconds for the loop."""
    settings, count = sys.argv[1:]
    torch.set_num_threads(1)
    trained, seconds = 0, 0.0
    step, whole = Trainer.training_step, Trainer.train

    def counting(self: Any, model: Any, inputs: Any, *more: Any) -> Any:
        nonlocal trained
        trained += int((inputs["labels"] != -100).sum())
        return step(self, model, inputs, *more)

    def timed(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal seconds
        began = time.process_time()
        done = whole(self, *args, **options)
        seconds = time.process_time() - began
        return done

    Trainer.training_step, Trainer.train = counting, timed
    from llamafactory.train.tuner import run_exp

    sys.argv = [sys.argv[0], settings]
    run_exp()
    Path(count).write_text(json.dumps({"seconds": seconds, "trained": trained}), encoding="utf-8")


if __name__ == "__main__":
    main()
