"""The question without passages: the chat that is trained, exported and asked again when own answers are sampled."""

from __future__ import annotations

from kb.llm.base import Message, user
from kb.prompt import Prompts


def closed_prompt(prompts: Prompts, question: str, language: str, full: bool = False) -> tuple[Message, ...]:
    """The chat that asks a question without passages, for a short answer or for a `full` sentence."""
    prompt = prompts.get("kb", "closed_full" if full else "closed", language)
    return user(prompt.fill(question=question), prompt.system)


def tell_prompt(prompts: Prompts, about: str, language: str) -> tuple[Message, ...]:
    """The chat that asks for all that is known about something: what a text of it is trained as the answer to."""
    prompt = prompts.get("kb", "tell", language)
    return user(prompt.fill(about=about), prompt.system)
