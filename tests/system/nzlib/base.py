# SPDX-License-Identifier: MPL-2.0
"""Ports, scratch directories and waiting: what all the others stand on."""

import atexit
import fcntl
import glob
import os
import random
import shutil
import signal
import socket
import tempfile
import time

# Below Linux's ephemeral range, so that no outgoing socket takes one.
PORT_MIN, PORT_MAX = 11000, 31000

_locks = []


def _is_unused(port):
    """True if nobody holds the port, for UDP and TCP, on any address."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


def free_port():
    """A port for this process alone until it ends.

    A lock file keeps other test runs on this machine away from it, also
    while nothing listens there yet.
    """
    where = os.path.join(tempfile.gettempdir(), f"nz-ports.{os.getuid()}")
    os.makedirs(where, mode=0o700, exist_ok=True)
    for port in random.sample(range(PORT_MIN, PORT_MAX), 2000):
        fd = os.open(os.path.join(where, str(port)),
                     os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue
        if _is_unused(port):
            _locks.append(fd)
            return port
        os.close(fd)
    raise RuntimeError("no free port")


def scratch(what):
    """A new directory with a short name (a unix socket may go in it).

    It is removed at the end, unless NZ_KEEP is set.
    """
    path = tempfile.mkdtemp(prefix=f"nz-{what}-")
    if not os.environ.get("NZ_KEEP"):
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def patience(seconds):
    """A time limit, longer where a sanitizer slows everything down."""
    return seconds * (4 if os.environ.get("NZ_SANITIZER") else 1)


def wait_for(condition, what, seconds=10):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + patience(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class Pausable:
    """What has a process, 'process', that can be stopped for a while."""

    process = None
    paused = False

    def pause(self):
        """Stops the process where it is: it holds its ports, says nothing."""
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True
        wait_for(lambda: set(self._states()) == {"T"}, "the process to stop")

    def _states(self):
        """The state of each of its threads, a letter."""
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/stat"):
            with open(path, encoding="ascii", errors="replace") as f:
                yield f.read().rpartition(")")[2].split()[0]

    def resume(self):
        if self.paused:
            self.process.send_signal(signal.SIGCONT)
            self.paused = False
