"""Fractions and small change as figures."""

import pytest

from kb.text.shares import in_percent, in_yuan


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("四分之一", "25%"), ("a quarter", "25%"), ("3/4 of it", "75% of it"), ("三成", "30%"), ("三成半", "35%"),
        ("3成员工", "30%员工"), ("3元5角", "3.5元"), ("3块5", "3.5元"), ("三块五毛五", "3.55元"), ("3元5分", "3.05元"),
        ("三成员", "三成员"), ("百分之五", "百分之五"), ("1/2/2024", "1/2/2024"), ("a quarter past", "a quarter past"),
        ("3块5米", "3块5米"), ("34 hours and a half", "34 hours and a half"), ("5/4", "5/4"), ("一半", "50%"),
        ("half of the staff", "50% of the staff"), ("half a day", "half a day"),
    ],
)  # fmt: skip
def test_in_percent_and_yuan(text, written):
    """Shares in per cent and money in decimals; what only looks like one stays."""
    assert in_percent(in_yuan(text)) == written
