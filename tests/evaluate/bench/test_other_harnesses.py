"""Exported probes run back by lm-evaluation-harness, Inspect and evalscope themselves, where they are installed.

The pins of evalscope exclude kb's own version of datasets, so it takes an environment made for it, with
`PYTHONPATH=.links` after `make links`.
"""

import functools

import pytest

from kb.evaluate.bench.export import export
from kb.evaluate.run import EvalConfig, run
from kb.llm.base import ModelConfig
from kb.llm.open import lab_folder
from kb.llm.weights import load_weights
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import read_jsonl

pytestmark = pytest.mark.slow

EVAL = EvalConfig(compare=("none",), rings="none", resamples=100)
LAB = ModelConfig(name="lab", load_in_4bit=False)


@pytest.fixture(scope="module")
def own(partly_known, lab_prompts):
    """What `kb eval` says of the lab model: verdict by probe, and the arm."""
    retriever = functools.partial(open_retriever, partly_known, RetrievalConfig(embedder="none"))
    done = run(partly_known, EVAL, LAB, lab_prompts, retriever)
    rows = read_jsonl(partly_known.eval(done.name) / "answers.jsonl")
    arm = next(arm for arm in done.report.arms if arm.arm == "base")
    assert 0.2 < arm.correct.value < 0.8
    return {row["probe_id"]: row for row in rows}, arm


@pytest.fixture
def exported(partly_known, lab_prompts, tmp_path):
    """A function that exports for a harness and gives the folder."""

    def make(target):
        export(partly_known.store, EVAL, lab_prompts, target, tmp_path / "made")
        return tmp_path / "made"

    return make


def test_lm_eval_gives_the_same_figures(own, exported, tmp_path, monkeypatch):
    """On the same weights it asks the same prompts, gets the same answers and prints kb's own closed-book figures."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.chdir(tmp_path)
    rows, arm = own
    weights = load_weights(lab_folder(), False, 4096, None)
    lm = HFLM(pretrained=weights.model, tokenizer=weights.tokenizer, batch_size=8, enable_thinking=False)
    tasks = TaskManager(include_path=str(exported("lm-eval")), include_defaults=False)
    found = simple_evaluate(
        model=lm, tasks=["kb_held_out", "kb_near_miss"], task_manager=tasks, apply_chat_template=True, bootstrap_iters=0
    )
    held, near = (found["results"][f"kb_{kind}"] for kind in ("held_out", "near_miss"))
    assert held["correct,none"] == pytest.approx(arm.correct.value)
    assert [held[f"{verdict},none"] for verdict in ("wrong", "abstained", "unparsed")] == pytest.approx(
        [arm.wrong, arm.abstained, arm.unparsed]
    )
    assert near["correct,none"] == pytest.approx(arm.near_miss.value)
    for sample in (sample for samples in found["samples"].values() for sample in samples):
        asked, answer = sample["arguments"][0][0], sample["filtered_resps"][0]
        chat = [{"role": "user", "content": sample["doc"]["user"]}]
        assert asked == weights.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        assert answer.strip() == rows[sample["doc"]["id"]]["answer"]


def test_inspect_gives_the_same_verdicts(own, exported, tmp_path, monkeypatch):
    """It asks the lab model the same, and kb's scorer decides; the interval is clustered by fact."""
    pytest.importorskip("inspect_ai")
    from inspect_ai import eval as run_inspect

    monkeypatch.chdir(exported("inspect"))
    rows, arm = own
    options = {"model_path": str(lab_folder()), "do_sample": False}
    (log,) = run_inspect("kb_probes.py", model="hf/local", model_args=options, display="none", log_dir=str(tmp_path))
    assert log.status == "success"
    metrics = log.results.scores[0].metrics
    assert metrics["accuracy"].value == pytest.approx(arm.correct.value)
    assert metrics["stderr"].value > 0
    for sample in log.samples:
        verdict, _, rule = sample.scores["kb_judge"].explanation.partition(": ")
        assert (verdict, rule) == (rows[sample.id]["verdict"], rows[sample.id]["rule"])


def test_evalscope_reads_every_probe(exported, tmp_path, monkeypatch):
    """Its own benchmark for questions with a text as the answer asks the same chats and knows what is right."""
    pytest.importorskip("evalscope")
    from evalscope.api.registry import get_benchmark
    from evalscope.config import TaskConfig

    monkeypatch.chdir(tmp_path)
    folder = exported("evalscope")
    settings = {"general_qa": {"local_path": str(folder), "subset_list": ["held_out", "near_miss"]}}
    task = TaskConfig(model="m", eval_type="mock_llm", datasets=["general_qa"], dataset_args=settings)
    read = get_benchmark("general_qa", task).load_dataset()
    for kind in ("held_out", "near_miss"):
        found = [(sample.input[-1].content, sample.target) for sample in read[kind]]
        assert found == [(row["query"], row["response"]) for row in read_jsonl(folder / f"{kind}.jsonl")]
