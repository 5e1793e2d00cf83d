"""Where sentences end."""

import pytest

from kb.text.sentences import sentences


def cut(text):
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "公司成立于1998年。总部在赤水河县！真的吗？是的；好……走吧",
            ["公司成立于1998年。", "总部在赤水河县！", "真的吗？", "是的；", "好……", "走吧"],
        ),
        ("他说：“你好。”然后走了。", ["他说：“你好。”", "然后走了。"]),
        ("「好！」她答道。", ["「好！」", "她答道。"]),
        ("（详见第3章。略）本章结束。", ["（详见第3章。略）本章结束。"]),
        ("价格是3.14元，版本2.1.3。访问 www.a.com/b?c=1。", ["价格是3.14元，版本2.1.3。", "访问 www.a.com/b?c=1。"]),
        ("It costs 3.50 crowns. It weighs 913 grams!", ["It costs 3.50 crowns.", "It weighs 913 grams!"]),
        ("Dr. Stundton saw Fig. 3. No. 5 is new.", ["Dr. Stundton saw Fig. 3.", "No. 5 is new."]),
        ("No. I refuse.", ["No.", "I refuse."]),
        ("J. R. Backdale met e.g. Anna. The U.S. Army left.", ["J. R. Backdale met e.g. Anna.", "The U.S. Army left."]),
        ("We met at 5 p.m. It rained.", ["We met at 5 p.m.", "It rained."]),
        ('"Really?" "Yes." He left.', ['"Really?"', '"Yes."', "He left."]),
        ("See https://a.b/c.html?x=1. Then v2.1.3 came out.", ["See https://a.b/c.html?x=1.", "Then v2.1.3 came out."]),
        ("It stood (see above. There) still. End", ["It stood (see above. There) still.", "End"]),
        ("1. Open the lid. Close it.", ["1. Open the lid.", "Close it."]),
        ("Wait... what? Wait... Then go", ["Wait... what?", "Wait...", "Then go"]),
        ("one\ntwo\r\n\n  three  ", ["one", "two", "three"]),
        ("| a. B | c. D |\n| --- | --- |", ["| a. B | c. D |", "| --- | --- |"]),
        ("结束了.然后开始", ["结束了.", "然后开始"]),
        ("Node.js是一种环境。", ["Node.js是一种环境。"]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_sentences(text, expected):
    """Both languages end where they should and nowhere else."""
    assert cut(text) == expected


def test_spans_cover_everything_but_blanks():
    """No character is lost and no span overlaps the next."""
    text = "  A b. “C？”d!e… 3.5。\n\n(x. y) z.\t1) q"
    spans = sentences(text)
    covered = {place for start, end in spans for place in range(start, end)}
    assert len(covered) == sum(end - start for start, end in spans)
    assert {place for place in range(len(text)) if not text[place].isspace()} <= covered
