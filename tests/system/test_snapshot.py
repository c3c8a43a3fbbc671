# SPDX-License-Identifier: MPL-2.0
"""The cache outlives named: snapshots, and what must not come back."""

import os
import time

import pytest

from nzlib import Edge, Origin, ask, ask_together, wait_for, zone_of, zone_text
from nzlib.ask import make

NAMES = [f"h{i}.kept.test" for i in range(50)]
RECORDS = "\n".join(f"h{i} A 192.0.2.{i + 1}\nh{i} A 198.51.100.{i + 1}"
                    for i in range(50)) + "\n* TXT wild\n"


@pytest.fixture(scope="module")
def origin():
    with Origin({"kept.test": zone_text(RECORDS),
                 "other.test": zone_text("www A 192.0.2.99")}) as o:
        yield o


@pytest.fixture
def edge(origin):
    e = Edge({"kept.test": zone_of(origin), "other.test": zone_of(origin)})
    e.start()
    yield e
    if e.process is not None:
        e.stop()


def fill(edge):
    ask_together(edge, [make(name) for name in NAMES])
    for name, rdtype in (("no.h1.kept.test", "A"), ("h1.kept.test", "TXT"),
                         ("any.kept.test", "TXT"), ("www.other.test", "A")):
        ask(edge, name, rdtype)


def entries(edge):
    return edge.status()["cache"]["entries"]


def restored(edge):
    """Waits until all that was read is back; how many that was."""
    snapshot = edge.status()["cache"]["snapshot"]
    wait_for(lambda: entries(edge) >= snapshot["restored"], "the cache")
    return snapshot["restored"]


def again(edge):
    """Starts it again; a mark in its log."""
    mark = edge.mark()
    edge.start_again()
    return mark


def asked(origin, edge, *names):
    mark = origin.mark()
    for name in names:
        ask(edge, name)
    return [q.name for q in origin.questions(mark)]


def snapshot_of(edge):
    return edge.path("cache.snapshot")


def test_survives_a_restart(origin, edge):
    fill(edge)
    before = {name: ask(edge, name).answer for name in NAMES}
    was = entries(edge)
    edge.stop()
    again(edge)
    assert restored(edge) == was
    assert asked(origin, edge, *NAMES) == []
    for name in NAMES:
        for way in {"do": True}, {"rd": True}, {"tcp": True}:
            assert set(ask(edge, name, **way).answer[0]) == \
                set(before[name][0])
    edge.stop()
    again(edge)  # and once more: what was read can be written
    assert restored(edge) >= was
    assert asked(origin, edge, *NAMES) == []


def test_ages_go_on_while_named_is_away(edge):
    ask(edge, "h3.kept.test")
    stored = time.time()
    edge.stop()
    wait_for(lambda: time.time() - stored > 2.1, "two seconds")
    again(edge)
    restored(edge)
    ttl = ask(edge, "h3.kept.test").answer[0].ttl
    assert 300 - (time.time() - stored) - 2 <= ttl <= 298


def test_saved_now_and_then(origin):
    e = Edge({"kept.test": zone_of(origin)})
    e.doc["cache"]["snapshot"] = "1s"
    e.write_json()
    e.start()
    ask(e, "h4.kept.test")
    wait_for(lambda: e.status()["cache"]["snapshot"]["saved"] == 1,
             "a snapshot")
    e.kill()
    again(e)
    assert restored(e) == 1
    assert asked(origin, e, "h4.kept.test") == []
    assert not os.path.exists(snapshot_of(e) + ".new")
    e.stop()


def test_never(origin):
    e = Edge({"kept.test": zone_of(origin)})
    e.doc["cache"]["snapshot"] = 0
    e.write_json()
    e.start()
    ask(e, "h4.kept.test")
    e.stop()
    assert not os.path.exists(snapshot_of(e))


def cut_short(data):
    return data[:len(data) // 2]


def one_bit(data):
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


def another_version(data):
    return data[:8] + b"\x63" + data[9:]


def of_nothing(_):
    return b""


@pytest.mark.parametrize("damage", [cut_short, one_bit, another_version,
                                    of_nothing])
def test_damaged_is_refused_whole(origin, edge, damage):
    fill(edge)
    edge.stop()
    with open(snapshot_of(edge), "rb") as f:
        data = f.read()
    with open(snapshot_of(edge), "wb") as f:
        f.write(damage(data))
    mark = again(edge)
    edge.wait_log("snapshot '.*' is refused: (damaged|written by another)",
                  mark)
    assert edge.status()["cache"]["snapshot"]["restored"] == 0
    assert asked(origin, edge, NAMES[0]) == [NAMES[0]]
    edge.stop()  # the next one is good again
    again(edge)
    assert restored(edge) == 1


def test_other_origins_are_another_zone(origin, edge):
    fill(edge)
    edge.stop()
    edge.doc["zones"]["kept.test"] = zone_of(
        {"address": "127.0.0.1", "port": origin.port, "timeout": "999ms"})
    del edge.doc["zones"]["other.test"]
    edge.write_json()
    mark = again(edge)
    edge.wait_log("of zones that are not here", mark)
    assert edge.status()["cache"]["snapshot"]["restored"] == 0
    assert asked(origin, edge, NAMES[0]) == [NAMES[0]]


@pytest.mark.parametrize("how", [["h5.kept.test"], ["h5.kept.test", "A"],
                                 ["--subtree", "h5.kept.test"],
                                 ["--zone", "kept.test"]])
def test_a_purge_outlives_a_crash(origin, edge, how):
    """An old snapshot must not bring back what was purged."""
    ask(edge, "h5.kept.test")
    edge.stop()
    again(edge)
    restored(edge)
    assert edge.lookup("h5.kept.test") == "fresh"
    edge.nzctl("purge", *how)
    edge.kill()
    again(edge)
    assert asked(origin, edge, "h5.kept.test") == ["h5.kept.test"]


def test_a_reload_does_not_read_again(origin, edge):
    fill(edge)
    edge.stop()
    again(edge)
    n = restored(edge)
    edge.nzctl("purge", "--zone", "kept.test")
    edge.nzctl("reload")
    edge.rndc("reconfig")
    assert edge.status()["cache"]["snapshot"]["restored"] == n
    assert asked(origin, edge, NAMES[1]) == [NAMES[1]]


def test_a_zone_with_hostnames_comes_back(origin):
    """What the plugin itself asks at the start is no client's question."""
    e = Edge({"kept.test": zone_of(origin, poll="10s")})
    e.doc["pops"] = {"here": {"servers": {
        "a": {"addresses": ["198.51.100.1"]}}}}
    e.doc["hostnames"] = {"steered.kept.test": {"servers": ["a"]}}
    e.write_json()

    def fresh():
        return e.status()["zones"][0]["fresh"]

    with e:
        wait_for(lambda: fresh()["serial"] is not None, "the serial")
        ask_together(e, [make(name) for name in NAMES])
        e.stop()
        e.start_again()
        assert restored(e) >= len(NAMES)
        wait_for(lambda: fresh()["checks"] >= 1 and not fresh()["busy"],
                 "a look")
        assert fresh()["serial"] is not None and fresh()["whole"] == 0
        assert asked(origin, e, *NAMES) == []
