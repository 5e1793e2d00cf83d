"""A small part of the handbook in a folder of its own, and the `kb` command run there as a user would."""

import subprocess
import sys
from pathlib import Path

import pytest

from kb.corpora.demo import prepare
from kb.store import Store

FILES = ("en/02.docx", "en/04.txt", "en/05.md", "zh/01.pdf", "zh/03.pptx", "zh/04.txt")
"""Documents of every format, about eight entities."""

EVAL = """\
probes_per_fact = 2
rings = "none"
general_prompts = 0
"""
"""Goes on with `[eval]`, the last section of the demo's settings."""

TABLES = ("documents", "chunks", "facts", "questions", "qa_pairs", "preference_pairs")


class Folder:
    """A working folder with documents and kb.toml."""

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.root, self.env = root, env

    def start(self, *words: str) -> subprocess.Popen:
        """The `kb` command in the background; its output goes to a file."""
        with (self.root / "output.txt").open("ab") as output:
            return subprocess.Popen([kb(), *words], cwd=self.root, env=self.env, stdout=output, stderr=output)

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """The `kb` command, to its end."""
        return subprocess.run([kb(), *words], cwd=self.root, env=self.env, capture_output=True, text=True, check=False)

    @property
    def store(self) -> Store:
        """The workspace's database."""
        return Store(self.root / ".kb" / "kb.db")

    def contents(self) -> dict[str, list[str]]:
        """Ids of everything live, by table."""
        store = self.store
        try:
            return {table: sorted(row["id"] for row in store.sql(f"SELECT id FROM {table}")) for table in TABLES}
        finally:
            store.close()


def kb() -> str:
    """The command beside this Python."""
    return str(Path(sys.executable).with_name("kb"))


@pytest.fixture
def make_folder(tmp_path, guarded_env):
    """A function that makes a folder with a few documents of the handbook and settings that keep every stage short."""

    def make(name: str) -> Folder:
        root = tmp_path / name
        prepare(root)
        for path in (root / "docs").rglob("*.*"):
            if str(path.relative_to(root / "docs")) not in FILES:
                path.unlink()
        settings = (root / "kb.toml").read_text(encoding="utf-8")
        settings = settings.replace("epochs = ", "epochs = 1.0 # ") + EVAL
        (root / "kb.toml").write_text(settings, encoding="utf-8")
        return Folder(root, guarded_env(tmp_path) | {"OMP_NUM_THREADS": "1"})

    return make
