"""How often the right paragraph is found, by each ranker and by their fusion, on question sets in SQuAD's format.

    python benchmarks/retrieval.py FILE... [--embedder auto] [--out FILE]

Every paragraph is a chunk and every question a query; right is the paragraph that the question was written for, and
equal texts are one. R@k is the share of a paragraph's questions that have it among the first k, averaged over
paragraphs, with 95% intervals whose clusters are the paragraphs. Ties go to the earlier paragraph, as in `kb`.
Sources of the sets: XQuAD (Artetxe, Ruder and Yogatama, ACL 2020), CMRC 2018 (Cui and others, EMNLP 2019).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kb.evaluate import stats
from kb.records import Chunk
from kb.retrieval.bm25 import Bm25
from kb.retrieval.dense import Embedder, chunk_vectors, indexed_text, open_embedder, readable_languages
from kb.retrieval.exact import ExactIndex
from kb.retrieval.hybrid import RetrievalConfig, Retriever
from kb.text.language import detect
from kb.workspace import write_text

DEPTHS = (1, 10)


@dataclass(frozen=True)
class QuestionSet:
    """Paragraphs and the questions about each."""

    name: str
    chunks: tuple[Chunk, ...]
    questions: tuple[tuple[str, int], ...]
    """(question, place of its paragraph)."""


def read(file: Path) -> QuestionSet:
    """A SQuAD file; paragraphs with the same text are one."""
    places: dict[str, int] = {}
    questions = []
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            place = places.setdefault(paragraph["context"], len(places))
            questions += [(asked["question"], place) for asked in paragraph["qas"]]
    chunks = [Chunk(f"chk_{n}", "doc", n, text, "", detect(text), 0, len(text)) for text, n in places.items()]
    return QuestionSet(file.stem, tuple(chunks), tuple(questions))


def retrievers(asked: QuestionSet, embedder: Embedder | None) -> dict[str, Retriever]:
    """BM25, and where the embedder reads the paragraphs, the embedder and both fusions."""
    bm25 = Bm25([indexed_text(chunk) for chunk in asked.chunks])
    alone = Retriever(asked.chunks, RetrievalConfig(candidates=100), bm25, None, None, frozenset())
    languages = readable_languages(embedder, asked.chunks) if embedder else frozenset()
    if not embedder or not languages:
        return {"BM25": alone}
    ids = [chunk.id for chunk in asked.chunks]
    index = ExactIndex(ids, chunk_vectors(embedder, asked.chunks))
    both = replace(alone, embedder=embedder, index=index, languages=languages, embedded=frozenset(ids))
    return {
        "BM25": alone,
        embedder.name: replace(both, config=replace(alone.config, dense_weight=1.0)),
        "fused by min-max": both,
        "fused by reciprocal ranks": replace(both, config=replace(alone.config, fusion="rrf")),
    }


def recalls(asked: QuestionSet, retriever: Retriever) -> list[str]:
    """R@k for each depth, as the table prints it."""
    found = retriever.search([question for question, _ in asked.questions], max(DEPTHS))
    groups: list[list[list[bool]]] = [[] for _ in asked.chunks]
    for (_, place), hits in zip(asked.questions, found, strict=True):
        ids = [hit.chunk.id for hit in hits]
        groups[place].append([asked.chunks[place].id in ids[:depth] for depth in DEPTHS])
    shares = np.array([np.mean(group, axis=0) for group in groups if group])
    intervals = stats.share_intervals(shares, len(asked.questions))
    return [f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in intervals if one]


def page(files: list[Path], embedder: str) -> str:
    """The Markdown page."""
    lines = [
        "# Retrieval on public question sets",
        "",
        f"Made by `python benchmarks/retrieval.py {' '.join(file.name for file in files)} --embedder {embedder}`.",
        "Each paragraph weighs the same; 95% intervals with paragraphs as clusters.",
        "",
        "| set | paragraphs | questions | ranker | " + " | ".join(f"R@{depth}" for depth in DEPTHS) + " |",
        "|" + " --- |" * (4 + len(DEPTHS)),
    ]
    model = open_embedder(embedder)
    for asked in map(read, files):
        counts = f"{asked.name} | {len(asked.chunks)} | {len(asked.questions)}"
        for name, retriever in retrievers(asked, model).items():
            lines.append(f"| {counts} | {name} | {' | '.join(recalls(asked, retriever))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--embedder", default="auto", help="folder or hub id of an embedder, auto or none")
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    text = page(given.files, given.embedder)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
