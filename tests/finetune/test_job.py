"""What makes two runs the same run, and what is refused before anything is trained."""

import random
from dataclasses import replace
from functools import partial

import pytest

from kb.errors import ConfigError, UsageError, WorkspaceError
from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow, Row
from kb.finetune.job import Job, begin, plan, replay_file, replay_source, run_key, take_first
from kb.finetune.replay import own_replay
from kb.llm import user
from kb.llm.base import ModelConfig
from kb.llm.fake import FakeLLM

ROWS = [Row(user("问题"), "答案", "short", "p1"), Row(user("question"), "answer", "full", "p2")]
READY = [PreferenceRow(user("question"), "answer", "other", "swap")]
CONFIG = TrainConfig()


def test_the_key_is_of_everything_that_decides_what_is_learnt():
    """Rows, their order, preference rows, each setting and the base's weights; each makes another run."""
    keys = [
        run_key(ROWS, READY, CONFIG, "base"),
        run_key(ROWS[:1], READY, CONFIG, "base"),
        run_key(ROWS[::-1], READY, CONFIG, "base"),
        run_key(ROWS, [], CONFIG, "base"),
        run_key(ROWS, READY, replace(CONFIG, learning_rate=1e-4), "base"),
        run_key(ROWS, READY, replace(CONFIG, stages=("sft",)), "base"),
        run_key(ROWS, READY, replace(CONFIG, seed=1), "base"),
        run_key(ROWS, READY, CONFIG, "other base"),
    ]
    assert len(set(keys)) == len(keys)
    assert run_key(list(ROWS), list(READY), TrainConfig(), "base") == keys[0]


def test_the_name_and_the_number_of_checkpoints_are_not_part_of_the_key():
    """They change nothing of what is learnt, so a run may go on with others."""
    same = replace(CONFIG, name="mine", checkpoints=3)
    assert run_key(ROWS, READY, same, "base") == run_key(ROWS, READY, CONFIG, "base")


@pytest.fixture
def make_job(tmp_path):
    """A function that makes a job with these settings in a folder of its own."""

    def make(name, rows=ROWS, **settings):
        config = replace(CONFIG, **settings)
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        return Job(name, folder, tmp_path, "base", ModelConfig(), config, tuple(rows), tuple(READY))

    return make


def finish_sft(job):
    """What a finished SFT leaves."""
    job.adapter("sft").mkdir(parents=True)
    (job.folder / "sft" / "key").write_text(job.first_key)
    (job.folder / "sft" / "result.json").write_text("{}")
    (job.adapter("sft") / "adapter_model.safetensors").write_text(job.name)


@pytest.mark.parametrize("change", [
    {"dpo_learning_rate": 1e-6}, {"micro_batch": 1}, {"gradient_checkpointing": False}, {"stages": ("sft",)},
    {"distil_alpha": 0.5},
])  # fmt: skip
def test_a_setting_of_another_stage_or_memory_does_not_do_sft_over_again(change, make_job):
    """The finished SFT of the run before is taken, in place of what one begun here has left."""
    before, job = make_job("before"), make_job("now", **change)
    assert run_key(ROWS, READY, job.config, "base") != run_key(ROWS, READY, before.config, "base")
    assert take_first(job) == ""
    finish_sft(before)
    (job.folder / "sft" / "checkpoint-5").mkdir(parents=True)
    assert take_first(job) == "before"
    assert (job.adapter("sft") / "adapter_model.safetensors").read_text() == "before"
    assert not (job.folder / "sft" / "checkpoint-5").exists()


def test_a_distillation_is_taken_where_its_own_settings_are_the_same(make_job):
    """With or without DPO after it; never for an SFT, nor where the divergence is another."""
    before = make_job("before", stages=("distil",))
    (before.folder / "distil" / "adapter").mkdir(parents=True)
    (before.folder / "distil" / "key").write_text(before.first_key)
    (before.folder / "distil" / "result.json").write_text("{}")
    assert take_first(make_job("sharpened", stages=("distil", "dpo"))) == "before"
    assert take_first(make_job("reverse", stages=("distil",), distil_alpha=1.0)) == ""
    assert take_first(make_job("sft")) == ""


def test_another_sft_is_not_taken(make_job):
    """One of other rows or settings, or one that is not finished."""
    finish_sft(make_job("other rows", ROWS[:1]))
    finish_sft(make_job("other rate", learning_rate=1e-3))
    begun = make_job("begun")
    finish_sft(begun)
    begun.adapter("sft").rename(begun.folder / "sft" / "adapter.part")
    job = make_job("now")
    assert take_first(job) == ""
    assert not job.adapter("sft").exists()


def test_a_folder_belongs_to_one_key(tmp_path):
    """The same job begins again in silence, another one is refused with both ways out."""
    folder = tmp_path / "runs" / "mine"
    begin(folder, "aaaa")
    begin(folder, "aaaa")
    assert (folder / "key").read_text() == "aaaa\n"
    with pytest.raises(UsageError, match=r"run mine was started with other data.*another --name, or delete .*/mine"):
        begin(folder, "bbbb")


def test_a_kill_before_the_key_was_whole_leaves_no_foreign_run(tmp_path):
    """The key appears whole or not at all: what is left is a folder without one, which can be begun."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / ".key.1.part").write_text("aa")
    begin(folder, "aaaa")
    assert (folder / "key").read_text() == "aaaa\n"


def test_what_the_model_says_itself_is_replay_where_it_ships_no_file(tmp_path, workspace):
    """Only under `auto`, and only where there is a model to ask."""
    own = partial(own_replay, FakeLLM(["是的。"]), workspace.store)
    assert replay_source("none", tmp_path, own) is None
    assert replay_source("auto", tmp_path, None) is None
    (row,) = replay_source("auto", tmp_path, own)(1, random.Random(0))
    assert (row.kind, row.answer) == ("replay", "是的。")
    (tmp_path / "replay.jsonl").write_text("")
    assert replay_source("auto", tmp_path, own)(1, random.Random(0)) == []


def test_replay_is_the_models_own_a_named_file_or_none(tmp_path):
    """`auto` without such a file names none; a named file must be there."""
    own = tmp_path / "replay.jsonl"
    assert replay_file("auto", tmp_path) is None
    own.write_text("")
    assert replay_file("auto", tmp_path) == own
    assert replay_file("none", tmp_path) is None
    assert replay_file(str(own), tmp_path / "elsewhere") == own
    with pytest.raises(ConfigError, match=r"nothing\.jsonl is not a file; expected one, or `auto` or `none`"):
        replay_file(str(tmp_path / "nothing.jsonl"), tmp_path)
    with pytest.raises(ConfigError, match="is not a file"):
        replay_file(str(tmp_path), tmp_path)


@pytest.mark.parametrize("name", ["openai:qwen", "fake:answers.jsonl"])
def test_a_model_that_is_not_here_cannot_be_trained(workspace, prompts, retriever, name):
    """A server's or scripted model is refused before any row is made, and no folder is left."""
    with pytest.raises(UsageError, match=f"{name} is not a local model and cannot be trained"):
        plan(workspace, CONFIG, ModelConfig(name=name), prompts, retriever)
    assert not (workspace.root / "runs").exists()


def test_a_way_that_the_model_cannot_go_is_refused_before_anything(workspace, prompts, retriever, tmp_path):
    """All weights of a model in 4 bits: no folder is left."""
    model = ModelConfig(name=str(tmp_path), load_in_4bit=True)
    with pytest.raises(UsageError, match="cannot be in 4 bits"):
        plan(workspace, replace(CONFIG, tuning="full"), model, prompts, retriever)


@pytest.fixture
def base(tmp_path):
    """A folder that passes for a model until it is loaded."""
    model = tmp_path / "base"
    model.mkdir()
    (model / "config.json").write_text("{}")
    return ModelConfig(name=str(model))


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("", r"there are no QA pairs to train on. Make them with: kb generate-qa"),
        ("pair_0_0s", r"there is one row to train on \(pair_0_0s\), .* Ingest more documents, then: kb generate-qa"),
    ],
)
def test_nothing_or_a_single_row_is_not_trained(left, said, workspace, prompts, retriever, base):
    """One clear line with the cure, exit code 1, and no folder of a run."""
    workspace.store.sql("DELETE FROM qa_pairs WHERE id != ?", left)
    config = replace(CONFIG, reading_share=0.0, replay="none")
    workspace.store.sql("DELETE FROM questions WHERE kind != 'answerable'")
    with pytest.raises(WorkspaceError, match=said) as caught:
        plan(workspace, config, base, prompts, retriever)
    assert caught.value.exit_code == 1
    assert not (workspace.root / "runs").exists()


def test_a_run_is_named_by_its_stages_and_key_unless_it_is_given_a_name(workspace, prompts, retriever, tmp_path):
    """The same settings under no name find the same run; a name is the folder."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    settings = ModelConfig(name=str(model))
    job = plan(workspace, CONFIG, settings, prompts, retriever)
    assert job.name.startswith("sft-dpo-")
    assert len(job.name) == len("sft-dpo-") + 8
    assert plan(workspace, CONFIG, settings, prompts, retriever).folder == job.folder
    assert plan(workspace, replace(CONFIG, name="mine"), settings, prompts, retriever).name == "mine"
    other = plan(workspace, replace(CONFIG, stages=("sft",)), settings, prompts, retriever)
    assert other.name.startswith("sft-")
    assert other.ready == ()
    four_bit = plan(workspace, CONFIG, replace(settings, load_in_4bit=False), prompts, retriever)
    assert four_bit.name != job.name
