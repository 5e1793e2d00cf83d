"""Logits only where a token is trained, on a CPU as well as on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trl.trainer import utils


@contextmanager
def trained_places_only() -> Iterator[None]:
    """A context in which TRL's trainers project only those places to the vocabulary whose next token is trained.

    TRL 1.16 does so where it has a kernel of its own. Elsewhere it projects prompts and padding too, and drops what
    comes of it: compiled code would see another shape in every batch. kb compiles nothing, and most of its tokens are
    prompt, so on a CPU that was most of a step's time and memory. There is no setting for it; what is replaced is the
    question by which TRL's model head decides, and not the same one by which its loss takes the kernel.
    """
    heads: Any = utils
    asked = heads._use_triton
    heads._use_triton = lambda device: True
    try:
        yield
    finally:
        heads._use_triton = asked
