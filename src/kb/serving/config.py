"""The `[serve]` section of kb.toml."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import Literal

from kb.errors import ConfigError


@dataclass(frozen=True)
class ServeConfig:
    """How `kb serve` listens and who computes. Raises ConfigError when a value cannot mean anything."""

    host: str = "127.0.0.1"
    """Address to listen at; any but this machine's own lets others ask, and should have a key."""
    port: int = 8000
    """0: any that is free."""
    api_key_env: str = ""
    """Environment variable with the key that clients must send; empty: none is asked for. kb never stores a key."""
    engine: Literal["local", "vllm"] = "local"
    """`local`: this process, one answer at a time; `vllm`: a vLLM server behind it, which answers many at once."""
    backend_url: str = ""
    """A vLLM server that runs already, such as http://gpu:8001/v1; empty: kb starts one."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise ConfigError(f"[serve] port: expected 0 to 65535, got {self.port}")
        if self.backend_url and self.engine != "vllm":
            raise ConfigError(
                '[serve] backend_url: is for engine = "vllm" alone; a server of another kind is named by'
                ' name = "openai:MODEL" and base_url under [model]'
            )
        if self.api_key_env and not os.environ.get(self.api_key_env):
            raise ConfigError(f"[serve] api_key_env: the environment variable {self.api_key_env} is not set")

    @property
    def key(self) -> str:
        """The key that clients must send; empty: none."""
        return os.environ.get(self.api_key_env, "") if self.api_key_env else ""

    @property
    def is_open(self) -> bool:
        """Whether other machines can ask without a key."""
        return not self.key and not loopback(self.host)


def loopback(host: str) -> bool:
    """Whether an address to listen at is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
