"""What a run of `kb ingest` finds before it reads anything: which bytes lie where, and what the store has of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kb.ingest.config import IngestConfig
from kb.ingest.files import Found, find
from kb.ingest.ocr import is_installed
from kb.ingest.parse import TEXT
from kb.ingest.read import Content, Failure
from kb.ingest.shelf import Known, Shelf
from kb.llm.identity import file_sha256
from kb.progress import progress
from kb.workspace import Workspace

WITHOUT_OCR = "-without-ocr"
"""Behind the key of a document with pages that were left unread, so that it is read again once OCR is installed."""


@dataclass
class Survey:
    """The files of a run beside the documents of the store. Answers follow the shelf as the run changes it."""

    config: IngestConfig
    shelf: Shelf
    found: Found
    ocr: bool
    """Whether scanned pages can be read here."""
    contents: dict[str, list[Path]] = field(default_factory=dict)
    """SHA-256 -> the files with those bytes."""
    failures: list[Failure] = field(default_factory=list)
    """What could not be listed or hashed."""

    @cached_property
    def files(self) -> frozenset[Path]:
        """The files that were found."""
        return frozenset(self.found.files)

    def current(self, sha256: str) -> Known | None:
        """The live document with these bytes, if it was read as this run would read it."""
        known = self.shelf.with_content(sha256)
        if not known or not known.live or known.key not in (self.config.key, self.key(unread_pages=True)):
            return None
        return known if known.encoding == self.encoding(known, known.path) else None

    def key(self, unread_pages: bool) -> str:
        """The setting that a document is kept under; another one where only OCR, if it were here, could read more."""
        return self.config.key + (WITHOUT_OCR if unread_pages and not self.ocr else "")

    def unread(self) -> list[str]:
        """The contents that this run has to read, in their order."""
        return [sha256 for sha256 in self.contents if not self.current(sha256)]

    def content(self, sha256: str) -> Content:
        """Where a content lies, its document's own place first, and the encoding to read it in if it is text."""
        known, places = self.shelf.with_content(sha256), self.contents[sha256]
        home = self.home(known, places) if known and known.live else None
        encoding = self.config.encoding.lower() or (known.encoding if known else "")
        return Content(tuple(sorted(places, key=lambda place: place != home)), encoding)

    def encoding(self, known: Known | None, path: Path) -> str:
        """The encoding in which this run reads a file: its own, else the one before; "" for what is not text."""
        if path.suffix.lower() not in TEXT:
            return ""
        return self.config.encoding.lower() or (known.encoding if known else "")

    def home(self, known: Known, places: Sequence[Path]) -> Path:
        """Where a live document lies: where it did, if its bytes are still there, else at the first place."""
        if known.path in places or (known.path not in self.files and _has(known.path, known.sha256)):
            return known.path
        return places[0]

    def replaced(self, path: Path) -> Known | None:
        """The document that new bytes at this path take the place of; none where its bytes lie elsewhere now."""
        known = self.shelf.at(path)
        return None if known and known.sha256 in self.contents else known

    def gone(self) -> list[Known]:
        """The live documents whose files are gone from where this run looked."""
        looked = [known for known in self.shelf.live if known.path in self.found.gone or self.found.covers(known.path)]
        return [known for known in looked if not known.path.exists()]

    def looked_at(self, path: Path) -> bool:
        """Whether this run would have met a file at this path."""
        # Of a folder, a shard has met only its part.
        met = not self.config.shard or not path.exists()
        return path in self.files or (self.found.covers(path) and met)


def survey(paths: Iterable[Path], config: IngestConfig, workspace: Workspace, show: bool = True) -> Survey:
    """Find and hash the files under `paths`. Raises UsageError for a path that does not exist, or wrong settings."""
    config.check()
    shelf = Shelf(workspace.store)
    found = find(paths, config.recursive, workspace.root, [known.path for known in shelf.live], config.part or (1, 1))
    this = Survey(config, shelf, found, is_installed())
    this.failures += [Failure(path, "UNREADABLE", f"{path}: {reason}") for path, reason in found.unreadable]
    with progress("hashing", len(found.files), show) as advance:
        for file in found.files:
            _hash(this, file)
            advance(1)
    return this


def _hash(this: Survey, file: Path) -> None:
    """Add a file to the contents."""
    try:
        this.contents.setdefault(file_sha256(file), []).append(file)
    except OSError as error:
        message = f"{file}: {error.strerror}. Check its permissions."
        this.failures.append(Failure(file, "UNREADABLE", message))


def _has(path: Path, sha256: str) -> bool:
    """Whether a file outside this run still has these bytes."""
    try:
        return path.is_file() and file_sha256(path) == sha256
    except OSError:
        return False
