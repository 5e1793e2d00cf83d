"""How far training moves the model from its base on general prompts: the tokens that it would still choose, and KL.

Both are measured on the base's own greedy answers, which the model is led along (teacher forcing). What the base said
and how likely it found it is computed once, before the first step, and kept: after it a fully tuned base is gone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kb.llm.base import Request
from kb.llm.local import LocalLLM

TOKENS = 64
"""Most tokens of a general answer."""
LIKELIEST = 256
"""Tokens of the base whose probabilities are kept at each place; all others count as one. That makes the KL a lower
bound (data processing inequality), which a base that is sure of its greedy answers leaves little room under."""


@dataclass(frozen=True)
class Base:
    """What the base was before the first step."""

    answers: tuple[tuple[int, ...], ...]
    """Tokens of its answer to each general prompt, its end among them; none where the prompt does not fit."""
    likeliest: torch.Tensor
    """Token ids, (tokens of all answers, up to `LIKELIEST`), the likeliest first."""
    logprobs: torch.Tensor
    """Their log-probabilities, nats."""
    knows: frozenset[str]
    """Which of the questions about what it may know it answered right."""


@dataclass(frozen=True)
class Drift:
    """How a model stands to its base."""

    agreement: float
    """Share of the tokens that are the model's likeliest as they were the base's."""
    kl: float
    """KL(base || model), nats a token."""
    tokens: int


@torch.no_grad()
def measure_base(llm: LocalLLM, prompts: Sequence[Request], knows: Collection[str]) -> Base:
    """The base as the model is now; `knows` is only kept with it."""
    done = dict(llm.generate(prompts))
    answers, ids, values = [], [], []
    for number, prompt in enumerate(prompts):
        answer = () if done[number].error else _tokens(llm, done[number].text, done[number].finish)
        answers.append(answer)
        if answer:
            top = _logprobs(llm, prompt, answer).topk(min(LIKELIEST, llm.weights.model.config.vocab_size))
            ids.append(top.indices.to("cpu", torch.int32))
            values.append(top.values.to("cpu"))
    return Base(tuple(answers), torch.cat(ids), torch.cat(values), frozenset(knows))


@torch.no_grad()
def measure_drift(llm: LocalLLM, prompts: Sequence[Request], base: Base) -> Drift | None:
    """The model as it is now against its base; None where the base answered no prompt."""
    agreed, divergence, place = 0.0, 0.0, 0
    for prompt, answer in zip(prompts, base.answers, strict=True):
        if answer:
            rows = slice(place, place + len(answer))
            logprobs = _logprobs(llm, prompt, answer)
            ids = base.likeliest[rows].long().to(logprobs.device)
            agreed += float((logprobs.argmax(-1) == ids[:, 0]).sum())
            divergence += float(_divergence(base.logprobs[rows].to(logprobs.device), logprobs.gather(1, ids)))
            place += len(answer)
    return Drift(agreed / place, divergence / place, place) if place else None


def _divergence(base: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """Sum over places of KL in nats, of log-probabilities of the same tokens; what is left of 1 is one token more."""
    base, model = base.double(), model.double()
    rest = [(1 - logs.exp().sum(-1, keepdim=True)).clamp(min=1e-12).log() for logs in (base, model)]
    whole, other = torch.cat([base, rest[0]], -1), torch.cat([model, rest[1]], -1)
    return (whole.exp() * (whole - other)).sum()


def _tokens(llm: LocalLLM, text: str, finish: str) -> tuple[int, ...]:
    """An answer in tokens, with the end that the model gave it."""
    tokenizer = llm.weights.tokenizer
    end = [tokenizer.eos_token_id] if finish == "stop" else []
    return (*tokenizer.encode(text, add_special_tokens=False), *end)


def _logprobs(llm: LocalLLM, prompt: Request, answer: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of all tokens at each place of an answer, (tokens, vocabulary), fp32.

    One answer at a time: with a large vocabulary the logits of a batch would be gigabytes.
    """
    model: Any = llm.weights.model
    ids = torch.tensor([[*llm.prompt_ids(prompt), *answer]], device=model.device)
    with llm.active():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), logits_to_keep=len(answer) + 1).logits
    return torch.log_softmax(logits[0, -len(answer) - 1 : -1].float(), -1)


def save_base(file: Path, base: Base) -> None:
    """Write what is kept of the base, whole or not at all."""
    part = file.with_name(f".{file.name}.part")
    said = {"answers": json.dumps(base.answers), "knows": json.dumps(sorted(base.knows))}
    save_file({"likeliest": base.likeliest, "logprobs": base.logprobs}, part, said)
    part.replace(file)


def load_base(file: Path) -> Base:
    """What `save_base` wrote."""
    with safe_open(file, "pt") as found:
        said = found.metadata()
        answers = tuple(tuple(answer) for answer in json.loads(said["answers"]))
        knows = frozenset(json.loads(said["knows"]))
        return Base(answers, found.get_tensor("likeliest"), found.get_tensor("logprobs"), knows)
