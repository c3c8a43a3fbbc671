# SPDX-License-Identifier: MPL-2.0
"""Network namespaces of a test, and who attacks and who asks in them.

A Net has four namespaces, tied by veth pairs: 'attacker', 'good', 'edge' and
'origin'.  They have no name and no way out: nothing in them reaches another
interface of this machine, and they are gone with the last process in them.

    198.18.1.53     the edge's address
    198.18.0.10     the origin's
    10.64.0.0/12    good clients, one of each /24
    anything else   goes to the attacker, who drops it

'with net.edge.inside():' has the calling thread in that namespace: sockets
that it opens and processes that it starts there stay in it.
"""

import contextlib
import ctypes
import json
import os
import subprocess

EDGE, ORIGIN = "198.18.1.53", "198.18.0.10"
CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class NotHere(Exception):
    """There can be no namespaces here; the text says why."""


def _call(function, *args):
    if function(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _own():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Namespace:
    """One network namespace, held by a descriptor until close()."""

    def __init__(self):
        home = _own()
        try:
            _call(_LIBC.unshare, CLONE_NEWNET)
            self.fd = _own()
            _call(_LIBC.setns, home, CLONE_NEWNET)
        finally:
            os.close(home)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in it meanwhile, and what it starts."""
        home = _own()
        try:
            _call(_LIBC.setns, self.fd, CLONE_NEWNET)
            yield self
        finally:
            _call(_LIBC.setns, home, CLONE_NEWNET)
            os.close(home)

    def ip(self, text):
        """Commands of ip(8), one a line."""
        with self.inside():
            for line in text.strip().split("\n"):
                done = subprocess.run(["ip", *line.split()], check=False,
                                      capture_output=True, text=True)
                if done.returncode:
                    raise NotHere(f"ip {line.strip()}: {done.stderr.strip()}")

    def close(self):
        os.close(self.fd)


class Net:
    """The four namespaces, or NotHere."""

    NAMES = ("attacker", "good", "edge", "origin")

    def __init__(self):
        self.spaces = {}
        try:
            for name in self.NAMES:
                self.spaces[name] = Namespace()
            self._tie()
        except OSError as error:
            self.close()
            raise NotHere(f"no network namespace: {error.strerror}") from None
        except NotHere:
            self.close()
            raise

    def __getattr__(self, name):
        return self.__dict__["spaces"][name]

    def _tie(self):
        self.edge.ip("link set lo up\n"
                     f"addr add {EDGE}/32 dev lo")
        for i, name in enumerate(("attacker", "good", "origin")):
            other, near, far = self.spaces[name], 4 * i + 1, 4 * i + 2
            self.edge.ip(
                f"link add nzf-{name} type veth peer name nzf-edge"
                f" netns {other.path}\n"
                f"addr add 198.18.0.{near}/30 dev nzf-{name}\n"
                f"link set nzf-{name} up")
            other.ip("link set lo up\n"
                     f"addr add 198.18.0.{far}/30 dev nzf-edge\n"
                     "link set nzf-edge up\n"
                     f"route add default via 198.18.0.{near}")
        self.good.ip("route add local 10.64.0.0/12 dev lo")
        self.edge.ip("route add 10.64.0.0/12 via 198.18.0.6\n"
                     "route add default via 198.18.0.2")
        self._sysctl(self.edge, "ipv4/conf/all/rp_filter", "0")
        self._sysctl(self.edge, "ipv4/conf/nzf-attacker/rp_filter", "0")
        self._sysctl(self.edge, "ipv4/conf/nzf-good/rp_filter", "0")

    @staticmethod
    def _sysctl(space, name, value):
        with space.inside(), open("/proc/sys/net/" + name, "w",
                                  encoding="ascii") as f:
            f.write(value)

    def close(self):
        for space in self.spaces.values():
            space.close()
        self.spaces = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def program(name):
    """The path of tests/flood/NAME of the build."""
    where = os.environ.get("builddir") or os.getcwd()
    path = os.path.join(os.path.abspath(where), "tests/flood", name)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path}: make check builds it")
    return path


def argv(name, /, **options):
    """A command of a program of tests/flood: a_b=1 is '--a-b 1'."""
    words = [program(name)]
    for option, value in options.items():
        if value is not None:
            words += ["--" + option.replace("_", "-"), str(value)]
    return words


class Run:
    """A program of tests/flood that runs; wait() is what it printed."""

    def __init__(self, space, name, /, **options):
        with space.inside() if space else contextlib.nullcontext():
            self.process = subprocess.Popen(
                argv(name, **options), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait(self, seconds=400):
        out, errors = self.process.communicate(timeout=seconds)
        if self.process.returncode:
            raise RuntimeError(f"{self.process.args}: {errors}")
        return json.loads(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
