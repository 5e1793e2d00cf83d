"""Chunks that say nothing new: kept as further sources of what another one says, out of generation and search.

The same text in two formats, or a new edition of a manual, has many chunks in common with what is there. MinHash finds
chunks that are near an earlier one (Jaccard of character 5-grams; Broder, SEQUENCES 1997). Near is not the same: a
template filled with another name, a price that was raised or a "may" that became "must" is as near, and says something
else. So a chunk is a copy only if all of it stands word for word where the other one is, blanks and punctuation aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kb.progress import progress
from kb.store import Store

NEAR = 0.7
"""Jaccard from which two chunks are compared."""
GRAM = 5
PERMUTATIONS = 128
SHORT = 200
"""Characters, without blanks and punctuation, below which two texts are one only under the same title and headings."""
_LIVE = "FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.section = '' AND d.retired = 0"
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

_BETWEEN = re.compile(r"(?<![0-9])\.|\.(?![0-9])|-(?![0-9])|(?<=[^\s(])-|[^\w.%<>≤≥≠=±+$€£¥-]|_")
"""Blanks and punctuation, but for what belongs to a number (1.5, -5, 5%, >5, $5)."""


@dataclass(frozen=True)
class _Text:
    """A chunk as it is compared."""

    id: str
    document: str
    header: str
    text: str

    @cached_property
    def squeezed(self) -> str:
        """Letters and digits alone, in one form."""
        return _squeezed(self.text)

    @cached_property
    def headings(self) -> str:
        """The heading path without the document's title."""
        return self.header.partition(" > ")[2]

    @property
    def exact(self) -> tuple[str, str]:
        """What makes two texts the same: the words, and for short ones what they stand under."""
        under = self.headings if len(self.squeezed) >= SHORT else self.header
        return _squeezed(under), self.squeezed


def mark_copies(store: Store, show: bool = True) -> int:
    """Find the copies among the live chunks, anew where these have changed, and return how many there are.

    Of two, the later one is the copy; a document with facts comes before one without, so that no fact is lost.
    """
    state = " ".join(map(str, store.sql(f"SELECT COUNT(*), TOTAL(c.rowid), MAX(c.rowid) {_LIVE}")[0]))
    if store.setting(_SETTING) != state:
        chunks = _live(store)
        found = list(_copies(chunks, _signatures(store, chunks, show)))
        with store.transaction():
            store.sql("DELETE FROM copies")
            for copy, kept in found:
                store.sql("INSERT INTO copies VALUES (?, ?)", copy, kept)
            store.set_setting(_SETTING, state)
    return int(store.sql("SELECT COUNT(*) FROM copies")[0][0])


def _live(store: Store) -> list[_Text]:
    """The live sections, document by document."""
    rows = store.sql(
        f"SELECT c.id, c.document_id, c.header, c.text {_LIVE} ORDER BY NOT EXISTS (SELECT 1 FROM facts f JOIN chunks o"
        " ON o.id = f.chunk_id WHERE o.document_id = d.id), d.rowid, c.ordinal"
    )
    return [_Text(*row) for row in rows]


def _signatures(store: Store, chunks: Sequence[_Text], show: bool) -> dict[str, np.ndarray]:
    """MinHash values of each chunk that is not short, kept in the store."""
    known = {row["chunk_id"]: row["signature"] for row in store.sql("SELECT * FROM signatures")}
    missing = [chunk for chunk in chunks if chunk.id not in known and len(chunk.squeezed) >= SHORT]
    with progress("comparing", len(missing), show and len(missing) > 0) as advance:
        for start in range(0, len(missing), BATCH):
            made = {chunk.id: _min_hash(_grams(chunk.squeezed)) for chunk in missing[start : start + BATCH]}
            with store.transaction():
                for id, signature in made.items():
                    store.sql("INSERT OR REPLACE INTO signatures VALUES (?, ?)", id, signature)
            known |= made
            advance(len(made))
    return {id: np.frombuffer(signature, np.uint32) for id, signature in known.items()}


def _min_hash(grams: set[str]) -> bytes:
    """The MinHash of a text's 5-grams, as 32-bit numbers."""
    from datasketch import MinHash

    hashed = MinHash(PERMUTATIONS)
    hashed.update_batch([gram.encode() for gram in grams])
    values: bytes = hashed.hashvalues.tobytes()
    return values


def _copies(chunks: Sequence[_Text], signatures: dict[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Each copy with what says the same: never a copy itself."""
    places = {chunk.id: place for place, chunk in enumerate(chunks)}
    near = _Near()
    exact: dict[tuple[str, str], str] = {}
    for chunk in chunks:
        if not chunk.squeezed:
            continue
        kept = exact.get(chunk.exact, "")
        crowded = True
        if not kept and len(chunk.squeezed) >= SHORT:
            others = sorted(near.query(signatures[chunk.id]), key=places.__getitem__)
            crowded = len(others) >= CROWD
            others = _nearest(signatures, chunk.id, others)
            kept = next((id for id in others if _says_nothing_new(chunk, chunks, places[id])), "")
        if kept:
            yield chunk.id, kept
            continue
        exact[chunk.exact] = chunk.id
        if not crowded:
            near.insert(chunk.id, signatures[chunk.id])


class _Near:
    """Locality-sensitive hashing of signatures: which earlier ones are near."""

    @cached_property
    def _index(self) -> Any:
        # Its import takes half a second: only for the first text that is not short.
        from datasketch import MinHashLSH

        return MinHashLSH(NEAR, PERMUTATIONS)

    @cached_property
    def _scheme(self) -> str:
        from datasketch import MinHash

        return str(MinHash(PERMUTATIONS).scheme)

    def _hash(self, signature: np.ndarray) -> Any:
        from datasketch import MinHash

        return MinHash(hashvalues=signature, scheme=self._scheme)

    def query(self, signature: np.ndarray) -> list[str]:
        """Ids of the near ones."""
        return list(self._index.query(self._hash(signature)))

    def insert(self, id: str, signature: np.ndarray) -> None:
        """Let later ones be near this one."""
        self._index.insert(id, self._hash(signature))


def _nearest(signatures: dict[str, np.ndarray], id: str, others: Sequence[str]) -> list[str]:
    """The few of the others that agree most, the earlier of equals first."""
    own = signatures[id]
    agree = (np.stack([signatures[other] for other in others]) == own).sum(axis=1) if others else ()
    best = sorted(range(len(others)), key=lambda place: (-agree[place], place))
    return [others[place] for place in best[:COMPARED]]


def _says_nothing_new(copy: _Text, chunks: Sequence[_Text], at: int) -> bool:
    """Whether all of a chunk, its headings included, stands at a place of another document or in a chunk of its own."""
    from kb.text.terms import terms

    kept = chunks[at]
    beside = [kept] if kept.document == copy.document else _beside(chunks, at)
    if copy.squeezed not in "".join(chunk.squeezed for chunk in beside):
        return False
    there = _squeezed(kept.header) + kept.squeezed
    return all(_squeezed(term) in there for term in terms(copy.headings))


def _beside(chunks: Sequence[_Text], at: int) -> list[_Text]:
    """A chunk and those around it in its document."""
    around = chunks[max(0, at - BESIDE) : at + BESIDE + 1]
    return [chunk for chunk in around if chunk.document == chunks[at].document]


def _squeezed(text: str) -> str:
    """Letters, digits and what belongs to numbers, in one form of width and case."""
    from kb.text.characters import fold

    return _BETWEEN.sub("", fold(text))


def _grams(squeezed: str) -> set[str]:
    """The character 5-grams; a shorter text is one itself."""
    return {squeezed[at : at + GRAM] for at in range(max(1, len(squeezed) - GRAM + 1))}
