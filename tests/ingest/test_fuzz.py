"""Whatever bytes come: a parser gives a document or says why not, and nothing that is garbage or out of place.

Text formats are fuzzed in this process; files of binary formats are damaged at random and read by the pool, where a
parser that dies or hangs is seen as CRASH or TIMEOUT. Every failure that was found so stays in `FOUND`.
"""

import contextlib
import io
import os
import random
import unicodedata
import zipfile
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from kb.errors import DocumentError
from kb.ingest.chunk import chunk
from kb.ingest.parse import parse
from kb.ingest.pool import Limits, read_all
from kb.ingest.read import Content, ReadConfig
from kb.ingest.text import decode

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "corpora" / "handbook" / "docs"
STATUSES = {"CORRUPT", "UNSUPPORTED", "UNREADABLE", "EMPTY", "PASSWORD_NEEDED", "NEEDS_OCR", "GARBLED", "TOO_LARGE"}
ROUNDS = int(os.environ.get("KB_FUZZ", "0"))
"""How long to look for what nobody has found yet; 0 tries the same examples every time, as a test must."""
FUZZ = settings(
    max_examples=ROUNDS or 150, derandomize=not ROUNDS, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
MARKS = (
    "\n", "\n\n", "\r", "# ", "## ", "---\n", "```\n", "~~~", "| a | b |\n|---|---|\n", "- ", "1. ", "\u3000\u3000",
    "第一章 ", "一、", "1.1 ", "<table><tr><td colspan=3>", "</table>", "<h1>", "</h1>", "<ul><li>", "<pre>",
    "<br>", "&amp;", "<!--", "<![CDATA[", ",", ";", '"', '""', "\t", "\0", "\x1b", "\u2028", "\ufeff", "\ud7ff",
    "年假", "Fine.",
)  # fmt: skip
PIECES = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(MARKS),
    ),
    max_size=30,
).map("".join)
ENCODINGS = ("utf-8", "gb18030", "utf-16", "utf-16-le", "big5", "cp1252")
COMMON = "".join(
    bytes((row, cell)).decode("gb2312", "ignore") for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)
)
"""The 3,755 characters of the first level of GB 2312."""
FOUND = [(".md", b"\t\x1b"), (".html", b"<pre>\x1b"), (".md", b"```\na\x9b\x00b\n```")]
"""(suffix, bytes) of files that once broke something."""


def check(path: Path) -> None:
    """A document whose blocks and chunks are slices of its text in order, or a DocumentError of one line."""
    try:
        parsed = parse(path)
    except DocumentError as error:
        assert error.status in STATUSES
        assert str(path) in str(error)
        assert len(str(error).splitlines()) == 1
        return
    assert all(block.text == parsed.text[block.start : block.end] for block in parsed.blocks)
    assert not any(unicodedata.category(character) in ("Cs", "Cc") for character in set(parsed.text) - {"\n", "\t"})
    spans = chunk(parsed)
    assert spans
    assert all(0 <= span.start < span.end <= len(parsed.text) for span in spans)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    parsed.text.encode()


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".csv", ".tsv"])
@FUZZ
@given(text=PIECES, encoding=st.sampled_from(ENCODINGS))
def test_text_of_any_kind(suffix, tmp_path, text, encoding):
    """Markup that is broken in any way, in any encoding."""
    file = tmp_path / f"a{suffix}"
    file.write_bytes(text.encode(encoding, "ignore"))
    check(file)


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".csv"])
@FUZZ
@given(data=st.binary(max_size=300))
def test_bytes_of_any_kind(suffix, tmp_path, data):
    """Bytes that are of no encoding."""
    file = tmp_path / f"a{suffix}"
    file.write_bytes(data)
    check(file)


@FUZZ
@given(text=st.text(st.sampled_from(COMMON), min_size=2, max_size=200))
@example("年假十二天")
def test_chinese_comes_back(text):
    """What is written in GB 18030 or UTF-8 is read as it was written, where the bytes are not both."""
    with contextlib.suppress(UnicodeDecodeError):
        text.encode("gb18030").decode("utf-8")
        assume(False)
    for encoding in ("gb18030", "utf-8", "utf-8-sig", "utf-16"):
        assert decode(Path("a.txt"), text.encode(encoding), "")[0].removeprefix("\ufeff") == text


def whole(suffix: str) -> list[bytes]:
    """Files that are not damaged: the handbook's, or one made here where it has none of the kind."""
    buffer = io.BytesIO()
    if suffix == "xlsx":
        book = openpyxl.Workbook()
        for row in (["员工", "年假"], ["郑晓博", 18], ["林志远", 24.5]):
            book.active.append(row)
        book.active.merge_cells("A5:B6")
        book.save(buffer)
    elif suffix == "epub":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as book:
            for name, text in EPUB.items():
                book.writestr(name, text)
    else:
        return [file.read_bytes() for file in sorted(DOCS.rglob(f"*.{suffix}"))]
    return [buffer.getvalue()]


EPUB = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container><rootfiles><rootfile full-path="a.opf"/></rootfiles></container>',
    "a.opf": '<package><manifest><item id="p" href="p.xhtml" media-type="application/xhtml+xml"/></manifest>'
    '<spine><itemref idref="p"/></spine></package>',
    "p.xhtml": "<html><body><h1>规定</h1><p>年假为十二天。</p></body></html>",
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes with some changed, taken out, doubled or cut off."""
    for _ in range(chance.randint(1, 12)):
        at, length = chance.randrange(max(1, len(data))), chance.choice((1, 2, 4, 16, 256))
        kind = chance.randrange(5)
        if kind == 0:
            data = data[:at] + chance.randbytes(length) + data[at + length :]
        elif kind == 1:
            data = data[:at] + data[at + length :]
        elif kind == 2:
            data = data[:at] + data[at : at + length] * 3 + data[at + length :]
        elif kind == 3 and chance.random() < 0.2:
            data = data[:at]
        else:
            data = data[:at] + bytes([chance.choice((0, 0x7F, 0x80, 0xFF))]) * length + data[at + length :]
    return data


@pytest.mark.parametrize("suffix", ["pdf", "docx", "pptx", "xlsx", "epub"])
def test_damaged_files(suffix, tmp_path):
    """A hundred files, each damaged in another way: all come back, none hangs or crashes a process."""
    chance = random.Random(suffix if not ROUNDS else None)
    sources = whole(suffix)
    files = []
    for number in range(max(100, ROUNDS)):
        files.append(tmp_path / f"{number}.{suffix}")
        files[-1].write_bytes(damaged(chance.choice(sources), chance))
    contents = [Content((file,)) for file in files]
    readings = list(read_all(contents, ReadConfig(900, 1400, 250, 350), Limits(20, 4096), 2))
    statuses = {failure.status for reading in readings for failure in reading.failures}
    assert len(readings) == len(files)
    assert statuses <= STATUSES
    assert all(one.parsed is None or one.parsed.text for one in readings)


@pytest.mark.parametrize(("suffix", "data"), FOUND)
def test_what_was_found(suffix, data, tmp_path):
    """Files that once broke something."""
    file = tmp_path / f"a{suffix}"
    file.write_bytes(data)
    check(file)
