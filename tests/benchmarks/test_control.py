"""The benchmark of the format-only control: the page that it makes of what came out."""

from argparse import Namespace

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(script):
    """The script."""
    return script("control")


def test_knowledge_is_what_the_tuned_model_has_above_the_control(bench):
    """Averaged over seeds; a fact that both halves tell, or that a seed was not asked, counts for nobody."""
    facts = [f"f{number}" for number in range(8)]
    right = {"base": 0.0, "control": 0.0, "tuned": 1.0}
    runs = [
        {(arm, "held_out", "correct"): dict.fromkeys(asked, share * half) for arm, share in right.items()}
        for half, asked in ((1.0, facts), (0.5, facts[:-1]))
    ]
    text = bench.page(bench.mean(runs), {"f0"}, Namespace(seeds=[1, 2], steps=9, documents=3))
    assert "Made by `python benchmarks/control.py --steps 9 --seeds 1 2 --documents 3`." in text
    assert "1 facts that both halves tell are left out" in text
    (row,) = [line.split(" | ") for line in text.splitlines() if line.startswith("| held-out")]
    assert row[1:6] == ["correct", "6", ".000", ".000", ".750"]
    assert row[6].startswith("+0.000 [") and row[8].startswith("+0.750 [")
