# SPDX-License-Identifier: MPL-2.0
"""The second tier: hostnames below a root domain are aliases of names in
another domain, which have their policy."""

import copy

import pytest

from nzlib import Edge, ask, zone_text
from nzlib.steer import (BACKUP, FULL, PLACEHOLDER, PRIMARY, Fleet, at,
                         command, counted, every_way, explain, types)

F = Fleet()
WWW = F.host("www.root.test", backup=1)
DEEP = F.host("a.b.root.test")
KEPT = F.host("shop.root.test", persist="1h")
APEX = F.host("root.test")
DRY = F.host("dry.root.test", **{"dry-run": True})
OTHER = F.host("www.other.test", **{"else": "www.root.test"})
F.domains = {"edge.root.test": {"ns": ["ns.other.test"]},
             "keep.test": {"ns": ["ns.other.test"]},
             "other.test": {"ns": ["ns.other.example"]}}
SECOND = {"root.test": {"domain": "edge.root.test", "ttl": "1h",
                        "persistent-domain": "keep.test"}}
ROOT = zone_text(F.records("root.test") + "mx MX 1 www\nto CNAME www\n"
                 "www TXT text\nedge NS ns.other.test.\n")


@pytest.fixture
def edge():
    def views(e):
        zone = f'zone "root.test" {{ type primary; file "{e.write("r", ROOT)}"'
        return f"""
view "min" {{ match-clients {{ !{FULL}; any; }}; {zone}; }}; {e.plugin()} }};
view "full" {{ match-clients {{ {FULL}; }}; minimal-responses no;
    zone "root.test" {{ in-view "min"; }}; {e.plugin()} }};"""
    e = Edge({}, body=views)
    F.put(e)
    e.doc["second-tier"] = copy.deepcopy(SECOND)
    e.write_json()
    with e:
        for host in F.hosts:
            host.set(e, "up", "up")
        yield e


def mapped(edge, name, to, host, tier=PRIMARY):
    for rdtype in ("A", "AAAA"):
        for r in every_way(edge, name, rdtype, never=(PLACEHOLDER,)):
            assert at(r, name, "CNAME") == {to + "."}, r.to_text()
            assert r.answer[0].ttl == 3600
            got = at(r, to, rdtype)
            assert got and got <= host.all(tier, rdtype), r.to_text()
            assert r.answer[1].ttl == 30
        r = ask(edge, to, rdtype)
        assert at(r, to, rdtype)
        assert at(r, to, rdtype) <= host.all(tier, rdtype)
    return True


def test_mapped(edge):
    assert mapped(edge, "www.root.test", "www.edge.root.test", WWW)
    assert mapped(edge, "a.b.root.test", "a.b.edge.root.test", DEEP)
    assert mapped(edge, "shop.root.test", "shop.keep.test", KEPT)
    assert len({min(at(ask(edge, "shop.keep.test"), "shop.keep.test", "A"))
                for _ in range(20)}) == 1  # it persists
    r = ask(edge, "to.root.test")
    assert types(r, "answer") == ["A", "CNAME", "CNAME"]
    for rdtype in ("TXT", "MX"):
        r = ask(edge, "www.root.test", rdtype)
        assert at(r, "www.root.test", "CNAME") == {"www.edge.root.test."}
    r = ask(edge, "mx.root.test", "MX")
    assert not at(r, "www.root.test", "A", "additional")


def decided(edge, host):
    got = at(ask(edge, host.name), host.name, "A")
    return got and got <= host.all(PRIMARY)


def test_not_mapped(edge):
    assert decided(edge, APEX)
    assert at(ask(edge, DRY.name), DRY.name, "A") == DRY.placeholders()
    del edge.doc["second-tier"]["root.test"]["persistent-domain"]
    edge.write_json()
    assert edge.nzctl("reload")["ok"]
    assert decided(edge, KEPT)
    del edge.doc["second-tier"]
    edge.write_json()
    assert edge.nzctl("reload")["ok"]
    for host in (WWW, DEEP, KEPT):
        assert decided(edge, host)
    assert ask(edge, "www.edge.root.test").rcode() == 3


def test_its_policy_is_there(edge):
    WWW.set(edge, "down", "up")
    assert mapped(edge, "www.root.test", "www.edge.root.test", WWW, BACKUP)
    # who falls back on it, falls back on its servers
    OTHER.set(edge, "down")
    assert at(ask(edge, OTHER.name), OTHER.name, "A") == WWW.all(BACKUP)
    assert explain(edge, OTHER)["else"] == "www.edge.root.test"


def test_what_is_said_of_it(edge):
    why = explain(edge, WWW)
    assert why["outcome"] == "alias"
    assert why["answer"] == ["www.edge.root.test"]
    with counted(edge, WWW) as more:
        ask(edge, WWW.name)
    assert more == {"decisions": 1}
    why = command(edge, "explain", name="www.edge.root.test",
                  type="A")["explain"]
    assert set(why["answer"]) <= WWW.all(PRIMARY)
    assert why["where"] == "domain" and why["counts"]["decisions"] >= 1
    listed = {s["server"] for s in command(edge, "servers")["servers"]}
    assert listed == set(F.servers)
