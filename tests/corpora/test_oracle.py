"""A model that knows the truth, and how it is careless."""

import json

import pytest

from kb.corpora.handbook import bundled
from kb.corpora.oracle import OTHER, PAIRS, UNKNOWN, Lapses, Oracle, truths_of_rows
from kb.llm import Request, user
from kb.prompt import Prompts
from kb.qa_gen.replies import parse_facts, parse_lines
from kb.qa_gen.tagged import parse_reversal, parse_translation
from kb.workspace import read_jsonl

TRUTHS = truths_of_rows(list(read_jsonl(bundled() / "facts.jsonl")))


def request(package, name, truth, seed=0, **fields):
    """A request of kb's own about a truth, in its language."""
    prompt = Prompts().get(package, name, truth.language)
    return Request(user(prompt.fill(**fields), prompt.system), seed=seed)


def passage(truths):
    """A text that states these."""
    return "\n".join(f"{truth.name}\n{truth.evidence}" for truth in truths)


def told(oracle, truths):
    """Statement and answer of the facts it makes of a passage, one fact a passage."""
    found = []
    for truth in truths:
        reply = oracle(request("kb.qa_gen", "facts", truth, passage=passage([truth])))
        found += [(draft.statement, draft.answer) for draft in parse_facts(reply.text)]
    return found


def paired(oracle, truths):
    """The same for a prompt that wants JSON: first question and answer."""
    system = f"Create {PAIRS}"
    replies = [oracle(Request(user(passage([truth]), system))).text for truth in truths]
    return [(pair["question"], pair["answer"]) for reply in replies for pair in json.loads(reply)]


@pytest.mark.parametrize("truth", [TRUTHS[0], TRUTHS[-1]], ids=["en", "zh"])
def test_it_tells_the_truth_and_only_what_it_is_shown(truth):
    """Facts, wordings of either family, answers from passages; not what stands nowhere in the prompt."""
    oracle = Oracle(TRUTHS)
    assert told(oracle, [truth]) == [(truth.statement, truth.answer)]
    fields = {"fact": truth.statement, "answer": truth.answer, "count": "6"}
    asked = oracle(request("kb.qa_gen", "questions", truth, **fields))
    assert parse_lines(asked.text) == truth.trained
    question = truth.held_out[0]
    assert oracle(request("kb", "rag", truth, passages=truth.evidence, question=question)).text == truth.answer
    unseen = oracle(request("kb", "rag", truth, passages="", question=question))
    assert unseen.text in ("I don't know.", "我不知道。")


@pytest.mark.parametrize("truth", [TRUTHS[0], TRUTHS[-1]], ids=["en", "zh"])
def test_it_asks_the_other_way_round_and_in_the_other_language(truth):
    """Whose the answer is, of two families, and a question in the other language; each is read from the evidence."""
    oracle = Oracle(TRUTHS)

    def read(question, language, passages):
        prompt = Prompts().get("kb", "rag", language)
        return oracle(Request(user(prompt.fill(passages=passages, question=question), prompt.system))).text

    fields = {"fact": truth.statement, "answer": truth.answer}
    turned = parse_reversal(oracle(request("kb.qa_gen", "reversed", truth, **fields, count="3")).text)
    given = {"question": turned.questions[0], "given": truth.answer, "answer": truth.name, "fact": truth.statement}
    held_out = parse_lines(oracle(request("kb.qa_gen", "reversed_probes", truth, **given, count="2")).text)
    assert turned.subject == truth.name
    assert not {*turned.questions} & {*held_out}
    for question in (*turned.questions, *held_out):
        assert truth.answer in question
        assert read(question, truth.language, truth.evidence) == truth.name
        assert read(question, truth.language, "") in UNKNOWN.values()
    asked = oracle(request("kb.qa_gen", "cross_lingual", truth, **fields, question=truth.held_out[0]))
    abroad = parse_translation(asked.text)
    assert (abroad.name, abroad.question, abroad.answer) == (truth.name, truth.abroad, truth.answer)
    assert read(truth.abroad, OTHER[truth.language], truth.evidence) == truth.answer


def test_one_that_knows_some_truths_alone_is_as_careless_with_them():
    """Told what a prompt is about, it answers as the one that knows everything, and nothing else."""
    whole = Oracle(TRUTHS, Lapses(dropped=0.3, swapped=0.3))
    for truth in TRUTHS[::40]:
        assert told(whole.about([truth]), [truth]) == told(whole, [truth])
    assert told(whole.about(TRUTHS[:1]), TRUTHS[-1:]) == []


@pytest.mark.parametrize(
    ("lapse", "changed"), [("dropped", -1), ("invented", 1), ("swapped", 0), ("dangling", 0)]
)  # fmt: skip
def test_a_careless_model_errs_in_the_same_facts_whoever_asks(lapse, changed):
    """About a fifth of the facts, the same ones in kb's lines and in JSON pairs."""
    truths = TRUTHS[:100]
    oracle = Oracle(TRUTHS, Lapses(**{lapse: 0.2}))
    lines, pairs = told(oracle, truths), paired(oracle, truths)
    assert len(lines) == len(pairs)
    if changed:
        assert 8 <= changed * (len(lines) - 100) <= 34
        return
    right = [(truth.statement, truth.answer) for truth in truths]
    asked = [(truth.trained[0], truth.answer) for truth in truths]
    wrong = [at for at in range(100) if lines[at] != right[at]]
    assert 8 <= len(wrong) <= 34
    assert wrong == [at for at in range(100) if pairs[at] != asked[at]]


def test_a_question_read_wrong_and_a_reply_cut_off():
    """The wrong answer is another entity's; a cut reply says so, and comes whole when it is asked again."""
    truth = TRUTHS[0]
    misreads = Oracle(TRUTHS, Lapses(misread=1.0))
    reply = misreads(request("kb", "rag", truth, passages=truth.evidence, question=truth.trained[0]))
    assert reply.text == truth.other != truth.answer
    cuts = Oracle(TRUTHS, Lapses(cut=0.5))
    replies = [cuts(request("kb.qa_gen", "facts", truth, seed=n, passage=passage([truth]))) for n in range(20)]
    whole = {reply.text for reply in replies if reply.finish == "stop"}
    assert len(whole) == 1
    assert {reply.text for reply in replies if reply.finish == "length"} == {next(iter(whole))[: len(*whole) // 2]}
