"""What a model on disk is made of, loaded: its tokenizer, its weights, and where they are put."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from kb.errors import ModelUnavailable
from kb.llm.four_bits import exact_on_cpu, nf4
from kb.llm.identity import combine, folder_identity
from kb.llm.memory import out_of_memory
from kb.store import Store


@dataclass
class Weights:
    """A loaded model with its tokenizer, shared by every adapter on it."""

    model: Any
    tokenizer: Any
    identity: str
    folder: Path
    batch_tokens: int
    """Prompt and answer tokens in one batch; halved when memory runs out, and remembered."""
    adapters: dict[str, str] = field(default_factory=dict)
    """Adapter identity to its name inside the peft model."""
    whole: dict[str, Weights] = field(default_factory=dict)
    """Identity to the weights of models that this one became when all its weights were trained."""


def compute_dtype() -> torch.dtype:
    """bf16 where the GPU has it, else fp32 (fp16 without loss scaling overflows in training)."""
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32


def device_map() -> dict[str, int | str]:
    """Where a model is put: on the GPU of this process, the first unless it was given another, or on the CPU."""
    return {"": torch.cuda.current_device()} if torch.cuda.is_available() else {"": "cpu"}


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer with its chat template. Raises ModelUnavailable when it cannot be read or has no template."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{folder}: the tokenizer cannot be loaded: {error}") from error
    if tokenizer.chat_template is None:
        raise ModelUnavailable(f"the tokenizer in {folder} has no chat template: take an instruct or chat model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path, load_in_4bit: bool, dtype: torch.dtype | None = None) -> Any:
    """The causal LM in `folder`, in evaluation mode, on the GPU if there is one; in `compute_dtype` unless told.

    Raises ModelUnavailable when it cannot be read, does not fit into memory, or when bitsandbytes' CPU kernels would be
    silently wrong: a width that is no multiple of 64.
    """
    disable_progress_bar()
    dtype = dtype or compute_dtype()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, quantization_config=nf4(dtype) if load_in_4bit else None,
            device_map=device_map(), local_files_only=True,
        )  # fmt: skip
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelUnavailable(f"{folder}: the model cannot be loaded: {error}") from error
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise ModelUnavailable(
            f"{folder} does not fit into memory. Take a smaller model, or set load_in_4bit = true under [model]."
        ) from error
    if load_in_4bit and not torch.cuda.is_available():
        exact_on_cpu(model, folder)
    return model.eval()


def weights_identity(folder: Path, load_in_4bit: bool, store: Store | None) -> str:
    """What the model in `folder` is once it is loaded like this; see `kb.llm.LLM.identity`."""
    return combine([folder_identity(folder, store), f"nf4={load_in_4bit}", str(compute_dtype())])


def load_weights(folder: Path, load_in_4bit: bool, batch_tokens: int, store: Store | None) -> Weights:
    """Load tokenizer and model, and hash what they are. Raises ModelUnavailable as `load_base` does."""
    tokenizer, identity = load_tokenizer(folder), weights_identity(folder, load_in_4bit, store)
    return Weights(load_base(folder, load_in_4bit), tokenizer, identity, folder, batch_tokens)
