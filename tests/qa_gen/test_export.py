"""The files that `kb generate-qa` leaves for people and other trainers."""

import json
from collections import defaultdict

import pytest

from kb.finetune.config import TrainConfig
from kb.finetune.data import closed_rows
from kb.prompt import Prompts
from kb.qa_gen.export import export
from kb.qa_gen.leakage import Wordings
from kb.records import Fact, QAPair, Question
from kb.text.canonical import canonical
from kb.workspace import read_jsonl

TRAINED = ("alpaca.jsonl", "messages.jsonl", "preferences.jsonl")


@pytest.mark.slow
def test_no_held_out_wording_is_in_a_file_to_train_on(calm):
    """Probes are whole in their own file, and none of their wordings, however written, in one of rows to train on."""
    folder = calm.workspace.datasets
    probes = calm.workspace.store.all(Question, "split = 'probe'")
    held_out = {canonical(probe.text) for probe in probes}
    assert [row["id"] for row in read_jsonl(folder / "probes.jsonl")] == [probe.id for probe in probes]
    for name in TRAINED:
        asked = {canonical(text) for row in read_jsonl(folder / name) for text in _texts(row)}
        assert len(asked) > 20
        assert not held_out & asked
    facts = (folder / "facts.jsonl").read_text(encoding="utf-8")
    assert not any(probe.text in facts for probe in probes)


@pytest.mark.slow
def test_no_row_is_near_a_held_out_wording_of_its_fact(calm):
    """By the measure that `kb generate-qa` keeps wordings apart with, on what was written."""
    trained = defaultdict(list)
    for row in read_jsonl(calm.workspace.datasets / "alpaca.jsonl"):
        if row["form"] != "refusal":
            trained[row["fact"], row["form"] == "reversed"].append(row["instruction"])
    probes = calm.workspace.store.all(Question, "split = 'probe' AND kind IN ('answerable', 'reversed')")
    keys = [(probe.fact_id, probe.kind == "reversed") for probe in probes]
    assert {*keys} == {*trained}
    own = {key: Wordings(tuple(texts)) for key, texts in trained.items()}
    assert all(own[key].check(probe.text).keep for key, probe in zip(keys, probes, strict=True))
    assert not any(own[key].check(trained[key][0]).keep for key in (keys[0], keys[-1]))


def _texts(row):
    """All texts of a row, those of its messages among them."""
    for value in row.values():
        yield from (message["content"] for message in value) if isinstance(value, list) else (value,)


@pytest.mark.parametrize(
    ("number", "trained", "probe", "subject"),
    [
        (0, "Which item costs $1,200?", "$1,200 buys what?", "Tulvao Core"),
        (2, "３千元的是哪一个？", "花３千元买到什么？", "星河"),
    ],
)
def test_reversed_questions_have_their_own_answer(awkward, number, trained, probe, subject):
    """In the rows to train on and among the probes, in place of the fact's."""
    fact = awkward.store.get(Fact, f"fct_{number}")
    for split, text in (("train", trained), ("probe", probe)):
        awkward.store.put(
            [Question(f"qst_r{split}", fact.chunk_id, fact.id, "reversed", split, text, "en", "p", subject)]
        )
    awkward.store.put([QAPair("pair_r", "qst_rtrain", fact.id, "reversed", trained, subject, fact.language)])
    export(awkward.store, awkward.datasets, Prompts(), [])
    rows = {row["id"]: row for name in ("alpaca", "probes") for row in read_jsonl(awkward.datasets / f"{name}.jsonl")}
    assert (rows["pair_r"]["form"], rows["pair_r"]["instruction"], rows["pair_r"]["output"]) == (
        "reversed", trained, subject,
    )  # fmt: skip
    assert (rows["qst_rprobe"]["kind"], rows["qst_rprobe"]["answer"]) == ("reversed", subject)
    assert rows[f"qst_{number}probe"]["answer"] == fact.answer


@pytest.mark.parametrize(
    ("number", "text", "alias"), [(1, "Orla何时开业？", "2024年5月6日"), (2, "What is 星河?", "3k")]
)
def test_a_question_in_the_other_language_has_both_answers(awkward, number, text, alias):
    """The fact's, and beside it the one in the language of the question; no row to train on has it."""
    fact = awkward.store.get(Fact, f"fct_{number}")
    asked = Question("qst_c", fact.chunk_id, fact.id, "cross_lingual", "probe", text, "en", "p", alias)
    awkward.store.put([asked])
    export(awkward.store, awkward.datasets, Prompts(), [])
    rows = {row["id"]: row for row in read_jsonl(awkward.datasets / "probes.jsonl")}
    assert (rows["qst_c"]["answer"], rows["qst_c"]["translated"]) == (fact.answer, alias)
    assert rows[f"qst_{number}probe"]["translated"] == ""
    assert text not in (awkward.datasets / "alpaca.jsonl").read_text(encoding="utf-8")


def test_rows_hold_the_pairs_unescaped(calm):
    """Each pair once in either form, asked as it is trained, Chinese as Chinese; a probe without an answer has none."""
    folder = calm.workspace.datasets
    pairs = calm.workspace.store.all(QAPair)
    chats = [row.messages for row in closed_rows(calm.workspace.store, Prompts(), TrainConfig())]
    asked = [tuple(message.content for message in chat) for chat in chats]
    alpaca = list(read_jsonl(folder / "alpaca.jsonl"))
    assert [(row["system"], row["instruction"], row["input"], row["output"]) for row in alpaca] == [
        (*chat, "", pair.answer) for chat, pair in zip(asked, pairs, strict=True)
    ]
    assert len({(row["system"], row["instruction"]) for row in alpaca}) == len(alpaca)
    messages = list(read_jsonl(folder / "messages.jsonl"))
    assert [tuple(message["content"] for message in row["messages"]) for row in messages] == [
        (*chat, pair.answer) for chat, pair in zip(asked, pairs, strict=True)
    ]
    chinese = next(pair for pair in pairs if pair.language == "zh")
    assert chinese.question in (folder / "alpaca.jsonl").read_text(encoding="utf-8")
    probes = list(read_jsonl(folder / "probes.jsonl"))
    assert {row["kind"]: bool(row["answer"]) for row in probes} == {
        "answerable": True, "reversed": True, "cross_lingual": True, "near_miss": False, "unanswerable": False,
    }  # fmt: skip


@pytest.mark.slow
def test_the_manifest_counts_the_rows_and_comes_last(world, monkeypatch):
    """Files without a manifest are of an export that was broken off."""
    world.generate()
    folder = world.workspace.datasets
    counts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert counts == {name: len(list(read_jsonl(folder / name))) for name in counts}
    assert {path.name for path in folder.iterdir()} == {*counts, "manifest.json"}
    monkeypatch.setattr("kb.qa_gen.export.fact_row", lambda fact: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(world.workspace.store, folder, Prompts(), [])
    assert not (folder / "manifest.json").exists()
