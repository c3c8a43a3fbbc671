# SPDX-License-Identifier: MPL-2.0
"""nzctl: what it says of the cache, and purges that hold at once."""

import json
import os
import signal
import subprocess
import threading

import dns.rcode
import pytest

from nzlib import (Edge, FakeOrigin, Origin, answer_to, ask, ask_together,
                   rrset, wait_for, zone_of, zone_text)
from nzlib.ask import make
from nzlib.edge import control
from nzlib.zones import RICH, fresh_host, fresh_nothing


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH, "example.org": zone_text(
            "www A 192.0.2.9\na.b.c A 192.0.2.9\nb.c A 192.0.2.9"),
            "brief.test": zone_text("b 1 A 192.0.2.8")}) as o:
        yield o


@pytest.fixture(scope="module")
def edge(origin):
    with Edge({name: zone_of(origin) for name in (
            "example.com", "example.org", "brief.test")}) as e:
        yield e


def asked(origin, edge, *names):
    """The names among these for which the edge has to ask."""
    mark = origin.mark()
    for name in names:
        ask(edge, name)
    return [q.name for q in origin.questions(mark)]


def test_purge_of_a_name(origin, edge):
    one, two = fresh_host(), fresh_host()
    for rdtype in "A", "TXT":
        ask(edge, one, rdtype)
    ask(edge, two)
    ask(edge, "x." + one)
    edge.nzctl("purge", one)
    mark = origin.mark()
    for rdtype in "A", "TXT":  # every type of that name, and no other
        ask(edge, one, rdtype)
    assert len(origin.questions(mark)) == 2
    assert asked(origin, edge, two, "x." + one) == []
    edge.nzctl("purge", one.upper() + ".")
    assert asked(origin, edge, one) == [one]


def test_purge_of_a_type(origin, edge):
    name = fresh_host()
    for rdtype in "A", "TXT", "ANY":
        ask(edge, name, rdtype, tcp=True)
    assert edge.nzctl("purge", name, "A")["purged"] == 2  # and ANY
    assert edge.lookup(name, "A") == "absent"
    assert edge.lookup(name, "ANY") == "absent"
    assert edge.lookup(name, "TXT") == "fresh"
    assert edge.nzctl("purge", name, "TYPE65400")["purged"] == 0
    edge.nzctl("purge", name, "NOTATYPE", status=(1,))
    with control(edge) as call:
        assert not call({"command": "purge", "subtree": name,
                         "type": "A"})["ok"]


def test_purge_counts_and_leaves_the_rest(origin, edge):
    names = ["b.c.example.org", "www.example.org"]
    edge.nzctl("purge", "--zone", "example.org")
    for name in names:
        ask(edge, name)
    assert edge.nzctl("purge", "--subtree", "c.example.org")["purged"] == 1
    assert edge.nzctl("purge", "--zone", "example.org")["purged"] == 1
    assert edge.nzctl("purge", "--subtree", "org")["purged"] == 0
    edge.wait_log("purged 1 answers of subtree 'c.example.org'")


def dump(edge, *args):
    text = edge.nzctl("dump", *args, plain=True)
    return [line.split(" ") for line in text.splitlines()]


def test_dump(origin, edge):
    edge.nzctl("purge", "--zone", "example.org")
    for name, rdtype in (("www.example.org", "A"), ("www.example.org", "TXT"),
                         ("no.example.org", "A")):
        ask(edge, name, rdtype)
    ask(edge, "www.example.org")
    rows = {(r[0], r[1]): r[2:] for r in dump(edge, "--zone", "example.org")}
    assert set(rows) == {("www.example.org", "A"), ("no.example.org", "A"),
                         ("www.example.org", "TXT")}
    kind, age, left, size, hits, zone = rows["www.example.org", "A"]
    assert (kind, hits, zone) == ("positive", "1", "example.org")
    assert 290 <= int(age) + int(left) <= 300 and 150 < int(size) < 1000
    assert rows["no.example.org", "A"][0] == "nxdomain"
    assert rows["www.example.org", "TXT"][0] == "nodata"
    edge.nzctl("dump", "--zone", "not.here", status=(1,))


def test_dump_in_pages():
    n = 2000
    text = zone_text("* A 192.0.2.1")
    with Origin({"many.test": text}) as o, \
            Edge({"many.test": zone_of(o)}) as e:
        names = {f"h{i}.many.test" for i in range(n)}
        for i in range(0, n, 100):
            assert all(ask_together(e, [make(f"h{i + j}.many.test")
                                        for j in range(100)]))
        assert {row[0] for row in dump(e)} == names
        with control(e) as call:
            first = call({"command": "dump"})
            assert len(first["entries"]) < 600 and first["next"] > 0
            one = first["entries"][0]
            # what an entry costs beyond its messages
            assert 0 < one["bytes"] - one["wire"] <= 160
            assert one["state"] == "fresh"
            assert not call({"command": "dump", "from": -1})["ok"]
            assert not call({"command": "dump", "from": "x"})["ok"]
            end = call({"command": "dump", "from": 1 << 60})
            assert end["entries"] == [] and "next" not in end


def test_purge_of_a_subtree(origin, edge):
    names = ["b.c.example.org", "a.b.c.example.org", "c.example.org"]
    outside = ["www.example.org", "xc.example.org", "example.org"]
    for name in names + outside:
        ask(edge, name)
    edge.nzctl("purge", "--subtree", "b.c.example.org")
    assert asked(origin, edge, *names, *outside) == names[:2]
    edge.nzctl("purge", "--subtree", "example.org")
    assert asked(origin, edge, *names, *outside) == names + outside


def test_purge_of_a_zone(origin, edge):
    names = ["www.example.org", "b.c.example.org", "no.example.org"]
    other = fresh_host()
    for name in names + [other]:
        ask(edge, name)
    edge.nzctl("purge", "--zone", "example.org")
    assert asked(origin, edge, *names, other) == names
    assert asked(origin, edge, *names) == []


def test_purge_shows_the_new_record_at_once():
    text = zone_text("www A 192.0.2.1\n")
    with Origin({"example.net": text}) as o, \
            Edge({"example.net": zone_of(o)}) as e:
        assert ask(e, "new.example.net").rcode() == dns.rcode.NXDOMAIN
        assert ask(e, "www.example.net").answer
        o.change("example.net", zone_text(
            "www A 192.0.2.2\nnew A 192.0.2.3\n", serial=2))
        old = ask(e, "www.example.net").answer[0][0].to_text()
        assert old == "192.0.2.1"
        e.nzctl("purge", "www.example.net")
        assert ask(e, "www.example.net").answer[0][0].to_text() == \
            "192.0.2.2"
        e.nzctl("purge", "--zone", "example.net")
        assert ask(e, "new.example.net").answer


@pytest.mark.parametrize("how", [["late.example.test"],
                                 ["--subtree", "example.test"],
                                 ["--zone", "example.test"]])
def test_purge_holds_against_an_answer_in_flight(how):
    """What the origin said before the purge is not kept after it, and who
    asks after the purge does not get it."""
    release, address = threading.Event(), ["192.0.2.1"]

    def handler(query, _):
        says = address[0]
        if says == "192.0.2.1":
            release.wait(20)
        return answer_to(query, rrset(query.question[0].name, 300, "A", says))

    with FakeOrigin(handler) as fake:
        zone = zone_of({"address": "127.0.0.1", "port": fake.port,
                        "transport": "tcp", "timeout": "20s"})
        with Edge({"example.test": zone}) as e:
            early = []
            client = threading.Thread(target=lambda: early.append(
                ask(e, "late.example.test", seconds=20)))
            client.start()
            wait_for(lambda: len(fake.asked) == 1, "the question")
            address[0] = "192.0.2.2"
            e.nzctl("purge", *how)
            after = ask(e, "late.example.test")  # a question of its own
            assert after.answer[0][0].to_text() == "192.0.2.2"
            release.set()
            client.join(20)
            assert early[0].answer
            for _ in range(3):
                r = ask(e, "late.example.test")
                assert r.answer[0][0].to_text() == "192.0.2.2"
            assert len(fake.asked) == 2


def test_lookup_states(origin, edge):
    name = fresh_host()
    assert edge.lookup(name) == "absent"
    ask(edge, name)
    assert edge.lookup(name) == "fresh"
    assert edge.lookup(name, "AAAA") == "absent"
    nothing = fresh_nothing()
    ask(edge, nothing)
    assert edge.lookup(nothing) == "fresh"
    edge.nzctl("purge", name)
    assert edge.lookup(name) == "absent"
    ask(edge, "b.brief.test")
    edge.wait_state("b.brief.test", "A", "stale")


def test_lookup_of_what_is_asked_for_and_of_failures(origin):
    with Edge({"example.com": zone_of(origin)}) as e:
        name, replies = fresh_host(), []
        origin.pause()
        try:
            client = threading.Thread(target=lambda: replies.extend(
                ask_together(e, [make(name)])))
            client.start()
            e.wait_state(name, "A", "asking")
        finally:
            origin.resume()
        client.join(20)
        assert replies[0].answer
    with Edge({"example.com": {"origins": [
            {"address": "127.0.0.1", "port": origin.rndc_port + 0,
             "transport": "udp", "timeout": "200ms"}]}}) as e:
        assert ask(e, name).rcode() == dns.rcode.SERVFAIL
        assert e.lookup(name) in ("failed", "expired")


def test_lookup_says_so_of_a_foreign_name(edge):
    reply = edge.nzctl("lookup", "www.example.net", "A", status=(1,))
    assert reply["ok"] is False and "example.net" in reply["error"]


def test_exit_codes(edge):
    edge.nzctl("status", status=(0,))
    edge.nzctl("no-such-command", status=(2,), plain=True)
    edge.nzctl("lookup", status=(2,), plain=True)
    edge.nzctl("purge", "--no-such-option", "x", status=(2,), plain=True)
    edge.nzctl("purge", "a..b", status=(1,), plain=True)
    edge.nzctl("purge", "--zone", "not.here", status=(1,), plain=True)
    done = subprocess.run([os.environ["NZCTL"], "--socket",
                           edge.path("no.sock"), "status"],
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == 3 and b"no.sock" in done.stderr


def test_check_needs_no_named(edge, tmp_path):
    edge.nzctl("check", edge.json_path, plain=True)
    bad = tmp_path / "bad.json"
    bad.write_text('{"version": 1,\n "zoness": {}}\n')
    said = edge.nzctl("check", str(bad), status=(1,), plain=True)
    assert "bad.json:2" in said and "zoness" in said and "zones" in said
    missing = str(tmp_path / "none.json")
    edge.nzctl("check", missing, status=(1,), plain=True)


def test_status_says_what_matters(origin, edge):
    ask(edge, fresh_host())
    status = edge.status()
    assert status["config"]["serial"] == 1
    assert status["config"]["state"] == "ok"
    assert status["cache"]["entries"] > 0
    server, = [o for o in status["origins"]
               if str(origin.port) in str(o["address"]) + str(o.get("port"))]
    assert server["up"] is True and server["sent"] > 0
    text = edge.nzctl("status", plain=True)
    assert "127.0.0.1" in text and "hits" in text


def test_watch_shows_events(origin):
    second = Origin({"example.com": RICH}, what="second").start()
    with Edge({"example.com": zone_of(second)}) as e:
        watch = subprocess.Popen(
            [os.environ["NZCTL"], "--socket", e.socket, "--json", "watch"],
            stdout=subprocess.PIPE, text=True)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(watch.stdout))
        try:
            wait_for(lambda: e.status()["control"]["subscribers"] == 1,
                     "the subscription")
            ask(e, fresh_host())
            e.nzctl("reload")
            second.stop()
            ask(e, fresh_host())
            reader.start()
            wait_for(lambda: any("127.0.0.1" in x for x in lines),
                     "an event about the origin")
            wait_for(lambda: any("nearzone.json" in x or "load" in x
                                 for x in lines), "an event about the load")
            assert all(isinstance(json.loads(x), dict) for x in lines)
        finally:
            watch.send_signal(signal.SIGTERM)
            watch.wait(10)
            reader.join(10)
