# SPDX-License-Identifier: MPL-2.0
"""The side-car, nearzone-probed, and a plugin's socket that records."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from nzlib.base import Pausable, patience, scratch, wait_for

PROBED = os.environ.get("PROBED") or os.path.join(
    os.environ.get("NZ_STAGE", "/"), "usr/local/bin/nearzone-probed")

# Any of these in a log is a failure, whatever else a test asserts.
BAD = re.compile(r"Assertion|AddressSanitizer|LeakSanitizer"
                 r"|ThreadSanitizer|runtime error")


class Probed(Pausable):
    """One nearzone-probed.

    'socket' None: the configuration's; 'extra': more arguments; 'env': more
    of the environment; 'prefix': a command that runs it.
    """

    def __init__(self, config_path, node, socket=None, extra=(), env=None,
                 prefix=(), program=None):
        self.config_path = config_path
        self.node = node
        self.socket = socket
        self.extra = list(extra)
        self.env = dict(os.environ, **(env or {}))
        if not env or "NEARZONE_SOCKET" not in env:
            self.env.pop("NEARZONE_SOCKET", None)
        self.prefix = list(prefix)
        self.program = program or PROBED
        self.dir = scratch("probed")
        self.process = None
        self.paused = False

    def command(self):
        more = ["--socket", self.socket] if self.socket else []
        return [*self.prefix, self.program, "--config", self.config_path,
                "--node", self.node, *more, *self.extra]

    def start(self, wait=True):
        """Starts it and waits until it is at work."""
        assert self.process is None
        mark = self.mark()
        with open(self._log_path(), "ab") as log:
            self.process = subprocess.Popen(
                self.command(), env=self.env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        if wait:
            try:
                wait_for(lambda: self._is_ready(mark),
                         "nearzone-probed to run")
            except AssertionError:
                self.kill()
                raise
        return self

    def _is_ready(self, mark):
        text = self.log(mark)
        assert self.process.poll() is None, f"nearzone-probed ended: {text}"
        return " to test for node " in text

    def wait(self, seconds=10):
        """Waits for its own end; returns its exit status."""
        status = self.process.wait(patience(seconds))
        self.process = None
        bad = BAD.search(self.log())
        assert not bad, self.log()[max(bad.start() - 500, 0):][:4000]
        return status

    def stop(self):
        """SIGTERM; asserts a clean end and a clean log.  Idempotent."""
        if self.process is None:
            return
        self.resume()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            status = "none: it had to be killed"
        assert status == 0, f"ended with {status}: {self.log()[-3000:]}"

    def kill(self):
        """SIGKILL: for a machine that dies."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def reload(self):
        """SIGHUP; returns a mark in the log from before."""
        mark = self.mark()
        self.process.send_signal(signal.SIGHUP)
        return mark

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
            return
        self.kill()
        print(f"log of nearzone-probed:\n{self.log()[-5000:]}")

    # -- what it says --------------------------------------------------

    def _log_path(self):
        return os.path.join(self.dir, "log")

    def mark(self):
        """A place in the log: what is written later comes after it."""
        try:
            return os.path.getsize(self._log_path())
        except FileNotFoundError:
            return 0

    def log(self, since=0):
        with open(self._log_path(), "rb") as f:
            f.seek(since)
            return f.read().decode("utf-8", "replace")

    def wait_log(self, pattern, since=0, seconds=10):
        return wait_for(lambda: re.search(pattern, self.log(since), re.M),
                        f"'{pattern}' in the log of nearzone-probed", seconds)


class Sink:
    """A control socket that takes batches and records them.

    'answer' is called with each request and returns the reply: a document,
    octets to send as they are, or None for none at all.
    """

    def __init__(self, path=None, answer=None):
        self.path = path or os.path.join(scratch("sink"), "control.sock")
        self.answer = answer or self.accept
        self.batches = []  # (monotonic time, request), oldest first
        self.connections = 0
        self.lock = threading.Lock()
        self.listener = None
        self.clients = []

    @staticmethod
    def accept(request):
        return {"ok": True, "accepted": len(request.get("rows", ())),
                "refused": 0}

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen()
        threading.Thread(target=self._serve, args=(self.listener,),
                         daemon=True).start()
        return self

    def _serve(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.clients.append(client)
            threading.Thread(target=self._talk, args=(client,),
                             daemon=True).start()

    def _talk(self, client):
        with client, contextlib.suppress(OSError, ValueError):
            with client.makefile("rb") as f:
                for line in f:
                    assert len(line) < 60000, len(line)
                    request = json.loads(line)
                    with self.lock:
                        self.batches.append((time.monotonic(), request))
                    reply = self.answer(request)
                    if reply is None:
                        continue
                    if not isinstance(reply, bytes):
                        reply = json.dumps(reply).encode() + b"\n"
                    client.sendall(reply)

    def drop(self):
        """Closes the connections that there are."""
        with self.lock:
            clients, self.clients = self.clients, []
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def stop(self):
        """As if named had ended: no socket, no connections.  Idempotent."""
        if self.listener is None:
            return
        os.unlink(self.path)
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None
        self.drop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # -- what came -----------------------------------------------------

    def count(self):
        with self.lock:
            return len(self.batches)

    def rows(self, since=0):
        """All rows from batch number 'since' on, oldest first."""
        with self.lock:
            return [row for _, request in self.batches[since:]
                    for row in request["rows"]]

    def newest(self, since=0):
        """The newest row of each target, by service."""
        return {row[2]: row for row in self.rows(since)}

    def wait_row(self, service, state, since=0, seconds=10):
        """The first row of 'service' that says 'state'."""
        def found():
            return [row for row in self.rows(since)
                    if row[2] == service and row[4] == state]
        return wait_for(found, f"'{service}' to be {state}", seconds)[0]
