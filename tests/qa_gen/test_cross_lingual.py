"""Held-out questions in the other language: what they must keep, what counts as right, and which are not asked."""

from dataclasses import replace

import pytest

from kb.qa_gen.cross_lingual import make_cross_lingual
from kb.qa_gen.turned import Forward
from kb.records import Fact, Question

ENGLISH = {
    "language": "en",
    "statement": "Halden Logistics is headed by a chief dispatcher.",
    "answer": "chief dispatcher",
    "trained": ("Who heads Halden Logistics?", "Which role leads Halden Logistics?"),
    "held_out": ("Under whose lead does Halden Logistics work?", "What is the top post at Halden Logistics?"),
    "name": "Halden Logistics",
    "question": "哈尔登物流（Halden Logistics）由什么职务的人领导？",
    "translated": "首席调度员",
}
CHINESE = {
    "language": "zh",
    "statement": "恒信科技公司的负责人是首席工程师。",
    "answer": "首席工程师",
    "trained": ("恒信科技公司的负责人是什么职务？", "请说出领导恒信科技公司的职务。"),
    "held_out": ("谁在带领恒信科技公司？", "恒信科技公司最高的职位是什么？"),
    "name": "恒信科技公司",
    "question": "Which post leads Hengxin Technology (恒信科技公司)?",
    "translated": "chief engineer",
}
AMOUNT = CHINESE | {
    "statement": "恒信科技公司的注册资本为三千万元。",
    "answer": "三千万元",
    "trained": ("恒信科技公司的注册资本是多少？", "请说出恒信科技公司登记的资本。"),
    "held_out": ("办恒信科技公司登记了多大一笔钱？", "恒信科技公司靠多少钱起家？"),
    "question": "What is the registered capital of Hengxin Technology (恒信科技公司)?",
    "translated": "30 million yuan",
}
CODE = CHINESE | {
    "statement": "恒信科技公司的证书编号是HX-2041。",
    "answer": "HX-2041",
    "trained": ("恒信科技公司的证书编号是什么？", "请说出恒信科技公司持有的证书号。"),
    "held_out": ("恒信科技公司凭什么证件经营？", "检查员把恒信科技公司登记在哪个号下？"),
    "question": "Under which certificate does 恒信科技公司 operate?",
    "translated": "HX-2041",
}
CHAPTER = CHINESE | {
    "statement": "恒信科技公司的安全规定写在第三章。",
    "answer": "第三章",
    "trained": ("恒信科技公司的安全规定写在哪里？", "到哪一部分查恒信科技公司的安全规定？"),
    "held_out": ("想看恒信科技公司的安全规定，该翻到哪？", "恒信科技公司的安全规定在什么位置？"),
    "question": "Where are the safety rules of Hengxin Technology (恒信科技公司) set out?",
    "translated": "Chapter 3",
}
DATE = ENGLISH | {
    "statement": "Halden Logistics opened on 12 March 1998.",
    "answer": "12 March 1998",
    "trained": ("When did Halden Logistics open?", "Since when has Halden Logistics been open?"),
    "held_out": ("What day saw the start of Halden Logistics?", "How far back does Halden Logistics date?"),
    "question": "Halden Logistics是哪天开业的？",
    "translated": "1998年3月12日",
}


@pytest.fixture
def ask(make_bench, make_chunk, make_fact, wordings_of):
    """Asks about one fact in the other language; returns the question or None, the drops' reasons, and the bench."""

    def go(case, stated=(), further=(), **changes):
        case = case | changes
        fact = make_fact(case["statement"], case["answer"], language=case["language"])
        reply = "NAME: {name}\nQUESTION: {question}\nANSWER: {translated}".format_map(case)
        read = case.get("read", case["translated"])

        def model(request):
            return reply if "NAME: " in request.messages[0].content or "名称：" in request.messages[0].content else read

        bench = make_bench(model, [make_chunk(case["statement"], case["language"])], cross_lingual=True)
        trained, held_out = (
            {fact.id: wordings_of(fact, case[key], split)}
            for split, key in (("train", "trained"), ("probe", "held_out"))
        )
        made = make_cross_lingual(
            bench, [fact], [fact, *stated], Forward([fact], trained, held_out), {"fct": list(further)}
        )
        (found,) = made.get(fact.id) or [None]
        return found, [reject.reason for reject in bench.rejects], bench

    return go


@pytest.mark.parametrize(
    ("case", "alias"),
    [
        (ENGLISH, "首席调度员"), (CHINESE, "chief engineer"), (AMOUNT, ""), (CODE, ""), (CHAPTER, "Chapter 3"),
        (DATE, ""),
    ],
    ids=["en", "zh", "amount", "code", "chapter", "date"],
)  # fmt: skip
def test_a_question_in_the_other_language(ask, case, alias):
    """Held out, with the answer as that language has it where the comparison cannot see that it is the same."""
    found, drops, bench = ask(case)
    assert drops == []
    assert (found.kind, found.split, found.text, found.answer) == ("cross_lingual", "probe", case["question"], alias)
    assert found.language != case["language"]
    asked, read = (request.messages[-1].content for request in bench.llm.history)
    assert case["held_out"][0] in asked
    assert case["statement"] in read
    assert read.endswith(f"{'Question: ' if found.language == 'en' else '问题：'}{case['question']}")


@pytest.mark.parametrize("case", [ENGLISH, CHINESE, AMOUNT, DATE], ids=["en", "zh", "amount", "date"])
def test_either_languages_answer_is_right(ask, case):
    """The model may read it off the passage as it stands there, or say it in the language of the question."""
    for read in (case["answer"], case["translated"]):
        found, drops, _ = ask(case, read=read)
        assert found
        assert drops == []


@pytest.mark.parametrize(
    ("case", "changes", "reason"),
    [
        (ENGLISH, {"name": "Brazao Home"}, "the name is not what the question is about"),
        (ENGLISH, {"name": "Under whose lead"}, "the name is not what the question is about"),
        (ENGLISH, {"question": "哈尔登物流由什么职务的人领导？"}, "question without the name"),
        (ENGLISH, {"question": "Under whose lead does Halden Logistics work?"}, "question in another language"),
        (ENGLISH, {"question": "Halden Logistics？"}, "question in another language"),
        (ENGLISH, {"question": "文中Halden Logistics由什么职务的人领导？"}, "question does not stand alone"),
        (ENGLISH, {"question": "Halden Logistics的首席调度员领导什么？"}, "question contains its answer"),
        (ENGLISH, {"question": "Halden Logistics的chief dispatcher是谁的领导？"}, "question contains its answer"),
        (ENGLISH, {"question": "2019年Halden Logistics由什么职务的人领导？"}, "question with other numbers or codes"),
        (ENGLISH, {"translated": "head of dispatch"}, "answer in another language"),
        (ENGLISH, {"translated": "我不知道。"}, "answer is no answer"),
        (DATE, {"translated": "1998年3月13日"}, "answer is another value"),
        (DATE, {"question": "Halden Logistics是1998-03-12开业的吗？"}, "question contains its answer"),
        (ENGLISH, {"read": "经理"}, "RAG answers otherwise"),
        (ENGLISH, {"read": "我不知道。"}, "RAG answers otherwise"),
        (CHINESE, {"name": "启明公司"}, "the name is not what the question is about"),
        (CHINESE, {"name": "带领"}, "the name is not what the question is about"),
        (CHINESE, {"question": "Which post leads Hengxin Technology?"}, "question without the name"),
        (CHINESE, {"question": "恒信科技公司由谁带领？"}, "question in another language"),
        (CHINESE, {"question": "What is the 最高职位 of 恒信科技公司?"}, "question in another language"),
        (
            CHINESE,
            {"question": "Which post leads 恒信科技公司 in this document?"},
            "question does not stand alone",
        ),
        (CHINESE, {"question": "Does a chief engineer lead 恒信科技公司?"}, "question contains its answer"),
        (
            CHINESE,
            {"question": "Does anybody who works as a 首席工程师 lead the whole of 恒信科技公司?"},
            "question contains its answer",
        ),
        (CHINESE, {"question": "Which post leads 恒信科技公司 in plant B-7?"}, "question with other numbers or codes"),
        (CHINESE, {"translated": "总工程师"}, "answer in another language"),
        (AMOUNT, {"translated": "3 million yuan"}, "answer is another value"),
        (AMOUNT, {"question": "Was 恒信科技公司 founded with 30 million yuan?"}, "question contains its answer"),
        (AMOUNT, {"read": "3 million yuan"}, "RAG answers otherwise"),
        (CODE, {"translated": "HX-2014"}, "answer is another value"),
        (CHINESE, {"read": "I don't know."}, "RAG answers otherwise"),
    ],
)
def test_what_is_not_asked(ask, case, changes, reason):
    """Another thing's name, another language, the answer given away, other numbers, another answer."""
    found, drops, _ = ask(case, **changes)
    assert found is None
    assert drops == [reason]


@pytest.mark.parametrize(
    ("case", "held_out", "question", "kept"),
    [
        (CHINESE, "2024年12月谁在带领恒信科技公司？", "Who led 恒信科技公司 in December 2024?", True),
        (CHINESE, "2024年12月谁在带领恒信科技公司？", "Who led 恒信科技公司 in December 2023?", False),
        (CHINESE, "谁带领恒信科技公司三百名员工？", "Which post leads the 300 people of 恒信科技公司?", True),
        (CHINESE, "谁在B-7车间带领恒信科技公司？", "Which post leads 恒信科技公司 in shop B-7?", True),
        (CHINESE, "谁在B-7车间带领恒信科技公司？", "Which post leads 恒信科技公司 in shop B-8?", False),
        (ENGLISH, "Who leads the 300 people of Halden Logistics?", "谁领导Halden Logistics的三百名员工？", True),
        (ENGLISH, "Who led Halden Logistics in March 2024?", "2024年3月谁领导Halden Logistics？", True),
    ],
)
def test_numbers_stay_what_they_are(ask, case, held_out, question, kept):
    """In words or digits; months and days may turn into words."""
    found, drops, _ = ask(case, held_out=(held_out, case["held_out"][1]), question=question)
    assert bool(found) == kept
    assert drops == ([] if kept else ["question with other numbers or codes"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "statement"),
    [
        (DATE, "Halden Logistics于1998年3月12日开业。"), (AMOUNT, "恒信科技公司 has a capital of 30 million yuan."),
        (CHINESE, "恒信科技公司 is led by a chief engineer."),
    ],
)  # fmt: skip
def test_what_is_stated_in_both_languages_is_not_asked(ask, make_fact, case, statement):
    """It is taught in the language of the question."""
    other = make_fact(statement, case["translated"], language="zh" if case is DATE else "en", chunk_id="chk_2")
    found, drops, _ = ask(case, [other])
    assert found is None
    assert drops == ["stated in the other language, too"]
    unlike = replace(other, statement=statement.replace(case["name"], "Brazao Home"))
    assert ask(case, [unlike])[0]


def test_what_is_asked_already_is_not_asked_again(ask):
    """A reversed question, say, of a fact in the other language."""
    other = Question("q", "chk_2", "fct", "reversed", "train", CODE["question"], "en", "p", "x")
    found, drops, _ = ask(CODE, further=[other])
    assert found is None
    assert drops == ["asked already"]


def test_switched_off_nothing_is_asked(make_bench, make_fact):
    """The default."""
    bench = make_bench([])
    fact = make_fact("Halden Logistics opened in May 1998.", "May 1998")
    assert make_cross_lingual(bench, [fact], [fact], Forward([fact], {}, {}), {}) == {}


@pytest.mark.slow
def test_a_whole_run_asks_in_both_languages(make_world_in):
    """Every fact once in the other language, with its name as the document writes it; nothing of it is trained."""
    world = make_world_in()
    report = world.generate(reversed=False)
    store = world.workspace.store
    made = store.all(Question, "kind = 'cross_lingual'")
    assert len(made) == report.cross_lingual == report.facts == 40
    assert (report.rejected, report.notes, report.failed) == ({}, {}, {})
    names = {truth.statement: truth.name for truth in world.truths}
    facts = [store.get(Fact, question.fact_id) for question in made]
    assert all(names[fact.statement] in question.text for fact, question in zip(facts, made, strict=True))
    assert all(fact.language != question.language for fact, question in zip(facts, made, strict=True))
    assert {question.split for question in made} == {"probe"}
    assert "; 40 of all are in the other language" in "\n".join(report.lines())
