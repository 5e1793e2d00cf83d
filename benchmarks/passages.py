"""How large should what is searched and shown be? Answers within the model's reach at equal numbers of tokens.

    python benchmarks/passages.py FILE... [--budgets 500 1000 2000] [--embedder auto] [--out FILE]

Every article of a question set in SQuAD's format is a document with its title and paragraphs, cut as `kb ingest` cuts
it. For every question the retriever's pieces are shown, best first, as many as the budget of tokens allows, the first
in any case. Right is a question whose answer, at the place where the set marks it, stands whole in a shown piece. The
pieces compared: sections as `kb` cuts them for generation, and passages of several sizes. The intervals'
clusters are the paragraphs. Source of the sets: XQuAD (Artetxe, Ruder and Yogatama, ACL 2020).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kb.evaluate import stats
from kb.ingest.blocks import Block, Parsed, assemble
from kb.ingest.chunk import ChunkSpan, chunk
from kb.ingest.passages import passages
from kb.records import Chunk
from kb.retrieval.bm25 import Bm25
from kb.retrieval.dense import Embedder, chunk_vectors, indexed_text, open_embedder, readable_languages
from kb.retrieval.exact import ExactIndex
from kb.retrieval.hybrid import Hit, RetrievalConfig, Retriever
from kb.text.language import detect
from kb.workspace import write_text

SIZES = ((60, 90), (125, 175), (250, 350), (450, 600))
"""Target and maximum of passages, in tokens."""
SHOWN = 200
"""Most pieces that are asked for."""


@dataclass(frozen=True)
class Asked:
    """A question and where its answer stands."""

    question: str
    document: str
    start: int
    end: int
    paragraph: int
    """The cluster."""


def read(file: Path) -> tuple[list[Parsed], list[Asked]]:
    """The articles of a SQuAD file as documents, and their questions."""
    documents, asked, paragraphs = [], [], 0
    for number, article in enumerate(json.loads(file.read_text(encoding="utf-8"))["data"]):
        title = article["title"].replace("_", " ")
        contexts = [paragraph["context"].strip() for paragraph in article["paragraphs"]]
        blocks = [Block("heading", title), *(Block("paragraph", context) for context in contexts)]
        document = assemble(title, str(number), blocks)
        documents.append(document)
        for block, paragraph in zip(document.blocks[1:], article["paragraphs"], strict=True):
            paragraphs += 1
            for one in paragraph["qas"]:
                answer = one["answers"][0]["text"]
                start = document.text.find(answer, block.start + max(0, one["answers"][0]["answer_start"] - 2))
                if 0 <= start < block.end:
                    asked.append(Asked(one["question"], str(number), start, start + len(answer), paragraphs - 1))
    return documents, asked


def cuts(documents: list[Parsed]) -> Iterator[tuple[str, list[Chunk]]]:
    """Each way of cutting the documents, with its name."""
    sections = [(document, span) for document in documents for span in chunk(document)]
    yield "sections", _records(sections)
    for target, most in SIZES:
        parts = [(d, part) for d, span in sections for part in passages(d, span, target, most) or [span]]
        yield f"passages of {target}", _records(parts)


def _records(spans: list[tuple[Parsed, ChunkSpan]]) -> list[Chunk]:
    """Chunks as the retriever takes them."""
    return [
        Chunk(f"chk_{n}", document.format, n, text, span.header, detect(text), span.start, span.end, tokens=span.tokens)
        for n, (document, span) in enumerate(spans)
        for text in [document.text[span.start : span.end]]
    ]


def retriever_of(chunks: list[Chunk], embedder: Embedder | None) -> Retriever:
    """As `kb` searches, with exact vectors."""
    bm25 = Bm25([indexed_text(one) for one in chunks])
    config = RetrievalConfig(candidates=SHOWN)
    languages = readable_languages(embedder, chunks) if embedder else frozenset()
    if not embedder or not languages:
        return Retriever(tuple(chunks), config, bm25, None, None, frozenset())
    ids = [one.id for one in chunks]
    index = ExactIndex(ids, chunk_vectors(embedder, chunks))
    return Retriever(tuple(chunks), config, bm25, embedder, index, languages, frozenset(ids))


def reached(asked: Asked, hits: list[Hit], budget: int) -> bool:
    """Whether the answer stands in what the budget shows."""
    used = 0
    for place, hit in enumerate(hits):
        used += hit.chunk.tokens
        if place and used > budget:
            return False
        if hit.chunk.document_id == asked.document and hit.chunk.start <= asked.start and asked.end <= hit.chunk.end:
            return True
    return False


def row(chunks: list[Chunk], asked: list[Asked], embedder: Embedder | None, budgets: list[int]) -> str:
    """Count, size and the share reached under each budget."""
    retriever = retriever_of(chunks, embedder)
    found = retriever.search([one.question for one in asked], SHOWN)
    groups: dict[int, list[list[bool]]] = {}
    for one, hits in zip(asked, found, strict=True):
        groups.setdefault(one.paragraph, []).append([reached(one, hits, budget) for budget in budgets])
    shares = np.array([np.mean(group, axis=0) for group in groups.values()])
    intervals = stats.share_intervals(shares, len(asked))
    cells = [f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in intervals if one]
    return " | ".join([str(len(chunks)), f"{np.mean([one.tokens for one in chunks]):.0f}", *cells])


def page(files: list[Path], budgets: list[int], embedder: str) -> str:
    """The Markdown page."""
    command = f"{' '.join(file.name for file in files)} --budgets {' '.join(map(str, budgets))} --embedder {embedder}"
    lines = [
        "# The size of what is searched and shown",
        "",
        f"Made by `python benchmarks/passages.py {command}`.",
        "Share of the questions whose answer stands in what is shown; 95% intervals with paragraphs as clusters.",
        "",
        "| set | questions | pieces | number | mean tokens | "
        + " | ".join(f"{budget} tokens shown" for budget in budgets)
        + " |",
        "|" + " --- |" * (5 + len(budgets)),
    ]
    model = open_embedder(embedder)
    for file in files:
        documents, asked = read(file)
        for name, chunks in cuts(documents):
            lines.append(f"| {file.stem} | {len(asked)} | {name} | {row(chunks, asked, model, budgets)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--budgets", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--embedder", default="auto", help="folder or hub id of an embedder, auto or none")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    text = page(given.files, given.budgets, given.embedder)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
