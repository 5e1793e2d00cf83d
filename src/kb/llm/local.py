"""Causal LMs of transformers, on disk, with or without LoRA adapters; base and tuned share one set of weights."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList
from transformers.utils.logging import disable_progress_bar

from kb.errors import LLMError, ModelUnavailable
from kb.llm.adapters import attach, is_whole, load_whole
from kb.llm.base import Completion, Holds, Request
from kb.llm.four_bits import exact_on_cpu, nf4
from kb.llm.identity import combine, folder_identity
from kb.llm.memory import NO_MEMORY, halving, out_of_memory
from kb.llm.sampling import GreedyLikelihood, SeededSampling
from kb.store import Store
from kb.text.replies import without_thinking

PLAIN: dict[str, Any] = {
    "temperature": None, "top_p": None, "top_k": None, "num_beams": 1, "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0, "min_new_tokens": 0,
}  # fmt: skip
"""Undoes a model's own generation config: the answer is the argmax, or drawn by `SeededSampling`, and nothing else.

A repetition penalty, which Qwen2.5 brings along, punishes what the prompt says too, so copying from passages.
"""


@dataclass
class Weights:
    """A loaded model with its tokenizer, shared by every adapter on it."""

    model: Any
    tokenizer: Any
    identity: str
    folder: Path
    batch_tokens: int
    """Prompt and answer tokens in one batch; halved when memory runs out, and remembered."""
    adapters: dict[str, str] = field(default_factory=dict)
    """Adapter identity to its name inside the peft model."""
    whole: dict[str, Weights] = field(default_factory=dict)
    """Identity to the weights of models that this one became when all its weights were trained."""


def compute_dtype() -> torch.dtype:
    """bf16 where the GPU has it, else fp32 (fp16 without loss scaling overflows in training)."""
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32


def device_map() -> dict[str, int | str]:
    """Where a model is put: on the GPU of this process, the first unless it was given another, or on the CPU."""
    return {"": torch.cuda.current_device()} if torch.cuda.is_available() else {"": "cpu"}


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer with its chat template. Raises ModelUnavailable when it cannot be read or has no template."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"{folder}: the tokenizer cannot be loaded: {error}") from error
    if tokenizer.chat_template is None:
        raise ModelUnavailable(f"the tokenizer in {folder} has no chat template: take an instruct or chat model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path, load_in_4bit: bool, dtype: torch.dtype | None = None) -> Any:
    """The causal LM in `folder`, in evaluation mode, on the GPU if there is one; in `compute_dtype` unless told.

    Raises ModelUnavailable when it cannot be read, does not fit into memory, or when bitsandbytes' CPU kernels would be
    silently wrong: a width that is no multiple of 64.
    """
    disable_progress_bar()
    dtype = dtype or compute_dtype()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, quantization_config=nf4(dtype) if load_in_4bit else None,
            device_map=device_map(), local_files_only=True,
        )  # fmt: skip
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelUnavailable(f"{folder}: the model cannot be loaded: {error}") from error
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise ModelUnavailable(
            f"{folder} does not fit into memory. Take a smaller model, or set load_in_4bit = true under [model]."
        ) from error
    if load_in_4bit and not torch.cuda.is_available():
        exact_on_cpu(model, folder)
    return model.eval()


def weights_identity(folder: Path, load_in_4bit: bool, store: Store | None) -> str:
    """What the model in `folder` is once it is loaded like this; see `kb.llm.LLM.identity`."""
    return combine([folder_identity(folder, store), f"nf4={load_in_4bit}", str(compute_dtype())])


def load_weights(folder: Path, load_in_4bit: bool, batch_tokens: int, store: Store | None) -> Weights:
    """Load tokenizer and model, and hash what they are. Raises ModelUnavailable as `load_base` does."""
    tokenizer, identity = load_tokenizer(folder), weights_identity(folder, load_in_4bit, store)
    return Weights(load_base(folder, load_in_4bit), tokenizer, identity, folder, batch_tokens)


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

        def complete(batch: list[int]) -> list[Completion]:
            return self._complete([ids[i] for i in batch], [requests[i] for i in batch], streamer)

        for batch in self._plan([(i, len(own), requests[i]) for i, own in ids.items()]):
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

    def _plan(self, items: list[tuple[int, int, Request]]) -> Iterator[list[int]]:
        """Batches of one kind of request, longest prompts first so that memory runs out early or never."""
        kinds: dict[tuple[int, tuple[str, ...], int], list[tuple[int, int]]] = {}
        for index, length, request in items:
            kind = (request.max_tokens, request.stop, length if self._unpadded else 0)
            kinds.setdefault(kind, []).append((-length, index))
        for (new, _, _), members in kinds.items():
            members.sort()
            start = 0
            while start < len(members):
                # Read anew for each batch: it may have been halved since.
                size = max(1, self.weights.batch_tokens // (new - members[start][0]))
                yield [index for _, index in members[start : start + size]]
                start += size

    def _shrink(self, tokens: int) -> None:
        self.weights.batch_tokens = min(self.weights.batch_tokens, tokens)

    @torch.no_grad()
    def _complete(self, ids: list[list[int]], requests: list[Request], streamer: Any = None) -> list[Completion]:
        tokenizer, model = self.weights.tokenizer, self.weights.model
        began = time.monotonic()
        padded = tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt").to(model.device)
        options: dict[str, Any] = {"max_new_tokens": requests[0].max_tokens, "do_sample": False, "streamer": streamer}
        if requests[0].stop:
            options |= {"stop_strings": list(requests[0].stop), "tokenizer": tokenizer}
        greedy = not any(request.temperature for request in requests)
        likelihood = GreedyLikelihood()
        kept = likelihood if greedy else SeededSampling(requests, model.device)
        options["logits_processor"] = LogitsProcessorList([kept])
        with self.active():
            made = model.generate(**padded, **options, **PLAIN)
        width, seconds = padded["input_ids"].shape[1], time.monotonic() - began
        ends = end_ids(model, tokenizer)
        completions = []
        for row, prompt, request in zip(made[:, width:].tolist(), ids, requests, strict=True):
            cut = next((place for place, token in enumerate(row) if token in ends), None)
            text = tokenizer.decode(row[:cut] if cut is not None else row, skip_special_tokens=True)
            places = [text.find(stop) for stop in request.stop if stop in text]
            text = text[: min(places)] if places else text
            finish = "stop" if cut is not None or places else "length"
            # A row that a stop string ended has padding there, not an end token of its own.
            used = len(row) if cut is None else cut + (not places)
            said = without_thinking(text).strip()
            completions.append(Completion(said, finish, "", len(prompt), used, seconds / len(ids)))
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
