"""Reading one content: the parser and the chunker, and what comes of it, as plain data that can leave a process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kb.errors import DocumentError
from kb.ingest.blocks import Parsed
from kb.ingest.chunk import ChunkSpan, chunk
from kb.ingest.parse import parse
from kb.ingest.passages import passages
from kb.ingest.signatures import Signature, sign


@dataclass(frozen=True)
class ReadConfig:
    """How files are read and cut. See `IngestConfig`."""

    target_tokens: int
    max_tokens: int
    passage_tokens: int
    passage_max_tokens: int
    passwords: tuple[str, ...] = field(default=(), repr=False)
    """Tried on files that need one."""
    ocr: bool = False
    """Read scanned pages."""


@dataclass(frozen=True)
class Content:
    """Bytes that are to be read."""

    places: tuple[Path, ...]
    """The files that have them, in the order in which their suffixes are tried."""
    encoding: str = ""
    """For text formats; "" finds out."""


@dataclass(frozen=True)
class Failure:
    """Why a file could not be read."""

    place: Path
    status: str
    """See `kb.ingest.report.FailedFile`."""
    message: str
    unread_pages: int = 0
    """Pages that OCR may be able to read."""


@dataclass(frozen=True)
class Reading:
    """What a content gave: a parsed document with its chunks, or a failure for every suffix its files have."""

    parsed: Parsed | None = None
    place: Path | None = None
    """Where it was read."""
    chunks: tuple[ChunkSpan, ...] = ()
    signatures: tuple[Signature, ...] = ()
    """Of the chunks, one for each."""
    failures: tuple[Failure, ...] = ()

    @property
    def unread_pages(self) -> int:
        """Pages that OCR may be able to read."""
        return self.parsed.unread_pages if self.parsed else max((one.unread_pages for one in self.failures), default=0)


def read(content: Content, config: ReadConfig) -> Reading:
    """Parse one content, by the first of its files' suffixes whose parser can read it, and cut it."""
    failures: dict[str, Failure] = {}
    for place in content.places:
        suffix = place.suffix.lower()
        if suffix in failures:
            continue
        try:
            parsed = parse(place, content.encoding, config.passwords, config.ocr)
            chunks = tuple(_cut(parsed, config))
            signatures = tuple(sign(span.header, parsed.text[span.start : span.end]) for span in chunks)
            # Only cutting needs the blocks, and their text would be sent twice.
            return Reading(replace(parsed, blocks=()), place, chunks, signatures)
        except DocumentError as error:
            failures[suffix] = Failure(place, error.status, str(error), error.unread_pages)
    return Reading(failures=tuple(failures.values()))


def _cut(parsed: Parsed, config: ReadConfig) -> Iterator[ChunkSpan]:
    """The chunks of a document, each with its passages."""
    for span in chunk(parsed, config.target_tokens, config.max_tokens):
        parts = passages(parsed, span, config.passage_tokens, config.passage_max_tokens)
        yield replace(span, passages=tuple(parts))
