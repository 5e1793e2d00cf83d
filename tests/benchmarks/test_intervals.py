"""The simulation of the statistics, its page, and the timing of the statistics."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

NAN = float("nan")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """A function that imports a script of the benchmarks by its bare name, as they import each other."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_what_is_outside_of_the_promise_is_bold_and_counted(script) -> None:
    """One rate of three is below and one above; a method that does not apply leaves its cell empty."""
    page = script("intervals_page")
    rows = [("mean", 0.05, 30, 0.9, NAN), ("mean", 0.5, 30, 0.95, 0.5), ("mean", 0.8, 30, 0.98, 0.9)]
    table = page.grid(("quantity", "level", "facts", "kb", "other"), rows, 3, {3: (0.93, 0.97)})
    assert table.splitlines()[2:] == [
        "| mean | 0.05 | 30 | **0.900** |  |", "| mean | 0.50 | 30 | 0.950 | 0.500 |",
        "| mean | 0.80 | 30 | **0.980** | 0.900 |",
    ]  # fmt: skip
    said = page.outside("kb", rows, 3, (0.93, 0.97))
    assert said == (
        "kb is to be within 0.93 and 0.97: 1 of 3 are, 1 below (least 0.900), 1 above (most 0.980), in bold."
    )


@pytest.mark.slow
def test_the_simulated_arms_have_the_rates_that_are_asked_for(script) -> None:
    """The mean over many facts is the level, documents or not, and what documents add is what their rates say."""
    simulated = script("simulated")
    random, groups = np.random.default_rng(0), np.repeat(np.arange(40), 10)
    for sd in (0.0, 2.0):
        (arm,), (added,) = simulated.draw((0.8,), 400, 100, random, groups, sd)
        assert arm.mean() == pytest.approx(0.8, abs=0.015)
        rates = simulated.document_rates(0.8, added, sd)
        assert rates.mean() == pytest.approx(0.8, abs=0.015)
        own = arm.reshape(40, 10, 100).mean(axis=1)
        assert np.corrcoef(own.ravel(), rates.ravel())[0, 1] > 0.8 if sd else rates.std() < 1e-6


@pytest.mark.slow
def test_the_times_of_the_statistics_are_written_down(script) -> None:
    """A small evaluation: the page names its size and has a line for the figures and one for the files."""
    text = script("summaries").page(20, 2, 1, "python x")
    assert "20 facts in 100 documents, 2 held-out wordings each, 7 arms: 468 verdicts" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 4
