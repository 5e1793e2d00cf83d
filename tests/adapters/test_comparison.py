"""Two adapters side by side."""

import pytest

from kb.adapters.comparison import compare
from kb.errors import UsageError


def test_only_what_differs_is_listed(place, train, ingest):
    """Settings, lineage and documents; what is alike is left out."""
    ingest(both="b1", changed="c1", gone="g1")
    train("one", config={"rank": 8, "seed": 0})
    ingest(both="b1", changed="c2", new="n1")
    train("two", config={"rank": 16, "seed": 0}, data="d2")
    found = compare(place, "one", "two")
    assert found.settings["rank"] == (8, 16) and found.settings["data"] == ("d", "d2")
    assert "seed" not in found.settings and "base" not in found.settings
    assert found.documents == {
        "/docs/changed.md": "other version", "/docs/gone.md": "only one", "/docs/new.md": "only two",
    }  # fmt: skip
    assert "only one: /docs/gone.md" in found.lines()


def test_alike_runs_are_said_to_be_alike(place, train):
    """No empty table."""
    train("one")
    train("two")
    assert compare(place, "one", "two").lines()[0] == "settings, data and base are the same"


def test_scores_stand_side_by_side_with_the_facts_that_one_alone_answers(place, train, evaluate):
    """In both directions, from the last evaluations that asked the same."""
    train("one")
    evaluate("one", "aaaaaa", right=(0, 1))
    train("two")
    evaluate("two", "bbbbbb", right=(1, 2))
    found = compare(place, "one", "two")
    assert [one.name for one in found.evaluations] == ["one-aaaaaa", "two-bbbbbb"]
    assert [[fact.id for fact in facts] for facts in found.only] == [["fct_0"], ["fct_2"]]
    lines = found.lines()
    assert "answered by one alone: 1 facts:" in lines and "  fct_0  Arin weighs 0 kg." in lines
    assert any(line.split() == ["held", "out,", "tuned", "0.6667", "0.6667"] for line in lines)
    assert any(line.split() == ["sft", "loss", "0.25", "0.25"] for line in lines)


def test_evaluations_that_asked_other_things_are_not_compared(place, train, evaluate):
    """Other right answers are other probes: no score is set beside another, and the cure is named."""
    train("one")
    evaluate("one", "aaaaaa", right=(0, 1), gold="kg")
    train("two")
    evaluate("two", "bbbbbb", right=(1, 2), gold="千克")
    found = compare(place, "one", "two")
    assert found.evaluations is None and found.only == ((), ())
    assert "kb eval --run NAME" in found.lines()[-1]


def test_a_stage_that_one_run_lacks_has_no_figure(place, train):
    """DPO in one and not in the other."""
    train("one")
    train("two", metrics={"sft": {"loss": 0.25}, "dpo": {"loss": 1.5}})
    assert compare(place, "one", "two").metrics["dpo loss"] == (None, 1.5)
    assert any(line.split() == ["dpo", "loss", "-", "1.5"] for line in compare(place, "one", "two").lines())


def test_an_unknown_run_is_an_error(place, train):
    """Either of the two."""
    train("one")
    with pytest.raises(UsageError, match="no training run called x"):
        compare(place, "one", "x")
