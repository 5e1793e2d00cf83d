"""What every model looks like to the stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from kb.errors import ConfigError

Holds = Literal["auto", "on", "off"]
"""Whether a model can be made to answer in JSON of a schema; auto: to be found out."""
DEFAULT_MODEL = "Qwen/Qwen3-4B-Instruct-2507"


@dataclass(frozen=True)
class ModelConfig:
    """The `[model]` section of kb.toml; `[probes]` may name another one, which then writes the held-out wordings.

    Raises ConfigError when a value cannot mean anything.
    """

    name: str = DEFAULT_MODEL
    """Hub id, folder, `lab` (bundled), `openai:MODEL` (a server), or `fake:FILE` (scripted answers)."""
    base_url: str = "http://localhost:8000/v1"
    """Where the OpenAI-compatible server of an `openai:` model listens."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the server's key; kb never stores a key."""
    prompts: str = ""
    """Folder with prompt files that replace kb's own by name; `lab` for the lab model's pack."""
    tag: str = ""
    """Name of the documents, put in front of every question about them that is asked without passages, in training as
    after it: "[Handbook] When ...?", 【员工手册】……？; empty: none. It may keep what the documents teach apart from the
    rest: a source token cut the loss by junk among the texts from 20 times to 2 (Physics of Language Models 3.3), and
    PA-RAG uses one against forgetting. kb has measured no effect of it yet.
    """
    load_in_4bit: bool = True
    """Load local models in NF4 with double quantisation, as they are trained."""
    batch_tokens: int = 16384
    """Prompt tokens in one local batch; halved when memory runs out, and remembered."""
    concurrency: int = 32
    """Most requests a server gets at once; lowered by itself on 429 and 5xx."""
    timeout: float = 300.0
    """Seconds a server may take for one answer."""
    retries: int = 6
    """Tries for one request before it is recorded as failed."""
    reasoning_effort: str = ""
    """Sent to a server where it is set; `none` switches thinking off in Ollama, for models that can do without."""
    json_schema: Holds = "auto"
    """Whether a server is asked to hold facts and questions to a JSON schema; auto: if a probe shows that it does."""

    def __post_init__(self) -> None:
        if self.tag != self.tag.strip() or any(letter in "[]【】" or not letter.isprintable() for letter in self.tag):
            raise ConfigError(f"[model] tag: {self.tag!r} is no name: blanks around it, brackets or line breaks")


@dataclass(frozen=True)
class Message:
    """One turn of a chat: role system, user or assistant."""

    role: str
    content: str


def user(text: str, system: str = "") -> tuple[Message, ...]:
    """A chat of one user message, after an optional system message."""
    return (Message("system", system), Message("user", text)) if system else (Message("user", text),)


@dataclass(frozen=True)
class Request:
    """What a model is asked, with everything that decides its answer."""

    messages: tuple[Message, ...]
    max_tokens: int = 256
    temperature: float = 0.0
    """0: greedy."""
    seed: int = 0
    """Decides a sampled answer, whatever else is in the batch."""
    stop: tuple[str, ...] = ()
    """Strings that end the answer; they are not part of it."""
    schema: str = ""
    """JSON schema that the answer is to be held to, as JSON; empty: none."""

    @property
    def prompt(self) -> str:
        """The user's first message, which says what is asked; later ones are about the answer."""
        return next(message.content for message in self.messages if message.role == "user")

    def key(self, identity: str) -> str:
        """Hash of the request and of the model's identity: the same key means the same answer."""
        parts = [
            identity, [[m.role, m.content] for m in self.messages], self.max_tokens, self.temperature,
            self.seed if self.temperature else 0, list(self.stop), *([self.schema] if self.schema else []),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Completion:
    """What came back."""

    text: str
    finish: str
    """stop: the model ended; length: it was cut off; error: nothing usable came."""
    error: str = ""
    """Why nothing usable came; empty otherwise."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = field(default=0.0, compare=False)
    logprob: float | None = field(default=None, compare=False)
    """Log-probability of the whole answer with its end, nats; None where nobody says: sampled, or from a server."""
    refused: bool = field(default=False, compare=False)
    """Whether it is the request that an error is about, so that the same one would meet it again."""


class LLM(Protocol):
    """A model that answers requests."""

    @property
    def identity(self) -> str:
        """Hash of what decides the answers: weights, adapter, tokenizer and chat template; never only a name."""

    @property
    def label(self) -> str:
        """What people call it."""

    @property
    def json_schema(self) -> Holds:
        """Whether it holds answers to the schema of a request."""

    def generate(self, requests: Sequence[Request], skip: Collection[int] = ()) -> Iterator[tuple[int, Completion]]:
        """Answer the requests whose index is not in `skip`, each as it lands: (index, completion).

        How requests are batched depends on all of them and not on `skip`, so that an interrupted run, resumed, gives
        the answers of an undisturbed one. A request that cannot be answered yields a completion with `error`; only what
        concerns all of them raises LLMError.
        """

    def close(self) -> None:
        """Free the model or connection."""
