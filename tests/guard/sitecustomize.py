"""Refuses every connection and name lookup that leaves this machine, and keeps a record of them.

Python imports a module of this name from PYTHONPATH by itself, so a subprocess with this folder there is guarded
before its first line runs; the tests' own process calls `install`. An audit hook sees what any Python code does, also
code that swallows the error. Connections made by native code with sockets of its own are not seen.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

FILE = "KB_GUARD_FILE"
"""Environment variable with the file that attempts are appended to."""

ADDRESSED = {"socket.connect", "socket.sendto", "socket.sendmsg"}
LOOKED_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def is_here(host: object) -> bool:
    """Whether a host is this machine: a loopback address or name, an unset address, a unix socket or a netlink port."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode(errors="replace")
    if not isinstance(host, str):
        return True
    if host in ("", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def install(record: Callable[[str], None]) -> None:
    """From now on, for good: call `record` with every attempt to leave this machine, and make the attempt fail."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ADDRESSED and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        elif event in LOOKED_UP:
            host = arguments[0]
        else:
            return
        if not is_here(host):
            record(f"{event} {arguments[1] if event in ADDRESSED else host}")
            raise OSError(errno.ENETUNREACH, f"the tests' guard refuses to leave this machine: {host}")

    sys.addaudithook(hook)


if FILE in os.environ:

    def _append(attempt: str) -> None:
        with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
            file.write(f"{Path(sys.argv[0]).name if sys.argv else '?'}: {attempt}\n")

    install(_append)
