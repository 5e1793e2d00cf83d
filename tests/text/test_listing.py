"""What is a list, and that its items are compared in any order."""

import pytest

from kb.text.listing import compare_lists, items_of
from kb.text.match import answer_type, judge, same


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("red, blue and green", ("red", "blue", "green")),
        ("Tom, Dick, or Harry", ("Tom", "Dick", "Harry")),
        ("Ann Lee; Bo Chan", ("Ann Lee", "Bo Chan")),
        ("3,420 employees, 12 sites and 4 labs", ("3,420 employees", "12 sites", "4 labs")),
        ("红色、蓝色和绿色", ("红色", "蓝色", "绿色")),
        ("董事长、总经理及财务总监", ("董事长", "总经理", "财务总监")),
        ("身份证、学历证明", ("身份证", "学历证明")),
    ],
)
def test_items(text, items):
    """Items stand between commas with a conjunction, between 、 or between semicolons."""
    assert items_of(text) == items
    assert answer_type(text) in ("list", "number")


@pytest.mark.parametrize(
    "text",
    [
        "Paris, France", "research and development", "上海市浦东新区", "北京和平饭店", "red, red and blue", "", "、",
        "red", "The pump starts, runs and stops. It is loud, old and slow.",
        "It starts, runs and stops on its own when the level in the tank of the pump falls below the mark",
    ],
)  # fmt: skip
def test_no_items(text):
    """A place with its country, two things joined, sentences and repetitions are no lists, nor compared as such."""
    assert items_of(text) == ()
    assert compare_lists("red, blue and green", text) is None


@pytest.mark.parametrize(
    ("one", "other"), [("红色、蓝色和绿色", "绿色、红色、蓝色"), ("red, blue and green", "Green, red and blue")]
)
def test_order_says_nothing(one, other):
    """The same items in another order are the same answer, either way round."""
    assert same(one, other, "list")


def test_a_gold_that_is_no_list_is_compared_by_name():
    """The type says list, the gold holds one thing: it is named or it is not."""
    assert judge("red", "red", "list").verdict == "correct"
    assert judge("blue", "red", "list").verdict == "wrong"


def test_aliases_of_a_list():
    """An alias is compared as the gold is."""
    assert judge("绿、红、蓝", "红色、蓝色、绿色", "list", ["红、蓝、绿"]).rule == "items"
