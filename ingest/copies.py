"""Chunks that say nothing new: kept as further sources of what another one says, out of generation and search.

The same text in two formats, or a new edition of a manual, has many chunks in common with what is there. MinHash finds
chunks that are near an earlier one (`signatures`). Near is not the same: a template filled with another name, a price
that was raised or a "may" that became "must" is as near, and says something else. So a chunk is a copy only if all of
it stands word for word where the other one is, blanks and punctuation aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from kb.ingest.signatures import PERMUTATIONS, Signature, headings, min_hash, sign, squeezed
from kb.progress import progress
from kb.store import Store

NEAR = 0.7
"""Jaccard from which two chunks are compared."""
_LIVE = (
    "FROM chunks c JOIN documents d ON d.id = c.document_id LEFT JOIN signatures s ON s.chunk_id = c.id"
    " WHERE c.section = '' AND d.retired = 0"
)
_SETTING = "copies"
"""The setting with what tells the live chunks that were compared from others."""
CROWD = 64
"""Chunks near each other, as filled-in forms are, from which on a further one is known by its exact text only."""
COMPARED = 8
"""Near chunks that one is compared with word by word."""
BATCH = 256
"""Signatures written at once."""
BESIDE = 2
"""Chunks before and after: the same text is cut elsewhere in another format."""


@dataclass(frozen=True)
class _Chunk:
    """A chunk as it is compared; its text is left in the store."""

    id: str
    document: str
    signature: Signature

    @property
    def hashes(self) -> np.ndarray:
        """The numbers of its MinHash."""
        return np.frombuffer(self.signature.near, np.uint32)


def keep_signatures(store: Store, signatures: Iterable[tuple[str, Signature]]) -> None:
    """Store the signatures of these chunks."""
    for id, signature in signatures:
        store.sql("INSERT OR REPLACE INTO signatures VALUES (?, ?, ?)", id, *signature)


def mark_copies(store: Store, show: bool = True) -> int:
    """Find the copies among the live chunks, anew where these have changed, and return how many there are.

    Of two, the later one is the copy; a document with facts comes before one without, so that no fact is lost.
    """
    state = " ".join(map(str, store.sql(f"SELECT COUNT(*), TOTAL(c.rowid), MAX(c.rowid) {_LIVE}")[0]))
    if store.setting(_SETTING) != state:
        _sign_missing(store, show)
        found = list(_Search(store).copies())
        with store.transaction():
            store.sql("DELETE FROM copies")
            for copy, kept in found:
                store.sql("INSERT INTO copies VALUES (?, ?)", copy, kept)
            store.set_setting(_SETTING, state)
    return int(store.sql("SELECT COUNT(*) FROM copies")[0][0])


def _sign_missing(store: Store, show: bool) -> None:
    """Sign the chunks that came without: from another workspace, or stored by an earlier version."""
    missing = [row["id"] for row in store.sql(f"SELECT c.id {_LIVE} AND s.chunk_id IS NULL")]
    with progress("comparing", len(missing), show and bool(missing)) as advance:
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            with store.transaction():
                keep_signatures(store, [(id, sign(*_header_and_text(store, id))) for id in batch])
            advance(len(batch))


def _header_and_text(store: Store, id: str) -> tuple[str, str]:
    row = store.sql("SELECT header, text FROM chunks WHERE id = ?", id)[0]
    return row["header"], row["text"]


class _Search:
    """The search for copies among the live sections, document by document."""

    def __init__(self, store: Store) -> None:
        rows = store.sql(
            f"SELECT c.id, c.document_id, s.exact, s.near {_LIVE} ORDER BY NOT EXISTS (SELECT 1 FROM facts f"
            " JOIN chunks o ON o.id = f.chunk_id WHERE o.document_id = d.id), d.rowid, c.ordinal"
        )
        self._chunks = [_Chunk(id, document, Signature(exact, near)) for id, document, exact, near in rows]
        self._places = {chunk.id: place for place, chunk in enumerate(self._chunks)}
        self._said = lru_cache(maxsize=512)(lambda id: _said(store, id))

    @cached_property
    def _near(self) -> Any:
        """Locality-sensitive hashing: which earlier chunks are near."""
        # Its import takes half a second: only for the first text that is not short.
        from datasketch import MinHashLSH

        return MinHashLSH(NEAR, PERMUTATIONS)

    def copies(self) -> Iterator[tuple[str, str]]:
        """Each copy with what says the same: never a copy itself."""
        same: dict[bytes, str] = {}
        for at, chunk in enumerate(self._chunks):
            signature = chunk.signature
            if not signature.exact:
                continue
            kept = same.get(signature.exact, "")
            hashed, others = None, []
            if signature.near and not kept:
                hashed = min_hash(signature.near)
                others = sorted(map(self._places.__getitem__, self._near.query(hashed)))
                kept = next((self._chunks[n].id for n in self._nearest(at, others) if self._is_copy(at, n)), "")
            if kept:
                yield chunk.id, kept
                continue
            same[signature.exact] = chunk.id
            if hashed and len(others) < CROWD:
                self._near.insert(chunk.id, hashed)

    def _nearest(self, at: int, others: Sequence[int]) -> list[int]:
        """The few of the others that agree most, the earlier of equals first."""
        own = self._chunks[at].hashes
        agree = (np.stack([self._chunks[n].hashes for n in others]) == own).sum(axis=1) if others else ()
        best = sorted(range(len(others)), key=lambda place: (-agree[place], place))
        return [others[place] for place in best[:COMPARED]]

    def _is_copy(self, at: int, kept: int) -> bool:
        """Whether all of a chunk, its headings included, stands at a place of another document or in a chunk of its
        own.
        """
        from kb.text.terms import terms

        copy, other = self._chunks[at], self._chunks[kept]
        header, words = self._said(copy.id)
        beside = [other] if other.document == copy.document else self._beside(kept)
        if words not in "".join(self._said(chunk.id)[1] for chunk in beside):
            return False
        there = squeezed(self._said(other.id)[0]) + self._said(other.id)[1]
        return all(squeezed(term) in there for term in terms(headings(header)))

    def _beside(self, at: int) -> list[_Chunk]:
        """A chunk and those around it in its document."""
        around = self._chunks[max(0, at - BESIDE) : at + BESIDE + 1]
        return [chunk for chunk in around if chunk.document == self._chunks[at].document]


def _said(store: Store, id: str) -> tuple[str, str]:
    """A chunk's header as it is, and the words of its text."""
    header, text = _header_and_text(store, id)
    return header, squeezed(text)
