"""Lines of a PDF page to paragraphs, on lines made by hand."""

import pytest

from kb.ingest.furniture import Page, drop_furniture
from kb.ingest.pdf_lines import Cell, Line
from kb.ingest.pdf_paragraphs import paragraphs_of
from kb.ingest.pdf_tables import table_at


def line(text, top, left=50.0, right=350.0, size=10.0):
    """A line of one cell, ten points high."""
    return Line((Cell(text, left, right),), top, top - size, size)


def row(top, *cells, size=10.0):
    """A line of cells (text, left, right)."""
    return Line(tuple(Cell(*cell) for cell in cells), top, top - size, size)


def texts(*lines):
    """The texts of the paragraphs that these lines make."""
    return [paragraph.text for paragraph in paragraphs_of(Page(1, "1", 800.0, lines))]


def test_a_short_line_ends_its_paragraph():
    """A line in which the next word would have fitted ends on purpose."""
    assert texts(line("One full line", 500), line("ends here.", 486, right=120), line("A new one", 472)) == [
        "One full line ends here.",
        "A new one",
    ]


def test_a_wider_space_begins_a_paragraph():
    """More space than between the other lines separates, although the line is full."""
    lines = [line(f"line {n}", 500 - 14 * n) for n in range(4)] + [line("apart", 500 - 14 * 4 - 8)]
    assert texts(*lines) == ["line 0 line 1 line 2 line 3", "apart"]


def test_an_indented_line_begins_a_paragraph():
    """Two ems of indentation begin a Chinese paragraph after a full line that ends a sentence."""
    lines = [
        line("第一段的第一行，", 500, left=70),
        line("第一段到此为止。", 486),
        line("第二段。", 472, left=70, right=110),
    ]
    assert texts(*lines) == ["第一段的第一行，第一段到此为止。", "第二段。"]


def test_list_items_begin_anew_and_their_lines_are_joined():
    """Bullets become dashes; an item's second line belongs to it."""
    lines = [
        line("• first item that is long", 500),
        line("and goes on", 486, left=62, right=150),
        line("2) second", 472, right=120),
    ]
    assert texts(*lines) == ["- first item that is long and goes on", "2) second"]


def test_a_sentence_goes_on_in_the_next_column():
    """The next column begins higher up: only an unfinished sentence goes on there."""
    column = [line(text, 128 - 14 * n, right=200) for n, text in enumerate(("a sentence", "without its", "end and"))]
    assert texts(*column, line("then its end.", 500, left=220)) == ["a sentence without its end and then its end."]
    assert texts(*column, line("Another one", 500, left=220)) == ["a sentence without its end and", "Another one"]


def test_an_exponent_stays_in_its_line():
    """A small piece of the same row is put to the line it belongs to."""
    parts = [
        line("Area (km", 500, right=100),
        line("2", 503, left=100, right=104, size=6),
        line(")", 500, left=104, right=107),
    ]
    assert texts(*parts) == ["Area (km2)"]


def test_lines_without_geometry_are_all_kept():
    """Where nothing is known of the place, every line is its own paragraph unless it is long and unfinished."""
    lines = [Line((Cell("短行"),)), Line((Cell("x" * 61),)), Line((Cell("goes on"),))]
    assert texts(*lines) == ["短行", "x" * 61 + " goes on"]


def test_columns_of_text_with_wide_gaps_are_no_table():
    """Cells that stand under no one cell of the other row do not make a table."""
    lines = [row(500, ("a", 50, 60), ("b", 200, 210)), row(480, ("wide", 50, 205), ("c", 260, 270))]
    assert table_at(lines, 0) == (0, "")
    assert texts(*lines) == ["a b", "wide c"]


@pytest.mark.parametrize(("pages", "left"), [(2, True), (3, False), (10, False)])
def test_repetition_needs_three_pages(pages, left):
    """A line of body size that repeats at an edge is furniture from three pages on."""
    made = [Page(n, str(n), 800.0, (line("Handbook 2024", 790), line(f"body {n}", 400))) for n in range(1, pages + 1)]
    kept, notes = drop_furniture(made)
    assert any(line.text == "Handbook 2024" for page in kept for line in page.lines) is left
    assert len(notes) == (0 if left else 1)


def test_running_titles_that_change_are_found_by_their_page_number():
    """Chapter and number, "10 ‖ 1.3 Chapter", counts as one running line whatever the chapter is called."""
    made = [
        Page(n, str(n), 800.0, (row(790, (str(n), 50, 60), (f"Kapitel {'ABCDE'[n]}", 300, 350)), line("body", 400)))
        for n in range(1, 5)
    ]
    kept, _ = drop_furniture(made)
    assert [[line.text for line in page.lines] for page in kept] == [["body"]] * 4


def test_running_titles_are_found_by_a_number_that_runs_with_the_pages():
    """The printed number differs from the place in the file by the same on every page, at the left or at the right."""
    made = [
        Page(n, str(n), 800.0, (row(790, *_sides(n, str(n - 3), f"Kapitel {'ABCDEFGHI'[n]}")), line("body", 400)))
        for n in range(4, 9)
    ]
    kept, _ = drop_furniture(made)
    assert [[line.text for line in page.lines] for page in kept] == [["body"]] * 5


def _sides(page, number, title):
    """A running title with its number at the outer edge."""
    texts = (number, title) if page % 2 else (title, number)
    return (texts[0], 50, 60), (texts[1], 300, 350)


@pytest.mark.parametrize("rows", [3, 38])
def test_rows_of_a_table_that_runs_over_pages_stay(rows):
    """Their numbers count rows, not pages, whatever stands beside them."""
    made = [
        Page(n, str(n), 800.0, (row(790, (str(n * rows), 50, 60), (f"Name {'ABCDEFGHI'[n]}", 300, 350)),))
        for n in range(1, 9)
    ]
    kept, notes = drop_furniture(made)
    assert [len(page.lines) for page in kept] == [1] * 8
    assert notes == []


def test_a_repeated_line_in_the_body_stays():
    """What repeats in the middle of the pages is content."""
    made = [Page(n, str(n), 800.0, (line("Total", 400),)) for n in range(1, 6)]
    assert drop_furniture(made) == (made, [])


@pytest.mark.parametrize("text", ["7", "- 7 -", "Page 7 of 9", "第 7 页", "7/9", "第7页 共9页", "７"])
def test_page_numbers_go_wherever_they_are_extreme(text):
    """A line that says this page's number and nothing else is left out, another number is not."""
    page = Page(7, "7", 800.0, (line("body", 400), line(text, 150)))
    assert [line.text for line in drop_furniture([page])[0][0].lines] == ["body"]
    other = Page(8, "8", 800.0, (line("body", 400), line(text, 150)))
    assert len(drop_furniture([other])[0][0].lines) == 2
