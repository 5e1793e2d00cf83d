"""`kb ingest --watch`: the workspace follows the folder."""

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def wait_for(database, texts):
    """Wait until the live documents have these texts."""
    found = None
    for _ in range(300):
        time.sleep(0.1)
        if database.exists():
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as opened:
                try:
                    rows = opened.execute("SELECT text FROM documents WHERE retired = 0").fetchall()
                except sqlite3.OperationalError:  # not made yet
                    continue
            found = {text for (text,) in rows}
            if found == texts:
                return
    raise AssertionError(f"{found} instead of {texts}")


def test_files_that_come_change_and_go(folder, tmp_path, guarded_env):
    """Each is taken in without a further command; what the workspace writes beside them starts nothing; Ctrl-C ends."""
    workspace = folder / "kb"
    (folder / "a.txt").write_text("年假为十二天。", encoding="utf-8")
    command = subprocess.Popen(
        [Path(sys.executable).with_name("kb"), "ingest", str(folder), "--watch", "--workspace", str(workspace)],
        env=guarded_env(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(workspace / "kb.db", {"年假为十二天。"})
        assert command.stderr
        for line in command.stderr:
            if line.startswith("watching"):
                break
        time.sleep(1)
        (folder / "b.txt").write_text("The fine is 84 crowns.", encoding="utf-8")
        wait_for(workspace / "kb.db", {"年假为十二天。", "The fine is 84 crowns."})
        (folder / "a.txt").unlink()
        wait_for(workspace / "kb.db", {"The fine is 84 crowns."})
        time.sleep(4)
        command.send_signal(signal.SIGINT)
        printed, _ = command.communicate(timeout=30)
    finally:
        command.kill()
    assert command.returncode == 0
    assert printed.count("documents: ") == 3
