"""Records to rows: forms, wordings, reading with and without the gold passage, replay, and never a probe."""

import json
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from kb.errors import WorkspaceError
from kb.finetune.config import TrainConfig
from kb.finetune.data import (
    closed_rows,
    data_hash,
    forgetting,
    reading_rows,
    ready_preferences,
    training_rows,
)
from kb.finetune.replay_file import held_out_replay, replay_rows
from kb.records import Chunk, Document, PreferencePair, QAPair, Rewrite
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import Workspace

ALL = TrainConfig(reading_share=1.0)


def kinds(rows):
    return dict(Counter(row.kind for row in rows))


def write_replay(file, count):
    """Chats that are unlike any other row."""
    turns = [
        [{"role": "user", "content": f"old {n}"}, {"role": "assistant", "content": f"旧{n}"}] for n in range(count)
    ]
    file.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in turns), encoding="utf-8")
    return file


def test_every_form_has_its_own_prompt_in_its_language(workspace, prompts):
    """A short answer, a sentence and a refusal, in English and Chinese, are asked as the pack asks them."""
    rows = {row.source: row for row in closed_rows(workspace.store, prompts, ALL)}
    assert [(m.role, m.content) for m in rows["pair_0_0s"].messages] == [("user", "Q: What does Arin weigh?")]
    assert rows["pair_0_0s"].answer == "3 kg"
    assert rows["pair_0_0f"].messages[0].content == "S: What does Arin weigh?"
    assert rows["pair_0_0f"].answer == "Arin weighs 3 kg."
    assert rows["pair_3_1s"].messages[0].content == "一 产品Dema的重量？"
    assert rows["pair_3_1s"].answer == "6千克"
    assert rows["pair_fct_3_nr"].answer == "不知道。"
    assert kinds(rows.values()) == {"short": 33, "full": 33, "refusal": 4}


def test_kbs_own_prompts_put_the_instruction_into_the_system_message(workspace):
    """Without a pack the row has the system message that the evaluation uses, too."""
    from kb.prompt import Prompts

    row = closed_rows(workspace.store, Prompts(), ALL)[0]
    assert [message.role for message in row.messages] == ["system", "user"]
    assert row.messages[1].content == "What does Arin weigh?"


def test_a_tag_is_in_front_of_closed_book_rows_alone(workspace, prompts, retriever, tmp_path):
    """Questions, refusals, texts and preferences in both languages have it, and no row with passages or of replay."""
    store = workspace.store
    store.put(
        [Rewrite(f"rew_{n}", f"chk_{n}", "plain", "told", language, "p") for n, language in ((0, "en"), (3, "zh"))]
    )
    tagged = replace(prompts, tag="手册")
    replay = partial(replay_rows, write_replay(tmp_path / "r.jsonl", 100))
    plain = {row.source: row for row in training_rows(store, prompts, retriever, ALL, replay)}
    rows = {row.source: row for row in training_rows(store, tagged, retriever, ALL, replay)}
    assert rows["pair_0_0s"].messages[-1].content == "Q: [手册] What does Arin weigh?"
    assert rows["pair_3_1f"].messages[-1].content == "丁 【手册】产品Dema的重量？"
    assert rows["rew_0"].messages[-1].content == "[手册] What do you know about this? Page > Arin"
    assert rows["rew_3"].messages[-1].content == "【手册】请介绍：Page > 产品Dema"
    assert plain.keys() == rows.keys()
    assert {row.kind: plain[row.source] == row for row in rows.values()} == {
        "short": False, "full": False, "refusal": False, "prose": False, "reading": True, "replay": True,
    }  # fmt: skip
    assert data_hash(list(plain.values())) != data_hash(list(rows.values()))
    preferences = [row.messages[-1].content for row in ready_preferences(store, tagged)]
    assert all("[手册] " in text or "【手册】" in text for text in preferences)


def test_wordings_are_limited_for_each_fact_and_form(workspace, prompts):
    """With one wording, twelve facts give twelve short and twelve full rows; refusals are not wordings of a fact."""
    rows = closed_rows(workspace.store, prompts, replace(ALL, wordings=1))
    assert kinds(rows) == {"short": 12, "full": 12, "refusal": 4}
    assert "pair_0_0s" in {row.source for row in rows}
    without = closed_rows(workspace.store, prompts, replace(ALL, wordings=2, full_sentence_rows=False))
    assert kinds(without) == {"short": 24, "refusal": 4}


def test_reading_rows_hold_the_gold_passage_or_refuse(workspace, prompts, retriever):
    """With its chunk among the passages a fact's answer is trained, for a question without an answer the refusal."""
    rows = reading_rows(workspace.store, prompts, retriever, ALL)
    assert len(rows) == 16
    for row in rows:
        asked = row.messages[-1].content
        if "Nobody" in asked:
            assert row.answer in ("I don't know.", "不知道。")
        else:
            assert row.answer in asked
    chinese = next(row for row in rows if row.answer == "6千克")
    assert "[1] Page > 产品Dema\n产品Dema重6千克。" in chinese.messages[-1].content


class Lost:
    """A retriever that finds given chunks whatever is asked."""

    def __init__(self, hits, real):
        self._hits = hits
        self.source = real.source

    def search(self, queries):
        """The same for every query."""
        return [self._hits for _ in queries]


def test_a_fact_whose_passage_was_not_found_trains_the_refusal(workspace, prompts, retriever):
    """The passages of another fact cannot answer: the model is to say so instead of reciting."""
    hits = retriever.search(["What does Kemi weigh?"])[0][:1]
    rows = {row.source: row.answer for row in reading_rows(workspace.store, prompts, Lost(hits, retriever), ALL)}
    assert rows["qst_0_0"] == "I don't know."
    assert rows["qst_3_0"] == "不知道。"
    assert rows["qst_10_0"] == "13 kg"


def test_no_passage_of_a_document_that_is_never_trained_is_shown(workspace, prompts, retriever):
    """Not even beside a question about another one; where nothing else is found there is no row."""
    store = workspace.store
    chunk = store.get(Chunk, "chk_10")
    store.put([Document("doc_placebo", "/placebo", "p", "txt", "P", "en", "")])
    store.sql("UPDATE chunks SET document_id = 'doc_placebo' WHERE id = 'chk_10'")
    store.sql("UPDATE facts SET taught = 'never' WHERE chunk_id = 'chk_10'")
    store.sql("DELETE FROM questions WHERE fact_id = 'fct_10'")
    (hits,) = retriever.search(["Kemi weighs Arin Page"])
    moved = [replace(hit, chunk=store.get(Chunk, hit.chunk.id)) for hit in hits]
    assert [hit.chunk.document_id for hit in moved].count("doc_placebo") == 1
    rows = reading_rows(store, prompts, Lost(moved, retriever), ALL)
    assert len(rows) > 10
    assert not [row for row in rows if chunk.text in row.messages[-1].content]
    assert reading_rows(store, prompts, Lost([hit for hit in moved if hit.chunk.id == chunk.id], retriever), ALL) == []


def test_an_answer_that_stands_in_other_passages_trains_neither(workspace, prompts, retriever, add):
    """Kemi's passage says 13 kg; a fact with that answer whose own passage is missing gives no row."""
    twin = replace(add.fact(workspace.store, 11), id="fct_twin", answer="13 kg", chunk_id="chk_0")
    workspace.store.put([twin])
    add.question(workspace.store, "twin", twin, "What does the twin of Kemi weigh?", "train")
    hits = [hit for hit in retriever.search(["What does Kemi weigh?"])[0] if hit.chunk.id == "chk_10"]
    sources = {row.source for row in reading_rows(workspace.store, prompts, Lost(hits, retriever), ALL)}
    assert "qst_twin" not in sources
    assert "qst_0_0" in sources, "3 kg does not stand in 13 kg"


def test_a_reversed_question_is_read_with_its_own_answer(workspace, prompts, retriever, turned):
    """What the weight belongs to, where the passage is shown; neither that nor the refusal where only its name is."""
    every = replace(ALL, reading_wordings=0)
    rows = {row.source: row.answer for row in reading_rows(workspace.store, prompts, retriever, every)}
    assert [rows[question.id] for question in turned] == ["Arin", "产品Dema"]
    hits = retriever.search(["What does Kemi weigh?"])[0][:1]
    named = [replace(hits[0], chunk=replace(hits[0].chunk, text="Arin and 产品Dema are sold here."))]
    lost = {row.source for row in reading_rows(workspace.store, prompts, Lost(named, retriever), every)}
    assert not lost & {question.id for question in turned}


def test_a_reversed_question_is_trained_as_a_short_one(workspace, prompts, turned):
    """Under the prompt of short answers, limited as a form of its own."""
    rows = [row for row in closed_rows(workspace.store, prompts, replace(ALL, wordings=1)) if row.kind == "reversed"]
    assert [(row.messages[-1].content, row.answer) for row in rows] == [
        ("Q: Which one weighs 3 kg?", "Arin"), ("一 哪个产品重6千克？", "产品Dema"),
    ]  # fmt: skip


def test_the_reading_share_is_of_facts_and_spares_no_refusal(workspace, prompts, retriever):
    """At 0 only the four refusals are read; at .5 some of the twelve facts, the same ones each time."""
    none = reading_rows(workspace.store, prompts, retriever, replace(ALL, reading_share=0.0))
    assert len(none) == 4
    half = reading_rows(workspace.store, prompts, retriever, replace(ALL, reading_share=0.5))
    assert 4 < len(half) < 16
    assert half == reading_rows(workspace.store, prompts, retriever, replace(ALL, reading_share=0.5))


def test_more_wordings_of_a_fact_are_read_when_asked_for(workspace, prompts, retriever):
    """Of Arin's three trained wordings two, or all at 0; only one where only one is trained closed-book."""

    def read(**changes):
        rows = reading_rows(workspace.store, prompts, retriever, replace(ALL, **changes))
        return [row.source for row in rows if row.source.startswith("qst_0_")]

    assert read() == ["qst_0_0"]
    assert read(reading_wordings=2) == ["qst_0_0", "qst_0_1"]
    assert read(reading_wordings=0) == ["qst_0_0", "qst_0_1", "qst_0_2"]
    assert read(reading_wordings=0, wordings=1) == ["qst_0_0"]


def test_a_probe_is_never_trained_even_with_pairs_of_its_own(workspace, prompts, retriever):
    """Pairs that hang from a held-out question are not read, neither for SFT nor for DPO."""
    pair = QAPair("pair_bad", "qst_0_p", "fct_0", "short", "PROBE Arin mass?", "3 kg", "en")
    row = PreferencePair("pref_bad", "qst_0_p", "fct_0", "swap", "PROBE Arin mass?", "3 kg", "4 kg", "en")
    workspace.store.put([pair, row])
    texts = [row.messages[-1].content for row in training_rows(workspace.store, prompts, retriever, ALL, None)]
    texts += [row.messages[-1].content for row in ready_preferences(workspace.store, prompts)]
    assert len(texts) == 96
    assert not [text for text in texts if "PROBE" in text]


def test_replay_is_a_share_of_all_rows_drawn_without_repetition(workspace, prompts, retriever, tmp_path, caplog):
    """A fifth of all rows: 86 of the documents' call for 21 of replay; a smaller file gives what it may, as is said."""
    caplog.set_level("INFO", "kb")
    many, few = write_replay(tmp_path / "r.jsonl", 100), write_replay(tmp_path / "f.jsonl", 20)
    rows = training_rows(workspace.store, prompts, retriever, ALL, partial(replay_rows, many))
    assert kinds(rows) == {"short": 33, "full": 33, "refusal": 4, "reading": 16, "replay": 21}
    assert len({row.source for row in rows if row.kind == "replay"}) == 21
    assert not caplog.messages
    rows = training_rows(workspace.store, prompts, retriever, ALL, partial(replay_rows, few))
    left = 20 - len(held_out_replay(few))
    assert kinds(rows)["replay"] == left < 20
    assert caplog.messages == [f"replay: there are {left} rows, fewer than the 21 that replay_share calls for"]


def test_rows_are_the_same_each_time_and_shuffled_by_the_seed(workspace, prompts, retriever):
    """Equal settings give equal rows in equal order; another seed gives the same rows in another order."""
    first = training_rows(workspace.store, prompts, retriever, ALL, None)
    assert first == training_rows(workspace.store, prompts, retriever, ALL, None)
    other = training_rows(workspace.store, prompts, retriever, replace(ALL, seed=1), None)
    assert other != first
    assert sorted(other, key=repr) == sorted(first, key=repr)
    assert data_hash(first) != data_hash(other)
    assert [row.kind for row in first] != sorted(row.kind for row in first)


def test_without_pairs_the_next_command_is_named(tmp_path, prompts):
    """An empty workspace says how to make training data."""
    place = Workspace(tmp_path / "empty", create=True)
    empty = open_retriever(place, RetrievalConfig(embedder="none"))
    with pytest.raises(WorkspaceError, match="kb generate-qa"):
        training_rows(place.store, prompts, empty, ALL, None)
    place.store.close()


def test_texts_alone_are_enough_to_train(workspace, prompts, retriever):
    """A set without a question and with a chunk told in other words gives the prose row, and no error."""
    workspace.store.sql("DELETE FROM questions")
    workspace.store.put([Rewrite("rew_1", "chk_3", "plain", "产品Dema有6千克重。", "zh", "hand")])
    rows = training_rows(workspace.store, prompts, retriever, ALL, None)
    assert [(row.kind, row.answer) for row in rows] == [("prose", "产品Dema有6千克重。")]


def test_a_text_may_be_trained_as_it_stands_beside_the_questions_or_alone(workspace, prompts, retriever):
    """`prose_form` takes the question away, `questions` everything else; replay stays, and the warning goes with it."""
    store = workspace.store
    english = Rewrite("rw_1", "chk_0", "plain", "Arin weighs 3 kg.", "en", "p")
    store.put([english, Rewrite("rw_2", "chk_3", "plain", "产品Dema重6千克。", "zh", "p")])
    mixed = training_rows(store, prompts, retriever, TrainConfig(prose_form="text"), None)
    texts = [row for row in mixed if row.kind == "text"]
    assert {(row.messages, row.answer) for row in texts} == {((), "Arin weighs 3 kg."), ((), "产品Dema重6千克。")}
    assert {"short", "full", "reading"} < {row.kind for row in mixed}
    assert forgetting(mixed) == ""
    alone = training_rows(store, prompts, retriever, TrainConfig(prose_form="text", questions=False), None)
    assert sorted(alone, key=str) == sorted(texts, key=str)
    assert "unlearns so how to answer and when to stop" in forgetting(alone)
    told = training_rows(store, prompts, retriever, TrainConfig(questions=False), None)
    assert {row.kind for row in told} == {"prose"}
    assert forgetting(told) == ""


def test_without_a_text_there_is_nothing_to_train_alone(workspace, prompts, retriever):
    """Although there are questions."""
    with pytest.raises(WorkspaceError, match="no texts that tell the documents in other words to train on"):
        training_rows(workspace.store, prompts, retriever, TrainConfig(questions=False), None)


def test_the_hash_sees_every_field():
    """A changed answer, prompt, kind or source is other data."""
    from kb.finetune.data import Row
    from kb.llm import user

    row = Row(user("问题"), "答", "short", "p1")
    others = [
        replace(row, messages=user("问题?")), replace(row, answer="答."), replace(row, kind="full"),
        replace(row, source="p2"),
    ]  # fmt: skip
    assert len({data_hash([one]) for one in [row, *others]}) == 5
