"""Models behind one small protocol: local transformers, any OpenAI-compatible server, the bundled lab model, a fake."""

from kb.llm.base import LLM, Completion, Message, ModelConfig, Request, user
from kb.llm.calls import ask
from kb.llm.open import open_model
from kb.llm.pending import NOT_ASKED, Item, Result, Step

__all__ = [
    "LLM", "NOT_ASKED", "Completion", "Item", "Message", "ModelConfig", "Request", "Result", "Step", "ask",
    "open_model", "user",
]  # fmt: skip
