"""Exported probes run back by Inspect and evalscope themselves: `make peers` installs each in its own environment."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kb.llm.open import lab_folder
from kb.workspace import read_jsonl

pytestmark = pytest.mark.peer


def test_inspect_gives_the_same_verdicts(own, known, tmp_path, monkeypatch):
    """It asks the lab model the same, and kb's scorer decides; the interval is clustered by fact."""
    from inspect_ai import eval as run_inspect

    monkeypatch.chdir(known("inspect"))
    rows, arm = own
    options = {"model_path": str(lab_folder()), "do_sample": False}
    (log,) = run_inspect("kb_probes.py", model="hf/local", model_args=options, display="none", log_dir=str(tmp_path))
    assert log.status == "success"
    metrics = log.results.scores[0].metrics
    assert metrics["accuracy"].value == pytest.approx(arm.correct.value)
    assert metrics["stderr"].value > 0
    for sample in log.samples:
        verdict, _, rule = sample.scores["kb_judge"].explanation.partition(": ")
        assert (verdict, rule) == (rows[sample.id]["verdict"], rows[sample.id]["rule"])


def test_evalscope_asks_every_probe(known, faulty_server, guarded_env, tmp_path):
    """By the command of the export's README it sends each chat once, greedily, and calls right answers right."""
    folder = known("evalscope")
    probes = {kind: read_jsonl(folder / f"{kind}.jsonl") for kind in ("held_out", "near_miss")}
    rows = [*probes["held_out"], *probes["near_miss"]]
    server = faulty_server({row["query"]: row["response"] for row in rows}.__getitem__)
    subprocess.run(_command(folder, server.url), cwd=tmp_path, env=guarded_env(tmp_path), check=True)
    assert sorted(str(body["messages"]) for body in server.bodies) == sorted(str(row["messages"]) for row in rows)
    assert {(body["temperature"], body["max_tokens"]) for body in server.bodies} == {(0, 96)}
    for kind, own in probes.items():
        (review,) = tmp_path.glob(f"outputs/*/reviews/m/general_qa_{kind}.jsonl")
        scores = [row["sample_score"]["score"]["value"]["Rouge-L-R"] for row in read_jsonl(review)]
        assert scores == pytest.approx([1.0] * len(own))


def _command(folder: Path, url: str) -> list[str]:
    """What the export's README tells to type, for a server and both kinds of probe."""
    text = (folder / "README.md").read_text(encoding="utf-8").replace("\\\n", "")
    typed = re.search(r"^    (evalscope .*)$", text, re.MULTILINE)[1]
    both = ('"held_out"', '"held_out", "near_miss"')
    for shown, meant in (("MODEL", "m"), ("http://localhost:8000/v1", url), both):
        assert shown in typed
        typed = typed.replace(shown, meant)
    program, *words = shlex.split(typed)
    return [str(Path(sys.executable).with_name(program)), *words]
