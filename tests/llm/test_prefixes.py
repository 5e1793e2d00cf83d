"""Prompts that begin alike: how they are parted, and the batches made of them."""

import random
from itertools import pairwise

from kb.llm.prefixes import BLOCK, LEAST, Row, _alike, _families, batches, rows_of

HEADS = [[number] * (6 * BLOCK + 5) for number in range(3)]
"""Three beginnings, each longer than whole blocks."""


def family(head, count, rest=7):
    """`count` prompts with this beginning, each ending in tokens of its own."""
    return [[*head, *range(100 + 10 * at, 100 + 10 * at + rest)] for at in range(count)]


def as_rows(prompts):
    """The row of each prompt, by its index."""
    return {row.index: row for row in rows_of(dict(enumerate(prompts)))}


def saved(alike, spans):
    """Tokens that need not be computed again with these families."""
    return sum(min(alike[start : end - 1], default=0) * (end - start - 1) for start, end in spans)


def test_wordings_share_what_stands_before_them_and_facts_do_not():
    """Four wordings of three facts, shuffled, are three families, each with the whole blocks of its own beginning."""
    prompts = [prompt for head in HEADS for prompt in family(head, 4)]
    order = list(range(12))
    random.Random(0).shuffle(order)
    rows = as_rows([prompts[at] for at in order])
    assert {row.shared for row in rows.values()} == {6 * BLOCK}
    families = {}
    for place, at in enumerate(order):
        families.setdefault(rows[place].family, set()).add(at // 4)
    assert sorted(map(list, families.values())) == [[0], [1], [2]]


def test_a_beginning_that_all_share_does_not_keep_families_together():
    """With a system prompt before all of them, the passages are still shared, because more is saved so."""
    prompts = [[7] * BLOCK + prompt for head in HEADS for prompt in family(head, 4)]
    assert {row.shared for row in as_rows(prompts).values()} == {7 * BLOCK}


def test_less_than_a_quarter_of_a_prompt_is_not_shared():
    """A beginning of a fifth of the prompts is left alone; one of a third is shared."""
    for rest, expected in ((24 * BLOCK, 0), (12 * BLOCK, 6 * BLOCK)):
        prompts = [[*HEADS[0], *[50 + at] * rest] for at in range(3)]
        assert {row.shared for row in as_rows(prompts).values()} == {expected}


def test_a_few_tokens_are_not_worth_a_pass():
    """A beginning of 64 tokens is shared, one of 48 is not, although it is most of the prompts."""
    for blocks, expected in ((4, LEAST), (3, 0)):
        prompts = [[7] * (blocks * BLOCK) + [at] for at in range(3)]
        assert {row.shared for row in as_rows(prompts).values()} == {expected}


def test_a_token_is_left_of_every_prompt():
    """Of two equal prompts, and of one that the other goes on from, at least the last token is computed for each."""
    whole = [1] * (7 * BLOCK)
    for prompts in ([whole, whole], [whole, [*whole, 2]], [whole[:-1], whole]):
        rows = as_rows(prompts)
        assert {row.shared for row in rows.values()} == {6 * BLOCK}
        assert [rows[at].length for at in (0, 1)] == [len(prompt) for prompt in prompts]


def test_few_or_different_prompts_share_nothing():
    """None, one, and two with other beginnings."""
    assert rows_of({}) == []
    assert rows_of({3: [1, 2]}) == [Row(3, 2)]
    assert {row.shared for row in as_rows([HEADS[0], HEADS[1]]).values()} == {0}


def test_prompts_are_parted_only_where_that_saves_more():
    """All in one family at worst, and what is said to be saved is saved: two hundred draws, and two cases by hand."""
    rng = random.Random(1)
    for _ in range(200):
        alike = [rng.randrange(4) * BLOCK for _ in range(rng.randint(1, 9))]
        count = len(alike) + 1
        best, spans = _families(alike, 0, count)
        assert best == saved(alike, spans) >= saved(alike, [(0, count)])
        assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert _families([9, 8, 9], 0, 4) == (24, [(0, 4)])
    assert _families([9, 1, 9], 0, 4) == (18, [(0, 2), (2, 4)])


def test_sorted_prompts_have_most_in_common_with_their_neighbours():
    """What the first and the last of a span share is the least that neighbours in it share."""
    rng = random.Random(2)
    prompts = sorted([rng.randrange(2)] * BLOCK + [rng.randrange(2)] * BLOCK + [rng.randrange(9)] for _ in range(30))
    alike = [_alike(first, second) for first, second in pairwise(prompts)]
    for end in range(2, 30):
        assert _alike(prompts[0], prompts[end - 1]) == min(alike[: end - 1])


def test_batches_hold_like_lengths_and_stay_within_the_limit():
    """The longest first; each as large as the limit lets it be with padding and answers; none lost."""
    rng = random.Random(3)
    rows = [Row(at, rng.randint(5, 90)) for at in range(50)]
    made = list(batches(rows, 10, lambda: 400))
    assert sorted(row.index for batch in made for row in batch) == list(range(50))
    lengths = [row.length for batch in made for row in batch]
    assert lengths == sorted(lengths, reverse=True)
    for batch, following in pairwise(made):
        widest = batch[0].length + 10
        assert len(batch) * widest <= 400 < (len(batch) + 1) * widest
        assert following


def test_a_row_over_the_limit_is_a_batch_of_its_own():
    """It is tried, because the limit is no more than a guess of what fits."""
    assert [len(batch) for batch in batches([Row(0, 900), Row(1, 9)], 10, lambda: 40)] == [1, 1]


def test_the_limit_is_read_anew_for_every_batch():
    """It may have been halved in the one before."""
    limits = iter((40, 20, 20))
    assert [len(batch) for batch in batches([Row(at, 5) for at in range(8)], 5, lambda: next(limits))] == [4, 2, 2]


def test_families_stay_together_apart_from_the_others():
    """Prompts that share a beginning come after those that share none, family after family."""
    rows = [Row(0, 90, 64, 0), Row(1, 92, 64, 5), Row(2, 70), Row(3, 91, 64, 0), Row(4, 89, 64, 5)]
    (alone, families) = batches(rows, 10, lambda: 1000)
    assert [row.index for row in alone] == [2]
    assert [row.index for row in families] == [0, 3, 1, 4]


def test_padding_within_a_row_counts():
    """A short beginning beside a long one with a short rest makes a row as wide as both paddings."""
    rows = [Row(0, 100, 90, 0), Row(1, 60, 50, 1)]
    assert [len(batch) for batch in batches(rows, 0, lambda: 200)] == [2]
    assert [len(batch) for batch in batches(rows, 0, lambda: 199)] == [1, 1]
