# SPDX-License-Identifier: MPL-2.0
"""The feed of a side-car: what is refused never changes a decision."""

import contextlib
import json
import socket
import time

import dns.rcode
import pytest

from nzlib import Edge, ask, wait_for
from nzlib.base import patience
from nzlib.steer import (BACKUP, HIDDEN, PRIMARY, Fleet, command, every_way,
                         explain, feed, tiers)

F = Fleet()
WWW = F.host("www.gslb.test", primary=1, backup=1, hidden=1)
OTHER = F.host("other.gslb.test", primary=1, backup=1)
FRESH = F.host("fresh.gslb.test", primary=1, backup=1)
MANY = F.host("many.gslb.test", primary=200, backup=1)
LOADED = F.host("loaded.gslb.test", primary=2, weigh={"load": 1.0})
F.services["tcp"] = {"probe": "tcp", "port": 80}
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
FATES = ("unknown", "future", "old", "value", "malformed")
LINE_MAX = 65536


@pytest.fixture(scope="module")
def edge():
    e = Edge({})
    F.put(e)
    with e:
        yield e


@pytest.fixture(autouse=True)
def up(edge):
    """Before and after every test: all are up, and answer."""
    WWW.set(edge, "up", "up", "up")
    yield
    for r in every_way(edge, WWW.name, ways=[{}, {"tcp": True}]):
        assert tiers(r) == {PRIMARY}
    edge.nzctl("status")


def totals(edge):
    return edge.status()["traffic"]["feed"]


def row(**change):
    """A good row that says that the primary is down, changed."""
    fields = dict(server=WWW.id(PRIMARY), address=WWW.one(PRIMARY),
                  service="web", when=time.time(), state="down",
                  metric=65535, error=2)
    fields.update(change)
    return list(fields.values())


BAD = [
    ("unknown", {"server": "nobody"}), ("unknown", {"server": ""}),
    ("unknown", {"server": WWW.id(PRIMARY).upper()}),
    ("unknown", {"address": "10.1.1.9"}),
    ("unknown", {"address": WWW.one(BACKUP)}),
    ("unknown", {"address": OTHER.one(PRIMARY)}),
    ("unknown", {"address": "::ffff:10.1.1.1"}),
    ("unknown", {"service": "nothing"}), ("unknown", {"service": "tcp"}),
    ("unknown", {"service": "web\u00e9"}),
    ("future", {"ahead": 3}), ("future", {"ahead": 1e6}),
    ("future", {"when": 1e18}),
    ("old", {"ahead": -50}), ("old", {"when": 0}), ("old", {"when": -1}),
    ("old", {"when": -1e18}),
    ("value", {"when": 1e308}), ("value", {"when": "1732500000"}),
    ("value", {"when": None}), ("value", {"when": []}),
    ("value", {"metric": -1}), ("value", {"metric": 1 << 24}),
    ("value", {"metric": 1e300}), ("value", {"metric": "12"}),
    ("value", {"metric": None}), ("value", {"metric": True}),
    ("value", {"metric": {}}), ("value", {"error": -1}),
    ("value", {"error": 65536}), ("value", {"error": 1 << 62}),
    ("malformed", {"error": "none"}), ("malformed", {"error": None}),
    ("malformed", {"error": 1.5}), ("malformed", {"state": "UP"}),
    ("malformed", {"state": "stale"}), ("malformed", {"state": ""}),
    ("malformed", {"state": None}), ("malformed", {"state": 1}),
    ("malformed", {"server": None}), ("malformed", {"server": 7}),
    ("malformed", {"address": "nowhere"}), ("malformed", {"address": None}),
    ("malformed", {"address": "10.1.1.1:80"}),
    ("malformed", {"address": "10.1.1.1/32"}),
    ("malformed", {"service": None}), ("malformed", {"one": "more"}),
]


@pytest.mark.parametrize("why,change", BAD, ids=lambda x: str(x)[:40])
def test_rows_that_are_refused(edge, why, change):
    change = dict(change)
    if "ahead" in change:
        change["when"] = time.time() + change.pop("ahead")
    before, state = totals(edge), explain(edge, WWW)
    reply = feed(edge, [row(**change)])
    assert reply["accepted"] == 0 and reply["why"] == {why: 1}
    after = totals(edge)
    assert {k: after[k] - before[k] for k in (*FATES, "accepted")} == {
        **dict.fromkeys(FATES, 0), why: 1, "accepted": 0}
    assert after["rows"] == before["rows"] + 1
    assert after["batches"] == before["batches"] + 1
    now = explain(edge, WWW)
    for key in ("rule", "tier", "answer", "outcome"):
        assert now[key] == state[key]


@pytest.mark.parametrize("bad", [
    7, None, "x", True, {}, [], [[]], [1, 2, 3], row()[:6], row() + [0]],
    ids=range(10))
def test_what_is_no_row(edge, bad):
    reply = feed(edge, [bad])
    assert reply["why"] == {"malformed": 1}


@pytest.mark.parametrize("rows", [None, 7, "x", {}, True])
def test_what_are_no_rows(edge, rows):
    assert command(edge, "metrics", node="t1", rows=rows)["ok"] is False


def test_no_rows_at_all(edge):
    assert command(edge, "metrics", node="t1")["ok"] is False
    reply = command(edge, "metrics", node="t1", rows=[])
    assert reply["ok"] and reply["accepted"] == reply["refused"] == 0
    for node in (None, 7, {}, "n" * 5000):
        assert command(edge, "metrics", node=node, rows=[])["ok"]
        assert len(totals(edge).get("node", "")) <= 5000
    assert command(edge, "metrics", node="fra1", rows=[])["ok"]
    assert totals(edge)["node"] == "fra1" and totals(edge)["last_s"] < 5


def test_good_among_bad(edge):
    """Each row for itself."""
    rows = [row(server="nobody"), 7, row(when=0), OTHER.rows(
        BACKUP, "down")[0], row(metric=-1)]
    reply = feed(edge, rows)
    assert reply["accepted"] == 1
    assert reply["why"] == {"unknown": 1, "malformed": 1, "old": 1,
                            "value": 1}
    line = next(x for x in command(edge, "probes", server=OTHER.id(BACKUP))[
        "probes"] if x["address"] == OTHER.one(BACKUP))
    assert line["state"] == "down" and line["error"] == "connection refused"


def test_a_clock_a_little_ahead(edge):
    """Clocks may differ by two seconds; that is taken as now."""
    rows = FRESH.rows(PRIMARY, "down", age_s=-1.5)
    assert feed(edge, rows)["accepted"] == 2
    assert all(x["age_s"] < 1 for x in command(
        edge, "probes", server=FRESH.id(PRIMARY))["probes"])
    FRESH.set(edge, "up")  # and is no obstacle to what comes next
    assert tiers(ask(edge, FRESH.name)) == {PRIMARY}


def test_out_of_order(edge):
    """The newest measurement holds, whatever comes when."""
    late = OTHER.rows(PRIMARY, "down", age_s=5)
    later = OTHER.rows(PRIMARY, "down", age_s=9)
    OTHER.set(edge, "up", "up")
    for rows in (late, later, later, late):
        assert feed(edge, rows)["why"] == {"old": 2}
        assert tiers(ask(edge, OTHER.name)) == {PRIMARY}
    now = time.time()
    newest = OTHER.rows(PRIMARY, "up")[0]
    newest[3] = now + 1.0
    wait_for(lambda: feed(edge, [newest])["accepted"], "a new millisecond")
    again = feed(edge, [newest, newest])
    assert again["accepted"] + again["why"]["old"] == 2


def test_values_old_on_arrival(edge):
    """Measured long ago: known, but not believed."""
    rows = MANY.rows(BACKUP, "up", age_s=300)
    assert feed(edge, rows)["accepted"] == len(rows)
    probe = command(edge, "probes", server=MANY.id(BACKUP))["probes"]
    assert {p["state"] for p in probe} == {"stale"}
    assert all(299 < p["age_s"] < 400 for p in probe)


def test_the_metric_is_the_load(edge):
    now = LOADED.rows(PRIMARY, "up", metric=100)
    now[2][5] = now[3][5] = 500  # the second server's
    assert feed(edge, now)["accepted"] == 4
    for r in every_way(edge, LOADED.name):
        assert r.answer[0][0].to_text() == LOADED.one(PRIMARY)
    lines = explain(edge, LOADED)["candidates"]
    assert [x["metric"] for x in lines] == [100, 500]
    assert [x["verdict"] for x in lines] == ["chosen", "too costly"]


# -- lines -------------------------------------------------------------------

@contextlib.contextmanager
def connection(edge):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(patience(10))
        s.connect(edge.socket)
        yield s


def line_of(rows, n=None):
    """A line, filled up with blanks to 'n' octets."""
    text = json.dumps({"command": "metrics", "node": "t1", "rows": rows})
    return text.encode() + b" " * ((n or len(text)) - len(text))


def down():
    """Good rows, if only they came whole."""
    return WWW.rows(PRIMARY, "down")


def test_half_a_line_and_gone(edge):
    whole = line_of(down()) + b"\n"
    before = totals(edge)
    for cut in (1, 30, len(whole) // 2, len(whole) - 1):
        with connection(edge) as s:
            s.sendall(whole[:cut])
    wait_for(lambda: edge.nzctl("status"), "the plugin")
    assert totals(edge)["batches"] == before["batches"]


def test_a_line_of_the_greatest_length(edge):
    with connection(edge) as s, s.makefile("rb") as f:
        s.sendall(line_of(OTHER.rows(BACKUP, "up"), LINE_MAX) + b"\n")
        assert json.loads(f.readline())["ok"]
    with connection(edge) as s, s.makefile("rb") as f:
        with contextlib.suppress(ConnectionError):
            s.sendall(line_of(down(), LINE_MAX + 1) + b"\n")
        with contextlib.suppress(ConnectionError):
            assert json.loads(f.readline())["ok"] is False
            assert f.readline() == b""


@pytest.mark.parametrize("text", [
    b"\n", b"garbage\n", b"{}\n", b"[]\n", b'{"command":"metrics"}\n',
    b"\xff\xfe\n", b'{"command":"metrics","rows":[[NaN]]}\n',
    b'{"command":"metrics","rows":[[Infinity,-Infinity]]}\n',
    b'{"command":"metrics","rows":' + b"[" * 40 + b"]" * 40 + b"}\n",
    b'{"command":"metrics","rows":[' + b'"",' * 9000 + b'""]}\n'])
def test_garbage_between(edge, text):
    """The connection lives, and what follows is taken."""
    with connection(edge) as s, s.makefile("rb") as f:
        for _ in range(2):
            s.sendall(text)
            json.loads(f.readline())
            rows = OTHER.rows(BACKUP, "up")
            s.sendall(line_of(rows) + b"\n")
            reply = json.loads(f.readline())
            assert reply["accepted"] + reply.get("why", {}).get(
                "old", 0) == len(rows)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999",
                                  "-1e999", "0x10"])
def test_numbers_that_are_none(edge, text):
    for field in (3, 5):
        bad = row()
        bad[field] = "@"
        with connection(edge) as s, s.makefile("rb") as f:
            s.sendall(line_of([bad]).replace(b'"@"', text.encode()) + b"\n")
            reply = json.loads(f.readline())
        assert not reply["ok"] or reply["accepted"] == 0


def test_ten_thousand_rows(edge):
    """In batches, on one connection, without waiting for replies."""
    before = totals(edge)
    batches = [MANY.rows(PRIMARY, "up" if i % 2 else "down")[:200]
               for i in range(50)]
    with connection(edge) as s, s.makefile("rb") as f:
        s.sendall(b"".join(line_of(rows) + b"\n" for rows in batches[:25]))
        replies = [json.loads(f.readline()) for _ in range(25)]
        for rows in batches[25:]:
            s.sendall(line_of(rows) + b"\n")
            replies.append(json.loads(f.readline()))
            assert ask(edge, WWW.name).answer
    assert all(r["ok"] and set(r.get("why", {})) <= {"old"} for r in replies)
    after = totals(edge)
    assert after["rows"] - before["rows"] == 10000
    assert after["batches"] - before["batches"] == 50
    taken = sum(r["accepted"] for r in replies)
    assert after["accepted"] - before["accepted"] == taken > 0
    MANY.set(edge, "up")
    r = ask(edge, MANY.name)
    assert tiers(r) == {PRIMARY}


def test_two_side_cars_at_once(edge):
    with connection(edge) as one, connection(edge) as two:
        f, g = one.makefile("rb"), two.makefile("rb")
        for i in range(20):
            one.sendall(line_of(OTHER.rows(PRIMARY, "up")) + b"\n")
            two.sendall(line_of(OTHER.rows(BACKUP, "up")) + b"\n")
            assert json.loads(f.readline())["ok"]
            assert json.loads(g.readline())["ok"]
        f.close()
        g.close()


def test_a_change_of_state_is_told(edge):
    with connection(edge) as s, s.makefile("rb") as f:
        s.sendall(b'{"command":"watch"}\n')
        assert json.loads(f.readline())["ok"]
        OTHER.set(edge, "down")
        OTHER.set(edge, "up")
        events = []
        while len(events) < 4:
            said = json.loads(f.readline())
            if said["event"] == "server-state":
                events.append(said)
    assert [e["state"] for e in events] == ["down", "down", "up", "up"]
    assert {e["server"] for e in events} == {OTHER.id(PRIMARY)}
    assert {e["address"] for e in events} == {
        OTHER.one(PRIMARY), OTHER.one(PRIMARY, 1, "AAAA")}
    assert events[0]["error"] == "connection refused"
    assert "error" not in events[3] and events[0]["service"] == "web"
    # The log has one line a while of the many that there may be.
    edge.wait_log(r"server '\S+' \S+ service 'web' is (up|down: \S+)")


def test_hidden_stays_hidden_under_all_this(edge):
    assert tiers(ask(edge, WWW.name)) == {PRIMARY}
    assert ask(edge, WWW.name).rcode() == dns.rcode.NOERROR
    names = {x["name"]: x["counts"] for x in
             edge.status()["traffic"]["names"]}
    assert names[WWW.name]["hidden"] == 0
    assert HIDDEN not in tiers(ask(edge, WWW.name, "ANY", tcp=True))
