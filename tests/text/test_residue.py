"""What is left to a judge."""

import pytest

from kb.text.match import judge
from kb.text.residue import is_open


@pytest.mark.parametrize(
    ("answer", "gold", "kind", "expected"),
    [
        ("no later than three days after it arrives", "within 3 days of receipt", "text", True),
        ("最迟在到货三日之内", "收到后三天内", "text", True),
        ("night porter", "夜班门卫", "category", True),
        ("senior nurse", "nurse", "category", True),
        ("no later than four days after it arrives", "within 3 days of receipt", "text", False),
        ("最迟在2024年4月", "2024年3月5日以前", "text", False),
        ("no", "yes", "text", False),
        ("15:00", "14:30", "text", False),
        ("36 hours", "34 hours", "number", False),
        ("QX-1043", "QX-1042", "code", False),
        ("Anna Backdale", "Matilda Stundton", "name", False),
        ("not the night porter", "night porter", "category", False),
        ("within 3 days of receipt", "within 3 days of receipt", "text", False),
        ("I don't know.", "night porter", "category", False),
        ("a night porter", "", "text", False),
        ("", "night porter", "category", False),
    ],
)
def test_only_other_words_are_open(answer, gold, kind, expected):
    """Values, names, yes and no, refusals, denials and what is right already are decided by rules."""
    assert is_open(answer, gold, kind, judge(answer, gold, kind)) is expected
