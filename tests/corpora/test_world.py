"""The fictional world: drawn from a seed, distinct names, wordings that never meet across families, sound answers."""

import random

import pytest

from kb.corpora.world import (
    ANSWER_TYPES,
    KINDS,
    LANGUAGES,
    ask_in,
    attribute_of,
    attributes,
    draw_entity,
    draw_value,
    lexicon,
    make_world,
    near_miss_name,
)
from kb.text.canonical import canonical
from kb.text.match import judge


def everything(entity):
    """All that is true of an entity."""
    return entity.language, entity.kind, entity.name, entity.parts, tuple(entity.values.items())


def test_the_same_seed_gives_the_same_world():
    """A world is a function of seed, language and size; another seed gives another world."""
    for language in LANGUAGES:
        first, again, other = (list(map(everything, make_world(seed, language, 3))) for seed in (7, 7, 8))
        assert first == again
        assert not {entity[2] for entity in first} & {entity[2] for entity in other}


def test_a_larger_world_begins_with_the_smaller_one():
    """Drawing more entities of a kind leaves those that were there as they were."""
    small, large = make_world(7, "en", 2), make_world(7, "en", 5)
    assert list(map(everything, large[: len(small)])) == list(map(everything, small))


def test_the_drawn_entities_are_these():
    """Names and values of one seed, word for word: what changes them changes the handbook and the lab model's world."""
    _, person, _, rule = make_world(7, "en", 1)
    assert (person.name, person.parts) == ("Cecil Domby", ("Cecil", "Domby"))
    assert person.values == {
        "job": "deputy accountant", "birthplace": "Bracken Cross", "joined": "25 May 2023", "mentor": "Fabian Fassen",
        "office": "C-541", "leave": "21 days",
    }  # fmt: skip
    assert rule.name == "Dairy Parking Rule"
    company, _, product, _ = make_world(7, "zh", 1)
    assert company.name == "翰禾机电公司"
    assert (company.values["capital"], company.values["staff"]) == ("94400万元", "2942名员工")
    assert product.state(attribute_of(product, "price")) == "紫鲸典藏版的售价是210元。"


def test_names_in_a_world_are_distinct_and_avoid_those_taken():
    """No two entities share a name, and none has one that is taken."""
    taken = [entity.name for entity in make_world(1, "zh", 10)]
    names = [entity.name for entity in make_world(1, "zh", 10, taken)]
    assert len(set(names)) == len(names) == 40
    assert not set(names) & set(taken)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_has_six_attributes_with_wordings_for_both_families(language):
    """Six attributes a kind, each with five statements and six questions in either family."""
    for kind in KINDS:
        found = attributes(language, kind)
        assert len({a.name for a in found}) == 6
        assert {len(a.statements) for a in found} == {5}
        assert {(len(a.questions_a), len(a.questions_b)) for a in found} == {(6, 6)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_wording_stands_in_both_families_or_asks_two_things(language):
    """All questions about an entity differ, also after case, width and punctuation are taken out."""
    for kind in KINDS:
        entity = draw_entity(random.Random(3), language, kind)
        asked = [
            canonical(entity.ask(a, family, i)) for a in attributes(language, kind) for family in "ab" for i in range(6)
        ]
        assert len(set(asked)) == len(asked) == 72


@pytest.mark.parametrize("language", LANGUAGES)
def test_statements_hold_name_and_value_and_questions_the_name_alone(language):
    """A statement names the entity and says the value; a question names the entity and gives nothing away."""
    for entity in make_world(5, language, 2):
        for attribute in attributes(language, entity.kind):
            value = entity.values[attribute.name]
            for wording in range(len(attribute.statements)):
                said = entity.state(attribute, wording)
                assert entity.name in said
                assert value in said
            for family in "ab":
                for wording in range(6):
                    question = entity.ask(attribute, family, wording)
                    assert entity.name in question
                    assert value not in question


def test_english_sentences_begin_with_a_capital():
    """A sentence begins with a capital letter, whatever its wording begins with."""
    rule = make_world(5, "en", 1)[3]
    assert rule.kind == "regulation"
    assert rule.state(attribute_of(rule, "file")).startswith("The file number of the ")


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_value_is_right_where_it_is_the_answer_and_another_is_wrong(language):
    """The scorer takes every kind of value for itself and for no other value of the kind."""
    for name, kind in ANSWER_TYPES.items():
        rng = random.Random(name)
        values = sorted({draw_value(rng, language, name) for _ in range(4)})
        for gold in values:
            for said in values:
                expected = "correct" if said == gold else "wrong"
                assert judge(said, gold, kind).verdict == expected, f"{name}: {said} for {gold}"


def test_an_attribute_that_the_world_lacks_is_named():
    """Asking for a value of an unknown attribute says which there are."""
    with pytest.raises(ValueError, match=r"no attribute 'shoe size'; it has founder, founded"):
        draw_value(random.Random(0), "en", "shoe size")


def changes(entity, name):
    """The ways to get from the entity's name to another by exchanging one of its words for one of the same list."""
    lists = lexicon(entity.language).values()
    return [
        (part, word)
        for part in entity.parts
        for words in lists
        if part in words
        for word in words
        if word != part and entity.name.replace(part, word, 1) == name
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_near_miss_changes_one_word_of_the_name(language):
    """The name of a near miss is another one, and one word of the same list away."""
    rng = random.Random(11)
    for entity in make_world(9, language, 20):
        name = near_miss_name(rng, entity, ())
        assert name != entity.name
        assert changes(entity, name), f"{entity.name} -> {name}"


def test_a_near_miss_avoids_names_that_are_taken():
    """A name that somebody has is passed over: the same draw goes on to the next."""
    entity = make_world(9, "en", 1)[0]
    first = near_miss_name(random.Random(0), entity, ())
    second = near_miss_name(random.Random(0), entity, [first])
    assert second not in (first, entity.name)


def test_a_name_is_asked_about_in_the_other_language():
    """As it stands, in that language's held-out words; an attribute that nothing has is refused."""
    assert ask_in("zh", "price", "Tulvao Core") == "关于Tulvao Core，价钱是多少？"
    assert ask_in("en", "issuer", "墓园通风条例") == "As for the 墓园通风条例, what is the authority in charge?"
    with pytest.raises(ValueError, match="no attribute 'smell'"):
        ask_in("en", "smell", "Tulvao Core")
