"""The workspace folder: lock, whole files, JSONL."""

import os

import pytest

from kb.errors import WorkspaceError
from kb.workspace import Workspace, read_jsonl, write_jsonl, write_text


def test_a_missing_workspace_says_how_to_start(tmp_path):
    """Opening what is not there names the command that makes it, and makes nothing."""
    with pytest.raises(WorkspaceError, match="kb ingest PATH"):
        Workspace(tmp_path / ".kb")
    assert not (tmp_path / ".kb").exists()


def test_the_second_writer_is_refused_by_the_pid_of_the_first(tmp_path):
    """Two writers at once: the second gets one clear line with the first one's pid."""
    first, second = Workspace(tmp_path, create=True), Workspace(tmp_path)
    with first.lock(), pytest.raises(WorkspaceError, match=f"pid {os.getpid()}"), second.lock():
        pass
    with second.lock():
        pass


def test_the_lock_of_a_dead_writer_does_not_block(tmp_path):
    """A pid left in the lock file by a killed process is no lock."""
    place = Workspace(tmp_path, create=True)
    (tmp_path / "lock").write_text("999999")
    with place.lock():
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """A failure while writing leaves the old file as it was."""
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def broken(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        write_text(target, "new")
    assert target.read_text() == "old"


def test_jsonl_keeps_chinese_readable(tmp_path):
    """Exports are UTF-8 and not escaped, and come back equal."""
    rows = [{"问题": "谁创立了它？", "n": 1}, {"问题": "x"}]
    assert write_jsonl(tmp_path / "a.jsonl", rows) == 2
    assert "谁创立了它？" in (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert read_jsonl(tmp_path / "a.jsonl") == rows


def test_lines_end_at_line_feeds_only(tmp_path):
    """Text from the web has line separators that are no ends of a JSON line."""
    rows = [{"a": "one\u2028two\u2029three\x85four\x0bfive"}, {"a": "b"}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    assert read_jsonl(tmp_path / "a.jsonl") == rows


def test_a_broken_jsonl_line_is_named(tmp_path):
    """File and line of what is not JSON are in the message."""
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(WorkspaceError, match=r"a\.jsonl, line 2"):
        read_jsonl(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text("[1]\n")
    with pytest.raises(WorkspaceError, match="not a JSON object"):
        read_jsonl(tmp_path / "b.jsonl")


def test_rows_that_break_off_leave_the_old_file_alone(tmp_path):
    """They are written as they come, and nothing of them stays when the last one does not come."""
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, ({"number": number} for number in range(3))) == 3

    def breaks():
        yield {"number": 9}
        raise MemoryError

    with pytest.raises(MemoryError):
        write_jsonl(path, breaks())
    assert [row["number"] for row in read_jsonl(path)] == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [path]
