"""The benchmarks' scripts as modules."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """A function that imports a script, which may import others by their bare names; all are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in {file.stem for file in BENCHMARKS.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]
