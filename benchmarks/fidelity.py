"""What kb reads of each file of a folder, beside pypdf, python-docx, python-pptx and, if it is installed, markitdown.

    python benchmarks/fidelity.py FOLDER [--out FILE]

Characters are counted without blanks, CJK those of Chinese and Japanese. "kept" is the share of the character 5-grams
of the text that is in a Word or PowerPoint file's own XML (w:t, m:t and a:t of body, notes, charts and diagrams,
without deletions and the older of two alternatives) which the reader gives back, in any order. kb reads with the extras
that are installed, a merged cell in every row and column that it spans. The plain readers are what most tools do:
`paragraphs` and `tables` of python-docx, text frames and tables of python-pptx, pypdf's own text.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from kb.errors import DocumentError
from kb.ingest.ooxml import A, M, W
from kb.ingest.parse import PARSERS, parse
from kb.workspace import write_text

GRAM = 5
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
LEFT_OUT = {f"{W}del", f"{W}moveFrom", f"{W}delText", f"{W}instrText", f"{MC}Fallback", f"{A}fld"}
TEXT = {f"{W}t", f"{A}t", f"{M}t"}
BROKEN = {f"{W}p", f"{A}p", f"{W}tab", f"{W}br", f"{C}v"}
PARTS = {
    ".docx": re.compile(r"word/(document|footnotes|endnotes)\d*\.xml$"),
    ".pptx": re.compile(r"ppt/(slides/slide|notesSlides/notesSlide|diagrams/data)\d+\.xml$"),
}
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def own_text(path: Path) -> str:
    """The text in the XML of an Office file; "" for other files and for what is no package."""
    wanted = PARTS.get(path.suffix.lower())
    if not wanted or not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as package:
        parts = [package.read(name) for name in sorted(package.namelist()) if wanted.match(name)]
    reader = etree.XMLParser(resolve_entities=False, no_network=True)
    return "\n".join("".join(_texts(etree.fromstring(part, reader))) for part in parts)


def _texts(node: Any) -> Iterator[str]:
    if node.tag in LEFT_OUT:
        return
    if node.tag in TEXT:
        yield node.text or ""
    for child in node:
        yield from _texts(child)
    if node.tag in BROKEN:
        yield "\n"


def kept(truth: str, found: str) -> str:
    """The share of the truth's n-grams that were found; "" where there is no truth."""
    wanted, given = grams(truth), grams(found)
    return f"{(wanted & given).total() / wanted.total():.3f}" if wanted else ""


def grams(text: str) -> Counter[str]:
    """Character n-grams within lines, blanks and punctuation apart."""
    lines = (re.sub(r"[\W_]+", "", line) for line in text.splitlines())
    return Counter(line[at : at + GRAM] for line in lines for at in range(len(line) - GRAM + 1))


def by_kb(path: Path) -> str:
    """The text that kb reads."""
    return parse(path).text


def by_pypdf(path: Path) -> str:
    """The text by pypdf."""
    import pypdf

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def by_docx(path: Path) -> str:
    """Paragraphs and tables by python-docx."""
    import docx

    document = docx.Document(str(path))
    rows = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([paragraph.text for paragraph in document.paragraphs] + rows)


def by_pptx(path: Path) -> str:
    """Text frames and tables by python-pptx."""
    import pptx

    shapes = [shape for slide in pptx.Presentation(str(path)).slides for shape in slide.shapes]
    frames = [shape.text_frame.text for shape in shapes if shape.has_text_frame]
    tables = [shape.table for shape in shapes if getattr(shape, "has_table", False)]
    return "\n".join(frames + [cell.text for table in tables for row in table.rows for cell in row.cells])


def by_markitdown(path: Path) -> str:
    """The Markdown by markitdown."""
    from markitdown import MarkItDown

    return str(MarkItDown().convert(path).text_content)


PLAIN: dict[str, Callable[[Path], str]] = {".pdf": by_pypdf, ".docx": by_docx, ".pptx": by_pptx}


def read(reader: Callable[[Path], str], path: Path) -> tuple[str, str]:
    """(text, outcome) of a reader: OK, the status of kb's error, or the class of another's."""
    try:
        return reader(path), "OK"
    except DocumentError as error:
        return "", error.status
    except Exception as error:  # a peer may fail in any way, and that is what the table shows
        return "", type(error).__name__


def row(path: Path, name: str, peers: bool) -> str:
    """One line of the table."""
    truth = own_text(path)
    plain = PLAIN.get(path.suffix.lower())
    cells = [cell(by_kb, path, truth), cell(plain, path, truth) if plain else ""]
    cells += [cell(by_markitdown, path, truth)] if peers else []
    return f"| {name} | {' | '.join(cells)} |"


def cell(reader: Callable[[Path], str], path: Path, truth: str) -> str:
    """What one reader gives of one file."""
    text, outcome = read(reader, path)
    counts = f"{len(''.join(text.split()))} / {len(CJK.findall(text))}"
    return " ".join(filter(None, [counts if outcome == "OK" else outcome, kept(truth, text)]))


def page(folder: Path) -> str:
    """The Markdown page."""
    try:
        import markitdown
    except ImportError:
        peers = []
    else:
        peers = [f"markitdown {markitdown.__version__}"]
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in PARSERS)
    heads = ["kb", "pypdf, python-docx or python-pptx", *peers]
    lines = [
        "# What is read of real files",
        "",
        "Made by `python benchmarks/fidelity.py FOLDER`, whose docstring says what is counted.",
        "Each cell: characters / CJK characters, or why nothing was read; for Office files, the share kept.",
        "",
        f"| file | {' | '.join(heads)} |",
        "|" + " --- |" * (1 + len(heads)),
        *(row(path, str(path.relative_to(folder)), bool(peers)) for path in files),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    text = page(given.folder)
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
