"""What small models really write, and what is read from it."""

import pytest

from kb.errors import Unparsed
from kb.qa_gen.replies import Draft, parse_answer, parse_facts, parse_lines

JUNK = "Sure! Here's what you asked for ☺ 好的，没问题"
ONE = (Draft("the price is 349 crowns", "Tulvao Core costs 349 crowns.", "349 crowns"),)
ZH = (Draft("售价：349元", "青豹学生版的售价是349元。", "349元"),)


@pytest.mark.parametrize(
    "text",
    [
        "QUOTE: the price is 349 crowns\nFACT: Tulvao Core costs 349 crowns.\nANSWER: 349 crowns",
        "**QUOTE:** the price is 349 crowns\n**FACT**: Tulvao Core costs 349 crowns.\n**ANSWER:** **349 crowns**",
        "1. Quote: “the price is 349 crowns”\n   Fact: Tulvao Core costs 349 crowns.\n   Answer: 349 crowns",
        "Here are the facts:\n\n- QUOTE： the price is 349 crowns\n- FACT： Tulvao Core costs 349 crowns.\n"
        "- ANSWER：349 crowns\n",
        "```\nQUOTE: the price is 349 crowns\nFACT: Tulvao Core costs 349 crowns.\nANSWER: 349 crowns\n```",
        "Fact 1:\nQUOTE:\n\"the price is 349 crowns\"\nFACT:\nTulvao Core costs 349 crowns.\nANSWER:\n349 crowns",
        "QUOTE 1: the price is 349 crowns\nFACT 1: Tulvao Core costs 349 crowns.\nANSWER 1: 349 crowns\n---",
        "QUOTE: the price is 349 crowns\n\nFACT: Tulvao Core costs 349 crowns.\n\nANSWER: 349 crowns\n\n"
        "Note: these are all facts of the passage.",
        "QUOTE: the price is 349 crowns\nFACT: Tulvao Core costs 349 crowns.\nANSWER: 349 crowns\nNONE",
        "原文：the price is 349 crowns\n事实：Tulvao Core costs 349 crowns.\n答案：349 crowns",
    ],
)  # fmt: skip
def test_fact_lines_in_the_forms_models_give_them(text):
    """Bold, numbers, quotation marks, fences, full-width colons, headings and talk around the lines do not matter."""
    assert parse_facts(text) == ONE


@pytest.mark.parametrize(
    "text",
    [
        "原文：售价：349元\n事实：青豹学生版的售价是349元。\n答案：349元",
        "【原文】售价：349元\n【事实】青豹学生版的售价是349元。\n【答案】349元",
        "好的，以下是提取的事实：\n1、**原文**：“售价：349元”\n   **事实**：青豹学生版的售价是349元。\n"
        "   **答案**：349元",
        "QUOTE: 售价：349元\nFACT: 青豹学生版的售价是349元。\nANSWER: 349元",
    ],
)
def test_chinese_fact_lines(text):
    """Chinese tags, brackets for tags, and English tags before Chinese values."""
    assert parse_facts(text) == ZH


def test_a_quote_of_several_lines():
    """A quote goes on until the next tag or a blank line; an answer does not."""
    text = "QUOTE: | a | 1 |\n| b | 2 |\n\ntalk\nFACT: B is 2.\nANSWER: 2\nThat is all."
    assert parse_facts(text) == (Draft("| a | 1 |\n| b | 2 |", "B is 2.", "2"),)


def test_a_lost_line_does_not_shift_the_next_triple():
    """A triple without its quote stays incomplete, and the next one keeps its own lines."""
    text = "FACT: A is 1.\nANSWER: 1\nQUOTE: b is 2\nFACT: B is 2.\nANSWER: 2\nQUOTE: c"
    assert parse_facts(text) == (Draft("", "A is 1.", "1"), Draft("b is 2", "B is 2.", "2"), Draft("c"))


@pytest.mark.parametrize(
    "text",
    ["NONE", " none.\n", "**NONE**", "NONE\n\nThe passage is only a cover.", "NONE (an index)", "无", "无。",
     "无（目录）", "没有此类事实", "无相关内容。", "No such facts.", "QUOTE: NONE\nFACT: NONE\nANSWER: NONE",
     "原文：无\n事实：无\n答案：无"],
)  # fmt: skip
def test_nothing_to_extract(text):
    """A model that says there is nothing, in its own way, gives no facts and is not asked again."""
    assert parse_facts(text) == ()


@pytest.mark.parametrize("text", ["", JUNK, "I cannot help with that.", "无法提取事实，因为"])
def test_facts_of_another_form_are_unparsed(text):
    """Chatter and refusals are asked again."""
    with pytest.raises(Unparsed, match="no QUOTE / FACT / ANSWER lines") as caught:
        parse_facts(text)
    assert caught.value.said("zh") == "回答中没有“原文”“事实”“答案”三行"


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        ("QUOTE: a\nFACT: b", "no ANSWER lines in the answer", "回答中没有“答案”行"),
        ("原文：甲\n\n原文：乙", "no FACT or ANSWER lines in the answer", "回答中没有“事实”“答案”行"),
        (
            "QUOTE: a\nFACT: b\nQUOTE: c\nANSWER: d",
            "no fact has its QUOTE, FACT and ANSWER lines together",
            "没有哪个事实写齐了三行",
        ),
    ],
)
def test_incomplete_facts_are_unparsed_with_what_they_lack(text, english, chinese):
    """The model is told which lines are missing, in the language that it is asked in."""
    with pytest.raises(Unparsed) as caught:
        parse_facts(text)
    assert (caught.value.said("en"), caught.value.said("zh")) == (english, chinese)


TWO = ("What does Tulvao Core cost?", "State the price of Tulvao Core.")


@pytest.mark.parametrize(
    "text",
    [
        "- What does Tulvao Core cost?\n- State the price of Tulvao Core.",
        "Sure! Here are two questions.\n\n1. What does Tulvao Core cost?\n2. State the price of Tulvao Core.\n\n"
        "These questions vary in style.",
        "* **Direct:** What does Tulvao Core cost?\n* **As an instruction:** State the price of Tulvao Core.",
        "1) \"What does Tulvao Core cost?\"\n2) “State the price of Tulvao Core.”",
        "Q1: What does Tulvao Core cost?\nQ2: State the price of Tulvao Core.",
        "• What does Tulvao Core cost?\n\n• State the price of Tulvao Core.\n\nNote: none gives the answer away.",
        "```\n- What does Tulvao Core cost?\n- State the price of Tulvao Core.\n```",
        "What does Tulvao Core cost?\nState the price of Tulvao Core.",
        "- [Formal] What does Tulvao Core cost?\n- (imperative) State the price of Tulvao Core.\n- Note: done.",
    ],
)  # fmt: skip
def test_question_lines_in_the_forms_models_give_them(text):
    """Bullets, numbers, labels, quotation marks and fences go; the model's own words are not questions."""
    assert parse_lines(text) == TWO


@pytest.mark.parametrize(
    "text",
    [
        "- 青豹学生版卖多少元？\n- 请说出青豹学生版的售价。",
        "好的，以下是2个问题：\n1、青豹学生版卖多少元？\n2、请说出青豹学生版的售价。\n希望对您有帮助。",
        "1. **直接问**：青豹学生版卖多少元？\n2. **祈使句式**：请说出青豹学生版的售价。",
        "问题1：青豹学生版卖多少元？\n问题2：请说出青豹学生版的售价。",
        "①青豹学生版卖多少元？\n②【正式】请说出青豹学生版的售价。\n说明：以上问题各不相同。",
    ],
)
def test_chinese_question_lines(text):
    """Chinese numbering, labels and full-width punctuation."""
    assert parse_lines(text) == ("青豹学生版卖多少元？", "请说出青豹学生版的售价。")


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("“启霆”的总部在哪？", "“启霆”的总部在哪？"),
        ("- “启霆”和“明达”哪个更早？", "“启霆”和“明达”哪个更早？"),
        ("- 3.5 Turbo costs what?", "3.5 Turbo costs what?"),
        ("- Form 12-B: which office issues it?", "Form 12-B: which office issues it?"),
        ("- By whom was Turan Works founded?", "By whom was Turan Works founded?"),
        ("- 2024年青豹学生版卖多少？", "2024年青豹学生版卖多少？"),
        ("- *What does Tulvao Core cost?*", "What does Tulvao Core cost?"),
        ("- As for Tulvao Core, what is the price?", "As for Tulvao Core, what is the price?"),
    ],
)
def test_what_belongs_to_a_question_stays(line, question):
    """Quoted names, numbers at the beginning and colons of the question's own are left alone."""
    assert parse_lines(line) == (question,)


KINDS = (
    "Direct", "Indirect question", "Keyword query", "Key words", "Search box", "Colloquial", "With context",
    "Without context", "Colloquial, with context", "With context (who asks and why)", "Everyday language",
    "A customer on the phone", "直接问", "间接提问", "关键词", "关键词检索", "搜索框", "口语化表达", "带背景",
    "无背景提问", "直接问（无背景）", "口语，带背景", "来电客户", "走廊里的同事",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_of_a_kind_is_no_part_of_the_question(kind):
    """Bold, in brackets, with either colon, and as a heading above; key words keep their words."""
    for wording in ("How long does Tulvao Core last?", "图尔瓦公司 注册资本"):
        for line in (
            f"- **{kind}:** {wording}",
            f"- {kind}：{wording}",
            f"1. [{kind}] {wording}",
            f"- 【{kind}】{wording}",
        ):
            assert parse_lines(line) == (wording,), line
        headed = f"1. **{kind}**\n   - {wording}\n2. **{kind}:**\n   - {wording} 2"
        assert parse_lines(headed) == (wording, f"{wording} 2")


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (
            "How long does Tulvao Core last?\nTulvao Core battery life\nHey, how long will a Tulvao Core run?\n"
            "I hope this helps",
            ("How long does Tulvao Core last?", "Tulvao Core battery life", "Hey, how long will a Tulvao Core run?"),
        ),
        (
            "直接问：图尔瓦公司的注册资本是多少？\n关键词：图尔瓦公司 注册资本\n口语：图尔瓦公司注册资本多少啊？",
            ("图尔瓦公司的注册资本是多少？", "图尔瓦公司 注册资本", "图尔瓦公司注册资本多少啊？"),
        ),
        (
            "Direct\nHow long does Tulvao Core last?\nKeyword style\nTulvao Core battery life\nColloquial\n"
            "Hey, how long will a Tulvao Core run?",
            ("How long does Tulvao Core last?", "Tulvao Core battery life", "Hey, how long will a Tulvao Core run?"),
        ),
        (
            "I have some ideas\n图尔瓦公司的注册资本是多少？\n您看这样可以吗\n",
            ("图尔瓦公司的注册资本是多少？",),
        ),
    ],
)
def test_key_words_without_a_bullet(text, questions):
    """Between questions they count, and after a label; what a model says before and after does not."""
    assert parse_lines(text) == questions


@pytest.mark.parametrize(
    "line",
    [
        "Context menu of Tulvao Core",
        "Search, rescue and recovery: who leads the unit of Turan Works?",
        "Directory of Turan Works: who keeps it?",
        "Customer service (Berlin) phone",
        "关键词广告公司：总部在哪里？",
        "背景音乐公司 版权",
        "I'm a buyer: what does Tulvao Core cost?",
        "我是采购，想问一下：图尔瓦公司的注册资本是多少？",
    ],
)
def test_a_wording_that_begins_like_a_kind_stays_whole(line):
    """Names, lists and contexts that end with a colon."""
    assert parse_lines(f"- {line}") == (line,)


def test_an_array_of_questions():
    """A JSON array on several lines is read as lines."""
    assert parse_lines('["What is A1?",\n "What is B2?"]') == ("What is A1?", "What is B2?")


@pytest.mark.parametrize("text", ["NONE", "无", "- NONE", "没有此类问题。"])
def test_no_questions(text):
    """A model that has no question to write says so."""
    assert parse_lines(text) == ()


@pytest.mark.parametrize(
    "text", ["", JUNK, "I'm sorry, but I cannot do that.", "抱歉，我无法完成。", "Here are six questions:"]
)
def test_lines_of_another_form_are_unparsed(text):
    """Chatter and refusals are no questions."""
    with pytest.raises(Unparsed, match="no question lines") as caught:
        parse_lines(text)
    assert caught.value.said("zh") == "回答中没有问题行"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("349 crowns", "349 crowns"),
        ("Sure! The price is 349 crowns.", "The price is 349 crowns."),
        ("**Answer:** 349 crowns", "349 crowns"),
        ("好的，答案：349元", "349元"),
        ("```\n349 crowns\n```", "349 crowns"),
        ("OK", "OK"),
        ("可以，但须经理批准", "可以，但须经理批准"),
        ("无", "无"),
        ("I don't know.", "I don't know."),
    ],
)
def test_an_answer_without_talk(text, answer):
    """Openings of chat models and labels go; an answer that looks like one of them stays."""
    assert parse_answer(text) == answer


@pytest.mark.parametrize("text", ["", " \n", "…", JUNK, "```\n```"])
def test_no_answer(text):
    """Talk without an answer is asked again."""
    with pytest.raises(Unparsed, match="no answer") as caught:
        parse_answer(text)
    assert caught.value.said("zh") == "回复中没有答案"
