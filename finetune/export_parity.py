"""Whether an exported folder is the model that was trained: read by plain transformers and compared on real prompts."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kb.errors import WorkspaceError
from kb.finetune.export_config import ExportConfig
from kb.llm.base import Message, Request, user
from kb.llm.closed import ANSWER_TOKENS, closed_prompt
from kb.llm.local import LocalLLM
from kb.llm.tuned import TAUGHT
from kb.llm.weights import device_map
from kb.prompt import Prompts
from kb.records import Chunk, Fact, Question, make_id
from kb.retrieval.hybrid import passages_text
from kb.store import Store
from kb.text.match import judge
from kb.text.right import Right, right_answer
from kb.workspace import write_json

TIE = 0.1
"""Nats by which the likelier of two tokens may be ahead of the other for rounding to turn them."""


@dataclass(frozen=True)
class Case:
    """A real prompt with its right answer."""

    chat: tuple[Message, ...]
    right: Right
    closed: bool
    """Without passages; only these are answered and scored."""


@dataclass(frozen=True)
class View:
    """What one model makes of the cases."""

    prompts: list[list[int]]
    """Token ids of each prompt."""
    logs: list[torch.Tensor]
    """Of each case the log-probabilities, (tokens of the right answer + 1, vocabulary), of what follows the prompt and
    each token of that answer."""
    answers: list[str]
    """To the cases without passages, decoded greedily."""


@dataclass(frozen=True)
class Parity:
    """An exported file beside the adapter on its base."""

    prompts: int
    prompts_same: int
    """Prompts with the same token ids in both."""
    tokens: int
    kl: float
    """KL(adapter || exported) in nats a token, mean; infinite where there is none."""
    kl_most: float
    """Of the token where they differ most."""
    agreement: float
    """Share of tokens at which the exported file holds for the likeliest what the adapter does, or what the adapter
    holds to be as likely within `TIE`."""
    probes: int
    adapter_right: int
    exported_right: int
    answers_same: int
    """Answers that are the same letter by letter."""

    def failures(self, config: ExportConfig) -> list[str]:
        """What is not as it has to be; nothing of a good export."""
        lost = (self.adapter_right - self.exported_right) / self.probes
        checks = (
            (self.prompts_same == self.prompts, f"{self.prompts - self.prompts_same} of {self.prompts} prompts differ"),
            # Not `>`, which is false for what is not a number.
            (self.kl <= config.parity_kl, f"KL {self.kl:.4f} nats a token, most {config.parity_kl}"),
            (
                self.agreement >= config.parity_agreement,
                f"the same likeliest token at {self.agreement:.1%}, least {config.parity_agreement:.1%}",
            ),
            (
                lost <= config.parity_accuracy,
                f"{self.exported_right} of {self.probes} probes right, the adapter {self.adapter_right}",
            ),
        )
        return [said for holds, said in checks if not holds]

    def line(self, what: str = "parity") -> str:
        """For the terminal."""
        return (
            f"{what}: {self.prompts_same} of {self.prompts} prompts token-identical; KL {self.kl:.5f} nats a token over"
            f" {self.tokens} tokens (most {self.kl_most:.4f}); the same likeliest token at {self.agreement:.1%};"
            f" {self.exported_right} of {self.probes} probes right, the adapter {self.adapter_right}"
        )


def write_parity(file: Path, parity: Parity) -> None:
    """Write the figures as JSON, in which what is infinite or no number at all is null."""
    figures = asdict(parity).items()
    write_json(file, {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in figures})


def read_parity(file: Path) -> Parity:
    """The figures of a comparison that passed."""
    return Parity(**json.loads(file.read_text(encoding="utf-8")))


def cases(store: Store, prompts: Prompts, count: int) -> list[Case]:
    """`count` held-out questions of facts that were taught, each without passages and with the one that answers it.

    Languages take turns, then facts; a hash of the id decides the order. Raises WorkspaceError when there are none.
    """
    facts = {fact.id: fact for fact in store.all(Fact, TAUGHT)}
    asked = [q for q in store.all(Question, "split = 'probe' AND kind = 'answerable'") if q.fact_id in facts]
    if not asked:
        raise WorkspaceError("there are no held-out questions to compare the export on. Make them with: kb generate-qa")
    chunks = {chunk.id: chunk for chunk in store.all(Chunk)}
    found = []
    for question in islice(_in_turn(asked), count):
        fact = facts[question.fact_id]
        right = right_answer(question, fact)
        found.append(Case(closed_prompt(prompts, question.text, question.language), right, True))
        prompt = prompts.get("kb", "rag", question.language)
        shown = prompt.fill(passages=passages_text([chunks[fact.chunk_id]]), question=question.text)
        found.append(Case(user(shown, prompt.system), right, False))
    return found


def _in_turn(questions: Sequence[Question]) -> Iterator[Question]:
    """One question of every fact before the second of any, and the languages in turn."""
    by_language: dict[str, list[tuple[int, str, Question]]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    for question in sorted(questions, key=lambda one: make_id("", one.id)):
        by_language[question.language].append((seen[question.fact_id], make_id("", question.id), question))
        seen[question.fact_id] += 1
    ordered = [[one for _, _, one in sorted(some, key=lambda x: x[:2])] for _, some in sorted(by_language.items())]
    return (one for one in chain.from_iterable(zip_longest(*ordered)) if one is not None)


def view_of_adapter(llm: LocalLLM, found: Sequence[Case]) -> View:
    """The trained model, as kb evaluates it."""
    tokenizer = llm.weights.tokenizer
    prompts = [llm.prompt_ids(Request(case.chat)) for case in found]
    with llm.active():
        logs = [_logs(llm.weights.model, ids, _tail(tokenizer, one)) for ids, one in zip(prompts, found, strict=True)]
    asked = [Request(case.chat, ANSWER_TOKENS) for case in found if case.closed]
    answers = dict(llm.generate(asked))
    return View(prompts, logs, [answers[place].text for place in range(len(asked))])


def view_of_folder(folder: Path, found: Sequence[Case]) -> View:
    """The exported folder, as any program reads it: plain transformers, its own template, dtype and stop tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map=device_map(), local_files_only=True)
    return view_of_files(tokenizer, model.eval(), found)


def view_of_files(tokenizer: Any, model: Any, found: Sequence[Case]) -> View:
    """What a tokenizer and a model that plain transformers have read make of the cases."""
    prompts = [_plain_prompt(tokenizer, case) for case in found]
    logs = [_logs(model, ids, _tail(tokenizer, one)) for ids, one in zip(prompts, found, strict=True)]
    answers = []
    for ids in (ids for ids, case in zip(prompts, found, strict=True) if case.closed):
        given = torch.tensor([ids], device=model.device)
        made = model.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=ANSWER_TOKENS)
        answers.append(tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True).strip())
    return View(prompts, logs, answers)


def _plain_prompt(tokenizer: Any, case: Case) -> list[int]:
    chat = [{"role": turn.role, "content": turn.content} for turn in case.chat]
    ids: list[int] = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
    return ids


def _tail(tokenizer: Any, case: Case) -> list[int]:
    tail: list[int] = tokenizer.encode(case.right.answer, add_special_tokens=False)
    return tail


@torch.no_grad()
def _logs(model: Any, head: list[int], tail: list[int]) -> torch.Tensor:
    ids = torch.tensor([head + tail], device=model.device)
    logits = model(input_ids=ids, logits_to_keep=len(tail) + 1).logits[0]
    return torch.log_softmax(logits.float(), -1).cpu()


def compare(found: Sequence[Case], adapter: View, exported: View) -> Parity:
    """The figures. Where the two do not even have the same tokens, there is no divergence to speak of: infinite."""
    pairs = list(zip(adapter.logs, exported.logs, strict=True))
    divergences, agreed = torch.tensor([float("inf")]), 0.0
    if all(mine.shape == its.shape for mine, its in pairs):
        kinds = [(_divergence(mine, its), _agree(mine, its)) for mine, its in pairs]
        divergences = torch.cat([divergence for divergence, _ in kinds])
        agreed = float(torch.cat([same for _, same in kinds]).float().mean())
    rights = [case.right for case in found if case.closed]
    return Parity(
        prompts=len(found),
        prompts_same=sum(a == b for a, b in zip(adapter.prompts, exported.prompts, strict=True)),
        tokens=sum(len(mine) for mine, _ in pairs),
        kl=float(divergences.mean()), kl_most=float(divergences.max()), agreement=agreed,
        probes=len(rights), adapter_right=_right(adapter.answers, rights),
        exported_right=_right(exported.answers, rights),
        answers_same=sum(a == b for a, b in zip(adapter.answers, exported.answers, strict=True)),
    )  # fmt: skip


def _divergence(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(p || q) = sum p (log p - log q) of each row, in nats."""
    return (p.exp() * (p - q)).sum(-1)


def _agree(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Whether what q holds for the likeliest is so, or as good as so, for p; of each row."""
    chosen = p.gather(-1, q.argmax(-1, keepdim=True))[:, 0]
    return p.max(-1).values - chosen <= TIE


def _right(answers: Sequence[str], rights: Sequence[Right]) -> int:
    pairs = zip(answers, rights, strict=True)
    return sum(judge(said, r.answer, r.answer_type, r.aliases).verdict == "correct" for said, r in pairs)
