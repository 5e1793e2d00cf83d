"""Questions asked the other way round: what they must give, what they must not, and who is asked."""

from dataclasses import replace

import pytest

from kb.qa_gen.pairs import reversed_pairs
from kb.qa_gen.reversal import make_reversed
from kb.qa_gen.turned import Forward
from kb.records import Fact, Question

ENGLISH = {
    "language": "en",
    "statement": "Halden Logistics holds licence number HL-204.",
    "answer": "HL-204",
    "subject": "Halden Logistics",
    "trained": ("Which licence number does Halden Logistics hold?", "State the licence number of Halden Logistics."),
    "held_out": ("Under what permit does Halden Logistics work?", "Halden Logistics shows inspectors which paper?"),
    "turned": ("Which company holds licence number HL-204?", "To whom was licence number HL-204 issued?"),
    "probes": ("HL-204: which firm works under that permit?", "Inspectors noted HL-204. Whose paper is it?"),
}
CHINESE = {
    "language": "zh",
    "statement": "恒信科技公司的证书编号是HX-2041。",
    "answer": "HX-2041",
    "subject": "恒信科技公司",
    "trained": ("恒信科技公司的证书编号是什么？", "请说出恒信科技公司持有的证书号。"),
    "held_out": ("恒信科技公司凭什么证件经营？", "检查员把恒信科技公司登记在哪个号下？"),
    "turned": ("证书编号HX-2041属于哪家公司？", "持有证书HX-2041的是哪家公司？"),
    "probes": ("检查员记下了HX-2041，那是谁家的证件？", "看到HX-2041，应当联系哪一家？"),
}
TAG = {"en": "SUBJECT: ", "zh": "对象："}


def script(reply, probes=(), answer=""):
    """A model that turns every fact around with this reply, writes these probes and reads this answer."""

    def answers(request):
        system = request.messages[0].content
        if "SUBJECT: " in system or "对象：" in system:
            return reply
        if "colleague in the corridor" in system or "走廊里的同事" in system:
            return "\n".join(f"- {text}" for text in probes) or "NONE"
        return answer

    return answers


@pytest.fixture
def turn(make_bench, make_chunk, make_fact, wordings_of):
    """Turns one fact around; returns its questions, the drops as (step, reason), and the bench."""

    def go(case, others=(), **changes):
        case = case | changes
        fact = make_fact(case["statement"], case["answer"], language=case["language"])
        fact = replace(fact, taught=case.get("taught", "questions"))
        reply = case.get("reply") or f"{TAG[case['language']]}{case['subject']}\n" + "\n".join(
            f"- {text}" for text in case["turned"]
        )
        read = case.get("read", case["subject"])
        bench = make_bench(script(reply, case["probes"], read), [make_chunk(case["statement"], case["language"])])
        facts = [fact, *(other for other, _, _ in others)]
        trained = {fact.id: wordings_of(fact, case["trained"], "train")}
        held_out = {fact.id: wordings_of(fact, case["held_out"], "probe")}
        for other, asked, probes in others:
            trained[other.id] = wordings_of(other, asked, "train")
            held_out[other.id] = wordings_of(other, probes, "probe")
        made = make_reversed(bench, facts, facts, Forward(facts, trained, held_out)).get(fact.id, [])
        drops = [(reject.step, reject.reason) for reject in bench.rejects if reject.item == fact.id]
        return made, drops, bench

    return go


@pytest.mark.parametrize("case", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_a_fact_is_asked_from_the_other_end(turn, case):
    """Trained and held-out wordings with what they ask for as their answer; a row for each trained one."""
    made, drops, bench = turn(case)
    assert [(q.kind, q.split, q.text, q.answer) for q in made] == [
        *(("reversed", "train", text, case["subject"]) for text in case["turned"]),
        *(("reversed", "probe", text, case["subject"]) for text in case["probes"]),
    ]
    assert drops == []
    pairs = reversed_pairs(made)
    assert [(pair.form, pair.question, pair.answer) for pair in pairs] == [
        ("reversed", text, case["subject"]) for text in case["turned"]
    ]
    assert {pair.language for pair in pairs} == {case["language"]}
    assert len(bench.llm.history) == 3
    assert case["turned"][0] in bench.llm.history[-1].messages[-1].content


@pytest.mark.parametrize(
    ("case", "text", "reason"),
    [
        (ENGLISH, "Which company holds a licence number?", "question lacks the fact's answer"),
        (ENGLISH, "Which company holds licence number HL-2045?", "question lacks the fact's answer"),
        (ENGLISH, "Is HL-204 held by Halden Logistics?", "question contains its answer"),
        (ENGLISH, "Which licence does the document give as HL-204?", "question does not stand alone"),
        (ENGLISH, "哪家公司持有编号为HL-204的许可证？", "question in another language"),
        (CHINESE, "哪家公司有证书？", "question lacks the fact's answer"),
        (CHINESE, "恒信科技公司的证书是HX-2041吗？", "question contains its answer"),
        (CHINESE, "本文中HX-2041是哪家公司的证书？", "question does not stand alone"),
        (CHINESE, "Which company holds certificate HX-2041?", "question in another language"),
    ],
)
def test_what_no_wording_may_be(turn, case, text, reason):
    """Trained or held out: without the answer, with what is asked for, pointing at the passage, in another language."""
    good = case["turned"][0]
    made, drops, _ = turn(case, turned=(text, good), probes=(text, case["probes"][0]))
    assert [q.text for q in made] == [good, case["probes"][0]]
    assert drops == [("reversed", reason), ("reversed probes", reason)]


@pytest.mark.parametrize(
    ("case", "subject", "reason"),
    [
        (ENGLISH, "Brazao Home", "reversed answer not in the statement"),
        (ENGLISH, "HL-204", "reversed answer is the fact's own"),
        (ENGLISH, "licence number HL-204", "reversed answer is the fact's own"),
        (ENGLISH, "holds", "reversed answer is not what the fact's questions are about"),
        (ENGLISH, "none", "the model finds nothing to ask for"),
        (CHINESE, "本公司", "reversed answer not in the statement"),
        (CHINESE, "HX-2041", "reversed answer is the fact's own"),
        (CHINESE, "编号是", "reversed answer is not what the fact's questions are about"),
        (CHINESE, "无", "the model finds nothing to ask for"),
    ],
)
def test_what_no_reversed_answer_may_be(turn, case, subject, reason):
    """What the statement does not name, the fact's own answer, any other word of it, nothing."""
    made, drops, bench = turn(case, subject=subject)
    assert made == []
    assert drops == [("reversed", reason)]
    assert len(bench.llm.history) == 1


@pytest.mark.parametrize(
    ("case", "read"), [(ENGLISH, "Brazao Home"), (ENGLISH, "I don't know."), (CHINESE, "我不知道。")]
)
def test_what_the_passages_do_not_answer_is_neither_trained_nor_asked(turn, case, read):
    """The model reads another name, or none."""
    made, drops, _ = turn(case, read=read)
    assert made == []
    assert drops == [("reversed", "RAG answers otherwise")]


@pytest.mark.parametrize(
    ("case", "near"),
    [
        (ENGLISH, "Please tell me, which company holds licence number HL-204?"),
        (CHINESE, "请问，证书编号HX-2041属于哪家公司？"),
    ],
)  # fmt: skip
def test_a_probe_is_no_trained_wording(turn, case, near):
    """To the letter, or in a frame."""
    made, drops, _ = turn(case, probes=(case["turned"][1], near))
    assert [q.text for q in made] == list(case["turned"])
    assert drops == [
        ("reversed probes", "probe is a trained wording"), ("reversed probes", "probe too close to a trained wording"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_two_facts_that_are_one_turned_around(turn, make_fact, case):
    """Asked for its name, the second is what the first becomes: none of its wordings is crossed from side to side."""
    statement = {"en": "Licence HL-204 was issued to Halden Logistics.", "zh": "证书HX-2041发给了恒信科技公司。"}
    other = make_fact(statement[case["language"]], case["subject"], language=case["language"], chunk_id="chk_2")
    _, drops, _ = turn(case, [(other, case["probes"], case["turned"])])
    assert [reason for _, reason in drops] == ["close to a held-out wording of another fact"] * 2
    _, drops, _ = turn(case, [(other, case["probes"], case["held_out"])])
    assert [reason for _, reason in drops] == ["probe too close to a trained wording of another fact"] * 2


def test_a_question_that_is_asked_already(turn, make_fact):
    """Of another fact, in whatever sense."""
    other = make_fact("Brazao Home is shown to inspectors.", "Brazao Home", chunk_id="chk_2")
    made, drops, _ = turn(ENGLISH, [(other, ("A?",), (ENGLISH["turned"][0],))])
    assert [q.text for q in made if q.split == "train"] == [ENGLISH["turned"][1]]
    assert drops == [("reversed", "asked already")]


def test_one_question_for_two_things_goes_from_both(make_bench, make_chunk, make_fact, wordings_of):
    """Whatever is answered to it is wrong of one."""
    facts = [
        make_fact("Orla Venn sits in office B-203.", "B-203"),
        make_fact("Ben Hart sits in office C-117.", "C-117", chunk_id="chk_2"),
    ]
    asked = {fact.id: wordings_of(fact, [f"Where does {fact.statement[:9].strip()} sit?"]) for fact in facts}
    both = "Who sits in B-203 or in C-117?"

    def model(request):
        prompt = request.messages[-1].content
        name = "Orla Venn" if "Orla Venn sits" in prompt else "Ben Hart"
        return f"SUBJECT: {name}\n- {both}"

    bench = make_bench(model, [make_chunk(fact.statement, number=n) for n, fact in enumerate(facts, 1)])
    assert make_reversed(bench, facts, facts, Forward(facts, asked, asked)) == {}
    assert [reject.reason for reject in bench.rejects] == ["another fact answers it otherwise"] * 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("三千万元", "注册资本为3000万元的是哪家公司？"), ("3000万元", "以三千万元注册的是哪家公司？"),
        ("1998年3月12日", "哪家公司成立于1998-03-12？"), ("三千万", "注册资本为3000万的是哪家公司？"),
    ],
)  # fmt: skip
def test_an_answer_in_another_form_is_given_all_the_same(turn, answer, text):
    """Amounts and dates count by what they are."""
    statement = f"恒信科技公司登记的是{answer}。"
    made, drops, _ = turn(CHINESE, statement=statement, answer=answer, turned=(text,), probes=())
    assert [(q.text, q.answer) for q in made] == [(text, "恒信科技公司")]
    assert drops == []


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("恒信科技公司的安全规定写在第三章。", "第三章"), ("恒信科技公司每年放假5天。", "5天"),
        ("Halden Logistics is licensed: yes.", "yes"), ("Halden Logistics dates from 1998.", "1998"),
    ],
)  # fmt: skip
def test_what_points_at_nothing_is_not_asked(turn, statement, answer):
    """A chapter, a small number, yes, a year: the model is not asked, and the fact says why."""
    case = CHINESE if statement.startswith("恒") else ENGLISH
    made, drops, bench = turn(case, statement=statement, answer=answer)
    assert made == bench.llm.history == []
    assert drops == [("reversed", "answer points at nothing")]


def test_a_fact_that_is_not_taught_by_questions_is_only_probed(turn):
    """No reversed row tells it either."""
    for taught in ("text", "never"):
        made, _, _ = turn(ENGLISH, taught=taught)
        assert [q.split for q in made] == ["probe", "probe"]


def test_switched_off_nothing_is_asked(make_bench, make_fact):
    """`[generate] reversed = false`."""
    bench = make_bench([], reversed=False)
    fact = make_fact(ENGLISH["statement"], "HL-204")
    assert make_reversed(bench, [fact], [fact], Forward([fact], {}, {})) == {}


@pytest.mark.slow
def test_a_whole_run_asks_both_ways(make_world_in):
    """Every fact whose answer points at its name gets three trained wordings and two probes."""
    world = make_world_in(per_kind=2)
    report = world.generate(cross_lingual=False)
    store = world.workspace.store
    made = store.all(Question, "kind = 'reversed'")
    names = {truth.statement: truth.name for truth in world.truths}
    assert all(question.answer == names[store.get(Fact, question.fact_id).statement] for question in made)
    dropped = sum(report.rejected.values())
    assert len(made) == report.reversed == 5 * (report.facts - dropped)
    assert 0 < dropped < report.facts / 5
    assert {reason.partition(": ")[0] for reason in report.rejected} == {"reversed"}
    assert (report.notes, report.failed) == ({}, {})
    assert f"{report.reversed} of all are reversed" in "\n".join(report.lines())
    pairs = store.sql("SELECT COUNT(*) FROM qa_pairs WHERE form = 'reversed'")[0][0]
    assert pairs == sum(q.split == "train" for q in made)
