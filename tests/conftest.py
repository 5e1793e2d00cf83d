"""What every test gets: no way out of this machine, and the helpers that tests of several folders share."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from kb.offline import switch_off_telemetry

HERE = Path(__file__).parent
LEFT_OUT = re.compile(r"^pytestmark = pytest\.mark\.(slow|peer)$", re.MULTILINE)
OFFLINE = dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1")
OFFLINE |= {"HF_HUB_DISABLE_UPDATE_CHECK": "1"}
FOREIGN = ("KB_WORKSPACE", "OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

# A run in the background of a shell ignores Ctrl-C, and so would everything that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Before any library reads them.
os.environ.update(OFFLINE)
switch_off_telemetry()
for name in (*FOREIGN, *(name.lower() for name in FOREIGN)):
    os.environ.pop(name, None)


def _load(name, file):
    """A helper module beside this file: with importlib mode and without __init__.py, tests cannot import it."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


guard = _load("kb_test_guard", HERE / "guard" / "sitecustomize.py")
servers = _load("kb_test_servers", HERE / "servers.py")
attempts: list[str] = []
guard_files: list[Path] = []
guard.install(attempts.append)


def take_attempts():
    """All attempts to leave this machine since the last call, of this process and of guarded subprocesses."""
    for file in guard_files:
        if file.exists():
            attempts.extend(file.read_text(encoding="utf-8").splitlines())
            file.unlink()
    made = list(attempts)
    attempts.clear()
    return made


def pytest_ignore_collect(collection_path, config):
    """The unit suite does not even import modules whose tests are all left out: their libraries take seconds."""
    unit = config.getoption("markexpr") == "not slow and not peer" and collection_path.suffix == ".py"
    if unit and LEFT_OUT.search(collection_path.read_text(encoding="utf-8")):
        return True
    return None


def pytest_collection_modifyitems(items):
    """The whole loops come first: each takes minutes, and started last it would leave the other workers idle."""
    items.sort(key=lambda item: HERE / "loop" not in item.path.parents)


def pytest_collection_finish():
    """What was imported and collected stays to the end: the garbage collector need not look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_logging():
    """A command run in this process sets the level of kb's log; the next test does not inherit it."""
    log = logging.getLogger("kb")
    level = log.level
    yield
    log.setLevel(level)


@pytest.fixture(autouse=True)
def socket_guard():
    """Fail a test in which this process, or a subprocess with `guarded_env`, tried to leave this machine."""
    yield
    made = take_attempts()
    assert not made, f"connections beyond this machine: {made}"


@pytest.fixture
def left_machine():
    """A function that takes the attempts off the record: for tests of the guard itself."""
    return take_attempts


@pytest.fixture(scope="session")
def guarded_env():
    """A function from a folder to the environment for a subprocess that the guard watches; `socket_guard` checks it."""

    def make(folder: Path) -> dict[str, str]:
        file = folder / "connections.txt"
        guard_files.append(file)
        path = os.pathsep.join(filter(None, (str(HERE / "guard"), os.environ.get("PYTHONPATH"))))
        return os.environ | OFFLINE | {"PYTHONPATH": path, guard.FILE: str(file)}

    return make


@pytest.fixture(scope="session")
def serving(guarded_env, tmp_path_factory):
    """A context of a running `kb serve` with arguments in a folder: the process, and the first line that it printed."""

    @contextmanager
    def serve(folder: Path, *words: str):
        command = [str(Path(sys.executable).with_name("kb")), "serve", "--port", "0", *words]
        env = guarded_env(tmp_path_factory.mktemp("serve")) | {"OMP_NUM_THREADS": "1"}
        with (folder / "log").open("w") as log:
            running = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
            first = running.stdout.readline()
            if not first:
                pytest.fail((folder / "log").read_text()[-3000:])
            yield running, first
            if running.poll() is None:
                running.kill()
            running.wait()

    return serve


@pytest.fixture
def faulty_server():
    """Starts `FaultyServer`s (tests/servers.py takes the arguments) and stops them after the test."""
    running = []

    def start(*arguments, **options):
        server = servers.FaultyServer(*arguments, **options)
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()
