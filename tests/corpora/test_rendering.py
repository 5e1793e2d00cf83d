"""Rendered documents, read back by the parsers and the chunker of `kb ingest`."""

import random
import zipfile

import pytest

from kb.corpora.documents import STYLES, as_lines, compose
from kb.corpora.rendering import render
from kb.corpora.world import LANGUAGES, make_world
from kb.ingest.chunk import chunk
from kb.ingest.parse import parse
from kb.text.similar import locate

FORMATS = ("pdf", "docx", "pptx", "txt", "md")


def composed(language, style, seed=2):
    """A document about three entities."""
    return compose(random.Random(f"{seed} {style}"), make_world(seed, language, 1)[:3], 5, style)


def pieces(path):
    """Header and text of every chunk of a file."""
    parsed = parse(path)
    return [(one.header, parsed.text[one.start : one.end]) for one in chunk(parsed, 120, 240)]


def missed(document, chunks, flat):
    """Facts whose evidence stands in no chunk under the heading of their entity."""
    sections = map(as_lines, document.sections) if flat else document.sections
    return [
        fact.evidence
        for section in sections
        for fact in section.facts
        if not any(fact.entity.name in header and locate(fact.evidence, text) for header, text in chunks)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fact_is_read_back_in_the_right_chunk(language, suffix, tmp_path):
    """In every format and style, each fact's evidence is found in a chunk whose heading path names its entity."""
    for style in STYLES:
        document = composed(language, style)
        path = tmp_path / f"{style}.{suffix}"
        render(document, path)
        assert missed(document, pieces(path), flat=suffix == "txt") == []


def test_a_chinese_text_file_may_be_gb18030(tmp_path):
    """The encoding is the caller's choice for text files, and the reader finds it out."""
    document = composed("zh", "prose")
    render(document, tmp_path / "a.txt", "gb18030")
    assert document.title in (tmp_path / "a.txt").read_text(encoding="gb18030")
    assert missed(document, pieces(tmp_path / "a.txt"), flat=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_the_title_is_read_back(suffix, tmp_path):
    """Every format carries the document's title, and page furniture is no part of it."""
    document = composed("en", "mixed")
    render(document, tmp_path / f"a.{suffix}")
    assert parse(tmp_path / f"a.{suffix}").title == document.title


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_rendering_twice_gives_the_same_bytes(suffix, tmp_path):
    """No clock and no random id gets into a file."""
    for name in ("a", "b"):
        render(composed("zh", "mixed"), tmp_path / f"{name}.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["docx", "pptx"])
def test_members_of_office_files_carry_one_date(suffix, tmp_path):
    """The zip members of Word and PowerPoint files are all dated alike, the content types first."""
    render(composed("en", "table"), tmp_path / f"a.{suffix}")
    with zipfile.ZipFile(tmp_path / f"a.{suffix}") as file:
        members = file.infolist()
    assert {member.date_time for member in members} == {(2024, 1, 1, 0, 0, 0)}
    assert members[0].filename == "[Content_Types].xml"


def test_prose_beside_a_table_goes_to_the_notes_of_a_slide(tmp_path):
    """A slide shows the table; the sentences of the same section are in its notes."""
    from pptx import Presentation

    document = composed("en", "mixed")
    render(document, tmp_path / "a.pptx")
    noted = [
        slide.notes_slide.notes_text_frame.text
        for slide in Presentation(tmp_path / "a.pptx").slides
        if slide.has_notes_slide
    ]
    prose = [block.lines[0] for section in document.sections for block in section.blocks if block.kind == "paragraph"]
    assert any(sentence in text for sentence in prose for text in noted)


def test_an_unknown_suffix_is_refused(tmp_path):
    """There is no writer for other formats."""
    with pytest.raises(KeyError, match=r"\.odt"):
        render(composed("en", "prose"), tmp_path / "a.odt")
