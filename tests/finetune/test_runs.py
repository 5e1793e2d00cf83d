"""The register of runs: one row a name, the last one current, adapters found where the workspace lies now."""

import shutil
from dataclasses import replace

import pytest

from kb.errors import UsageError
from kb.runs import Lineage, all_runs, find_run, register
from kb.workspace import Workspace


@pytest.fixture
def place(tmp_path):
    """A workspace with two registered runs."""
    workspace = Workspace(tmp_path / "kb", create=True)
    for name in ("one", "two"):
        adapter = workspace.run(name) / "sft" / "adapter"
        adapter.mkdir(parents=True)
        register(workspace.store, name, {"rank": 8}, {"sft": {"rows": 3}}, lineage(adapter))
    yield workspace
    workspace.store.close()


def lineage(adapter):
    return Lineage("lab", "b", str(adapter), "a", "d", "文件", 12)


def test_the_last_registered_run_is_the_current_one(place):
    """By name any run is found; registering one again makes it current, not double."""
    assert find_run(place.store).name == "two"
    assert find_run(place.store, "one").lineage.documents == "文件"
    register(place.store, "one", {"rank": 16}, {}, lineage(place.run("one") / "sft" / "adapter"))
    assert [run.name for run in all_runs(place.store)] == ["two", "one"]
    assert find_run(place.store).config == {"rank": 16}


def test_a_moved_workspace_finds_its_adapters(place, tmp_path):
    """The database holds paths inside the workspace relative to it."""
    place.store.close()
    shutil.move(place.root, tmp_path / "moved")
    moved = Workspace(tmp_path / "moved")
    assert find_run(moved.store).adapter == tmp_path / "moved" / "runs" / "two" / "sft" / "adapter"
    moved.store.close()


def test_an_adapter_elsewhere_keeps_its_path(place, tmp_path):
    """An absolute path outside stays as it is."""
    register(place.store, "far", {}, {}, replace(lineage(""), adapter=str(tmp_path / "far")))
    (tmp_path / "far").mkdir()
    assert find_run(place.store, "far").adapter == tmp_path / "far"


def test_watched_facts_are_kept_and_an_older_run_has_none(place):
    """They come back as they were; a lineage of before they were kept is read all the same."""
    register(place.store, "new", {}, {}, replace(lineage(place.run("one")), watched=("fct_1", "fct_2")))
    assert find_run(place.store, "new").lineage.watched == ("fct_1", "fct_2")
    with place.store.transaction():
        place.store.sql("UPDATE runs SET lineage = json_remove(lineage, '$.watched')")
    assert find_run(place.store, "new").lineage.watched == ()


def test_unknown_names_and_lost_adapters_are_errors(place):
    """The message says which runs there are, or how to get the adapter again."""
    with pytest.raises(UsageError, match="no training run called three; there is: one, two"):
        find_run(place.store, "three")
    shutil.rmtree(place.run("two"))
    with pytest.raises(UsageError, match=r"adapter of run two is gone .* Train again: kb train"):
        find_run(place.store)


def test_before_the_first_run_there_is_none(tmp_path):
    """No run and no name is no error."""
    empty = Workspace(tmp_path / "empty", create=True)
    assert find_run(empty.store) is None
    with pytest.raises(UsageError, match="there is: none"):
        find_run(empty.store, "any")
    empty.store.close()
