"""The benchmark of the first figures: what it takes from the lines of a command, and the table it makes of them."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(script):
    """The script."""
    return script("first")


def test_the_lines_of_kb_tell_when_each_arm_was_scored(bench):
    """Of the very lines that `kb eval` writes, and of no other line; arms of runs have a colon in their names."""
    from kb.evaluate.answering import so_far
    from kb.evaluate.arms import ARMS, others

    lines = ["eval: base: 9/9, 3.0/s", so_far(ARMS["base"], []), so_far(others("run:a", True)[1], []), "other"]
    assert bench.scored(enumerate(lines)) == {
        "base: held-out questions scored": 1,
        "run:a+rag: held-out questions scored": 2,
    }


def test_ratios_are_within_a_round(bench):
    """Medians of three rounds; what was not seen in every round is left out."""
    rounds = [{bench.ANSWER: 8.0, "odd": 1.0}, {bench.ANSWER: 30.0}, {bench.ANSWER: 9.0}]
    assert bench.table([4.0, 20.0, 6.0], rounds)[2:] == [
        f"| {bench.FLOOR} | 6.0 | 1.00 |",
        f"| {bench.ANSWER} | 9.0 | 1.50 |",
    ]
