"""Started by accelerate in two processes: lessons, a lesson that breaks, one that was killed, and `kb train`."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from kb.finetune.processes import first, follow, leading, together

COMMAND = """
[model]
name = "{base}"
load_in_4bit = false
prompts = "pack"
[retrieval]
embedder = "none"
[train]
stages = ["sft"]
max_steps = 2
batch_size = 4
rank = 4
replay = "none"
watch_times = 2
"""


def fixtures():
    """The module of the fixtures."""
    spec = spec_from_file_location("kb_fixtures", Path(__file__).with_name("conftest.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(base, stage, folder, start, settings):
    """A lesson, in each process."""
    lesson = fixtures().Lesson(base)
    if stage == "sft":
        lesson.sft(folder, **settings)
    else:
        lesson.dpo(folder, start, **settings)


def lessons(base, folder, rows, pairs):
    """All of them, by the first process, with these settings for SFT and DPO."""
    from kb.errors import KBError

    together(train, base, "sft", folder, None, rows)
    together(train, base, "dpo", folder, folder, pairs)
    killed = fixtures().Lesson(base).killed(folder / "sft", folder / "killed")
    together(train, base, "sft", killed, None, rows)
    try:
        together(train, base, "sft", folder / "broken", None, {"learning_rate": 1e30})
    except KBError as error:
        (folder / "broken.txt").write_text(str(error), encoding="utf-8")


def prepare(base, folder):
    """A workspace and the settings for `kb train`."""
    from kb.workspace import Workspace

    place = Workspace(folder / "kb", create=True)
    fixtures().fill(place)
    place.store.close()
    fixtures().write_pack(folder / "pack")
    (folder / "kb.toml").write_text(COMMAND.format(base=base).replace('"pack"', f'"{folder}/pack"'), encoding="utf-8")


if __name__ == "__main__":
    base, folder = Path(sys.argv[1]), Path(sys.argv[2])
    if first():
        with leading():
            lessons(base, folder, *map(json.loads, sys.argv[3:]))
        prepare(base, folder)
    else:
        follow()
    sys.argv = ["kb", "train", "--name", "both", "--workspace", str(folder / "kb"), "--config", str(folder / "kb.toml")]
    from kb.cli import main

    main()
