"""The part of OpenAI's chat protocol that `kb serve` speaks: what is posted, and the documents that go back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from openai.types import CompletionUsage, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, Field

from kb.chat import ANSWER_TOKENS
from kb.errors import UsageError
from kb.llm.base import Completion, Message
from kb.retrieval.hybrid import Hit
from kb.serving.asking import Answer, Asked

REFUSED = ("tools", "functions", "response_format", "logprobs", "audio")
"""What would change the answer and is not offered; whatever else a client sends is left aside."""


class Part(BaseModel):
    """A part of a message's content."""

    type: str
    text: str = ""


class Turn(BaseModel):
    """A message as it is posted."""

    role: str
    content: str | list[Part] | None = None

    def message(self) -> Message:
        """The message. Raises UsageError for content that is no text."""
        parts = [Part(type="text", text=self.content)] if isinstance(self.content, str) else self.content or []
        if any(part.type != "text" for part in parts):
            raise UsageError("the content of a message may be text alone")
        return Message(self.role, "".join(part.text for part in parts))


class Posted(BaseModel, extra="allow"):
    """The body of POST /v1/chat/completions. Without a temperature the answer is greedy, as in the evaluation."""

    model: str
    messages: list[Turn] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    n: Literal[1, None] = None

    def asked(self) -> Asked:
        """The question in it. Raises UsageError for what kb does not offer, and where the last turn asks nothing."""
        wanted = [key for key in REFUSED if (self.model_extra or {}).get(key)]
        if wanted and (self.model_extra or {})[wanted[0]] != {"type": "text"}:
            raise UsageError(f"kb serve does not offer {wanted[0]}")
        messages = tuple(turn.message() for turn in self.messages)
        if messages[-1].role != "user" or not messages[-1].content.strip():
            raise UsageError("the last message must be a question of the user's")
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Asked(
            self.model, messages, self.max_completion_tokens or self.max_tokens or ANSWER_TOKENS,
            self.temperature or 0.0, self.seed or 0, tuple(stop for stop in stops if stop),
        )  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A passage that was shown, as `kb_sources` has it."""

    id: str
    header: str
    page: int
    text: str


def sources(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """The passages in the order they were shown."""
    chunks = [hit.chunk for hit in hits]
    return [asdict(Source(chunk.id, chunk.header, chunk.page, chunk.text)) for chunk in chunks]


def listing(names: Sequence[str]) -> dict[str, Any]:
    """The answer to GET /v1/models."""
    models = [Model(id=name, object="model", created=0, owned_by="kb").model_dump() for name in names]
    return {"object": "list", "data": models}


def completion(id: str, model: str, answer: Answer) -> dict[str, Any]:
    """A whole answer, with `kb_sources` beside what OpenAI's protocol has."""
    choice = {
        "index": 0, "finish_reason": answer.done.finish,
        "message": {"role": "assistant", "content": answer.done.text},
    }  # fmt: skip
    found = ChatCompletion.model_validate(
        {"id": id, "object": "chat.completion", "created": int(time.time()), "model": model, "choices": [choice]}
        | {"usage": _usage(answer.done), "kb_sources": sources(answer.sources)}
    )
    return found.model_dump(exclude_none=True)


def piece(id: str, model: str, text: str = "", answer: Answer | None = None) -> str:
    """An event of a stream: a piece of the text, or with the answer the end of it."""
    choice: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    extra: dict[str, Any] = {}
    if answer:
        choice |= {"delta": {}, "finish_reason": answer.done.finish}
        extra = {"usage": _usage(answer.done), "kb_sources": sources(answer.sources)}
    chunk = ChatCompletionChunk.model_validate(
        {"id": id, "object": "chat.completion.chunk", "created": int(time.time()), "model": model, "choices": [choice]}
        | extra
    )
    return f"data: {chunk.model_dump_json(exclude_none=True)}\n\n"


def _usage(done: Completion) -> CompletionUsage:
    used = done.prompt_tokens + done.completion_tokens
    return CompletionUsage(
        prompt_tokens=done.prompt_tokens, completion_tokens=done.completion_tokens, total_tokens=used
    )
