"""What keeps a fact or a question, and what drops it, in both languages."""

import pytest

from kb.qa_gen.filters import check_fact, check_open_question, check_question, gives_away, in_language, mentions


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("It costs 349 crowns.", "349 crowns", True),
        ("It costs 1,349 crowns.", "349 crowns", False),
        ("It costs 3,349 crowns.", "3349", True),
        ("Built in 2015.", "5", False),
        ("It takes 34.5 hours.", "34", False),
        ("a line of credit", "red", False),
        ("Sold in red.", "Red", True),
        ("code TM-5580", "TM-5580", True),
        ("code TM-55801", "TM-5580", False),
        ("an is land", "island", False),
        ("售价３４９元。", "349 元", True),
        ("售价1349元。", "349元", False),
        ("由王伟创立", "王伟", True),
        ("anything", "?!", False),
    ],
)
def test_a_phrase_is_found_as_whole_words_and_numbers(text, phrase, found):
    """Numbers and Latin words are never cut; width, case and separators do not matter."""
    assert mentions(text, phrase) is found


@pytest.mark.parametrize(
    ("statement", "answer", "evidence", "reason"),
    [
        ("Tulvao Core costs 349 crowns.", "349 crowns", "| price | 349 crowns |", ""),
        ("Tulvao Core costs 349 crowns.", "359 crowns", "| price | 349 crowns |", "answer not in the evidence"),
        ("Tulvao Core costs 49 crowns.", "49 crowns", "| price | 349 crowns |", "answer not in the evidence"),
        ("Tulvao Core is cheap.", "349 crowns", "| price | 349 crowns |", "answer not in the statement"),
        ("It costs 349 crowns.", "349 crowns", "It costs 349 crowns.", "statement does not stand alone"),
        ("349 crowns.", "349 crowns", "| price | 349 crowns |", "answer is the whole statement"),
        ("Tulvao Core的售价是349 crowns。", "349 crowns", "| price | 349 crowns |", "statement in another language"),
        ("Tulvao Core " + "x" * 201, "x" * 201, "x" * 201, "answer too long to be one fact"),
    ],
)
def test_facts(make_fact, make_chunk, statement, answer, evidence, reason):
    """A fact answers from its evidence and can be understood without the passage."""
    verdict = check_fact(make_fact(statement, answer, evidence), make_chunk(f"Tulvao Core\n{evidence}"))
    assert (verdict.keep, verdict.reason) == (not reason, reason)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How much does Tulvao Core cost?", ""),
        ("Is 349 crowns the price of Tulvao Core?", "question contains its answer"),
        ("Does Tulvao Core cost 349?", ""),
        ("How much does this product cost?", "question does not stand alone"),
        ("Tulvao Core卖多少钱？", "question in another language"),
        ("???", "not a question"),
        ("Why " + "very " * 100 + "much?", "not a question"),
    ],
)
def test_questions(make_fact, question, reason):
    """A question stands alone, is in the fact's language and does not hold its answer."""
    verdict = check_question(question, make_fact("Tulvao Core costs 349 crowns.", "349 crowns"))
    assert (verdict.keep, verdict.reason) == (not reason, reason)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("青豹学生版卖多少元？", ""),
        ("青豹学生版是不是卖３４９元？", "question contains its answer"),
        ("青豹学生版是不是卖三百四十九元？", "question contains its answer"),
        ("该产品卖多少元？", "question does not stand alone"),
        ("How much does 青豹学生版 cost?", "question in another language"),
    ],
)
def test_chinese_questions(make_fact, question, reason):
    """The same in Chinese, with full-width and written-out numbers."""
    verdict = check_question(question, make_fact("青豹学生版的售价是349元。", "349元", language="zh"))
    assert (verdict.keep, verdict.reason) == (not reason, reason)


@pytest.mark.parametrize(
    ("answer", "question", "given"),
    [
        ("3 May 1999", "What happened on May 3, 1999?", True),
        ("3 May 1999", "What happened in May?", False),
        ("1999年5月3日", "1999-05-03发生了什么？", True),
        ("2 hours", "What takes 120 minutes?", True),
        ("2 hours", "Which of the 2 models lasts longer?", False),
        ("Anna Berg", "What does anna berg do?", True),
        ("Anna", "What does Annabel do?", False),
    ],
)
def test_an_answer_written_otherwise_is_given_away_too(make_fact, answer, question, given):
    """Dates and numbers with units are compared by value."""
    assert gives_away(question, make_fact(f"The answer of X is {answer}.", answer)) is given


@pytest.mark.parametrize(
    ("text", "language", "source"),
    [
        ("GTX-9080Ti Super Pro Max 的 HDMI 接口有几个？", "zh", "GTX-9080Ti Super Pro Max 有 3 个 HDMI 接口"),
        ("DisplayPort over USB-C 版本？", "zh", "DisplayPort over USB-C 的版本为 1.4a"),
        ("Who founded 启霆塑料公司?", "en", "启霆塑料公司 was founded by Wang Wei."),
        ("启霆塑料公司由谁创立？", "zh", "启霆塑料公司由王伟创立。"),
        ("Who founded Turan Works?", "en", ""),
        ("349", "zh", ""),
        ("Tulvao Core", "en", "Tulvao Core"),
    ],
)
def test_names_of_the_source_do_not_decide_the_language(text, language, source):
    """A question is in its language whatever script the names have that it asks about."""
    assert in_language(text, language, source)


@pytest.mark.parametrize(
    ("text", "language", "source"),
    [
        ("Who founded 启霆塑料公司?", "zh", "启霆塑料公司由王伟创立。"),
        ("启霆塑料公司由谁创立？", "en", "启霆塑料公司 was founded by Wang Wei."),
        ("What is the price of Tulvao Core?", "zh", "Tulvao Core 的售价为 349 元"),
        ("Tulvao Core 卖多少钱？", "en", "Tulvao Core costs 349 crowns."),
    ],
)
def test_a_question_in_the_other_language(text, language, source):
    """What the model writes of its own decides."""
    assert not in_language(text, language, source)


def test_questions_without_a_fact():
    """An unanswerable question is held to the same, but for the answer that it has not."""
    assert check_open_question("Who sells Tulvao Core?", "en", "Tulvao Core").keep
    assert check_open_question("Who sells it?", "en", "Tulvao Core").reason == "question does not stand alone"
    assert check_open_question("谁卖Tulvao Core？", "en", "Tulvao Core").reason == "question in another language"
