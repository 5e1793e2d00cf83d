"""What several places state: one fact with its sources, or a contradiction."""

from dataclasses import replace

import pytest

from kb.qa_gen.merging import CONTRADICTED, merge_facts
from kb.records import Fact, FactSource


@pytest.fixture
def bench(make_bench):
    """A bench whose model is asked nothing."""
    return make_bench(lambda request: pytest.fail("asked"))


def places(bench, facts):
    """The further places, as fact and chunk."""
    return [(source.fact_id, source.chunk_id) for source in bench.sources_of(facts)]


@pytest.mark.parametrize(
    ("statement", "forms", "language"),
    [
        ("赤水公司的注册资本是{}。", ("3000万元", "三千万元", "30,000,000元"), "zh"),
        ("Tulvao Core costs {}.", ("1,200 crowns", "1200 crowns", "1200 Crowns"), "en"),
        ("The Wofran Act took effect on {}.", ("3 May 2020", "2020-05-03", "May 3, 2020"), "en"),
    ],
)
def test_one_answer_in_several_forms_is_one_fact(bench, make_fact, statement, forms, language):
    """The first stays; the other forms are aliases, the other places sources."""
    facts = [
        make_fact(statement.format(form), form, language=language, chunk_id=f"chk_{n}") for n, form in enumerate(forms)
    ]
    (kept,) = merge_facts(bench, facts)
    assert (kept.id, kept.answer) == (facts[0].id, forms[0])
    assert set(kept.aliases) <= set(forms[1:])
    assert forms[1] in kept.aliases or statement.startswith("Tulvao")
    assert places(bench, [kept]) == [(kept.id, "chk_1"), (kept.id, "chk_2")]
    assert bench.rejects == []


@pytest.mark.parametrize(
    ("statement", "old", "new", "language"),
    [
        ("Tulvao Core costs {}.", "349 crowns", "359 crowns", "en"),
        ("赤水公司的董事长是{}。", "张伟", "李娜", "zh"),
        ("《值班条例》自{}起施行。", "2019年5月1日", "2021年5月1日", "zh"),
    ],
)
def test_places_that_differ_are_a_contradiction(bench, make_fact, statement, old, new, language):
    """Nothing is made of either, and the reject names the other answer and its chunk; another fact is not touched."""
    facts = [
        make_fact(statement.format(answer), answer, language=language, chunk_id=chunk)
        for answer, chunk in ((old, "chk_1"), (new, "chk_2"), (old, "chk_3"))
    ]
    other = make_fact("Brazao weighs 2 kg.", "2 kg")
    assert merge_facts(bench, [*facts, other]) == [other]
    assert {(one.item, one.reason) for one in bench.rejects} == {(f"chk_{n}", CONTRADICTED) for n in (1, 2, 3)}
    assert {one.item: one.detail.partition(" | ")[2] for one in bench.rejects} == {
        "chk_1": f"elsewhere: {new} (chk_2)",
        "chk_3": f"elsewhere: {new} (chk_2)",
        "chk_2": f"elsewhere: {old} (chk_1)",
    }
    assert places(bench, [other]) == []


def test_a_list_in_one_chunk_is_no_contradiction(bench, make_fact):
    """Two offices are two facts, and an unlike statement with another answer is another fact."""
    facts = [make_fact(f"Turan Works has an office in {town}.", town) for town in ("Lisbon", "Porto")]
    facts.append(make_fact("Turan Works was founded in Porto.", "Porto", chunk_id="chk_2"))
    assert merge_facts(bench, facts) == facts
    assert bench.rejects == []


def test_a_double_of_a_double_is_a_source_of_the_first(bench, make_fact):
    """However they were found to be one; sources of what is not kept are none."""
    first, second, third = (
        replace(make_fact(f"{n} costs 5 crowns.", "5 crowns", chunk_id=f"chk_{n}"), start=n, end=n + 9)
        for n in (1, 2, 3)
    )
    bench.say_again(second, third)
    bench.say_again(first, second)
    assert sorted(places(bench, [first])) == [(first.id, "chk_2"), (first.id, "chk_3")]
    assert places(bench, [second]) == []


@pytest.mark.slow
def test_sources_are_stored_and_shown(make_world_in):
    """A document with a twin: its facts are made once, and `kb show` leads from either chunk to the fact."""
    from kb.lookup import look_up

    world = make_world_in()
    store = world.workspace.store
    twins = []
    for chunk in world.retriever().chunks:
        twins.append(replace(chunk, id=f"{chunk.id}f", ordinal=chunk.ordinal + 1000))
    store.put(twins)
    facts = world.generate().facts
    assert facts == len(world.truths)
    sources = store.all(FactSource)
    assert {source.fact_id for source in sources} == {fact.id for fact in store.all(Fact)}
    for source in sources[:5]:
        links = look_up(store, source.fact_id).down
        assert (source.chunk_id, "stated also in") in {(link.id, link.kind) for link in links}
        links = look_up(store, source.chunk_id).down
        assert (source.fact_id, "fact of another place") in {(link.id, link.kind) for link in links}
