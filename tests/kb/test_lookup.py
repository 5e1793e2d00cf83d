"""Any id, followed both ways: from every record to what it came from and to what came of it."""

import pytest

from kb.errors import UsageError
from kb.evaluate.probes import document_probes
from kb.lookup import CONTEXT, look_up
from kb.records import (
    Chunk,
    Diagnosis,
    Document,
    Fact,
    Knownness,
    PreferencePair,
    Probe,
    QAPair,
    Question,
    Rewrite,
    Score,
)
from kb.runs import Lineage, register
from kb.store import Store

TEXT = "手册\n\n" + "前" * 100 + "\n图尔沃芯片的售价是210元。" + "后" * 100
EVIDENCE = "图尔沃芯片的售价是210元。"
START = TEXT.index(EVIDENCE)
DOCUMENT = Document("doc_1", "/docs/手册.md", "s" * 64, "md", "手册", "zh", TEXT, ("read as UTF-8",))
CHUNK = Chunk("chk_1", "doc_1", 0, TEXT[4:], "手册 > 价格", "zh", 4, len(TEXT), page=3)
FACT = Fact("fct_1", "chk_1", "售价是210元。", "210元", "money", EVIDENCE, START, START + len(EVIDENCE), "zh")
TRAINED = Question("qst_t", "chk_1", "fct_1", "answerable", "train", "它卖多少钱？", "zh", "questions.zh#1")
HELD = Question("qst_p", "chk_1", "fct_1", "answerable", "probe", "要花多少元？", "zh", "probes.zh#1")
NEAR = Question("qst_n", "chk_1", "fct_1", "near_miss", "probe", "图尔沃灯多少钱？", "zh", "near_miss.zh#1")
OPEN = Question("qst_u", "chk_1", "", "unanswerable", "probe", "它什么颜色？", "zh", "unanswerable.zh#1")
PAIR = QAPair("pair_1", "qst_t", "fct_1", "short", "它卖多少钱？", "210元", "zh")
PREFERENCE = PreferencePair("pref_1", "qst_t", "fct_1", "swap", "它卖多少钱？", "210元", "9元", "zh")
RECORDS = (DOCUMENT, CHUNK, FACT, TRAINED, HELD, NEAR, OPEN, PAIR, PREFERENCE)


@pytest.fixture
def store(tmp_path):
    """One fact with everything that can hang from it, evaluated once."""
    store = Store(tmp_path / "kb.db")
    store.put(RECORDS)
    probes = {probe.question: probe for probe in document_probes(store, 5, 0)}
    ring = Probe("prb_ring", "prb_ring", "known", "Who?", "Ana", "name", "en")
    store.put([*probes.values(), ring], eval="sft-1-abc123")
    scores = [
        Score(probes["要花多少元？"].id, "base", "不知道", "abstained", "refusal"),
        Score(probes["要花多少元？"].id, "tuned", "210元", "correct", "value"),
        Score(probes["图尔沃灯多少钱？"].id, "tuned", "9元", "wrong", "answered"),
        Score("prb_ring", "tuned", "", "unparsed", "no answer: 500"),
    ]
    store.put(scores, eval="sft-1-abc123")
    store.reject("generate", "facts", "chk_1", "evidence not in the passage", "它很贵 | 贵 | 非常贵")
    store.reject("generate", "probes", "fct_1", "too close to a trained one", "它卖多少钱呢？")
    register(store, "sft-1", {"rank": 8}, {"sft": {"steps": 3}}, Lineage("lab", "b", "/a", "a", "d", "e", 1))
    return store


def ids(links):
    """Ids of links."""
    return [link.id for link in links]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_every_record_is_found_whole(record, store):
    """The record behind an id, as it was stored."""
    found = look_up(store, record.id)
    assert found.record == record
    assert not found.retired


@pytest.mark.parametrize(
    ("id", "up"),
    [
        ("doc_1", []),
        ("chk_1", ["doc_1"]),
        ("fct_1", ["doc_1", "chk_1"]),
        ("qst_t", ["doc_1", "chk_1", "fct_1"]),
        ("qst_u", ["doc_1", "chk_1"]),
        ("pair_1", ["doc_1", "chk_1", "fct_1", "qst_t"]),
        ("pref_1", ["doc_1", "chk_1", "fct_1", "qst_t"]),
    ],
)
def test_what_a_record_came_from(id, up, store):
    """The way back to the document, nearest last."""
    assert ids(look_up(store, id).up) == up


def test_what_came_of_a_document_and_a_chunk(store):
    """A document's chunks; a chunk's facts, the questions it leaves open, and what was dropped of it and why."""
    assert ids(look_up(store, "doc_1").down) == ["chk_1"]
    fact, question, dropped = look_up(store, "chk_1").down
    assert (fact.id, question.id, question.kind) == ("fct_1", "qst_u", "probe question (unanswerable)")
    assert (dropped.kind, dropped.text) == (
        "dropped (facts)", "evidence not in the passage: 它很贵 | 贵 | 非常贵",
    )  # fmt: skip


def test_a_passage_is_a_part_of_its_chunk(store):
    """The facts whose evidence stands in it; the chunk names it."""
    cut = [(4, START), (START, len(TEXT))]
    passages = [Chunk(f"chk_p{a}", "doc_1", a, TEXT[a:b], "手册", "zh", a, b, section="chk_1") for a, b in cut]
    store.put(passages)
    assert ids(look_up(store, "chk_1").down)[2:4] == [passage.id for passage in passages]
    before, after = (look_up(store, passage.id) for passage in passages)
    assert (before.kind, ids(before.up), ids(before.down)) == ("passage", ["doc_1", "chk_1"], [])
    assert (ids(after.down), after.span) == (["fct_1"], TEXT[START:])


def test_a_copy_leads_to_what_says_the_same_and_back(store):
    """With the file it is in."""
    copy = Chunk("chk_c", "doc_2", 0, CHUNK.text, CHUNK.header, "zh", 4, len(TEXT))
    store.put([Document("doc_2", "/docs/副本.md", "t" * 64, "md", "手册", "zh", TEXT), copy])
    store.sql("INSERT INTO copies VALUES ('chk_c', 'chk_1')")
    up = look_up(store, "chk_c").up
    assert [(link.id, link.kind) for link in up] == [("doc_2", "document"), ("chk_1", "chunk that says the same")]
    also = look_up(store, "chk_1").down[2]
    assert (also.id, also.kind, also.text) == ("chk_c", "the same, also in", "/docs/副本.md: 手册 > 价格")


def test_what_came_of_a_fact(store):
    """Its questions of all kinds, its preference pair, what was dropped, and how each arm did on it."""
    down = look_up(store, "fct_1").down
    assert [(link.kind, link.id) for link in down[:4]] == [
        ("train question", "qst_t"), ("probe question", "qst_p"), ("probe question (near_miss)", "qst_n"),
        ("preference pair", "pref_1"),
    ]  # fmt: skip
    assert down[4].text == "too close to a trained one: 它卖多少钱呢？"
    assert [(link.kind, link.id, link.text) for link in down[5:]] == [
        ("score of base", "sft-1-abc123", "0 of 1 held-out wordings right"),
        ("score of tuned", "sft-1-abc123", "1 of 1 held-out wordings right"),
    ]


def test_a_fact_says_which_model_knew_it_before(store):
    """By the model's name where it is stored, else by its identity."""
    store.put([Knownness("kno_1", "fct_1", "abc", 10, 3), Knownness("kno_2", "fct_1", "def", 10, 0)])
    store.set_setting("name of model abc", "Small One")
    down = [link for link in look_up(store, "fct_1").down if link.kind == "before training"]
    assert [(link.id, link.text) for link in down] == [
        ("fct_1", "maybe: 3 of 10 closed-book answers of Small One right"),
        ("fct_1", "unknown: 0 of 10 closed-book answers of def right"),
    ]


def test_what_came_of_a_question(store):
    """A trained one's pairs; a held-out one's answers, which lead to its probe and back."""
    assert ids(look_up(store, "qst_t").down) == ["pair_1", "pref_1"]
    base, tuned = look_up(store, "qst_p").down
    assert base.kind == "answer of base in sft-1-abc123"
    assert tuned.text == "correct (value): 210元"
    probe = look_up(store, tuned.id)
    assert probe.up[-1].id == "qst_p"
    assert [(link.id, link.kind) for link in probe.down] == [
        ("sft-1-abc123", "answer of base"), ("sft-1-abc123", "answer of tuned"),
    ]  # fmt: skip


@pytest.mark.parametrize(("taught", "kind"), [("text", "text_only"), ("never", "placebo")])
def test_a_fact_that_no_question_taught_says_so_and_leads_to_its_probes(store, taught, kind):
    """Its line in words, its wordings to the probes that are measured apart, and what each arm had right of them."""
    store.sql("UPDATE facts SET taught = ?", taught)
    (probe,) = [probe for probe in document_probes(store, 5, 0) if probe.kind == kind]
    store.put([probe], eval="e")
    store.put([Score(probe.id, "tuned", "9元", "wrong", "other_value")], eval="e")
    assert ids(look_up(store, probe.id).up) == ["doc_1", "chk_1", "fct_1", "qst_p"]
    assert look_up(store, "qst_p").down[-1].text == "wrong (other_value): 9元"
    found = look_up(store, "fct_1")
    assert found.down[-1].text == "0 of 1 held-out wordings right"
    assert any(line.startswith(f"  taught: {taught}: ") for line in found.lines(("", "")))
    assert found.record.taught == taught


@pytest.mark.parametrize(("kind", "said"), [("reversed", "reversed"), ("cross_lingual", "the other language")])
def test_a_question_asked_in_another_way_leads_to_its_probe(store, kind, said):
    """By its kind; a fact counts it apart from its held-out wordings."""
    question = Question("qst_x", "chk_1", "fct_1", kind, "probe", "什么卖210元？", "zh", "p.zh#1", "图尔沃芯片")
    store.put([question])
    (probe,) = [probe for probe in document_probes(store, 5, 0) if probe.kind == kind]
    store.put([probe], eval="e")
    store.put([Score(probe.id, "tuned", "图尔沃芯片", "correct", "exact")], eval="e")
    assert look_up(store, probe.id).up[-1].id == "qst_x"
    assert look_up(store, "qst_x").down[-1].text == "correct (exact): 图尔沃芯片"
    assert look_up(store, "fct_1").down[-1].text.startswith("1 of 1 ")
    assert said in look_up(store, "fct_1").down[-1].text


def test_a_near_miss_probe_leads_to_the_fact_it_is_near(store):
    """The probe of a question without an answer is followed like any other."""
    (answer,) = look_up(store, "qst_n").down
    assert answer.text == "wrong (answered): 9元"
    assert ids(look_up(store, answer.id).up) == ["doc_1", "chk_1", "fct_1", "qst_n"]


def test_a_ring_probe_stands_alone(store):
    """A probe about nothing in the documents has its answers and no way back."""
    found = look_up(store, "prb_ring")
    assert (found.up, found.span) == ((), "")
    assert found.down[0].text == "unparsed (no answer: 500): "


@pytest.mark.parametrize("id", ["fct_1", "qst_t", "qst_p", "qst_n", "pair_1", "pref_1"])
def test_evidence_is_marked_at_its_exact_span(id, store):
    """Everything that hangs from a fact is shown at its evidence, with some text on both sides."""
    found = look_up(store, id)
    assert found.span == EVIDENCE
    assert (found.before, found.after) == (TEXT[START - CONTEXT : START], "后" * CONTEXT)
    assert found.place == "手册 > 价格, page 3"
    shown = "\n".join(found.lines(("[[", "]]")))
    assert f"前\n  [[{EVIDENCE}]]后" in shown
    assert "后..." in shown


def test_the_lines_of_a_question_hold_its_text(store):
    """A question's own text is shown; that of a chunk only once, as the span; fields that say nothing are left out."""
    question = look_up(store, "qst_u").lines(("[[", "]]"))
    assert "  text: 它什么颜色？" in question
    assert not any(line.startswith("  fact_id") for line in question)
    chunk = look_up(store, "chk_1").lines(("[[", "]]"))
    assert "\n".join(chunk).count(EVIDENCE) == 1
    assert "  notes: read as UTF-8" in look_up(store, "doc_1").lines(("[[", "]]"))


def test_links_are_in_columns(store):
    """Kind, id and text of the links stand below each other."""
    lines = [line for line in look_up(store, "fct_1").lines(("", "")) if line.startswith("from")]
    assert lines == ["from  document  doc_1  /docs/手册.md", "from  chunk     chk_1  手册 > 价格"]


def test_a_retired_record_is_found_and_says_so(store):
    """What hung from a document that is gone can still be followed, and is marked."""
    store.sql("UPDATE documents SET retired = 1")
    for id in ("doc_1", "chk_1", "fct_1", "qst_p", "pair_1"):
        found = look_up(store, id)
        assert found.retired
        assert "retired" in found.lines(("", ""))[0]


def test_a_run_and_an_evaluation_are_found_by_name(store):
    """A run leads to its evaluations, an evaluation back to its run; both say what they hold."""
    run = look_up(store, "sft-1")
    assert [(link.id, link.text) for link in run.down] == [("sft-1-abc123", "4 answers")]
    assert "  config: rank=8" in run.lines(("", ""))
    done = look_up(store, "sft-1-abc123")
    assert ids(done.up) == ["sft-1"]
    assert done.record.arms == ("base 0 of 1 right, 0 unparsed", "tuned 1 of 3 right, 1 unparsed")


def test_what_was_dropped_is_found(store):
    """A reject leads back to what it was made of."""
    dropped = next(link for link in look_up(store, "fct_1").down if link.kind == "dropped (probes)")
    found = look_up(store, dropped.id)
    assert (found.record.reason, ids(found.up)) == ("too close to a trained one", ["fct_1"])


def test_what_failed_and_waits_for_a_rerun_is_shown(store):
    """A chunk or fact that a step got no usable reply for says so, with the reason."""
    store.fail("generate: facts", "chk_1", "no answer", "429 Too Many Requests")
    store.fail("generate: probes", "fct_1", "no line parsed", "...")
    for id, kind, text in (
        ("chk_1", "failed (generate: facts)", "no answer: 429 Too Many Requests"),
        ("fct_1", "failed (generate: probes)", "no line parsed: ..."),
    ):
        assert (kind, text) in {(link.kind, link.text) for link in look_up(store, id).down}


def test_the_beginning_of_an_id_is_enough(store):
    """An unambiguous beginning finds the record; a whole id is never ambiguous."""
    store.put([QAPair("pair_12", "qst_t", "fct_1", "full", "它卖多少钱？", "它卖210元。", "zh")])
    assert look_up(store, "fct_").record == FACT
    assert look_up(store, "pair_1").record == PAIR


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("fct_9", "fct_9: no such record in this workspace"),
        ("qst_", r"qst_: 4 ids begin like this: qst_n, qst_p, qst_t, qst_u$"),
        ("x_1", r"x_1: no run or evaluation has this name, and an id begins with doc_, chk_, fct_, qst_"),
        ("fct", "an id begins with"),
        ("", "an id begins with"),
    ],
)
def test_an_id_that_cannot_be_followed(id, said, store):
    """Unknown, ambiguous or no id at all: the message says which, and what an id looks like."""
    with pytest.raises(UsageError, match=said):
        look_up(store, id)


def test_many_ids_are_not_all_listed(store):
    """Of more than five ids that begin alike five are named."""
    store.put([QAPair(f"pair_2{n}", "qst_t", "fct_1", "full", "?", "!", "zh") for n in range(7)])
    with pytest.raises(UsageError, match=r"7 ids begin like this: pair_20, .*, pair_24, \.\.\.$"):
        look_up(store, "pair_2")


def test_a_fact_says_what_evaluations_found_and_what_should_have_taught_it(store):
    """The rows and texts that were trained are listed where something is to be done about it, and only there."""
    store.put([Rewrite("rew_1", "chk_1", "plain", "要买它，得付210元。", "zh", "rewrite_plain.zh#1")])
    store.put([Diagnosis("fct_1", ("learnt",))], eval="sft-1-abc123")
    new = look_up(store, "fct_1").down[5:]
    assert [(link.id, link.kind, link.text) for link in new[:1]] == [("sft-1-abc123", "finding", "learnt")]
    assert [link.kind for link in new[1:]] == ["score of base", "score of tuned"]
    store.put([Diagnosis("fct_1", ("phrasing_overfit", "reversed_fails"))], eval="sft-2-def456")
    new = look_up(store, "fct_1").down[6:]
    assert [(link.id, link.kind, link.text) for link in new[:3]] == [
        ("sft-2-def456", "finding", "phrasing overfit, reversed fails"),
        ("pair_1", "trained row (short)", "它卖多少钱？ > 210元"),
        ("rew_1", "trained text (plain)", "要买它，得付210元。"),
    ]
