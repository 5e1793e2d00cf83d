"""What `kb ingest` did."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = 20
"""Lines of one kind that the terminal shows."""


@dataclass(frozen=True)
class FailedFile:
    """A file or folder that could not be read."""

    path: str
    status: str
    """CORRUPT, UNSUPPORTED, PASSWORD_NEEDED, NEEDS_OCR, GARBLED, EMPTY, UNREADABLE, TIMEOUT, TOO_LARGE or CRASH."""
    message: str
    """What is wrong and what to do about it."""


@dataclass(frozen=True)
class IngestReport:
    """What a run did and what the workspace holds now. Numbers are documents, where nothing else is said."""

    read: int
    """Parsed in this run: new, changed, or read again under other settings."""
    changed: int
    """Of those, new versions of a file; the old version is retired."""
    unchanged: int
    moved: int
    """Same bytes under another path, the old one being gone; counted among the unchanged."""
    retired: int
    """Whose file is gone."""
    duplicates: tuple[tuple[str, str], ...]
    """(path, path of the document with the same bytes)."""
    failed: tuple[FailedFile, ...]
    skipped: tuple[tuple[str, int], ...]
    """(suffix, files) in folders that kb does not read."""
    documents: int
    """Live in the workspace."""
    chunks: int
    """Live in the workspace."""
    chunks_new: int
    """That the workspace did not have."""
    passages: int
    """Live in the workspace: what the chunks are cut into for the search."""
    copies: int
    """Of the chunks in the workspace, those that only say what another one says."""
    languages: tuple[tuple[str, int], ...]
    """(language, chunks) in the workspace, the most frequent first."""
    notes: tuple[tuple[str, str], ...]
    """(path, what the reader should know) of the files read."""

    def lines(self) -> list[str]:
        """What happened, for the terminal: counts, then every failure with its cure, then what else should be known."""
        read = f"{self.read} read" + (f" ({self.changed} of them changed)" if self.changed else "")
        kept = f"{self.unchanged} unchanged" + (f" ({self.moved} of them moved)" if self.moved else "")
        retired = [f"{self.retired} retired, their files being gone"] if self.retired else []
        spoken = ", ".join(f"{count} {language}" for language, count in self.languages) or "none"
        lines = [
            "documents: " + ", ".join([read, kept, *retired, f"{len(self.failed)} failed"]),
            f"in the workspace: {self.documents} documents, {self.chunks} chunks ({spoken}), {self.chunks_new} new;"
            f" {self.passages} passages to search",
        ]
        if self.copies:
            lines.append(f"copies: {self.copies} of the chunks only say what others say, and are further sources of it")
        if self.skipped:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in self.skipped)
            lines.append(f"files of other kinds left alone: {kinds}")
        lines += [f"{failed.status}: {failed.message}" for failed in self.failed]
        lines += first_lines([f"same as {home}, read once: {path}" for path, home in self.duplicates])
        return lines + first_lines([f"note: {path + ': ' if path else ''}{note}" for path, note in self.notes])


def first_lines(lines: list[str]) -> list[str]:
    """So many that a terminal can show them, and how many are left."""
    left = len(lines) - SHOWN
    return [*lines[:SHOWN], f"... and {left} more; --json shows all"] if left > 1 else lines
