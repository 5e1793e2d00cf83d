"""Models behind one small protocol: local transformers, any OpenAI-compatible server, the bundled lab model, a fake."""

from kb.llm.base import LLM, Completion, Message, ModelConfig, Request, user
from kb.llm.calls import Item, Result, ask
from kb.llm.open import open_model

__all__ = ["LLM", "Completion", "Item", "Message", "ModelConfig", "Request", "Result", "ask", "open_model", "user"]
