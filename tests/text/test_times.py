"""Times of day in both languages."""

import pytest

from kb.text.times import compare_times, find_times


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("14:30", [870]), ("2:30 pm", [870]), ("2:30 p.m.", [870]), ("下午2:30", [870]), ("下午两点半", [870]),
        ("14点30分", [870]), ("half past two in the afternoon", [870]), ("a quarter to three pm", [885]),
        ("上午9点零5分", [545]), ("上午九点三刻", [585]), ("noon", [720]), ("中午12点", [720]), ("12:15 am", [15]),
        ("midnight", [0]), ("24:00", [0]), ("9 am to 6 pm", [540, 1080]),
        ("上午9点至下午6点", [540, 1080]),
        ("25:00", []), ("14:75", []), ("三点五", []),
        ("3小时", []), ("第3点", []), ("v1:30x", []), ("3:2", []), ("", []),
    ],
)  # fmt: skip
def test_times_in_minutes_after_midnight(text, times):
    """Every form of a time; what the clock does not have, and decimals, are none."""
    assert [one.minutes for one in find_times(text)] == times


@pytest.mark.parametrize(
    ("answer", "gold", "rule"),
    [
        ("Mon-Fri 9 am to 6 pm", "周一至周五9:00-18:00", "time"),
        ("9:00-18:00", "Monday to Friday, 9:00-18:00", "incomplete"),
        ("before 14:30", "14:30", "bound_only"),
        ("14:30 or 15:30", "14:30", "competing_values"),
        ("14:30 at the latest, or so", "14:30", "competing_values"),
        ("not 14:30", "14:30", "negated"),
        ("in the afternoon", "14:30", "no_value"),
        ("2:30", "14:30", "other_value"),
    ],
)
def test_rules(answer, gold, rule):
    """The rule that decided on times and days."""
    assert compare_times(answer, gold).rule == rule


@pytest.mark.parametrize("gold", ["the 9:00 bus", "before 9:00", "34 hours", "Monday", ""])
def test_a_gold_that_is_more_than_times_is_compared_otherwise(gold):
    """Words beside the times would be lost."""
    assert compare_times("9:00", gold) is None
