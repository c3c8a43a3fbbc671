# SPDX-License-Identifier: MPL-2.0
"""Network namespaces of a test's own: nothing that is sent in them leaves."""

import contextlib
import itertools
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
_number = itertools.count(1)


class NotHere(Exception):
    """Namespaces cannot be made here; the text says why."""


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotHere(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


class Net:
    """Namespaces by short names, wires between them; all end with it."""

    def __init__(self):
        self.names = {}
        self.wires = []
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        if os.geteuid() != 0:
            raise NotHere("only root makes network namespaces")
        return self

    def __exit__(self, *_):
        self.stack.close()
        for process in self.wires:
            process.stdin.close()
            process.wait(10)
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False,
                           capture_output=True)

    def add(self, *names):
        for name in names:
            full = f"nz{os.getpid()}-{next(_number)}"
            run("ip", "netns", "add", full)
            self.names[name] = full
            self.ip(name, "link", "set", "lo", "up")
        return self

    def ip(self, name, *args):
        """ip(8) in a namespace."""
        return run("ip", "-n", self.names[name], *args)

    def inside(self, name):
        """A command's beginning: what follows runs in a namespace."""
        return ["ip", "netns", "exec", self.names[name]]

    def sysctl(self, name, key, value):
        run(*self.inside(name), "sh", "-c",
            f"echo '{value}' >/proc/sys/{key.replace('.', '/')}")

    def link(self, one, other, number):
        """A plain wire: .1 is one's end, .2 the other's."""
        full, peer = f"w{number}a", f"w{number}b"
        self.ip(one, "link", "add", full, "type", "veth", "peer", "name",
                peer, "netns", self.names[other])
        self._up(one, full, number, 1)
        self._up(other, peer, number, 2)

    def delay(self, one, other, number, ms, lose=0):
        """A wire that takes 'ms' milliseconds each way."""
        if not os.path.exists("/dev/net/tun"):
            raise NotHere("there is no /dev/net/tun")
        process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "delay.py"),
             self.names[one], self.names[other], f"d{number}", str(ms),
             str(lose)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        self.wires.append(process)
        if process.stdout.readline() != "ready\n":
            raise NotHere("no TUN device can be made")
        self._up(one, f"d{number}", number, 1)
        self._up(other, f"d{number}", number, 2)

    def _up(self, name, interface, number, end):
        self.ip(name, "addr", "add", f"198.18.{number}.{end}/24", "dev",
                interface)
        self.ip(name, "addr", "add", f"2001:db8:ff{number:02x}::{end}/64",
                "dev", interface, "nodad")
        self.ip(name, "link", "set", interface, "up")

    def route(self, name, to, number, end):
        """Sends what is for 'to' to that end of that wire."""
        via = (f"2001:db8:ff{number:02x}::{end}" if ":" in to
               else f"198.18.{number}.{end}")
        self.ip(name, "route", "add", to, "via", via)

    def own(self, name, *addresses):
        """Addresses, or whole networks, that are a namespace's own."""
        for address in addresses:
            self.ip(name, *(["-6"] if ":" in address else []), "route", "add",
                    "local", address, "dev", "lo")

    def forwards(self, *names):
        for name in names:
            self.sysctl(name, "net.ipv4.ip_forward", 1)
            self.sysctl(name, "net.ipv6.conf.all.forwarding", 1)
            self.sysctl(name, "net.ipv4.conf.all.rp_filter", 0)
            # a router that keeps silent would be taken for the last one
            self.sysctl(name, "net.ipv4.icmp_ratelimit", 0)
            self.sysctl(name, "net.ipv6.icmp.ratelimit", 0)
