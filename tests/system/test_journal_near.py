# SPDX-License-Identifier: MPL-2.0
"""The journal: how far clients were when they were answered."""

import json
import os
import subprocess
import time

import dns.edns
import pytest

from nzlib import Edge, ask, wait_for, zone_text
from nzlib.base import patience
from nzlib.steer import command, feed

NEAR, ANY = "near.gslb.test", "any.gslb.test"
A, B = "192.0.2.1", "192.0.2.2"


def body(e):
    path = e.write("ord.db", zone_text("www A 198.51.100.1\n"))
    return (f'zone "ord.test" {{ type primary; file "{path}"; }};\n'
            + e.plugin())


@pytest.fixture
def edge():
    e = Edge({}, body=body)
    e.doc.update({
        "journal": {"size": "4MiB", "decisions": 1},
        "pops": {
            "fra": {"servers": {"a": {"addresses": [A]}}},
            "iad": {"servers": {"b": {"addresses": [B]}}},
            "sin": {"servers": {"c": {"addresses": ["192.0.2.3"],
                                      "weight": 0}}}},
        "hostnames": {
            NEAR: {"servers": ["a", "b"], "explore": 0},
            ANY: {"servers": ["a"], "explore": 0, "weigh": {"latency": 0}}},
        "domains": {"gslb.test": {"ns": ["ns1.other.test"]}}})
    e.write_json()
    with e:
        yield e


def put(edge, *rows, age=0):
    """Rows of latencies: prefix, POP, ms."""
    r = feed(edge, [["latency", prefix, pop, time.time() - age, ms]
                    for prefix, pop, ms in rows])
    assert r["accepted"] == len(rows), r


def records(edge, *kinds):
    done = subprocess.run(
        [os.environ["NZCTL"], "--json", "--socket", edge.socket, "journal"],
        capture_output=True, text=True, timeout=patience(30), check=False)
    assert done.returncode == 0, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [r for r in lines if r["kind"] in kinds]


def reload(edge, serial):
    """Another configuration, which the journal has begun with."""
    edge.doc["serial"] = serial
    edge.write_json()
    edge.nzctl("reload")
    wait_for(lambda: [r["serial"] for r in records(edge, "epoch")][-1:]
             == [serial], "an epoch")


def answer(edge, prefix, name=NEAR):
    """Asks; the answer, and what the journal has of it: its row if one was
    written, and the decision."""
    before = len(records(edge, "near", "decision"))
    address, bits = prefix.split("/")
    r = ask(edge, name, options=[dns.edns.ECSOption(address, int(bits))])
    got = wait_for(
        lambda: [x for x in [records(edge, "near", "decision")[before:]]
                 if x and x[-1]["kind"] == "decision"], "it in the journal")[0]
    assert got[-1]["answer"] == [r.answer[0][0].to_text()]
    return r.answer[0][0].to_text(), got[:-1], got[-1]


def stamp():
    """A time that is apart from what was before, and comes after: that the
    journal has of rows is right to the time between two of its looks."""
    wait = patience(0.6)
    time.sleep(wait)
    now = f"{time.time():.3f}"
    time.sleep(wait)
    return now


def then(edge, at, client, *more, name=NEAR):
    x = edge.nzctl("explain", name, "A", "--client", client, "--at", at, *more)
    return {c["server"]: c for c in x["explain"]["candidates"]}, x


def test_rows_of_then(edge):
    at0 = stamp()
    put(edge, ("10.1.2.0/24", "fra", 20), ("10.1.2.0/24", "iad", 90), age=600)
    got, rows, decision = answer(edge, "10.1.2.0/24")
    assert got == A and decision["client"] == "10.1.2.0/24"
    assert [(r["group"], r["anew"], r["latency_ms"]) for r in rows] == [
        ("10.1.2.0/24", True, {"fra": 20.0, "iad": 90.0})]
    assert all(560 <= s <= 680 for s in rows[0]["age_s"].values())
    at1 = stamp()

    # the same again is not written again
    got, rows, _ = answer(edge, "10.1.2.0/24")
    assert got == A and rows == []
    # then only what is another
    put(edge, ("10.1.2.0/24", "fra", 120.4))
    got, rows, _ = answer(edge, "10.1.2.0/24")
    assert got == B
    assert [(r["anew"], r["latency_ms"]) for r in rows] == [
        (False, {"fra": 120.4})]
    at2 = stamp()
    put(edge, ("10.1.2.0/24", "iad", None), ("10.1.2.0/24", "sin", 5))
    got, rows, _ = answer(edge, "10.1.2.0/24")
    assert got == A
    assert [r["latency_ms"] for r in rows] == [{"iad": "far", "sin": 5.0}]
    at3 = stamp()

    # what was known at the time, not what is now; and as it was decided
    c, x = then(edge, at1, "10.1.2.3")
    assert (c["a"]["latency_ms"], c["b"]["latency_ms"]) == (
        pytest.approx(20), pytest.approx(90))
    assert {one["latency"] for one in c.values()} == {"measured"}
    assert (c["a"]["verdict"], c["b"]["verdict"]) == ("chosen", "too costly")
    assert x["explain"]["answer"] == [A] and x["explain"]["rule"] == "up"
    assert x["answered"][0]["answer"] == [A]
    assert 520 <= c["a"]["latency_age_s"] <= 740
    c, x = then(edge, at2, "10.1.2.3")
    assert c["a"]["latency_ms"] == pytest.approx(120.4)
    assert c["b"]["latency_ms"] == pytest.approx(90)
    assert x["explain"]["answer"] == [B]
    assert c["a"]["latency_age_s"] <= 100 and c["b"]["latency_age_s"] >= 500
    c, x = then(edge, at3, "10.1.2.3")
    assert c["b"]["latency_ms"] > 6000 and x["explain"]["answer"] == [A]
    # before, nothing was; of others, nothing is
    for at, client in ((at0, "10.1.2.3"), (at3, "10.1.9.3")):
        c, _ = then(edge, at, client)
        assert "latency_ms" not in c["a"] and "latency_ms" not in c["b"]
    # the same as the plugin says now
    now = command(edge, "explain", name=NEAR, type="A",
                  client="10.1.2.0/24")["explain"]
    c, x = then(edge, at3, "10.1.2.0/24")
    for one in now["candidates"]:
        was = c[one["server"]]
        assert one["latency_ms"] == pytest.approx(was["latency_ms"])
        assert one["verdict"] == was["verdict"]
        assert one["latency_age_s"] == pytest.approx(
            was["latency_age_s"], abs=140)
    text = edge.nzctl("explain", NEAR, "A", "--client", "10.1.2.3",
                      "--at", at2, plain=True)
    assert "120.4" in text and "measured" in text


def test_groups(edge):
    put(edge, ("10.0.0.0/8", "fra", 80), ("10.0.0.0/8", "iad", 8),
        ("10.2.0.0/16", "fra", 16), ("10.2.0.0/16", "iad", 160),
        ("10.2.3.64/28", "fra", 280), ("10.2.3.64/28", "iad", 28),
        ("2001:db8:7::/48", "fra", 4), ("2001:db8:7::/48", "iad", 48))
    assert answer(edge, "10.2.9.0/24")[0] == A
    got, rows, decision = answer(edge, "10.2.3.66/32")
    assert got == B and decision["client"] == "10.2.3.0/24"
    # a group that is longer than what is told of a client is its row
    assert [(r["group"], r["latency_ms"]["iad"]) for r in rows] == [
        ("10.2.3.0/24", 28.0)]
    assert answer(edge, "10.9.9.0/24")[1][0]["group"] == "10.0.0.0/8"
    got, rows, _ = answer(edge, "2001:db8:7:100::/56")
    assert got == A and rows[0]["group"] == "2001:db8:7::/48"
    at = stamp()
    # its neighbour in the same network is in the /16
    got, rows, _ = answer(edge, "10.2.3.1/32")
    assert got == A and rows == []  # as is known of that
    after = stamp()
    for client, want in (("10.2.9.1", A), ("10.2.3.66", B), ("10.9.9.1", B),
                         ("2001:db8:7:1::1", A)):
        assert then(edge, at, client)[1]["explain"]["answer"] == [want]
    assert then(edge, after, "10.2.3.1")[1]["explain"]["answer"] == [A]
    # of a hostname that does not weigh them, for what may be asked later
    put(edge, ("10.5.0.0/16", "sin", 7))
    _, rows, _ = answer(edge, "10.5.5.0/24", ANY)
    assert rows[0]["latency_ms"] == {"sin": 7.0}
    assert "latency_ms" not in then(edge, stamp(), "10.5.5.5",
                                    name=ANY)[0]["a"]


def replay(edge, change, *more):
    doc = json.loads(json.dumps(edge.doc))
    change(doc)
    doc["serial"] = 1000
    path = edge.write("other.json", json.dumps(doc))
    return edge.nzctl("replay", "--config", path, "--log",
                      edge.path("journal.nz"), *more)


def test_replay(edge):
    put(edge, ("10.1.2.0/24", "fra", 20), ("10.1.2.0/24", "iad", 90),
        ("10.1.3.0/24", "fra", 90), ("10.1.3.0/24", "iad", 30))
    for _ in range(3):
        assert answer(edge, "10.1.2.0/24")[0] == A
        assert answer(edge, "10.1.3.0/24")[0] == B
    x = replay(edge, lambda doc: None)
    assert (x["decisions"], x["changed"], x["impossible"], x["unexplained"],
            x["compared_with_the_answer_given"]) == (6, 0, 0, 0, 0)
    assert x["latency"] == {"decisions": 6, "before_ms": 25, "after_ms": 25}

    # what is near is not asked for any more: half of each
    def blind(doc):
        doc["hostnames"][NEAR]["weigh"] = {"latency": 0}
    x = replay(edge, blind)
    assert x["changed"] == 3 and x["impossible"] == 0
    assert x["latency"] == {"decisions": 6, "before_ms": 25,
                            "after_ms": 57.5}

    # the values are of then: they are others now, and nothing is changed
    put(edge, ("10.1.2.0/24", "fra", 200), ("10.1.3.0/24", "iad", 200))
    assert answer(edge, "10.1.2.0/24")[0] == B
    assert answer(edge, "10.1.3.0/24")[0] == A
    x = replay(edge, lambda doc: None)
    assert (x["decisions"], x["changed"], x["unexplained"]) == (8, 0, 0)
    # compared with the answers, by POP
    edge.write("before.json", json.dumps(dict(edge.doc, serial=5)))
    x = replay(edge, lambda doc: None, "--before", edge.path("before.json"))
    assert x["compared_with_the_answer_given"] == 8 and x["changed"] == 0
    assert x["latency"]["before_ms"] == pytest.approx(
        (3 * 20 + 3 * 30 + 90 + 90) / 8)
    # a file stands over what was measured
    path = edge.write("rtt.txt", "10.0.0.0/8 fra 10\n10.0.0.0/8 iad 10\n")
    assert replay(edge, blind, "--latency", path)["latency"] == {
        "decisions": 8, "before_ms": 10, "after_ms": 10}


def test_over_reloads_and_restarts(edge):
    put(edge, ("10.1.2.0/24", "fra", 20), ("10.1.2.0/24", "iad", 90))
    assert answer(edge, "10.1.2.0/24")[0] == A
    # POPs have other numbers then
    edge.doc["pops"]["ams"] = {"servers": {"n": {"addresses": ["192.0.2.9"]}}}
    reload(edge, 7)
    assert then(edge, stamp(), "10.1.2.3")[1]["explain"]["answer"] == [A]
    rows = answer(edge, "10.1.2.0/24")[1]
    assert rows[0]["latency_ms"] == {"fra": 20.0, "iad": 90.0}
    edge.stop()
    edge.start_again()
    got, rows, _ = answer(edge, "10.1.2.0/24")
    assert got == A and rows[0]["latency_ms"] == {"fra": 20.0, "iad": 90.0}
    x = replay(edge, lambda doc: None)
    assert x["decisions"] == 3 and x["changed"] == 0


def test_nothing_without_answers(edge):
    edge.doc["journal"]["decisions"] = 0
    reload(edge, 9)
    put(edge, ("10.1.2.0/24", "fra", 20), ("10.1.2.0/24", "iad", 90))
    for _ in range(20):
        ask(edge, NEAR, options=[dns.edns.ECSOption("10.1.2.0", 24)])
    stamp()
    assert records(edge, "near", "decision") == []


def test_replay_of_what_random_bits_decide(edge):
    """A load beyond the tolerance: an answer with luck, and a mean of it."""
    edge.doc["hostnames"][NEAR]["weigh"] = {"latency": 0, "load": 1}
    reload(edge, 9)
    r = feed(edge, [["load", "a", time.time(), 40],
                    ["load", "b", time.time(), 54]])
    assert r["accepted"] == 2
    wait_for(lambda: len(records(edge, "measure")) == 2, "the loads")
    for _ in range(60):
        ask(edge, NEAR)
    wait_for(lambda: len(records(edge, "decision")) == 60, "all in it")
    got = [r["answer"] for r in records(edge, "decision")]
    assert [A] in got and [B] in got
    x = replay(edge, lambda doc: None)
    assert (x["decisions"], x["changed"], x["impossible"],
            x["unexplained"]) == (60, 0, 0, 0)
    share, = [s for s in x["servers"] if s["server"] == "b"]
    assert share["after_pct"] == pytest.approx(25, abs=5)
    assert share["before_pct"] == share["after_pct"]
