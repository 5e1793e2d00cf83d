"""Which results of public benchmarks belong to an evaluation."""

import logging

import pytest

from kb.evaluate.bench.found import benchmarks_of
from kb.evaluate.bench.results import Answered, BenchReport
from kb.evaluate.bench.run import summarised
from kb.workspace import Workspace, write_json, write_text

OURS = {"base identity": "b1", "tuned identity": "t1"}


@pytest.fixture
def workspace(tmp_path):
    """An empty workspace."""
    place = Workspace(tmp_path / ".kb", create=True)
    yield place
    place.store.close()


def ran(workspace, name, tasks, created="2026-01-01", applied=True, **provenance):
    """Store a run of benchmarks: each task to how many of 60 items were lost."""
    results = tuple(
        summarised(task, [Answered(f"i{n}", "", "?", 1.0, float(n >= lost), -0.1) for n in range(60)], "MIT", {})
        for task, lost in tasks.items()
    )
    told = BenchReport(name, created, "run", results, applied, OURS | provenance, "")
    write_json(workspace.eval(name) / "bench.json", told.json())


def test_results_of_this_base_and_adapter_are_found(workspace):
    """By their identities; p is adjusted again for all benchmarks that are read together."""
    ran(workspace, "bench-a", {"arc": 12})
    ran(workspace, "bench-b", {"mmlu": 0})
    found = benchmarks_of(workspace, OURS)
    assert [(one.name, one.run, one.items, one.lost) for one in found] == [
        ("arc", "bench-a", 60, True), ("mmlu", "bench-b", 60, False),
    ]  # fmt: skip
    assert found[0].difference.value == pytest.approx(-0.2)
    assert found[0].p_adjusted == pytest.approx(2 * found[0].p)


@pytest.mark.parametrize("other", [{"base identity": "b2"}, {"tuned identity": "t2"}])
def test_results_of_another_model_are_not_shown(workspace, other):
    """Of another base, or of the same run trained anew, under whatever name."""
    ran(workspace, "bench-a", {"arc": 12}, **other)
    assert benchmarks_of(workspace, OURS) == ()


def test_an_evaluation_without_a_run_has_none(workspace):
    """Not even where what was stored says as little of who was asked."""
    ran(workspace, "bench-a", {"arc": 0}, **{"tuned identity": ""})
    assert benchmarks_of(workspace, {"base identity": "b1"}) == ()
    assert benchmarks_of(workspace, {"base identity": "b1", "tuned identity": ""}) == ()


def test_an_adapter_that_was_not_on_says_nothing(workspace):
    """Equal in every digit: no difference was measured there."""
    ran(workspace, "bench-a", {"arc": 0}, applied=False)
    assert benchmarks_of(workspace, OURS) == ()


def test_of_one_benchmark_the_newest_result_counts(workspace):
    """Run twice, with other items perhaps."""
    ran(workspace, "bench-b", {"arc": 0}, created="2026-01-02")
    ran(workspace, "bench-a", {"arc": 30}, created="2026-01-01")
    assert [one.difference.value for one in benchmarks_of(workspace, OURS)] == [0.0]


@pytest.mark.parametrize("text", ['{"applied": true, "provenance"', "[]", '{"applied": true, "provenance": []}'])
def test_a_file_that_cannot_be_read_is_named_and_left_out(workspace, caplog, text):
    """The rest is shown: an evaluation of hours does not end for it."""
    ran(workspace, "bench-a", {"arc": 3})
    write_text(workspace.eval("bench-b") / "bench.json", text)
    with caplog.at_level(logging.WARNING):
        assert [one.name for one in benchmarks_of(workspace, OURS)] == ["arc"]
    assert "bench-b" in caplog.text and "kb bench run" in caplog.text
