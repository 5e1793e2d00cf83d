"""Training runs as they are registered."""

from dataclasses import replace

import pytest

from kb.errors import UsageError
from kb.runs import Lineage, all_runs, find_run, register
from kb.store import Store


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "kb.db")


def lineage(folder):
    """What a run was made of; the adapter's folder exists."""
    folder.mkdir(exist_ok=True)
    return Lineage("lab", "b1", str(folder), "a1", "d1", "e1", 12)


def test_a_run_comes_back_as_it_was_registered(store, tmp_path):
    """Name, settings, figures and lineage, Chinese names among them."""
    register(store, "第一次", {"rank": 8, "stages": ["sft"]}, {"sft": {"steps": 3}}, lineage(tmp_path / "a"))
    (run,) = all_runs(store)
    assert (run.name, run.config, run.metrics) == ("第一次", {"rank": 8, "stages": ["sft"]}, {"sft": {"steps": 3}})
    assert run.lineage == lineage(tmp_path / "a")
    assert run.adapter == tmp_path / "a"


def test_a_run_of_before_tags_had_none(store, tmp_path):
    """Its lineage does not name one."""
    register(store, "old", {}, {}, replace(lineage(tmp_path / "a"), tag="Book"))
    assert find_run(store).lineage.tag == "Book"
    store.sql("UPDATE runs SET lineage = json_remove(lineage, '$.tag')")
    assert find_run(store).lineage.tag == ""


def test_the_last_one_registered_is_the_current_one(store, tmp_path):
    """Registering an old run again, as `kb train` does when it is done already, makes it current."""
    for name in ("first", "second", "first"):
        register(store, name, {}, {}, lineage(tmp_path / "a"))
    assert [run.name for run in all_runs(store)] == ["second", "first"]
    assert find_run(store).name == "first"
    assert find_run(store, "second").name == "second"


def test_no_run_is_no_error_and_an_unknown_one_is(store, tmp_path):
    """Nothing trained yet gives nothing; a name that does not exist is answered with those that do."""
    assert find_run(store) is None
    with pytest.raises(UsageError, match="no training run called x; there is: none"):
        find_run(store, "x")
    register(store, "sft", {}, {}, lineage(tmp_path / "a"))
    with pytest.raises(UsageError, match="there is: sft"):
        find_run(store, "x")


def test_a_run_whose_adapter_is_gone_is_refused(store, tmp_path):
    """A deleted adapter is said at once, with the command that makes it again."""
    register(store, "sft", {}, {}, lineage(tmp_path / "a"))
    (tmp_path / "a").rmdir()
    with pytest.raises(UsageError, match=r"the adapter of run sft is gone .*kb train"):
        find_run(store)
