"""Cutting chunks into passages."""

import pytest

from kb.ingest.chunk import chunk
from kb.ingest.passages import passages
from kb.text.terms import count_tokens


def cut(document, target=25, most=35):
    """Header and text of the passages of the one chunk that a document is."""
    (span,) = chunk(document, 900, 1400)
    return [(part.header, document.text[part.start : part.end]) for part in passages(document, span, target, most)]


def words(count, word="word"):
    """A paragraph of so many words."""
    return " ".join([word] * (count - 1) + ["end."])


def test_a_short_chunk_is_its_own_passage(parsed):
    """Nothing is cut that fits."""
    assert cut(parsed(("paragraph", words(30)))) == []


def test_whole_paragraphs_share_a_passage_up_to_the_target(parsed):
    """A paragraph is not torn while it fits, and a tiny one goes with its neighbour up to the maximum."""
    texts = [words(11, "aa"), words(10, "bb"), words(20, "cc"), words(5, "dd"), words(25, "ee")]
    found = cut(parsed(*[("paragraph", text) for text in texts]))
    assert [text for _, text in found] == ["\n\n".join(texts[:2]), texts[2], "\n\n".join(texts[3:])]


def test_a_heading_begins_a_passage_and_names_its_later_ones(parsed):
    """Below level 2 the headings stand in the text; a passage that begins after one has it in its header."""
    document = parsed(
        ("heading", "Rules", 2), ("paragraph", words(20, "aa")),
        ("heading", "Fines", 3), ("paragraph", words(20, "bb")),
        ("heading", "罚款", 4), ("paragraph", "罚款三千万元。" * 6),
        ("heading", "Dates", 3), ("paragraph", words(10, "dd")),
    )  # fmt: skip
    found = cut(document)
    assert [(header, text[:7]) for header, text in found] == [
        ("Handbook > Rules", "aa aa a"),
        ("Handbook > Rules", "Fines\n\n"),
        ("Handbook > Rules > Fines", "罚款\n\n罚款三"),
        ("Handbook > Rules > Fines > 罚款", "罚款三千万元。"),
        ("Handbook > Rules", "Dates\n\n"),
    ]


def test_the_rows_of_a_long_table_keep_its_head(parsed):
    """Every later part of a table names the columns, once, in a chunk that begins within the table too."""
    rows = "\n".join(f"| 项目{n} | {n} crowns |" for n in range(80))
    document = parsed(("table", f"| item | fine |\n| --- | --- |\n{rows}"))
    first, *later = chunk(document, 200, 200)
    assert later
    headers = [part.header for part in passages(document, first, 50, 60)]
    assert (headers[0], set(headers[1:])) == ("Handbook", {"Handbook > item | fine"})
    for span in later[:-1]:
        assert {part.header for part in passages(document, span, 50, 60)} == {"Handbook > item | fine"}


@pytest.mark.parametrize("seed", range(20))
def test_the_passages_of_a_chunk_have_all_its_text_once(drawn, seed):
    """Whatever the structure: they follow each other, leave only blanks between them, and stay below the maximum."""
    document = drawn(seed)
    for span in chunk(document, 200, 300):
        parts = passages(document, span, 50, 70)
        assert len(parts) != 1
        assert parts or span.tokens <= 75
        at = span.start
        for part in parts:
            assert not document.text[at : part.start].strip()
            assert part.start >= at
            assert part.header.startswith(span.header)
            assert part.tokens == count_tokens(document.text[part.start : part.end])
            at = part.end
        assert not parts or (parts[0].start, at) == (span.start, span.end)


def test_the_work_grows_with_the_length(watched):
    """The blocks before a chunk are not gone through for it."""
    document, looked = watched(words(9))
    spans = chunk(document, 50, 60)
    looked.clear()
    assert sum(len(passages(document, span, 20, 30)) for span in spans) > 60
    assert not looked
