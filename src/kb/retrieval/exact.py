"""Nearest vectors: what an index does, and the plain way to do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from kb.retrieval.bm25 import best_places

BATCH = 64
"""Queries scored at once: their scores for all chunks are in memory together."""


class VectorIndex(Protocol):
    """Nearest chunks by cosine."""

    def nearest(self, vectors: np.ndarray, count: int) -> list[list[tuple[str, float]]]:
        """For each query vector, (chunk id, cosine) of the `count` nearest, best first; fewer when there are fewer."""


class ExactIndex:
    """All cosines, by numpy: for all but large corpora, and for readers while the index on disk is of other chunks."""

    def __init__(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        self._ids, self._vectors = list(ids), vectors

    def nearest(self, vectors: np.ndarray, count: int) -> list[list[tuple[str, float]]]:
        """See `VectorIndex.nearest`."""
        found = []
        for start in range(0, len(vectors), BATCH):
            for row in vectors[start : start + BATCH] @ self._vectors.T:
                found.append([(self._ids[place], float(row[place])) for place in best_places(row, count)])
        return found
