"""What generation makes of documents whose every fact is known: coverage and faithfulness, beside a peer's flow.

    python benchmarks/generation.py [--models lab oracle] [--folder DIR] [--out FILE]

The documents are the handbook. kb's flow is run with the lab model, and with an oracle: a model that knows the truth
and is careless at a given rate, the same facts wrong for whoever asks. The peer is synthetic-data-kit, its own code,
where it is installed (pip install --no-deps synthetic-data-kit); its flow (one prompt a chunk of 4,000 characters, at
most 25 pairs a document, all of them kept) is also run with the lab model, in the prompts that model knows.
An item is a fact of kb's with its training questions, or a pair of the peer's. It is faithful when its questions ask
for one stated fact and its answer is that fact's. A stated fact is covered when a faithful item has it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kb.corpora.handbook import bundled
from kb.corpora.oracle import Lapses, Oracle, Truth, truths_of_rows
from kb.ingest.config import IngestConfig
from kb.ingest.run import run as ingest
from kb.llm import LLM, Item, ModelConfig, Request, ask, open_model, user
from kb.llm.fake import FakeLLM
from kb.llm.open import lab_folder
from kb.prompt import Prompts, open_pack
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.faithful import Share
from kb.qa_gen.replies import parse_facts, parse_lines
from kb.qa_gen.run import run as generate
from kb.records import Document, Fact, Question
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.text.canonical import canonical
from kb.text.match import answer_type, same
from kb.workspace import Workspace, read_jsonl, write_text

CHUNK = 4000
"""Characters of the peer's chunks, by its default."""
PAIRS = 25
"""Pairs of a document, by its default."""
ROOM = 512
"""Tokens of the reply to one prompt; the facts of the longest document take 400."""
OFF: dict[str, Any] = {"rewrites": 0, "detailed": 0, "known_samples": 0, "reversed": False, "placebo_share": 0.0}
"""Settings of kb's own flow: only facts and their questions are counted."""
CARELESS = {
    "the truth": Lapses(),
    "5% of everything wrong": Lapses(0.05, 0.05, 0.05, 0.05, 0.05, 0.05),
    "15% of everything wrong": Lapses(0.15, 0.15, 0.15, 0.15, 0.15, 0.15),
}
"""How careless the oracle is."""


@dataclass(frozen=True)
class Made:
    """An item of a training set."""

    questions: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Known:
    """What is true of the handbook."""

    truths: Sequence[Truth]
    asked: dict[str, Truth]
    """Question, in canonical form, to the fact it asks for."""

    def fact(self, made: Made) -> str:
        """The statement of the fact that an item teaches rightly; "" for one that teaches what is not so."""
        found = {self._asks(question) for question in made.questions}
        if len(found) != 1 or None in found:
            return ""
        truth = next(iter(found))
        assert truth is not None
        right = same(made.answer.rstrip("."), truth.answer, answer_type(truth.answer))
        return truth.statement if right else ""

    def _asks(self, question: str) -> Truth | None:
        return self.asked.get(canonical(question))


def known() -> Known:
    """The truth of the bundled handbook."""
    truths = truths_of_rows(list(read_jsonl(bundled() / "facts.jsonl")))
    return Known(truths, {canonical(q): one for one in truths for q in (*one.trained, *one.held_out)})


def measured(truth: Known, items: Sequence[Made]) -> tuple[Share, Share]:
    """Coverage and faithfulness."""
    facts = [truth.fact(item) for item in items]
    covered = {fact for fact in facts if fact}
    return Share(len(covered), len(truth.truths)), Share(sum(map(bool, facts)), len(items))


def by_kb(workspace: Workspace, llm: LLM, prompts: Prompts, generating: GenerateConfig, top_k: int) -> list[Made]:
    """The set that `kb generate-qa` makes."""
    retriever = open_retriever(workspace, RetrievalConfig(top_k=top_k))
    generate(workspace, generating, llm, prompts, retriever)
    asked: dict[str, list[str]] = {}
    for question in workspace.store.all(Question, "kind = 'answerable' AND split = 'train'"):
        asked.setdefault(question.fact_id, []).append(question.text)
    return [Made(tuple(asked[fact.id]), fact.answer) for fact in workspace.store.all(Fact)]


def by_one_prompt(workspace: Workspace, llm: LLM, prompts: Prompts) -> list[Made]:
    """The peer's flow in the prompts of the lab model: the facts of a chunk in one reply, a question to each, no gate.

    The lab model cannot write a question and its answer in one reply, so it is asked for the question apart.
    """
    store, items, chunks = workspace.store, [], []
    for document in store.all(Document):
        for number, text in enumerate(split(document.text)):
            prompt = prompts.get("kb.qa_gen", "facts", document.language)
            shown = "\n".join(line for line in [document.title, *text.splitlines()] if line.strip())
            items.append(
                Item(f"{document.id}:{number}", Request(user(prompt.fill(passage=shown), prompt.system), 1024))
            )
            chunks.append(document)
    drafts = []
    for document, found in zip(chunks, ask(llm, store, items, parse_facts, "one prompt", 1), strict=True):
        drafts += [(document.language, draft) for draft in (found.value or ())[:PAIRS] if draft.complete]
    asking = []
    for number, (language, draft) in enumerate(drafts):
        prompt = prompts.get("kb.qa_gen", "questions", language)
        text = prompt.fill(fact=draft.statement, answer=draft.answer, count="1")
        asking.append(Item(str(number), Request(user(text, prompt.system), 384)))
    replies = ask(llm, store, asking, parse_lines, "one prompt: question")
    return [
        Made((reply.value[0],), draft.answer)
        for (_, draft), reply in zip(drafts, replies, strict=True)
        if reply.value
    ]  # fmt: skip


def split(text: str) -> Iterator[str]:
    """Paragraphs up to CHUNK characters, as the peer cuts them."""
    part = ""
    for paragraph in text.split("\n\n"):
        if part and len(part) + len(paragraph) > CHUNK:
            yield part
            part = paragraph
        else:
            part = f"{part}\n\n{paragraph}" if part else paragraph
    if part:
        yield part


class Client:
    """What the peer's generator asks: the oracle behind the methods of its own client."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    def chat_completion(self, messages: Sequence[dict[str, str]], **_: Any) -> str:
        """One reply: a summary, of which only the beginning goes into prompts."""
        return messages[-1]["content"][:100]

    def batch_completion(self, batches: Sequence[Sequence[dict[str, str]]], **_: Any) -> list[str]:
        """A reply each."""
        return [self._oracle(Request(user(batch[0]["content"]))).text for batch in batches]


def by_peer(workspace: Workspace, oracle: Oracle) -> list[Made]:
    """The pairs that synthetic-data-kit makes of the same texts."""
    from synthetic_data_kit.generators.qa_generator import QAGenerator  # type: ignore[import-not-found,unused-ignore]

    made = []
    for document in workspace.store.all(Document):
        with contextlib.redirect_stdout(io.StringIO()):
            found = QAGenerator(Client(oracle)).process_document(document.text, num_pairs=PAIRS)
        made += [Made((pair["question"],), pair["answer"]) for pair in found["qa_pairs"]]
    return made


def peer_is_here() -> bool:
    """Whether the peer can be asked."""
    try:
        import synthetic_data_kit.generators.qa_generator  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        return False
    return True


def ingested(folder: Path, config: IngestConfig) -> Workspace:
    """A workspace with the handbook."""
    place = Workspace(folder, create=True)
    ingest([bundled() / "docs"], config, place, show=False)
    return place


def flows(folder: Path, truth: Known, models: Sequence[str]) -> Iterator[tuple[str, str, Callable[[], list[Made]]]]:
    """Model, flow, and what makes its items."""
    if "lab" in models:
        place = ingested(folder / "lab", IngestConfig(target_tokens=120, max_tokens=240))
        lab, pack = open_model(ModelConfig("lab"), place.store), open_pack(str(lab_folder() / "prompts"))
        yield "lab model", "kb", partial(by_kb, place, lab, pack, GenerateConfig(max_tokens=400, **OFF), 2)
        yield "lab model", "one prompt a chunk, no gate", partial(by_one_prompt, place, lab, pack)
    for number, (name, lapses) in enumerate(CARELESS.items() if "oracle" in models else ()):
        place = ingested(folder / f"oracle{number}", IngestConfig())
        oracle = Oracle(truth.truths, lapses)
        asked = FakeLLM(oracle, f"oracle {name}")
        yield f"oracle: {name}", "kb", partial(by_kb, place, asked, Prompts(), GenerateConfig(**OFF), 8)
        if peer_is_here():
            yield f"oracle: {name}", "synthetic-data-kit", partial(by_peer, place, oracle)


def rows(folder: Path, models: Sequence[str]) -> Iterator[str]:
    """A row of the table for each flow."""
    truth = known()
    for model, flow, make in flows(folder, truth, models):
        made = make()
        covered, faithful = measured(truth, made)
        yield f"| {model} | {flow} | {len(made)} | {covered} | {faithful} |"


def page(folder: Path, models: Sequence[str]) -> str:
    """The Markdown page."""
    lines = [
        "# What generation makes of known documents",
        "",
        "Made by `python benchmarks/generation.py`: the handbook, 300 stated facts, with 95% intervals (Wilson).",
        "",
        "| model | flow | items | coverage | faithfulness |",
        "| --- | --- | --- | --- | --- |",
        *rows(folder, models),
    ]
    return "\n".join([*lines, "", REMARKS])


REMARKS = """\
An item is a fact with its training questions (kb) or a pair. The careless oracle passes over a share of the facts,
gives as many another entity's value, adds as many that no document states, writes as many with "it" for the name,
answers as many questions wrong that it reads passages for, and cuts off as many replies: the same facts for every
flow. The handbook's documents state ten facts at most, so the peer's limit of 25 pairs a document loses none.
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="keep the workspaces here; what is done is not done again")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    parser.add_argument("--models", nargs="+", choices=("lab", "oracle"), default=["lab", "oracle"])
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.getLogger("kb").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as made:
        text = page(given.folder or Path(made), given.models)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
