"""Settings: flags over `kb.toml` over the defaults of the dataclass that uses them.

A value is defined once, as a field of the dataclass of the function that uses it. `[section]` of kb.toml fills one such
dataclass; an unknown section, key or type is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from kb.errors import ConfigError

Config = TypeVar("Config")

SECTIONS = ("model", "probes", "retrieval", "ingest", "generate", "train", "export", "eval", "serve")


@dataclass(frozen=True)
class Settings:
    """What a `kb.toml` says; empty when there is none."""

    path: Path | None = None
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def resolve(self, kind: type[Config], section: str, **flags: Any) -> tuple[Config, dict[str, str]]:
        """The dataclass filled from flags (None: not given), this file and defaults, and where each value came from.

        Raises ConfigError for a key that the dataclass lacks or a value of another type.
        """
        known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
        given = dict(self.values.get(section, {}))
        for key in given:
            if key not in known:
                raise ConfigError(f"{self.path}: [{section}] has no setting {key!r}{_nearest(key, known)}")
        origin = dict.fromkeys(known, "default")
        origin |= dict.fromkeys(given, str(self.path))
        chosen = {key: value for key, value in flags.items() if value is not None}
        origin |= dict.fromkeys(chosen, "flag")
        merged = given | chosen
        hints = typing.get_type_hints(kind)
        for key, value in merged.items():
            merged[key] = _checked(value, hints[key], f"{origin[key]}: {section}.{key}")
        return kind(**merged), origin


def read_settings(path: Path | None = None) -> Settings:
    """Read `kb.toml` at `path`, by default in the working folder, where it may be missing.

    Raises ConfigError when a named file is missing, or the file is not TOML or has an unknown section.
    """
    file = path or Path("kb.toml")
    if not file.exists():
        if path:
            raise ConfigError(f"{path}: no such file")
        return Settings()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not a TOML file: {error}") from error
    for section, content in values.items():
        if section not in SECTIONS:
            raise ConfigError(f"{file}: no section [{section}]{_nearest(section, SECTIONS)}")
        if not isinstance(content, dict):
            raise ConfigError(f"{file}: {section} = ... stands outside a section; write [{section}] above it")
    return Settings(file, values)


def _nearest(word: str, known: typing.Iterable[str]) -> str:
    choices = sorted(known)
    close = difflib.get_close_matches(word, choices, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(choices)}"


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value as the field wants it: ints pass for floats, lists for tuples, one string for a list of it, strings for
    paths.
    """
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        hint = next(option for option in options if option is not type(None))
        origin = typing.get_origin(hint)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            known = [str(one).lower() if isinstance(one, bool) else str(one) for one in typing.get_args(hint)]
            raise ConfigError(f"{where}: {value!r}{_nearest(str(value), known)}")
        return value
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        if isinstance(value, str) and inner is str:
            value = [value]
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, got {value!r}")
        return tuple(_checked(item, inner, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value
