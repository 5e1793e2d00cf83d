"""The settings of `kb serve`."""

import pytest

from kb.errors import ConfigError
from kb.serving.config import ServeConfig, loopback


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("gpu", False)],
)
def test_which_addresses_are_this_machines_own(host, own):
    """Any other one can be reached by others."""
    assert loopback(host) == own
    assert ServeConfig(host=host).is_open != own


def test_a_key_closes_the_door(monkeypatch):
    """The key is read from the environment, and a variable that is not set is an error, not an open door."""
    monkeypatch.setenv("KB_KEY", "s3cret")
    config = ServeConfig(host="0.0.0.0", api_key_env="KB_KEY")
    assert (config.key, config.is_open) == ("s3cret", False)
    assert "s3cret" not in repr(config)
    monkeypatch.delenv("KB_KEY")
    with pytest.raises(ConfigError, match="the environment variable KB_KEY is not set"):
        ServeConfig(api_key_env="KB_KEY")


def test_settings_that_mean_nothing_are_errors():
    """A port that is none, and a backend that nobody would ask."""
    with pytest.raises(ConfigError, match=r"\[serve\] port: expected 0 to 65535, got 70000"):
        ServeConfig(port=70000)
    with pytest.raises(ConfigError, match=r'backend_url: is for engine = "vllm" alone'):
        ServeConfig(backend_url="http://x/v1")
