"""Which files a command means."""

import os

import pytest

from kb.errors import UsageError
from kb.ingest.files import find


def test_folders_are_walked_in_order(tmp_path):
    """Regular files of known kinds, sorted; hidden files, lock files, the workspace and other kinds are left out."""
    for name in (
        "b/2.txt",
        "b/1.MD",
        "a.pdf",
        ".hidden/x.txt",
        "~$a.docx",
        ".x.txt",
        "kb/w.txt",
        "t.zip",
        "u.zip",
        "README",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    os.mkfifo(tmp_path / "pipe.txt")
    found = find([tmp_path], True, tmp_path / "kb")
    assert [str(file.relative_to(tmp_path)) for file in found.files] == ["a.pdf", "b/1.MD", "b/2.txt"]
    assert found.unknown == {".zip": 2, "no suffix": 1}
    assert found.folders == [tmp_path]
    assert find([tmp_path], False, tmp_path / "kb").files == [tmp_path / "a.pdf"]


def test_links(tmp_path):
    """A link to a file inside the folder is that file, once; links out of it and to folders are not followed."""
    root, outside = tmp_path / "root", tmp_path / "out.txt"
    (root / ".data").mkdir(parents=True)
    (root / ".data" / "real.txt").write_text("x")
    outside.write_text("y")
    (root / "in.txt").symlink_to(root / ".data" / "real.txt")
    (root / "again.txt").symlink_to(root / ".data" / "real.txt")
    (root / "out.txt").symlink_to(outside)
    (root / "loop").symlink_to(root)
    found = find([root], True, tmp_path / "kb")
    assert found.files == [root / ".data" / "real.txt"]
    assert found.links == 2


def test_a_name_that_is_not_utf8_is_reported(tmp_path):
    """GBK names out of a zip: such a file is listed with the cure, in letters one can print, and the rest is taken."""
    (tmp_path / os.fsdecode("员工手册.txt".encode("gbk"))).write_text("x")
    (tmp_path / "b.txt").write_text("x")
    found = find([tmp_path], True, tmp_path / "kb")
    assert found.files == [tmp_path / "b.txt"]
    ((path, reason),) = found.unreadable
    assert "\\xb9\\xa4" in str(path)
    assert "convmv" in reason
    str(path).encode()


def test_a_folder_that_went_with_its_files_is_gone(tmp_path):
    """A named folder that held documents and is not there any more is no mistake: what was in it is to be retired."""
    found = find([tmp_path / "old"], True, tmp_path / "kb", [tmp_path / "old" / "a.txt"])
    assert (found.files, found.folders) == ([], [tmp_path / "old"])


def test_named_files(tmp_path):
    """A named file is taken whatever it is called; a pipe is reported; a path that never was is a usage error."""
    (tmp_path / ".odd.xyz").write_text("x")
    os.mkfifo(tmp_path / "pipe.txt")
    found = find([tmp_path / ".odd.xyz", tmp_path / "pipe.txt"], True, tmp_path / "kb")
    assert found.files == [tmp_path / ".odd.xyz"]
    assert found.unreadable == [(tmp_path / "pipe.txt", "is not a regular file.")]
    with pytest.raises(UsageError, match="no such file or folder"):
        find([tmp_path / "typo"], True, tmp_path / "kb")
    assert find([tmp_path / "old.txt"], True, tmp_path / "kb", [tmp_path / "old.txt"]).gone == [tmp_path / "old.txt"]
