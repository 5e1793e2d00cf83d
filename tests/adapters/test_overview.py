"""The table of adapters; choosing and deleting one."""

import pytest

from kb.adapters.overview import NONE, as_lines, check_deletable, delete, listed, use
from kb.errors import UsageError
from kb.lookup import look_up
from kb.runs import CURRENT, WEAK, all_runs, find_run, note_weak


def test_without_a_run_the_command_that_trains_is_named(place):
    """An empty register is no error."""
    assert as_lines(listed(place)) == [NONE]


def test_the_table_has_figures_size_and_the_last_score(place, train, evaluate):
    """The run registered last is in use; a Chinese name takes two columns a letter."""
    train("old")
    evaluate("old", "aaaaaa", right=(0,))
    evaluate("old", "bbbbbb", right=(0, 1))
    train("第一次", metrics={"sft": {"rows": 9, "loss": 0.25}, "dpo": {"rows": 2, "loss": 1.5}})
    old, new = listed(place)
    assert (old.current, new.current) == (False, True)
    assert (old.evaluation.name, new.evaluation) == ("old-bbbbbb", None)
    assert (new.stages, new.rows, new.bytes) == (("sft", "dpo"), 9, len("weights"))
    lines = as_lines([old, new])
    assert lines[1].split()[:8] == ["old", "sft", "lab", "9", "3", "0.25", "66.7%", "0.0"]
    assert lines[2].startswith("*  第一次  sft+dpo  lab   9     3      0.25, 1.5  -")
    assert lines[1].index("sft ") == lines[2].index("sft+") + len("第一次")


def test_an_adapter_that_is_gone_or_changed_is_marked(place, train):
    """A deleted folder and another file are told apart; what may be used has no mark."""
    for name in ("gone", "changed", "fine"):
        train(name)
    (place.run("gone") / "sft" / "adapter" / "adapter_model.safetensors").unlink()
    (place.run("changed") / "sft" / "adapter" / "adapter_model.safetensors").write_text("trained further")
    assert {one.name: one.state for one in listed(place)} == {"gone": "gone", "changed": "changed", "fine": ""}
    assert "kb train" in as_lines(listed(place))[-2]


def test_an_evaluation_of_another_adapter_of_the_same_name_does_not_count(place, train, evaluate):
    """A run trained anew under its name has not the old one's score."""
    train("sft")
    evaluate("sft", "aaaaaa", right=(0, 1, 2))
    train("sft", weights="others")
    assert listed(place)[0].evaluation is None


def test_a_chosen_adapter_is_used_until_the_next_training(place, train):
    """The choice is kept in the workspace; registering a run makes that one current again."""
    for name in ("one", "two", "three"):
        train(name)
    assert use(place.store, "one").name == "one"
    assert find_run(place.store).name == "one"
    assert [run.name for run in all_runs(place.store)] == ["two", "three", "one"]
    train("four")
    assert find_run(place.store).name == "four"


def test_an_adapter_that_cannot_be_used_is_not_chosen(place, train):
    """Unknown, gone or changed: the choice stays as it was, and the message says what to do."""
    train("one")
    with pytest.raises(UsageError, match="no training run called x; there is: one"):
        use(place.store, "x")
    train("two")
    (place.run("one") / "sft" / "adapter" / "adapter_model.safetensors").write_text("others")
    with pytest.raises(UsageError, match=r"has changed since run one ended\. Train again: kb train"):
        use(place.store, "one")
    assert find_run(place.store).name == "two"


def test_the_one_in_use_is_not_deleted_without_force(place, train):
    """The message names the ways out."""
    train("one")
    with pytest.raises(UsageError, match=r"one is the one in use\. .*kb adapters use NAME.*--force"):
        check_deletable(place.store, "one", force=False)
    assert check_deletable(place.store, "one", force=True).name == "one"


def test_deleting_takes_folder_and_entry_and_leaves_evaluations(place, train, evaluate):
    """What was asked and answered can still be looked up, and the last run left is in use."""
    train("one")
    train("two")
    name = evaluate("two", "aaaaaa", right=(1,))
    note_weak(place.store, "two", ["fct_0"])
    lines = delete(place, check_deletable(place.store, "two", force=True))
    assert lines == ["deleted run two", "in use: one"]
    assert not place.run("two").exists()
    assert [run.name for run in all_runs(place.store)] == ["one"]
    assert look_up(place.store, name).record.arms == ("tuned 2 of 6 right, 0 unparsed",)
    assert place.eval(name).exists()
    assert place.store.setting(WEAK + "two") == place.store.setting(CURRENT) == ""


def test_an_adapter_outside_the_workspace_is_not_deleted(place, train, tmp_path):
    """Only what kb made goes; the line says what stays."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "adapter_model.safetensors").write_text("weights")
    train("far", adapter=str(tmp_path / "far"))
    lines = delete(place, check_deletable(place.store, "far", force=True))
    assert lines[1] == f"its adapter lies outside the workspace and stays: {tmp_path / 'far'}"
    assert (tmp_path / "far").exists() and lines[2] == "in use: none"
