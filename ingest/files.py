"""Which files a command means: named ones as they are, folders walked in order."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kb.errors import UsageError
from kb.ingest.parse import LEGACY, PARSERS


@dataclass
class Found:
    """What was found under the paths of a command."""

    files: list[Path] = field(default_factory=list)
    """Absolute, sorted, each once."""
    folders: list[Path] = field(default_factory=list)
    """The folders that were walked to their end, or have gone: a file missing below one of them is gone."""
    listed: list[Path] = field(default_factory=list)
    """The folders whose own files were looked at and nothing below: a file missing directly in one of them is gone."""
    gone: list[Path] = field(default_factory=list)
    """Named files that are not there, though they were once ingested."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Suffixes in folders that kb does not read, and how many files have them."""
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    """What could not be listed or looked at, with the reason and the cure; printable, whatever bytes its name has."""
    links: int = 0
    """Symbolic links that lead out of their folder, or to folders, and were not followed."""

    def covers(self, path: Path) -> bool:
        """Whether a file at this path would have been found by walking."""
        return path.parent in self.listed or any(map(path.is_relative_to, self.folders))


def find(
    paths: Iterable[Path], recursive: bool, skip: Path, known: Iterable[Path] = (), part: tuple[int, int] = (1, 1)
) -> Found:
    """The files under `paths`. `skip` is a folder to leave out (the workspace); `known` are files ingested before; of
    the files in folders only a part is taken, by a hash of their paths below the named folder: (2, 8) is the second of
    eight, on every machine the same.

    In folders, hidden files, Office's lock files (~$), and everything that is not a regular file are left out; a named
    file is taken whatever it is called. Raises UsageError for a path that does not exist and was never ingested.
    """
    found = Found()
    remembered = set(known)
    for path in paths:
        real = _resolved(path.expanduser())
        if real.is_dir():
            _walk(real, recursive, skip, part, found)
        elif real.is_file():
            found.files.append(real)
        elif real.exists():
            found.unreadable.append((real, "is not a regular file."))
        elif real in remembered:
            found.gone.append(real)
        elif any(file.is_relative_to(real) for file in remembered):
            found.folders.append(real)
        else:
            raise UsageError(f"{path}: no such file or folder")
    found.files = sorted(set(found.files))
    for file in [file for file in found.files if not _is_utf8(file)]:
        found.files.remove(file)
        found.unreadable.append((file, "its name is not UTF-8. Rename it, with convmv for instance."))
    found.unreadable = [(_printable(path), reason) for path, reason in found.unreadable]
    return found


def _is_in(path: Path, number: int, of: int) -> bool:
    """Whether a path below a folder belongs to this part."""
    if of == 1:
        return True
    digest = hashlib.sha256(os.fsencode(path.as_posix())).digest()
    return int.from_bytes(digest[:8], "big") % of == number - 1


def _resolved(path: Path) -> Path:
    """The path without links; as it is, where links lead in a circle, and then it is no file and no folder."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _is_utf8(path: Path) -> bool:
    """Whether the name is text: Python holds the bytes of other encodings as surrogates, which nothing can store."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(path: Path) -> Path:
    return Path(os.fsencode(path).decode("utf-8", "backslashreplace"))


def _reason(error: OSError, otherwise: str) -> str:
    return f"{error.strerror or otherwise}. Check its permissions."


def _walk(root: Path, recursive: bool, skip: Path, part: tuple[int, int], found: Found) -> None:
    """Add a part of the files below a folder. One that cannot be listed keeps what was ingested from it from being
    retired.
    """
    broken = len(found.unreadable)

    def report(error: OSError) -> None:
        found.unreadable.append((Path(error.filename), _reason(error, "cannot be listed")))

    for folder, names, files in os.walk(root, onerror=report):
        below = [name for name in names if not name.startswith(".") and Path(folder, name) != skip]
        found.links += sum(Path(folder, name).is_symlink() for name in below)
        names[:] = sorted(below) if recursive else []
        for file in _regular(root, Path(folder), sorted(files), found):
            suffix = file.suffix.lower()
            if suffix not in PARSERS and suffix not in LEGACY:
                found.unknown[suffix or "no suffix"] += 1
            elif _is_in(file.relative_to(root), *part):
                found.files.append(file)
    if len(found.unreadable) == broken:
        (found.folders if recursive else found.listed).append(root)


def _regular(root: Path, folder: Path, names: Iterable[str], found: Found) -> Iterator[Path]:
    """The regular files among `names`; links to files inside the root count as what they lead to."""
    for name in names:
        file = folder / name
        if name.startswith((".", "~$")):
            continue
        try:
            if file.is_symlink():
                file = _resolved(file)
                if not (file.is_relative_to(root) and file.is_file()):
                    found.links += 1
                    continue
            if stat.S_ISREG(file.lstat().st_mode):
                yield file
        except OSError as error:
            found.unreadable.append((file, _reason(error, "cannot be looked at")))


def changes(paths: Iterable[Path], skip: Path, recursive: bool) -> Iterator[None]:
    """Wait for files under `paths` to change: a step for every pause in the changes, until an interrupt ends it.

    `skip` is the workspace's folder, in which kb itself writes.
    """
    from watchfiles import watch

    own = _resolved(skip.expanduser())

    def counts(_: object, path: str) -> bool:
        return not Path(path).is_relative_to(own) and not Path(path).name.startswith((".", "~$"))

    for _ in watch(*paths, watch_filter=counts, raise_interrupt=False, recursive=recursive):
        yield
