"""Nearest vectors, the plain way."""

import numpy as np
import pytest

from kb.retrieval.exact import ExactIndex

IDS = ("north", "east", "northeast", "south")
VECTORS = np.array([[0, 1], [1, 0], [0.6, 0.8], [0, -1]], np.float32)


def test_the_nearest_come_first_with_their_cosines():
    """Each query has its own list, best first."""
    to_north, to_east = ExactIndex(IDS, VECTORS).nearest(np.array([[0, 1], [1, 0]], np.float32), 3)
    assert [id for id, _ in to_north] == ["north", "northeast", "east"]
    assert [cosine for _, cosine in to_north] == pytest.approx([1, 0.8, 0])
    assert [id for id, _ in to_east] == ["east", "northeast", "north"]


@pytest.mark.parametrize(("count", "found"), [(0, 0), (1, 1), (4, 4), (50, 4)])
def test_there_are_never_more_than_asked_for_or_than_there_are(count, found):
    """A count above the number of vectors gives all of them."""
    assert [len(near) for near in ExactIndex(IDS, VECTORS).nearest(VECTORS[:2], count)] == [found, found]


def test_equal_vectors_come_in_their_order():
    """Two chunks with the same text are as near; the earlier one is first."""
    index = ExactIndex(("b", "a", "c"), VECTORS[[1, 0, 0]])
    assert [id for id, _ in index.nearest(VECTORS[:1], 2)[0]] == ["a", "c"]


def test_many_queries_are_answered_each_with_its_own():
    """More queries than are scored at once: every vector finds itself."""
    angles = np.linspace(0, 3, 200)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    ids = [f"chk_{n}" for n in range(200)]
    assert [near[0][0] for near in ExactIndex(ids, vectors).nearest(vectors, 1)] == ids


def test_no_queries_give_no_lists():
    """Nothing asked, nothing found."""
    assert ExactIndex(IDS, VECTORS).nearest(np.zeros((0, 2), np.float32), 3) == []
