"""The question without passages: the chat that is trained, exported and asked again when own answers are sampled."""

from __future__ import annotations

from collections.abc import Iterator

from kb.llm.base import Message, Request, user
from kb.prompt import Prompts
from kb.records import Rewrite
from kb.store import Store

ANSWER_TOKENS = 64
"""Token limit of a short answer without passages."""
PROMPTS = {"full": "closed_full", "detailed": "closed_detailed"}
"""Form of an answer to the prompt that asks for it; the others are asked for by `closed`."""


def closed_prompt(
    prompts: Prompts, question: str, language: str, form: str = "short", tagged: bool = True
) -> tuple[Message, ...]:
    """The chat that asks a question without passages for an answer of a form: short, a full sentence, or detailed.

    With `tagged`, as a question about the documents: what is asked to see what else the model knows has no tag.
    """
    prompt = prompts.get("kb", PROMPTS.get(form, "closed"), language)
    asked = _tagged(question, prompts.tag, language) if tagged else question
    return user(prompt.fill(question=asked), prompt.system)


def _tagged(text: str, tag: str, language: str) -> str:
    """The text with the documents' name before it, in the brackets of its language."""
    if not tag:
        return text
    return f"【{tag}】{text}" if language == "zh" else f"[{tag}] {text}"


def closed_request(prompts: Prompts, question: str, language: str, temperature: float = 0.0, seed: int = 0) -> Request:
    """The request for a short answer without passages."""
    return Request(closed_prompt(prompts, question, language), ANSWER_TOKENS, temperature, seed)


def told_texts(store: Store, prompts: Prompts) -> Iterator[tuple[Rewrite, str, tuple[Message, ...]]]:
    """Every text that tells a chunk in other words, what it is about, and the chat that it is trained as the answer to:
    the one that asks for all that is known about that.
    """
    rows = store.sql("SELECT id, header FROM chunks WHERE id IN (SELECT chunk_id FROM rewrites)")
    headers: dict[str, str] = {row["id"]: row["header"] for row in rows}
    for text in store.all(Rewrite):
        prompt, about = prompts.get("kb", "tell", text.language), headers[text.chunk_id]
        yield text, about, user(_tagged(prompt.fill(about=about), prompts.tag, text.language), prompt.system)
