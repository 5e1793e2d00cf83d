"""Where every artefact lives: `.kb/` with the database, the index, datasets, runs and evaluations.

One process writes at a time (a lock file with its pid); readers are never blocked. Files are written under a temporary
name, flushed and renamed, so a reader sees a whole file or none.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from kb.errors import WorkspaceError
from kb.store import Store


class Workspace:
    """A workspace folder. `create` makes a missing one; without it a missing one raises WorkspaceError."""

    def __init__(self, root: Path, create: bool = False) -> None:
        self.root = root.expanduser().resolve()
        if not (self.root / "kb.db").exists():
            if not create:
                raise WorkspaceError(f"there is no workspace at {self.root}. Start with: kb ingest PATH")
            try:
                self.root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise WorkspaceError(f"cannot make the workspace {self.root}: {error.strerror}") from error
        self.store = Store(self.root / "kb.db")

    @property
    def chroma(self) -> Path:
        """The vector index; can be rebuilt from the database at any time."""
        return self.root / "chroma"

    @property
    def datasets(self) -> Path:
        """Human-readable exports of what `kb generate-qa` made."""
        return self.root / "datasets"

    @property
    def qa_report(self) -> Path:
        """What is known of the set that `kb generate-qa` made."""
        return self.root / "qa-report.json"

    @property
    def exports(self) -> Path:
        """Training rows for other trainers, a folder for each; what `kb export` writes unless told otherwise."""
        return self.root / "exports"

    def run(self, name: str) -> Path:
        """The folder of a training run."""
        return self.root / "runs" / name

    def eval(self, name: str) -> Path:
        """The folder of an evaluation."""
        return self.root / "evals" / name

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer. Raises WorkspaceError naming the pid of the other one.

        The kernel drops the lock when its holder dies, so a killed command never leaves a workspace locked; the pid in
        the file is there to be shown.
        """
        with (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise WorkspaceError(f"cannot lock {self.root}: {error.strerror}") from error
                file.seek(0)
                pid = file.read().strip() or "unknown"
                raise WorkspaceError(
                    f"another kb command (pid {pid}) is writing to {self.root}. Wait for it, or stop it."
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that is there when it is written to its end, and not before: temporary name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none."""
    with _whole(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, readable and not escaped."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line, UTF-8, not escaped, each as it comes. Returns how many."""
    count = 0
    with _whole(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file. Raises WorkspaceError naming file and line of what is not JSON."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise WorkspaceError(f"{path}, line {number}: not JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise WorkspaceError(f"{path}, line {number}: not a JSON object")
        rows.append(row)
    return rows
