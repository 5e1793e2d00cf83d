"""Documents and their chunks in the store: what is there, and how a version replaces another.

A chunk's id is made of its document's lineage, header and text, so what did not change keeps its id, and with it its
vectors, facts and questions. A document is the same while its bytes are the same, wherever they lie.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kb.ingest.blocks import Parsed
from kb.ingest.chunk import ChunkSpan
from kb.records import Chunk, Document, make_id
from kb.store import Store

STAGE = "ingest"
"""The name failures are recorded under."""
_SETTING = "ingest/"
"""Before a document's id: the setting with the key it was read under and, after a blank, the encoding given for it."""


@dataclass(frozen=True)
class Known:
    """A document in the store, without its text."""

    id: str
    path: Path
    sha256: str
    lineage: str
    live: bool
    key: str
    """Hash of the parser's version and the settings it was read with."""
    encoding: str = ""
    """The encoding that was given for it; "" where none was."""


class Shelf:
    """The documents of a store, their texts left there. Changes go to the store first, each in one transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store
        rows = store.sql(
            "SELECT d.id, d.path, d.sha256, d.lineage, d.retired, s.value FROM documents d"
            " LEFT JOIN settings s ON s.key = ? || d.id ORDER BY d.rowid",
            _SETTING,
        )
        self._all = {row["id"]: _known(row) for row in rows}
        self._places = {known.path: known.id for known in self._all.values() if known.live}
        self._lineages = {known.lineage: known.id for known in self._all.values() if known.live}

    @property
    def live(self) -> list[Known]:
        """The documents whose files are there."""
        return [known for known in self._all.values() if known.live]

    def with_content(self, sha256: str) -> Known | None:
        """The document with these bytes, live or retired."""
        return self._all.get(document_id(sha256))

    def at(self, path: Path) -> Known | None:
        """The live document that was read from this path."""
        id = self._places.get(path)
        return self._all[id] if id else None

    def choose_lineage(self, sha256: str, replaced: Known | None) -> str:
        """The lineage for a document that is read: its own while it lives, that of the version it replaces, or the one
        it had; a new one where another document has taken that over.
        """
        id, own = document_id(sha256), self.with_content(sha256)
        if own and own.live:
            return own.lineage
        if replaced:
            return replaced.lineage
        lineage, attempt = (own.lineage if own else id), 0
        while lineage in self._lineages:
            attempt += 1
            lineage = make_id("lin", id, attempt)
        return lineage

    def save(self, document: Document, chunks: Sequence[Chunk], key: str, encoding: str, replaced: Known | None) -> int:
        """Store a document with exactly these chunks, in place of the version it replaces. Returns how many chunks are
        new. Facts of a chunk that has moved within the document move with it.
        """
        store = self.store
        with store.transaction():
            before = _starts(store, [chunk.id for chunk in chunks])
            if replaced:
                self.retire(replaced)
            store.put([document], replace=True, retired=0)
            store.put(chunks, replace=True)
            kept = {chunk.id for chunk in chunks}
            for row in store.sql("SELECT id FROM chunks WHERE document_id = ?", document.id):
                if row["id"] not in kept:
                    store.sql("DELETE FROM chunks WHERE id = ?", row["id"])
            for chunk in chunks:
                shift = chunk.start - before.get(chunk.id, chunk.start)
                if shift:
                    _shift_facts(store, chunk.id, shift)
            store.set_setting(_SETTING + document.id, f"{key} {encoding}".rstrip())
            store.unfail(STAGE, document.path)
        self._put(Known(document.id, Path(document.path), document.sha256, document.lineage, True, key, encoding))
        return len({chunk.id for chunk in chunks if not chunk.section} - before.keys())

    def move(self, known: Known, path: Path) -> None:
        """The document's file lies somewhere else now."""
        with self.store.transaction():
            self.store.sql("UPDATE documents SET path = ? WHERE id = ?", str(path), known.id)
        self._put(replace(known, path=path))

    def retire(self, known: Known) -> None:
        """The document's file is gone: it and what hangs from it stay in the store and count no more."""
        with self.store.transaction():
            self.store.sql("UPDATE documents SET retired = 1 WHERE id = ?", known.id)
        self._put(replace(known, live=False))

    def _put(self, known: Known) -> None:
        """Remember a document as it is now."""
        before = self._all.get(known.id)
        if before and before.live and self._places.get(before.path) == before.id:
            del self._places[before.path]
            self._lineages.pop(before.lineage, None)
        self._all[known.id] = known
        if known.live:
            self._places[known.path] = known.id
            self._lineages[known.lineage] = known.id


def _known(row: sqlite3.Row) -> Known:
    """The document of a row."""
    key, _, encoding = (row["value"] or "").partition(" ")
    path, live = Path(row["path"]), not row["retired"]
    return Known(row["id"], path, row["sha256"], row["lineage"], live, key, encoding)


def document_id(sha256: str) -> str:
    """The id of the document with these bytes."""
    return make_id("doc", sha256)


def make_document(parsed: Parsed, path: Path, lineage: str) -> Document:
    """The record of a parsed file."""
    id = document_id(parsed.sha256)
    return Document(
        id, str(path), parsed.sha256, parsed.format, parsed.title, parsed.language, parsed.text, parsed.notes, lineage
    )


def make_chunks(document: Document, spans: Iterable[ChunkSpan]) -> list[Chunk]:
    """The records of a document's chunks, each followed by its passages. The same header and text twice are told apart
    by their order.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    chunks = []
    for ordinal, span in enumerate(spans):
        chunk = _record(document, span, ordinal, "", seen)
        chunks += [chunk, *(_record(document, part, n, chunk.id, seen) for n, part in enumerate(span.passages))]
    return chunks


def _record(document: Document, span: ChunkSpan, ordinal: int, section: str, seen: Counter[tuple[str, ...]]) -> Chunk:
    """The record of a chunk, or of a passage of this section; `seen` counts what ids are made of.

    A passage keeps its id, and with it its vector, where something else in its section changes.
    """
    text = document.text[span.start : span.end]
    says = (document.lineage, span.header, text, *(["passage"] if section else []))
    seen[says] += 1
    return Chunk(
        make_id("chk", *says, seen[says] - 1), document.id, ordinal, text, span.header,
        span.language, span.start, span.end, span.page, span.tokens, section,
    )  # fmt: skip


def _starts(store: Store, ids: Sequence[str]) -> dict[str, int]:
    """Where the chunks that are there already start."""
    starts: dict[str, int] = {}
    for at in range(0, len(ids), 500):
        part = ids[at : at + 500]
        marks = ",".join("?" * len(part))
        starts |= {
            row["id"]: row["start"] for row in store.sql(f"SELECT id, start FROM chunks WHERE id IN ({marks})", *part)
        }
    return starts


def _shift_facts(store: Store, chunk_id: str, shift: int) -> None:
    """Move the evidence spans of a chunk's facts by so many characters."""
    for table in ("facts", "fact_sources"):
        store.sql(f'UPDATE {table} SET start = start + ?, "end" = "end" + ? WHERE chunk_id = ?', shift, shift, chunk_id)
