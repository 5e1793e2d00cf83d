"""`kb search`: what the retriever finds for a query, and which ranker found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb.records import Chunk, Document
from kb.retrieval.hybrid import Hit, Retriever
from kb.store import Store
from kb.text.terms import terms

SNIPPET = 160
"""Characters of a chunk that the terminal shows."""


@dataclass(frozen=True)
class Found:
    """A chunk that was found, as people and programs read it."""

    chunk: str
    """Its id; `kb show` follows it."""
    document: str
    """Path of its file."""
    header: str
    page: int
    """Page or slide it starts on; 0 where there is none."""
    score: float
    """Fused, 0 to 1."""
    bm25_rank: int
    """From 1; 0 when BM25 did not offer it."""
    dense_rank: int
    """From 1; 0 when the embedder did not offer it, or was not asked."""
    fused_rank: int
    """From 1, before the reranker; 0 where there is none."""
    text: str

    def lines(self, number: int, query: str) -> list[str]:
        """For the terminal."""
        ranks = f"bm25 {self.bm25_rank or '-'}, embedding {self.dense_rank or '-'}"
        ranks += f", fused {self.fused_rank}, then reranked" if self.fused_rank else ""
        place = self.document + (f", page {self.page}" if self.page else "")
        return [
            f"{number}. {self.header}  [{self.score:.2f}; {ranks}]",
            f"   {snippet(self.text, query)}",
            f"   {place} ({self.chunk})",
        ]


def search(store: Store, retriever: Retriever, query: str, count: int = 0) -> list[Found]:
    """The best chunks for a query, best first, `count` at most (0: as many as an arm that reads is shown)."""
    paths = {document.id: document.path for document in store.all(Document)}
    return [_found(hit, paths[hit.chunk.document_id]) for hit in retriever.search([query], count)[0]]


def _found(hit: Hit, path: str) -> Found:
    chunk: Chunk = hit.chunk
    return Found(
        chunk.id,
        path,
        chunk.header,
        chunk.page,
        round(hit.score, 4),
        hit.bm25_rank,
        hit.dense_rank,
        hit.fused_rank,
        chunk.text,
    )


def snippet(text: str, query: str, length: int = SNIPPET) -> str:
    """A stretch of the text as one line: the one that holds most of the query's terms, the first of equals."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    wanted = set(terms(query))
    starts = range(0, len(line) - length // 2, length // 2)
    best = max(starts, key=lambda start: (_shared(line[start : start + length], wanted), -start))
    cut = line[best : best + length]
    return f"{'…' if best else ''}{cut}{'…' if best + length < len(line) else ''}"


def _shared(part: str, wanted: set[str]) -> int:
    return len(wanted & set(terms(part)))


def report(found: Sequence[Found], query: str) -> list[str]:
    """For the terminal."""
    lines = [line for number, one in enumerate(found, 1) for line in one.lines(number, query)]
    return lines or ["nothing found"]
