"""Files that hang, crash or swell are given up one by one, in processes that go with the command."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import docx
import psutil
import pytest

from kb.ingest.pool import Limits, read_all
from kb.ingest.read import Content, ReadConfig

pytestmark = pytest.mark.slow

CONFIG = ReadConfig(900, 1400, 250, 350)
LIMITS = Limits(seconds=60, memory_mb=4096)


@pytest.fixture
def text(tmp_path):
    """Makes a text file."""

    def make(name, content="员工每年有12天假。"):
        file = tmp_path / name
        file.write_text(content, encoding="utf-8")
        return file

    return make


@pytest.fixture
def endless(tmp_path):
    """A small Word file with so many empty paragraphs that it takes long to read."""
    file = tmp_path / "endless.docx"
    docx.Document().save(file)
    with zipfile.ZipFile(file) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    parts["word/document.xml"] = parts["word/document.xml"].replace(b"<w:body>", b"<w:body>" + b"<w:p/>" * 1_000_000)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in parts.items():
            package.writestr(name, data)
    return file


def outcomes(contents, limits=LIMITS, jobs=2):
    """The texts that were read, and the statuses of what was not, in their order."""
    readings = list(read_all([Content((file,)) for file in contents], CONFIG, limits, jobs))
    return [one.parsed.text if one.parsed else one.failures[0].status for one in readings]


def test_readings_come_in_the_order_of_the_files(text):
    """A long file does not come after the short ones behind it."""
    files = [text("long.txt", "很长的一段话。" * 40_000), *(text(f"{n}.txt", f"第{n}条。") for n in range(30))]
    assert outcomes(files) == [file.read_text(encoding="utf-8") for file in files]


def test_a_file_that_takes_too_long_is_given_up(text, endless):
    """Its neighbours are read; the message names the file, the limit and the cure."""
    before, after = text("a.txt"), text("z.txt")
    readings = list(read_all([Content((file,)) for file in (before, endless, after)], CONFIG, Limits(1, 8192), 2))
    assert [bool(one.parsed) for one in readings] == [True, False, True]
    failure = readings[1].failures[0]
    assert (failure.place, failure.status) == (endless, "TIMEOUT")
    assert failure.message.startswith(f"{endless}: took more than 1 s to read. Split it")


def test_a_file_that_takes_too_much_memory_is_given_up(text):
    """The process is bounded, not the machine."""
    large = text("large.txt", "每个员工都有假期。\n\n" * 3_000_000)
    found = outcomes([large, text("small.txt")], Limits(60, 700), jobs=1)
    assert found == ["TOO_LARGE", "员工每年有12天假。"]


def test_a_parser_that_dies_costs_its_file_alone(text, endless):
    """What kills a process, the kernel say, is a CRASH of the file it was at."""
    killer = threading.Thread(target=lambda: _busy_child(os.getpid()).kill(), daemon=True)
    killer.start()
    contents = [Content((file,)) for file in (endless, text("b.txt"), text("c.txt"))]
    found = list(read_all(contents, CONFIG, Limits(60, 8192), 1))
    assert [one.failures[0].status if one.failures else "read" for one in found] == ["CRASH", "read", "read"]
    assert "crashed its parser (exit code -9)" in found[0].failures[0].message


def _busy_child(parent):
    """The reader of `parent`, not the server it is forked from, that has worked for half a second."""
    while True:
        for child in psutil.Process(parent).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.ppid() != parent and sum(child.cpu_times()[:2]) > 0.5:
                    return child
        time.sleep(0.05)


SCRIPT = """
import sys
from pathlib import Path
from kb.ingest.pool import Limits, read_all
from kb.ingest.read import Content, ReadConfig
if __name__ == "__main__":
    list(read_all([Content((Path(sys.argv[1]),))] * 2, ReadConfig(900, 1400, 250, 350), Limits(60, 8192), 2))
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_command(end, endless, tmp_path, guarded_env):
    """However the command ends, what reads for it ends too."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = subprocess.Popen([sys.executable, script, endless], env=guarded_env(tmp_path), stderr=subprocess.DEVNULL)
    _busy_child(command.pid)
    below = psutil.Process(command.pid).children(recursive=True)
    command.send_signal(end)
    command.wait(40)
    _, left = psutil.wait_procs(below, timeout=40)
    # One that has ended stays a zombie until process 1, its new parent, comes round to it.
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []


def test_names_of_any_kind_are_read(text):
    """A name with blanks, quotes and Chinese reaches the process as it is."""
    file = text("年假 '2024' \"终稿\".txt")
    assert outcomes([file]) == [Path(file).read_text(encoding="utf-8")]
