# SPDX-License-Identifier: MPL-2.0
"""A named with the plugin, its configuration file and its control socket."""

import contextlib
import json
import os
import socket
import subprocess

from nzlib.base import patience, wait_for
from nzlib.named import Named

MISSING = "run the system tests by 'make check', or set {} by hand"


def _env(name):
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set: " + MISSING.format(name))
    return os.path.abspath(value)


def origin_at(server, transport="tcp", **more):
    """An entry of "origins" for a server of ours."""
    return {"address": server.address, "port": server.port,
            "transport": transport, **more}


def zone_of(*origins, stale="1d", **more):
    """An entry of "zones"; origins are servers or entries of "origins"."""
    return {"origins": [o if isinstance(o, dict) else origin_at(o)
                        for o in origins], "stale": stale, **more}


class Edge(Named):
    """named with the plugin; 'zones' is that part of the configuration.

    Without 'body' the plugin statement stands in the default view; a
    'body' function puts edge.plugin() where it wants it.
    """

    has_plugin = True

    def __init__(self, zones, what="edge", options="", body=None, params="",
                 libdir=None, **more):
        super().__init__(what, options, body or (lambda e: e.plugin()),
                         **more)
        self.params = params
        self.libdir = libdir or _env("NZ_LIBDIR")
        self.socket = self.path("control.sock")
        self.doc = {
            "version": 1,
            "serial": 1,
            "cache": {"size": "64MiB", "state-directory": self.dir},
            "control": {"socket": self.socket},
            "zones": dict(zones),
        }
        self.write_json()

    @property
    def json_path(self):
        return self.path("nearzone.json")

    def write_json(self, text=None):
        """Writes the configuration: 'doc', or any text."""
        self.write("nearzone.json", text or json.dumps(self.doc, indent=1))

    def plugin(self, params=None):
        """The plugin statement."""
        more = self.params if params is None else params
        return (f'plugin query "{self.libdir}/nearzone.so" {{ '
                f'config "{self.json_path}"; node "t1"; {more} }};\n')

    def _is_ready(self, mark):
        """named answers a moment before the control socket is there."""
        return super()._is_ready(mark) and (
            os.path.exists(self.socket) or "INACTIVE: " in self.log(mark)
            or "control socket" in self.log(mark)
            or "running from the last good copy" in self.log(mark))

    def nzctl(self, *args, status=(0,), plain=False):
        """Runs nzctl; returns its JSON answer (or its text if 'plain').

        'status' lists the exit codes that are right.
        """
        done = subprocess.run(
            [_env("NZCTL"), "--socket", self.socket,
             *([] if plain else ["--json"]), *args], capture_output=True,
            text=True, timeout=patience(30), check=False)
        assert done.returncode in status, (args, done)
        if plain:
            return done.stdout + done.stderr
        return json.loads(done.stdout)

    def status(self):
        return self.nzctl("status")["status"]

    def counter(self, name):
        return self.status()["counters"][name]

    def lookup(self, name, rdtype="A"):
        """The state of one answer in the cache."""
        return self.nzctl("lookup", name, rdtype, status=(0, 1))["state"]

    def wait_state(self, name, rdtype, *states):
        return wait_for(lambda: self.lookup(name, rdtype) in states,
                        f"{name} {rdtype} to be {' or '.join(states)}")


@contextlib.contextmanager
def control(edge):
    """A connection to the control socket: call(object) -> object."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(patience(10))
        s.connect(edge.socket)
        with s.makefile("rwb") as f:
            def call(request):
                f.write(json.dumps(request).encode() + b"\n")
                f.flush()
                return json.loads(f.readline())
            yield call
