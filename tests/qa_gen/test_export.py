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
            trained[row["fact"]].append(row["instruction"])
    probes = calm.workspace.store.all(Question, "split = 'probe' AND kind = 'answerable'")
    assert {probe.fact_id for probe in probes} == {*trained}
    assert all(Wordings(tuple(trained[probe.fact_id])).check(probe.text).keep for probe in probes)
    assert not Wordings(tuple(trained[probes[0].fact_id])).check(trained[probes[0].fact_id][0]).keep


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
        "answerable": True, "near_miss": False, "unanswerable": False,
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
