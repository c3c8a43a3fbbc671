# SPDX-License-Identifier: MPL-2.0
"""Signed zones of named's with many kinds of clients: rules with weights, POPs
and latencies make other sets for each of them.  None gets what is not signed,
what is asked for is signed within a second, and the number is bounded."""

import time

import pytest

from nzlib import Edge, ask, wait_for, zone_text
from nzlib.base import patience
from nzlib.sign import zone_keys
from nzlib.steer import PRIMARY, Fleet, at, counts, subnet, tiers
from nzlib.validator import verdict

import dns.name

ZONE = "cl.test"
POPS = ["p0", "p1", "p2", "p3"]
CLIENTS = 64
OWNER_MAX = 2048  # sets of a hostname, family and zone
F = Fleet()
FAR = {"weigh": {"latency": 0}}  # wherever the client is
TWO, THREE, FOUR = (F.host(f"n{n}.{ZONE}", primary=8, answers=n, **FAR)
                    for n in (2, 3, 4))
NEAR = F.host(f"near.{ZONE}", primary=8, answers=4, tolerance=100)
KEPT = F.host(f"kept.{ZONE}", primary=16, answers=3, persist="1h")
BIG = F.host(f"big.{ZONE}", primary=30, answers=8, **FAR)
# 256 draws for each of the clients' kinds: more than are kept
MASS = F.host(f"mass.{ZONE}", primary=30, answers=8, **FAR)
ALL = (TWO, THREE, FOUR, NEAR, KEPT, BIG, MASS)


def client(i):
    return f"10.{100 + i}.7.0/24"


def rules():
    """No two clients are alike: whom they prefer, how far it is, and what each
    server weighs for them."""
    found = {}
    for i in range(CLIENTS):
        rule = {"prefixes": [f"10.{100 + i}.0.0/16"],
                "latency": {p: 5 + (i * 7 + k * 13) % 40
                            for k, p in enumerate(POPS)},
                "weights": {h.id(PRIMARY, k): 1 + (i + k) % 9
                            for h in (TWO, THREE, FOUR, MASS)
                            for k in range(1, h.counts[PRIMARY] + 1)}}
        if i % 3 == 0:
            rule["pops"] = [POPS[i % 4], POPS[(i + 1) % 4]]
        found[f"c{i}"] = rule
    return found


def views(e):
    path = e.write("cl.db", zone_text(F.records(ZONE)))
    return f"""
dnssec-policy "fine" {{ keys {{ ksk lifetime unlimited algorithm 13;
    zsk lifetime unlimited algorithm 13; }}; }};
view "all" {{ match-clients {{ any; }}; {e.plugin()}
    zone "{ZONE}" {{ type primary; file "{path}"; dnssec-policy "fine";
        inline-signing yes; key-directory "{e.dir}"; }}; }};"""


def running():
    e = F.put(Edge({}, body=views))
    servers = e.doc["pops"].pop("fra")["servers"]
    for p in POPS:
        e.doc["pops"][p] = {"servers": {}}
    for i, (name, server) in enumerate(servers.items()):
        e.doc["pops"][POPS[i % 4]]["servers"][name] = server
    e.doc["clients"] = rules()
    e.write_json()
    return e


def ready(e):
    for host in ALL:
        host.set(e, "up")
    wait_for(lambda: all(tiers(ask(e, h.name, t, do=True)) == {PRIMARY}
                         for h in ALL for t in ("A", "AAAA")),
             "the zone to be signed", 30)


@pytest.fixture(scope="module")
def edge():
    with running() as e:
        ready(e)
        yield e


def keys_of(e):
    return {dns.name.from_text(ZONE): zone_keys(e, ZONE)}


class Load:
    """Questions of all clients in turn: what they got."""

    def __init__(self, e, host):
        self.e, self.host = e, host
        self.keys = keys_of(e)
        self.n, self.bad, self.sets = 0, [], set()
        self.before = counts(e, host)
        self.pending = None  # the share of answers that were not the decided

    def ask(self, i):
        r = ask(self.e, self.host.name, do=True, options=[subnet(client(i))])
        got = frozenset(at(r, self.host.name, "A"))
        self.n += 1
        self.bad += verdict(r, self.keys)
        if not got or not got <= self.host.all(PRIMARY):
            self.bad.append(f"not decided: {r}")
        self.sets.add(got)
        return len(got)

    def run(self, rounds):
        for _ in range(rounds):
            for i in range(CLIENTS):
                self.ask(i)
        return self.end()

    def end(self):
        now = counts(self.e, self.host)
        made = now["decisions"] - self.before["decisions"]
        assert made == self.n
        self.pending = (now["pending"] - self.before["pending"]) / made
        return self


@pytest.mark.parametrize("host,answers", [(TWO, 2), (THREE, 3), (FOUR, 4),
                                          (NEAR, 4), (BIG, 8)],
                         ids=lambda x: getattr(x, "name", x))
def test_many_clients(edge, host, answers):
    first = Load(edge, host).run(2)
    assert not first.bad, "\n".join(first.bad[:3])
    assert all(1 <= len(x) <= answers for x in first.sets)
    if host is not BIG:  # soon all there can be are there
        wait_for(lambda: Load(edge, host).run(1).pending == 0,
                 "all sets to be signed", 30)
    later = Load(edge, host).run(2)
    assert not later.bad and later.pending <= first.pending + 0.05
    print(f"{host.name}: {len(later.sets)} sets in {later.n} answers; not "
          f"the decided ones at first {first.pending:.3f}, later "
          f"{later.pending:.3f}")


def test_the_number_is_bounded(edge):
    """More clients' kinds than sets are kept for."""
    others = edge.status()["traffic"]["signed"]
    load = Load(edge, MASS).run(40)
    assert not load.bad, "\n".join(load.bad[:3])
    assert len(load.sets) > OWNER_MAX // 4
    assert edge.status()["traffic"]["signed"] <= others + OWNER_MAX
    assert edge.status()["traffic"]["signings"] > others
    print(f"{MASS.name}: {len(load.sets)} sets in {load.n} answers; not the "
          f"decided ones {load.pending:.3f}")


def test_at_demand_within_a_second(edge):
    """A client that stays with its servers gets fewer of them until their set
    is signed, which is no longer than a second."""
    load, slowest = Load(edge, KEPT), 0
    for i in range(CLIENTS):
        begin = time.monotonic()
        n = load.ask(i)
        while n < 3:
            assert time.monotonic() - begin < patience(1)
            time.sleep(0.02)
            n = load.ask(i)
        slowest = max(slowest, time.monotonic() - begin)
    assert not load.bad, "\n".join(load.bad[:3])
    assert len(load.sets) > CLIENTS // 2 and load.end().pending > 0
    print(f"slowest: {slowest:.3f} s")


def test_a_server_fails_and_comes_back(edge):
    """Other sets are wanted at once."""
    for state in ("down", "up"):
        FOUR.set(edge, state, only=3)
        load = Load(edge, FOUR).run(2)
        assert not load.bad, "\n".join(load.bad[:3])
        if state == "down":
            assert not any(FOUR.one(PRIMARY, 3) in x for x in load.sets)


def figure(rounds):
    """Answers looked at, what is wrong with any, and lines about it."""
    with running() as e:
        ready(e)
        n, bad, lines = 0, [], []
        for host in (TWO, THREE, FOUR, NEAR, BIG, KEPT, MASS):
            load = Load(e, host).run(rounds)
            n, bad = n + load.n, bad + load.bad
            lines.append(
                f"{host.name}: {CLIENTS} kinds of clients, {len(load.sets)} "
                f"sets in {load.n} answers; not the decided ones: "
                f"{100 * load.pending:.2f}%")
        return n, bad, lines
