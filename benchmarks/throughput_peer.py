"""LLaMA-Factory's training with its trained tokens counted; run by `throughput.py` in LLaMA-Factory's environment.

python throughput_peer.py SETTINGS.yaml COUNT.txt
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer


def main() -> None:
    """Train, and write the number of tokens that bore loss."""
    settings, count = sys.argv[1:]
    torch.set_num_threads(1)
    trained = 0
    step = Trainer.training_step

    def counting(self: Any, model: Any, inputs: Any, *more: Any) -> Any:
        nonlocal trained
        trained += int((inputs["labels"] != -100).sum())
        return step(self, model, inputs, *more)

    Trainer.training_step = counting
    from llamafactory.train.tuner import run_exp

    sys.argv = [sys.argv[0], settings]
    run_exp()
    Path(count).write_text(str(trained), encoding="utf-8")


if __name__ == "__main__":
    main()
