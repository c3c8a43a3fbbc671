# SPDX-License-Identifier: MPL-2.0
"""Clients that keep their server by a table: over reloads, restarts, and
changes of the table's size."""

import copy
import os

import pytest

from nzlib import Edge, ask, wait_for, zone_text
from nzlib.steer import PRIMARY, Fleet, at, explain

F = Fleet()
TABLE = {"persist": "1h", "persist-by": "table"}
WWW = F.host("www.gslb.test", primary=8, families="A", **TABLE)
OWN = F.host("www.ord.test", primary=8, families="A", **TABLE)
HASH = F.host("hash.gslb.test", primary=2, families="A", persist="1h")
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
CLIENTS = [f"127.{i}.0.1" for i in range(1, 21)]


def body(e):
    return (f'zone "ord.test" {{ type primary; file "'
            f'{e.write("ord.db", zone_text(F.records("ord.test")))}"; }};\n'
            + e.plugin())


def new(**limits):
    e = Edge({}, body=body)
    F.put(e)
    if limits:
        e.doc["limits"] = limits
        e.write_json()
    return e


@pytest.fixture
def edge():
    e = new(clients=1000)
    with e:
        feed(e)
        yield e


def feed(e):
    for host in (WWW, OWN, HASH):
        host.set(e, "up")


def given(e, host):
    """What each client gets."""
    out = {}
    for client in CLIENTS:
        a, = at(ask(e, host.name, source=client), host.name, "A")
        out[client] = a
    return out


def traffic(e):
    return e.status()["traffic"]


def test_clients_keep_their_server(edge):
    for host in (WWW, OWN):
        first = given(edge, host)
        assert len(set(first.values())) > 2
        for _ in range(3):
            assert given(edge, host) == first
    assert traffic(edge)["clients"] == 2 * len(CLIENTS)
    assert traffic(edge)["clients_bytes"] == 1024 * 16
    r = explain(edge, WWW, client=CLIENTS[0])
    assert r["answer"] == [first_of(edge, CLIENTS[0])] and r["kept"] is True
    # to explain is not to answer
    before = traffic(edge)["clients"]
    r = explain(edge, WWW, client="198.51.100.7")
    assert "kept" not in r and traffic(edge)["clients"] == before


def first_of(e, client):
    a, = at(ask(e, WWW.name, source=client), WWW.name, "A")
    return a


def test_a_client_whose_server_fails_gets_and_keeps_another(edge):
    first = given(edge, WWW)
    gone = first[CLIENTS[0]]
    number = int(gone.rsplit(".", 1)[1])
    WWW.set(edge, "down", only=number)
    second = given(edge, WWW)
    for client, address in first.items():
        if address != gone:
            assert second[client] == address
        else:
            assert second[client] != gone
    WWW.set(edge, "up", only=number)
    assert given(edge, WWW) == second


def test_over_reloads(edge):
    first = given(edge, WWW)
    edge.rndc("reconfig")
    assert given(edge, WWW) == first
    for size in (5000, 64, 100000):
        edge.doc["limits"] = {"clients": size}
        edge.doc["serial"] = size
        edge.write_json()
        assert edge.nzctl("reload")["ok"]
        same = sum(given(edge, WWW)[c] == a for c, a in first.items())
        assert same >= (len(CLIENTS) if size > 64 else 10)
        if size > 64:
            assert same == len(CLIENTS)
        first = given(edge, WWW)
    assert traffic(edge)["clients_bytes"] == 131072 * 16


def test_over_restarts(edge):
    first = given(edge, WWW)
    own = given(edge, OWN)
    edge.stop()
    edge.start_again()
    assert traffic(edge)["clients"] == 2 * len(CLIENTS)
    feed(edge)
    assert given(edge, WWW) == first
    assert given(edge, OWN) == own


def test_now_and_then():
    e = new()
    e.doc["cache"]["snapshot"] = "1s"
    e.write_json()
    with e:
        feed(e)
        first = given(e, WWW)
        path = os.path.join(e.doc["cache"]["state-directory"],
                            "clients.table")
        wait_for(lambda: os.path.exists(path)
                 and os.path.getsize(path) >= 32 + 16 * 20,
                 "the table to be saved")
        e.kill()
        e.start_again()
        feed(e)
        assert given(e, WWW) == first


def test_damage(edge):
    first = given(edge, WWW)
    edge.stop()
    path = os.path.join(edge.doc["cache"]["state-directory"], "clients.table")
    with open(path, "r+b") as f:
        f.seek(100)
        f.write(b"x")
    edge.start_again()
    edge.wait_log(r"table '.*clients.table' is refused")
    feed(edge)
    assert set(given(edge, WWW).values()) <= WWW.all(PRIMARY)
    assert len(first) == len(CLIENTS)


def test_nobody_wants_one():
    e = new()
    e.doc["hostnames"] = copy.deepcopy(F.hostnames)
    for h in e.doc["hostnames"].values():
        h.pop("persist-by", None)
    e.write_json()
    with e:
        feed(e)
        first = given(e, WWW)
        assert given(e, WWW) == first  # by hash
        assert traffic(e)["clients"] == traffic(e)["clients_bytes"] == 0
        # and then somebody does
        e.doc["hostnames"] = F.hostnames
        e.write_json()
        assert e.nzctl("reload")["ok"]
        first = given(e, WWW)
        assert given(e, WWW) == first
        assert traffic(e)["clients"] == len(CLIENTS)
