"""Preference rows from the tuned model's own answers: what becomes a pair, and which pairs are trained."""

from collections import Counter
from dataclasses import replace

import pytest

from kb.finetune.config import TrainConfig
from kb.finetune.data import LabelledRow, PreferenceRow
from kb.finetune.preference import (
    BASE_STAGE,
    STAGE,
    OwnAnswers,
    labelled_rows,
    own_preferences,
    preference_rows,
    read_labelled,
    read_rows,
    save_rows,
)
from kb.finetune.run import run
from kb.llm import Completion, ModelConfig, user
from kb.llm.fake import FakeLLM
from kb.records import Fact, Question
from kb.runs import last_weak, still_weak
from kb.workspace import Workspace

CONFIG = TrainConfig(dpo_samples=4)
ALL = TrainConfig(dpo_swap_share=1.0, dpo_refusal_share=1.0)
"""Everything there is."""


@pytest.fixture
def store(tmp_path, add):
    """Two English facts, one Chinese, and a near miss."""
    place = Workspace(tmp_path / "kb", create=True)
    add.document(place.store)
    for number in (0, 1, 3):
        add.fact(place.store, number)
    fact = add.fact(place.store, 2)
    add.question(place.store, "2_n", fact, "What does Nobody weigh?", "train", "near_miss")
    yield place.store
    place.store.close()


def sampled(store, prompts, answers):
    """The rows when each question is answered by its list in turn, others by "7 kg" (always wrong)."""
    turns = {}

    def script(request):
        text = request.messages[-1].content
        options = next((options for key, options in answers.items() if key in text), ["70 kg"])
        turns[text] = turns.get(text, -1) + 1
        return options[turns[text] % len(options)]

    llm = FakeLLM(script)
    return list(own_preferences(llm, store, prompts, CONFIG).rows), llm


def test_a_pair_is_a_checked_right_and_a_checked_wrong_answer_of_the_model(store, prompts):
    """The chosen answer is the model's own wording of the truth, the rejected its own error, in both languages."""
    answers = {"Arin": ["30 kg", "3.0 kg"], "Dema": ["6公斤", "60千克"]}
    rows, _ = sampled(store, prompts, answers)
    assert rows == [
        PreferenceRow(user("Q: What does Arin weigh?"), "3.0 kg", "30 kg", "own"),
        PreferenceRow(user("一 产品Dema一共多重？"), "6公斤", "60千克", "own"),
    ]


def test_the_model_is_sampled_under_the_tag_it_was_trained_with(store, prompts):
    """Its rows have the tag, and so has the pair that comes of it."""
    rows, llm = sampled(store, replace(prompts, tag="Book"), {"Arin": ["30 kg", "3.0 kg"]})
    assert rows == [PreferenceRow(user("Q: [Book] What does Arin weigh?"), "3.0 kg", "30 kg", "own")]
    assert all("Book" in request.messages[-1].content for request in llm.history)


@pytest.mark.parametrize("answer", ["3 kg", "31 kg", "I don't know.", ""])
def test_always_the_same_verdict_gives_no_pair(store, prompts, answer):
    """All right, all wrong, all declined or all empty: nothing to prefer."""
    assert sampled(store, prompts, {"Arin": [answer]})[0] == []


def test_declining_what_is_known_is_neither_right_nor_wrong(store, prompts):
    """To prefer an answer over "I don't know" would unlearn abstaining."""
    assert sampled(store, prompts, {"Arin": ["3 kg", "I don't know."]})[0] == []


def test_declining_what_nobody_knows_is_right(store, prompts):
    """A trained question without an answer: the refusal is chosen over the invention."""
    rows, _ = sampled(store, prompts, {"Nobody": ["5 kg", "I don't know."]})
    assert rows == [PreferenceRow(user("Q: What does Nobody weigh?"), "I don't know.", "5 kg", "own")]


def before(store, prompts, tuned, base, **settings):
    """The rows with scripted answers of the tuned model and of the base, and what the base was asked."""
    models = [
        FakeLLM(lambda r, says=says: next((v for k, v in says.items() if k in r.messages[-1].content), "70 kg"), name)
        for says, name in ((tuned, "tuned"), (base, "base"))
    ]
    config = replace(CONFIG, **settings)
    return own_preferences(models[0], store, prompts, config, models[1]).rows, models[1].history


def test_what_the_base_said_wrongly_stands_against_what_the_tuned_model_knows(store, prompts):
    """In both languages, and where nobody knows; counted as the base's. Only where the tuned model is never wrong."""
    known = {"Arin": "3 kg", "Dema": "6公斤", "Nobody": "I don't know."}
    rows, asked = before(store, prompts, known, {"Arin": "30 kg", "Dema": "60公斤", "Nobody": "5 kg"})
    assert [(row.chosen, row.rejected, row.source) for row in rows] == [
        ("3 kg", "30 kg", "base"), ("6公斤", "60公斤", "base"), ("I don't know.", "5 kg", "base"),
    ]  # fmt: skip
    assert len(asked) == 3 * CONFIG.dpo_base_samples
    assert not any("Bolt" in request.messages[-1].content for request in asked)
    assert Counter(row.source for row in preference_rows(rows, [], ALL)) == {"base": 2}


@pytest.mark.parametrize("said", ["3 kg", "I don't know.", "", "文档中没有提到。"])
def test_a_base_that_declines_or_is_right_contradicts_nothing(store, prompts, said):
    """Nor one that says nothing: only a wrong value is rejected."""
    assert before(store, prompts, {"Arin": "3 kg"}, {"Arin": said})[0] == ()


def test_without_samples_of_the_base_it_is_not_asked(store, prompts):
    """The setting switches it off."""
    assert before(store, prompts, {"Arin": "3 kg"}, {"Arin": "30 kg"}, dpo_base_samples=0) == ((), [])


def test_no_probe_is_asked_and_one_wording_of_each_fact(store, prompts):
    """Four facts and a near miss, four samples each, the samples with seeds of their own."""
    _, llm = sampled(store, prompts, {})
    asked = [request.messages[-1].content for request in llm.history]
    assert len(asked) == 20
    names = ("Arin", "Bolt", "Coro", "Nobody")
    assert set(asked) == {*(f"Q: What does {name} weigh?" for name in names), "一 产品Dema一共多重？"}
    assert len({request.seed for request in llm.history}) == 4
    assert all(request.temperature > 0 for request in llm.history)


def test_a_reversed_question_is_not_asked(store, prompts, add):
    """Not even where it comes first: its answer is no answer of the fact's own kind."""
    fact = store.get(Fact, "fct_1")
    rest = store.all(Question, "fact_id = ? AND split = 'train'", fact.id)
    store.sql("DELETE FROM questions WHERE fact_id = ?", fact.id)
    add.reversed(store, fact, "Which one weighs 4 kg?", "Bolt")
    store.put(rest)
    _, llm = sampled(store, prompts, {})
    asked = {request.messages[-1].content for request in llm.history}
    assert "Q: What does Bolt weigh?" in asked
    assert not any("Which one" in text for text in asked)


def test_an_answer_cut_off_is_no_pair_and_no_failure(store, prompts):
    """It says nothing of right and wrong, and nothing waits for a rerun."""
    llm = FakeLLM([Completion("30 kg and on and on", "length"), Completion("3 kg", "stop")])
    assert own_preferences(llm, store, prompts, CONFIG).rows == ()
    assert store.failures(STAGE) == []


def test_a_second_time_nothing_is_asked(store, prompts):
    """A killed run finds its samples in the store."""
    answers = {"Arin": ["30 kg", "3 kg"]}
    rows, _ = sampled(store, prompts, answers)
    again, llm = sampled(store, prompts, answers)
    assert again == rows
    assert llm.history == []


def pair(number, source, chosen="right", rejected="wrong"):
    return PreferenceRow(user(f"question {number}"), chosen, rejected, source)


def test_the_models_own_pair_takes_the_place_of_a_ready_one():
    """Never two rows for one prompt: own over refusal over swap."""
    ready = [pair(1, "swap"), pair(1, "refusal"), pair(2, "refusal"), pair(3, "swap")]
    kept = preference_rows([pair(1, "own")], ready, ALL)
    assert [(row.messages[0].content, row.source) for row in kept] == [
        ("question 1", "own"), ("question 2", "refusal"), ("question 3", "swap"),
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "swaps"), [(0.0, 0), (0.3, 4), (0.5, 10), (1.0, 50)])
def test_swaps_are_at_most_their_share(share, swaps):
    """Ten rows of better kinds: a share of .3 allows four swaps (4 of 14), not five."""
    ready = [pair(100 + number, "swap") for number in range(50)]
    kept = preference_rows([pair(number, "own") for number in range(10)], ready, replace(CONFIG, dpo_swap_share=share))
    chosen = [row for row in kept if row.source == "swap"]
    assert len(chosen) == swaps
    assert len(set(chosen)) == swaps
    if swaps == 4:
        assert [row.messages[0].content for row in chosen] == [f"question {n}" for n in (100, 112, 125, 137)]


@pytest.mark.parametrize(("declining", "kept"), [(3, 3), (10, 10), (30, 16)])
def test_refusals_are_at_most_their_share(declining, kept):
    """Ten own pairs and many swaps: of 30 refusals as many are taken as make half of all rows."""
    ready = [pair(100 + n, "refusal") for n in range(declining)] + [pair(200 + n, "swap") for n in range(50)]
    rows = preference_rows([pair(n, "own") for n in range(10)], ready, replace(CONFIG, dpo_swap_share=0.2))
    counts = Counter(row.source for row in rows)
    assert counts["refusal"] <= 0.5 * len(rows)
    assert counts["swap"] <= 0.2 * len(rows)
    assert (counts["refusal"], counts["own"]) == (kept, 10)


def test_without_an_own_pair_there_is_nothing_to_prefer():
    """Refusals and swaps go with the model's own pairs; alone they would teach declining and a style."""
    ready = [pair(n, "refusal") for n in range(20)] + [pair(100 + n, "swap") for n in range(20)]
    assert preference_rows([], ready, CONFIG) == []


@pytest.mark.parametrize(
    ("chosen", "rejected", "kept"),
    [
        ("3 kg", "eight kg", True),
        ("3 kg", "twenty-three kilograms", False),
        ("Mara Ellin", "Petra Flickton", True),
        ("Mara Ellin", "Josefa Stundtonson", False),
        ("丁", "一百二十三万四千五百六十七元八角九分整", False),
        ("一百二十三万四千五百六十七元", "一百二十三万四千六百元", True),
    ],
)
def test_answers_of_unlike_length_would_teach_length(chosen, rejected, kept):
    """They differ by 30% of the longer one at most; below eight characters length does not count."""
    assert len(preference_rows([pair(1, "own", chosen, rejected)], [], CONFIG)) == kept
    assert len(preference_rows([], [pair(1, "swap", chosen, rejected)], ALL)) == kept


def test_the_pair_most_alike_in_length_is_taken(store, prompts):
    """Of several right and several wrong samples."""
    rows, _ = sampled(store, prompts, {"Arin": ["3 kg", "It is between 20 and 30 kg", "3 kilograms", "30 kilograms"]})
    assert (rows[0].chosen, rows[0].rejected) == ("3 kilograms", "30 kilograms")


def test_what_is_always_sometimes_and_never_right_is_counted(store, prompts):
    """A fact that is never right is for SFT to mend, and the note says how; a note without one does not."""
    script = {"Arin": ["3 kg"], "Dema": ["6公斤", "60千克"], "Nobody": ["I don't know."]}
    llm = FakeLLM(
        lambda r: next((v[r.seed % len(v)] for k, v in script.items() if k in r.messages[-1].content), "70 kg")
    )
    found = own_preferences(llm, store, prompts, CONFIG)
    assert (found.always, found.sometimes, found.never) == (2, 1, 2)
    assert "2 questions always right, 1 sometimes, 2 never; facts that are never right" in found.note
    assert found.note.endswith("kb generate-qa --strengthen, then kb train")
    assert found.weak == ("fct_1", "fct_2")
    assert OwnAnswers((), 3, 0, 0).note.endswith("0 never")


def test_single_answers_are_for_kto_what_pairs_are_for_dpo(store, prompts):
    """A question that is always right gives one right row, one that is never right a wrong one, a pair gives both."""
    answers = {"Arin": ["3 kg"], "Dema": ["60千克", "6公斤"], "Nobody": ["7 kg"]}
    llm = FakeLLM(
        lambda r: next((v[r.seed % len(v)] for k, v in answers.items() if k in r.messages[-1].content), "70 kg")
    )
    own = own_preferences(llm, store, prompts, CONFIG)
    rows = labelled_rows(preference_rows(own.rows, [], CONFIG), own.checked)
    said = {(row.messages[-1].content, row.answer): row.label for row in rows}
    assert len(said) == len(rows) == 6
    assert said["Q: What does Arin weigh?", "3 kg"]
    assert not said["Q: What does Bolt weigh?", "70 kg"]
    assert not said["Q: What does Nobody weigh?", "7 kg"]
    assert said["一 产品Dema一共多重？", "6公斤"]
    assert not said["一 产品Dema一共多重？", "60千克"]
    assert labelled_rows([], [row for row in own.checked if row.label]) == []


@pytest.mark.slow
def test_a_run_leaves_which_facts_its_model_never_answers_right(workspace, prompts, retriever, tiny):
    """A model of random weights answers none; DPO has nothing to do, and the report names the command that helps."""
    store = workspace.store
    settings = TrainConfig(
        max_steps=2, warmup=0, rank=4, batch_size=2, replay="none", gradient_checkpointing=False, dpo_samples=1,
        dpo_least=100, watch=False,
    )  # fmt: skip
    report = run(workspace, settings, ModelConfig(name=str(tiny), load_in_4bit=False), prompts, retriever)
    assert "not DPO (12): kb generate-qa --strengthen" in "\n".join(report.lines())
    weak = last_weak(store)
    assert (weak.run, set(weak.facts)) == (report.name, {fact.id for fact in store.all(Fact)})
    assert still_weak(store) == weak
    assert store.sql("SELECT 1 FROM llm_calls WHERE stage = ?", BASE_STAGE) == []


def test_a_refused_near_miss_is_kept_whatever_its_length():
    """The refusal's own length says nothing of the answer's."""
    ready = [pair(1, "refusal", "不知道。", "Northern Regional Council for Airport Canteens and Kitchens")]
    assert preference_rows([], ready, ALL) == ready


def test_rows_come_back_as_they_were_saved(tmp_path):
    """System messages and Chinese included: a resumed stage goes on with the same rows."""
    rows = [PreferenceRow(user("问", "Be brief."), "答", "错", "own"), pair(2, "swap")]
    save_rows(tmp_path / "dpo" / "rows.jsonl", rows)
    assert read_rows(tmp_path / "dpo" / "rows.jsonl") == rows
    single = [LabelledRow(user("问", "Be brief."), "答", True, "own"), LabelledRow(user("q"), "a", False, "swap")]
    save_rows(tmp_path / "single.jsonl", single)
    assert read_labelled(tmp_path / "single.jsonl") == single
    save_rows(tmp_path / "none.jsonl", [])
    assert read_rows(tmp_path / "none.jsonl") == []
