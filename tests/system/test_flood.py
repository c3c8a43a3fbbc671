# SPDX-License-Identifier: MPL-2.0
"""Floods in miniature: what the origin and good clients notice of them.

By counts, not by the clock: what is sent is much more than any threshold,
on a slow machine too.  On loopback there are no forged sources; those are
in network namespaces of the test (nzlib/flood.py), where that is permitted.
"""

import collections
import contextlib
import itertools
import subprocess

import pytest

from nzlib import Edge, Origin, wait_for, zone_of, zone_text
from nzlib.flood import EDGE, ORIGIN, Net, NotHere, Run, argv

ZONE, NAMES, CLIENTS = "flood.test", 60, 60
RATE, PACKETS = 1500, 3000
FILTERS = ("misses", "repeats", "unknown", "suffixes")

Result = collections.namedtuple("Result", "good asked refused")
_seeds = itertools.count(1)


class Place:
    """An origin and an edge, in namespaces or on loopback."""

    def __init__(self, net=None, **admission):
        self.net = net
        names = [f"h{i}{'.sub' if i % 4 == 3 else ''} A 192.0.2.{i + 1}"
                 for i in range(NAMES)]
        self.origin = Origin({ZONE: zone_text("\n".join(
            names + ["$GENERATE 0-999 n$ A 192.0.2.7"]))})
        if net:
            self.origin.address = ORIGIN
        self.edge = Edge({ZONE: zone_of(
            self.origin, admission={"normal": 2, **admission})})
        if '"admission"' not in self.edge.nzctl("schema", plain=True):
            pytest.skip("no admission in this build")
        if net:
            self.edge.address = EDGE
        self.stack = contextlib.ExitStack()

    def inside(self, name):
        return self.net.spaces[name].inside() if self.net else \
            contextlib.nullcontext()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for name in ("origin", "edge"):
                server = getattr(self, name)
                with self.inside(name):
                    server.start()
                stack.callback(self._stop, server)
            self.walk(rate=200)
            # A zone is no longer new after some seconds of hits.
            self.walk(rate=25, times=3)
            wait_for(lambda: self.status()["state"] in ("normal", "off"),
                     "the edge to know the zone", 10)
            self.stack = stack.pop_all()
        return self

    def _stop(self, server):
        if server.is_running():
            server.stop()

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def _run(self, space, name, /, **how):
        return Run(self.net.spaces[space] if self.net else None, name,
                   to=self.edge.address, port=self.edge.port, **how)

    def honest(self, **how):
        return self._run("good", "honest", **{
            "zone": ZONE, "sub": "sub", "names": NAMES, "clients": CLIENTS,
            "rate": 30, "seconds": 20, "questions": 60, **how})

    def walk(self, rate, times=1):
        got = self.honest(walk=1, rate=rate, questions=times * NAMES).wait()
        assert got["answered"] == times * NAMES, got

    def attack(self, mode, zone=ZONE, **how):
        """Attacks while good clients ask.  What came of these, and for
        which names the origin was asked meanwhile that are not there."""
        mark, before = self.origin.mark(), self.refused()
        with self._run("attacker", "attack", mode=mode, zone=zone, rate=RATE,
                       packets=PACKETS, seconds=60, seed=next(_seeds),
                       interface="nzf-edge" if self.net else "lo",
                       **how) as run, self.honest() as honest:
            sent, good = run.wait(), honest.wait()
        assert sent["sent"] == PACKETS and sent["errors"] == 0
        asked = [q.name for q in self.origin.questions(mark)]
        after = self.refused()
        return Result(good, [n for n in asked if n[1:].split(".")[0]
                             .isdigit() is False],
                      {r: after[r] - before.get(r, 0) for r in after})

    def status(self):
        answer = self.edge.nzctl("attack", "status", ZONE)
        return answer["attack"]["zones"][0]

    def refused(self):
        """How many of each reason."""
        return self.status()["refused"]


def served(result):
    """Every good client got what it asked for."""
    for kind in ("old", "sub"):
        assert result.good[kind]["answered"] == result.good[kind]["asked"]
    assert result.good["answered"] == 60


@pytest.fixture(scope="module")
def net():
    try:
        with Net() as made:
            yield made
    except NotHere as why:
        pytest.skip(f"not permitted here: {why}")


@pytest.fixture(scope="module")
def near():
    with Place() as place:
        yield place


@pytest.fixture(scope="module")
def far(net):
    with Place(net) as place:
        yield place


# -- the tools ----------------------------------------------------------------

ATTACK = {"mode": "few", "to": "127.0.0.1", "interface": "lo", "zone": ZONE,
          "rate": 10, "seconds": 1, "packets": 10}
HONEST = {"to": "127.0.0.1", "zone": ZONE, "clients": 1, "names": 1,
          "rate": 1, "seconds": 1, "questions": 1}


@pytest.mark.parametrize("name, options, changed, status", [
    ("attack", ATTACK, {"to": "192.0.2.1"}, 1),
    ("attack", ATTACK, {"to": "198.18.1.53"}, 1),
    ("attack", ATTACK, {"to": "198.18.1.53", "interface": "eth0"}, 1),
    ("attack", ATTACK, {"interface": "nzf-edge"}, 1),
    ("attack", ATTACK, {"mode": "forged"}, 1),
    ("attack", ATTACK, {"mode": "all"}, 2),
    ("attack", ATTACK, {"rate": 100001}, 2),
    ("attack", ATTACK, {"seconds": 121}, 2),
    ("attack", ATTACK, {"packets": 1000001}, 2),
    ("attack", ATTACK, {"rate": None}, 2),
    ("attack", ATTACK, {"seconds": None}, 2),
    ("attack", ATTACK, {"packets": None}, 2),
    ("attack", ATTACK, {"mode": "repeat"}, 2),
    ("honest", HONEST, {"to": "192.0.2.1"}, 2),
    ("honest", HONEST, {"to": "198.18.1.53"}, 2),
    ("honest", HONEST, {"seconds": 301}, 2),
    ("honest", HONEST, {"questions": None}, 2),
])
def test_what_is_not_sent(name, options, changed, status):
    """Nothing leaves for anywhere else, or without an end."""
    done = subprocess.run(argv(name, **{**options, **changed}), check=False,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == status, done
    assert done.stderr and not done.stdout


def test_honest_clients_prove_themselves():
    """TC takes them to TCP, BADCOOKIE brings them a cookie."""
    with Origin({ZONE: zone_text("h0 A 192.0.2.1")}, options="rate-limit"
                " { responses-per-second 1; slip 1; };"
                " require-server-cookie yes;") as origin, \
            Run(None, "honest", to=origin.address, port=origin.port,
                zone=ZONE, names=1, clients=8, rate=100, seconds=10,
                questions=200, cookie_share=50) as honest:
        got = honest.wait()
    assert got["answered"] == 200 and got["silent"] == got["cut"] == 0
    assert got["badcookie"] > 0 and got["tc"] > 0
    assert got["by_tcp"] == got["tc"]


# -- what is to be seen without filters ----------------------------------------

def test_without_filters_the_origin_has_it_all():
    """That the tests below would fail if nothing were done."""
    with Place(**{f: "off" for f in FILTERS}) as place:
        result = place.attack("few", sources=10)
    assert len(set(result.asked)) > .9 * PACKETS


# -- loopback -----------------------------------------------------------------

@pytest.mark.parametrize("mode, zone", [
    ("few", ZONE), ("known", ZONE), ("suffix", "sub." + ZONE)])
def test_random_names(near, mode, zone):
    """Most of them stay where they are; who asks for names that there
    are, also below the suffix, and also from the same addresses, does not
    notice."""
    result = near.attack(mode, zone, sources=10)
    served(result)
    assert len(result.asked) < .3 * PACKETS
    assert sum(result.refused.values()) > .5 * PACKETS


def test_one_question(near):
    result = near.attack("repeat", name="h1." + ZONE)
    served(result)
    assert result.asked == []
    assert result.refused["repeat"] + result.refused["repeat-dropped"] > \
        .3 * PACKETS


# -- forged sources -----------------------------------------------------------

@pytest.mark.parametrize("mode", ["few", "forged", "known"])
def test_random_names_from_afar(far, mode):
    result = far.attack(mode, sources=CLIENTS)
    served(result)
    assert len(result.asked) < .3 * PACKETS
    assert sum(result.refused.values()) > .5 * PACKETS


def test_unknown_sources_have_to_come_by_tcp(net):
    """Also for what is in memory: but for those who prove themselves."""
    with Place(net, misses="off", suffixes="off", repeats="off") as place:
        result = place.attack("forged")
    served(result)
    assert result.refused["source"] > .5 * PACKETS
