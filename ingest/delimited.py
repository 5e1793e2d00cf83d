"""CSV and TSV files: a record a row, under the header row."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kb.ingest.blocks import Parsed, assemble
from kb.ingest.grid import grid_blocks, read_rows
from kb.ingest.text import decode

_SAMPLE = 20_000
_DELIMITERS = ",;\t|"
_LONGEST = 50
"""Line breaks in a cell above which a quotation mark was no quotation mark."""


def parse_csv(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .csv or .tsv file. Raises DocumentError as `decode` does."""
    text, notes = decode(path, data, encoding)
    text = text.removeprefix("\ufeff").replace("\0", "")
    delimiter, text = _delimiter(text, "\t" if path.suffix.lower() == ".tsv" else "")
    rows = read_rows(_rows(text, delimiter, notes), notes)
    return assemble(path.stem, "csv", grid_blocks(rows), notes)


def _delimiter(text: str, expected: str) -> tuple[str, str]:
    """What stands between the cells, and the text without the line "sep=;" that Excel puts first."""
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        return first.strip()[-1], rest
    sample = text[:_SAMPLE].rpartition("\n")[0] or text[:_SAMPLE]
    if expected and expected in sample:
        return expected, text
    try:
        return csv.Sniffer().sniff(sample, _DELIMITERS).delimiter, text
    except csv.Error:
        return _steadiest(sample), text


def _steadiest(sample: str) -> str:
    """The delimiter that most lines have equally often; a comma where none is there."""
    lines = [line for line in sample.splitlines() if line.strip()]

    def steady(mark: str) -> int:
        counts = Counter(count for line in lines if (count := line.count(mark)))
        return max(counts.values(), default=0)

    return max(_DELIMITERS, key=steady)


def _rows(text: str, delimiter: str, notes: list[str]) -> Iterator[list[str]]:
    """The rows; a quotation mark that never closes, and would swallow the rest, is read as a character."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    if any(cell.count("\n") > _LONGEST for row in rows for cell in row):
        notes.append("quotation marks that do not close were read as characters")
        return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
