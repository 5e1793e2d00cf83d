"""Labels and figures of the panels: in both languages, with the signs that print uses on the page."""

import re

import pytest

from kb.evaluate.beside import Benchmark, Cost, General, GoldShift
from kb.evaluate.markup import figures
from kb.evaluate.panels import benchmark_rows, cost_rows, general_rows
from kb.evaluate.results import Text
from kb.evaluate.stats import Interval

ENGLISH = re.compile(r"(?<![A-Za-z])(?!RAG|KL|Token|arc)[A-Za-z]{2,}")
FELL = Interval(-1.434, -1.88, -0.98)


def general(change: Interval | None) -> General:
    """One kind of probe, whose right answers became less likely."""
    return General(80, 2850, 0.858, 0.368, (GoldShift("known", 96, -0.001, -1.434, change),), ())


def benchmark() -> Benchmark:
    """Forty questions with choices."""
    half = Interval(0.5, 0.4, 0.6)
    return Benchmark("arc", "bench-1", "", 40, half, half, Interval(0.0, -0.1, 0.1), 1.0, 1.0, 0.1, FELL)


@pytest.mark.parametrize(
    "rows",
    [
        cost_rows(Cost(264_539, 30.0, 2_843_233, 624.0, 70_030.0, None)),
        general_rows(general(FELL)),
        general_rows(general(None)),
        benchmark_rows([benchmark()]),
    ],
)
def test_chinese_rows_hold_no_english(rows):
    """Neither in the label nor in the figure; names of units and methods aside."""
    assert rows
    for label, figure in rows:
        assert not ENGLISH.search(label.zh + figure.zh), (label.zh, figure.zh)
        assert figure.en


def test_what_rounds_to_zero_has_no_sign():
    """-0.001 is 0.00, in a level and in a difference."""
    rows = general_rows(general(Interval(-0.001, -0.004, 0.004)))
    assert rows[-1][1] == Text(
        "0.00 -> -1.43, 0.00 [0.00, 0.00] nats (96)", "0.00 -> -1.43，0.00 [0.00, 0.00] 奈特（96 题）"
    )


@pytest.mark.parametrize(
    ("plain", "page"),
    [
        ("0.00 -> -1.43, -1.43 [-1.88, -0.98]", "0.00\u00a0→\u00a0−1.43, −1.43 [−1.88, −0.98]"),
        ("(微调 - 原模型)，-3.1", "(微调 − 原模型)，−3.1"),
        ("log-probability, 2026-11-28, kb generate-qa --for-failures, sft-dpo-4cfb", None),
    ],
)
def test_the_page_has_true_minus_signs_and_arrows(plain, page):
    """Hyphens of words, dates, options and names stay."""
    assert (page or plain) in figures(Text(plain, plain))
