# SPDX-License-Identifier: MPL-2.0
"""What operators say of servers: forced states, POPs, held, maintenance; and
values that are not of a test."""

import datetime
import time

import pytest

from nzlib import Edge, ask, wait_for
from nzlib.steer import (BACKUP, PRIMARY, Fleet, command, explain, feed)

F = Fleet()
WWW = F.host("www.gslb.test", backup=1, families="A")
HELD = F.host("held.gslb.test", primary=1, backup=1, families="A")
COST = F.host("cost.gslb.test", families="A", weigh={"loss": 1}, explore=0)
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
A, B, C = WWW.id(PRIMARY, 1), WWW.id(PRIMARY, 2), WWW.id(BACKUP)


@pytest.fixture
def edge():
    e = Edge({})
    F.servers[HELD.id(PRIMARY)]["failback"] = "manual"
    F.put(e)
    # Costs are of POPs: in one all would cost the same.
    pops = e.doc["pops"]
    other = COST.id(PRIMARY, 2)
    pops["iad"] = {"servers": {other: pops["fra"]["servers"][other]}}
    pops["fra"]["servers"] = {k: v for k, v in pops["fra"]["servers"].items()
                              if k != other}
    e.write_json()
    with e:
        WWW.set(e, "up", "up", "up")
        HELD.set(e, "up", "up")
        COST.set(e, "up")
        yield e


def good(edge, what, **more):
    r = command(edge, what, **more)
    assert r.pop("ok") is True, r
    return r


def answers(edge, host, n=30):
    return {ask(edge, host.name).answer[0][0].to_text() for _ in range(n)}


def state(edge, name):
    one, = good(edge, "servers", server=name)["servers"]
    return one["state"]


def test_forced(edge):
    r = good(edge, "force", server=A, state="down", reason="fire",
             author="eve")
    assert r["server"] == A and r["forced"] == "down" and r["author"] == "eve"
    assert answers(edge, WWW) == {WWW.one(PRIMARY, 2)}
    assert state(edge, A) == "forced down"
    good(edge, "force", server=B, state="down", reason="fire")
    assert answers(edge, WWW) == WWW.all(BACKUP)
    # over what is measured, and over a restart
    WWW.set(edge, "down")
    good(edge, "force", server=A, state="up", reason="tests are wrong")
    assert answers(edge, WWW) == {WWW.one(PRIMARY, 1)}
    edge.stop()
    edge.start_again()
    assert answers(edge, WWW) == {WWW.one(PRIMARY, 1)}
    assert good(edge, "undrain", server=A)["was"] is True
    assert good(edge, "undrain", server=B)["was"] is True
    edge.wait_log(rf"server '{A}' is forced down by eve: fire")
    for bad in ({"state": "sideways"}, {}, {"state": "up", "reason": None},
                {"state": "up", "author": "x" * 65},
                {"state": "up", "author": "a\nb"}):
        assert not command(edge, "force", **{"server": A, "reason": "x",
                                             **bad})["ok"]
    assert state(edge, A) == "unknown"


def test_patterns_and_pops(edge):
    prefix = A.rsplit("-", 1)[0]  # of the two primary servers
    r = good(edge, "drain", server=prefix + "-*", reason="all of them")
    assert r["n"] == 2 and set(r["servers"]) == {A, B}
    assert answers(edge, WWW) == WWW.all(BACKUP)
    r = good(edge, "undrain", server=prefix + "-*")
    assert r["n"] == 2 and r["was"] is True
    assert answers(edge, WWW) == WWW.all(PRIMARY)
    r = good(edge, "force", pop="fra", state="down", reason="the place")
    assert r["n"] == len(F.servers) - 1
    assert state(edge, C) == "forced down"
    assert good(edge, "undrain", pop="fra")["n"] == len(F.servers) - 1
    assert answers(edge, WWW) == WWW.all(PRIMARY)
    for bad in ({"server": "nobody-*"}, {"pop": "mars"},
                {"server": "*", "pop": "mars"}, {"server": "*" * 129}):
        assert not command(edge, "drain", reason="x", **bad)["ok"]


def test_held(edge):
    name = HELD.id(PRIMARY)
    assert answers(edge, HELD) == HELD.all(PRIMARY)
    HELD.set(edge, "down", "up")
    assert answers(edge, HELD) == HELD.all(BACKUP)
    edge.wait_log(rf"server '{name}' has failed, and is held")
    HELD.set(edge, "up", "up")
    assert answers(edge, HELD) == HELD.all(BACKUP)
    assert state(edge, name) == "held"
    assert explain(edge, HELD, "A")["candidates"][0]["verdict"] == "held"
    edge.stop()
    edge.start_again()
    HELD.set(edge, "up", "up")
    assert answers(edge, HELD) == HELD.all(BACKUP)
    assert good(edge, "undrain", server=name)["was"] is True
    assert answers(edge, HELD) == HELD.all(PRIMARY)


def test_maintenance(edge):
    now = datetime.datetime.now(datetime.timezone.utc)
    form = "%Y-%m-%dT%H:%M"
    at = (now - datetime.timedelta(minutes=2)).strftime(form)
    to = (now + datetime.timedelta(hours=2)).strftime(form)
    F.servers[A]["maintenance"] = [f"{at}/{to}"]
    edge.write_json()
    edge.nzctl("reload")
    wait_for(lambda: state(edge, A) == "drained", "maintenance")
    assert answers(edge, WWW) == {WWW.one(PRIMARY, 2)}
    # a word that ends leaves the window as it is
    good(edge, "drain", server=A, reason="more")
    good(edge, "undrain", server=A)
    assert state(edge, A) == "drained"
    del F.servers[A]["maintenance"]
    edge.write_json()
    edge.nzctl("reload")
    wait_for(lambda: state(edge, A) == "up", "the end of it")


def test_values(edge):
    """Rows that are not of a test."""
    now = time.time()
    r = feed(edge, [["loss", "fra", now, 3.5], ["bandwidth", "fra", now, 50],
                    ["load", A, now, 17],
                    ["loss", "mars", now, 1], ["load", "nobody", now, 1],
                    ["loss", "fra", now + 1, 101], ["loss", "fra", now],
                    ["what", "fra", now, 1], ["loss", "fra", "now", 1],
                    ["loss", 7, now, 1]])
    assert r["accepted"] == 3
    assert r["why"]["unknown"] == 2 and r["why"]["malformed"] == 3
    line = explain(edge, COST, "A")["candidates"][0]
    assert line["loss_pct"] == pytest.approx(3.5)
    assert line["cost"] == pytest.approx(3.5)
