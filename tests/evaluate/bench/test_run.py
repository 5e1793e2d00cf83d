"""What is made of two models' answers to a public benchmark."""

import pytest

from kb.errors import UsageError
from kb.evaluate.bench.results import Answered, BenchReport
from kb.evaluate.bench.run import run, summarised
from kb.llm.base import ModelConfig
from kb.workspace import Workspace


def answers(count, subjects=0, lost=0, shift=-0.5):
    """Right before and wrong after for the first `lost`, right both times for the rest."""
    return [
        Answered(f"i{n}", f"s{n % subjects}" if subjects else "", f"问题 {n}?", 1.0, float(n >= lost), shift * (n < 20))
        for n in range(count)
    ]


def test_a_loss_is_seen_paired_by_item():
    """The difference, its interval and p are those of the pairs; a fall of the right choice is seen beside it."""
    found = summarised("arc", answers(100, lost=20), "MIT", {"a.jsonl": "0" * 64})
    assert (found.base.value, found.tuned.value, found.items, found.clusters) == (1.0, 0.8, 100, 100)
    assert found.difference.value == pytest.approx(-0.2)
    assert found.difference.high < 0
    assert found.p < 0.001
    assert found.sign == -1
    assert found.shift.value == pytest.approx(-0.1)


def test_nothing_lost_is_no_difference():
    """Equal answers give an interval around zero, p of 1 and no list."""
    found = summarised("gsm8k", [Answered(f"i{n}", "", "?", 1.0, 1.0, None) for n in range(40)], "", {})
    assert (found.sign, found.p, found.worst, found.shift) == (0, 1.0, (), None)
    assert found.difference.low < 0 < found.difference.high


def test_many_subjects_are_what_is_resampled():
    """With 40 subjects they are the clusters; with 5 of them items are, each for itself."""
    assert summarised("mmlu", answers(200, subjects=40), "", {}).clusters == 40
    assert summarised("mmlu", answers(200, subjects=5), "", {}).clusters == 200


def test_the_ten_worst_come_first():
    """What was lost goes before what only fell, the deepest fall first."""
    rows = [
        *(Answered(f"l{n}", "", "?", 1.0, 0.0, -float(n)) for n in range(4)),
        *(Answered(f"f{n}", "", "?", 1.0, 1.0, -9.0 - n) for n in range(9)),
        Answered("gain", "", "?", 0.0, 1.0, 3.0),
    ]
    worst = [one.id for one in summarised("arc", rows, "", {}).worst]
    assert worst == ["l3", "l2", "l1", "l0", "f8", "f7", "f6", "f5", "f4", "f3"]


def test_the_report_fits_the_terminal_and_tells_an_adapter_that_is_not_on():
    """No line is over 100 columns, Chinese counted double; exit code 3 where nothing differs in any digit."""
    from rich.cells import cell_len

    task = summarised("ceval", [Answered("i", "law", "题" * 90, 1.0, 0.0, -2.0)] * 30, "MIT", {"a.csv": "0" * 64})
    report = BenchReport("bench-x", "2026", "x", (task,), True, {"kb": "0"}, "/f")
    assert max(map(cell_len, report.lines())) <= 100
    assert report.exit_code == 0
    assert "| ceval | 30 |" in report.markdown()
    off = BenchReport("bench-x", "2026", "x", (task,), False, {}, "/f")
    assert off.exit_code == 3
    assert any(line.startswith("CHECK FAILED") for line in off.lines())


@pytest.mark.parametrize(
    ("model", "names", "said"),
    [
        ("lab", (), "no benchmark has been imported"),
        ("lab", ("arc",), "arc has not been imported"),
        ("lab", ("piqa",), "got 'piqa'"),
    ],
)
def test_what_is_missing_is_said(tmp_path, model, names, said):
    """Before any model is loaded."""
    with pytest.raises(UsageError, match=said):
        run(Workspace(tmp_path / ".kb", create=True), ModelConfig(name=model), names, 0, "")
