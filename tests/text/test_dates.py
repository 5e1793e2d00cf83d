"""Dates, as far as they are told."""

import pytest

from kb.text.dates import PartialDate, dates, dates_only


@pytest.mark.parametrize(
    "text",
    [
        "2024年3月5日", "2024年03月05号", "２０２４年３月５日", "二〇二四年三月五日", "二零二四年三月五日",
        "2024 年 3 月 5 日", "2024-03-05", "2024/3/5", "2024.3.5", "5.3.2024", "2024-03-05T14:30:00Z", "Mar 5, 2024",
        "Mar. 5th, 2024", "March the 5th, 2024", "5 March 2024", "5th of March, 2024", "5-Mar-2024",
        "Tuesday, 5 MARCH 2024", "March 5 2024",
    ],
)  # fmt: skip
def test_one_day(text):
    """All the ways to write 5 March 2024 are one date."""
    assert dates(text) == [PartialDate(2024, 3, 5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1998年", [(1998, None, None)]), ("二〇二四年", [(2024, None, None)]), ("1998", [(1998, None, None)]),
        ("in 1998", [(1998, None, None)]), ("1998年3月", [(1998, 3, None)]), ("March 1998", [(1998, 3, None)]),
        ("1998-03", [(1998, 3, None)]), ("3月5日", [(None, 3, 5)]), ("March 5", [(None, 3, 5)]),
        ("May 5", [(None, 5, 5)]), ("25/03/2024", [(2024, 3, 25)]), ("3/25/2024", [(2024, 3, 25)]),
        ("03/03/2024", [(2024, 3, 3)]), ("29 Feb 2024", [(2024, 2, 29)]),
        ("from 1998 to 2004", [(1998, None, None), (2004, None, None)]),
        ("1998年3月12日至2000年5月1日", [(1998, 3, 12), (2000, 5, 1)]),
    ],
)  # fmt: skip
def test_partial_dates(text, expected):
    """Years, months and days without a year are told as such, several in reading order."""
    assert [one.parts for one in dates(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "1989/57", "1989/11", "03/04/2024", "2024年13月5日", "2024年2月30日", "31 April 2024", "29 Feb 2023",
        "2024-13-01", "may 12 people come?", "March", "3月", "98年", "a staff of 1998 people", "in 1998 employees",
        "1998年级", "3,1998", "TM-1998", "20240", "15年", "",
    ],
)  # fmt: skip
def test_not_dates(text):
    """What the calendar does not have, what can be read in two ways, and codes give nothing."""
    assert dates(text) == []


def test_a_coarser_date_covers_a_finer_one():
    """1998 covers 12 March 1998 and not the other way round; both agree."""
    year, day = PartialDate(1998), PartialDate(1998, 3, 12)
    assert (year.covers(day), day.covers(year), year.agrees(day), day.agrees(year)) == (True, False, True, True)
    assert not PartialDate(1998, 3).agrees(PartialDate(1998, 4, 12))
    assert PartialDate(None, 3, 12).agrees(PartialDate(1998))


def test_dates_only():
    """A text is only dates when nothing but punctuation stands beside them."""
    assert dates_only("1998年3月12日。")
    assert dates_only("1998")
    assert not dates_only("early 1998")
    assert not dates_only("349")
    assert not dates_only("")
