# SPDX-License-Identifier: MPL-2.0
"""What operators see and do: servers, probes, explain, drain."""

import json
import socket
import time

import pytest

from nzlib import Edge, ask, wait_for, zone_text
from nzlib.base import patience
from nzlib.steer import (BACKUP, HIDDEN, PRIMARY, Fleet, command, counts,
                         explain, tiers)

F = Fleet()
WWW = F.host("www.gslb.test", backup=1, hidden=1)
IDLE = F.host("idle.gslb.test", primary=1, backup=1, families="A")
OWN = F.host("www.ord.test", fail="servfail", families="A")
FREE = F.host("free.gslb.test", primary=1, families="A")
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
del F.hostnames[FREE.name]["service"]  # nobody tests it
A, B = WWW.id(PRIMARY, 1), WWW.id(PRIMARY, 2)


def body(e):
    path = e.write("ord.db", zone_text(F.records("ord.test")))
    return (f'zone "ord.test" {{ type primary; file "{path}"; }};\n'
            + e.plugin())


@pytest.fixture(scope="module")
def edge():
    e = Edge({}, body=body)
    F.put(e)
    with e:
        WWW.set(e, "up", "up", "up")
        OWN.set(e, "down")
        yield e


def good(edge, what, **more):
    r = command(edge, what, **more)
    assert r.pop("ok") is True, r
    return r


def server(edge, name):
    one, = good(edge, "servers", server=name)["servers"]
    return one


# -- what is shown -----------------------------------------------------------

def test_servers(edge):
    all_of_them = good(edge, "servers")["servers"]
    assert [s["server"] for s in all_of_them] == list(F.servers)
    for s in all_of_them:
        assert set(s) == {"server", "pop", "weight", "state", "given",
                          "tests"}
        assert s["pop"] == "fra" and s["weight"] == 10
        assert s["given"] >= 0
    one = server(edge, A)
    assert one["state"] == "up"
    for t, rdtype in zip(one["tests"], ("A", "AAAA")):
        assert t["address"] == WWW.one(PRIMARY, 1, rdtype)
        assert (t["service"], t["state"], t["metric"]) == ("web", "up", 11)
        assert 0 <= t["age_s"] < 60 and "error" not in t
    idle = server(edge, IDLE.id(PRIMARY))
    assert idle["state"] == "unknown"
    assert [set(t) for t in idle["tests"]] == [{"address", "service",
                                                "state"}]
    down = server(edge, OWN.id(PRIMARY))
    assert down["state"] == "down"
    assert down["tests"][0]["error"] == "connection refused"
    free = server(edge, FREE.id(PRIMARY))
    assert free["state"] == "up" and free["tests"] == []
    assert command(edge, "servers", server="nobody")["ok"] is False


def test_a_server_with_mixed_tests(edge):
    rows = WWW.rows(BACKUP, "down")[:1]
    wait_for(lambda: good(edge, "metrics", node="t", rows=rows)["accepted"],
             "the row")
    assert server(edge, WWW.id(BACKUP))["state"] == "mixed"
    WWW.set(edge, backup="up")
    assert server(edge, WWW.id(BACKUP))["state"] == "up"


def test_given_counts_addresses(edge):
    before = {x: server(edge, x)["given"] for x in (A, B)}
    for _ in range(10):
        ask(edge, WWW.name)
        ask(edge, WWW.name, "AAAA")
    after = {x: server(edge, x)["given"] for x in (A, B)}
    assert sum(after.values()) - sum(before.values()) == 20
    assert {p["pop"] for p in edge.status()["traffic"]["pops"]} == {"fra"}


def test_probes(edge):
    r = good(edge, "probes")
    assert r["feed"] == edge.status()["traffic"]["feed"] or r["feed"]
    assert len(r["probes"]) == sum(
        len(s["addresses"]) for i, s in F.servers.items()
        if i != FREE.id(PRIMARY))
    for p in r["probes"]:
        always = {"server", "pop", "address", "service", "probe", "state",
                  "rows"}
        known = {"node", "metric", "age_s", "since_s"}
        assert always <= set(p) <= always | known | {"error"}
        assert p["probe"] == "http" and p["pop"] == "fra"
        assert p["state"] in ("up", "down", "unknown", "stale")
        if p["state"] == "unknown":
            assert not set(p) & known and p["rows"] == 0
    one, other = good(edge, "probes", server=A)["probes"]
    assert one["since_s"] >= one["age_s"] >= 0 and one["rows"] >= 1
    assert other["address"] == WWW.one(PRIMARY, 1, "AAAA")
    assert len(good(edge, "probes", service="web")["probes"]) == len(
        r["probes"])
    for unknown in ({"server": "nobody"}, {"service": "nothing"}):
        x = command(edge, "probes", **unknown)
        assert not x["ok"] or x["probes"] == []


def test_explain(edge):
    x = explain(edge, WWW)
    assert {k: x[k] for k in ("name", "type", "where", "service", "client",
                              "rule", "tier", "outcome", "ttl_s", "scope")
            } == {"name": WWW.name, "type": "A", "where": "domain",
                  "service": "web", "client": "0.0.0.0", "rule": "up",
                  "tier": "primary", "outcome": "addresses", "ttl_s": 30,
                  "scope": 0}
    assert set(x["answer"]) < WWW.all(PRIMARY) and len(x["answer"]) == 1
    lines = x["candidates"]
    assert [(c["server"], c["tier"], c["address"]) for c in lines] == [
        (WWW.id(t, i), n, WWW.one(t, i)) for t, i, n in (
            (PRIMARY, 1, "primary"), (PRIMARY, 2, "primary"),
            (BACKUP, 1, "backup"), (HIDDEN, 1, "hidden"))]
    for c in lines:
        assert {"server", "pop", "tier", "address", "state", "metric",
                "age_s", "weight", "share", "verdict"} <= set(c)
        assert c["state"] == "up" and c["weight"] == 10
    assert sorted(c["verdict"] for c in lines) == [
        "chosen", "eligible", "later tier", "later tier"]
    assert [c["share"] for c in lines] == [0.5, 0.5, 0, 0]
    assert set(x["counts"]) == {"decisions", "backup", "hidden", "fail",
                                "nodata", "servfail", "extra", "exposed",
                                "pending", "else", "explored", "dry"}


def test_explain_of_other_outcomes(edge):
    x = explain(edge, OWN)
    assert x["where"] == "named's zone" and x["outcome"] == "servfail"
    assert x["rule"] == "servfail" and x["answer"] == []
    x = explain(edge, IDLE)
    assert x["rule"] == "new" and x["candidates"][0]["state"] == "new"
    assert "age_s" not in x["candidates"][0]
    x = explain(edge, IDLE, "AAAA")
    assert x["outcome"] == "nodata" and x["rule"] == "empty"
    assert x["candidates"] == []
    x = explain(edge, FREE)
    assert "service" not in x and x["candidates"][0]["state"] == "up"


def test_explain_takes_any_spelling(edge):
    for name in ("WWW.gslb.TEST", "www.gslb.test."):
        assert command(edge, "explain", name=name, type="a")["ok"]
    for client in ("192.0.2.1", "192.0.2.0/24", "2001:db8::/56", "::1"):
        assert explain(edge, WWW, client=client)["client"] == client


@pytest.mark.parametrize("change", [
    {"name": "none.gslb.test"}, {"name": "a..b"}, {"name": ""},
    {"name": None}, {"name": 7}, {"name": "x" * 3000}, {"type": "MX"},
    {"type": None}, {"type": 1}, {"client": "nowhere"}, {"client": ""},
    {"client": "192.0.2.0/33"}, {"client": "192.0.2.0/0"},
    {"client": "192.0.2.0/"}, {"client": "192.0.2.0/24x"},
    {"client": "192.0.2.0/-1"}, {"client": "::/129"}, {"client": "/24"},
    {"client": "192.0.2.0/99999999999999999999"}])
def test_explain_refuses(edge, change):
    r = command(edge, "explain", **{"name": WWW.name, "type": "A", **change})
    assert r["ok"] is False and r["error"]


def test_explain_is_never_counted(edge):
    before = counts(edge, WWW), good(edge, "servers"), edge.status()[
        "traffic"]["answers"]
    for _ in range(20):
        for rdtype in ("A", "AAAA"):
            explain(edge, WWW, rdtype, client="192.0.2.0/24")
    after = counts(edge, WWW), good(edge, "servers"), edge.status()[
        "traffic"]["answers"]
    assert before[0] == after[0] and before[2] == after[2]
    assert [s["given"] for s in before[1]["servers"]] == [
        s["given"] for s in after[1]["servers"]]


# -- drains ------------------------------------------------------------------

def answers(edge, host=WWW, n=30):
    return {ask(edge, host.name).answer[0][0].to_text() for _ in range(n)}


def undrain(edge, *servers):
    for name in servers:
        command(edge, "undrain", server=name)


def test_drain_and_undrain(edge):
    assert answers(edge) == WWW.all(PRIMARY)
    now = time.time()
    r = good(edge, "drain", server=A, reason="new disks")
    assert r["server"] == A and "until" not in r
    try:
        assert answers(edge) == {WWW.one(PRIMARY, 2)}
        s = server(edge, A)
        assert s["state"] == "drained"
        assert s["drained"]["reason"] == "new disks"
        assert abs(s["drained"]["since"] - now) < 5
        assert "until" not in s["drained"]
        assert s["tests"][0]["state"] == "up"  # is tested all the same
        assert edge.status()["traffic"]["drained"] == 1
        line = explain(edge, WWW)["candidates"][0]
        assert line["state"] == "out" and line["verdict"] == "drained"
        # Once more, with another reason: that holds.
        good(edge, "drain", server=A, reason="new fans")
        assert server(edge, A)["drained"]["reason"] == "new fans"
        good(edge, "drain", server=B, reason="all of them")
        assert answers(edge) == WWW.all(BACKUP)
    finally:
        assert good(edge, "undrain", server=A) == {"server": A, "was": True}
        assert good(edge, "undrain", server=B)["was"] is True
    assert good(edge, "undrain", server=A)["was"] is False
    assert answers(edge) == WWW.all(PRIMARY)
    assert "drained" not in server(edge, A)
    edge.wait_log(rf"server '{A}' is drained: new disks")
    edge.wait_log(rf"server '{A}' is no longer drained")


@pytest.mark.parametrize("change", [
    {"reason": None}, {"reason": ""}, {"reason": "x" * 201}, {"reason": 7},
    {"reason": "a\nserver 'b' is up"}, {"reason": "\x1b[31m"},
    {"reason": "\x7f"},
    {"server": "nobody"}, {"server": None}, {"server": 7}, {"for_s": 0},
    {"for_s": -5}, {"for_s": 1.5}, {"for_s": "60"}, {"for_s": None},
    {"for_s": 1 << 62}, {"for_s": 10 * 366 * 86400}])
def test_drain_refuses(edge, change):
    r = command(edge, "drain", **{"server": A, "reason": "x", **change})
    assert r["ok"] is False and r["error"]
    assert server(edge, A)["state"] == "up"


def test_a_reason_of_any_text(edge):
    for reason in ("x" * 200, "\u00e4\u00f6 \u2603", "\"\\ %s %n"):
        good(edge, "drain", server=A, reason=reason)
        assert server(edge, A)["drained"]["reason"] == reason
    undrain(edge, A)
    assert edge.is_running()


def test_a_drain_for_a_time(edge):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(patience(10))
        s.connect(edge.socket)
        f = s.makefile("rb")
        s.sendall(b'{"command":"watch"}\n')
        assert json.loads(f.readline())["ok"]
        now = time.time()
        r = good(edge, "drain", server=A, reason="reboot", for_s=1)
        assert 0 <= r["until"] - now <= 2
        assert server(edge, A)["drained"]["until"] == r["until"]
        assert answers(edge) == {WWW.one(PRIMARY, 2)}
        events = [json.loads(f.readline()) for _ in range(2)]
        f.close()
    assert [(e["event"], e["server"]) for e in events] == [
        ("drain", A), ("undrain", A)]
    assert events[0]["reason"] == "reboot"
    assert "drained" not in server(edge, A)
    wait_for(lambda: answers(edge) == WWW.all(PRIMARY), "both servers", 2)


def drains_file(edge):
    try:
        with open(edge.path("drains.json"), encoding="utf-8") as f:
            return {d["server"]: d for d in json.load(f)["drains"]}
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


@pytest.mark.parametrize("how", ["nzctl", "reconfig", "reload"])
def test_a_drain_is_kept_over_a_reload(edge, how):
    good(edge, "drain", server=A, reason="long", for_s=3600)
    edge.doc["serial"] += 1
    edge.write_json()
    if how == "nzctl":
        edge.nzctl("reload")
    else:
        edge.rndc(how)
    wait_for(lambda: edge.status()["config"]["serial"] == edge.doc["serial"],
             "the new configuration")
    assert answers(edge) == {WWW.one(PRIMARY, 2)}
    assert server(edge, A)["drained"]["reason"] == "long"
    undrain(edge, A)
    assert answers(edge) == WWW.all(PRIMARY)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_drain_is_kept_over_a_restart(edge, end):
    good(edge, "drain", server=A, reason="until further notice")
    until = good(edge, "drain", server=WWW.id(BACKUP), reason="an hour",
                 for_s=3600)["until"]
    wait_for(lambda: len(drains_file(edge)) == 2, "the file")
    getattr(edge, end)()
    edge.start_again()
    try:
        assert server(edge, A)["drained"]["reason"] == "until further notice"
        assert server(edge, WWW.id(BACKUP))["drained"]["until"] == until
        WWW.set(edge, "up", "up", "up")
        assert answers(edge) == {WWW.one(PRIMARY, 2)}
        WWW.set(edge, "down")
        assert answers(edge) == WWW.all(HIDDEN)
    finally:
        undrain(edge, A, WWW.id(BACKUP))
        WWW.set(edge, "up")
    assert answers(edge) == WWW.all(PRIMARY)
    wait_for(lambda: drains_file(edge) == {}, "the file")


@pytest.mark.parametrize("text", [
    "", "x", "{}", "[]", '{"drains": 7}', '{"drains": [7, null, {}]}',
    '{"drains": [{"server": "nobody", "reason": "r", "since": 1}]}',
    '{"drains": [{"server": "%s", "reason": "over", "since": 1,'
    ' "until": 2}]}' % A, "\0" * 100, '{"drains": [' + "[" * 10000])
def test_a_file_of_drains_that_is_bad_or_old(edge, text):
    edge.kill()
    edge.write("drains.json", text)
    edge.start_again()
    wait_for(lambda: "drained" not in server(edge, A), "a clean start", 3)
    WWW.set(edge, "up", "up", "up")
    assert tiers(ask(edge, WWW.name)) == {PRIMARY}
