"""An export's folder: its files, a README that Hugging Face `datasets` reads as a card, and a manifest."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.workspace import write_json, write_jsonl, write_text

MANIFEST = "manifest.json"
"""Says that kb made the folder, which may therefore be replaced."""
ABOUT = """\
Written by `kb export` from private documents; it holds what they say. No held-out question of `kb eval` is in it.
`kb show ID` follows the `id` and `fact` of a row to the document."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d.*)?", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """One file of an export."""

    kind: str
    """sft or preference."""
    split: str
    """train or validation."""
    file: str
    """Within the folder; .json is an array, .jsonl an object a line, .parquet a table."""
    rows: tuple[dict[str, Any], ...]

    def write(self, folder: Path) -> None:
        """Write the file."""
        path = folder / self.file
        if path.suffix == ".parquet":
            _write_table(path, self.rows)
        elif path.suffix == ".json":
            write_json(path, self.rows)
        else:
            write_jsonl(path, self.rows)

    @property
    def moments(self) -> list[str]:
        """File and column of texts that are all dates: from JSON, `datasets` reads such a column as no text.

        It would put "2024-05-06 00:00:00" for "2024-05-06". A single other text keeps a column as it is.
        """
        alike: dict[str, bool] = {}
        if not self.file.endswith(".parquet"):
            for column, text in (pair for row in self.rows for pair in _texts(row)):
                alike[column] = alike.get(column, True) and bool(_MOMENT.fullmatch(text))
        return [f"{self.file}: {column}" for column, dates in alike.items() if dates]


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(list(rows)).to_parquet(path)


def _texts(value: Any, column: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a row with the column they are in, "chosen.content"."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(one, f"{column}.{key}" if column else key)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, column)
    elif isinstance(value, str):
        yield column, value


def check_free(folder: Path) -> None:
    """Raise UsageError for a folder that holds anything but an earlier export of the same name."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        made = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["kb export"] == folder.name
    except (OSError, ValueError, KeyError, TypeError):
        made = False
    if not made:
        raise UsageError(f"{folder} is there and is no export of kb. Move it away, or name another folder with --out")


def write_folder(folder: Path, parts: Sequence[Part], use: str, texts: Mapping[str, str]) -> None:
    """Put the files, and others of a name and a text, in place of what is there, all at once."""
    with _aside(folder) as new:
        for part in parts:
            part.write(new)
        for name, text in texts.items():
            write_text(new / name, text)
        write_text(new / "README.md", card(folder.name, parts, use))
        write_json(new / MANIFEST, {"kb export": folder.name, "rows": {part.file: len(part.rows) for part in parts}})


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place at the end; nothing has changed if that is not reached."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as aside:
        new = Path(aside) / "new"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(Path(aside) / "old")
        new.rename(folder)


def card(name: str, parts: Sequence[Part], use: str) -> str:
    """The README: its head names the files by configuration and split, so that `load_dataset` finds them."""
    head = ["configs:"]
    for kind in dict.fromkeys(part.kind for part in parts):
        head += [f"- config_name: {kind}", "  data_files:"]
        for part in parts:
            if part.kind == kind:
                head += [f"  - split: {part.split}", f"    path: {part.file}"]
    table = ["| file | rows |", "|---|---|", *(f"| {part.file} | {len(part.rows)} |" for part in parts)]
    return "\n".join(["---", *head, "---", f"# Training rows for {name}", use, "", *table, "", ABOUT, ""])
