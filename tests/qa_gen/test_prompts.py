"""The prompt files themselves."""

import string
from importlib import resources

import pytest

from kb.prompt import Prompts
from kb.text.language import detect

FILES = [
    (package, path.name.removesuffix(".en.txt"))
    for package in ("kb.qa_gen", "kb")
    for path in sorted((resources.files(package) / "prompts").iterdir(), key=str)
    if path.name.endswith(".en.txt")
]


@pytest.mark.parametrize(("package", "name"), FILES)
def test_both_languages_need_the_same_fields(package, name):
    """A prompt exists in English and Chinese, each in its language, with the same places."""
    english, chinese = (Prompts().get(package, name, language) for language in ("en", "zh"))
    assert english.places == chinese.places
    assert [detect(f"{prompt.system}\n{prompt.text}") for prompt in (english, chinese)] == ["en", "zh"]


@pytest.mark.parametrize(("package", "name"), FILES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_place_stands_where_it_is_not_filled(package, name, language):
    """Only the user's message is filled: a place in the system message would reach the model as it is."""
    assert not string.Template(Prompts().get(package, name, language).system).get_identifiers()
