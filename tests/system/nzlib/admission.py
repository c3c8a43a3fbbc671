# SPDX-License-Identifier: MPL-2.0
"""Edges with filters of admission, and floods of questions."""

import contextlib
import json
import random
import select
import socket
import time

import dns.flags
import dns.message

from nzlib import Edge, ask, ede, wait_for, zone_of
from nzlib.ask import make
from nzlib.base import patience

ZONE = "example.com"
NAMES = [f"n{i}.{ZONE}" for i in range(20)]
RECORDS = "".join(f"n{i} 300 A 192.0.2.{i}\n" for i in range(20))
RECORDS += "late 300 A 192.0.2.99\nbrief 1 A 192.0.2.98\n"
FILTERS = ("misses", "repeats", "unknown", "suffixes")
BLOCKED, PROHIBITED = 15, 18
COOKIE = 10


def filters(**modes):
    """All filters off but those given; little is normal."""
    return {"normal": 2, **{f: modes.get(f, "off") for f in FILTERS}}


def state(edge):
    return edge.nzctl("attack", "status", ZONE)["attack"]["zones"][0]


def refused(edge, kind="refused"):
    return {k: v for k, v in state(edge)[kind].items() if v}


def active(edge):
    return [f["filter"] for f in state(edge)["filters"] if f["active"]]


def settle(edge):
    """Its names are in memory, and the zone is no longer new."""
    for name in NAMES:
        ask(edge, name)

    def normal():
        end = time.monotonic() + 0.9
        while time.monotonic() < end:
            ask(edge, random.choice(NAMES))
            time.sleep(0.05)
        return state(edge)["state"] == "normal"
    wait_for(normal, "the zone to be an old one", 60)


@contextlib.contextmanager
def edge_of(origin, admission, **more):
    with Edge({ZONE: zone_of(origin, admission=admission, **more)}) as e:
        settle(e)
        yield e


class Flood:
    """Questions at a rate for a while, from one address or many; counts the
    answers by rcode, and those that were cut."""

    def __init__(self, edge, question, rate=400, sources=("127.0.0.1",)):
        self.question, self.gap_s = question, 1 / rate
        self.sockets = []
        self.sent = self.cut = self.answers = 0
        self.rcodes = {}
        self.edes = set()
        for source in sources:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((source, 0))
            s.connect((edge.address, edge.port))
            s.setblocking(False)
            self.sockets.append(s)

    def run(self, seconds):
        due = time.monotonic()
        end = due + seconds
        while time.monotonic() < end:
            if time.monotonic() >= due:
                query = self.question(self.sent)
                self.sockets[self.sent % len(self.sockets)].send(
                    query.to_wire())
                self.sent += 1
                due = max(due + self.gap_s, time.monotonic() - 0.1)
            self.receive(max(due - time.monotonic(), 0))
        self.receive(0.3)
        return self

    def receive(self, seconds):
        for s in select.select(self.sockets, [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                r = dns.message.from_wire(s.recv(4096))
                self.answers += 1
                self.cut += bool(r.flags & dns.flags.TC)
                self.rcodes[r.rcode()] = self.rcodes.get(r.rcode(), 0) + 1
                self.edes |= set(ede(r))

    def close(self):
        for s in self.sockets:
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def flood(edge, question, seconds=2, **how):
    f = Flood(edge, question, **how)
    try:
        yield f.run(seconds)
    finally:
        f.close()


def made_up(_):
    return make(f"x{random.getrandbits(60):x}.{ZONE}", payload=1232)


def made_up_wide(_):
    """No suffix has many of them."""
    return make(f"x.y{random.getrandbits(60):x}.{ZONE}", payload=1232)


def existing(n):
    return make(NAMES[n % len(NAMES)], payload=1232)


def same(_):
    return make(NAMES[0], payload=1232)


def events(edge):
    """A connection that events come by."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(patience(20))
    s.connect(edge.socket)
    f = s.makefile("rwb")
    f.write(b'{"command":"watch"}\n')
    f.flush()
    assert json.loads(f.readline())["ok"]
    return s, f
