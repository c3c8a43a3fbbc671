# SPDX-License-Identifier: MPL-2.0
"""The journal: what was known, what was decided, and both again later."""

import json
import os
import subprocess
import time

import pytest

from nzlib import Edge, ask, wait_for, zone_text
from nzlib.base import patience
from nzlib.steer import BACKUP, PRIMARY, Fleet, command

F = Fleet()
WWW = F.host("www.gslb.test", backup=1)
ONE = F.host("one.gslb.test", primary=1, families="A")
KEPT = F.host("kept.gslb.test", primary=2, families="A", persist="1h")
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
A, B, C = WWW.id(PRIMARY, 1), WWW.id(PRIMARY, 2), WWW.id(BACKUP)


def body(e):
    path = e.write("ord.db", zone_text(F.records("ord.test")))
    return (f'zone "ord.test" {{ type primary; file "{path}"; }};\n'
            + e.plugin())


@pytest.fixture(scope="module")
def edge():
    e = Edge({}, body=body)
    e.doc["journal"] = {"size": "1MiB", "decisions": 1}
    F.put(e)
    with e:
        WWW.set(e, "up", "up")
        ONE.set(e, "up")
        KEPT.set(e, "up")
        yield e


def records(edge, kind=None):
    """The journal, line by line."""
    done = subprocess.run(
        [os.environ["NZCTL"], "--json", "--socket", edge.socket, "journal"],
        capture_output=True, text=True, timeout=patience(30), check=False)
    assert done.returncode == 0, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [r for r in lines if kind in (None, r["kind"])]


def wait_record(edge, kind, **want):
    return wait_for(lambda: [r for r in records(edge, kind)
                             if want.items() <= r.items()],
                    f"a record {kind} {want}")


def stamp():
    """A time that is apart from what happened before and happens after:
    the journal's are in milliseconds."""
    time.sleep(0.005)
    now = f"{time.time():.3f}"
    time.sleep(0.005)
    return now


def then(edge, at, host=WWW, rdtype="A", *more, status=(0,)):
    return edge.nzctl("explain", host.name, rdtype, "--at", at, *more,
                      status=status)


def states(reply):
    return {c["server"]: c["state"] for c in reply["explain"]["candidates"]}


def settled(edge, server, state):
    """The time at which the journal knows that a server is so."""
    wait_for(lambda: (
        [r["state"] for r in records(edge, "value")
         if r["server"] == server] or [None])[-1] == state,
             f"{server} {state} in the journal")
    return stamp()


# -- what is kept ------------------------------------------------------------

def test_an_answer_is_kept(edge):
    r = ask(edge, ONE.name)
    assert r.answer[0][0].to_text() == ONE.one(PRIMARY)
    one = wait_record(edge, "decision", name=ONE.name)[-1]
    assert one["servers"] == [ONE.id(PRIMARY)]
    assert one["answer"] == [ONE.one(PRIMARY)]
    assert (one["type"], one["rule"], one["tier"], one["outcome"]) == (
        "A", "up", "primary", "addresses")
    assert one["client"].endswith(".0/24")  # never the whole address
    assert one["ttl_s"] == 30
    status = edge.status()["journal"]
    assert status["decisions"] >= 1 and status["events"] >= 1
    assert 0 < status["bytes"] <= status["limit"] == 1 << 20
    assert status["lost"] == status["errors"] == 0
    mode = os.stat(edge.path("journal.nz")).st_mode
    assert mode & 0o007 == 0


def test_an_epoch_says_which_configuration(edge):
    first = records(edge)[0]
    assert first["kind"] == "epoch" and first["file"] == edge.json_path
    assert first["start"] is True and len(first["hash"]) == 16


def test_states_then(edge):
    up = settled(edge, A, "up")
    assert states(then(edge, up)) == {A: "up", B: "up", C: "up"}
    WWW.set(edge, primary="down")
    down = settled(edge, B, "down")
    ask(edge, WWW.name)
    wait_record(edge, "decision", name=WWW.name, rule="up", tier="backup")
    WWW.set(edge, primary="up")
    again = settled(edge, B, "up")

    x = then(edge, down)
    assert states(x) == {A: "down", B: "down", C: "up"}
    assert x["explain"]["tier"] == "backup"
    assert x["explain"]["answer"] == [WWW.one(BACKUP)]
    assert x["config"]["same"] is True
    assert [WWW.one(BACKUP)] in [a["answer"] for a in x["answered"]]
    assert all(0 <= c["age_s"] < 60 for c in x["explain"]["candidates"])
    for at in (up, again):
        x = then(edge, at)
        assert states(x) == {A: "up", B: "up", C: "up"}
        assert x["explain"]["tier"] == "primary"
        assert [c["share"] for c in x["explain"]["candidates"]] == [
            0.5, 0.5, 0]
    text = edge.nzctl("explain", WWW.name, "A", "--at", down, plain=True)
    assert "the backup servers answer" in text and "answered" in text


def test_a_drain_then(edge):
    before = settled(edge, A, "up")
    assert command(edge, "drain", server=A, reason="new disks")["ok"]
    wait_record(edge, "word", word="drain", server=A, reason="new disks")
    wait_record(edge, "drain", server=A, drained=True)
    while_drained = stamp()
    assert command(edge, "undrain", server=A)["ok"]
    wait_record(edge, "drain", server=A, drained=False)
    assert states(then(edge, before))[A] == "up"
    x = then(edge, while_drained)
    assert states(x)[A] == "out"
    assert x["explain"]["answer"] == [WWW.one(PRIMARY, 2)]
    assert x["said"][-1]["reason"] == "new disks"
    assert states(then(edge, stamp()))[A] == "up"


def test_times(edge):
    settled(edge, A, "up")
    now = int(time.time()) + 1
    for at in (str(now), time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                       time.gmtime(now)), "-0s"):
        assert states(then(edge, at))[A] == "up"
    for at in ("yesterday", "", "-", "-1", "2026-13-01T00:00:00Z",
               "2026-02-29T00:00:00Z", "2026-01-01", "1e9"):
        text = edge.nzctl("explain", WWW.name, "A", f"--at={at}",
                          status=(2,), plain=True)
        assert "want a time" in text
    text = edge.nzctl("explain", WWW.name, "A", "--at", "2020-01-01T00:00:00Z",
                      status=(1,), plain=True)
    assert "does not go back so far" in text


# -- again, under another configuration --------------------------------------

def other(edge, change):
    doc = json.loads(json.dumps(edge.doc))
    change(doc)
    doc["serial"] = 1000
    return edge.write("other.json", json.dumps(doc))


def replay(edge, change, *more):
    return edge.nzctl("replay", "--config", other(edge, change), "--log",
                      edge.path("journal.nz"), *more)


def test_replay_of_the_same(edge):
    for _ in range(20):
        ask(edge, WWW.name)
        ask(edge, KEPT.name)
    wait_record(edge, "decision", name=KEPT.name)
    x = replay(edge, lambda doc: None)
    assert x["decisions"] >= 40
    assert x["changed"] == 0 and x["moves"] == []
    assert x["compared_with_the_answer_given"] == 0
    assert x["impossible"] == x["unexplained"] == 0


def test_replay_of_other_weights(edge):
    def change(doc):
        servers = doc["pops"]["fra"]["servers"]
        servers[A]["weight"] = 30  # 3 to 1
        del doc["hostnames"][ONE.name]

    x = replay(edge, change)
    hosts = {h["name"]: h for h in x["hostnames"]}
    assert hosts[KEPT.name]["changed"] == 0
    assert hosts[ONE.name]["changed"] == hosts[ONE.name]["decisions"]
    www = hosts[WWW.name]
    moves = {(m["from"], m["to"]): m["answers"] for m in x["moves"]}
    assert set(moves) == {(B, A),
                          (ONE.id(PRIMARY), "(no such hostname)")}
    # of those that the primary servers had, a quarter
    on_backup = sum(r["tier"] == "backup" and r["name"] == WWW.name
                    for r in records(edge, "decision"))
    assert moves[B, A] == pytest.approx(
        (www["decisions"] - on_backup) / 4, abs=0.02)
    shares = {s["server"]: s for s in x["servers"]}
    assert shares[A]["after_pct"] > shares[A]["before_pct"]
    assert shares[B]["after_pct"] < shares[B]["before_pct"]
    assert x["pops"][0]["pop"] == "fra"


def test_replay_without_the_configuration_of_then(edge):
    x = replay(edge, lambda doc: None, "--before",
               other(edge, lambda doc: None))
    assert x["compared_with_the_answer_given"] == x["decisions"]


def test_replay_with_latencies(edge):
    def change(doc):
        servers = doc["pops"]["fra"]["servers"]
        doc["pops"]["iad"] = {"servers": {A: servers.pop(A)}}
        del servers[B]
        doc["hostnames"][WWW.name]["servers"] = [A]

    path = edge.write("rtt.txt", "# network pop ms\n"
                      "0.0.0.0/1 fra 10\n0.0.0.0/1 iad 90.5\n::/1 fra 10\n")
    x = replay(edge, change, "--latency", path)
    assert x["latency"]["before_ms"] == 10
    assert 10 < x["latency"]["after_ms"] < 90.5
    bad = edge.write("bad.txt", "0.0.0.0/1 fra 10\nnowhere fra 3\n")
    text = edge.nzctl("replay", "--config", edge.json_path, "--latency", bad,
                      status=(3,), plain=True)
    assert "bad.txt:2:" in text


# -- over restarts -----------------------------------------------------------

def test_another_configuration_is_told(edge):
    old = settled(edge, A, "up")
    edge.doc["serial"] = 77
    edge.write_json()
    edge.nzctl("reload")
    wait_record(edge, "epoch", serial=77, start=False)
    x = then(edge, old)
    assert x["config"]["same"] is False and x["config"]["then_serial"] == 1
    assert states(x)[A] == "up"
    assert states(then(edge, stamp()))[A] == "up"  # what is known stays


def test_a_refused_configuration_is_told(edge):
    edge.write_json("{")
    edge.nzctl("reload", status=(1,))
    edge.write_json()
    edge.nzctl("reload")
    wait_record(edge, "word", word="refused")


def test_kill_and_start_again(edge):
    up = settled(edge, A, "up")
    n = len(records(edge))
    edge.kill()
    with open(edge.path("journal.nz"), "ab") as f:
        f.write(b"\x40\0\0\0torn")  # what a crash may leave
    text = edge.nzctl("journal", plain=True)
    assert "8 octets at the end" in text and len(text.splitlines()) >= n
    assert states(then(edge, up))[A] == "up"  # nobody runs
    edge.start_again()
    wait_for(lambda: sum(r["start"] for r in records(edge, "epoch")) == 2,
             "the second start")
    assert states(then(edge, up))[A] == "up"
    assert states(then(edge, stamp()))[A] == "new"
    assert "octets at the end" not in edge.nzctl("journal", plain=True)


def test_a_stranger_is_put_aside(edge):
    edge.stop()
    os.remove(edge.path("journal.nz"))
    with open(edge.path("journal.nz"), "wb") as f:
        f.write(b"x" * 100)
    text = edge.nzctl("journal", status=(3,), plain=True)
    assert "is not a journal" in text
    edge.start_again()
    edge.wait_log("journal: .* was damaged or of another version")
    os.remove(edge.path("journal.nz.1"))
    wait_record(edge, "epoch", start=True)


def test_it_is_bounded(edge):
    """Two files, half of the size each."""
    WWW.set(edge, "up", "up")
    older = edge.path("journal.nz.1")

    def turned():
        for i in range(30):  # each a change of state, and of three metrics
            WWW.set(edge, primary="down" if i % 2 else "up")
            for _ in range(40):
                ask(edge, WWW.name)
        return os.path.exists(older)
    wait_for(turned, "another file", 60)
    for path in (older, edge.path("journal.nz")):
        assert os.path.getsize(path) <= 1 << 19
    kinds = [r["kind"] for r in records(edge)]
    assert kinds.count("epoch") >= 2  # each file begins with one
    WWW.set(edge, primary="up")
    at = settled(edge, A, "up")
    assert states(then(edge, at))[A] == "up"


def test_without(edge):
    edge.doc["journal"] = {"size": "0B"}
    edge.write_json()
    edge.nzctl("reload")
    wait_for(lambda: edge.status()["journal"]["limit"] == 0, "no journal")
    n = len(records(edge))
    ask(edge, WWW.name)
    WWW.set(edge, primary="down")
    assert edge.status()["journal"]["bytes"] == 0
    assert len(records(edge)) == n


# -- what goes wrong ---------------------------------------------------------

def test_a_file_that_cannot_be_opened(edge):
    path = edge.path("journal.nz")
    edge.stop()
    os.remove(path)
    os.mkdir(path)
    edge.doc["journal"] = {"size": "1MiB", "decisions": 1}
    edge.write_json()
    edge.start_again()
    mark = edge.wait_log("journal: cannot write in .*; nothing is kept")
    assert mark and edge.status()["journal"]["errors"] >= 1
    assert ask(edge, ONE.name).answer  # nobody else is harmed
    os.rmdir(path)
    edge.nzctl("reload")
    ask(edge, ONE.name)
    wait_record(edge, "epoch", start=True)
    wait_for(lambda: ask(edge, ONE.name) and records(edge, "decision"),
             "answers in the journal")


def test_a_size_that_is_too_small(edge):
    edge.doc["pops"]["big"] = {"servers": {
        f"a-server-with-a-long-name-{i}": {
            "addresses": [f"10.{200 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"],
            "services": ["web"]} for i in range(1, 15000)}}
    edge.write_json()
    edge.nzctl("--timeout", "60", "reload")
    edge.wait_log("journal: 'size' is too small")
    errors = edge.status()["journal"]["errors"]
    assert ask(edge, ONE.name).answer
    assert os.path.getsize(edge.path("journal.nz")) <= 1 << 19
    edge.doc["journal"]["size"] = "64MiB"
    edge.doc["serial"] = 99
    edge.write_json()
    edge.nzctl("--timeout", "60", "reload")
    wait_record(edge, "epoch", serial=99)
    status = edge.status()["journal"]
    assert status["errors"] == errors and status["limit"] == 64 << 20
