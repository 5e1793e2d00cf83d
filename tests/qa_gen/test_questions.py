"""Wordings of facts: enough of them, nobody else's, and held-out ones apart from trained ones."""

import pytest

from kb.qa_gen.questions import make_probes, make_questions

CORE = "Tulvao Core"


def wordings(*texts):
    """A model's answer with these questions."""
    return "\n".join(f"- {text}" for text in texts)


def trained_for(name):
    """Six training wordings."""
    return (
        f"What is the price of {name}?", f"How much does {name} cost?", f"State the price of {name}.",
        f"For how much does {name} sell?", f"Tell me the price of {name}.", f"How much do shops ask for {name}?",
    )  # fmt: skip


def held_out_for(name):
    """Six held-out wordings."""
    return (
        f"As for {name}, what is the cost?", f"I need the cost of {name}.", f"Do you know the cost of {name}?",
        f"What do buyers pay for {name}?", f"How expensive is {name}?", f"{name} can be had for what amount?",
    )  # fmt: skip


def script(answers):
    """A model that answers by the statement in the prompt."""
    return lambda request: next(text for key, text in answers.items() if key in request.prompt)


def reasons(bench):
    """What was dropped: step, reason and detail."""
    return [(reject.step, reject.reason, reject.detail) for reject in bench.rejects]


def test_wordings_become_questions_of_the_split(make_bench, make_fact):
    """Six wordings of a fact, with ids that depend on the split and the text."""
    fact = make_fact(f"{CORE} costs 349 crowns.", "349 crowns")
    bench = make_bench(script({fact.statement: wordings(*trained_for(CORE))}))
    questions = make_questions(bench, [fact])[fact.id]
    assert [question.text for question in questions] == list(trained_for(CORE))
    assert {(q.split, q.kind, q.fact_id, q.chunk_id) for q in questions} == {("train", "answerable", fact.id, "chk_1")}
    assert questions[0].prompt.startswith("questions.en#")
    assert "Number of questions: 6" in bench.llm.history[0].messages[-1].content
    assert bench.rejects == []


KINDS = (
    ("en", f"{CORE} has a battery life of 34 hours.", "34 hours", (
        f"What is the battery life of {CORE}?", f"I would like to know how long the battery of {CORE} lasts.",
        f"{CORE} battery life", f"Hey, how long does the {CORE} last on one charge?",
        f"I am a nurse and plan the night shifts. After how many hours does {CORE} have to be charged?",
        f"Please state the battery life of {CORE}.",
    ), (
        f"Running time of {CORE} on a full battery: how many hours?", f"How many hours do you get out of a {CORE}?",
        f"I sell devices and a buyer of {CORE} is asking: when does it run empty?",
        f"Could you tell me for how many hours {CORE} works unplugged?",
        f"Which operating time does {CORE} reach?", f"{CORE} running time unplugged",
    )),
    ("zh", "图尔瓦公司的注册资本是5000万元。", "5000万元", (
        "图尔瓦公司的注册资本是多少？", "想了解一下图尔瓦公司的注册资本有多少。", "图尔瓦公司 注册资本",
        "图尔瓦公司注册资本到底多少啊？", "我在准备投标材料，需要填表：图尔瓦公司的注册资本是多少？",
        "请问图尔瓦公司的注册资本为多少？",
    ), (
        "图尔瓦公司登记的股本金额是多少？", "图尔瓦公司开办的时候股东一共出了多少钱？",
        "我是银行的信贷员，正在审贷款，图尔瓦公司登记的股本有多大？", "方便的话，能否告知图尔瓦公司股东认缴了多少？",
        "图尔瓦公司股东认缴的出资总额为几何？", "图尔瓦公司 认缴 出资额",
    )),
)  # fmt: skip
"""Language, statement, answer, and a wording of each kind in the words of either prompt family."""


@pytest.mark.parametrize(("language", "statement", "answer", "trained", "held_out"), KINDS)
def test_every_kind_of_wording_passes_the_gates(make_bench, make_fact, language, statement, answer, trained, held_out):
    """Direct, indirect, key words, colloquial, with context and formal: all are trained, and others held out."""
    fact = make_fact(statement, answer, language=language)
    bench = make_bench(script({"": wordings(*trained)}))
    asked = make_questions(bench, [fact])
    assert [question.text for question in asked[fact.id]] == list(trained)
    probing = make_bench(script({"": wordings(*held_out)}))
    assert [question.text for question in make_probes(probing, [fact], asked)[fact.id]] == list(held_out)
    assert reasons(bench) == reasons(probing) == []


@pytest.mark.slow
def test_key_words_in_the_trained_words_are_no_probe(make_bench, make_fact):
    """What is left of a trained question when its empty words go is that question."""
    fact = make_fact(f"{CORE} has a battery life of 34 hours.", "34 hours")
    trained = make_questions(make_bench(script({"": wordings(*KINDS[0][3])})), [fact])
    bench = make_bench(script({"": wordings(f"battery life {CORE}", f"{CORE} battery life?", *KINDS[0][4][:5])}))
    assert len(make_probes(bench, [fact], trained)[fact.id]) == 5
    assert [reason for _, reason, _ in reasons(bench)] == [
        "probe too close to a trained wording", "probe is a trained wording",
    ]  # fmt: skip


def test_a_fact_with_too_few_wordings_is_dropped_with_the_reasons(make_bench, make_fact):
    """Each wording that a filter takes is on record, and so is the fact that is left with too few."""
    fact = make_fact(f"{CORE} costs 349 crowns.", "349 crowns")
    texts = (*trained_for(CORE)[:4], f"Does {CORE} cost 349 crowns?", "How much is it?", trained_for(CORE)[0].upper())
    bench = make_bench(script({fact.statement: wordings(*texts)}))
    assert make_questions(bench, [fact]) == {}
    assert reasons(bench) == [
        ("questions", "question contains its answer", texts[4]),
        ("questions", "question does not stand alone", texts[5]),
        ("questions", "the same wording twice", texts[6]),
        ("facts", "fewer than 5 usable questions", f"{fact.statement} | 4"),
    ]


def test_more_wordings_than_asked_for_are_left(make_bench, make_fact):
    """The first ones count; the others are on record."""
    fact = make_fact(f"{CORE} costs 349 crowns.", "349 crowns")
    bench = make_bench(script({fact.statement: wordings(*trained_for(CORE), f"{CORE} costs what?")}))
    assert len(make_questions(bench, [fact])[fact.id]) == 6
    assert reasons(bench) == [("questions", "more wordings than asked for", f"{CORE} costs what?")]


def test_a_failed_request_is_a_failure_and_no_drop(make_bench, make_fact):
    """A fact whose questions did not come is on record as failed and waits for the next run."""
    fact, other = make_fact(f"{CORE} costs 349 crowns.", "349 crowns"), make_fact("Brazao costs 5 crowns.", "5 crowns")
    bench = make_bench(script({fact.statement: "junk", other.statement: wordings(*trained_for("Brazao"))}))
    assert list(make_questions(bench, [fact, other])) == [other.id]
    assert bench.store.failures("generate: questions") == [(fact.id, "no question lines in the answer", "junk")]
    assert bench.rejects == []


def test_facts_with_one_question_and_one_answer_are_one(make_bench, make_fact):
    """The second is a source of the first, or it would be trained where the first one's probes are held out."""
    fact = make_fact(f"{CORE} costs 349 crowns.", "349 crowns")
    again = make_fact(f"Shops ask 349 crowns for {CORE}.", "349 crowns", chunk_id="chk_2")
    reordered = wordings(*reversed(trained_for(CORE)))
    bench = make_bench(script({fact.statement: wordings(*trained_for(CORE)), again.statement: reordered}))
    assert list(make_questions(bench, [fact, again])) == [fact.id]
    assert [(s.fact_id, s.chunk_id, s.evidence) for s in bench.sources_of([fact])] == [
        (fact.id, "chk_2", again.evidence)
    ]


def test_a_question_with_two_answers_has_none(make_bench, make_fact):
    """A wording to which two facts give different answers goes from both."""
    lisbon = make_fact("Turan Works has an office in Lisbon.", "Lisbon")
    porto = make_fact("Turan Works has an office in Porto.", "Porto")
    shared = "Where does Turan Works have an office?"
    own = [f"In which town near the {side} sea is Turan Works number {n}?" for side in "ab" for n in range(5)]
    bench = make_bench(
        script({lisbon.statement: wordings(shared, *own[:5]), porto.statement: wordings(*own[5:], shared)})
    )
    questions = make_questions(bench, [lisbon, porto])
    assert [len(questions[fact.id]) for fact in (lisbon, porto)] == [5, 5]
    assert reasons(bench) == [("questions", "another fact answers it otherwise", shared)] * 2


def test_probes_are_apart_from_what_is_trained(make_bench, make_fact):
    """Near-copies of the fact's own wordings and wordings of any other fact are no probes."""
    fact, other = make_fact(f"{CORE} costs 349 crowns.", "349 crowns"), make_fact("Brazao costs 5 crowns.", "5 crowns")
    asked = make_bench(
        script({fact.statement: wordings(*trained_for(CORE)), other.statement: wordings(*trained_for("Brazao"))})
    )
    trained = make_questions(asked, [fact, other])
    copies = (f"Please tell me, what is the price of {CORE}?", trained_for(CORE)[1], trained_for("Brazao")[0])
    bench = make_bench(
        script({fact.statement: wordings(*copies, *held_out_for(CORE)), other.statement: wordings("What is Brazao?")})
    )
    probes = make_probes(bench, [fact, other], trained)
    assert [question.text for question in probes[fact.id]] == list(held_out_for(CORE))
    assert {question.split for question in probes[fact.id]} == {"probe"}
    assert reasons(bench)[:3] == [
        ("probes", "probe too close to a trained wording", copies[0]),
        ("probes", "probe is a trained wording", copies[1]),
        ("probes", "probe is a trained wording", copies[2]),
    ]
    assert other.id not in probes


def test_a_fact_that_two_documents_state_does_not_leak(make_bench, make_fact):
    """A held-out wording of one is dropped when it is near a trained one of the other; other things' are not."""
    first, twin = (
        make_fact(f"{CORE} costs 349 crowns.", "349 crowns"),
        make_fact(f"349 crowns buy {CORE}.", "349 crowns"),
    )
    other = make_fact("Brazao costs 349 crowns.", "349 crowns")
    trained = make_questions(
        make_bench(
            script({
                first.statement: wordings(*trained_for(CORE)), twin.statement: wordings(*held_out_for(CORE)),
                other.statement: wordings(*trained_for("Brazao")),
            })
        ),
        [first, twin, other],
    )  # fmt: skip
    copy = f"Please, do you know the cost of {CORE}?"
    fresh = (
        f"What sum buys {CORE}?", f"{CORE} sells at which figure?", f"At what rate is {CORE} sold?",
        f"How many crowns for {CORE}?", f"Name the sum {CORE} takes.", f"Which tag hangs on {CORE}?",
    )  # fmt: skip
    bench = make_bench(
        script({
            first.statement: wordings(copy, *fresh), twin.statement: wordings("What is it?"),
            other.statement: wordings(*held_out_for("Brazao")),
        })
    )  # fmt: skip
    probes = make_probes(bench, [first, twin, other], trained)
    assert ("probes", "probe too close to a trained wording of another fact", copy) in reasons(bench)
    assert [question.text for question in probes[first.id]] == list(fresh)
    assert [question.text for question in probes[other.id]] == list(held_out_for("Brazao"))


def test_chinese_probes(make_bench, make_fact):
    """The same gates in Chinese."""
    fact = make_fact("启霆塑料公司由王伟创立。", "王伟", language="zh")
    texts = (
        "启霆塑料公司的创始人是谁？",
        "谁创立了启霆塑料公司？",
        "启霆塑料公司由谁创立？",
        "请说出启霆塑料公司的创始人。",
        "告诉我启霆塑料公司的创始人。",
    )
    trained = make_questions(make_bench(script({fact.statement: wordings(*texts)})), [fact])
    held_out = (
        "哪个人开办了启霆塑料公司？",
        "追溯起来，启霆塑料公司出自何人之手？",
        "请问谁创立了启霆塑料公司？",
        "王伟创立了什么？",
    )
    bench = make_bench(script({fact.statement: wordings(*held_out)}), min_wordings=2)
    assert [question.text for question in make_probes(bench, [fact], trained)[fact.id]] == list(held_out[:2])
    assert [reason for _, reason, _ in reasons(bench)] == [
        "probe too close to a trained wording", "question contains its answer",
    ]  # fmt: skip
