"""Trifling edits of the world's questions, and the file of them that ships with generation."""

import filecmp
from importlib import resources

import pytest

from kb.corpora.lab_tasks import reserved_names
from kb.corpora.trifles import EXACT, OTHER, groups, subjects, trifles, wordings, write
from kb.corpora.world import KINDS, LANGUAGES, attributes
from kb.text.canonical import canonical


@pytest.mark.parametrize(
    ("question", "name", "language", "kind", "text"),
    [
        ("By whom was Orla founded?", "Orla", "en", "word order", "Whom was Orla founded by?"),
        ("What is the price of Orla?", "Orla", "en", "word order", "The price of Orla is what?"),
        ("Who founded Orla?", "Orla", "en", "synonym", "Which person founded Orla?"),
        ("State the price of Orla.", "Orla", "en", "politeness", "Please state the price of Orla."),
        ("What is the price of Orla?", "Orla", "en", "function word", "What's the price of Orla?"),
        ("I need the cost of Orla.", "Orla", "en", "function word", "So, I need the cost of Orla."),
        ("Where is Orla?", "Orla", "en", "case", "WHERE IS Orla?"),
        ("谁创立了启霆公司？", "启霆公司", "zh", "synonym", "哪位创立了启霆公司？"),
        ("谁创立了启霆公司？", "启霆公司", "zh", "politeness", "请问谁创立了启霆公司？"),
        ("启霆公司的创始人是谁？", "启霆公司", "zh", "word order", "谁是启霆公司的创始人？"),
        ("告诉我启霆公司的职务。", "启霆公司", "zh", "politeness", "您好，告诉我启霆公司的职务。"),
        ("谁创立了启霆公司？", "启霆公司", "zh", "punctuation", "谁创立了启霆公司！"),
    ],
)
def test_trifles_of_a_question(question, name, language, kind, text):
    """Each kind leaves what is asked, and the name, as they are."""
    assert (kind, text) in [(one.kind, one.text) for one in trifles(question, name, language)]


def test_names_are_no_trifle():
    """A name with an article or a question word in it stays whole."""
    for one in trifles("Where is the Who is Who Club based?", "Who is Who Club", "en"):
        assert one.text.count("Who is Who Club") == 1


@pytest.mark.slow
def test_every_wording_of_the_world_has_trifles():
    """The exact comparison sees through case and punctuation alone."""
    for language, attribute, entity in subjects():
        for question in (*wordings(entity, attribute, "a"), *wordings(entity, attribute, "b")):
            found = trifles(question, entity.name, language)
            assert {one.kind for one in found} >= {"politeness", "function word"}
            for one in found:
                assert (canonical(one.text) == canonical(question)) == (one.kind in EXACT)
                assert one.kind in (*EXACT, *OTHER)
                assert entity.name in one.text


@pytest.mark.slow
def test_groups_are_of_all_attributes_and_of_new_names():
    """Each attribute in both languages and both directions, about nobody that the handbook or the lab model knows."""
    made = list(groups())
    assert len(made) == 2 * sum(len(attributes(language, kind)) for language in LANGUAGES for kind in KINDS)
    taken = set().union(*map(reserved_names, LANGUAGES))
    assert not any(name in text for group in made for text in group.trained for name in taken)
    for one, other in zip(made[::2], made[1::2], strict=True):
        assert (one.trained, one.others) == (other.others, other.trained)
        assert len(one.trifles) == len(one.trained) == 6


@pytest.mark.slow
def test_the_file_that_ships_is_what_this_makes(tmp_path):
    """`python -m kb.corpora.trifles` writes it again, byte for byte."""
    write(tmp_path / "made.jsonl")
    with resources.as_file(resources.files("kb.qa_gen").joinpath("calibration.jsonl")) as shipped:
        assert filecmp.cmp(tmp_path / "made.jsonl", shipped, shallow=False)
