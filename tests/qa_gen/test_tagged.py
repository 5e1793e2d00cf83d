"""What models write when they are asked for one value a tag."""

import pytest

from kb.errors import Unparsed
from kb.qa_gen.tagged import Reversal, Translation, parse_reversal, parse_translation

WANTED = Reversal("Halden Ltd", ("Which company holds licence HL-204?", "Who trades under HL-204?"))
WANTED_ZH = Reversal("恒信公司", ("哪家公司的证书编号是HX-2041？", "证书HX-2041发给了谁？"))


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("SUBJECT: Halden Ltd\n- Which company holds licence HL-204?\n- Who trades under HL-204?", WANTED),
        ("**Subject:** Halden Ltd\n\n1. Which company holds licence HL-204?\n2. Who trades under HL-204?", WANTED),
        ("- SUBJECT:\nHalden Ltd\n- Which company holds licence HL-204?\n- Who trades under HL-204?", WANTED),
        ("Sure!\nSubject: \"Halden Ltd\"\nWhich company holds licence HL-204?\nWho trades under HL-204?", WANTED),
        ("对象：恒信公司\n- 哪家公司的证书编号是HX-2041？\n- 证书HX-2041发给了谁？", WANTED_ZH),
        ("【对象】“恒信公司”\n问题1：哪家公司的证书编号是HX-2041？\n问题2：证书HX-2041发给了谁？", WANTED_ZH),
        ("答案: 恒信公司\n哪家公司的证书编号是HX-2041？\n证书HX-2041发给了谁？", WANTED_ZH),
        ("NONE", Reversal()),
        ("SUBJECT: none\n- Which company?", Reversal()),
        ("无", Reversal()),
        ("对象：无", Reversal()),
    ],
)  # fmt: skip
def test_a_fact_turned_around(reply, wanted):
    """With bold tags, numbers, the value below its tag, quotation marks, other words for the tag; or nothing."""
    assert parse_reversal(reply) == wanted


@pytest.mark.parametrize(
    "reply",
    ["- Which company holds licence HL-204?", "SUBJECT: Halden Ltd", "SUBJECT:", "", "对象：恒信公司", "好的。"],
)
def test_half_a_reversal_is_asked_again(reply):
    """A subject without questions and questions without a subject are of no use."""
    with pytest.raises(Unparsed):
        parse_reversal(reply)


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (
            "NAME: Tulvao Core\nQUESTION: Tulvao Core多少钱？\nANSWER: 349克朗",
            Translation("Tulvao Core", "Tulvao Core多少钱？", "349克朗"),
        ),
        (
            "Sure!\n**Name:** Tulvao Core\n**Question:** “Tulvao Core多少钱？”\n**Answer:** 349克朗\n\nNote: literal.",
            Translation("Tulvao Core", "Tulvao Core多少钱？", "349克朗"),
        ),
        (
            "名称：恒信公司\n问题：\nWho runs Hengxin (恒信公司)?\n答案：Wang Wei (王伟)",
            Translation("恒信公司", "Who runs Hengxin (恒信公司)?", "Wang Wei (王伟)"),
        ),
        (
            "【名称】恒信公司\n【问题】Who runs Hengxin (恒信公司)?\n【答案】Wang Wei (王伟)",
            Translation("恒信公司", "Who runs Hengxin (恒信公司)?", "Wang Wei (王伟)"),
        ),
    ],
)
def test_a_translated_question(reply, wanted):
    """Three lines, in either language's tags."""
    assert parse_translation(reply) == wanted


@pytest.mark.parametrize(
    "reply",
    ["NAME: Tulvao Core\nQUESTION: Tulvao Core多少钱？", "Tulvao Core多少钱？", "", "名称：\n问题：谁？\n答案：他"],
)
def test_a_translation_that_lacks_a_line_is_asked_again(reply):
    """All three are needed."""
    with pytest.raises(Unparsed):
        parse_translation(reply)
