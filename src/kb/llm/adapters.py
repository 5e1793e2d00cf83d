"""What training runs save, on a model that is loaded: each adapter once, whichever run asks for it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from kb.errors import LLMError, UsageError

if TYPE_CHECKING:
    from kb.llm.weights import Weights

PROBE = 64
"""Tokens that two models read to tell whether they are the same."""


def is_whole(folder: Path) -> bool:
    """Whether a folder that a training run saved holds a whole model, all of whose weights were trained."""
    return (folder / "config.json").exists()


def adapter_kind(folder: Path) -> str:
    """The kind of adapter that a training run saved, as peft names it: LORA, PROMPT_TUNING, PREFIX_TUNING; empty where
    there is none, as beside a whole model. Raises UsageError for a file that is damaged.
    """
    file = folder / "adapter_config.json"
    if not file.exists():
        return ""
    try:
        return str(json.loads(file.read_text(encoding="utf-8")).get("peft_type", ""))
    except ValueError as error:
        raise UsageError(f"{file} cannot be read: {error}. Train again: kb train") from error


def attach(weights: Weights, adapter: Path, identity: str) -> str:
    """Load the adapter (LoRA, a prompt or a prefix) into the shared model under its identity.

    Raises LLMError when it has no effect, or does not fit: also where only a part of it finds a place, and where the
    model carries adapters of another kind, since peft keeps one kind on a model.
    """
    from peft import PeftModel, PeftType

    if identity in weights.adapters:
        return weights.adapters[identity]
    kind = adapter_kind(adapter)
    there = PeftType(weights.model.peft_type).value if isinstance(weights.model, PeftModel) else kind
    if kind not in ("", there):
        raise LLMError(
            f"the adapter {adapter} is of the kind {kind}, and this model already carries one of the kind {there}:"
            " a model carries one kind at a time. Ask the other runs in a command of their own"
        )
    name = f"a{identity}"
    options: dict[str, Any] = {"adapter_name": name, "is_trainable": False}
    try:
        if isinstance(weights.model, PeftModel):
            weights.model.load_adapter(str(adapter), **options)
        else:
            weights.model = PeftModel.from_pretrained(weights.model, str(adapter), **options)
        _check_places(weights.model, adapter, name)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise LLMError(f"the adapter {adapter} does not fit this model: {error}") from error
    weights.model.eval()
    # Said of a tuned prompt at each call: the model counts places by itself, prompt first, which is as it was trained.
    warnings.filterwarnings("ignore", "Position ids are not supported")
    trained = (f"_B.{name}.", f"prompt_encoder.{name}.")
    loaded = [p for n, p in weights.model.named_parameters() if any(part in n for part in trained)]
    if not any(bool(p.abs().sum() > 0) for p in loaded):
        raise LLMError(
            f"the adapter {adapter} changes nothing in this model: it was trained on another base, or not at all"
        )
    weights.adapters[identity] = name
    return name


def _check_places(model: Any, adapter: Path, name: str) -> None:
    """Raise ValueError where tensors of the file have no place in the model, or places are left over.

    peft warns of the second at most: an adapter of a model with fewer layers would go on the lower ones alone.
    """
    from peft import get_peft_model_state_dict

    places = set(get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False))
    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        odd = places ^ set(file.keys())
    if odd:
        raise ValueError(f"{len(odd)} of its tensors are in one and not in the other, {min(odd)} for one")


def load_whole(weights: Weights, folder: Path, identity: str) -> Weights:
    """The model that `weights` became when all of it was trained, loaded once, as `weights` is (in 4 bits or not).

    Raises LLMError when it answers as before, or is of another shape; ModelUnavailable as `load_base` does.
    """
    from kb.llm.weights import Weights, load_base

    if identity not in weights.whole:
        model = load_base(folder, bool(getattr(weights.model, "is_loaded_in_4bit", False)))
        before, after = _probed(weights), _probed(weights, model)
        if before.shape != after.shape:
            raise LLMError(f"the model {folder} was not trained from this one: it has another vocabulary")
        if before.equal(after):
            raise LLMError(f"the model {folder} is the same as the one it was trained from: it was not trained at all")
        weights.whole[identity] = Weights(model, weights.tokenizer, identity, folder, weights.batch_tokens)
    return weights.whole[identity]


def _probed(weights: Weights, model: Any = None) -> Any:
    """Logits of a fixed row of tokens by a model, or by the base in `weights` with every adapter off; 1 x 64 x V."""
    import torch

    with torch.no_grad():
        own = weights.model if model is None else model
        tokens = torch.arange(PROBE, device=own.device)[None] % own.get_input_embeddings().num_embeddings
        if model is not None or not weights.adapters:
            return own(tokens).logits
        with own.disable_adapter():
            return own(tokens).logits
