"""What an adapter was made from, and what became of it."""

import pytest

from kb.adapters.lineage import origin
from kb.errors import UsageError
from kb.lookup import look_up
from kb.runs import Part


def test_documents_that_changed_went_or_came_are_told_apart(place, train, ingest):
    """By content and path; a file that only moved is the same."""
    ingest(moved="m1", changed="c1", gone="g1")
    train("sft")
    ingest(elsewhere="m1", changed="c2", 新="n1")
    found = origin(place, "sft")
    assert {one.path: one.state for one in found.documents} == {
        "/docs/moved.md": "same", "/docs/changed.md": "changed", "/docs/gone.md": "gone",
    }  # fmt: skip
    assert found.new == ("/docs/新.md",)
    assert "  changed  /docs/changed.md" in found.lines() and "  new      /docs/新.md" in found.lines()


def test_the_whole_lineage_is_shown(place, train, evaluate):
    """Base, adapter, data, settings, figures and evaluations, each with the hash that stands for it."""
    train("sft")
    evaluate("sft", "aaaaaa", right=(0, 2))
    text = "\n".join(origin(place, "sft").lines())
    for said in (
        "run sft, 20", ", in use", "base: lab  b", "data: d, 9 rows, 3 facts, tag none", "settings: rank=8",
        "sft: rows=9, steps=3, loss=0.25", "evaluation: sft-aaaaaa  2026-01-02T03:04  3 facts  base 0.0%, tuned 66.7%",
    ):  # fmt: skip
        assert said in text


def test_a_run_of_before_documents_were_kept_says_so(place, train):
    """No document is called gone that was never recorded."""
    train("old", files={})
    found = origin(place, "old")
    assert (found.documents, found.new) == ((), ())
    assert any("paths not recorded" in line for line in found.lines())


def test_what_was_combined_is_in_the_lineage(place, train):
    """Runs, weights and identities come back from the register as they were put there."""
    train("both", parts=(Part("a", "i1", 0.5), Part("乙", "i2", 1.0)))
    found = origin(place, "both")
    assert found.lineage.parts == (Part("a", "i1", 0.5), Part("乙", "i2", 1.0))
    assert found.adapter.stages == ("combined",)
    assert found.lines()[1:3] == ["  0.5 x a  i1", "  1 x 乙  i2"]


def test_an_unknown_name_is_an_error(place, train):
    """The message lists the names there are."""
    train("sft")
    with pytest.raises(UsageError, match="no training run called x; there is: sft"):
        origin(place, "x")


def test_a_run_leads_to_its_documents(place, train):
    """`kb show RUN` has them above it, and not as a list of hashes."""
    train("sft")
    found = look_up(place.store, "sft")
    assert [link.text for link in found.up] == ["/docs/prices.md", "/docs/员工.md"]
    assert "=p1" not in "\n".join(found.lines(("", "")))
