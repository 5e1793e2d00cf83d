"""What is watched: the development split, its held-out wordings, what the base may know, general prompts."""

import json
from dataclasses import replace

import pytest

from kb.finetune.config import TrainConfig
from kb.finetune.replay_file import HELD_OUT, held_out_replay
from kb.finetune.watchlist import read_watchlist, watchlist, with_known, write_watchlist
from kb.records import Fact, Knownness, Question

ALL = TrainConfig(watch_share=1.0)


@pytest.fixture
def watched(workspace, prompts):
    """A function that makes the list of the workspace under settings."""

    def make(config=ALL, replay=None):
        return watchlist(workspace.store, prompts, config, replay)

    return make


def asked(part):
    """The questions of a part of the list, without the prompt around them."""
    return [one.messages[-1].content for one in part]


def test_held_out_and_one_trained_wording_of_each_fact(watched, workspace):
    """In both languages, asked as the evaluation asks, with the facts' own answers."""
    found = watched()
    assert set(found.facts) == {fact.id for fact in workspace.store.all(Fact)}
    assert "Q: PROBE Arin mass?" in asked(found.held_out)
    assert "一 PROBE 产品Dema mass?" in asked(found.held_out)
    assert "Q: What does Arin weigh?" in asked(found.trained)
    assert "一 产品Dema一共多重？" in asked(found.trained)
    assert [one.fact for one in found.trained] == list(found.facts)
    assert dict(zip(found.facts, (one.gold for one in found.held_out), strict=True))["fct_3"] == "6千克"


def test_the_split_is_a_share_with_a_limit(watched):
    """A tenth of twelve facts is one, and never more than `watch_facts`."""
    assert len(watched(TrainConfig()).facts) == 1
    assert len(watched(replace(ALL, watch_facts=5)).facts) == 5
    assert watched(replace(ALL, watch=False)).facts == ()


def test_the_split_stays_when_documents_come(watched, workspace, add):
    """By what the facts say, not by their number or place."""
    some = replace(ALL, watch_share=0.5)
    before = watched(some).facts
    facts = workspace.store.all(Fact)
    for number in range(12):
        fact = replace(facts[number], id=f"fct_n{number}", statement=f"Another thing {number} weighs 900 kg.")
        workspace.store.put([fact])
        add.question(workspace.store, f"n{number}", fact, f"Weight of another {number}?", "train")
        add.question(workspace.store, f"n{number}p", fact, f"PROBE another {number}?", "probe")
    after = set(watched(some).facts)
    old = {fact for fact in after if not fact.startswith("fct_n")}
    assert len(after) == 12
    assert len(old) >= 3
    # None was drawn anew: the old ones that are watched are as many of the lowest as there is room for.
    assert old <= set(before) or set(before) <= old


def test_a_fact_without_held_out_wordings_is_never_watched(watched, workspace):
    """Nor one that no question teaches: its wordings measure something else."""
    store = workspace.store
    with store.transaction():
        store.sql("DELETE FROM questions WHERE fact_id = 'fct_0' AND split = 'probe'")
        store.sql("UPDATE facts SET taught = 'text' WHERE id = 'fct_1'")
    assert not {"fct_0", "fct_1"} & set(watched().facts)
    with store.transaction():
        store.sql("DELETE FROM questions WHERE split = 'probe'")
    assert watched().facts == ()


def test_held_out_questions_without_an_answer_are_watched(watched, workspace, add):
    """Of the watched facts alone; declining is right."""
    fact = workspace.store.all(Fact)[0]
    add.question(workspace.store, "near", fact, "PROBE Nobody mass?", "probe", "near_miss")
    found = watched().refusals
    assert [(one.fact, one.gold) for one in found] == [(fact.id, "")]
    assert asked(found) == ["Q: PROBE Nobody mass?"]


def test_trained_refusals_and_other_kinds_are_not_watched(watched, workspace, add):
    """A near miss that is trained is no measure, and a reversed or foreign wording is measured apart."""
    fact = workspace.store.all(Fact)[0]
    for kind in ("reversed", "cross_lingual"):
        workspace.store.put([
            Question(f"qst_{kind}", fact.chunk_id, fact.id, kind, "probe", f"PROBE {kind}?", "en", "hand", "x")
        ])  # fmt: skip
    found = watched()
    assert found.refusals == ()
    assert not [text for text in asked(found.held_out) if "reversed" in text or "cross" in text]


def test_general_prompts_are_the_models_own_rows_that_are_never_replayed(watched, tmp_path):
    """And where it ships none, kb's own in both languages; those that ask without passages may be known."""
    file = tmp_path / "replay.jsonl"
    shapes = ("Q: Who runs {}?", "一 {}归谁管？", "[1] {} is run by Ann.\nQ: Who runs {}?", "Facts: {}")
    rows = [
        {
            "messages": [
                {"role": "user", "content": shapes[n % 4].format(n, n)},
                {"role": "assistant", "content": f"Ann {n}"},
            ]
        }
        for n in range(40 * HELD_OUT)
    ]
    rows[:] = [{"messages": [row["messages"][0], {"role": "assistant", "content": "I don't know."}]} if n % 7 == 0
               else row for n, row in enumerate(rows)]  # fmt: skip
    file.write_text("\n".join(json.dumps(row) for row in rows))
    found = watched(replay=file)
    held = {row.messages: row.answer for row in held_out_replay(file)}
    assert set(found.general) <= set(held)
    assert len(found.general) == min(48, len(held))
    texts = asked(found.known)
    assert texts
    assert all(text.startswith(("Q: Who", "一 ")) for text in texts)
    assert {one.gold.partition(" ")[0] for one in found.known} == {"Ann"}
    ours = watched().general
    assert any(chat[-1].content.isascii() for chat in ours)
    assert any(not chat[-1].content.isascii() for chat in ours)
    assert watched().known == ()


def test_facts_that_the_base_knows_are_watched_too(watched, workspace, prompts):
    """In one held-out wording each; those that it half knows, or another model knows, are not."""
    rows = [("fct_0", "me", 4), ("fct_1", "me", 2), ("fct_2", "other", 4), ("fct_3", "me", 4)]
    workspace.store.put([Knownness(f"kno_{fact}", fact, model, 4, right) for fact, model, right in rows])
    found = with_known(watched(), workspace.store, prompts, "me")
    assert {one.fact for one in found.known} == {"fct_0", "fct_3"}
    assert set(asked(found.known)) == {"Q: PROBE Arin mass?", "一 PROBE 产品Dema mass?"}


def test_the_list_comes_back_from_its_file(watched, tmp_path):
    """As it was; a folder without one has nothing to watch."""
    found = watched()
    write_watchlist(tmp_path, found)
    assert read_watchlist(tmp_path) == found
    assert read_watchlist(tmp_path / "elsewhere").facts == ()


def test_the_key_is_of_what_decides(watched):
    """Held-out wordings and general prompts; not the trained wordings, and nothing of a list that decides nothing."""
    found = watched()
    assert replace(found, trained=(), known=(), batch_tokens=1).key == found.key
    assert replace(found, held_out=found.held_out[1:]).key != found.key
    assert replace(found, general=found.general[1:]).key != found.key
    assert watched(TrainConfig()).key == ""
