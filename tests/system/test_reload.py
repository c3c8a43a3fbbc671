# SPDX-License-Identifier: MPL-2.0
"""New configurations under load: nothing lost, nothing forgotten, and a bad
file changes nothing."""

import os
import threading

import dns.rcode
import pytest

from nzlib import (Edge, Load, Origin, ask, ask_together, wait_for, zone_of,
                   zone_text)
from nzlib.ask import make
from nzlib.zones import RICH, fresh_host


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH, **{
            f"z{i}.test": zone_text("www A 192.0.2.9")
            for i in range(12)}}) as o:
        yield o


@pytest.fixture
def edge(origin):
    with Edge({"example.com": zone_of(origin)}) as e:
        yield e


def serves(edge, zone):
    return ask(edge, f"www.{zone}").rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("how", ["reconfig", "reload", "nzctl"])
def test_nothing_is_lost(origin, edge, how):
    cached = [fresh_host() for _ in range(50)]
    for name in cached:
        ask(edge, name)
    mark = origin.mark()
    load = Load(edge, cached, rate=500)
    load.start()
    wait_for(lambda: sum(load.rcodes.values()) > 50, "the load to run")
    for i in range(5):
        zone = f"z{i}.test"
        assert not serves(edge, zone)
        edge.doc["serial"] += 1
        edge.doc["zones"][zone] = zone_of(origin)
        edge.write_json()
        if how == "nzctl":
            edge.nzctl("reload")
            assert serves(edge, zone)  # it answers when it is done
        else:
            edge.rndc(how)
            wait_for(lambda: serves(edge, zone), f"{zone} to be served")
        assert edge.status()["config"]["serial"] == edge.doc["serial"]
    load.finish()
    assert load.lost == []
    assert set(load.rcodes) == {0}
    # The cache is kept: not one of the names was asked for again.
    asked = {q.name for q in origin.questions(mark)}
    assert asked.isdisjoint(cached)


def test_misses_survive_too(origin, edge):
    load = Load(edge, [fresh_host() for _ in range(600)], rate=300)
    load.start()
    for i in range(5):
        edge.doc["serial"] += 1
        edge.write_json()
        edge.rndc("reconfig")
        edge.nzctl("reload")
    wait_for(lambda: load.sent >= 300, "300 misses")
    load.finish()
    assert load.lost == [] and set(load.rcodes) == {0}


def test_a_zone_taken_out_is_gone(origin, edge):
    edge.doc["zones"]["z1.test"] = zone_of(origin)
    edge.write_json()
    edge.nzctl("reload")
    assert serves(edge, "z1.test")
    del edge.doc["zones"]["z1.test"]
    edge.write_json()
    edge.nzctl("reload")
    r = ask(edge, "www.z1.test")
    assert r.rcode() == dns.rcode.REFUSED
    assert serves(edge, "example.com")


def test_new_origins_mean_new_answers(origin, edge):
    """Cache identity is the zone and its origins, not the name."""
    with Origin({"example.com": zone_text("www A 192.0.2.222")},
                what="second") as second:
        assert len(ask(edge, "www.example.com").answer[0]) == 4
        edge.doc["zones"]["example.com"] = zone_of(second)
        edge.write_json()
        edge.nzctl("reload")
        r = ask(edge, "www.example.com")
        assert [x.to_text() for x in r.answer[0]] == ["192.0.2.222"]


BAD = {
    "syntax": ('{"version": 1,\n "zones": {', 2),
    "unknown": ('{"version": 1,\n\n "zoness": {}}\n', 3),
    "type": ('{"version": 1,\n "zones": {"a.test":\n {"origins": 5}}}\n', 3),
    "range": ('{"version": 1, "zones": {"a.test": {"origins": [\n'
              ' {"address": "127.0.0.1", "port": 70000}]}}}\n', 2),
    "duplicate": ('{"version": 1,\n "serial": 1,\n "serial": 2}\n', 3),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("how", ["nzctl", "reconfig"])
def test_a_bad_file_changes_nothing(origin, edge, kind, how):
    text, line = BAD[kind]
    name = fresh_host()
    ask(edge, name)
    mark, origin_mark = edge.mark(), origin.mark()
    edge.write_json(text)
    if how == "nzctl":
        reply = edge.nzctl("reload", status=(1,))
        assert reply["ok"] is False
        assert f"nearzone.json:{line}" in reply["error"]
    else:
        edge.rndc("reconfig")
    edge.wait_log(rf"nearzone.*nearzone\.json:{line}", mark)
    config = wait_for(lambda: (lambda c: c if c.get("error") else None)(
        edge.status()["config"]), "status to show the error")
    assert f"nearzone.json:{line}" in config["error"]
    assert config["serial"] == 1
    assert ask(edge, name).answer and ask(edge, fresh_host()).answer
    assert name not in {q.name for q in origin.questions(origin_mark)}
    edge.write_json()
    edge.nzctl("reload")
    assert not edge.status()["config"].get("error")


def test_a_missing_file_changes_nothing(edge):
    os.unlink(edge.json_path)
    edge.nzctl("reload", status=(1,))
    edge.rndc("reconfig")
    assert ask(edge, fresh_host()).answer
    edge.write_json()
    edge.nzctl("reload")


def test_the_plugin_statement_comes_and_goes(origin, edge):
    name = fresh_host()
    assert ask(edge, name).answer
    body, edge.body = edge.body, ""
    edge.write_conf()
    edge.rndc("reconfig")
    assert ask(edge, name).rcode() == dns.rcode.REFUSED
    wait_for(lambda: not os.path.exists(edge.socket),
             "the plugin to be gone")
    edge.body = body
    edge.write_conf()
    edge.rndc("reconfig")
    wait_for(lambda: ask(edge, name).answer, "the edge to be back")
    edge.nzctl("status")


def test_reconfig_with_misses_in_flight(origin, edge):
    queries, replies = [make(fresh_host()) for _ in range(50)], []
    origin.pause()
    try:
        client = threading.Thread(target=lambda: replies.extend(
            ask_together(edge, queries)))
        client.start()
        wait_for(lambda: edge.status()["counters"]["misses"] >= 50,
                 "the misses to wait")
        edge.doc["serial"] += 1
        edge.write_json()
        edge.rndc("reconfig")
        edge.nzctl("reload")
    finally:
        origin.resume()
    client.join(20)
    assert all(r is not None and r.answer for r in replies)


def test_many_reloads_at_once(origin, edge):
    threads = [threading.Thread(target=lambda: edge.nzctl("reload"))
               for _ in range(10)]
    for t in threads:
        t.start()
    edge.rndc("reconfig")
    for t in threads:
        t.join(30)
    assert ask(edge, fresh_host()).answer
    edge.nzctl("status")
