"""kill -9 at random instants of every stage, then the same command again: the same end as an undisturbed run."""

import random
import re
import signal
import time

import pytest

from kb.corpora.handbook import bundled
from kb.corpora.oracle import truths_of_rows
from kb.text.canonical import canonical
from kb.text.match import answer_type, judge
from kb.workspace import read_jsonl

pytestmark = pytest.mark.slow

COMMANDS = (("ingest", "docs"), ("generate-qa",), ("train",), ("eval", "--compare", "rag"))
KILLS = 3


def killed_often(folder, words, seconds, rng):
    """Run a command to its end, killing it first at `KILLS` random instants of the time it takes undisturbed."""
    for _ in range(KILLS):
        process = folder.start(*words)
        time.sleep(rng.uniform(0.2, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return folder.run(*words)


@pytest.mark.timeout(1200)
def test_a_killed_loop_ends_like_an_undisturbed_one(make_folder):
    """Every stage killed three times: same ids in every table, same training rows and steps, same verdicts."""
    folder, calm = make_folder("killed"), make_folder("calm")
    rng = random.Random(20)
    for words in COMMANDS:
        began = time.monotonic()
        done = calm.run(*words)
        # 4 where an answer ran into the token limit: then it does in the killed run, too.
        assert done.returncode in (0, 4), done.stderr[-2000:]
        again = killed_often(folder, words, time.monotonic() - began, rng)
        assert again.returncode == done.returncode, again.stderr[-2000:]
        assert folder.contents() == calm.contents(), f"after {words[0]}"
    for kind in (runs, verdicts):
        assert kind(folder) == kind(calm)
    told = preferences(calm)
    assert {"own", "swap"} <= {source for source, *_ in told}
    assert [row for row in told if row[1:] != ("correct", "wrong")] == []


def preferences(folder):
    """Source of each DPO row, with what the world's truth says of its chosen and its rejected answer."""
    truths = truths_of_rows(list(read_jsonl(bundled() / "facts.jsonl")))
    asked = {canonical(question): truth for truth in truths for question in (*truth.trained, *truth.held_out)}
    told = []
    for row in read_jsonl(next((folder.root / ".kb" / "runs").glob("*/answers/rows.jsonl"))):
        question = re.split("[:：] ?", row["messages"][-1]["content"], maxsplit=1)[1]
        truth = asked.get(canonical(question))
        gold, kind = (truth.answer, answer_type(truth.answer)) if truth else ("", "text")
        told.append((row["source"], *(judge(row[side], gold, kind).verdict for side in ("chosen", "rejected"))))
    return told


def runs(folder):
    """What is registered of the training: names, data, steps."""
    rows = folder.store.sql("SELECT name, lineage, metrics FROM runs")
    return [(row["name"], row["metrics"]) for row in rows]


def verdicts(folder):
    """Every verdict of every arm."""
    rows = folder.store.sql("SELECT arm, probe_id, answer, verdict FROM scores ORDER BY arm, probe_id")
    return [tuple(row) for row in rows]
