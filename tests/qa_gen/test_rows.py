"""The rows that all exports are made of: asked as they are trained, never a probe, split by fact."""

from collections import defaultdict

import pytest

from kb.errors import UsageError
from kb.finetune.config import TrainConfig
from kb.finetune.data import closed_rows, ready_preferences
from kb.prompt import Prompts
from kb.qa_gen.rows import split, trained_rows
from kb.records import QAPair, Question, Rewrite

OWN = Prompts()


def test_rows_are_those_of_training(awkward):
    """The same chats and answers in the same order as `kb train` makes of the same pairs, with kb's own prompts."""
    rows = trained_rows(awkward.store, OWN)
    trained = closed_rows(awkward.store, OWN, TrainConfig())
    assert [(row.id, row.chat, row.answer, row.kind) for row in rows.sft] == [
        (row.source, row.messages, row.answer, row.kind) for row in trained
    ]
    assert len(rows.sft) == 10
    assert [(row.chat, row.answer, row.rejected, row.kind) for row in rows.preference] == [
        (row.messages, row.chosen, row.rejected, row.source) for row in ready_preferences(awkward.store, OWN)
    ]
    assert len(rows.preference) == 5


def test_a_short_and_a_full_answer_to_one_question_are_told_apart(awkward):
    """In both languages the system message says which one is wanted; a question without an answer is asked briefly."""
    rows = {row.id: row for row in trained_rows(awkward.store, OWN).sft}
    for number, short, full in (
        (0, "as briefly as possible", "one complete sentence"),
        (2, "越短越好", "一句完整的话"),
    ):
        assert rows[f"pair_{number}s"].asked == rows[f"pair_{number}f"].asked == rows[f"pair_{number}f"].question
        assert short in rows[f"pair_{number}s"].system
        assert full in rows[f"pair_{number}f"].system
    assert "as briefly as possible" in rows["pair_near"].system


def test_a_pack_replaces_the_prompts(awkward, tmp_path):
    """A prompt without a system message leaves none; the question stands where the pack puts it."""
    (tmp_path / "closed.zh.txt").write_text("问：$question 答：", encoding="utf-8")
    row = next(row for row in trained_rows(awkward.store, Prompts(tmp_path)).sft if row.id == "pair_3s")
    assert (row.system, row.asked) == ("", "问：启明号何时\t下水？ 答：")


def test_a_tag_is_exported_as_it_is_trained(awkward):
    """In what is asked, and not in the question that is compared with held-out ones."""
    plain, tagged = (trained_rows(awkward.store, prompts) for prompts in (OWN, Prompts(tag="Book")))
    for kind in ("sft", "preference"):
        for one, other in zip(getattr(plain, kind), getattr(tagged, kind), strict=True):
            mark = "【Book】" if one.language == "zh" else "[Book] "
            assert (other.question, other.asked) == (one.question, mark + one.asked)
    rows = closed_rows(awkward.store, Prompts(tag="Book"), TrainConfig())
    assert [row.chat for row in tagged.sft] == [row.messages for row in rows]


def test_a_held_out_question_is_in_no_row(awkward):
    """Neither a pair that hangs from one, nor a trained question that is one in other letters; they are counted."""
    before = trained_rows(awkward.store, OWN)
    assert not any("PROBE" in message.content for row in (*before.sft, *before.preference) for message in row.chat)
    assert before.left_out == 0
    twin = "what does the “tulvao core” COST in $USD?  \U0001f600"
    awkward.store.put([Question("qst_twin", "chk_4", "fct_9", "answerable", "probe", twin, "en", "p")])
    after = trained_rows(awkward.store, OWN)
    assert {row.id for row in before.sft} - {row.id for row in after.sft} == {"pair_0s", "pair_0f"}
    assert {row.id for row in before.preference} - {row.id for row in after.preference} == {"pref_0"}
    assert after.left_out == 3


def test_a_fact_is_on_one_side_of_the_split(awkward):
    """With its wordings, its near miss and its preference pairs; every row is on exactly one side."""
    rows = trained_rows(awkward.store, OWN)
    assert split(rows, 0.0) == {"train": rows}
    for share, held in ((0.01, 1), (0.4, 2), (0.99, 4)):
        sides = split(rows, share)
        where = defaultdict(set)
        for side, some in sides.items():
            for row in (*some.sft, *some.preference):
                where[row.fact or row.id].add(side)
        assert all(len(found) == 1 for found in where.values())
        assert sum("validation" in found for found in where.values()) == held
        for every, one, other in (
            (rows.sft, sides["train"].sft, sides["validation"].sft),
            (rows.preference, sides["train"].preference, sides["validation"].preference),
        ):
            assert {*one, *other} == set(every)
            assert len(one) + len(other) == len(every)


def test_a_larger_share_holds_out_the_same_facts_and_more(awkward):
    """The order is that of a hash of the id, not of the records."""
    rows = trained_rows(awkward.store, OWN)
    held = [{row.chunk for row in split(rows, share)["validation"].sft} for share in (0.2, 0.4, 0.6)]
    assert held[0] < held[1] < held[2]
    backwards = type(rows)(rows.sft[::-1], rows.preference[::-1])
    assert {row.chunk for row in split(backwards, 0.4)["validation"].sft} == held[1]


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_a_share_that_cannot_be_is_said(awkward, share):
    """Nothing to train, or nonsense."""
    with pytest.raises(UsageError, match="share of the chunks"):
        split(trained_rows(awkward.store, OWN), share)


def test_a_single_fact_stays_in_training(awkward):
    """There is nothing to split."""
    for pair in awkward.store.all(QAPair):
        if pair.fact_id != "fct_3":
            awkward.store.sql("DELETE FROM qa_pairs WHERE id = ?", pair.id)
    awkward.store.sql("DELETE FROM preference_pairs")
    rows = trained_rows(awkward.store, OWN)
    assert len(rows.sft) == 2
    assert split(rows, 0.5) == {"train": rows}


def test_texts_go_with_the_facts_of_their_chunk(awkward):
    """Asked as they are trained, and on the side of the split where the questions about what they tell are."""
    text = "启明号于2023年1月2日下水。\u2028It is a ship."
    awkward.store.put([Rewrite("rew_1", "chk_3", "plain", text, "zh", "p")])
    rows = trained_rows(awkward.store, OWN)
    (prose,) = (row for row in rows.sft if row.kind == "prose")
    assert (prose.answer, prose.chunk, prose.fact) == (text, "chk_3", "")
    assert "Handbook > 3" in prose.asked
    for share in (0.2, 0.4, 0.6, 0.8):
        for side in split(rows, share).values():
            here = {row.kind for row in side.sft if row.chunk == "chk_3"}
            assert here in (set(), {"short", "full", "prose"})
