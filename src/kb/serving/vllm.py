"""The vLLM server that `kb serve --engine vllm` starts, or that a user starts elsewhere."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from kb.llm.base import ModelConfig
from kb.runs import Run
from kb.serving.engines import BASE

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes for --max-lora-rank."""
THINKING_OFF = "{%- set enable_thinking = false %}"


def template(chat_template: str) -> str:
    """The model's chat template with thinking mode off, as kb trains and asks."""
    return THINKING_OFF + chat_template


def command(
    base: Path, runs: Sequence[Run], model: ModelConfig, template_file: Path, host: str, port: int
) -> list[str]:
    """The command line of a vLLM server that has the base as `base` and each run's adapter under its name.

    The model's own generation config is left out: its repetition penalty would punish copying from passages.
    """
    words = ["vllm", "serve", str(base), "--served-model-name", BASE, "--host", host, "--port", str(port)]
    words += ["--chat-template", str(template_file), "--generation-config", "vllm"]
    if model.load_in_4bit:
        words += ["--quantization", "bitsandbytes"]
    if runs:
        rank = next((rank for rank in RANKS if rank >= max(map(_rank, runs))), RANKS[-1])
        words += ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", str(len(runs))]
        words += ["--lora-modules", *(f"{run.name}={run.adapter}" for run in runs)]
    return words


def _rank(run: Run) -> int:
    config = json.loads((run.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    return max(map(int, [config["r"], *config.get("rank_pattern", {}).values()]))


def shown(words: Sequence[str]) -> str:
    """The command line as one would type it."""
    return shlex.join(words)
