"""Documents in any number, and the model that knows them."""

import pytest

from kb.corpora.documents import block_text
from kb.corpora.many import SECTIONS, Script, Shape, section, truths, write_document
from kb.ingest.parse import parse
from kb.llm import Request, user
from kb.prompt import Prompts
from kb.qa_gen.replies import parse_facts

SHAPE = Shape(facts=3, others=1)


def ask(name, number, package="kb.qa_gen", **fields):
    """The script's answer to a prompt about a section."""
    prompt = Prompts().get(package, name, truths(SHAPE, number)[0].language)
    return Script(SHAPE)(Request(user(prompt.fill(**fields), prompt.system))).text


@pytest.mark.parametrize("number", [7, 10007], ids=["en", "zh"])
def test_the_model_knows_the_facts_of_a_section_and_answers_from_passages(number):
    """It finds what a prompt is about by the name in it, whatever the number of documents."""
    text = "\n".join(block_text(block) for block in section(SHAPE, number).blocks)
    name = section(SHAPE, number).heading
    drafts = parse_facts(ask("facts", number, passage=f"{name}\n{text}"))
    known = truths(SHAPE, number)
    assert [draft.statement for draft in drafts] == [truth.statement for truth in known]
    other = section(SHAPE, number + 1).heading
    asked = {"passages": f"{name}\n{text}\n{other}", "question": known[0].held_out[0]}
    assert ask("rag", number, "kb", **asked) == known[0].answer


def test_languages_take_turns_and_no_two_sections_have_a_name():
    """Documents of both languages, each about entities of its own."""
    sections = [section(SHAPE, number) for number in range(4 * SECTIONS)]
    assert len({one.heading for one in sections}) == len(sections)
    assert [one.facts[0].entity.language for one in sections[::SECTIONS]] == ["en", "zh", "en", "zh"]


@pytest.mark.slow
def test_a_document_is_written_with_its_sections_and_what_is_added(tmp_path):
    """The file reads as its sections say, and an addition changes it."""
    write_document(tmp_path, SHAPE, 1)
    file = tmp_path / "00" / "00001.md"
    before = file.read_bytes()
    headings = [block.text for block in parse(file).blocks if block.kind == "heading"]
    assert headings[1:] == [section(SHAPE, number).heading for number in range(SECTIONS, 2 * SECTIONS)]
    assert all(fact.evidence in before.decode() for fact in section(SHAPE, SECTIONS).facts)
    write_document(tmp_path, SHAPE, 1, "One thing more.")
    assert file.read_bytes().count(b"One thing more.") == 1
