"""What a server's replies and errors mean: an answer, or a failure and what to make of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openai

from kb.llm.base import Completion
from kb.llm.limit import retry_after
from kb.text.replies import without_thinking

TRY_AGAIN = frozenset({408, 409, 429})
"""Client errors that another try may cure; every 5xx is one too."""
TEMPLATE = "Jinja"
"""What llama.cpp says, under status 500, of a chat that the model's template refuses."""
SCHEMA = re.compile("response.?format|schema|grammar|guided|structured", re.IGNORECASE)
"""What servers call it that they cannot do."""
HEADER = re.compile(r"^\s*<\|im_start\|>\s*assistant\s*")
"""What `transformers serve` leaves of the prompt before the answer of a tokenizer that decodes with spaces."""
THINKING = (
    "cut off while thinking: switch the model's thinking mode off at the server"
    " (vLLM: --default-chat-template-kwargs, llama.cpp: --reasoning-budget 0, transformers: --reasoning off) or, for"
    ' Ollama, in kb.toml: reasoning_effort = "none" under [model]'
)


@dataclass(frozen=True)
class Failure:
    """Why a try gave no answer, and what that says about the next one."""

    reason: str
    again: bool = True
    """Whether another try may help."""
    overload: bool = False
    """Whether the server has too much to do."""
    pause: float = 0.0
    """Seconds the server asks to wait."""
    unreachable: bool = False
    """Whether nothing took the connection."""


def read_answer(content: bytes, stop: Sequence[str]) -> Completion | Failure:
    """A chat completion, with the header, the thinking and the stop strings cut off that some servers leave in.

    Missing token counts are 0. What is not JSON or has no choices is a failure worth another try; an answer that the
    server's content filter cut is an error. A refusal is text like any other.
    """
    try:
        body = json.loads(content)
        choice, message = body["choices"][0], body["choices"][0]["message"]
        raw = _text(message.get("content") or message.get("refusal"))
    except ValueError:
        return Failure("the reply is not JSON")
    except (KeyError, IndexError, TypeError, AttributeError):
        said = body.get("error") if isinstance(body, dict) else None
        return Failure(f"the reply has no choices: {_line(said)}" if said else "the reply has no choices")
    text = without_thinking(HEADER.sub("", raw))
    cuts = [text.find(mark) for mark in stop if mark in text]
    text = (text[: min(cuts)] if cuts else text).strip()
    tokens = _count(body, "prompt_tokens"), _count(body, "completion_tokens")
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        return Completion("", "error", "the server's content filter stopped the answer", *tokens)
    if finish == "length" and not cuts:
        thought = raw or message.get("reasoning_content") or message.get("reasoning")
        return Completion(text, "length", THINKING if thought and not text else "", *tokens)
    return Completion(text, "stop", "", *tokens)


def explain(error: openai.APIStatusError | openai.APIConnectionError) -> Failure:
    """What an error of the openai package says about the next try."""
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        again = (status >= 500 or status in TRY_AGAIN) and TEMPLATE not in _said(error)
        busy = again and status != 409
        pause = retry_after(error.response.headers) if again else 0.0
        return Failure(f"HTTP {status}: {_said(error)}", again, overload=busy, pause=pause)
    cause = type(error.__cause__).__name__
    why = str(error.__cause__ or error)
    if cause in ("ConnectError", "ConnectTimeout"):
        return Failure(f"no connection: {why or cause}", unreachable=True)
    if isinstance(error, openai.APITimeoutError):
        return Failure("no answer within the timeout", overload=True)
    return Failure(f"connection broken: {why or cause}")


def refuses_schema(failure: Failure) -> bool:
    """Whether it is the JSON schema of a request that a server does not take, and not its prompt."""
    return not failure.again and bool(SCHEMA.search(failure.reason))


def _said(error: openai.APIStatusError) -> str:
    """The server's own words, on one line of at most 300 characters."""
    text = _line(error.body)
    return error.response.reason_phrase if not text or text.startswith("<") else text


def _line(body: object) -> str:
    """An error's message in the forms that servers give it."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body
    return " ".join(str(body or "").split())[:300]


def _text(content: object) -> str:
    """A message's content, which may come in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content)
    return str(content or "")


def _count(body: dict[str, Any], key: str) -> int:
    usage = body.get("usage")
    count = usage.get(key) if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0


def read_models(content: bytes) -> list[dict[str, Any]]:
    """The entries of a list of models; empty for a reply of another form."""
    try:
        body = json.loads(content)
    except ValueError:
        return []
    data = body.get("data") if isinstance(body, dict) else None
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []
