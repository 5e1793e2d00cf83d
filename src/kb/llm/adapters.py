"""LoRA adapters on a model that is loaded: each once, whichever run asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from kb.errors import LLMError

if TYPE_CHECKING:
    from kb.llm.local import Weights


def attach(weights: Weights, adapter: Path, identity: str) -> str:
    """Load the adapter into the shared model under its identity. Raises LLMError when it has no effect or cannot."""
    from peft import PeftModel

    if identity in weights.adapters:
        return weights.adapters[identity]
    name = f"a{identity}"
    options: dict[str, Any] = {"adapter_name": name, "is_trainable": False}
    try:
        if isinstance(weights.model, PeftModel):
            weights.model.load_adapter(str(adapter), **options)
        else:
            weights.model = PeftModel.from_pretrained(weights.model, str(adapter), **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise LLMError(f"the adapter {adapter} does not fit this model: {error}") from error
    weights.model.eval()
    loaded = [p for n, p in weights.model.named_parameters() if "lora_" in n and f"_B.{name}" in n]
    if not any(bool(p.abs().sum() > 0) for p in loaded):
        raise LLMError(
            f"the adapter {adapter} changes nothing in this model: it was trained on another base, or not at all"
        )
    weights.adapters[identity] = name
    return name
