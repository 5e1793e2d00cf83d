"""The settings of `kb ingest`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kb.errors import UsageError
from kb.ingest.pdf_ruled import is_installed
from kb.llm.identity import combine

VERSION = "3"
"""Of the parsers and the chunker. A new one makes every document be read again."""


@dataclass(frozen=True)
class IngestConfig:
    """The `[ingest]` section of kb.toml."""

    target_tokens: int = 900
    """Tokens a chunk aims at."""
    max_tokens: int = 1400
    """Tokens no chunk exceeds, unless a single word does."""
    passage_tokens: int = 250
    """Tokens a passage aims at, the part of a chunk that is searched and shown: what the embedder reads at once."""
    passage_max_tokens: int = 350
    """Tokens no passage exceeds; a chunk that is no longer is its own passage."""
    encoding: str = ""
    """Of text files; "" finds out, but for a file that was read in a given encoding: that one is kept."""
    recursive: bool = True
    """Walk into the folders below the given ones."""
    shard: str = ""
    """`2/8` reads the second of eight parts of the files, for a scheduler; `kb ingest merge` puts them together."""
    jobs: int = -1
    """Processes that read files; -1 for one a core. 0 reads without a process and its limits, for debugging."""
    seconds: int = 120
    """A file that takes longer is given up."""
    memory_mb: int = 4096
    """A file that takes more is given up. Of address space, for one process."""

    @cached_property
    def key(self) -> str:
        """Hash of what decides how a file is read and cut, its encoding left out: with the extra for ruled tables there
        or gone, every document is read again.
        """
        sizes = (self.target_tokens, self.max_tokens, self.passage_tokens, self.passage_max_tokens)
        return combine((VERSION, *map(str, sizes), *(["tables"] if is_installed() else [])))

    @property
    def part(self) -> tuple[int, int] | None:
        """(number from 1, of how many), (1, 1) without a shard; None when that says neither."""
        number, _, of = (self.shard or "1/1").partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            return None
        return int(number), int(of)

    def check(self) -> None:
        """Raise UsageError for a target above its maximum, or a limit below one."""
        for (name, target), (limit, most) in (
            (("target_tokens", self.target_tokens), ("max_tokens", self.max_tokens)),
            (("passage_tokens", self.passage_tokens), ("passage_max_tokens", self.passage_max_tokens)),
        ):
            if not 0 < target <= most:
                raise UsageError(f"ingest: {name} {target} has to be between 1 and {limit} {most}")
        if self.part is None:
            raise UsageError(f"ingest: shard {self.shard!r} has to be like 2/8, the second of eight parts")
        if self.jobs < -1 or self.seconds < 1 or self.memory_mb < 1:
            raise UsageError("ingest: jobs has to be -1 or more, seconds and memory_mb 1 or more")
