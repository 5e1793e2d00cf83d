"""The arms: which probes each is asked, with which prompt and which passages."""

from collections import Counter

import pytest

from kb.evaluate.arms import ANSWER_TOKENS, ARMS, Asker, others
from kb.evaluate.following import FOLLOWING, TOKENS
from kb.evaluate.probes import APART, document_probes
from kb.llm import Request, user
from kb.prompt import Prompts
from kb.records import Chunk, Document, Probe

RING = Probe("prb_r", "prb_r", "reading", "它多重？", "3克", "text", "zh", (), "[1] 它重3克。")
INSTRUCTION = Probe("prb_f", "following:x", FOLLOWING, "三行诗", '{"lines": 3}', "instruction", "zh")
KNOWN = Probe("prb_k", "prb_k", "known", "Who runs Ostrel?", "Ana Bo", "name", "en")


@pytest.fixture
def asked(handmade):
    """A function from an arm to its requests by kind of probe."""
    asker = Asker(Prompts(), lambda: handmade.retriever(top_k=2), handmade.workspace.store)
    probes = [*document_probes(handmade.workspace.store, 5, 0), RING, KNOWN]

    def ask(arm):
        found = {}
        for one in asker.ask(ARMS[arm], probes):
            found.setdefault(one.probe.kind, []).append(one)
        return found

    return ask


def text(one):
    """What the model is asked, its system message first."""
    return "\n".join(message.content for message in one.item.request.messages)


@pytest.mark.parametrize(
    ("arm", "kinds"),
    [
        ("base", {"held_out": 12, "trained": 4, "near_miss": 1, "unanswerable": 1, "reading": 1, "known": 1}),
        ("tuned", {"held_out": 12, "trained": 4, "near_miss": 1, "unanswerable": 1, "reading": 1, "known": 1}),
        ("rag", {"held_out": 12, "near_miss": 1, "unanswerable": 1}),
        ("tuned_rag", {"held_out": 12, "near_miss": 1, "unanswerable": 1}),
        ("oracle", {"held_out": 12}),
        ("tuned_oracle", {"held_out": 4}),
    ],
)
def test_which_probes_an_arm_is_asked(arm, kinds, asked):
    """Rings and trained wordings closed-book, negatives to all but the oracle, held-out wordings to everyone."""
    assert Counter({kind: len(ones) for kind, ones in asked(arm).items()}) == kinds


@pytest.mark.parametrize("kind", APART)
def test_what_is_measured_apart_is_asked_with_and_without_passages(kind, handmade):
    """Of base and tuned; not of SFT alone, and with no right passage, which not all of these kinds have."""
    asker = Asker(Prompts(), handmade.retriever, handmade.workspace.store)
    probe = Probe("prb_a", handmade.facts[0].id, kind, "What does Tulvao Core cost?", "349 crowns", "money", "en")
    assert [name for name, arm in ARMS.items() if asker.ask(arm, [probe])] == ["base", "rag", "tuned", "tuned_rag"]


def test_closed_book_arms_see_the_question_alone(asked):
    """The closed prompt in the question's language, greedy, and nothing of the documents."""
    one = asked("base")["held_out"][0]
    assert one.chunks == ()
    assert "passages" not in text(one)
    assert one.item.request.messages[-1].content == "Quick question. What does Tulvao Core cost?"
    assert (one.item.request.temperature, one.item.request.max_tokens) == (0.0, ANSWER_TOKENS)
    chinese = asked("base")["held_out"][-1]
    assert "只回答：我不知道" in text(chinese)


def test_instructions_are_asked_of_base_and_tuned_as_a_plain_chat(handmade):
    """Without a system message or passages, and with room for a longer answer; of no other run or model."""
    asker = Asker(Prompts(tag="kb"), handmade.retriever, handmade.workspace.store)
    arms = [*ARMS.values(), *others("run:x", True), *others("model:y", True)]
    assert [arm.name for arm in arms if asker.ask(arm, [INSTRUCTION])] == ["base", "tuned"]
    (one,) = asker.ask(ARMS["tuned"], [INSTRUCTION])
    assert one.item.request == Request(user("三行诗"), TOKENS)


def test_base_and_tuned_are_asked_the_same(asked):
    """Only the adapter differs between two arms with the same passages: their requests are equal."""
    for one, other in (("base", "tuned"), ("rag", "tuned_rag")):
        first, second = asked(one), asked(other)
        assert first.keys() == second.keys()
        for kind in first:
            assert [a.item.request for a in first[kind]] == [b.item.request for b in second[kind]]


def test_rag_sees_retrieved_passages_and_says_which(asked):
    """The best passages, numbered, under their heading, before the question; their ids go with the answer."""
    one = asked("rag")["held_out"][0]
    assert one.chunks == ("chk_00",)
    assert one.item.request.messages[-1].content == (
        "[1] Book 0\nTulvao Core costs 349 crowns.\n\nQuestion: Quick question. What does Tulvao Core cost?"
    )
    chinese = asked("rag")["unanswerable"][0]
    assert chinese.chunks[0] == "chk_10"
    assert chinese.item.request.messages[-1].content.startswith("[1] Book 1\n图尔沃芯片的售价是210元。\n")


def test_an_arm_that_finds_nothing_is_asked_closed_book(handmade):
    """Where no passage shares a word with the question, the question stands alone, under the closed prompt."""
    asker = Asker(Prompts(), handmade.retriever, handmade.workspace.store)
    probe = Probe("prb_x", "fct_x", "held_out", "Zzyzx?", "1", "text", "en")
    (one,) = asker.ask(ARMS["rag"], [probe])
    assert (one.chunks, one.item.request.messages[-1].content) == ((), "Zzyzx?")


@pytest.mark.parametrize(
    "arm", ["base", "sft", "tuned", "rag", "tuned_rag", "oracle", "tuned_oracle", "wrong", "tuned_wrong"]
)
def test_a_tag_stands_before_what_is_asked_of_the_documents_alone(handmade, arm):
    """In every closed-book arm alike, base included; not before a ring, nor where passages are shown."""
    never = Probe("prb_n", "prb_n", "never", "Who is Zema?", "", "text", "en")
    probes = [*document_probes(handmade.workspace.store, 5, 0), RING, KNOWN, never]
    plain, tagged = (
        Asker(prompts, lambda: handmade.retriever(top_k=2), handmade.workspace.store).ask(ARMS[arm], probes)
        for prompts in (Prompts(), Prompts(tag="手册 A"))
    )
    for one, other in zip(plain, tagged, strict=True):
        before, after = one.item.request.messages[-1].content, other.item.request.messages[-1].content
        mark = "【手册 A】" if one.probe.language == "zh" else "[手册 A] "
        shown = one.chunks or one.probe.kind in ("known", "reading", "never")
        assert after == (before if shown else mark + before)
    assert any(one.chunks == () for one in plain) == (ARMS[arm].passages == "none")


def test_the_oracle_sees_the_chunk_of_its_fact_alone(asked):
    """One passage, the right one, for each wording."""
    ones = asked("oracle")["held_out"]
    assert [one.chunks for one in ones[::3]] == [("chk_00",), ("chk_01",), ("chk_10",), ("chk_11",)]
    assert "[2]" not in text(ones[0])


def test_the_oracle_sees_a_chunk_that_is_searched_no_more(handmade):
    """A document that says the same came before it: the fact's own chunk is still what the oracle is shown."""
    store = handmade.workspace.store
    store.sql("INSERT INTO copies VALUES ('chk_00', 'chk_10')")
    retriever = handmade.retriever(top_k=2)
    assert "chk_00" not in {chunk.id for chunk in retriever.chunks}
    asker = Asker(Prompts(), lambda: retriever, store)
    ones = asker.ask(ARMS["oracle"], document_probes(store, 5, 0))
    assert ones[0].chunks == ("chk_00",)


@pytest.fixture
def misleading(handmade):
    """A third document: what tells the answer in words, what does not and is near, and the same in Chinese."""
    store = handmade.workspace.store
    store.put([Document("doc_9", "/docs/9.md", "sha9", "md", "Book 9", "en", "")])
    for at, text in enumerate(
        ("Tulvao Core costs three hundred and forty-nine crowns.", "Tulvao Core costs less than others.",
         "图尔沃芯片的售价曾是二百一十元。", "图尔沃芯片的售价曾是180元。"),
    ):  # fmt: skip
        store.put([Chunk(f"chk_9{at}", "doc_9", at, text, "Book 9", "zh" if at > 1 else "en", 0, len(text))])
    return Asker(Prompts(), lambda: handmade.retriever(top_k=2), store), document_probes(store, 5, 0)


@pytest.mark.parametrize("arm", ["wrong", "tuned_wrong"])
def test_a_wrong_passage_is_near_and_does_not_tell_the_answer(arm, misleading):
    """One wording of each fact, one passage from elsewhere; what says the answer in words or in Han numerals is none.

    A fact to which no such passage is found is not asked.
    """
    asker, probes = misleading
    ones = asker.ask(ARMS[arm], probes)
    assert [(one.probe.gold, one.chunks) for one in ones] == [("349 crowns", ("chk_91",)), ("210元", ("chk_93",))]
    assert "costs less than others" in text(ones[0])


@pytest.mark.parametrize("kind", ["run:other", "model:Qwen/Qwen3-8B"])
def test_what_is_compared_besides_is_asked_as_the_tuned_model_is(kind, handmade):
    """Closed-book as tuned, and where passages are compared as tuned+RAG: the same requests."""
    asker = Asker(Prompts(), lambda: handmade.retriever(top_k=2), handmade.workspace.store)
    probes = [*document_probes(handmade.workspace.store, 5, 0), RING, KNOWN]
    arms = others(kind, True)
    assert [(arm.name, arm.model) for arm in arms] == [(kind, kind), (f"{kind}+rag", kind)]
    for arm, like in zip(arms, ("tuned", "tuned_rag"), strict=True):
        mine, theirs = asker.ask(arm, probes), asker.ask(ARMS[like], probes)
        assert [one.item.request for one in mine] == [one.item.request for one in theirs]
    assert [arm.name for arm in others(kind, False)] == [kind]


def test_a_reading_ring_brings_its_own_passages(asked):
    """The closed-book arms read the ring's passages and no chunk of the workspace."""
    one = asked("tuned")["reading"][0]
    assert one.chunks == ()
    assert one.item.request.messages[-1].content == "[1] 它重3克。\n\n问题：它多重？"


def test_items_are_named_by_arm_and_probe(asked):
    """The id that failures are recorded under tells the arms apart."""
    ids = [one.item.id for arm in ARMS for ones in asked(arm).values() for one in ones]
    assert len(set(ids)) == len(ids)
    assert ids[-1].startswith("control:prb_")
