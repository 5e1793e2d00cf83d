"""`kb ingest merge`: what shards have read, on whatever machines, put together in one workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kb.errors import UsageError
from kb.ingest.chunk import ChunkSpan
from kb.ingest.copies import keep_signatures, mark_copies
from kb.ingest.report import FailedFile
from kb.ingest.shelf import STAGE, Known, Shelf, make_chunks
from kb.ingest.signatures import Signature
from kb.progress import progress
from kb.records import Chunk, Document
from kb.store import SECTIONS, Store
from kb.workspace import Workspace


@dataclass(frozen=True)
class MergeReport:
    """What was put together, and what the workspace holds now."""

    workspaces: int
    taken: int
    """Documents that the workspace did not have."""
    replaced: int
    """Of those, newer versions of a file."""
    known: int
    """Documents that were there already."""
    failed: tuple[FailedFile, ...]
    """What the shards could not read."""
    documents: int
    """Live in the workspace."""
    chunks: int
    """Live in the workspace."""
    copies: int
    """Of the chunks, those that only say what another one says."""

    def lines(self) -> list[str]:
        """For the terminal."""
        newer = f" ({self.replaced} of them newer versions)" if self.replaced else ""
        lines = [
            f"from {self.workspaces} workspaces: {self.taken} documents taken{newer}, {self.known} known already,"
            f" {len(self.failed)} failed",
            f"in the workspace: {self.documents} documents, {self.chunks} chunks, {self.copies} of them copies",
        ]
        return lines + [f"{failed.status}: {failed.message}" for failed in self.failed]


def merge(sources: Sequence[Path], workspace: Workspace, show: bool = True) -> MergeReport:
    """Take over the live documents of other workspaces with their chunks and vectors, and what failed there.

    The caller holds `workspace.lock()`. A document is committed as it lands; merging again takes only what is missing.
    Raises UsageError for what is no other workspace, before anything is taken, and WorkspaceError for one that is being
    written.
    """
    roots = [_root(source, workspace) for source in sources]
    store, shelf = workspace.store, Shelf(workspace.store)
    counts = {"taken": 0, "replaced": 0, "known": 0}
    for root in roots:
        source = Workspace(root)
        with source.lock():
            theirs = Shelf(source.store)
            with progress(f"merging {root}", len(theirs.live), show) as advance:
                for known in theirs.live:
                    counts[_take(shelf, source.store, known)] += 1
                    advance(1)
            for path, status, message in source.store.failures(STAGE):
                if not shelf.at(Path(path)):
                    store.fail(STAGE, path, status, message)
        source.store.close()
    failed = tuple(FailedFile(path, status, message) for path, status, message in store.failures(STAGE))
    return MergeReport(
        len(roots), counts["taken"] + counts["replaced"], counts["replaced"], counts["known"], failed,
        store.count(Document), store.count(Chunk, SECTIONS), mark_copies(store, show),
    )  # fmt: skip


def _root(source: Path, workspace: Workspace) -> Path:
    """The folder of a workspace that is named by itself or by the folder it is in."""
    for root in (source.expanduser(), source.expanduser() / ".kb"):
        if (root / "kb.db").exists():
            if root.resolve() == workspace.root:
                raise UsageError(f"{source}: this is the workspace to merge into; name the others")
            return root
    raise UsageError(f"{source}: there is no workspace here")


def _take(shelf: Shelf, source: Store, known: Known) -> str:
    """Take over one document. Returns what it was: taken, replaced (another version) or known."""
    own = shelf.with_content(known.sha256)
    if own and own.live and (own.key, own.encoding) == (known.key, known.encoding):
        return "known"
    theirs = source.all(Document, "id = ?", known.id)[0]
    replaced = shelf.at(known.path)
    replaced = None if replaced and replaced.sha256 == known.sha256 else replaced
    document = replace(theirs, lineage=shelf.choose_lineage(known.sha256, replaced))
    read = source.all(Chunk, "document_id = ?", known.id)
    chunks = make_chunks(document, _spans(read))
    with shelf.store.transaction():
        shelf.save(document, chunks, known.key, known.encoding, replaced)
        for before, chunk in zip(read, chunks, strict=True):
            for row in source.sql("SELECT model, vector FROM vectors WHERE chunk_id = ?", before.id):
                shelf.store.sql("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", chunk.id, *row)
            for row in source.sql("SELECT exact, near FROM signatures WHERE chunk_id = ?", before.id):
                keep_signatures(shelf.store, [(chunk.id, Signature(*row))])
    return "replaced" if replaced else "taken"


def _spans(chunks: Sequence[Chunk]) -> list[ChunkSpan]:
    """Chunks, each followed by its passages, as they were cut."""
    spans: list[ChunkSpan] = []
    for chunk in chunks:
        span = ChunkSpan(chunk.start, chunk.end, chunk.header, chunk.page, chunk.tokens, chunk.language)
        if chunk.section:
            spans[-1] = replace(spans[-1], passages=(*spans[-1].passages, span))
        else:
            spans.append(span)
    return spans
