"""The guard that keeps tests on this machine: it must see what it is there to see."""

import socket
import subprocess
import sys

import pytest

ESCAPE = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except OSError:
    pass
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    socket.create_connection(listener.getsockname()).close()
"""


def escape(*address):
    """Try to connect and swallow the error, as a library that calls home does."""
    with socket.socket() as connection:
        connection.settimeout(1)
        try:
            connection.connect(address)
        except OSError as error:
            return error.strerror
    return "connected"


def test_a_connection_is_refused_and_remembered(left_machine):
    """An attempt fails at once and is on record although the code that made it swallowed the error."""
    assert escape("192.0.2.1", 80) == "the tests' guard refuses to leave this machine: 192.0.2.1"
    assert left_machine() == ["socket.connect ('192.0.2.1', 80)"]


def test_a_name_lookup_is_refused_and_remembered(left_machine):
    """Looking up a foreign name leaves this machine too."""
    with pytest.raises(OSError, match="the tests' guard"):
        socket.getaddrinfo("huggingface.co", 443)
    assert left_machine() == ["socket.getaddrinfo huggingface.co"]


def test_this_machine_may_be_reached(left_machine):
    """Loopback connections, lookups of localhost and unix sockets are no attempts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert escape(*listener.getsockname()) == "connected"
    socket.getaddrinfo("localhost", 80)
    for end in socket.socketpair():
        end.close()
    assert left_machine() == []


@pytest.mark.slow
def test_a_subprocess_is_guarded(guarded_env, left_machine, tmp_path):
    """A subprocess with the guarded environment can reach this machine and nothing else; its attempt is on record."""
    done = subprocess.run([sys.executable, "-c", ESCAPE], env=guarded_env(tmp_path), capture_output=True, text=True)
    assert done.stderr == ""
    assert left_machine() == ["-c: socket.getaddrinfo 192.0.2.1"]
