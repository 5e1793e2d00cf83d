"""Weights in 4 bits, by bitsandbytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from kb.errors import ModelUnavailable


def nf4(dtype: torch.dtype) -> BitsAndBytesConfig:
    """NF4 with double quantisation, as in QLoRA (Dettmers et al. 2023, arXiv 2305.14314), computed in `dtype`."""
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def exact_on_cpu(model: Any, folder: Path) -> None:
    """Have a model in 4 bits on a CPU computed as it is trained, whatever was asked before.

    Where the CPU knows bf16, bitsandbytes packs the weights anew when they are first asked, with scales in bf16, and
    unpacks them, with a loss, whenever an adapter is loaded. Raises ModelUnavailable, naming the folder, where its CPU
    kernels would be silently wrong: a width that is no multiple of 64.
    """
    for name, module in model.named_modules():
        if "4bit" not in type(module).__name__:
            continue
        module.support_avx512bf16_for_cpu = False
        if module.in_features % 64:
            raise ModelUnavailable(
                f"{folder}: {name} has a width that is not a multiple of 64, which 4-bit on CPU gets wrong."
                " Set load_in_4bit = false under [model]."
            )
