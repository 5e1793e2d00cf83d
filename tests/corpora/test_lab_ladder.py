"""When training goes on to harder passages."""

from kb.corpora.lab_ladder import LADDER, Climb

ENOUGH = Climb.MEMORY + 100


def test_a_mastered_level_is_left_and_its_answers_forgotten():
    """Up by one when the share of right answers is reached, from enough of them, and not before."""
    climb = Climb(master=0.9, longest=1e9)
    climb.add(100, 95, 100)
    assert climb.level == 0
    climb.add(100, ENOUGH * 9 // 10, ENOUGH)
    assert (climb.level, climb.accuracy) == (1, 0)


def test_only_the_last_answers_count():
    """A bad start is outlived."""
    climb = Climb(master=0.9, longest=1e9)
    climb.add(100, 0, ENOUGH)
    steps = 0
    while climb.level == 0:
        climb.add(100, 96, 100)
        steps += 1
    assert Climb.MEMORY / 100 <= steps <= 2 * Climb.MEMORY / 100


def test_a_level_that_is_not_mastered_ends_by_its_tokens():
    """One level after the other, and none after the last."""
    climb = Climb(master=0.9, longest=1000)
    seen = []
    for _ in range(10 * len(LADDER)):
        climb.add(100, 5, 10)
        seen.append(climb.level)
    assert seen[8:11] == [0, 1, 1]
    assert seen[-1] == len(LADDER) - 1
