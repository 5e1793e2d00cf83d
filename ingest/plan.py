"""`kb ingest --dry-run`: what a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kb.ingest.config import IngestConfig
from kb.ingest.report import first_lines
from kb.ingest.survey import Survey, survey
from kb.workspace import Workspace


@dataclass(frozen=True)
class IngestPlan:
    """What would happen to which files; paths, in their order."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    """Whose earlier version would be replaced."""
    again: tuple[str, ...]
    """Same bytes, but other settings or an older kb."""
    unchanged: int
    moved: tuple[tuple[str, str], ...]
    """(from, to)."""
    retired: tuple[str, ...]
    """Whose files are gone."""
    failed: tuple[str, ...]
    """What is wrong and what to do about it; more may come to light when files are read."""
    skipped: tuple[tuple[str, int], ...]
    """(suffix, files) in folders that kb does not read."""

    def lines(self) -> list[str]:
        """For the terminal."""
        moved = [f"{old} -> {new}" for old, new in self.moved]
        kinds = (
            ("read", self.new), ("read in place of its earlier version", self.changed), ("read again", self.again),
            ("only moved", moved), ("retire, its file being gone", self.retired),
        )  # fmt: skip
        lines = [line for verb, paths in kinds for line in first_lines([f"would {verb}: {path}" for path in paths])]
        lines += [f"UNREADABLE: {message}" for message in self.failed]
        lines += [f"leave alone: {count} {suffix} files" for suffix, count in self.skipped]
        counts = f"{len(self.new)} new, {len(self.changed)} changed, {len(self.again)} to read again"
        return [*lines, f"{counts}, {self.unchanged} unchanged, {len(self.retired)} gone. Nothing was done."]


def plan(paths: Iterable[Path], config: IngestConfig, workspace: Workspace, show: bool = True) -> IngestPlan:
    """What `kb.ingest.run.run` would do with the same arguments. Raises UsageError as that does."""
    this = survey(paths, config, workspace, show)
    unread = this.unread()
    live = {known.sha256 for known in this.shelf.live}
    again = [sha256 for sha256 in unread if sha256 in live]
    fresh = [this.contents[sha256][0] for sha256 in unread if sha256 not in live]
    kept = [sha256 for sha256 in this.contents if this.current(sha256)]
    return IngestPlan(
        new=tuple(str(path) for path in fresh if not this.replaced(path)),
        changed=tuple(str(path) for path in fresh if this.replaced(path)),
        again=tuple(str(this.contents[sha256][0]) for sha256 in again),
        unchanged=len(kept),
        moved=tuple(filter(None, (_move(this, sha256) for sha256 in kept))),
        retired=tuple(str(known.path) for known in this.gone() if known.sha256 not in this.contents),
        failed=tuple(failure.message for failure in this.failures),
        skipped=tuple(this.found.unknown.most_common()),
    )


def _move(this: Survey, sha256: str) -> tuple[str, str] | None:
    """From where to where a document has moved, None where it has not."""
    known = this.current(sha256)
    home = this.home(known, this.contents[sha256]) if known else None
    return (str(known.path), str(home)) if known and home != known.path else None
