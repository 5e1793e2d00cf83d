"""How fast files are ingested, as ratios to named peers and to the bare library in the same run.

    python benchmarks/ingestion.py [--pdfs FOLDER] [--rounds 3] [--out FILE]

Peers are measured where they are installed: pip install 'kb[measure]'. Each figure is the median over rounds, the
methods taking turns within a round, so that what else the machine does falls on all of them. Without --pdfs the files
are made from the fictional world by reportlab.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kb.ingest.config import IngestConfig
from kb.ingest.parse import parse
from kb.ingest.run import run
from kb.workspace import Workspace, write_text

SCALES = (1, 10, 100)
MADE, READ = 100, 20
"""Files that are made, and those of them that every reader reads: some need minutes for all."""
SMALL = 1000
"""Files of the folder that is ingested again unchanged."""


def bare_pdfium(path: Path) -> None:
    """Text of every page, and nothing else."""
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        for page in document:
            page.get_textpage().get_text_bounded()


def by_kb(path: Path) -> None:
    """Parsing: text, geometry, gate, headings, tables."""
    parse(path)


def by_pypdf(path: Path) -> None:
    """Text of every page by pypdf."""
    import pypdf

    for page in pypdf.PdfReader(path).pages:
        page.extract_text()


def by_pdfminer(path: Path) -> None:
    """Text by pdfminer.six."""
    from pdfminer.high_level import extract_text

    extract_text(str(path))


def by_markitdown(path: Path) -> None:
    """Markdown by markitdown."""
    from markitdown import MarkItDown

    MarkItDown().convert(path)


def peers() -> dict[str, Callable[[Path], None]]:
    """The readers that are installed."""
    found: dict[str, Callable[[Path], None]] = {"bare pypdfium2": bare_pdfium, "kb": by_kb, "pypdf": by_pypdf}
    for name, module, reader in (
        ("pdfminer.six", "pdfminer", by_pdfminer),
        ("markitdown", "markitdown", by_markitdown),
    ):
        try:
            __import__(module)
        except ImportError:
            continue
        found[name] = reader
    return found


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def make_pdfs(folder: Path, count: int, pages: int = 12) -> list[Path]:
    """PDF files of plain text in both languages, `pages` pages each."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    lines = {
        "Helvetica": "The archive keeps rule {} for {} years, and its contact is the registrar in room B-{}.",
        "STSong-Light": "第{}号条例自{}年起施行，主管人员在{}号办公室，违反规定的罚款不超过四十七万元。",
    }
    files = []
    for number in range(count):
        files.append(folder / f"{number:04}.pdf")
        canvas = Canvas(str(files[-1]))
        for page in range(pages):
            font = tuple(lines)[page % 2]
            canvas.setFont(font, 10)
            for line in range(45):
                text = lines[font].format(number, page, line)
                canvas.drawString(60, 780 - 16 * line, text)
            canvas.showPage()
        canvas.save()
    return files


def count_pages(files: list[Path]) -> int:
    """Pages of all files."""
    import pypdfium2

    return sum(len(pypdfium2.PdfDocument(file)) for file in files)


def reading(files: list[Path], rounds: int) -> list[str]:
    """Pages per second of each reader on one core, and its time relative to kb's."""
    readers = peers()
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, reader in readers.items():
            times[name].append(seconds(lambda reader=reader: [reader(file) for file in files]))
    pages = count_pages(files)
    rows = [f"One process, {len(files)} files of {pages} pages.", ""]
    rows += ["| reader | pages/s | time, kb = 1 |", "| --- | --- | --- |"]
    for name in readers:
        ratio = statistics.median(one / own for one, own in zip(times[name], times["kb"], strict=True))
        rows.append(f"| {name} | {pages / statistics.median(times[name]):.0f} | {ratio:.2f} |")
    return rows


def ingest(files: Path, jobs: int) -> None:
    """`kb ingest` without embedding, into a workspace of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder), create=True)
        run([files], IngestConfig(jobs=jobs), place, show=False)
        place.store.close()


def whole(folder: Path, files: list[Path], rounds: int) -> list[str]:
    """Parse, chunk, hash and store against bare extraction; two processes against one."""
    bare, one, two = [], [], []
    for _ in range(rounds):
        bare.append(seconds(lambda: [bare_pdfium(file) for file in files]))
        one.append(seconds(lambda: ingest(folder, 1)))
        two.append(seconds(lambda: ingest(folder, 2)))
    cut = statistics.median(a / b for a, b in zip(one, bare, strict=True))
    gain = statistics.median(a / b for a, b in zip(one, two, strict=True))
    return [
        f"`kb ingest` with one process takes {cut:.2f} times what bare pypdfium2 takes for the text alone; with two",
        f"processes it is {gain:.2f} times as fast as with one ({os.cpu_count()} cores).",
    ]


def unchanged(rounds: int) -> list[str]:
    """A folder that was ingested before, against reading the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        docs, place = Path(folder, "docs"), Workspace(Path(folder, "kb"), create=True)
        docs.mkdir()
        for number in range(SMALL):
            write_text(docs / f"{number}.txt", f"Rule {number} has been in force since {1000 + number}. " * 40)
        run([docs], IngestConfig(), place, show=False)
        again = [seconds(lambda: run([docs], IngestConfig(), place, show=False)) for _ in range(rounds)]
        bare = [seconds(lambda: [file.read_bytes() for file in docs.iterdir()]) for _ in range(rounds)]
        place.store.close()
    ratio = statistics.median(again) / statistics.median(bare)
    return [
        f"A folder of {SMALL} files that has not changed: {statistics.median(again):.2f} s, {ratio:.0f} times the bare"
        " reading of their bytes."
    ]


GROWTH = """
import resource, sys, time
from pathlib import Path
from kb.ingest.config import IngestConfig
from kb.ingest.run import run
from kb.workspace import Workspace
if __name__ == "__main__":
    place = Workspace(Path(sys.argv[2]), create=True)
    start = time.perf_counter()
    report = run([Path(sys.argv[1])], IngestConfig(), place, show=False)
    took = time.perf_counter() - start
    own, below = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(report.chunks, took, max(own, below) >> 10)
"""


def growth(files: list[Path]) -> list[str]:
    """Chunks per second and peak memory of the largest process, at 1, 10 and 100 times the files."""
    rows = ["| files | chunks | chunks/s | peak MB of one process |", "| --- | --- | --- | --- |"]
    for scale in SCALES:
        with tempfile.TemporaryDirectory() as folder:
            docs = Path(folder, "docs")
            docs.mkdir()
            for number in range(scale):
                for file in files:
                    # A byte behind the end makes it another content; every PDF reader passes over it.
                    target = docs / f"{number}-{file.name}"
                    shutil.copy(file, target)
                    with target.open("ab") as end:
                        end.write(f"\n% {number}".encode())
            script = Path(folder, "growth.py")
            write_text(script, GROWTH)
            done = subprocess.run(
                [sys.executable, str(script), str(docs), str(Path(folder, "kb"))],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            chunks, took, peak = done.stdout.split()
            rows.append(f"| {scale * len(files)} | {chunks} | {int(chunks) / float(took):.0f} | {peak} |")
    return rows


def page(folder: Path, rounds: int, made: str) -> str:
    """The Markdown page."""
    files = sorted(folder.glob("**/*.pdf"))
    parts = [
        ["# How fast files are ingested", "", f"Made by `python benchmarks/ingestion.py{made}`, medians of {rounds}."],
        ["## PDF, text alone", "", *reading(files[:READ], rounds)],
        ["## The whole of `kb ingest`, without embedding", "", *whole(folder, files, rounds), "", *unchanged(rounds)],
        ["## As the corpus grows", "", *growth(files[:4])],
    ]  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pdfs", type=Path, help="folder of PDF files; made anew where there is none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="also write the page to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if not given.pdfs:
            make_pdfs(Path(made), MADE)
        text = page(given.pdfs or Path(made), given.rounds, " --pdfs FOLDER" if given.pdfs else "")
    print(text)
    if given.out:
        write_text(given.out, text)


if __name__ == "__main__":
    main()
