"""What the documents gave, and a run that found too little."""

import pytest

from kb.qa_gen.outcome import GenerateReport
from kb.qa_gen.yields import DocumentYield, share, worst


def document(path, chunks, giving, silent=0):
    return DocumentYield(f"doc_{path}", path, chunks, giving, silent, 2 * giving, 20 * giving)


@pytest.mark.parametrize(
    ("chunks", "giving", "silent", "expected"), [(4, 1, 0, 0.25), (4, 1, 2, 0.5), (3, 0, 3, 1.0), (0, 0, 0, 1.0)]
)
def test_what_says_nothing_does_not_count(chunks, giving, silent, expected):
    """A cover and an index are no failure of the model."""
    assert share(chunks, giving, silent) == expected
    assert document("a", chunks, giving, silent).share == expected


def test_the_worst_documents_come_first():
    """The largest of those that gave nothing, then the others; those that gave all there is are not named."""
    documents = [document("full", 3, 3), document("b", 2, 1), document("c", 2, 0), document("d", 9, 0)]
    assert [one.path for one in worst(documents)] == ["d", "c", "b"]
    assert len(worst([document(str(n), 2, 0) for n in range(30)])) == 5


def report(giving, failed=None, **more):
    fields = dict.fromkeys(GenerateReport.__dataclass_fields__, 0)
    given = {"failed": failed or {}, "share": giving, "min_yield": 0.2, "documents": [document("/a.pdf", 8, 2, 1)]}
    maps = {"without": {"the model finds nothing to ask about": 1}, "uncured": {}}
    return GenerateReport(**fields | maps | given | more)


def test_a_run_is_incomplete_below_the_floor_or_with_failures():
    """At the floor it is complete."""
    assert [report(giving).complete for giving in (0.19, 0.2)] == [False, True]
    assert not report(1.0, {"facts: no lines": 1}).complete


def test_a_poor_run_says_what_became_of_the_chunks():
    """With the reasons, which a good run keeps to its JSON."""
    lines = report(0.125, without={"facts: no lines": 5, "probes: too close": 1}).lines()
    assert "  2 of 7 chunks, 4 facts, 40 questions: /a.pdf" in lines
    assert lines[-3:] == [
        "too few chunks gave a fact: 0.125 of them, [generate] min_yield is 0.2",
        "       5  facts: no lines",
        "       1  probes: too close",
    ]
    assert not any("too few" in line for line in report(0.9).lines())


@pytest.mark.slow
def test_the_yield_of_a_run(world):
    """Each document with its chunks, facts and questions; why chunks gave none, those that say nothing apart."""
    store = world.workspace.store
    chunks = {row["id"]: row["text"] for row in store.sql("SELECT id, text FROM chunks ORDER BY rowid")}
    stated = {id for id, text in chunks.items() if any(truth.evidence in text for truth in world.truths)}
    junk = min(stated)

    def careless(request):
        if "QUOTE:" not in request.messages[0].content and "原文：" not in request.messages[0].content:
            return world.oracle(request)
        about = next(t for t in world.truths if t.evidence in chunks[junk])
        if about.evidence in request.messages[-1].content:
            return "QUOTE: nobody says this\nFACT: Nobody says this today.\nANSWER: nobody"
        return world.oracle(request)

    made = world.generate(world.llm(careless), min_yield=0.0)
    assert made.chunks_without_facts == len(chunks) - len(stated) + 1
    assert made.share == (len(stated) - 1) / len(stated)
    silent = {"the model finds nothing to ask about": len(chunks) - len(stated)} if len(chunks) > len(stated) else {}
    assert made.without == {"facts: evidence not in the passage": 1} | silent
    assert sum(one.facts for one in made.documents) == made.facts
    assert sum(one.questions for one in made.documents) == made.training_questions + made.probes + made.negatives
    assert [one.path for one in made.documents] == [row["path"] for row in store.sql("SELECT path FROM documents")]
    assert made.complete
    assert not world.generate(world.llm(careless), min_yield=1.0).complete
