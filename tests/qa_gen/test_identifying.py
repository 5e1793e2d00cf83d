"""Which answers a reversed question can be asked of."""

from dataclasses import replace

import pytest

from kb.qa_gen.identifying import Stated, choose, identifies
from kb.text.match import answer_type


@pytest.mark.parametrize(
    "answer",
    [
        "HX-2041", "B-203", "三千万元", "3000万", "注册资本三千万元", "30 million crowns", "3,420 employees",
        "120名员工", "12 March 1998", "March 1998", "1998年3月", "5 March", "518000", "Orla Venn", "王伟",
        "senior nurse", "10%", "within 30 days of the invoice", "Chapter House", "第一机床厂", "三门峡市", "Mayfield",
        "一汽大众",
    ],
)  # fmt: skip
def test_what_says_enough(answer):
    """Codes, names, amounts with their units, dates with a month, words."""
    assert identifies(answer, answer_type(answer))


@pytest.mark.parametrize(
    "answer",
    [
        "yes", "No.", "是的", "没有", "A", "李", "第三章", "第3条", "第三章第二节", "Chapter 3", "Section IV", "step 4",
        "the second", "Table 3", "表3", "附件一", "1998", "1998年", "5天", "2 years", "三", "342", "3,420", "Monday",
        "周三", "May", "三月", "the third quarter", "第三季度", "",
        "The applicant shall submit the form, the invoice, the receipt and a copy of the contract to the office that is"
        " in charge of the district in which the seat is.",
    ],
)  # fmt: skip
def test_what_says_too_little(answer):
    """Yes and no, places in a row, small or bare numbers, bare years, and what is too long to be given."""
    assert not identifies(answer, answer_type(answer))


@pytest.mark.parametrize(
    ("answer", "other", "twin"),
    [
        ("三千万元", "3000万元", True), ("3000万", "三千万", True), ("三千万元", "3000万", True),
        ("2 km", "2000 m", True), ("12 March 1998", "1998-03-12", True), ("HX-2041", "hx-2041", True),
        ("第十二研究室", "第12研究室", True),
        ("the Water Council", "Water Council", True), ("30 hours", "30 days", False), ("三千万元", "3000元", False),
        ("12 March 1998", "13 March 1998", False), ("HX-2041", "HX-2042", False),
    ],
)  # fmt: skip
def test_answers_are_the_same_by_their_values(make_fact, answer, other, twin):
    """As the scorers compare them, and not by their characters."""
    first, second = make_fact(f"A: {answer}", answer), make_fact(f"B: {other}", other)
    assert [one.id for one in Stated([first, second]).twins(first)] == ([second.id] if twin else [])


def test_an_alias_is_an_answer_too(make_fact):
    """What a second place calls it may be another thing's answer."""
    first = replace(make_fact("A is run by Orla Venn.", "Orla Venn"), aliases=("O. Venn",))
    second = make_fact("B is run by O. Venn.", "O. Venn")
    stated = Stated([first, second])
    assert list(stated.twins(first)) == [second]
    assert list(stated.twins(second)) == [first]


@pytest.mark.parametrize(
    ("language", "names", "statement", "wordings", "answer", "again"),
    [
        (
            "en", ("Tulvao Core", "Brazao Home"), "{} was designed by Orla Venn.",
            ("Who designed {}?", "Whose plans is {} made to?"), "Orla Venn", "Orla Venn drew {}.",
        ),
        (
            "zh", ("赤水阀门", "桑坪阀门"), "{}的证书编号是HX-2041。",
            ("{}的证书编号是什么？", "请说出{}持有的证书号。"),
            "HX-2041", "证书HX-2041发给{}。",
        ),
    ],
)  # fmt: skip
def test_the_answer_of_two_things_points_at_neither(
    make_bench, make_fact, wordings_of, language, names, statement, wordings, answer, again
):
    """Of one thing told twice the first is chosen; a fact that came to nothing counts as well."""
    one, other = (make_fact(statement.format(name), answer, language=language) for name in names)
    twice = make_fact(again.format(names[0]), answer, language=language)
    trained = {
        fact.id: wordings_of(fact, [wording.format(name) for wording in wordings])
        for fact, name in ((one, names[0]), (other, names[1]), (twice, names[0]))
    }

    def chosen(facts, stated):
        bench = make_bench(str)
        found = choose(bench, facts, Stated(stated), trained)
        return [fact.id for fact in found], [reject.reason for reject in bench.rejects]

    assert chosen([one], [one]) == ([one.id], [])
    assert chosen([one, other], [one, other]) == ([], ["another thing has the same answer"] * 2)
    assert chosen([one], [one, other]) == ([], ["another thing has the same answer"])
    assert chosen([one, twice], [one, twice]) == ([one.id], ["another fact says the same"])
