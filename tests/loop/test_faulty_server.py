"""`kb generate-qa` against a server of which 30% of the replies are faulty, killed twice: no chunk is lost, and a rerun
finishes.
"""

import json
import time
from collections import Counter

import pytest

pytestmark = pytest.mark.slow

DOOMED = {0: "broken", 3: "refused", 7: "truncated", 11: "not_json"}
"""Requests of the facts step, by place, that always meet a fault."""
KILLED = (4.0, 7.0)
"""Seconds after which the command is killed by the signal that cannot be caught, before it is left to end."""
STUBBORN = {5: "stubborn", 9: "stubborn"}
"""Those that are answered in the wrong form until the model is told so."""


def said(folder):
    """Prompt to answer and the prompts of the facts step, in order, of a run with the lab model itself."""
    rows = folder.store.sql("SELECT stage, request, response, finish FROM llm_calls ORDER BY seq")
    prompts = [(row, json.loads(row["request"])["messages"][-1]["content"]) for row in rows]
    facts = [prompt for row, prompt in prompts if row["stage"] == "generate: facts"]
    return {prompt: row["response"] for row, prompt in prompts}, list(dict.fromkeys(facts))


@pytest.mark.timeout(600)
def test_a_stumbling_server_loses_no_chunk(make_folder, faulty_server):
    """What always fails is listed with its reason under exit code 4, the rest is done; without faults, all of it is."""
    calm, folder = make_folder("calm"), make_folder("faulty")
    ended = [calm.run(*words).returncode for words in (("ingest", "docs"), ("generate-qa",))]
    assert set(ended) <= {0, 4}
    answers, facts = said(calm)
    doomed = {facts[place]: kind for place, kind in (DOOMED | STUBBORN).items()}
    server = faulty_server(answers.__getitem__, 0.3, seed=3, doomed=doomed.get, most=2)
    settings = (folder.root / "kb.toml").read_text(encoding="utf-8")
    lab = f'name = "openai:m"\nbase_url = "{server.url}"\nconcurrency = 16\nretries = 6'
    (folder.root / "kb.toml").write_text(settings.replace('name = "lab"', lab), encoding="utf-8")
    prompts = ("--prompts", "lab")

    assert folder.run("ingest", "docs").returncode == 0
    for seconds in KILLED:
        process = folder.start("generate-qa", *prompts)
        time.sleep(seconds)
        process.kill()
        process.wait()
    done = folder.run("generate-qa", *prompts, "--json")
    assert done.returncode == 4, done.stderr[-2000:]
    failed = Counter(reason.partition(" ")[0] for reason in json.loads(done.stdout)["failed"])
    assert failed["facts:"] == len(set(DOOMED.values()))
    lost = {row["item"] for row in folder.store.sql("SELECT item FROM failures WHERE stage = 'generate: facts'")}
    assert len(lost) == len(DOOMED)
    assert sum(server.counts.values()) > 1.3 * server.counts["ok"] > 60
    assert server.counts["stubborn"] == 2 * len(STUBBORN)

    server.lift()
    again = folder.run("generate-qa", *prompts, "--json")
    assert again.returncode == ended[-1], again.stderr[-2000:]
    assert folder.contents() == calm.contents()
