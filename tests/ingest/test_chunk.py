"""Cutting documents into chunks."""

import pytest

from kb.ingest.chunk import chunk
from kb.text import terms
from kb.text.terms import count_tokens


def cut(document, target=900, most=1400):
    """Header and text of every chunk."""
    return [(span.header, document.text[span.start : span.end]) for span in chunk(document, target, most)]


def test_header_is_title_and_heading_path(parsed):
    """Headings of level 1 and 2 begin a chunk of their own and stand in its header, not in its text."""
    document = parsed(
        ("heading", "Handbook", 0), ("heading", "产品", 1), ("paragraph", "产品说明。"),
        ("heading", "Tulvao Core", 2), ("paragraph", "It weighs 194 grams."),
        ("heading", "Rules", 1), ("paragraph", "No smoking."),
    )  # fmt: skip
    assert cut(document) == [
        ("Handbook > 产品", "产品说明。"),
        ("Handbook > 产品 > Tulvao Core", "It weighs 194 grams."),
        ("Handbook > Rules", "No smoking."),
    ]


def test_deeper_sections_share_a_chunk_while_they_fit(parsed):
    """Below level 2 sections are packed together; their headings are then part of the text."""
    blocks = [("heading", "Rules", 2), ("paragraph", "Intro."), ("heading", "Fines", 3), ("paragraph", "84 crowns.")]
    blocks += [("heading", "Dates", 3), ("paragraph", "20 May 1977.")]
    assert cut(parsed(*blocks)) == [
        ("Handbook > Rules", "Intro.\n\nFines\n\n84 crowns.\n\nDates\n\n20 May 1977."),
    ]
    assert cut(parsed(*blocks), target=8, most=8) == [
        ("Handbook > Rules", "Intro."),
        ("Handbook > Rules > Fines", "84 crowns."),
        ("Handbook > Rules > Dates", "20 May 1977."),
    ]


def test_a_group_that_begins_below_its_parent_keeps_its_own_heading(parsed):
    """Where deeper sections are packed without the text above them, the first heading is part of the text too."""
    document = parsed(
        ("heading", "Rules", 2), ("heading", "Fines", 3), ("paragraph", "84 crowns."),
        ("heading", "Dates", 3), ("paragraph", "20 May 1977."),
    )  # fmt: skip
    assert cut(document) == [("Handbook > Rules", "Fines\n\n84 crowns.\n\nDates\n\n20 May 1977.")]


def test_a_heading_with_nothing_below_it_is_text(parsed):
    """Lines that only look like headings are not lost."""
    document = parsed(
        ("heading", "Contents", 1), ("heading", "Index", 1), ("heading", "第一章", 1), ("paragraph", "正文。"),
        ("heading", "End", 2), ("heading", "Fin", 1),
    )  # fmt: skip
    assert cut(document) == [
        ("Handbook", "Contents\n\nIndex"),
        ("Handbook > 第一章", "正文。"),
        ("Handbook > 第一章", "End"),
        ("Handbook", "Fin"),
    ]


def test_long_paragraphs_are_cut_between_sentences(parsed):
    """A paragraph above the maximum falls into runs of whole sentences, in both languages."""
    english = " ".join(f"The rule {n} applies to everyone here." for n in range(20))
    chinese = "".join(f"第{n}条规定适用于所有员工。" for n in range(20))
    for text, end in ((english, "."), (chinese, "。")):
        document = parsed(("paragraph", text))
        pieces = [text for _, text in cut(document, 60, 80)]
        assert len(pieces) > 3
        assert all(piece.endswith(end) and count_tokens(piece) <= 80 for piece in pieces)
        assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("word", ["条例规定罚款", "unbroken", "seventy "])
def test_cutting_a_long_block_is_linear(parsed, monkeypatch, word):
    """However long an unbroken block is, each of its characters is counted a bounded number of times."""
    counted = []
    real = terms.count_tokens
    monkeypatch.setattr(terms, "count_tokens", lambda text: counted.append(len(text)) or real(text))
    work = []
    for length in (4_000, 16_000):
        counted.clear()
        document = parsed(("paragraph", word * (length // len(word))))
        assert all(span.tokens <= 100 for span in chunk(document, 50, 100))
        work.append(sum(counted))
    assert work[1] < 5 * work[0]


def test_the_page_of_a_chunk_is_found_without_going_through_all_blocks(watched):
    """A document of many blocks is not searched from its start for every chunk."""
    document, looked = watched("Rule {}.")
    assert len(chunk(document, 10, 20)) > 50
    assert len(looked) < 10


def test_long_tables_are_cut_between_rows_and_keep_their_head_in_the_header(parsed):
    """Later parts of a table carry its head row in their header; the spans stay exact."""
    rows = "\n".join(f"| 项目{n} | {n} crowns |" for n in range(30))
    document = parsed(("heading", "Fines", 1), ("table", f"| item | fine |\n| --- | --- |\n{rows}"))
    pieces = cut(document, 60, 80)
    assert pieces[0][0] == "Handbook > Fines"
    assert {header for header, _ in pieces[1:]} == {"Handbook > Fines > item | fine"}
    assert "\n".join(text for _, text in pieces) == document.blocks[1].text


def test_a_head_row_as_long_as_a_text_is_not_repeated_whole(parsed):
    """The header of a chunk stays short whatever the first row of a table holds."""
    rows = "\n".join(f"| 项目{n} |" for n in range(90))
    document = parsed(("table", f"| {'条例' * 300} |\n| --- |\n{rows}"))
    spans = chunk(document, 200, 300)
    assert len(spans) > 3
    assert all(len(span.header) < 500 for span in spans)


def test_a_tiny_rest_is_taken_along(parsed):
    """A short last paragraph does not become a chunk of its own while the maximum allows."""
    document = parsed(("paragraph", "word " * 896 + "end."), ("paragraph", "Short rest."))
    assert len(cut(document)) == 1
    assert len(cut(document, 900, 900)) == 2


def test_pages_and_slides(parsed):
    """A chunk is on the page where its text begins; a slide without a title is not put under the one before."""
    blocks = [("heading", "Prices", 1), ("paragraph", "93 crowns."), ("paragraph", "Untitled slide text.")]
    slides = chunk(parsed(*blocks, format="pptx", pages=(1, 2, 3)))
    assert [(span.header, span.page) for span in slides] == [("Handbook", 1), ("Handbook", 2), ("Handbook", 3)]
    slides = chunk(parsed(*blocks, format="pptx", pages=(2, 2, 3)))
    assert [(span.header, span.page) for span in slides] == [("Handbook > Prices", 2), ("Handbook", 3)]
    pages = chunk(parsed(*blocks, format="pdf", pages=(1, 2, 3)))
    assert [(span.header, span.page) for span in pages] == [("Handbook > Prices", 2)]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_doubled_or_too_long(drawn, seed):
    """Whatever the structure: chunks follow each other, hold every block but headings, and stay below the maximum."""
    document = drawn(seed)
    spans = chunk(document, 50, 70)
    covered = set()
    for span in spans:
        assert not covered & set(range(span.start, span.end))
        assert span.tokens == count_tokens(document.text[span.start : span.end]) <= 70
        covered |= set(range(span.start, span.end))
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    for block in document.blocks:
        place = range(block.start, block.end)
        lost = [document.text[at] for at in place if at not in covered and not document.text[at].isspace()]
        assert block.kind == "heading" or not lost
