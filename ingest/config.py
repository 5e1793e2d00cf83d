"""The settings of `kb ingest`."""

from __future__ import annotations

from dataclasses import dataclass

from kb.errors import UsageError
from kb.llm.identity import combine

VERSION = "2"
"""Of the parsers and the chunker. A new one makes every document be read again."""


@dataclass(frozen=True)
class IngestConfig:
    """The `[ingest]` section of kb.toml."""

    target_tokens: int = 900
    """Tokens a chunk aims at."""
    max_tokens: int = 1400
    """Tokens no chunk exceeds, unless a single word does."""
    encoding: str = ""
    """Of text files; "" finds out, but for a file that was read in a given encoding: that one is kept."""
    recursive: bool = True
    """Walk into the folders below the given ones."""
    jobs: int = -1
    """Processes that read files; -1 for one a core. 0 reads without a process and its limits, for debugging."""
    seconds: int = 120
    """A file that takes longer is given up."""
    memory_mb: int = 4096
    """A file that takes more is given up. Of address space, for one process."""

    @property
    def key(self) -> str:
        """Hash of what decides how a file is read and cut, its encoding left out."""
        return combine((VERSION, str(self.target_tokens), str(self.max_tokens)))

    def check(self) -> None:
        """Raise UsageError for a target above the maximum, or a limit below one."""
        if not 0 < self.target_tokens <= self.max_tokens:
            raise UsageError(
                f"ingest: target_tokens {self.target_tokens} has to be between 1 and max_tokens {self.max_tokens}"
            )
        if self.jobs < -1 or self.seconds < 1 or self.memory_mb < 1:
            raise UsageError("ingest: jobs has to be -1 or more, seconds and memory_mb 1 or more")
