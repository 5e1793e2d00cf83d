"""How much of the documents is asked about."""

from dataclasses import replace

import pytest

from kb.qa_gen.coverage import measure_coverage, units_of
from kb.records import Fact, FactSource, make_id


def texts(text):
    """The units as text."""
    return [text[start:end] for start, end in units_of(text)]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("It costs 5 crowns. It weighs 2 kg.", ["It costs 5 crowns.", "It weighs 2 kg."]),
        ("售价5元。重2公斤，很轻。", ["售价5元。", "重2公斤，很轻。"]),
        (
            "| a | b |\n| --- | --- |\n| price | 5 crowns |\n| 重量 | 2公斤 |",
            ["| price | 5 crowns |", "| 重量 | 2公斤 |"],
        ),
        ("The prices of this year\n\nIt costs 5 crowns.", ["It costs 5 crowns."]),
        ("第二章　产品价格表\n\n售价为5元。", ["售价为5元。"]),
        ("- price of Core: 5 crowns\n- weight of Core: 2 kg", ["- price of Core: 5 crowns", "- weight of Core: 2 kg"]),
        ("Prices in crowns:\nall of them without tax", ["Prices in crowns:", "all of them without tax"]),
        ("Effective from 2020 on\n\nOk.", ["Effective from 2020 on"]),
        ("", []),
    ],
)
def test_units(text, units):
    """Sentences and rows that can say something; no heading, no head of a table, no rule, no short rest."""
    assert texts(text) == units


@pytest.fixture
def chunks(make_chunk):
    """A chunk of three sentences and a Chinese table, the second not at the beginning of its document."""
    first = make_chunk("It costs 5 crowns. It weighs 2 kg. It is blue all over.", number=1)
    table = "| 项目 | 值 |\n| --- | --- |\n| 售价 | 5元 |\n| 重量 | 2公斤 |"
    return [first, make_chunk(table, "zh", number=2, start=100)]


def at(chunk, evidence, kind=Fact):
    """A fact, or a further source of one, whose evidence is in the chunk."""
    start = chunk.start + chunk.text.index(evidence)
    if kind is FactSource:
        return FactSource(make_id("src", evidence), "fct_1", chunk.id, evidence, start, start + len(evidence))
    id = make_id("fct", evidence)
    return Fact(id, chunk.id, evidence, evidence, "text", evidence, start, start + len(evidence), chunk.language)


def test_evidence_and_further_sources_cover(make_bench, chunks):
    """A part of a sentence is enough; what is left is listed as it stands in the document, the longest first."""
    store = make_bench(str, chunks).store
    first, table = chunks
    store.put([at(first, "5 crowns"), at(table, "2公斤", FactSource)])
    found = measure_coverage(store)
    assert (found.whole.asked, found.whole.units, found.whole.facts) == (2, 5, 2)
    assert found.whole.share == 0.4
    assert [(one.name, one.units, one.asked) for one in found.documents] == [("/d", 5, 2)]
    assert [(one.id, one.asked, one.units) for one in found.sections] == [("chk_1", 1, 3), ("chk_2", 1, 2)]
    assert [(gap.chunk, gap.text) for gap in found.untouched] == [
        ("chk_1", "It weighs 2 kg. It is blue all over."), ("chk_2", "| 售价 | 5元 |"),
    ]  # fmt: skip
    assert [gap.end - gap.start for gap in found.untouched] == [len(gap.text) for gap in found.untouched]
    assert found.untouched[1].start == 100 + table.text.index("| 售价")


def test_passages_and_copies_are_not_counted_twice(make_bench, chunks):
    """Only sections that facts are made from count."""
    first, table = chunks
    passage = replace(first, id="chk_9", section="chk_1")
    store = make_bench(str, [first, table, passage]).store
    store.sql("INSERT INTO copies VALUES ('chk_2', 'chk_1')")
    assert measure_coverage(store).whole.units == 3


def test_nothing_to_ask_is_covered(make_bench, make_chunk):
    """A cover page does not count as passed over."""
    found = measure_coverage(make_bench(str, [make_chunk("Handbook")]).store)
    assert (found.whole.units, found.whole.share, found.untouched) == (0, 1.0, ())
