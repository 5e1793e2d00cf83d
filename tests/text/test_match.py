"""The comparison of answers: the table of traps, and what the verdicts and rules promise."""

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest

from kb.corpora.world import attributes, draw_value, make_world
from kb.text.match import ANSWER_TYPES, answer_type, judge, same

ROWS = [json.loads(line) for line in (Path(__file__).parent / "adversarial.jsonl").read_text("utf-8").splitlines()]
BY_GOLD = defaultdict(list)
for row in ROWS:
    BY_GOLD[row["type"], row["gold"]].append(row)


@pytest.mark.parametrize(("kind", "gold"), BY_GOLD, ids=lambda part: part or "blank")
def test_table(kind, gold):
    """Every row of adversarial.jsonl gets the verdict that stands in it."""
    found = {
        row["prediction"]: judge(row["prediction"], gold, kind, row.get("aliases", ())).verdict
        for row in BY_GOLD[kind, gold]
        if "aliases" not in row
    }
    assert found == {row["prediction"]: row["verdict"] for row in BY_GOLD[kind, gold] if "aliases" not in row}


@pytest.mark.parametrize("row", [row for row in ROWS if "aliases" in row], ids=lambda row: row["prediction"])
def test_table_with_aliases(row):
    """The rows with aliases get the verdict that stands in them."""
    assert judge(row["prediction"], row["gold"], row["type"], row["aliases"]).verdict == row["verdict"]


def test_the_table_is_large_and_covers_every_type_and_verdict():
    """The table has both languages, all types and all verdicts, so that it cannot shrink unseen."""
    assert len(ROWS) >= 1400
    assert {row["type"] for row in ROWS} == set(ANSWER_TYPES)
    assert {row["verdict"] for row in ROWS} == {"correct", "wrong", "abstained", "unparsed"}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_wording_of_the_world_is_right_with_its_value_and_wrong_with_another(language):
    """A sentence of the fictional world that states the value is right, the same with another value is wrong."""
    rng = random.Random(5)
    for entity in make_world(5, language, 2):
        for attribute in attributes(language, entity.kind):
            value, kind = entity.values[attribute.name], attribute.answer_type
            other = next(
                drawn for drawn in (draw_value(rng, language, attribute.name) for _ in range(99)) if drawn != value
            )
            for wording in attribute.statements:
                right, wrong = wording.format(e=entity.name, v=value), wording.format(e=entity.name, v=other)
                assert judge(right, value, kind).verdict == "correct", right
                assert judge(wrong, value, kind).verdict == "wrong", wrong


@pytest.mark.parametrize(
    ("prediction", "gold", "kind", "verdict", "rule"),
    [
        ("三千万元", "3000万元", "money", "correct", "value"),
        ("3000万", "3000万元", "money", "correct", "value_without_unit"),
        ("3 to 5 years", "3-5年", "number", "correct", "values"),
        ("5000万元", "3000万元", "money", "wrong", "other_value"),
        ("3000万美元", "3000万元", "money", "wrong", "other_unit"),
        ("3000万元或5000万元", "3000万元", "money", "wrong", "competing_values"),
        ("不是3000万元", "3000万元", "money", "wrong", "negated"),
        ("超过3000万元", "3000万元", "money", "wrong", "bound_only"),
        ("很多钱", "3000万元", "money", "wrong", "no_value"),
        ("34 hours, sorry, I mean 36 hours", "34 hours", "number", "wrong", "taken_back"),
        ("Mar 12, 1998", "1998年3月12日", "date", "correct", "date"),
        ("1998年3月", "1998年3月12日", "date", "wrong", "less_precise"),
        ("2024年", "2024年第一季度", "date", "wrong", "incomplete"),
        ("3,420 employees in 2023", "3,420 employees in 2024", "number", "wrong", "other_date"),
        ("qx-1042", "QX-1042", "code", "correct", "code"),
        ("QX-1043", "QX-1042", "code", "wrong", "other_value"),
        ("诸葛建厚。", "诸葛建厚", "name", "correct", "exact"),
        ("由诸葛建厚创立", "诸葛建厚", "name", "correct", "contained"),
        ("senior nurse", "nurse", "category", "wrong", "part_of_other"),
        ("Yes, it does", "yes", "text", "correct", "yes_no"),
        ("3个工作日内", "三个工作日内", "text", "correct", "exact"),
        ("第12条", "第十二条", "text", "correct", "exact"),
        ("9:00至18:00", "9:00-18:00", "text", "correct", "time"),
        ("within three days", "within 3 days", "text", "correct", "exact"),
        ("13个工作日内", "三个工作日内", "text", "wrong", "other_value"),
        ("31个工作日内", "一个工作日内", "text", "wrong", "other_value"),
        ("3或5个工作日内", "五个工作日内", "text", "wrong", "other_value"),
        ("不是三个工作日内", "3个工作日内", "text", "wrong", "other_value"),
        ("100度", "百度", "name", "wrong", "other_value"),
        ("我不知道", "诸葛建厚", "name", "abstained", "refusal"),
        ("我不知道", "", "name", "correct", "refusal"),
        ("诸葛建厚", "", "name", "wrong", "answered"),
        (" 。", "诸葛建厚", "name", "unparsed", "empty"),
        ("word " * 100 + "Matilda Stundton", "Matilda Stundton", "name", "wrong", "too_long"),
        ("word " * 200 + "34 hours", "34 hours", "number", "wrong", "too_long"),
    ],
)
def test_rules(prediction, gold, kind, verdict, rule):
    """The rule that decided is named with the verdict."""
    found = judge(prediction, gold, kind)
    assert (found.verdict, found.rule) == (verdict, rule)


def test_an_unknown_type_is_an_error():
    """A type that nothing compares is refused by name, not compared as text."""
    with pytest.raises(ValueError, match="'quantity'; known are number, money"):
        judge("3", "3", "quantity")


def test_an_alias_is_as_good_as_the_gold():
    """Any alias counts, blank ones never."""
    assert judge("IBM", "International Business Machines", "name", ["IBM"]).verdict == "correct"
    assert judge("IBM", "International Business Machines", "name", ["", "  "]).verdict == "wrong"


def test_a_gold_that_is_itself_an_unknown_is_compared_before_refusals():
    """Where the answer is the word "unknown", saying so is right and no abstention."""
    assert judge("Unknown", "unknown", "category").verdict == "correct"


def test_a_typed_gold_without_a_readable_value_is_compared_by_name():
    """A number that is no number ("several dozen") needs the same words."""
    assert judge("several dozen", "Several dozen", "number").verdict == "correct"
    assert judge("several hundred", "several dozen", "number").verdict == "wrong"


@pytest.mark.parametrize(
    ("a", "b", "kind", "expected"),
    [
        ("三千万元", "30 million yuan", "money", True),
        ("34 hours", "36 hours", "number", False),
        ("1998", "12 March 1998", "date", False),
        ("Willow Ferry", "willow ferry.", "place", True),
        ("", "", "text", False),
        ("。", "。", "text", False),
    ],
)
def test_same_is_symmetric(a, b, kind, expected):
    """Two answers are the same when each is right for the other; blank ones never are."""
    assert same(a, b, kind) is expected
    assert same(b, a, kind) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("3,420 employees", "number"), ("3420名员工", "number"), ("34 hours", "number"), ("15年", "number"),
        ("百分之五", "number"), ("42", "number"), ("3,000", "number"), ("2,024", "number"),
        ("756 million crowns", "money"), ("4500万元", "money"), ("$5m", "money"), ("￥349", "money"),
        ("12 March 1998", "date"), ("1998年3月12日", "date"), ("1998", "date"), ("2024-03", "date"),
        ("二〇二四年", "date"), ("TM-5580", "code"), ("B-620", "code"), ("7166-YC", "code"), ("1989/57", "code"),
        ("1989/11", "code"), ("v2.1", "code"), ("5521-KM", "code"), ("QX1042", "code"), ("Matilda Stundton", "name"),
        ("Dr. Matilda van Stundton", "name"), ("诸葛建厚", "name"), ("王伟", "name"), ("约翰·史密斯", "name"),
        ("Willow Ferry", "place"), ("赤水河县", "place"), ("Oak Street", "place"), ("senior nurse", "category"),
        ("夜班化验员", "category"), ("bright scarlet", "category"), ("深朱红", "category"),
        ("The pump starts when the water rises above the mark.", "text"), ("水位高于标线时，水泵自动启动。", "text"),
        ("", "text"),
    ],
)  # fmt: skip
def test_answer_type(answer, expected):
    """The type is guessed from the form of the answer alone."""
    assert answer_type(answer) == expected
