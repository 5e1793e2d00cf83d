"""`kb bench import` and `list`: items of public benchmarks from local files, with where they came from."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.evaluate.bench.sets import LETTERS, SETS, SUBJECT, BenchSet, WrongForm
from kb.store import now
from kb.workspace import Workspace, read_jsonl, write_json, write_jsonl

HEADLESS = ("question", *LETTERS, "answer")
"""Columns of a CSV file without a line of names."""
ITEMS, ABOUT = "items.jsonl", "about.json"
SPLITS = ("train", "validation", "val", "dev", "test")
SPLIT = re.compile(rf"[_-]({'|'.join(SPLITS)})\b.*$")
"""What follows the subject in a file's name: accountant_val.csv."""


@dataclass(frozen=True)
class Source:
    """A file that items came from."""

    file: str
    sha256: str
    items: int


@dataclass(frozen=True)
class Imported:
    """A benchmark in the workspace."""

    name: str
    items: int
    subjects: int
    """0 where the items have none."""
    licence: str
    """As the user gave it; `unknown` otherwise."""
    imported: str
    sources: tuple[Source, ...]

    def line(self) -> str:
        """For the terminal."""
        subjects = f" in {self.subjects} subjects" if self.subjects else ""
        files = ", ".join(f"{one.file} (sha256 {one.sha256[:12]})" for one in self.sources[:2])
        more = f" and {len(self.sources) - 2} more" if len(self.sources) > 2 else ""
        return f"{self.name:<11}{self.items:>6} items{subjects}, licence {self.licence}, from {files}{more}"


def folder(workspace: Workspace, name: str) -> Path:
    """Where a benchmark's items lie."""
    return workspace.root / "bench" / name


def named(name: str) -> BenchSet:
    """The benchmark of this name. Raises UsageError when kb knows none."""
    if name not in SETS:
        raise UsageError(f"kb bench: expected {', '.join(SETS)}, got {name!r}")
    return SETS[name]


def import_files(workspace: Workspace, name: str, files: Sequence[Path], licence: str) -> Imported:
    """Store the items of these files as the benchmark, in place of what was there.

    Raises UsageError for a file that cannot be read or whose rows have other columns, naming file and row.
    """
    wanted = named(name)
    items: list[dict[str, Any]] = []
    sources = []
    for file in files:
        found = list(_items(wanted, file))
        if not found:
            raise UsageError(f"{file}: there are no rows")
        sources.append(Source(file.name, hashlib.sha256(file.read_bytes()).hexdigest(), len(found)))
        items += found
    subjects = {item[SUBJECT] for item in items} - {""}
    about = Imported(name, len(items), len(subjects), licence or "unknown", now(), tuple(sources))
    write_jsonl(folder(workspace, name) / ITEMS, ({"id": f"{name}-{at}"} | item for at, item in enumerate(items)))
    write_json(folder(workspace, name) / ABOUT, asdict(about))
    return about


def listed(workspace: Workspace) -> list[Imported]:
    """What has been imported, in the order of `SETS`."""
    return [read(workspace, name) for name in SETS if (folder(workspace, name) / ABOUT).exists()]


def read(workspace: Workspace, name: str) -> Imported:
    """What is known of an imported benchmark. Raises UsageError when it was not imported."""
    file = folder(workspace, named(name).name) / ABOUT
    if not file.exists():
        raise UsageError(f"{name} has not been imported. Get its file, then: kb bench import {name} FILE")
    about = json.loads(file.read_text(encoding="utf-8"))
    return Imported(**about | {"sources": tuple(Source(**one) for one in about["sources"])})


def items_of(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """The items of an imported benchmark."""
    return read_jsonl(folder(workspace, name) / ITEMS)


def _subject(wanted: BenchSet, file: Path) -> str:
    """The subject that a file is named by, as those of C-Eval, CMMLU and MMLU's authors are; else empty."""
    name = SPLIT.sub("", file.stem)
    return name if wanted.about and name not in (wanted.name, *SPLITS) else ""


def _items(wanted: BenchSet, file: Path) -> Iterator[dict[str, Any]]:
    own = _subject(wanted, file)
    for number, row in enumerate(_rows(file), 1):
        try:
            item = wanted.read(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = f": {error}" if isinstance(error, WrongForm) else ""
            have = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
            raise UsageError(
                f"{file}, row {number} is no item of {wanted.name}{why}. It needs {wanted.columns}; it has {have}"
            ) from error
        yield item | {SUBJECT: str(row.get("subject") or own) if wanted.about else ""}


def _rows(file: Path) -> Iterable[dict[str, Any]]:
    """The rows of a CSV, JSON, JSONL or parquet file, by its suffix. Raises UsageError when it cannot be read."""
    if not file.is_file():
        raise UsageError(f"{file}: there is no such file")
    readers = {".csv": _csv, ".tsv": _csv, ".jsonl": _lines, ".json": _json, ".parquet": _parquet}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise UsageError(f"{file}: expected a file that ends in {', '.join(readers)}")
    try:
        return reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def _csv(file: Path) -> list[dict[str, Any]]:
    """The rows by the names in the first line; files of MMLU's authors have none, and the letter in the last column."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.reader(text, delimiter="\t" if file.suffix.lower() == ".tsv" else ","))
    headless = bool(rows) and len(rows[0]) == len(HEADLESS) and rows[0][-1] in LETTERS
    names = HEADLESS if headless else tuple(rows[0]) if rows else ()
    return [dict(zip(names, row, strict=False)) for row in rows[0 if headless else 1 :] if row]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8-sig").split("\n") if line.strip()]


def _json(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8-sig")
    if not text.lstrip().startswith("["):
        return _lines(file)
    found: list[dict[str, Any]] = json.loads(text)
    return found


def _parquet(file: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
    return rows
