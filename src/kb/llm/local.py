"""Causal LMs of transformers, on disk, with or without LoRA adapters; base and tuned share one set of weights."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import LogitsProcessorList

from kb.errors import LLMError
from kb.llm.adapters import attach, is_whole, load_whole
from kb.llm.base import Completion, Holds, Request
from kb.llm.chats import Chats, keeps_all, takes_places
from kb.llm.identity import combine, folder_identity
from kb.llm.memory import NO_MEMORY, halving
from kb.llm.prefixes import Row, batches, rows_of
from kb.llm.sampling import GreedyLikelihood, SeededSampling
from kb.llm.weights import Weights
from kb.store import Store
from kb.text.replies import without_thinking

PLAIN: dict[str, Any] = {
    "temperature": None, "top_p": None, "top_k": None, "num_beams": 1, "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0, "min_new_tokens": 0, "use_cache": True, "cache_implementation": None,
}  # fmt: skip
"""Undoes a model's own generation config: the answer is the argmax, or drawn by `SeededSampling`, and nothing else.

A repetition penalty, which Qwen2.5 brings along, punishes what the prompt says too, so copying from passages. Without a
cache, or with one of another kind, what prompts begin with would be read twice, or refused.
"""


class LocalLLM:
    """A model on this machine; `adapter` is a folder that a training run saved, or None for the base."""

    json_schema: Holds = "off"

    def __init__(self, weights: Weights, adapter: Path | None = None, store: Store | None = None) -> None:
        self.weights = weights
        self.label = weights.folder.name if adapter is None else f"{weights.folder.name}+{adapter.parent.name}"
        self._adapter = ""
        self.identity = weights.identity
        if adapter is not None:
            found = folder_identity(adapter, store)
            self.identity = combine([weights.identity, found])
            if is_whole(adapter):
                self.weights = load_whole(weights, adapter, found)
            else:
                self._adapter = attach(weights, adapter, found)

    def with_adapter(self, adapter: Path, store: Store | None = None) -> LocalLLM:
        """The same weights with an adapter on."""
        return LocalLLM(self.weights, adapter, store)

    def active(self) -> AbstractContextManager[Any]:
        """A context in which the underlying model computes as this one: its adapter on, or every adapter off."""
        model = self.weights.model
        if not self.weights.adapters:
            return nullcontext()
        if not self._adapter:
            off: AbstractContextManager[Any] = model.disable_adapter()
            return off
        model.set_adapter(self._adapter)
        return nullcontext()

    @property
    def _unpadded(self) -> bool:
        """Whether rows of a batch must be of one length: padding would stand between a tuned prompt and the rest."""
        return bool(self._adapter) and self.weights.model.peft_config[self._adapter].peft_type == "PROMPT_TUNING"

    @property
    def _shares(self) -> bool:
        """Whether what prompts begin with is computed once: not where an adapter stands before them, nor where a layer
        keeps something else than the keys and values of all tokens, nor where it counts the places of tokens by itself.
        """
        model = self.weights.model
        plain = not self._adapter or model.peft_config[self._adapter].peft_type == "LORA"
        return plain and keeps_all(model) and takes_places(model)

    def prompt_ids(self, request: Request) -> list[int]:
        """The request's chat in the model's own template, thinking mode off where the template has one.

        Raises LLMError when the template refuses the chat: some know no system message.
        """
        chat = [{"role": m.role, "content": m.content} for m in request.messages]
        try:
            encoded = self.weights.tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, enable_thinking=False, return_dict=True
            )
        except TemplateError as error:
            raise LLMError(f"the chat template of {self.label} refuses this chat: {error}") from error
        ids: list[int] = encoded["input_ids"]
        return ids

    def generate(
        self, requests: Sequence[Request], skip: Collection[int] = (), streamer: Any = None
    ) -> Iterator[tuple[int, Completion]]:
        """See `kb.llm.base.LLM.generate`. Batches hold requests of similar length; `streamer`, of transformers' kind,
        gets the tokens of a single one. Raises LLMError when the template refuses a chat without a turn of the model's.
        """
        ids: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            found = self._fitting_ids(request)
            if not isinstance(found, str):
                ids[index] = found
            elif index not in skip:
                yield index, Completion("", "error", found, refused=True)
        skipped = frozenset(skip)
        shared: dict[int, int] = {}

        def complete(batch: list[int]) -> list[Completion]:
            chats = Chats([ids[i] for i in batch], [shared[i] for i in batch])
            return self._complete(chats, [requests[i] for i in batch], streamer)

        for rows in self._plan(ids, requests):
            shared.update((row.index, row.shared) for row in rows)
            batch = [row.index for row in rows]
            if skipped.issuperset(batch):
                continue
            for index, done in halving(batch, complete, self.weights.batch_tokens, self._shrink):
                if index not in skipped:
                    yield index, done or Completion("", "error", NO_MEMORY, refused=True)

    def _fitting_ids(self, request: Request) -> list[int] | str:
        """`prompt_ids`, or why the model does not take this chat although it takes others."""
        try:
            ids = self.prompt_ids(request)
        except LLMError as error:
            if any(message.role == "assistant" for message in request.messages):
                return str(error)
            raise
        limit = getattr(self.weights.model.config, "max_position_embeddings", None) or 1 << 30
        fits = len(ids) + request.max_tokens <= limit
        return ids if fits else f"prompt of {len(ids)} tokens is over the model's {limit}"

    def _plan(self, ids: Mapping[int, list[int]], requests: Sequence[Request]) -> Iterator[list[Row]]:
        """Batches of one kind of request."""
        kinds: dict[tuple[int, tuple[str, ...], int], list[int]] = {}
        for index, own in ids.items():
            request = requests[index]
            kind = (request.max_tokens, request.stop, len(own) if self._unpadded else 0)
            kinds.setdefault(kind, []).append(index)
        shares = len(ids) > 1 and self._shares
        for (new, _, _), members in kinds.items():
            rows = (
                rows_of({index: ids[index] for index in members})
                if shares
                else [Row(index, len(ids[index])) for index in members]
            )
            # The limit is read anew for each batch: it may have been halved since.
            yield from batches(rows, new, lambda: self.weights.batch_tokens)

    def _shrink(self, tokens: int) -> None:
        self.weights.batch_tokens = min(self.weights.batch_tokens, tokens)

    @torch.no_grad()
    def _complete(self, chats: Chats, requests: list[Request], streamer: Any = None) -> list[Completion]:
        tokenizer, model = self.weights.tokenizer, self.weights.model
        began = time.monotonic()
        options: dict[str, Any] = {"max_new_tokens": requests[0].max_tokens, "do_sample": False, "streamer": streamer}
        if requests[0].stop:
            options |= {"stop_strings": list(requests[0].stop), "tokenizer": tokenizer}
        greedy = not any(request.temperature for request in requests)
        likelihood = GreedyLikelihood()
        kept = likelihood if greedy else SeededSampling(requests, model.device)
        options["logits_processor"] = LogitsProcessorList([kept])
        with self.active():
            padded = chats.padded(model, tokenizer)
            made = model.generate(**padded, **options, **PLAIN)
        width, seconds = padded["input_ids"].shape[1], time.monotonic() - began
        ends = end_ids(model, tokenizer)
        completions = []
        for row, prompt, request in zip(made[:, width:].tolist(), chats.ids, requests, strict=True):
            cut = next((place for place, token in enumerate(row) if token in ends), None)
            text = tokenizer.decode(row[:cut] if cut is not None else row, skip_special_tokens=True)
            places = [text.find(stop) for stop in request.stop if stop in text]
            text = text[: min(places)] if places else text
            finish = "stop" if cut is not None or places else "length"
            # A row that a stop string ended has padding there, not an end token of its own.
            used = len(row) if cut is None else cut + (not places)
            said = without_thinking(text).strip()
            completions.append(Completion(said, finish, "", len(prompt), used, seconds / len(requests)))
        if not greedy:
            return completions
        sums = likelihood.sums([done.completion_tokens for done in completions])
        return [replace(done, logprob=nats) for done, nats in zip(completions, sums, strict=True)]

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[tuple[float, int]]:
        """Log-probability (nats, summed) and token count of each given continuation after its prompt.

        Raises LLMError when a single prompt does not fit into memory.
        """
        heads = [self.prompt_ids(request) for request in requests]
        tails = [self.weights.tokenizer.encode(text, add_special_tokens=False) for text in continuations]
        found: dict[int, tuple[float, int]] = {}
        lengths = [len(head) + len(tail) for head, tail in zip(heads, tails, strict=True)]
        order = sorted(range(len(heads)), key=lambda i: -lengths[i])

        def score(part: list[int]) -> list[tuple[float, int]]:
            return self._score([heads[i] for i in part], [tails[i] for i in part])

        while order:
            limit = self.weights.batch_tokens
            size = max(1, limit // lengths[order[0]])
            if self._unpadded:
                size = min(size, sum(lengths[i] == lengths[order[0]] for i in order))
            batch, order = order[:size], order[size:]
            for index, done in halving(batch, score, limit, self._shrink):
                if done is None:
                    raise LLMError(NO_MEMORY)
                found[index] = done
        return [found[index] for index in range(len(heads))]

    @torch.no_grad()
    def _score(self, heads: list[list[int]], tails: list[list[int]]) -> list[tuple[float, int]]:
        tokenizer, model = self.weights.tokenizer, self.weights.model
        rows = [head + tail for head, tail in zip(heads, tails, strict=True)]
        padded = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt").to(model.device)
        positions = (padded["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        # Padded on the left all tails end together, so the large matrix of logits is made for them alone.
        keep = max(map(len, tails)) + 1
        with self.active():
            logits = model(**padded, position_ids=positions, logits_to_keep=keep).logits
        scores = []
        for place, tail in enumerate(tails):
            chosen = torch.log_softmax(logits[place, -len(tail) - 1 : -1].float(), -1)
            tokens = torch.tensor(tail, device=chosen.device, dtype=torch.long)[:, None]
            scores.append((float(chosen.gather(1, tokens).sum()), len(tail)))
        return scores

    def close(self) -> None:
        """Free the weights, and those of models that they became."""
        for weights in (self.weights, *self.weights.whole.values()):
            weights.model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def end_ids(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that an answer ends before; rows that were done early are filled with padding."""
    ends = model.generation_config.eos_token_id
    return {tokenizer.eos_token_id, tokenizer.pad_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
