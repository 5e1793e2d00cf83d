"""`kb generate-qa` again after a run that gave something up: new seeds, whatever was killed in between."""

import itertools

import pytest

from kb.records import Chunk

pytestmark = pytest.mark.slow


def stubborn(world, seed):
    """A deterministic model that finds the facts of the first chunk with one seed alone."""
    header = world.workspace.store.all(Chunk)[0].header

    def answer(request):
        system, prompt = (message.content for message in request.messages)
        asked = ("QUOTE:" in system or "原文：" in system) and f"{header}\n" in prompt
        return "" if asked and request.seed != seed else world.oracle(request)

    return answer


def history(world):
    """Every call with what came of it."""
    rows = world.workspace.store.sql("SELECT key, stage, response, error FROM llm_calls ORDER BY seq")
    return [tuple(row) for row in rows]


def test_a_rerun_asks_with_seeds_that_were_not_tried(calm, world):
    """So a model that always answers the same to the same request comes to its end."""
    model = world.llm(stubborn(world, 7))
    assert [sum(world.generate(model).failed.values()) for _ in range(3)] == [1, 1, 0]
    assert sum(row[1] == "generate: facts" and row[3] != "" for row in history(world)) == 7
    assert world.tables() == calm.tables()
    assert world.generate(world.llm(lambda request: pytest.fail("asked again"))).failed == {}


@pytest.mark.parametrize("at", [2, 3, 4, 9])
def test_a_killed_rerun_ends_like_an_undisturbed_one(world, make_world_in, other_document, at):
    """It tries three new seeds for what was given up before, not more, wherever it is killed; later steps included."""
    calm = make_world_in("calm", list(world.compositions))
    for one in (calm, world):
        one.generate(one.llm(stubborn(one, 6)))
        one.add(other_document)
    undisturbed = calm.generate(calm.llm(stubborn(calm, 6)))
    model, count = stubborn(world, 6), itertools.count(1)

    def breaks(request):
        if next(count) == at:
            raise KeyboardInterrupt
        return model(request)

    with pytest.raises(KeyboardInterrupt):
        world.generate(world.llm(breaks))
    assert world.generate(world.llm(model)).failed == undisturbed.failed != {}
    assert sorted(history(world)) == sorted(history(calm))
    assert world.tables() == calm.tables()


def test_a_run_killed_before_its_end_is_gone_on_with(world, monkeypatch):
    """What it gave up is given up by the next one too, without a request: it is the same run."""
    model = world.llm(stubborn(world, 4))
    monkeypatch.setattr("kb.qa_gen.run.export", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        world.generate(model)
    monkeypatch.undo()
    report = world.generate(model)
    assert (report.calls, sum(report.failed.values())) == (0, 1)
    assert world.generate(model).failed == {}
