"""The 4-bit base with a LoRA adapter to train: the one file here that knows peft and bitsandbytes."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoConfig, GenerationConfig

from kb.finetune.config import TrainConfig
from kb.llm.local import load_base

REFERENCE = "ref"
"""Name that TRL gives to DPO's frozen copy of the adapter."""


def lora(config: TrainConfig) -> LoraConfig:
    """LoRA on every linear layer; attention alone is clearly worse for knowledge (LoRA Without Regret, 2025)."""
    return LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def model_config(folder: Path) -> Any:
    """The configuration of the text model in a folder, without its weights."""
    return AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()


def stop_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer when the model in `folder` generates: Gemma's turns, say, end in none of its `eos`."""
    ends = {tokenizer.eos_token_id}
    if (folder / "generation_config.json").exists():
        named = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
        ends |= set(named if isinstance(named, list) else [named])
    return frozenset(ends - {None})


def trainable_base(folder: Path, load_in_4bit: bool) -> Any:
    """The model, still without an adapter, to be trained."""
    return load_base(folder, load_in_4bit).train()


def trainable_adapter(base: Any, adapter: Path) -> Any:
    """The base with a saved adapter that goes on training; TRL then takes a frozen copy of it as the DPO reference."""
    return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)


def adapters_to_fp32(model: Any) -> int:
    """Cast what is trained to fp32 and return how many parameters that is.

    TRL 1.16 casts the adapters of a quantised model to bf16, whose spacing near a typical weight (6e-5 at 0.008) is
    wider than most updates: at DPO's learning rate fewer than 3% of the weights move at all. What the cast has rounded
    is taken back from DPO's reference copy, which TRL makes before it.
    """
    count = 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        parameter.data = parameter.data.float()
        if REFERENCE in model.peft_config:
            parameter.data.copy_(model.get_parameter(name.replace(".default.", f".{REFERENCE}.")).data)
        count += parameter.numel()
    return count


def save_adapter(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save the trained adapter alone (not DPO's frozen reference copy), with the tokenizer and chat template.

    The folder appears whole or not at all; what a killed attempt left is removed. The same weights give the same files.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    # A set, whose order differs between processes, would be written as it comes.
    config = model.peft_config["default"]
    config.target_modules = sorted(config.target_modules)
    model.save_pretrained(str(part), selected_adapters=["default"], save_embedding_layers=False)
    tokenizer.save_pretrained(str(part))
    # A form to be filled in, which would pass for a description.
    (part / "README.md").unlink(missing_ok=True)
    part.rename(folder)


def merge(base: Any, adapter: Path, dtype: Any) -> Any:
    """The base, which is not quantised and is used up, with the adapter merged into its weights, in a torch `dtype`.

    Each matrix is merged in fp32 and rounded once, so that only one at a time takes four bytes a weight. Raises
    ValueError where a merged weight is not a number.
    """
    model = PeftModel.from_pretrained(base, str(adapter))
    for layer in [module for module in model.modules() if isinstance(module, LoraLayer)]:
        matrix = layer.get_base_layer().float()
        layer.merge(safe_merge=True)
        matrix.to(dtype)
    with warnings.catch_warnings():
        # It says of every matrix that it is merged already.
        warnings.simplefilter("ignore", UserWarning)
        return model.merge_and_unload().to(dtype)
