"""Which requests a run may send, and what stays as it was of chunks that lack an answer and may not be asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kb.errors import UsageError
from kb.records import Chunk
from kb.store import Store

LISTED = 5
"""Documents that an error names."""


@dataclass(frozen=True)
class Choice:
    """What the user wants to have asked; by default everything that is missing or failed."""

    only: tuple[str, ...] = ()
    """Documents, each by path, file name or id, or the beginning of one that no other has; empty: all."""
    failed: bool = False
    """Only what failed before, and what follows from it in the same chunks."""
    strengthen: bool = False
    """Write more training questions for the facts that the last run's model never answers right."""
    failures: str | None = None
    """Write more rows for the facts that an evaluation found something wrong with: its file, or "" for the last one."""

    def documents(self, store: Store) -> dict[str, str]:
        """Each name with the id that it stands for. Raises UsageError for one that stands for none, or for several."""
        return {name: find_document(store, name) for name in self.only}


@dataclass
class Selection:
    """The choice, applied to this workspace."""

    chunks: frozenset[str] | None = None
    """Chunks that may be asked about; None: all."""
    failed_only: bool = False
    failed: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """What failed in the last run: stage name and item to reason and detail."""
    opened: set[str] = field(default_factory=set)
    """Chunks that something failed about, as they are met."""

    @property
    def whole(self) -> bool:
        """Whether everything may be asked."""
        return self.chunks is None and not self.failed_only

    def allows(self, stage: str, item: str, chunk: str) -> bool:
        """Whether an item may be asked. Meeting one that failed opens its chunk for all that comes after."""
        if (stage, item) in self.failed:
            self.opened.add(chunk)
        return self.covers(chunk)

    def covers(self, chunk: str) -> bool:
        """Whether a chunk may be asked about, as far as the run has come."""
        chosen = self.chunks is None or chunk in self.chunks
        return chosen and (not self.failed_only or chunk in self.opened)


def select(store: Store, choice: Choice, chunks: Iterable[Chunk], stage: str) -> Selection:
    """Apply a choice. Raises UsageError for a document that is not there, is several, or has no chunk to ask about."""
    rows = store.sql("SELECT stage, item, reason, detail FROM failures WHERE stage LIKE ?", f"{stage}: %")
    failed = {(row["stage"], row["item"]): (row["reason"], row["detail"]) for row in rows}
    if not choice.only:
        return Selection(None, choice.failed, failed)
    wanted = choice.documents(store)
    chosen = [chunk for chunk in chunks if chunk.document_id in wanted.values()]
    for name, document in wanted.items():
        if document not in {chunk.document_id for chunk in chosen}:
            raise UsageError(f"{name}: nothing to ask about; it is empty, beyond the limit, or says what others say")
    return Selection(frozenset(chunk.id for chunk in chosen), choice.failed, failed)


def find_document(store: Store, name: str) -> str:
    """The id of the live document that is meant. Raises UsageError naming candidates when it is none or several."""
    rows = store.sql("SELECT id, path FROM documents WHERE retired = 0")
    paths: dict[str, str] = {row["id"]: row["path"] for row in rows}
    full = str(Path(name).expanduser().resolve())
    ways = (
        [id for id, path in paths.items() if id == name or path == full],
        [id for id, path in paths.items() if Path(path).name == name],
        [id for id, path in paths.items() if path.endswith(f"/{name}")],
        [id for id, path in paths.items() if name and (id.startswith(name) or Path(path).name.startswith(name))],
        [id for id, path in paths.items() if path.startswith(full)],
    )
    found = next((ids for ids in ways if ids), [])
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name}: {len(found)} documents are called so: {_listed(paths[id] for id in found)}")
    raise UsageError(f"{name}: no such document in this workspace; there is: {_listed(paths.values())}")


def _listed(paths: Iterable[str]) -> str:
    names = sorted(paths)
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "") if names else "none"
