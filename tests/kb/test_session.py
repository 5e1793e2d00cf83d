"""What the common options and kb.toml say, for all commands."""

import pytest

from kb.config import read_settings
from kb.errors import ConfigError, ModelUnavailable
from kb.session import Session
from kb.workspace import Workspace


@pytest.fixture
def session(tmp_path):
    """A function from the text of a kb.toml to a session."""

    def make(text):
        (tmp_path / "kb.toml").write_text(text, encoding="utf-8")
        return Session(tmp_path / ".kb", read_settings(tmp_path / "kb.toml"), False)

    return make


def test_held_out_questions_are_the_models_own_unless_another_is_named(session):
    """Without a section, or with an empty one, there is no other model; with one, it is as under [model]."""
    assert session("").prober() is None
    assert session("[probes]\n").prober() is None
    found = session('[probes]\nname = "openai:other"\nbase_url = "http://localhost:1/v1"\n').prober()
    assert (found.name, found.base_url) == ("openai:other", "http://localhost:1/v1")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('name = "m"\ntag = "Handbook"', r"\[probes\] has no use for tag, which is set under \[model\]"),
        ('name = "m"\nprompts = "pack"', r"\[probes\] has no use for prompts"),
        ("timeout = 5.0", r"\[probes\] names no model: set name"),
    ],
)
def test_a_setting_of_the_other_model_that_changes_nothing_is_an_error(session, lines, said):
    """One line that names the section and the cure."""
    with pytest.raises(ConfigError, match=said):
        session(f"[probes]\n{lines}\n").prober()


@pytest.mark.parametrize("named", [{"embedder": "/nowhere"}, {"embedder": "none", "reranker": "/nowhere"}])
def test_a_search_model_that_is_not_there_is_said_before_the_index_is_opened(session, named, tmp_path):
    """At once, and not when somebody searches for the first time."""
    workspace = Workspace(tmp_path / ".kb", create=True)
    lines = [f'{setting} = "{name}"' for setting, name in named.items()]
    with pytest.raises(ModelUnavailable, match=f"^{list(named)[-1]}: /nowhere is not a model"):
        session("\n".join(["[retrieval]", *lines, ""])).retrieval(workspace)
    assert session('[retrieval]\nembedder = "none"\n').retrieval(workspace)().chunks == ()
