"""`kb ingest --dry-run`: what would be done is what is done, and nothing is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kb.cli import app
from kb.ingest.config import IngestConfig
from kb.ingest.plan import plan
from kb.records import Chunk, Document


@pytest.fixture
def look(workspace):
    """Plans a run without progress."""

    def go(*paths, **config):
        return plan(paths, IngestConfig(**config), workspace, show=False)

    return go


def names(paths):
    """The names of files."""
    return [Path(path).name for path in paths]


def test_every_kind_of_file_is_told(workspace, folder, ingest, look):
    """New, changed, unchanged, moved, deleted, of another kind; the run that follows does just that."""
    for name in ("same", "changes", "moves", "goes"):
        (folder / f"{name}.txt").write_text(f"The rule {name} is in force.", encoding="utf-8")
    ingest(folder)
    (folder / "changes.txt").write_text("A new rule is in force.", encoding="utf-8")
    (folder / "moves.txt").rename(folder / "moved.txt")
    (folder / "goes.txt").unlink()
    (folder / "新规定.txt").write_text("年假为12天。", encoding="utf-8")
    (folder / "photo.jpg").write_bytes(b"x")
    before = (workspace.store.all(Document), workspace.store.all(Chunk))
    planned = look(folder)
    assert names(planned.new) == ["新规定.txt"]
    assert names(planned.changed) == ["changes.txt"]
    assert [names(pair) for pair in planned.moved] == [["moves.txt", "moved.txt"]]
    assert names(planned.retired) == ["goes.txt"]
    assert (planned.unchanged, planned.again, planned.skipped) == (2, (), ((".jpg", 1),))
    assert (workspace.store.all(Document), workspace.store.all(Chunk)) == before
    report = ingest(folder)
    assert (report.read, report.changed, report.unchanged, report.moved, report.retired) == (2, 1, 2, 1, 1)


def test_other_settings_read_again(folder, ingest, look):
    """Files that would be cut in another way are told from new ones."""
    (folder / "a.txt").write_text("The rule is in force.", encoding="utf-8")
    ingest(folder)
    planned = look(folder, target_tokens=500)
    assert (planned.new, names(planned.again), planned.unchanged) == ((), ["a.txt"], 0)


def test_long_lists_are_cut_on_the_terminal(folder, look):
    """The counts are whole."""
    for number in range(30):
        (folder / f"{number:02}.txt").write_text(f"Rule {number} is in force.", encoding="utf-8")
    lines = look(folder).lines()
    assert lines[0].startswith("would read: ")
    assert lines[20] == "... and 10 more; --json shows all"
    assert lines[-1] == "30 new, 0 changed, 0 to read again, 0 unchanged, 0 gone. Nothing was done."


def test_the_command_does_nothing(folder, tmp_path):
    """Without a workspace too: none is made."""
    (folder / "a.txt").write_text("The rule is in force.", encoding="utf-8")
    place = tmp_path / "none"
    done = CliRunner().invoke(app, ["ingest", str(folder), "--dry-run", "--json", "--workspace", str(place)])
    assert done.exit_code == 0, done.output
    assert names(json.loads(done.stdout)["new"]) == ["a.txt"]
    assert not place.exists()
