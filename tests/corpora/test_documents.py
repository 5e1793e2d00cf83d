"""Composed documents: every fact stands where its evidence says, in every style and language."""

import random

import pytest

from kb.corpora.documents import STYLES, Block, Section, StatedFact, as_lines, block_text, compose, compose_section
from kb.corpora.world import LANGUAGES, attribute_of, attributes, make_world


def collapsed(text):
    """A text without its line breaks and spaces."""
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", STYLES)
def test_a_section_states_what_it_was_given(style, language):
    """Every attribute is stated once, and its evidence, which holds the value, is a part of the section's text."""
    rng = random.Random(f"{style} {language}")
    for entity in make_world(4, language, 3):
        stated = rng.sample(attributes(language, entity.kind), 5)
        section = compose_section(rng, entity, style, stated)
        assert section.heading == entity.name
        assert sorted(fact.attribute.name for fact in section.facts) == sorted(a.name for a in stated)
        for fact in section.facts:
            assert fact.evidence in section.text()
            assert fact.value in fact.evidence


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lines_of_a_text_file_keep_every_fact(language):
    """Tables and lists as plain lines lose no fact, and the evidence follows them."""
    rng = random.Random(language)
    entity = make_world(4, language, 1)[0]
    for style in STYLES:
        flat = as_lines(compose_section(rng, entity, style, attributes(language, entity.kind)))
        assert len(flat.facts) == 6
        assert "|" not in flat.text()
        for fact in flat.facts:
            assert fact.evidence in flat.text()


def test_a_table_row_becomes_a_line_with_a_colon():
    """The same fact as a table row and as a line of a text file, in both languages."""
    rule, chinese = make_world(7, "en", 1)[3], make_world(7, "zh", 1)[3]
    row = Section("x", (), (StatedFact(rule, attribute_of(rule, "file"), "| file number | 2012/39 |"),))
    assert as_lines(row).facts[0].evidence == "file number: 2012/39"
    row = Section("x", (), (StatedFact(chinese, attribute_of(chinese, "file"), "| 档案编号 | 2012/35 |"),))
    assert as_lines(row).facts[0].evidence == "档案编号：2012/35"


def test_blocks_as_text():
    """A table as Markdown, a list with dashes, Chinese sentences without a space between them."""
    assert block_text(Block("table", ("Rule | X", "fine | 3"))) == "| Rule | X |\n| --- | --- |\n| fine | 3 |"
    assert block_text(Block("bullets", ("a: 1", "b: 2"))) == "- a: 1\n- b: 2"
    assert block_text(Block("lines", ("a: 1", "b: 2"))) == "a: 1\nb: 2"
    assert block_text(Block("paragraph", ("One.", "Two."))) == "One. Two."
    assert block_text(Block("paragraph", ("一。", "二。"))) == "一。二。"


def test_a_document_states_as_many_facts_of_each_entity_as_asked():
    """Sections follow the entities, after an overview without facts in some documents."""
    entities = make_world(4, "zh", 2)[:3]
    overviews = 0
    for seed in range(20):
        document = compose(random.Random(seed), entities, 4)
        about = [section.heading for section in document.sections if section.facts]
        assert about == [entity.name for entity in entities]
        assert len(document.facts) == 12
        overviews += len(document.sections) - len(about)
    assert 0 < overviews < 20
