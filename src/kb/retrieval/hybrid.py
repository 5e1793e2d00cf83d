"""The retriever: BM25 and, where an embedder can read the language, cosine, fused by min-max scores per query.

On XQuAD-en fusion finds the right paragraph first for .956 of the questions, against .924 for BM25 and .894 for
all-MiniLM alone, and .926 for fusion by ranks (docs/measurements/retrieval.md); an embedder that cannot read a language
would drag BM25 down, so it is left out there.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kb.progress import progress
from kb.records import Chunk, Fact
from kb.retrieval.bm25 import Bm25, best_places
from kb.retrieval.dense import (
    Embedder,
    embed_missing,
    embedded_ids,
    find_embedder,
    indexed_text,
    load_vectors,
    open_embedder,
    readable_languages,
)
from kb.retrieval.exact import ExactIndex, VectorIndex
from kb.retrieval.rerank import Reranker, find_reranker, open_reranker
from kb.store import PASSAGES
from kb.text.language import detect
from kb.workspace import Workspace

RRF = 60
"""The constant k of reciprocal rank fusion, as its authors chose it."""
SLICE = 256
"""Queries embedded and searched at once."""


@dataclass(frozen=True)
class RetrievalConfig:
    """The `[retrieval]` section of kb.toml."""

    embedder: str = "auto"
    """`auto`, `none`, a folder or a hub id of a sentence-transformers model."""
    top_k: int = 8
    """Passages shown to the model, of about 200 tokens each under the default sizes."""
    candidates: int = 50
    """Chunks that each ranker hands to the fusion."""
    dense_weight: float = 0.5
    """Share of the embedding score in the fused score, 0 to 1."""
    fusion: Literal["minmax", "rrf"] = "minmax"
    """Of min-max scores, or of reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    reranker: str = "none"
    """`none`, or folder or hub id of a cross-encoder that puts the best candidates into a new order."""
    reranked: int = 30
    """Fused candidates that the reranker reads."""
    exact_up_to: int = 100_000
    """Passages up to which every vector is compared, which is faster than chroma's graph and misses nothing
    (docs/measurements/index.md).
    """


@dataclass(frozen=True)
class Hit:
    """A chunk that may answer a query."""

    chunk: Chunk
    score: float
    """Fused score, 0 to 1 within a query."""
    bm25_rank: int
    """From 1; 0 when BM25 did not offer it."""
    dense_rank: int
    """From 1; 0 when the embedder did not offer it or was not asked."""
    fused_rank: int = 0
    """From 1: its place before a reranker saw it; 0 where there is none."""


@dataclass(frozen=True)
class Retriever:
    """Searches the live passages of a workspace."""

    chunks: tuple[Chunk, ...]
    """The passages."""
    config: RetrievalConfig
    bm25: Bm25
    embedder: Embedder | None
    index: VectorIndex | None
    languages: frozenset[str]
    """Languages the embedder is used for; empty means BM25 alone."""
    embedded: frozenset[str] = frozenset()
    """Ids of the chunks that the index holds."""
    unread: bool = False
    """Whether an embedder could read some chunks and has not embedded any yet."""
    reranker: Reranker | None = None

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {chunk.id: place for place, chunk in enumerate(self.chunks)}

    @functools.cached_property
    def _passages(self) -> dict[str, list[Chunk]]:
        passages: dict[str, list[Chunk]] = {}
        for chunk in self.chunks:
            passages.setdefault(chunk.root, []).append(chunk)
        return passages

    def source(self, fact: Fact) -> list[Chunk]:
        """The passage that the fact's evidence stands in; several, in order, where it goes over their ends."""
        parts = self._passages.get(fact.chunk_id, [])
        return [part for part in parts if len(parts) == 1 or (part.start < fact.end and fact.start < part.end)]

    @property
    def description(self) -> str:
        """How it searches, in words for people."""
        return self._rankers + (f", then {self.reranker.name}" if self.reranker else "")

    @property
    def _rankers(self) -> str:
        if self.config.embedder == "none":
            return "BM25 alone"
        if self.unread:
            return "BM25 alone (the embeddings are yet to be made: kb ingest)"
        if not self.languages or self.embedder is None:
            return "BM25 alone (no embedder here that reads the documents' language)"
        return f"BM25 + {self.embedder.name} ({', '.join(sorted(self.languages))})"

    @property
    def identity(self) -> str:
        """What decides its answers apart from the chunks."""
        model = self.embedder.identity if self.embedder and self.languages else "bm25"
        config = self.config
        settings = (config.top_k, config.candidates, config.dense_weight, config.fusion)
        again = [self.reranker.identity, config.reranked] if self.reranker else []
        return " ".join(map(str, [model, *settings, *sorted(self.languages), *again]))

    def search(self, queries: Sequence[str], count: int = 0) -> list[list[Hit]]:
        """The best chunks for each query, best first, `count` at most (0: `top_k`); ties go to the earlier chunk.

        A query without any known term gets what the embedder offers, and without that nothing.
        """
        found = []
        with progress("search", len(queries), enabled=len(queries) > SLICE) as advance:
            for start in range(0, len(queries), SLICE):
                part = queries[start : start + SLICE]
                nearest = self._nearest(part)
                found += [
                    self._best(query, near, count or self.config.top_k)
                    for query, near in zip(part, nearest, strict=True)
                ]
                advance(len(part))
        return found

    def _best(self, query: str, nearest: list[tuple[str, float]], count: int) -> list[Hit]:
        """The best chunks for a query, in the reranker's order if there is one."""
        if self.reranker is None:
            return self._fuse(query, nearest, count)
        hits = self._fuse(query, nearest, max(count, self.config.reranked))
        hits = [replace(hit, fused_rank=rank) for rank, hit in enumerate(hits, 1)]
        if not hits:
            return []
        scores = self.reranker.scores(query, [indexed_text(hit.chunk) for hit in hits])
        # A stable sort: of equal scores the fused rank decides.
        return [hits[place] for place in np.argsort(-scores, kind="stable")[:count]]

    def _nearest(self, queries: Sequence[str]) -> list[list[tuple[str, float]]]:
        """What the embedder offers for each query; nothing in a language it cannot read."""
        nearest: list[list[tuple[str, float]]] = [[] for _ in queries]
        asked = [place for place, query in enumerate(queries) if detect(query) in self.languages]
        if asked and self.embedder and self.index:
            vectors = self.embedder.embed([queries[place] for place in asked], query=True)
            limit = min(self.config.candidates, len(self.embedded))
            for place, near in zip(asked, self.index.nearest(vectors, limit), strict=True):
                nearest[place] = [(id, score) for id, score in near if id in self._places]
        return nearest

    def _fuse(self, query: str, nearest: list[tuple[str, float]], count: int) -> list[Hit]:
        lexical = self.bm25.scores(query)
        offered = [int(place) for place in best_places(lexical, self.config.candidates) if lexical[place] > 0]
        bm25_rank = {place: rank for rank, place in enumerate(offered, 1)}
        dense_rank = {self._places[id]: rank for rank, (id, _) in enumerate(nearest, 1)}
        if self.config.fusion == "rrf":
            sparse, semantic = _reciprocal(bm25_rank), _reciprocal(dense_rank)
        else:
            sparse = _min_max({place: float(lexical[place]) for place in offered})
            semantic = _min_max({self._places[id]: score for id, score in nearest})
        fused = {}
        for place in sorted(bm25_rank.keys() | dense_rank.keys()):
            # A chunk that the embedder cannot read has no vector: it stands by its BM25 score alone.
            weight = self.config.dense_weight if nearest and self.chunks[place].id in self.embedded else 0.0
            fused[place] = (1 - weight) * sparse.get(place, 0.0) + weight * semantic.get(place, 0.0)
        best = sorted(fused, key=lambda place: (-fused[place], place))[:count]
        return [
            Hit(self.chunks[place], fused[place], bm25_rank.get(place, 0), dense_rank.get(place, 0)) for place in best
        ]


def _min_max(scores: dict[int, float]) -> dict[int, float]:
    """Scores scaled to 0..1; all equal gives 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    return {key: (score - low) / (high - low) if high > low else 1.0 for key, score in scores.items()}


def _reciprocal(ranks: dict[int, int]) -> dict[int, float]:
    """1 / (k + rank), scaled so that the first rank gives 1."""
    return {key: (RRF + 1) / (RRF + rank) for key, rank in ranks.items()}


def check_models(config: RetrievalConfig) -> None:
    """Raise ModelUnavailable, without loading anything, when a model that the settings name is not there."""
    find_embedder(config.embedder)
    find_reranker(config.reranker)


def open_retriever(workspace: Workspace, config: RetrievalConfig, write: bool = True) -> Retriever:
    """A retriever over the live passages.

    With `write` (the one writer) chunks without a vector are embedded and a stale index is built again; a reader uses
    what is there, and finds by BM25 alone what has no vector yet. Chunks in a language that the embedder cannot read
    are never embedded. Raises ModelUnavailable when a named embedder is not there.
    """
    store = workspace.store
    chunks = tuple(store.all(Chunk, PASSAGES))
    bm25 = Bm25([indexed_text(chunk) for chunk in chunks])
    embedder = open_embedder(config.embedder, store) if chunks else None
    reranker = open_reranker(config.reranker, store) if chunks else None
    languages = readable_languages(embedder, chunks) if embedder else frozenset()
    readable = [chunk for chunk in chunks if chunk.language in languages]
    if embedder is None or not readable:
        return Retriever(chunks, config, bm25, None, None, frozenset(), reranker=reranker)
    if write:
        with progress("embed", len(readable)) as advance:
            embed_missing(store, embedder, readable, advance)
    have = embedded_ids(store, embedder.identity)
    ids = [chunk.id for chunk in readable if chunk.id in have]
    if not ids:
        return Retriever(chunks, config, bm25, None, None, frozenset(), unread=True, reranker=reranker)

    load = functools.partial(load_vectors, store, embedder.identity)
    index: VectorIndex
    if len(ids) <= config.exact_up_to:
        index = ExactIndex(ids, load(ids))
        if write:
            shutil.rmtree(workspace.chroma, ignore_errors=True)
    else:
        # chroma takes seconds to import.
        from kb.retrieval.chroma import open_index

        index = open_index(workspace.chroma, embedder.identity, ids, load, write)
    return Retriever(chunks, config, bm25, embedder, index, languages, frozenset(ids), reranker=reranker)


def passages_text(chunks: Sequence[Chunk]) -> str:
    """Chunks as the prompts show them: numbered, with their heading path, without blank lines."""
    return "\n".join(f"[{number}] {passage_text(chunk)}" for number, chunk in enumerate(chunks, 1))


def passage_text(chunk: Chunk) -> str:
    """One chunk with its heading path, without blank lines."""
    return f"{chunk.header}\n{without_blank_lines(chunk.text)}"


def without_blank_lines(text: str) -> str:
    """The text as prompts show it: lines that hold something, with what stands before and after it in them."""
    return "\n".join(line for line in text.splitlines() if line.strip())
