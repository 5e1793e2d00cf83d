"""`kb.db`: the system of record (SQLite, WAL, numbered migrations). Records in, records out; commits are the caller's.

Writers use `with store.transaction():` around each unit of work, so that a kill at any instant leaves whole units only.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from kb.errors import WorkspaceError
from kb.records import (
    Chunk,
    Diagnosis,
    Document,
    Fact,
    FactSource,
    Knownness,
    PreferencePair,
    Probe,
    QAPair,
    Question,
    Rewrite,
    Score,
    make_id,
)

Record = TypeVar("Record")

TABLES: dict[type, str] = {
    Document: "documents", Chunk: "chunks", Fact: "facts", FactSource: "fact_sources", Rewrite: "rewrites",
    Question: "questions", Knownness: "knownness",
    QAPair: "qa_pairs", PreferencePair: "preference_pairs", Probe: "probes", Score: "scores",
    Diagnosis: "diagnoses",
}  # fmt: skip

_COLUMNS = {kind: [(f.name, str(f.type).startswith("tuple")) for f in fields(kind)] for kind in TABLES}
"""The fields of a kind of record, and whether each is a tuple, which is kept as JSON."""

LIVE = {
    Document: "retired = 0",
    Chunk: "document_id IN (SELECT id FROM documents WHERE retired = 0)",
    **dict.fromkeys(
        (Fact, FactSource, Question, Rewrite),
        "chunk_id IN (SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id WHERE d.retired = 0)",
    ),
    Knownness: "fact_id IN (SELECT f.id FROM facts f JOIN chunks c ON c.id = f.chunk_id"
    " JOIN documents d ON d.id = c.document_id WHERE d.retired = 0)",
    **dict.fromkeys(
        (QAPair, PreferencePair),
        "question_id IN (SELECT q.id FROM questions q JOIN chunks c ON c.id = q.chunk_id"
        " JOIN documents d ON d.id = c.document_id WHERE d.retired = 0)",
    ),
}
"""What of a table belongs to a document that is still there."""

SECTIONS = "section = ''"
"""Of the chunks those that are no passages of another one."""
ORIGINALS = f"{SECTIONS} AND id NOT IN (SELECT chunk_id FROM copies)"
"""Of these those that facts are made from: not the ones that only say what another one says."""
MODEL_NAME = "name of model "
"""The beginning of settings that hold what people call a model, by its identity."""
PASSAGES = (
    "id NOT IN (SELECT section FROM chunks)"
    " AND CASE section WHEN '' THEN id ELSE section END NOT IN (SELECT chunk_id FROM copies)"
)
"""Of the chunks those that are searched and shown; together they have every original's text once."""


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def passing(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite is the machine's (disk full, no permission, busy), and the database itself is fine."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.OperationalError) and code is not None and code & 0xFF in _PASSING


_PASSING = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
)  # fmt: skip


class Store:
    """One connection to `kb.db`. Raises WorkspaceError when the file is newer than this kb or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
        except sqlite3.DatabaseError as error:
            if passing(error):
                raise
            raise WorkspaceError(f"{path} cannot be used: {error}. Move it away and ingest again.") from error

    def _migrate(self) -> None:
        """Apply the numbered SQL files that this database has not seen, each in one transaction."""
        files = sorted(resources.files("kb").joinpath("migrations").iterdir(), key=lambda file: file.name)
        done: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if done > len(files):
            raise WorkspaceError(
                f"{self.path} was written by a newer kb (schema {done}, this one knows {len(files)}). Upgrade kb."
            )
        for number, file in enumerate(files[done:], done + 1):
            script = f"BEGIN IMMEDIATE; {file.read_text(encoding='utf-8')} PRAGMA user_version = {number}; COMMIT;"
            try:
                self._db.executescript(script)
            except sqlite3.OperationalError:
                # Two first commands at once: the other one has just applied it.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if self._db.execute("PRAGMA user_version").fetchone()[0] < number:
                    raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested calls join the outer transaction."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def sql(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Any statement with its rows: for counts and joins that no helper covers."""
        return self._db.execute(query, values).fetchall()

    def put(self, records: Iterable[Any], replace: bool = False, **extra: object) -> int:
        """Insert records; those that are there already are left alone, or replaced. Returns how many were written."""
        written = 0
        verb = "INSERT OR REPLACE" if replace else "INSERT OR IGNORE"
        with self.transaction():
            for record in records:
                row = _to_row(record) | extra
                marks = ", ".join("?" * len(row))
                query = f"{verb} INTO {TABLES[type(record)]} ({', '.join(_quote(k) for k in row)}) VALUES ({marks})"
                written += self._db.execute(query, list(row.values())).rowcount
        return written

    def sync(self, kind: type[Record], records: Sequence[Record]) -> None:
        """Make the live rows of a kind exactly these records; rows of retired documents stay."""
        with self.transaction():
            wanted = {record.id for record in records}  # type: ignore[attr-defined]
            live = f" WHERE {LIVE[kind]}" if kind in LIVE else ""
            for row in self._db.execute(f"SELECT id FROM {TABLES[kind]}{live}").fetchall():
                if row["id"] not in wanted:
                    self._db.execute(f"DELETE FROM {TABLES[kind]} WHERE id = ?", (row["id"],))
            self.put(records, replace=True)

    def all(self, kind: type[Record], where: str = "", *values: object, live: bool = True) -> list[Record]:
        """Records of a kind, in the order they were made; unless `live` is False, of documents that are still there."""
        clauses = [clause for clause in (where, LIVE.get(kind, "") if live else "") if clause]
        condition = f" WHERE {' AND '.join(f'({clause})' for clause in clauses)}" if clauses else ""
        rows = self._db.execute(f"SELECT * FROM {TABLES[kind]}{condition} ORDER BY rowid", values)
        return [_from_row(kind, row) for row in rows]

    def get(self, kind: type[Record], id: str) -> Record | None:
        """The record with this id, retired or not; None when there is none."""
        row = self._db.execute(f"SELECT * FROM {TABLES[kind]} WHERE id = ?", (id,)).fetchone()
        return _from_row(kind, row) if row else None

    def count(self, kind: type, where: str = "", *values: object) -> int:
        """How many live records of a kind there are."""
        clauses = [clause for clause in (where, LIVE.get(kind, "")) if clause]
        condition = f" WHERE {' AND '.join(f'({clause})' for clause in clauses)}" if clauses else ""
        total: int = self._db.execute(f"SELECT COUNT(*) FROM {TABLES[kind]}{condition}", values).fetchone()[0]
        return total

    def reject(self, stage: str, step: str, item: str, reason: str, detail: str) -> None:
        """Keep what was made and dropped, with the reason; the same drop is kept once."""
        with self.transaction():
            self.sql(
                "INSERT OR IGNORE INTO rejects VALUES (?, ?, ?, ?, ?, ?)",
                make_id("rej", stage, step, item, reason, detail), stage, step, item, reason, detail,
            )  # fmt: skip

    def fail(self, stage: str, item: str, reason: str, detail: str = "") -> None:
        """Record a unit of work that failed and waits for a rerun."""
        with self.transaction():
            self.sql("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", stage, item, reason, detail, now())

    def unfail(self, stage: str, item: str) -> None:
        """The unit of work is done after all."""
        with self.transaction():
            self.sql("DELETE FROM failures WHERE stage = ? AND item = ?", stage, item)

    def clear_failures(self, stage: str) -> None:
        """Forget the failures of a stage and of its steps ("generate", "generate: facts"): it is about to try again."""
        with self.transaction():
            self.sql("DELETE FROM failures WHERE stage = ? OR stage LIKE ?", stage, f"{stage}: %")

    def failures(self, stage: str) -> list[tuple[str, str, str]]:
        """Item, reason and detail of what failed in a stage."""
        rows = self.sql("SELECT item, reason, detail FROM failures WHERE stage = ? ORDER BY item", stage)
        return [(row["item"], row["reason"], row["detail"]) for row in rows]

    def setting(self, key: str, make: Callable[[], str] | None = None) -> str:
        """A stored setting; made and stored when it is missing and `make` is given, else ""."""
        rows = self.sql("SELECT value FROM settings WHERE key = ?", key)
        if rows:
            return str(rows[0]["value"])
        value = make() if make else ""
        if make:
            self.set_setting(key, value)
        return value

    def set_setting(self, key: str, value: str) -> None:
        """Store a setting."""
        with self.transaction():
            self.sql("INSERT OR REPLACE INTO settings VALUES (?, ?)", key, value)


def _quote(column: str) -> str:
    return f'"{column}"'


def _to_row(record: Any) -> dict[str, object]:
    row = {name: getattr(record, name) for name, _ in _COLUMNS[type(record)]}
    return {k: json.dumps(v, ensure_ascii=False) if isinstance(v, tuple) else v for k, v in row.items()}


def _from_row(kind: type[Record], row: sqlite3.Row) -> Record:
    return kind(**{name: tuple(json.loads(row[name])) if many else row[name] for name, many in _COLUMNS[kind]})


def histogram(rows: Sequence[tuple[str, str, str]]) -> dict[str, int]:
    """How often each reason occurs among (item, reason, detail) rows, most frequent first."""
    counts: dict[str, int] = {}
    for _, reason, _ in rows:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
