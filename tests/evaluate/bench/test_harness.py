"""`kb bench run` with lm-evaluation-harness itself, on the lab model with an adapter; runs where it is installed."""

import json

import pytest

from kb.evaluate.bench.imported import import_files
from kb.evaluate.bench.run import run
from kb.evaluate.bench.sets import SETS
from kb.llm.base import ModelConfig
from kb.llm.identity import combine, folder_identity
from kb.llm.local import LocalLLM
from kb.llm.open import lab_folder
from kb.llm.weights import load_base
from kb.runs import Lineage, register
from kb.workspace import Workspace, read_jsonl

pytestmark = pytest.mark.slow

LAB = ModelConfig(name="lab", load_in_4bit=False)
LETTERED = {"A": "甲", "B": "乙", "C": "丙", "D": "丁"}
ROWS = {
    "mmlu": {"question": "Which?", "subject": "anatomy", "choices": ["a", "b", "c", "d"], "answer": 1},
    "arc": {"question": "When?", "choices": {"text": ["1990-01-01", "1991-01-01"], "label": ["1", "2"]},
            "answerKey": "2"},
    "hellaswag": {"activity_label": "Tea", "ctx_a": "He pours.", "ctx_b": "he", "endings": ["drinks", "flies"],
                  "label": "0"},
    "truthfulqa": {"question": "Is it?", "mc1_targets": {"Yes": 1, "No": 0}},
    "ceval": {"question": "哪项正确？", **LETTERED, "answer": "C", "subject": "law"},
    "cmmlu": {"Question": "哪项正确？", **LETTERED, "Answer": "D", "subject": "anatomy"},
    "gsm8k": {"question": "One and one?", "answer": "Two.\n#### 2"},
}  # fmt: skip


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """An adapter of random numbers on the lab model."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    layers = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("random") / "adapter"
    get_peft_model(load_base(lab_folder(), False), layers).save_pretrained(folder)
    return folder


@pytest.fixture
def place(adapter, tmp_path, monkeypatch):
    """A workspace with four items of every benchmark and a run."""
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path / ".kb", create=True)
    base = combine([folder_identity(lab_folder(), workspace.store), "nf4=False"])
    found = folder_identity(adapter, workspace.store)
    lineage = Lineage("lab", base, str(adapter), found, "d", "x", 4, "q", "", "")
    register(workspace.store, "random", {}, {"sft": {}}, lineage)
    for name, row in ROWS.items():
        file = tmp_path / f"{name}.jsonl"
        question = next(key for key in ("question", "Question", "ctx_a") if key in row)
        rows = [row | {question: f"{row[question]} ({number})"} for number in range(4)]
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        import_files(workspace, name, [file], "")
    return workspace


def test_all_benchmarks_before_and_after(place):
    """Each runs offline from its file; log-probabilities of the right choice move with the adapter, and are kept."""
    report = run(place, LAB, (), 3, "random")
    assert [task.name for task in report.tasks] == list(SETS)
    assert {task.items for task in report.tasks} == {3}
    assert report.exit_code == 0
    rows = read_jsonl(place.eval(report.name) / "items.jsonl")
    assert len(rows) == 3 * len(SETS)
    assert all((row["shift"] is None) == (row["task"] == "gsm8k") for row in rows)
    assert all(row["shift"] for row in rows if row["task"] != "gsm8k")
    written = json.loads((place.eval(report.name) / "bench.json").read_text(encoding="utf-8"))
    assert written["tasks"][0]["difference"] == report.json()["tasks"][0]["difference"]
    assert run(place, LAB, (), 3, "random").tasks == report.tasks


def test_an_adapter_that_is_not_on_is_told(place, monkeypatch):
    """Base and tuned then agree in every digit, and the command fails."""
    monkeypatch.setattr(LocalLLM, "active", lambda self: self.weights.model.disable_adapter())
    report = run(place, LAB, ("arc", "ceval"), 0, "random")
    assert (report.applied, report.exit_code) == (False, 3)
    assert [task.difference.value for task in report.tasks] == [0.0, 0.0]
