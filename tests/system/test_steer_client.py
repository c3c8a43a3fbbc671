# SPDX-License-Identifier: MPL-2.0
"""What depends on the client: its subnet, and its server; and what no client
may ever see."""

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import Edge, Origin, ask, wait_for, zone_of, zone_text
from nzlib.steer import (BACKUP, FULL, HIDDEN, PLACEHOLDER, PRIMARY, Fleet,
                         at, command, counts, every_way, explain, scope,
                         subnet, tiers)

F = Fleet()
F.services["short"] = {"probe": "tcp", "port": 80, "interval": "1s",
                       "timeout": "100ms", "max-age": "2300ms"}
ZONES = {"gslb.test": "domain", "edge.test": "edge", "ord.test": "own"}
PLAIN, STICKY, BLIND, ALL, SECRET, NEW, QUIET = (
    {z: F.host(f"{name}.{z}", **how) for z in ZONES}
    for name, how in (
        ("plain", {"primary": 9}),
        ("sticky", {"primary": 9, "persist": "1h"}),
        ("blind", {"primary": 9, "persist": "1h", "ecs": False}),
        ("all", {"primary": 3, "persist": "1h", "answers": 3}),
        ("secret", {"backup": 2, "hidden": 2, "answers": 16}),
        ("new", {"backup": 1, "hidden": 1, "answers": 16}),
        ("quiet", {"primary": 1, "backup": 1, "hidden": 1, "answers": 16,
                   "service": "short"})))
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}


def records(zone):
    """Placeholders, and whatever may lead to hostnames."""
    return F.records(zone) + "".join(f"""
{n}-alias CNAME {n}
{n}-mx MX 1 {n}
{n}-srv SRV 0 0 80 {n}
{n}-far CNAME {n}.gslb.test.
{n}-https HTTPS 1 {n} ipv4hint=10.1.9.1
{n} HTTPS 1 . ipv4hint=10.1.9.1 ipv6hint=2001:db8:1:9::1
{n} MX 1 {n}
{n} TXT x
""" for n in ("sticky", "secret", "new", "quiet", "plain"))


@pytest.fixture(scope="module")
def origin():
    with Origin({"edge.test": zone_text(records("edge.test"))}) as o:
        yield o


def views(e):
    path = e.write("ord.db", zone_text(records("ord.test")))
    return f"""
view "min" {{ match-clients {{ !{FULL}; any; }}; {e.plugin()}
    zone "ord.test" {{ type primary; file "{path}";
        allow-update {{ any; }}; }}; }};
view "full" {{ match-clients {{ any; }}; minimal-responses no;
    zone "ord.test" {{ in-view "min"; }}; {e.plugin()} }};"""


@pytest.fixture(scope="module")
def edge(origin):
    e = Edge({"edge.test": zone_of(origin)}, body=views,
             options="allow-transfer { any; };")
    F.put(e)
    with e:
        for hosts in (PLAIN, STICKY, BLIND, ALL, SECRET):
            for host in hosts.values():
                host.set(e, "up", "up", "up")
        wait_for(lambda: ask(e, "plain.edge.test").answer, "the survey")
        yield e


@pytest.fixture(params=ZONES)
def zone(request):
    return request.param


def ecs(edge, name, text, rdtype="A", **how):
    r = ask(edge, name, rdtype, options=[subnet(text)], **how)
    assert r.rcode() == dns.rcode.NOERROR
    return r


# -- the client's subnet -----------------------------------------------------

TCP = ({}, {"tcp": True}, {"source": FULL, "do": True})


def test_scope_0_where_the_client_does_not_matter(edge, zone):
    for how in TCP:
        for name in ("plain", "blind", "all"):
            for text in ("192.0.2.0/24", "2001:db8::/56", "192.0.2.1/32"):
                assert scope(ecs(edge, f"{name}.{zone}", text, **how)) == 0


@pytest.mark.parametrize("text,want", [
    ("192.0.2.0/24", 24), ("192.0.2.77/32", 24), ("192.0.0.0/16", 16),
    ("128.0.0.0/1", 1), ("2001:db8:1:200::/56", 56),
    ("2001:db8:1::/48", 48), ("2001:db8::1/128", 56), ("0.0.0.0/0", 0),
    ("::/0", 0)])
def test_scope_of_a_client_that_stays(edge, zone, text, want):
    for how in TCP:
        for rdtype in ("A", "AAAA"):
            r = ecs(edge, f"sticky.{zone}", text, rdtype, **how)
            assert scope(r) == want
            assert len(r.answer[0]) == 1


def test_the_same_client_gets_the_same_server(edge, zone):
    name, host = f"sticky.{zone}", STICKY[zone]
    for text in ("192.0.2.0/24", "198.51.100.0/24", "2001:db8:7::/56"):
        got = {next(iter(at(ecs(edge, name, text, **how), name, "A")))
               for how in TCP * 5}
        assert len(got) == 1
        # explain says the same, without being counted.
        before = counts(edge, host)
        said = explain(edge, host, client=text)
        assert said["answer"] == list(got)
        assert said["scope"] == int(text.split("/")[1])
        assert counts(edge, host) == before
    spread = {next(iter(at(ecs(edge, name, f"10.{i}.0.0/24"), name, "A")))
              for i in range(60)}
    assert len(spread) > 5


def test_within_the_scope_all_are_one_client(edge, zone):
    name = f"sticky.{zone}"
    got = {next(iter(at(ecs(edge, name, f"192.0.2.{i}/32"), name, "A")))
           for i in range(0, 256, 16)}
    assert len(got) == 1


def test_without_the_option_there_is_none(edge, zone):
    for r in every_way(edge, f"sticky.{zone}"):
        assert scope(r) is None
    got = {next(iter(at(ask(edge, f"sticky.{zone}"), f"sticky.{zone}", "A")))
           for _ in range(10)}
    assert len(got) == 1  # the resolver is the client


def test_a_subnet_that_is_not_believed(edge, zone):
    """The resolver decides; so all of its clients get the same."""
    name = f"blind.{zone}"
    got = {next(iter(at(ecs(edge, name, f"10.{i}.0.0/24"), name, "A")))
           for i in range(30)}
    assert len(got) == 1


def test_scope_through_chains_and_additional_data(edge):
    for zone in ("ord.test", "edge.test"):
        for name in ("sticky-alias", "sticky-far"):
            for how in TCP:
                r = ecs(edge, f"{name}.{zone}", "192.0.2.0/24", **how)
                assert scope(r) == 24 and len(r.answer) == 2
        for name, rdtype in (("sticky-mx", "MX"), ("sticky-srv", "SRV")):
            r = ecs(edge, f"{name}.{zone}", "192.0.2.0/24", rdtype,
                    source=FULL)
            assert at(r, f"sticky.{zone}", "A", "additional")
            assert scope(r) == 24
            want = at(ecs(edge, f"sticky.{zone}", "192.0.2.0/24"),
                      f"sticky.{zone}", "A")
            assert at(r, f"sticky.{zone}", "A", "additional") == want
        r = ecs(edge, f"plain-mx.{zone}", "192.0.2.0/24", "MX", source=FULL)
        assert scope(r) == 0
    r = ecs(edge, "sticky.gslb.test", "192.0.2.0/24", "ANY", tcp=True)
    assert scope(r) == 24
    r = ecs(edge, "none.gslb.test".replace("none.", ""), "192.0.2.0/24",
            "SOA")
    assert scope(r) == 0


def test_only_the_chosen_moves_when_a_server_fails(edge, zone):
    host, name = STICKY[zone], f"sticky.{zone}"
    clients = [f"10.9.{i}.0/24" for i in range(40)]

    def answers():
        return {c: next(iter(at(ecs(edge, name, c), name, "A")))
                for c in clients}
    before = answers()
    victim = before[clients[0]]
    host.set(edge, "down", only=int(victim.rsplit(".", 1)[1]))
    after = answers()
    host.set(edge, "up", only=int(victim.rsplit(".", 1)[1]))
    assert {c for c in clients if before[c] != after[c]} == {
        c for c in clients if before[c] == victim}
    assert answers() == before


# -- never leaking -----------------------------------------------------------

TYPES = ["A", "AAAA", "ANY", "MX", "HTTPS", "SVCB", "TXT", "NS", "SOA",
         "CNAME", "SRV", "DS", "DNSKEY", "PTR", "CAA", "TYPE65280"]


def everything(edge, name, zone, rcodes=("NOERROR", "NXDOMAIN")):
    """All that may be said of a hostname, in all ways, as one text."""
    texts = []
    for owner in (f"{name}.{zone}", f"{name}-alias.{zone}",
                  f"{name}-mx.{zone}", f"{name}-srv.{zone}",
                  f"{name}-https.{zone}", zone, f"x.{name}.{zone}"):
        for rdtype in TYPES:
            for how in ({}, {"tcp": True, "do": True}, {"source": FULL}):
                r = ask(edge, owner, rdtype, **how)
                assert dns.rcode.to_text(r.rcode()) in rcodes, r.to_text()
                texts.append(r.to_text())
    return "\n".join(texts)


def transfers(edge):
    texts = []
    for how in ({}, {"rdtype": "IXFR", "serial": 1}):
        texts += [m.to_text() for m in dns.query.xfr(
            edge.address, "ord.test", port=edge.port, **how)]
    return "\n".join(texts)


def test_hidden_and_backup_are_never_shown_while_others_are_up(edge, zone):
    assert tiers(everything(edge, "secret", zone)) <= {PRIMARY}
    counted = counts(edge, SECRET[zone])
    assert counted["backup"] == counted["hidden"] == 0


def test_transfers_show_nothing_but_placeholders(edge):
    assert tiers(transfers(edge)) == {PLACEHOLDER}
    for z in ("gslb.test", "edge.test"):
        q = dns.message.make_query(z, "AXFR")
        r = dns.query.tcp(q, edge.address, port=edge.port, timeout=5)
        assert not tiers(r) and r.rcode() != dns.rcode.NOERROR


def test_hidden_in_its_turn_only(edge, zone):
    host = SECRET[zone]
    try:
        host.set(edge, "down", only=1)
        assert tiers(everything(edge, "secret", zone)) <= {PRIMARY}
        host.set(edge, "down", only=2)
        assert tiers(everything(edge, "secret", zone)) == {BACKUP}
        host.set(edge, backup="down", only=1)
        assert tiers(everything(edge, "secret", zone)) == {BACKUP}
        host.set(edge, backup="down", only=2)
        assert tiers(everything(edge, "secret", zone)) == {HIDDEN}
        host.set(edge, backup="up", only=2)
        assert tiers(everything(edge, "secret", zone)) == {BACKUP}
    finally:
        host.set(edge, "up", "up")
    assert tiers(everything(edge, "secret", zone)) == {PRIMARY}


def test_drained_ones_count_as_failed(edge):
    host, zone = SECRET["gslb.test"], "gslb.test"
    for tier in (PRIMARY, BACKUP):
        for i in (1, 2):
            assert command(edge, "drain", server=host.id(tier, i),
                           reason="test")["ok"]
        assert tiers(everything(edge, "secret", zone)) == {
            BACKUP if tier == PRIMARY else HIDDEN}
    for tier in (PRIMARY, BACKUP):
        for i in (1, 2):
            assert command(edge, "undrain", server=host.id(tier, i))["was"]
    assert tiers(everything(edge, "secret", zone)) == {PRIMARY}


def test_before_the_first_value(edge, zone):
    """The side-car has said nothing: it has not failed, it was not tested."""
    assert tiers(everything(edge, "new", zone)) == {PRIMARY}
    NEW[zone].set(edge, backup="up")
    assert tiers(everything(edge, "new", zone)) <= {PRIMARY}
    NEW[zone].set(edge, hidden="up")
    assert tiers(everything(edge, "new", zone)) <= {PRIMARY}


def test_when_the_feed_goes_silent(edge):
    """Whatever was said last: who says nothing has not failed."""
    for state in ("up", "down"):
        for zone, host in QUIET.items():
            host.set(edge, state, state, "up", service="short")
            assert tiers(ask(edge, f"quiet.{zone}")) == {
                PRIMARY if state == "up" else HIDDEN}
    wait_for(lambda: all(explain(edge, h)["candidates"][i]["state"] == "stale"
                         for h in QUIET.values() for i in range(3)),
             "the values to be stale")
    for zone in QUIET:  # queries read a clock that ticks now and then
        wait_for(lambda z=zone: tiers(ask(edge, f"quiet.{z}")) == {PRIMARY},
                 "the primaries again", 1)
        assert tiers(everything(edge, "quiet", zone)) == {PRIMARY}
    # A hidden one is up by a fresh value, and still it is not its turn.
    for host in QUIET.values():
        host.set(edge, hidden="up", service="short")
    for zone in QUIET:
        assert tiers(ask(edge, f"quiet.{zone}")) == {PRIMARY}
    for zone, host in QUIET.items():
        host.set(edge, backup="up", service="short")
        assert tiers(ask(edge, f"quiet.{zone}")) == {BACKUP}
