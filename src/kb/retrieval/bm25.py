"""BM25 over words for English and character bigrams for Chinese, by bm25s."""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np

from kb.text.terms import terms

BLOCK = 64
"""Texts of which the highest score is looked at first."""


class Bm25:
    """An index over texts, in memory; scores are aligned with the texts' order."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.size = len(texts)
        self._ids: dict[str, int] = {}
        # Term numbers instead of terms: one object per distinct term and not one per occurrence.
        corpus = [[self._ids.setdefault(term, len(self._ids)) for term in terms(text)] for text in texts]
        self._index = bm25s.BM25()
        if self._ids:
            self._index.index((corpus, dict(self._ids)), show_progress=False)

    def scores(self, query: str) -> np.ndarray:
        """Score of every text, shape (texts,), 0 or more; zeros when no term of the query occurs."""
        found = [self._ids[term] for term in terms(query) if term in self._ids]
        if not found:
            return np.zeros(self.size, dtype=np.float32)
        scores: np.ndarray = self._index.get_scores_from_ids(found)
        return scores


def best_places(scores: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` highest scores, best first, fewer when there are fewer; ties go to the earlier place."""
    if count <= 0:
        return np.zeros(0, dtype=np.intp)
    places = np.flatnonzero(scores >= _reached(scores, count))
    if len(places) > count:
        limit = _highest(scores[places], count)
        above, level = places[scores[places] > limit], places[scores[places] == limit]
        places = np.sort(np.concatenate([above, level[: count - len(above)]]))
    # A stable sort on the negated scores keeps equal ones in their order.
    best: np.ndarray = places[np.argsort(-scores[places], kind="stable")]
    return best


def _reached(scores: np.ndarray, count: int) -> float:
    """A score that `count` texts reach at least, and not many more: so many blocks have one that does.

    Looking for the exact one among all texts takes several times as long as scoring them.
    """
    blocks = len(scores) // BLOCK
    return _highest(scores[: blocks * BLOCK].reshape(blocks, BLOCK).max(axis=1), count) if blocks > count else -np.inf


def _highest(scores: np.ndarray, count: int) -> float:
    """The lowest of the `count` highest scores; there have to be so many."""
    return float(np.partition(scores, len(scores) - count)[len(scores) - count])
