"""The cards that a plan can be made for, and what the one in this machine is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kb.errors import UsageError

GIB = 1 << 30
MFU = 0.35
"""Share of a card's peak that training reaches: Llama2-7B in 4 bits at 2k tokens on an A100 reached 37% in plain
transformers (LLaMA-Factory's wiki, April 2024). Many short rows a micro-batch reach half of it."""
CPU_SHARE = 0.75
"""Of the main memory, what a training run may count on: the system and other programs need some, too."""


@dataclass(frozen=True)
class Card:
    """Where a run is trained."""

    name: str
    gib: float
    """Memory to be had, GiB: of a card in this machine what is free, of one in the table what torch reports in all."""
    tflops: float
    """Peak of bf16 products without sparsity, in 10^12 operations a second; 0: unknown."""
    cpu: bool = False
    number_bytes: int = 2
    """Of a number in which models compute there: 2 in bf16, 4 in fp32."""


CARDS = {
    "3090": Card("3090", 23.7, 71.0),
    "4090": Card("4090", 23.6, 165.2),
    "5090": Card("5090", 31.4, 209.5),
    "a10-24": Card("a10-24", 22.1, 125.0),
    "l4-24": Card("l4-24", 22.0, 121.0),
    "a6000-48": Card("a6000-48", 47.5, 154.8),
    "l40s-48": Card("l40s-48", 44.4, 362.0),
    "a100-40": Card("a100-40", 39.4, 312.0),
    "a100-80": Card("a100-80", 79.2, 312.0),
    "h100-80": Card("h100-80", 79.1, 989.4),
    "h200-141": Card("h200-141", 139.8, 989.4),
}
"""By the name that `--gpu` takes. GiB as torch gives them in its messages when memory runs out, which is less than the
name says; TFLOP/s of NVIDIA's data sheets and white papers (GA102, AD102, Blackwell RTX, A10, L4, L40S, A100, H100 SXM,
H200 SXM), with fp32 accumulation and without sparsity, which the sheets double."""


def named_card(name: str) -> Card:
    """The card of a `--gpu`. Raises UsageError, listing those that are known."""
    card = CARDS.get(name.lower())
    if card is None:
        raise UsageError(f"--gpu: {name!r} is not in kb's table; there is: {', '.join(CARDS)}")
    return card


def peak_of(device: str, gib: float) -> float:
    """TFLOP/s of a device by the name that its driver gives it, 0 where the table has none like it.

    "NVIDIA A100-SXM4-80GB" is an a100; of several that the name fits, the one nearest in memory counts.
    """
    words = device.lower().replace("-", " ").split()
    like = [card for card in CARDS.values() if card.name.split("-")[0] in words]
    return min(like, key=lambda card: abs(card.gib - gib)).tflops if like else 0.0


def found_card() -> Card:
    """The GPU that kb trains on, with the memory that is free there now; without one the CPU, with its main memory."""
    import torch

    from kb.llm.weights import compute_dtype

    size = compute_dtype().itemsize
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return Card(name, free / GIB, peak_of(name, total / GIB), number_bytes=size)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    return Card(f"{_processor()}, threads: {torch.get_num_threads()}", memory * CPU_SHARE, 0.0, True, size)


def _processor() -> str:
    """What the processor is called, "CPU" where the system does not say."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
