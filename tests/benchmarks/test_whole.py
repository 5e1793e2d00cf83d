"""The benchmark of the whole report: what it asks for, and the page around what came."""

import pytest

from kb.corpora.handbook import bundled
from kb.workspace import read_jsonl, write_jsonl

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(script):
    """The script."""
    return script("whole")


def test_the_control_is_tuned_on_documents_of_other_names(bench, tmp_path):
    """Both languages in turns, nobody of the handbook, and no name twice."""
    truths = bench.others(tmp_path, 4)
    named = {truth.name for truth in truths}
    assert len(named) == 8 and named.isdisjoint(row["entity"] for row in read_jsonl(bundled() / "facts.jsonl"))
    files = sorted(str(file.relative_to(tmp_path / "docs")) for file in (tmp_path / "docs").rglob("*.*"))
    assert files == ["en/00.md", "en/02.md", "zh/01.md", "zh/03.md"]


def test_a_report_that_lacks_an_arm_or_a_kind_of_question_is_found_out(bench, tmp_path):
    """By the answers that it was made of."""
    kinds = sorted(bench.PROBES)
    rows = [{"arm": arm, "kind": kind} for arm in sorted(bench.ARMS - {"control"}) for kind in kinds[1:]]
    write_jsonl(tmp_path / "answers.jsonl", rows)
    assert list(bench.missing(tmp_path / "answers.jsonl")) == ["arm control", f"kind {kinds[0]}"]


def test_the_page_holds_the_report_one_heading_down(bench):
    """Below what is said of it."""
    text = bench.quoted(["# A page"], "# Report\n\n## Arms\n\n| a |\n")
    assert text.splitlines()[0] == "# A page"
    assert text.endswith("---\n\n## Report\n\n### Arms\n\n| a |\n")


def test_of_every_name_of_the_handbook_something_can_be_asked_that_it_does_not_say(bench):
    """Else no question without an answer would be in the set."""
    truths = bench.handbook_truths()
    assert truths and all(truth.missing for truth in truths)
