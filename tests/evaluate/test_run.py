"""`kb eval` with scripted models: a base that reads and knows nothing, and a tuned one that knows."""

import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from kb.cli import app
from kb.errors import ConfigError, UsageError, WorkspaceError
from kb.evaluate import contenders as opening
from kb.evaluate import run as evaluation
from kb.evaluate.following import following_probes
from kb.evaluate.names import PROVENANCE
from kb.evaluate.rescore import rescore
from kb.evaluate.run import EvalConfig
from kb.llm import Completion, ModelConfig
from kb.llm.fake import FakeLLM
from kb.llm.identity import combine
from kb.llm.tuned import questions_hash
from kb.prompt import Prompts
from kb.qa_gen.remedies import Failure, read_failures
from kb.records import Diagnosis, Fact, Knownness, QAPair, Question, make_id
from kb.runs import Lineage, register
from kb.workspace import Workspace

pytestmark = pytest.mark.slow
"""Every test runs the whole stage: a twentieth of a second each."""

RINGS_OF_KB = {"known": 2, "reading": 2, "never": 2}
"""Questions of each ring with a limit of one, in both languages together."""
QUICK = {"rings": "none", "resamples": 200, "instructions": 0}
KNOWS = ("349 crowns", "Mara Ellin", "210元")
"""What the tuned model has learnt: three of the four facts."""
RINGS = (
    {"ring": "known", "question": "Who runs Ostrel?", "answer": "Ana Bo", "language": "en", "type": "name"},
    {
        "ring": "reading",
        "question": "How heavy?",
        "answer": "3 grams",
        "language": "en",
        "passages": "[1] It: 3 grams.",
    },
    {"ring": "never", "question": "谁是泽马？", "answer": "", "language": "zh"},
)


class Bench:
    """A workspace, its models, and the evaluation of the two."""

    def __init__(self, handmade, patch, folder):
        self.place, self.store = handmade, handmade.workspace.store
        self.base = FakeLLM(handmade.script(), "base model")
        self.tuned = FakeLLM(handmade.script(KNOWS), "tuned model")
        self.adapter = folder / "adapter"
        self.adapter.mkdir()
        self.runs, self.models = {}, {}
        patch.setattr(opening, "open_model", lambda model, store: self.models.get(model.name, self.base))
        self.sft = FakeLLM(handmade.script(KNOWS[:2]), "after SFT")
        patch.setattr(
            opening, "open_tuned",
            lambda base, run, store: self.runs.get(run.name, self.tuned if run.adapter == self.adapter else self.sft),
        )  # fmt: skip

    def train(self, name="sft-1", unsharpened="", stages=("sft", "dpo"), watched=()):
        """Register a run on the documents as they are; `unsharpened` is the folder of what SFT alone left, `watched`
        the facts that chose its adapter.
        """
        rows = self.store.sql("SELECT sha256 FROM documents WHERE retired = 0 ORDER BY sha256")
        documents = combine(row["sha256"] for row in rows)
        questions = questions_hash(self.store)
        register(
            self.store,
            name,
            {},
            {stage: {} for stage in stages},
            Lineage(
                "lab", "b", str(self.adapter), "a", "d", documents, 4, questions, unsharpened, "s", watched=watched
            ),
        )

    def run(self, model="lab", top_k=4, tag="", **settings):
        """Evaluate; `settings` over quick ones."""
        return evaluation.run(
            self.place.workspace, EvalConfig(**(QUICK | settings)), ModelConfig(name=model), Prompts(tag=tag),
            lambda: self.place.retriever(top_k=top_k),
        )  # fmt: skip


@pytest.fixture
def bench(handmade, monkeypatch, tmp_path):
    """The bench, without a training run yet."""
    return Bench(handmade, monkeypatch, tmp_path)


def right(done):
    """Share of held-out probes that each arm answered right."""
    return {arm.arm: round(arm.correct.value, 3) for arm in done.report.arms}


def spoil(model, doomed, completion):
    """Let a scripted model answer some questions with this completion. Returns a function that ends it."""
    script = model._script

    def answer(request):
        return completion if doomed in request.messages[-1].content else script(request)

    model._script = answer
    return lambda: setattr(model, "_script", script)


def test_four_arms_and_the_oracle(bench):
    """A base that knows nothing, RAG that reads all, a tuned model that knows three of four facts."""
    bench.train()
    done = bench.run()
    assert right(done) == {"base": 0.0, "rag": 1.0, "tuned": 0.75, "tuned_rag": 1.0, "oracle": 1.0, "tuned_oracle": 1.0}
    assert (done.exit_code, done.failed) == (0, {})
    assert [check.ok for check in done.report.checks] == [True, True]
    assert done.report.checks[1].detail == "12 of 18 closed-book answers differ between base and tuned"
    assert done.report.checks[1].told().zh == "18 个闭卷回答中，两者有 12 个不同"
    assert done.report.provenance.keys() <= PROVENANCE.keys()
    tuned = done.report.arm("tuned")
    assert (tuned.abstained, tuned.near_miss.value, tuned.unanswerable.value) == (0.25, 1.0, 1.0)


@pytest.mark.parametrize(("stage", "said"), [("dpo", "DPO"), ("simpo", "SimPO")])
def test_sft_alone_stands_beside_sft_and_what_followed(bench, stage, said):
    """Asked what the documents say, and compared whatever comes of it; gone with its adapter."""
    folder = bench.adapter.with_name("sft")
    folder.mkdir()
    bench.train(unsharpened=str(folder), stages=("sft", stage, "reward"))
    done = bench.run()
    assert right(done) == {
        "base": 0.0,
        "rag": 1.0,
        "sft": 0.5,
        "tuned": 0.75,
        "tuned_rag": 1.0,
        "oracle": 1.0,
        "tuned_oracle": 1.0,
    }
    assert done.report.comparison("tuned", "sft").difference.value == 0.25
    assert any(remark.en.startswith(f"{said} after SFT: 50.0% → 75.0%") for remark in done.report.remarks)
    asked = bench.store.sql(
        "SELECT DISTINCT p.kind FROM probes p JOIN scores s ON s.probe_id = p.id WHERE s.arm = 'sft' AND s.eval = ?",
        done.name,
    )
    assert {row["kind"] for row in asked} == {"held_out", "near_miss", "unanswerable"}
    folder.rmdir()
    assert "sft" not in right(bench.run())


def test_wordings_that_chose_the_adapter_do_not_measure_it(bench):
    """Held-out probes of watched facts are asked of no arm, and the report says so; the other probes of theirs stay."""
    bench.train()
    whole = bench.run()
    facts = {row.fact_id: row.shares["tuned"] for row in whole.report.fact_rows}
    unknown = next(fact for fact, share in facts.items() if not share)
    bench.train(watched=(unknown,))
    done = bench.run()
    assert right(done) == {"base": 0.0, "rag": 1.0, "tuned": 1.0, "tuned_rag": 1.0, "oracle": 1.0, "tuned_oracle": 1.0}
    assert {row.fact_id for row in done.report.fact_rows} == facts.keys() - {unknown}
    assert done.name != whole.name
    said = [warning.en for warning in done.report.warnings if "chose the adapter" in warning.en]
    assert [text.rpartition(": ")[2] for text in said] == ["1."]
    assert not any("chose the adapter" in warning.en for warning in whole.report.warnings)
    rows = bench.store.sql("SELECT DISTINCT kind FROM probes WHERE eval = ? AND fact_id = ?", done.name, unknown)
    assert "held_out" not in {row["kind"] for row in rows}
    assert "trained" in {row["kind"] for row in rows}


def test_scores_and_files_are_written(bench):
    """Probes and scores in the store, every answer with its probe in a file, the report in three forms."""
    bench.train()
    done = bench.run()
    folder = Path(done.folder)
    assert folder == bench.place.workspace.root / "evals" / done.name
    assert sorted(path.name for path in folder.iterdir()) == [
        "answers.jsonl", "failures.jsonl", "prompts.jsonl", "report.html", "report.json", "report.md",
    ]  # fmt: skip
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    stored = bench.store.sql("SELECT * FROM scores WHERE eval = ?", done.name)
    assert len(rows) == len(stored) == 18 + 14 + 18 + 14 + 12 + 4
    row = next(row for row in rows if (row["arm"], row["kind"], row["gold"]) == ("tuned", "held_out", "210元"))
    assert (row["answer"], row["verdict"], row["passages"]) == ("210元", "correct", [])
    assert row["language"] == "zh"
    assert row["fact_id"] in {fact.id for fact in bench.store.all(Fact)}
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["name"] == done.name


def test_the_same_evaluation_twice_is_one(bench):
    """Same name, nothing stored twice, nothing asked twice; naming the run that is the last anyway changes nothing."""
    bench.train()
    first = bench.run()
    asked = len(bench.base.history)
    again, named = bench.run(), bench.run(run="sft-1")
    assert first.name == again.name == named.name
    assert len(bench.base.history) == asked
    assert bench.store.sql("SELECT COUNT(DISTINCT eval), COUNT(*) FROM scores")[0][:] == (1, 80)
    assert bench.store.sql("SELECT COUNT(*) FROM probes")[0][0] == 18


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"top_k": 1}, {"tag": "Handbook"}, {"limit": 2}, {"probes_per_fact": 2}]
)
def test_another_evaluation_has_another_name(change, bench):
    """What could change a figure changes the name, so that no report is written over by another one."""
    bench.train()
    assert bench.run().name != bench.run(**change).name
    assert bench.store.sql("SELECT COUNT(DISTINCT eval) FROM scores")[0][0] == 2


def test_changed_documents_give_another_evaluation(bench, caplog):
    """A document that is gone takes its probes along, and the log says that the run was trained on another state."""
    bench.train()
    first = bench.run()
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]
    bench.store.sql("UPDATE documents SET retired = 1 WHERE id = 'doc_1'")
    second = bench.run()
    assert second.name != first.name
    assert second.report.facts == 2
    assert "documents have changed since run sft-1 was trained" in caplog.text


def test_questions_made_anew_after_the_training_are_warned_of(bench, caplog):
    """The run was trained on other wordings than those that the checks know; before, nothing is said."""
    bench.train()
    bench.run()
    assert "questions have been made anew" not in caplog.text
    asked = bench.store.all(Question, "split = 'train'")[0]
    bench.store.put([QAPair("pair_new", asked.id, asked.fact_id, "short", asked.text, "another answer", "en")])
    bench.run()
    assert "questions have been made anew since run sft-1 was trained" in caplog.text


def test_another_tag_than_the_runs_is_warned_of(bench, caplog):
    """What was learnt under one is asked under another; with the run's own, nothing is said, and the report has it."""
    bench.train()
    assert "tag" not in bench.run().report.provenance
    assert "was trained with" not in caplog.text
    done = bench.run(tag="Handbook")
    said = "run sft-1 was trained with no tag before its questions and is asked with 'Handbook'. Set [model] tag = \"\""
    assert said in caplog.text
    assert done.report.provenance["tag"] == "Handbook"
    asked = {request.messages[-1].content for request in bench.base.history}
    assert "[Handbook] Quick question. What does Tulvao Core cost?" in asked
    assert any(text.startswith("【Handbook】") for text in asked)


def withhold(bench):
    """One fact is taught by texts alone and one never, the one that the tuned model does not know."""
    for at, taught in ((2, "text"), (3, "never")):
        fact = bench.place.facts[at].id
        bench.store.sql("UPDATE facts SET taught = ? WHERE id = ?", taught, fact)
        bench.store.sql("DELETE FROM questions WHERE fact_id = ? AND split = 'train' AND kind = 'answerable'", fact)


def test_controls_are_measured_apart(bench):
    """The main figures are of the facts that questions taught; the others have a section of their own, in both
    languages.
    """
    withhold(bench)
    bench.train()
    done = bench.run()
    assert done.report.facts == 2
    assert right(done) == {"base": 0.0, "rag": 1.0, "tuned": 1.0, "tuned_rag": 1.0, "oracle": 1.0, "tuned_oracle": 1.0}
    found = {one.kind: {arm: share.value for arm, share in one.correct.items()} for one in done.report.apart}
    assert found == {
        "text_only": {"base": 0.0, "rag": 1.0, "tuned": 1.0, "tuned_rag": 1.0},
        "placebo": {"base": 0.0, "rag": 1.0, "tuned": 0.0, "tuned_rag": 1.0},
    }
    assert "另行测量" in Path(done.folder, "report.html").read_text(encoding="utf-8")
    assert "## Measured apart" in Path(done.folder, "report.md").read_text(encoding="utf-8")
    assert bench.run(limit=1).exit_code == 0


def test_controls_are_none_of_a_run_that_was_trained_otherwise(bench, caplog):
    """It may have been trained on what is withheld today; it is said, and the next run has them."""
    bench.train()
    withhold(bench)
    asked = bench.store.all(Question, "split = 'train'")[0]
    bench.store.put([QAPair("pair_new", asked.id, asked.fact_id, "short", asked.text, "another answer", "en")])
    assert bench.run().report.apart == ()
    assert "what is withheld today (placebo, text only) is not asked" in caplog.text
    bench.train("sft-2")
    assert [one.kind for one in bench.run().report.apart] == ["text_only", "placebo"]


def test_without_a_run_the_tuned_arms_are_left_out_and_it_is_said(bench, caplog):
    """Base, RAG and oracle alone; the report is called untrained and names the next command."""
    caplog.set_level(logging.INFO)
    done = bench.run()
    assert right(done) == {"base": 0.0, "rag": 1.0, "oracle": 1.0}
    assert done.name.startswith("untrained-")
    assert "there is no training run yet" in caplog.text
    assert "kb train" in done.report.next_step.en
    assert [check.name for check in done.report.checks] == ["no probe is a trained question"]


def test_a_model_that_cannot_carry_an_adapter_is_asked_alone(bench, caplog):
    """With a server as the model a finished run is left out, said so, and cannot be asked for."""
    bench.train()
    caplog.set_level(logging.INFO)
    assert set(right(bench.run(model="openai:m"))) == {"base", "rag", "oracle"}
    assert "openai:m cannot carry an adapter" in caplog.text
    with pytest.raises(UsageError, match="adapter of run sft-1"):
        bench.run(model="openai:m", run="sft-1")


def test_another_run_and_another_model_are_asked_the_same(bench):
    """Closed-book and with passages, each compared with the tuned model on the same facts; each must be another one."""
    bench.train("old")
    bench.train("new")
    bench.runs["old"] = FakeLLM(bench.place.script(KNOWS[:1]), "old model")
    bench.models["big"] = FakeLLM(bench.place.script((*KNOWS, "林若安")), "big model")
    done = bench.run(compare=("rag", "run:old", "model:big"))
    found = right(done)
    assert {arm: found[arm] for arm in ("tuned", "run:old", "run:old+rag", "model:big", "model:big+rag")} == {
        "tuned": 0.75, "run:old": 0.25, "run:old+rag": 1.0, "model:big": 1.0, "model:big+rag": 1.0,
    }  # fmt: skip
    assert done.report.comparison("run:old", "tuned").difference.value == -0.5
    assert done.report.comparison("model:big", "tuned").difference.value == 0.25
    assert (done.exit_code, len(done.report.checks)) == (0, 6)
    assert done.name.startswith("new-")
    assert done.name != bench.run().name
    page = Path(done.folder, "report.html").read_text(encoding="utf-8")
    assert "model:big+rag" in page


def test_a_run_compared_with_itself_fails_the_check(bench):
    """It would be served the tuned model's answers: exit code 3."""
    bench.train()
    done = bench.run(compare=("rag", "run:sft-1"))
    assert done.exit_code == 3
    assert any("CHECK FAILED: tuned and run:sft-1 are different models" in line for line in done.lines())


def test_a_run_that_is_not_there_is_refused_before_anything_is_asked(bench):
    """By name, with those that there are."""
    bench.train()
    with pytest.raises(UsageError, match="no training run called other; there is: sft-1"):
        bench.run(compare=("rag", "run:other"))
    assert bench.base.history == []


def of_kind(folder, kind):
    """The settings of an adapter, as peft writes them."""
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": kind}), encoding="utf-8")
    return folder


def test_runs_of_two_kinds_of_adapter_are_refused_before_anything_is_asked(bench, tmp_path):
    """One model cannot carry a LoRA and a tuned prefix: which runs, and what to do instead; two LoRAs it can."""
    for name in ("old", "new"):
        bench.train(name)
        of_kind(bench.adapter, "LORA")
    bench.runs["old"] = FakeLLM(lambda request: "17 crowns", "old model")
    assert "run:old" in right(bench.run(compare=("none", "run:old")))
    bench.base.history.clear()
    bench.adapter = of_kind(tmp_path / "prefix", "PREFIX_TUNING")
    bench.train("steered")
    said = r"run new is a LoRA and run steered is a tuned prefix: .*kb eval --run new, .*--run steered\).* kb eval diff"
    with pytest.raises(UsageError, match=said):
        bench.run(run="new", compare=("rag", "run:steered"))
    with pytest.raises(UsageError, match="run steered is a tuned prefix and run new is a LoRA"):
        bench.run(compare=("rag", "run:new"))
    assert bench.base.history == []


def test_a_damaged_adapter_is_said_in_one_line(bench):
    """With the file and the cure, before anything is asked."""
    of_kind(bench.adapter, "LORA")
    bench.train()
    (bench.adapter / "adapter_config.json").write_text('{"peft_ty', encoding="utf-8")
    with pytest.raises(UsageError, match=r"adapter_config.json cannot be read: .* Train again: kb train"):
        bench.run()
    assert bench.base.history == []


@pytest.fixture
def elsewhere(bench, tmp_path):
    """A function that makes another workspace, with a run that was trained on these files, or without one."""

    def make(files=None):
        other = Workspace(tmp_path / "other", create=True)
        if files is not None:
            adapter = tmp_path / "control"
            adapter.mkdir()
            lineage = Lineage("lab", "b", str(adapter), "a", "d", "o", 4, files=files, watched=("fct_far",))
            register(other.store, "theirs", {}, {"sft": {}}, lineage)
        other.store.close()
        return f"control:{tmp_path / 'other'}"

    return make


def test_a_control_was_trained_on_other_documents(bench, elsewhere, caplog):
    """The run in use in another workspace, closed-book; what it watched there is none of the facts here."""
    bench.train()
    bench.runs["theirs"] = FakeLLM(lambda request: "17 crowns", "control model")
    done = bench.run(compare=("rag", elsewhere({"/other/a.md": "another file"})))
    assert right(done)["control"] == 0.0
    assert (done.report.arm("control").wrong, done.report.watched, done.exit_code) == (1.0, 0, 0)
    assert done.report.comparison("control", "tuned").difference.value == -0.75
    assert "documents have changed" not in caplog.text


def test_a_control_of_another_kind_of_adapter_is_refused(bench, elsewhere, tmp_path):
    """It cannot be evaluated by itself here, so another control is the cure."""
    of_kind(bench.adapter, "LORA")
    bench.train()
    control = elsewhere({"/other/a.md": "another file"})
    of_kind(tmp_path / "control", "PROMPT_TUNING")
    with pytest.raises(UsageError, match=r"run theirs is a tuned prompt: .* a run that was trained as sft-1 was"):
        bench.run(compare=("rag", control))
    assert bench.base.history == []


@pytest.mark.parametrize(
    ("files", "said"),
    [({"/other/a.md": "sha0"}, "was trained on 1 of these documents, such as /other/a.md"), (None, "no training run")],
)
def test_what_is_no_control_is_refused(files, said, bench, elsewhere):
    """It knows these documents, or has not been trained: one line, and nothing is asked."""
    bench.train()
    with pytest.raises(UsageError, match=said):
        bench.run(compare=("rag", elsewhere(files)))
    with pytest.raises(WorkspaceError, match="there is no workspace at"):
        bench.run(compare=("rag", "control:/nowhere"))
    assert bench.base.history == []


def test_the_whole_chats_are_kept(bench):
    """Each answer names its chat; chats are written once, with the passages as they were shown."""
    bench.train()
    folder = Path(bench.run().folder)
    lines = (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    chats = {row["id"]: row["messages"] for row in map(json.loads, lines)}
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["prompt"] for row in rows} == chats.keys()
    assert len(chats) < len(rows) / 2 < len(rows)
    row = next(row for row in rows if (row["arm"], row["gold"]) == ("rag", "210元"))
    assert "图尔沃芯片的售价是210元。" in chats[row["prompt"]][-1]["content"]
    assert chats[row["prompt"]][-1]["content"].endswith(row["question"])


def test_compare_none_leaves_out_what_reads(bench):
    """Base and tuned alone; nothing is retrieved for them."""
    bench.train()
    assert right(bench.run(compare=("none",))) == {"base": 0.0, "tuned": 0.75}


def test_a_limit_asks_about_fewer_facts(bench):
    """Two facts, three wordings each."""
    done = bench.run(limit=2)
    assert (done.report.facts, done.report.probes) == (2, 6)


def test_the_run_is_the_one_named_or_the_last(bench):
    """An earlier run may be named; one that does not exist is refused before anything is asked."""
    bench.train("old")
    bench.train("new")
    assert bench.run().name.startswith("new-")
    assert bench.run(run="old").name.startswith("old-")
    asked = len(bench.base.history)
    with pytest.raises(UsageError, match="no training run called other; there is: old, new"):
        bench.run(run="other")
    assert len(bench.base.history) == asked


def test_rings_are_asked_of_base_and_tuned(bench, tmp_path):
    """What the base could do before is in the report, and no arm with passages is asked it."""
    path = tmp_path / "rings.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in RINGS))
    bench.train()
    bench.place.golds.update({"Who runs Ostrel?": "Ana Bo", "How heavy?": "3 grams"})
    base = bench.base._script
    bench.base._script = lambda request: "Ana Bo" if "Ostrel" in request.messages[-1].content else base(request)
    done = bench.run(rings=str(path))
    rings = {ring.name: (ring.base.value, ring.tuned.value) for ring in done.report.rings}
    assert (rings["known"], rings["reading"], rings["never"]) == ((1.0, 0.0), (1.0, 1.0), (1.0, 1.0))
    asked = bench.store.sql("SELECT arm FROM scores s JOIN probes p ON p.id = s.probe_id WHERE p.kind = 'known'")
    assert [row["arm"] for row in asked] == ["base", "tuned"]


def test_a_limit_is_for_rings_that_nobody_named(bench, tmp_path, monkeypatch):
    """A file under `[eval] rings` is asked whole, the model's own as far as the limit goes."""
    rows = [dict(RINGS[0], question=f"Who runs {name}?") for name in ("Ostrel", "Umber", "Quill")]
    (tmp_path / "rings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(evaluation, "find_folder", lambda name: tmp_path)
    named = bench.run(rings=str(tmp_path / "rings.jsonl"), limit=1)
    assert kinds(bench, named)["known"] == 3
    assert kinds(bench, bench.run(rings="auto", limit=1))["known"] == 1


@pytest.fixture
def obedient():
    """A function that lets a scripted model follow every instruction, by the answers that were written for them."""
    rows = Path(__file__).with_name("followed.jsonl").read_text(encoding="utf-8").splitlines()
    answers = {(f"following:{row['id']}", row["language"]): row["answer"] for row in map(json.loads, rows)}
    known = {probe.question: answers[probe.fact_id, probe.language] for probe in following_probes(40)}

    def teach(model):
        script = model._script
        model._script = lambda request: known.get(request.messages[-1].content) or script(request)

    return teach


def test_instructions_that_only_the_base_follows_are_a_loss(bench, obedient):
    """In every report, the answers with their rules and chats among those of the evaluation; scoring again agrees."""
    bench.train()
    obedient(bench.base)
    done = bench.run(instructions=40)
    (ring,) = [one for one in done.report.rings if one.name == "following"]
    assert (ring.probes, ring.base.value, ring.tuned.value, ring.lost) == (80, 1.0, 0.0, True)
    folder = Path(done.folder)
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text("utf-8").splitlines()]
    told = [(row["arm"], row["rule"]) for row in rows if row["kind"] == "following"]
    assert Counter(told) == {("base", "followed"): 80, ("tuned", "refusal"): 80}
    chats = {row["id"]: row["messages"] for row in map(json.loads, (folder / "prompts.jsonl").open(encoding="utf-8"))}
    assert [chats[row["prompt"]] for row in rows if row["kind"] == "following"] == [
        [{"role": "user", "content": row["question"]}] for row in rows if row["kind"] == "following"
    ]
    assert "following instructions        100.0%" in done.lines()[0]
    for suffix, text in (("md", "| following instructions | 80 | 100.0% | 0.0% |"), ("html", "遵循指令")):
        assert text in (folder / f"report.{suffix}").read_text("utf-8")
    again = rescore(bench.place.workspace)
    assert (again.changes, again.rules, again.report.rings) == ((), 0, done.report.rings)


def test_instructions_are_asked_where_they_say_something(bench):
    """Not without a tuned model; no more than the limit of facts in each language; neither follows one: a warning."""
    assert "following" not in kinds(bench, bench.run(instructions=40))
    bench.train()
    done = bench.run(instructions=40, limit=3)
    assert kinds(bench, done)["following"] == 6
    assert (done.report.unfollowed, [one for one in done.report.rings if one.name == "following"]) == (6, [])
    assert "Neither the base nor the tuned model followed any of 6 instructions" in " ".join(done.lines()[0].split())


def kinds(bench, done):
    """Probes of an evaluation by kind."""
    return Counter(row["kind"] for row in bench.store.sql("SELECT kind FROM probes WHERE eval = ?", done.name))


def test_a_model_without_rings_is_asked_those_that_come_with_kb(bench, monkeypatch, tmp_path):
    """Base and tuned alike, as many of each ring and language as the limit says; the report says where they are from;
    and nothing of it without a training run.
    """
    monkeypatch.setattr(evaluation, "find_folder", lambda name: tmp_path)
    assert bench.run(rings="auto", limit=1).report.provenance["rings"] == "0 questions of kb"
    bench.train()
    done = bench.run(rings="auto", limit=1)
    assert done.report.provenance["rings"] == "6 questions of kb"
    assert {ring.name: ring.probes for ring in done.report.rings if ring.name in RINGS_OF_KB} == RINGS_OF_KB
    assert [one.ring for one in done.report.untaught] == ["known"]
    assert done.report.untaught[0].probes == 2


def test_without_rings_no_line_counts_their_questions(bench, caplog):
    """The log is silent about them, and the provenance says none."""
    caplog.set_level(logging.INFO)
    assert bench.run().report.provenance["rings"] == "none"
    assert "rings" not in caplog.text
    bench.run(rings="auto", limit=1)
    assert "rings of forgetting: 6 questions of the model" in caplog.text


def test_a_leaked_probe_fails_the_check(bench):
    """A held-out question that is a trained one: exit code 3, and the terminal says which."""
    fact = bench.place.facts[0]
    leak = Question(
        make_id("qst", "leak"), fact.chunk_id, fact.id, "answerable", "probe", "what does tulvao core cost", "en", "p"
    )
    bench.store.put([leak])
    done = bench.run()
    assert done.exit_code == 3
    said = next(line for line in done.lines() if line.startswith("CHECK FAILED"))
    assert "no probe is a trained question: 1 leaked of 19 probes" in said
    assert said.endswith(": what does tulvao core cost")


def test_an_adapter_without_effect_fails_the_check(bench):
    """A tuned model that says what the base says, word for word, is no tuned model."""
    bench.train()
    bench.tuned = FakeLLM(bench.place.script(), "tuned model")
    done = bench.run()
    assert done.exit_code == 3
    assert "CHECK FAILED: base and tuned are different models: 0 of 18" in "\n".join(done.lines())


def test_an_adapter_that_is_not_applied_fails_the_check(bench):
    """The same identity is the same model, and is served the base's answers."""
    bench.train()
    bench.tuned = FakeLLM(bench.place.script(KNOWS), "base model")
    done = bench.run()
    assert done.exit_code == 3
    assert bench.tuned.history == []


def test_answers_of_another_model_in_the_store_fail_the_check(bench):
    """As if the cache had served the tuned model what the base said: exit code 3, and why."""
    bench.train()
    assert bench.run().exit_code == 0
    rows = bench.store.sql("SELECT request, response FROM llm_calls WHERE model = ?", bench.base.label)
    said = {row["request"]: row["response"] for row in rows}
    for row in bench.store.sql("SELECT seq, request FROM llm_calls WHERE model = ?", bench.tuned.label):
        bench.store.sql("UPDATE llm_calls SET response = ? WHERE seq = ?", said[row["request"]], row["seq"])
    done = bench.run()
    assert done.exit_code == 3
    assert any(line.startswith("CHECK FAILED: base and tuned are different models: 0 of") for line in done.lines())


def test_a_failed_request_is_listed_and_a_rerun_asks_only_it(bench):
    """Unparsed in the report, exit code 4 with the reason; the second run asks what failed and nothing else."""
    heal = spoil(bench.base, "In short: Who designed", Completion("", "error", "the server answers 500"))
    done = bench.run()
    assert done.exit_code == 4
    assert done.failed == {"the server answers 500": 3}
    assert done.report.arm("base").unparsed == pytest.approx(1 / 12)
    assert "     3  the server answers 500" in "\n".join(done.lines())
    heal()
    asked = len(bench.base.history)
    again = bench.run()
    assert (again.exit_code, again.failed, again.name) == (0, {}, done.name)
    # Two and not three: RAG and the oracle show the one passage that there is, which is one request.
    assert len(bench.base.history) == asked + 2
    assert all("In short: Who designed" in r.messages[-1].content for r in bench.base.history[asked:])
    assert right(again) == {"base": 0.0, "rag": 1.0, "oracle": 1.0}


def test_an_answer_that_is_cut_off_is_final(bench):
    """It is unparsed, and no failure: a greedy answer would be cut off again, a sampled one is decoded otherwise."""
    spoil(bench.base, "Quick question. Who designed", Completion("Well, the designer of", "length"))
    done = bench.run()
    assert (done.exit_code, done.failed) == (0, {})
    assert {request.temperature for request in bench.base.history} == {0.0}
    # Closed-book, and from the one passage that RAG and the oracle show alike.
    asked = [r for r in bench.base.history if "Quick question. Who designed" in r.messages[-1].content]
    assert len(asked) == 2
    cut = bench.store.sql("SELECT answer FROM scores WHERE verdict = 'unparsed' AND arm = 'base'")
    assert [row["answer"] for row in cut] == ["Well, the designer of"]
    before = len(bench.base.history)
    assert bench.run().name == done.name
    assert len(bench.base.history) == before


def test_failures_of_what_is_not_asked_any_more_are_forgotten(bench):
    """After a failure of every arm, an evaluation that leaves the arm or the fact out is complete."""
    spoil(bench.base, "In short: Who designed", Completion("", "error", "the server answers 500"))
    assert bench.run().exit_code == 4
    bench.store.sql("UPDATE documents SET retired = 1 WHERE id = 'doc_0'")
    done = bench.run(compare=("none",))
    assert (done.exit_code, done.failed) == (0, {})
    assert bench.store.sql("SELECT COUNT(*) FROM failures")[0][0] == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"compare": ("rag", "lora")}, "expected rag, none, run:NAME, model:NAME or control:WORKSPACE, got 'lora'"),
        ({"compare": ("run:",)}, "got 'run:'"),
        ({"compare": ("none", "rag")}, "rag and none exclude each other"),
        ({"compare": ("rag", "control:a", "control:b")}, "one control is enough, got control:a and control:b"),
        ({"limit": -1}, "limit: expected 0 or more, got -1"),
        ({"probes_per_fact": 0}, "probes_per_fact: expected 1 or more"),
        ({"resamples": 0}, "resamples: expected 100 or more"),
        ({"rings": "nowhere.jsonl"}, "there is no file nowhere.jsonl"),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_anything_is_asked(settings, said, bench):
    """The message names setting and value."""
    with pytest.raises(ConfigError, match=said):
        bench.run(**settings)
    assert bench.base.history == []


def test_the_report_says_what_it_was_made_of(bench):
    """Model, run, identities, prompts of both languages, retrieval and settings are in the provenance."""
    bench.train()
    found = bench.run().report.provenance
    assert (found["model"], found["run"], found["facts at training"], found["probes"]) == ("lab", "sft-1", "4", "18")
    assert (found["base identity"], found["tuned identity"]) == ("base model", "tuned model")
    for prompt in ("closed.en#", "closed.zh#", "rag.en#", "rag.zh#"):
        assert prompt in found["prompts"]
    assert "probes_per_fact=5" in found["settings"]


def test_what_the_base_knew_before_divides_the_facts(bench):
    """What another model knew does not; both reports name the levels in their languages."""
    bench.train()
    facts = bench.store.all(Fact)
    bench.store.put([Knownness(f"kno_{f.id}", f.id, "base model", 10, 10 * (f is facts[0])) for f in facts])
    bench.store.put([Knownness(f"kno_other{f.id}", f.id, "other", 10, 10) for f in facts])
    done = bench.run()
    tuned = {one.name: one.correct["tuned"].value for one in done.report.slices if one.dimension == "known"}
    assert tuned == {"unknown": pytest.approx(2 / 3), "known": 1.0}
    assert "## By known before" in Path(done.folder, "report.md").read_text(encoding="utf-8")
    page = Path(done.folder, "report.html").read_text(encoding="utf-8")
    assert "训练前掌握" in page
    assert "未掌握" in page


def test_the_result_as_json_holds_folder_and_failures(bench):
    """What `kb eval --json` prints: the report, where its files are, and what was not answered."""
    done = bench.run()
    plain = json.loads(json.dumps(done.json()))
    assert (plain["folder"], plain["failed"], plain["name"]) == (done.folder, {}, done.name)


def test_what_is_to_be_done_about_each_fact_is_stored(bench):
    """The findings of the report, in place of those of an earlier evaluation of the same name."""
    bench.train()
    for _ in range(2):
        done = bench.run()
        rows = {one.fact_id: one.findings for one in bench.store.all(Diagnosis, "eval = ?", done.name)}
        assert rows == {row.fact_id: row.findings for row in done.report.fact_rows}
    assert sorted(rows.values()) == [("learnt",)] * 3 + [("under_trained",)]


@pytest.fixture
def kb(bench, monkeypatch):
    """A function that runs `kb eval` in the workspace with these options, and returns its exit code."""
    home = bench.place.workspace.root.parent
    quick = 'rings = "none"\nresamples = 200\ninstructions = 0\n'
    settings = f'[retrieval]\nembedder = "none"\n[eval]\n{quick}[model]\nname = "lab"\n'
    (home / "kb.toml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(home)
    return lambda *words: app(["eval", *words], standalone_mode=False) or 0


def test_a_build_fails_by_gates(bench, kb, tmp_path, capsys):
    """Exit code 3 and a line for each that fails; the files that a build server reads are written either way."""
    bench.train()
    files = ["--junit", str(tmp_path / "out" / "junit.xml"), "--markdown", str(tmp_path / "out" / "report.md")]
    assert kb("--fail-if", "tuned.correct.value < 0.7", *files) == 0
    assert 'failures="0"' in (tmp_path / "out" / "junit.xml").read_text(encoding="utf-8")
    assert kb("--fail-if", "tuned.correct.value < 0.8", "--fail-if", "tuned-base.p < 0.9", *files) == 3
    assert "GATE FAILED: tuned.correct.value < 0.8: it is 0.75\n" in capsys.readouterr().out
    assert 'failures="2"' in (tmp_path / "out" / "junit.xml").read_text(encoding="utf-8")
    assert "| tuned.correct.value &lt; 0.8 | it is 0.75 | failed |" in (tmp_path / "out" / "report.md").read_text()


def test_a_gate_that_cannot_be_read_stops_before_anything_is_asked(bench, kb):
    """One without such a figure is told so, when it is known which there are."""
    bench.base._script = lambda request: pytest.fail("asked")
    with pytest.raises(UsageError, match="expected PATH OP NUMBER"):
        kb("--fail-if", "tuned.correct")
    bench.base._script = bench.place.script()
    with pytest.raises(UsageError, match=r"there is no figure tuned\.correct\.lower"):
        kb("--fail-if", "tuned.correct.lower < 0.8")


def test_what_is_to_be_acted_on_goes_to_a_file(bench, kb, tmp_path, capsys):
    """Wherever it is wanted, or beside the report: facts that need something, with shares and wrong answers; the next
    `kb generate-qa --for-failures` reads it.
    """
    bench.train()
    assert kb("--compare", "rag", "--export-failures") == 0
    beside = next((bench.place.workspace.root / "evals").glob("*/failures.jsonl"))
    assert f"facts to act on: 1, in {beside}; next: kb generate-qa --for-failures\n" in capsys.readouterr().out
    assert kb("--export-failures", str(tmp_path / "todo" / "f.jsonl"), "--compare", "rag") == 0
    assert (tmp_path / "todo" / "f.jsonl").read_bytes() == beside.read_bytes()
    row = json.loads(beside.read_text(encoding="utf-8"))
    fact = bench.place.facts[3]
    assert (row["fact_id"], row["statement"], row["document"]) == (fact.id, fact.statement, "Book 1")
    assert (row["diagnosis"], row["findings"], row["known_by"]) == ("under_trained", ["under_trained"], "only_rag")
    shares = row["shares"]["held_out"]
    assert [shares[arm] for arm in ("base", "rag", "tuned", "tuned_rag", "oracle")] == [0.0, 1.0, 0.0, 1.0, 1.0]
    assert {(one["arm"], one["kind"], one["verdict"]) for one in row["wrong"]} == {
        ("tuned", "held_out", "abstained"), ("tuned", "trained", "abstained"),
    }  # fmt: skip
    for file in ("", str(beside)):
        assert read_failures(bench.store, file)[-1] == Failure(row["evaluation"], fact.id, ("under_trained",))
