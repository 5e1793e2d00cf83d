"""`kb ingest`: files to documents and chunks in the store. Bytes that are there already are not read again.

Every document is committed as it lands, so a command that was killed is simply given again. A file that cannot be read
is recorded with its reason and tried again by the next run; the others are read all the same.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kb.errors import UsageError
from kb.ingest.blocks import Parsed
from kb.ingest.chunk import ChunkSpan
from kb.ingest.files import Found, find
from kb.ingest.parse import TEXT
from kb.ingest.read import Content, Failure, ReadConfig, Reading, read
from kb.ingest.report import FailedFile, IngestReport
from kb.ingest.shelf import STAGE, Known, Shelf, make_chunks, make_document
from kb.llm.identity import combine, file_sha256
from kb.progress import progress
from kb.records import Chunk, Document
from kb.workspace import Workspace

VERSION = "2"
"""Of the parsers and the chunker. A new one makes every document be read again."""


@dataclass(frozen=True)
class IngestConfig:
    """The `[ingest]` section of kb.toml."""

    target_tokens: int = 900
    """Tokens a chunk aims at."""
    max_tokens: int = 1400
    """Tokens no chunk exceeds, unless a single word does."""
    encoding: str = ""
    """Of text files; "" finds out, but for a file that was read in a given encoding: that one is kept."""
    recursive: bool = True
    """Walk into the folders below the given ones."""
    jobs: int = -1
    """Processes that read files; -1 for one a core. 0 reads without a process and its limits, for debugging."""
    seconds: int = 120
    """A file that takes longer is given up."""
    memory_mb: int = 4096
    """A file that takes more is given up. Of address space, for one process."""

    @property
    def key(self) -> str:
        """Hash of what decides how a file is read and cut, its encoding left out."""
        return combine((VERSION, str(self.target_tokens), str(self.max_tokens)))


@dataclass
class _Run:
    """A run while it goes on: what it works on, and its report as it grows."""

    config: IngestConfig
    shelf: Shelf
    found: Found
    contents: dict[str, list[Path]] = field(default_factory=dict)
    """SHA-256 -> the files with those bytes."""
    read: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    retired: int = 0
    chunks_new: int = 0
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    failed: list[FailedFile] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


def run(
    paths: Iterable[Path],
    config: IngestConfig,
    workspace: Workspace,
    show: bool = True,
    passwords: Sequence[str] = (),
) -> IngestReport:
    """Bring the workspace in step with `paths`, files or folders. The caller holds `workspace.lock()`.

    The passwords are tried on files that need one, and kept nowhere.

    A document whose file is gone from a given folder is retired; one whose file has new bytes that cannot be read stays
    as it was. Raises UsageError for a path that does not exist, for a target above the maximum, or
    a limit below one.
    """
    if not 0 < config.target_tokens <= config.max_tokens:
        raise UsageError(
            f"ingest: target_tokens {config.target_tokens} has to be between 1 and max_tokens {config.max_tokens}"
        )
    if config.jobs < -1 or config.seconds < 1 or config.memory_mb < 1:
        raise UsageError("ingest: jobs has to be -1 or more, seconds and memory_mb 1 or more")
    shelf = Shelf(workspace.store)
    found = find(paths, config.recursive, workspace.root, [known.path for known in shelf.live])
    this = _Run(config, shelf, found)
    for path, reason in found.unreadable:
        _fail(this, path, "UNREADABLE", f"{path}: {reason}")
    with progress("hashing", len(found.files), show) as advance:
        for file in found.files:
            _hash(this, file)
            advance(1)
    unread = [_content(this, sha256) for sha256 in this.contents if not _current(this, sha256)]
    with (
        progress("ingesting", len(this.contents), show) as advance,
        contextlib.closing(_readings(config, unread, passwords)) as readings,
    ):
        for sha256, places in this.contents.items():
            known = _current(this, sha256)
            if known:
                _keep(this, known, places)
            else:
                _take_in(this, sha256, places, next(readings))
            advance(1)
    _retire_missing(this)
    _forget_failures(this)
    return _report(this)


def _fail(this: _Run, path: Path, status: str, message: str) -> None:
    """Record a file that could not be read."""
    this.shelf.store.fail(STAGE, str(path), status, message)
    this.failed.append(FailedFile(str(path), status, message))


def _hash(this: _Run, file: Path) -> None:
    """Add a file to the contents of the run."""
    try:
        this.contents.setdefault(file_sha256(file), []).append(file)
    except OSError as error:
        _fail(this, file, "UNREADABLE", f"{file}: {error.strerror}. Check its permissions.")


def _current(this: _Run, sha256: str) -> Known | None:
    """The live document with these bytes, if it was read as this run would read it."""
    known = this.shelf.with_content(sha256)
    if not known or not known.live or known.key != this.config.key:
        return None
    return known if known.encoding == _encoding(this, known, known.path) else None


def _content(this: _Run, sha256: str) -> Content:
    """Where a content lies, its document's own place first, and the encoding to read it in if it is text."""
    known, places = this.shelf.with_content(sha256), this.contents[sha256]
    home = _home(this, known, places) if known and known.live else None
    encoding = this.config.encoding.lower() or (known.encoding if known else "")
    return Content(tuple(sorted(places, key=lambda place: place != home)), encoding)


def _readings(config: IngestConfig, contents: Sequence[Content], passwords: Sequence[str]) -> Generator[Reading]:
    """What these contents give, in their order."""
    how = ReadConfig(config.target_tokens, config.max_tokens, tuple(passwords))
    if not config.jobs:
        yield from (read(content, how) for content in contents)
    elif contents:
        # Here, so that a run with nothing to read does not load it.
        from kb.ingest.pool import Limits, read_all

        jobs = min(config.jobs if config.jobs > 0 else os.cpu_count() or 1, len(contents))
        yield from read_all(contents, how, Limits(config.seconds, config.memory_mb), jobs)


def _keep(this: _Run, known: Known, places: Sequence[Path]) -> None:
    """Leave a document as it is, but for where it lies."""
    home = _home(this, known, places)
    if home != known.path:
        this.shelf.move(known, home)
        this.moved += 1
    this.unchanged += 1
    this.duplicates += [(str(place), str(home)) for place in places if place != home]


def _encoding(this: _Run, known: Known | None, path: Path) -> str:
    """The encoding in which this run reads a file at `path`: its own, else the one before; "" for what is not text."""
    if path.suffix.lower() not in TEXT:
        return ""
    return this.config.encoding.lower() or (known.encoding if known else "")


def _home(this: _Run, known: Known, places: Sequence[Path]) -> Path:
    """Where a live document lies: where it did, if its bytes are still there, else at the first place."""
    if known.path in places or (known.path not in this.found.files and _has(known.path, known.sha256)):
        return known.path
    return places[0]


def _has(path: Path, sha256: str) -> bool:
    """Whether a file outside this run still has these bytes."""
    try:
        return path.is_file() and file_sha256(path) == sha256
    except OSError:
        return False


def _take_in(this: _Run, sha256: str, places: Sequence[Path], reading: Reading) -> None:
    """Store what a content, which lies at `places`, gave."""
    known = this.shelf.with_content(sha256)
    if reading.parsed and reading.place and reading.parsed.sha256 == sha256:
        home = _home(this, known, places) if known and known.live else reading.place
        _store(this, reading.parsed, reading.chunks, home, _encoding(this, known, reading.place))
        this.duplicates += [(str(place), str(home)) for place in places if place != home]
        return
    changed = Failure(places[0], "UNREADABLE", f"{places[0]}: changed while it was read. Run the command again.")
    reasons = {failure.place.suffix.lower(): failure for failure in reading.failures}
    for place in places:
        failure = reasons.get(place.suffix.lower(), changed)
        kept = " Its earlier version stays in use." if this.shelf.at(place) else ""
        _fail(this, place, failure.status, failure.message.replace(str(failure.place), str(place)) + kept)


def _store(this: _Run, parsed: Parsed, spans: Sequence[ChunkSpan], path: Path, encoding: str) -> None:
    """Store what was read from `path` in this encoding, in place of the version that was there."""
    replaced = this.shelf.at(path)
    if replaced and replaced.sha256 in this.contents:
        replaced = None  # It is still there, under another path.
    document = make_document(parsed, path, this.shelf.choose_lineage(parsed.sha256, replaced))
    chunks = make_chunks(document, spans)
    this.chunks_new += this.shelf.save(document, chunks, this.config.key, encoding, replaced)
    this.read += 1
    this.changed += replaced is not None
    this.notes += [(str(path), note) for note in parsed.notes]


def _retire_missing(this: _Run) -> None:
    """Retire the documents whose files are gone from the folders of this run."""
    for known in this.shelf.live:
        looked = known.path in this.found.gone or this.found.covers(known.path)
        if looked and not known.path.exists():
            this.shelf.retire(known)
            this.retired += 1


def _forget_failures(this: _Run) -> None:
    """Drop records of earlier failures that this run has not met again, where it looked."""
    now = {failed.path for failed in this.failed}
    for item, _, _ in this.shelf.store.failures(STAGE):
        path = Path(item)
        looked = path in this.found.files or this.found.covers(path)
        if item not in now and looked:
            this.shelf.store.unfail(STAGE, item)


def _report(this: _Run) -> IngestReport:
    """The report of a finished run."""
    store = this.shelf.store
    live = "SELECT language, COUNT(*) n FROM chunks WHERE document_id IN (SELECT id FROM documents WHERE retired = 0)"
    languages = tuple((row["language"], row["n"]) for row in store.sql(f"{live} GROUP BY language ORDER BY n DESC"))
    notes = [f"{this.found.links} symbolic links were not followed"] if this.found.links else []
    return IngestReport(
        this.read, this.changed, this.unchanged, this.moved, this.retired, tuple(this.duplicates), tuple(this.failed),
        tuple(this.found.unknown.most_common()), store.count(Document), store.count(Chunk), this.chunks_new,
        languages, (*this.notes, *(("", note) for note in notes)),
    )  # fmt: skip
