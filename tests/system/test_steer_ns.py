# SPDX-License-Identifier: MPL-2.0
"""Name servers that are decided: of delegations, and at the apex of zones and
domains, in zones of named's own, edge zones and declared domains."""

import pytest

from nzlib import Edge, Origin, ask, wait_for, zone_of, zone_text
from nzlib.steer import (FULL, PRIMARY, WAYS, Fleet, at, command, counted,
                         every_way, explain, tiers, types)

F = Fleet()


def delegation(name, **more):
    """A hostname with three name servers, of which two are given."""
    host = F.host(name, primary=3, answers=2, **{"name-servers": True},
                  **more)
    for i in (1, 2, 3):
        F.servers[host.id(PRIMARY, i)]["name-server"] = f"ns{i}.{name}"
    return host


CHILD = delegation("child.ord.test")
SIGNED = delegation("child.sig.test")
APEX = delegation("apx.test")
S_APEX = delegation("sig.test")
E_CHILD = delegation("child.edge.test")
E_APEX = delegation("edge.test")
DOMAIN = delegation("gslb.test")
STRANGE = delegation("strange.ord.test")  # its zone has others
F.domains["gslb.test"] = {"ns": [f"NS{i}.gslb.test" for i in (1, 2, 3)],
                          "ttl": "10m"}
for n in (1, 2, 3):  # a name server in a domain is a hostname
    F.host(f"ns{n}.gslb.test", primary=1)
ALL = {f"ns{n}" for n in (1, 2, 3)}


def ns(label, host, zone):
    """NS records and glue; the glue is what the server has."""
    below = host.name[:-len(zone) - 1] if host.name != zone else ""
    dot = "." if below else ""
    return "".join(
        f"{label} NS ns{i}.{host.name}.\n"
        f"ns{i}{dot}{below} A {host.one(PRIMARY, i)}\n"
        f"ns{i}{dot}{below} AAAA {host.one(PRIMARY, i, 'AAAA')}\n"
        for i in (1, 2, 3))


DS = "12345 13 2 " + "ab" * 32
ORD = ns("child", CHILD, "ord.test") + f"""
child DS {DS}
strange NS other.ord.test.
other A 192.0.2.5
"""
# zone_text() has an NS record of its own at the apex
OWN = "ns"


@pytest.fixture(scope="module")
def origin():
    with Origin({"edge.test": zone_text(
            ns("child", E_CHILD, "edge.test") + ns("@", E_APEX, "edge.test")
            + "www A 192.0.2.1")}) as o:
        yield o


def views(e):
    zones = {
        "ord.test": zone_text(ORD),
        "apx.test": zone_text(ns("@", APEX, "apx.test")
                              + "www A 192.0.2.1")}
    first = "".join(f'zone "{z}" {{ type primary; file '
                    f'"{e.write(z + ".db", t)}"; }};\n'
                    for z, t in zones.items())
    text = zone_text(ns("@", S_APEX, "sig.test")
                     + ns("child", SIGNED, "sig.test")
                     + f"child DS {DS}\nwww A 192.0.2.1")
    first += f"""zone "sig.test" {{ type primary; dnssec-policy default;
        inline-signing yes; file "{e.write("sig.db", text)}"; }};"""
    rest = "".join(f'zone "{z}" {{ in-view "min"; }};\n'
                   for z in [*zones, "sig.test"])
    return f"""
view "min" {{ match-clients {{ !{FULL}; any; }}; {first} {e.plugin()} }};
view "full" {{ match-clients {{ {FULL}; }}; minimal-responses no;
    {rest} {e.plugin()} }};"""


@pytest.fixture(scope="module")
def edge(origin):
    e = Edge({"edge.test": zone_of(origin)}, body=views)
    F.put(e)
    with e:
        for host in F.hosts:
            host.set(e, "up")
        wait_for(lambda: "RRSIG" in types(ask(e, "www.sig.test", do=True),
                                          "answer"), "the zone to be signed")
        yield e


def servers(r, host, section):
    """Which of the name servers are there; looks at their addresses too."""
    got = at(r, host.name, "NS", section)
    found = {x.split(".")[0].lower() for x in got}
    there = {s.name.to_text(True).split(".")[0] for s in r.additional
             if s.name.to_text(True).lower().endswith("." + host.name)}
    assert there & ALL <= found, r.to_text()
    return found & ALL


def with_glue(r, host, found):
    for name in found:
        assert at(r, f"{name}.{host.name}", "A", "additional") == \
            {host.one(PRIMARY, int(name[2:]))}, r.to_text()
    return True


@pytest.mark.parametrize("host", [CHILD, SIGNED, E_CHILD],
                         ids=lambda h: h.name)
@pytest.mark.parametrize("name,rdtype", [
    ("www.{}", "A"), ("{}", "NS"), ("{}", "MX"), ("a.b.{}", "AAAA")])
def test_referrals(edge, host, name, rdtype):
    seen = set()
    with counted(edge, host) as more:
        for r in every_way(edge, name.format(host.name), rdtype, aa=False):
            found = servers(r, host, "authority")
            assert len(found) == 2, r.to_text()
            assert with_glue(r, host, found)
            ttl, = {s.ttl for s in r.authority
                    if s.name.to_text(True).lower() == host.name
                    and s.rdtype == 2}
            assert ttl == 30
            seen |= found
    assert more["decisions"] == len(WAYS)
    assert seen == ALL
    r = ask(edge, name.format(host.name), rdtype, do=True)
    got = types(r, "authority")
    assert ("DS" in got) == (host is SIGNED) and "NS" in got
    assert ("RRSIG" in got) == (host is SIGNED)


def test_one_is_down(edge):
    for host in (CHILD, E_CHILD):
        host.set(edge, "down", only=2)
        for _ in range(5):
            r = ask(edge, f"www.{host.name}")
            assert servers(r, host, "authority") == {"ns1", "ns3"}
        host.set(edge, "down", only=1)
        r = ask(edge, f"www.{host.name}")
        assert servers(r, host, "authority") == {"ns3"}
        assert with_glue(r, host, {"ns3"})
        host.set(edge, "down", only=3)
        r = ask(edge, f"www.{host.name}")  # all are as bad as each other
        assert len(servers(r, host, "authority")) == 2
        host.set(edge, "up")
    r = ask(edge, CHILD.name, "DS")
    assert at(r, CHILD.name, "DS") and types(r, "answer") == ["DS"]


@pytest.mark.parametrize("host", [APEX, E_APEX, DOMAIN], ids=lambda h: h.name)
def test_apex(edge, host):
    with counted(edge, host) as more:
        for r in every_way(edge, host.name, "NS"):
            assert len(servers(r, host, "answer")) == 2, r.to_text()
            assert r.answer[0].ttl == 30
    assert more["decisions"] == len(WAYS)
    r = ask(edge, host.name, "ANY", tcp=True)
    assert len(servers(r, host, "answer")) == 2


def test_authority_of_answers(edge):
    """As minimal-responses no has it."""
    with counted(edge, APEX) as more:
        r = ask(edge, "www.apx.test", source=FULL)
        assert len(servers(r, APEX, "authority")) == 2
    assert more == {"extra": 1}


def test_a_signed_apex_is_left_alone(edge):
    for how in ({}, {"do": True}):
        r = ask(edge, "sig.test", "NS", **how)
        assert servers(r, S_APEX, "answer") == ALL
        assert ("RRSIG" in types(r, "answer")) == ("do" in how)


def test_none_of_them_is_in_the_zone(edge):
    r = ask(edge, "www.strange.ord.test")
    assert at(r, STRANGE.name, "NS", "authority") == {"other.ord.test."}


def test_explained(edge):
    why = explain(edge, CHILD)
    assert len(why["answer"]) == 2 and not tiers(str(why["answer"])) - {1}
    r = command(edge, "explain", name="ns1.gslb.test", type="A")["explain"]
    assert r["where"] == "domain"


def test_over_a_reload(edge):
    """Stored referrals as well."""
    for on in (False, True):
        edge.doc["hostnames"] = {
            k: v for k, v in F.hostnames.items()
            if on or not v.get("name-servers")}
        edge.write_json()
        assert edge.nzctl("reload")["ok"]
        for host in (CHILD, E_CHILD):
            r = ask(edge, f"www.{host.name}")
            assert len(servers(r, host, "authority")) == (2 if on else 3)
