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

from kb.ingest.blocks import Parsed
from kb.ingest.config import IngestConfig
from kb.ingest.copies import keep_signatures, mark_copies
from kb.ingest.read import Content, Failure, ReadConfig, Reading, read
from kb.ingest.report import FailedFile, IngestReport
from kb.ingest.shelf import STAGE, Known, make_chunks, make_document
from kb.ingest.survey import Survey, survey
from kb.progress import progress
from kb.records import Chunk, Document
from kb.store import LIVE, PASSAGES, SECTIONS
from kb.workspace import Workspace


@dataclass
class _Run:
    """A run while it goes on: what it works on, and its report as it grows."""

    survey: Survey
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
    as it was. Raises UsageError for a path that does not exist, or wrong settings.
    """
    seen = survey(paths, config, workspace, show)
    this = _Run(seen)
    for failure in seen.failures:
        _fail(this, failure.place, failure.status, failure.message)
    unread = [seen.content(sha256) for sha256 in seen.unread()]
    with (
        progress("ingesting", len(seen.contents), show) as advance,
        contextlib.closing(_readings(config, unread, passwords, seen.ocr)) as readings,
    ):
        for sha256, places in seen.contents.items():
            known = seen.current(sha256)
            if known:
                _keep(this, known, places)
            else:
                _take_in(this, sha256, places, next(readings))
            advance(1)
    for known in seen.gone():
        seen.shelf.retire(known)
        this.retired += 1
    _forget_failures(this)
    return _report(this, mark_copies(seen.shelf.store, show))


def _fail(this: _Run, path: Path, status: str, message: str) -> None:
    """Record a file that could not be read."""
    this.survey.shelf.store.fail(STAGE, str(path), status, message)
    this.failed.append(FailedFile(str(path), status, message))


def _readings(
    config: IngestConfig, contents: Sequence[Content], passwords: Sequence[str], ocr: bool
) -> Generator[Reading]:
    """What these contents give, in their order."""
    how = ReadConfig(
        config.target_tokens, config.max_tokens, config.passage_tokens, config.passage_max_tokens, tuple(passwords),
        ocr,
    )  # fmt: skip
    if not config.jobs:
        yield from (read(content, how) for content in contents)
    elif contents:
        # Here, so that a run with nothing to read does not load it.
        from kb.ingest.pool import Limits, read_all

        jobs = min(config.jobs if config.jobs > 0 else os.cpu_count() or 1, len(contents))
        yield from read_all(contents, how, Limits(config.seconds, config.memory_mb), jobs)


def _keep(this: _Run, known: Known, places: Sequence[Path]) -> None:
    """Leave a document as it is, but for where it lies."""
    home = this.survey.home(known, places)
    if home != known.path:
        this.survey.shelf.move(known, home)
        this.moved += 1
    this.unchanged += 1
    this.duplicates += [(str(place), str(home)) for place in places if place != home]


def _take_in(this: _Run, sha256: str, places: Sequence[Path], reading: Reading) -> None:
    """Store what a content, which lies at `places`, gave."""
    known = this.survey.shelf.with_content(sha256)
    if reading.parsed and reading.place and reading.parsed.sha256 == sha256:
        home = this.survey.home(known, places) if known and known.live else reading.place
        _store(this, reading.parsed, reading, home, this.survey.encoding(known, reading.place))
        this.duplicates += [(str(place), str(home)) for place in places if place != home]
        return
    changed = Failure(places[0], "UNREADABLE", f"{places[0]}: changed while it was read. Run the command again.")
    reasons = {failure.place.suffix.lower(): failure for failure in reading.failures}
    for place in places:
        failure = reasons.get(place.suffix.lower(), changed)
        kept = " Its earlier version stays in use." if this.survey.shelf.at(place) else ""
        _fail(this, place, failure.status, failure.message.replace(str(failure.place), str(place)) + kept)


def _store(this: _Run, parsed: Parsed, reading: Reading, path: Path, encoding: str) -> None:
    """Store what was read from `path` in this encoding, in place of the version that was there."""
    shelf = this.survey.shelf
    replaced = this.survey.replaced(path)
    document = make_document(parsed, path, shelf.choose_lineage(parsed.sha256, replaced))
    chunks = make_chunks(document, reading.chunks)
    sections = [chunk.id for chunk in chunks if not chunk.section]
    key = this.survey.key(parsed.unread_pages > 0)
    with shelf.store.transaction():
        this.chunks_new += shelf.save(document, chunks, key, encoding, replaced)
        keep_signatures(shelf.store, zip(sections, reading.signatures, strict=True))
    this.read += 1
    this.changed += replaced is not None
    this.notes += [(str(path), note) for note in parsed.notes]


def _forget_failures(this: _Run) -> None:
    """Drop records of earlier failures that this run has not met again, where it looked."""
    now = {failed.path for failed in this.failed}
    for item, _, _ in this.survey.shelf.store.failures(STAGE):
        if item not in now and this.survey.looked_at(Path(item)):
            this.survey.shelf.store.unfail(STAGE, item)


def _report(this: _Run, copies: int) -> IngestReport:
    """The report of a finished run."""
    store = this.survey.shelf.store
    live = f"SELECT language, COUNT(*) n FROM chunks WHERE {SECTIONS} AND {LIVE[Chunk]} GROUP BY language"
    languages = tuple((row["language"], row["n"]) for row in store.sql(f"{live} ORDER BY n DESC"))
    notes = [f"{this.survey.found.links} symbolic links were not followed"] if this.survey.found.links else []
    return IngestReport(
        this.read, this.changed, this.unchanged, this.moved, this.retired, tuple(this.duplicates), tuple(this.failed),
        tuple(this.survey.found.unknown.most_common()), store.count(Document), store.count(Chunk, SECTIONS),
        this.chunks_new, store.count(Chunk, PASSAGES), copies, languages,
        (*this.notes, *(("", note) for note in notes)),
    )  # fmt: skip
