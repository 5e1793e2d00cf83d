"""The failures benchmark: the page that it makes of what came out."""

from argparse import Namespace

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(script):
    """The script."""
    return script("failures")


def test_what_failed_is_set_against_training_again_without_further_rows(bench):
    """Of facts that failed and of the others apart; a fact that one training was not asked is left out."""
    facts = [f"f{number}" for number in range(8)]
    first = {fact: float(number > 3) for number, fact in enumerate(facts)}
    again = bench.mean([{"held_out": dict.fromkeys(facts, share), "near_miss": {}} for share in (0.0, 1.0)])
    more = {"held_out": dict.fromkeys(facts[:-1], 1.0), "near_miss": {}}
    arms = [
        bench.Arm("first", 40, {"held_out": first, "near_miss": {}}), bench.Arm("again", 40, again),
        bench.Arm("more", 64, more),
    ]  # fmt: skip
    text = bench.page(
        arms, {fact: ["under_trained"] for fact in facts[:4]}, Namespace(seeds=[1, 2], steps=900, documents=0)
    )
    assert "Made by `python benchmarks/failures.py --seeds 1 2 --steps 900 --documents 0`." in text
    assert "\n40 QA pairs, and 64 with what was written for 4 facts; as many steps each.\n" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| held out")]
    assert [row[:5] for row in rows] == [
        ["| held out, that failed", "4", ".000", ".500", "1.00"],
        ["| held out, the others", "3", "1.00", ".500", "1.00"],
    ]  # fmt: skip
    assert all(row[5].startswith("+0.500 [") for row in rows)
