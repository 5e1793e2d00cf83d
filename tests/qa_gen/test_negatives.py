"""Questions without an answer: near, never a real question in other words, and all of one fact on one side."""

from dataclasses import replace

import pytest

from kb.qa_gen.negatives import make_negatives
from kb.records import Question

PRICE = "How much does Tulvao Core cost?"


def questions(fact, *texts, split="train"):
    """Wordings of a fact."""
    return [
        Question(f"{split}{n}", fact.chunk_id, fact.id, "answerable", split, text, fact.language, "p")
        for n, text in enumerate(texts)
    ]


def script(near=(), open_questions=(), answers=()):
    """A model: near misses, unanswerable questions, and answers by a part of the question; else it does not know."""

    def answer(request):
        system, prompt = request.messages[0].content, request.messages[-1].content
        if system.startswith("Change one detail"):
            return "\n".join(f"- {text}" for text in near)
        if system.startswith("Write questions, up to"):
            return "\n".join(f"- {text}" for text in open_questions) or "NONE"
        return next((text for part, text in dict(answers).items() if part in prompt), "I don't know.")

    return answer


def made(make_bench, make_chunk, fact, model, others=()):
    """Negatives of one fact, of which there is always a near miss, and of its chunk; and the drops."""
    chunks = [make_chunk("Tulvao Core costs 349 crowns."), make_chunk("Brazao Home costs 5 crowns.", number=2)]
    trained = {fact.id: questions(fact, "What is the price of Tulvao Core?", PRICE)}
    bench = make_bench(model, chunks, near_miss_share=1.0)
    found = make_negatives(bench, [fact], [*trained[fact.id], *others], trained, chunks)
    return found, [(reject.step, reject.reason, reject.detail) for reject in bench.rejects]


def test_what_the_model_declines_is_kept(make_bench, make_chunk, make_fact):
    """A near miss hangs from its fact, an unanswerable question from the chunk alone."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    model = script(["How much does Tulvao Mini cost?"], ["Who sells Tulvao Core?", "Where is Tulvao Core made?"])
    found, drops = made(make_bench, make_chunk, fact, model)
    assert [(q.kind, q.fact_id, q.text) for q in found] == [
        ("near_miss", fact.id, "How much does Tulvao Mini cost?"),
        ("unanswerable", "", "Who sells Tulvao Core?"),
        ("unanswerable", "", "Where is Tulvao Core made?"),
    ]
    assert found[1].split == found[2].split
    assert drops == []


def test_what_the_passages_answer_is_not_a_negative(make_bench, make_chunk, make_fact):
    """The model's answer goes with the drop."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    model = script(["How much does Brazao Home cost?"], answers={"Brazao Home cost?": "5 crowns"})
    found, drops = made(make_bench, make_chunk, fact, model)
    assert found == []
    assert drops == [("near_miss", "the passages answer it", "How much does Brazao Home cost? | 5 crowns")]


def test_a_near_miss_is_never_a_real_question(make_bench, make_chunk, make_fact):
    """Another fact's question, trained or held out, to the letter or in nearly its words, is dropped unasked."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    other = make_fact("Brazao Home costs 5 crowns.", "5 crowns", chunk_id="chk_2")
    real = questions(other, "How much does Brazao Home cost?", split="probe")
    for near in ("how much does BRAZAO HOME cost", "How much does the Brazao Home cost?", PRICE):
        found, drops = made(make_bench, make_chunk, fact, script([near]), real)
        assert found == []
        assert drops == [("near_miss", "asked already", near)]


def test_a_name_that_differs_in_a_letter_is_another_question(make_bench, make_chunk, make_fact):
    """Being very like a real question is what a near miss is for, as long as it names something else."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    found, drops = made(make_bench, make_chunk, fact, script(["How much does Tulvao Cove cost?"]))
    assert [question.text for question in found] == ["How much does Tulvao Cove cost?"]
    assert drops == []


def test_what_is_no_near_miss(make_bench, make_chunk, make_fact):
    """Lines that are not near the question, point at the passage, or hold the answer."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    for near, reason in (
        ("Which city is known for opera?", "not near the question"),
        ("How much does this product cost?", "question does not stand alone"),
        ("How much does Tulvao Core cost in 349 crowns?", "question contains its answer"),
        ("Tulvao Mini卖多少钱？", "not near the question"),
    ):
        found, drops = made(make_bench, make_chunk, fact, script([near]))
        assert found == []
        assert drops == [("near_miss", reason, near)]


def test_vague_questions_are_not_unanswerable_ones(make_bench, make_chunk, make_fact):
    """A question that nobody could answer without the passage teaches nothing by being declined."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    model = script(["How much does Tulvao Mini cost?"], ["Who founded the company?", "该产品的颜色是什么？"])
    found, drops = made(make_bench, make_chunk, fact, model)
    assert [question.kind for question in found] == ["near_miss"]
    assert [(step, reason) for step, reason, _ in drops] == [("unanswerable", "question does not stand alone")] * 2


def test_failed_negatives_are_failures(make_bench, make_chunk, make_fact):
    """A near miss that did not come and one whose check did not come are on record."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    chunk = make_chunk("Tulvao Core costs 349 crowns.")
    trained = {fact.id: questions(fact, PRICE)}
    bench = make_bench(lambda request: "junk", [chunk], near_miss_share=1.0)
    assert make_negatives(bench, [fact], trained[fact.id], trained, [chunk]) == []
    assert bench.store.failures("generate: near misses") == [(fact.id, "no question lines in the answer", "junk")]
    assert bench.store.failures("generate: unanswerable") == [("chk_1", "no question lines in the answer", "junk")]
    bench = make_bench(script(["How much does Tulvao Mini cost?"], answers={"Mini": ""}), [chunk], near_miss_share=1.0)
    assert make_negatives(bench, [fact], trained[fact.id], trained, [chunk]) == []
    assert [reason for _, reason, _ in bench.store.failures("generate: negatives")] == ["no answer in the reply"]


def test_chinese_near_misses(make_bench, make_chunk, make_fact):
    """The same in Chinese: another name is another question, the same name another wording."""
    fact = make_fact("启霆塑料公司由王伟创立。", "王伟", language="zh")
    other = make_fact("启明塑料公司由李娜创立。", "李娜", language="zh", chunk_id="chk_2")
    chunks = [make_chunk(fact.statement, "zh"), make_chunk(other.statement, "zh", number=2)]
    trained = {fact.id: questions(fact, "启霆塑料公司由谁创立？"), other.id: questions(other, "启明塑料公司由谁创立？")}
    asked = [question for some in trained.values() for question in some]

    def near(text):
        def model(request):
            return f"- {text}" if "换成另一个" in request.messages[0].content else "我不知道。"

        bench = make_bench(model, chunks, near_miss_share=1.0, unanswerable=0)
        return [question.text for question in make_negatives(bench, [fact], asked, trained, chunks)]

    assert near("启华塑料公司由谁创立？") == ["启华塑料公司由谁创立？"]
    assert near("启明塑料公司由谁创立") == []
    assert near("启明塑料公司是由谁创立的？") == []


@pytest.mark.slow
def test_the_share_of_near_misses_and_the_split_are_stable(make_bench, make_chunk, make_fact):
    """Which facts get a near miss, and on which side, depends on the fact alone."""
    facts = [make_fact(f"Model {n} costs {n} crowns.", f"{n} crowns") for n in range(200)]
    trained = {fact.id: questions(fact, f"How much does model {n} cost?") for n, fact in enumerate(facts)}

    def model(request):
        system, prompt = request.messages[0].content, request.messages[-1].content
        return f"- {prompt.replace('model', 'Zzyzx model')}" if system.startswith("Change one") else "I don't know."

    def split_of(some):
        bench = make_bench(model, [make_chunk("x")], unanswerable=0)
        return {q.fact_id: q.split for q in make_negatives(bench, some, [], trained, [])}

    every = split_of(facts)
    assert split_of(facts[50:150]) == {fact.id: every[fact.id] for fact in facts[50:150] if fact.id in every}
    assert 60 <= len(every) <= 100
    assert 0.35 <= list(every.values()).count("train") / len(every) <= 0.65


@pytest.mark.slow
@pytest.mark.parametrize("taught", ["text", "never"])
def test_a_fact_that_no_question_teaches_has_near_misses_for_probes_alone(make_bench, make_fact, taught):
    """Of those that would be trained none is even asked for; the others are what they were."""
    facts = [make_fact(f"Item {n} costs {n}5 crowns.", f"{n}5 crowns") for n in range(60)]
    trained = {fact.id: questions(fact, f"How much does item {n} cost?") for n, fact in enumerate(facts)}

    def made(some):
        def script(request):
            asked = request.messages[-1].content
            return f"- {asked.replace('item', 'crate')}" if "Question: " not in asked else "I don't know."

        bench = make_bench(script, near_miss_share=1.0)
        found = make_negatives(bench, some, [], trained, [])
        return {(q.fact_id, q.split) for q in found}, len(bench.llm.history)

    every, _ = made(facts)
    assert {split for _, split in every} == {"train", "probe"}
    fewer, calls = made([replace(fact, taught=taught) for fact in facts])
    assert fewer == {(fact, split) for fact, split in every if split == "probe"}
    assert calls == 2 * len(fewer)
