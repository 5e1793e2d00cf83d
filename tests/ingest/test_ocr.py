"""Scanned pages: what stands beside each other, and whole files through the models."""

import io

import pypdf
import pypdfium2
import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from kb.ingest import survey
from kb.ingest.config import IngestConfig
from kb.ingest.ocr import arrange
from kb.ingest.parse import parse
from kb.ingest.pdf_lines import Cell, Line
from kb.ingest.run import run
from kb.records import Document


def piece(text, left, top, width=100):
    """A stretch of text, ten points high."""
    return Line((Cell(text, left, left + width),), top, top - 10, 8)


def texts(pieces, width=600):
    """The cells of the lines."""
    return [[cell.text for cell in line.cells] for line in arrange(pieces, width)]


def test_pieces_beside_each_other_are_cells_of_a_line():
    """In any order, a little askew; what stands below begins a line."""
    pieces = [piece("罚款", 300, 698), piece("b", 50, 680), piece("条例", 50, 700), piece("47万元", 450, 699)]
    assert texts(pieces) == [["条例", "罚款", "47万元"], ["b"]]


def test_columns_are_read_one_after_the_other():
    """A gutter between wide lines parts columns."""
    left = [piece(f"left {n}", 50, 700 - 15 * n, 220) for n in range(6)]
    right = [piece(f"right {n}", 320, 702 - 15 * n, 220) for n in range(6)]
    mixed = [one for pair in zip(left, right, strict=True) for one in pair]
    assert texts(mixed) == [[line.text] for line in left + right]


def test_a_table_is_not_taken_for_columns():
    """Its cells are narrow: they stay in their rows."""
    rows = [(piece(f"item {n}", 50, 700 - 15 * n, 60), piece(f"{n} crowns", 400, 700 - 15 * n, 60)) for n in range(6)]
    assert texts([cell for row in rows for cell in row]) == [[a.text, b.text] for a, b in rows]


def scanned(*pages):
    """A PDF whose pages are pictures of the pages of PDFs; None stands for a page of text."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(400, 600))
    for data in pages:
        if data is None:
            canvas.drawString(50, 500, "This page has text of its own.")
        else:
            picture = pypdfium2.PdfDocument(data)[0].render(scale=3).to_pil()
            canvas.drawImage(ImageReader(picture), 0, 0, 400, 600)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


EN = [(50, 500, 14, "The maximum fine is 84 thousand crowns."), (50, 480, 14, "It was set on 10 April 1998.")]


@pytest.mark.slow
def test_a_scan_is_read(canvas_pdf, tmp_path):
    """It is said that it was read by OCR. Chinese: see test_real_files, whose fonts are in the files."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(scanned(canvas_pdf(EN)))
    parsed = parse(file, ocr=True)
    assert all(part in parsed.text for part in ("84 thousand crowns", "10 April 1998"))
    assert "pages read by OCR, which makes mistakes: 1" in parsed.notes
    assert parsed.unread_pages == 0


@pytest.mark.slow
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_scan_that_is_turned_for_the_reader_is_read_as_he_sees_it(turn, canvas_pdf, tmp_path):
    """The picture lies on its side in the file, and the page says how to turn it."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(400, 600) if turn == 180 else (600, 400))
    canvas.translate(*{90: (600, 0), 180: (400, 600), 270: (0, 400)}[turn])
    canvas.rotate(turn)
    picture = pypdfium2.PdfDocument(canvas_pdf(EN))[0].render(scale=3).to_pil()
    canvas.drawImage(ImageReader(picture), 0, 0, 400, 600)
    canvas.save()
    writer = pypdf.PdfWriter(buffer)
    writer.pages[0].rotate(turn)
    writer.write(tmp_path / "turned.pdf")
    parsed = parse(tmp_path / "turned.pdf", ocr=True)
    assert "The maximum fine is 84 thousand crowns. It was set on 10 April 1998." in parsed.text.replace("\n", " ")


@pytest.mark.slow
def test_scanned_pages_among_others(canvas_pdf, tmp_path):
    """Each stands in its place; an empty picture stays a page without text."""
    file = tmp_path / "mixed.pdf"
    file.write_bytes(scanned(None, canvas_pdf(EN), canvas_pdf([])))
    without = parse(file)
    assert (without.unread_pages, [block.page for block in without.blocks]) == (2, [1])
    parsed = parse(file, ocr=True)
    assert [block.page for block in parsed.blocks] == [1, 2]
    assert "pages without text, which OCR could read: 3" in parsed.notes
    assert parsed.unread_pages == 1


@pytest.mark.slow
def test_the_command_reads_scans_where_it_can(canvas_pdf, folder, workspace, monkeypatch):
    """Without the extra they are NEEDS_OCR with the cure; with it the next run reads them, more time for every page."""
    (folder / "scan.pdf").write_bytes(scanned(canvas_pdf(EN)))
    monkeypatch.setattr(survey, "is_installed", lambda: False)
    report = run([folder], IngestConfig(), workspace, show=False)
    assert [(failed.status, "pip install 'kb[ocr]'" in failed.message) for failed in report.failed] == [
        ("NEEDS_OCR", True)
    ]
    monkeypatch.undo()
    report = run([folder], IngestConfig(seconds=2), workspace, show=False)
    assert (report.read, report.failed) == (1, ())
    assert "84 thousand crowns" in workspace.store.all(Document)[0].text


@pytest.mark.slow
def test_scanned_pages_are_read_once_the_extra_is_there(canvas_pdf, folder, ingest, monkeypatch):
    """A document of which pages were left unread is read again then, and only then; what stays empty is not."""
    (folder / "mixed.pdf").write_bytes(scanned(canvas_pdf(EN), None))
    monkeypatch.setattr(survey, "is_installed", lambda: False)
    assert [ingest(folder).read for _ in range(2)] == [1, 0]
    monkeypatch.setattr(survey, "is_installed", lambda: True)
    assert [ingest(folder).read for _ in range(2)] == [1, 0]
    monkeypatch.setattr(survey, "is_installed", lambda: False)
    assert ingest(folder).read == 0
