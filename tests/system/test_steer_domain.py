# SPDX-License-Identifier: MPL-2.0
"""Declared domains: no zone anywhere, and all answers from the
configuration."""

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import Edge, ask, zone_text
from nzlib.ask import make
from nzlib.steer import (BACKUP, FULL, HIDDEN, PRIMARY, WAYS, Fleet, at,
                         command, counted, every_way, explain, is_nodata, mix,
                         tiers, types)

F = Fleet()
WWW = F.host("www.gslb.test", backup=1, hidden=1, answers=2)
APEX = F.host("gslb.test")
DEEP = F.host("a.b.c.gslb.test")
FOUR = F.host("four.gslb.test", families="A")
NODATA = F.host("nodata.gslb.test", fail="nodata")
SERVFAIL = F.host("servfail.gslb.test", fail="servfail")
MANY = F.host("m" * 60 + ".gslb.test", primary=16, answers=16)
MIXED = F.host("UPPER.Gslb.test")
NAMED = F.host("www.own.gslb.test")
ABOVE = F.host("www.low.ord.test")
SUB = F.host("www.sub.gslb.test")
ONLY = F.host("only.test")
F.domains["gslb.test"] = {
    "ns": ["ns1.other.test", "ns2.other.test"], "contact": "me.other.test",
    "ttl": "10m", "negative-ttl": "20s"}
F.domains["low.ord.test"] = {"ns": ["ns1.ord.test"]}
F.domains["sub.gslb.test"] = {"ns": ["www.sub.gslb.test"],
                              "contact": "me.sub.gslb.test"}
F.domains["only.test"] = {"ns": ["only.test"], "ttl": "10s",
                          "negative-ttl": "1h"}

OWN = zone_text(F.records("own.gslb.test") + "plain A 192.0.2.1")
ORD = zone_text("low NS ns1\nwww A 192.0.2.2\nto CNAME www.low\n"
                "low DS 12345 13 2 " + "ab" * 32)


def views(e):
    zones = f"""
zone "own.gslb.test" {{ type primary; file "{e.write("own", OWN)}"; }};
zone "ord.test" {{ type primary; file "{e.write("ord", ORD)}"; }};"""
    shared = ('zone "own.gslb.test" { in-view "min"; };'
              'zone "ord.test" { in-view "min"; };')
    return f"""
view "min" {{ match-clients {{ !{FULL}; !127.0.0.32; any; }};
    {zones} {e.plugin()} }};
view "full" {{ match-clients {{ {FULL}; }}; minimal-responses no;
    {shared} {e.plugin()} }};
view "any" {{ match-clients {{ any; }}; minimal-any yes;
    {shared} {e.plugin()} }};"""


@pytest.fixture(scope="module")
def edge():
    e = Edge({}, body=views, options="allow-transfer { any; };")
    F.put(e)
    with e:
        for host in F.hosts:
            host.set(e, "up", "up", "up")
        yield e


def decided(r, host, rdtype="A", tier=PRIMARY, n=None):
    got = at(r, host.name, rdtype)
    assert got and got <= host.all(tier, rdtype), r.to_text()
    assert n is None or len(got) == n
    assert {x.ttl for x in r.answer
            if dns.rdatatype.to_text(x.rdtype) == rdtype} == {30}
    return True


@pytest.mark.parametrize("host", [WWW, APEX, DEEP, MIXED, SUB, ABOVE, ONLY],
                         ids=lambda h: h.name)
@pytest.mark.parametrize("rdtype", ["A", "AAAA"])
def test_addresses(edge, host, rdtype):
    with counted(edge, host) as more:
        for r in every_way(edge, host.name, rdtype):
            assert decided(r, host, rdtype)
            assert types(r, "answer") == [rdtype]
            assert not r.authority and not r.additional
    assert more["decisions"] == len(WAYS)
    assert explain(edge, host)["where"] == "domain"


def test_soa(edge):
    for r in every_way(edge, "gslb.test", "SOA"):
        soa, = r.answer[0]
        assert r.answer[0].ttl == 600 and soa.minimum == 20
        assert soa.mname.to_text() == "ns1.other.test."
        assert soa.rname.to_text() == "me.other.test."
        assert types(r, "answer") == ["SOA"]
    for r in every_way(edge, "low.ord.test", "SOA"):
        assert r.answer[0][0].rname.to_text() == "hostmaster.low.ord.test."


def test_ns(edge):
    for r in every_way(edge, "gslb.test", "NS"):
        assert at(r, "gslb.test", "NS") == {"ns1.other.test.",
                                            "ns2.other.test."}
        assert r.answer[0].ttl == 600 and types(r, "answer") == ["NS"]


def test_any(edge):
    for how in ({}, {"tcp": True}, {"do": True}, {"source": FULL},
                {"payload": 1232, "mixed": True}):
        r, = every_way(edge, "gslb.test", "ANY", ways=[how])
        assert set(types(r, "answer")) == {"SOA", "NS", "A", "AAAA"}
        assert decided(r, APEX) and decided(r, APEX, "AAAA")
        r, = every_way(edge, "www.gslb.test", "ANY", ways=[how])
        assert set(types(r, "answer")) == {"A", "AAAA"}
        r, = every_way(edge, "c.gslb.test", "ANY", ways=[how])
        assert is_nodata(r, "gslb.test", 20)
        r, = every_way(edge, "none.gslb.test", "ANY", ways=[how],
                       rcode="NXDOMAIN")


def test_any_minimal(edge):
    for name in ("gslb.test", "www.gslb.test", "four.gslb.test"):
        for _ in range(4):
            r = ask(edge, name, "ANY", source="127.0.0.32")
            assert r.rcode() == dns.rcode.NOERROR
            assert len({x.rdtype for x in r.answer}) == 1


@pytest.mark.parametrize("name", ["c", "b.c", "four"])
def test_names_between_exist(edge, name):
    for rdtype in ("AAAA", "TXT", "MX", "HTTPS", "CNAME"):
        for r in every_way(edge, f"{name}.gslb.test", rdtype):
            assert is_nodata(r, "gslb.test", 20) and not r.answer


@pytest.mark.parametrize("name", ["none", "x.www", "x.a.b.c", "x.b.c", "*"])
def test_names_that_do_not_exist(edge, name):
    for rdtype in ("A", "TXT", "DS"):
        for r in every_way(edge, f"{name}.gslb.test", rdtype,
                           rcode="NXDOMAIN"):
            assert not r.answer and types(r, "authority") == ["SOA"]
            assert r.authority[0].ttl == 20
            assert r.authority[0].name.to_text(True).lower() == "gslb.test"


def test_negative_answers_never_live_longer_than_the_soa(edge):
    for r in every_way(edge, "x.only.test", rcode="NXDOMAIN"):
        assert r.authority[0].ttl == 10
    for r in every_way(edge, "only.test", "TXT"):
        assert is_nodata(r, "only.test", 10)


def test_other_types_at_a_hostname(edge):
    for rdtype in ("TXT", "MX", "HTTPS", "SVCB", "CNAME", "NS", "SOA",
                   "DNSKEY", "TYPE65280", "RRSIG"):
        for r in every_way(edge, "www.gslb.test", rdtype):
            assert is_nodata(r, "gslb.test", 20)
    for rdtype in ("TXT", "MX", "DNSKEY"):
        for r in every_way(edge, "gslb.test", rdtype):
            assert is_nodata(r, "gslb.test", 20)


def test_a_family_without_servers(edge):
    for r in every_way(edge, "four.gslb.test", "AAAA"):
        assert is_nodata(r, "gslb.test", 20)


def test_fail(edge):
    NODATA.set(edge, "down")
    for r in every_way(edge, "nodata.gslb.test"):
        assert is_nodata(r, "gslb.test", 20)
    SERVFAIL.set(edge, "down")
    for how in ({}, {"tcp": True}, {"do": True}, {"source": FULL}):
        r = ask(edge, "servfail.gslb.test", **how)
        assert r.rcode() == dns.rcode.SERVFAIL and not r.answer
    for host in (NODATA, SERVFAIL):
        host.set(edge, "up")
        for r in every_way(edge, host.name):
            assert decided(r, host)


def test_tiers_in_their_turn(edge):
    WWW.set(edge, "down")
    for r in every_way(edge, "www.gslb.test"):
        assert decided(r, WWW, tier=BACKUP)
    WWW.set(edge, backup="down")
    for r in every_way(edge, "www.gslb.test", never=[]):
        assert decided(r, WWW, tier=HIDDEN)
    WWW.set(edge, "up", "up")
    for r in every_way(edge, "www.gslb.test"):
        assert decided(r, WWW, n=2)


# -- who answers -------------------------------------------------------------

def test_ds_belongs_to_the_parent(edge):
    # Nobody here has the parent of gslb.test: the domain itself answers.
    for r in every_way(edge, "gslb.test", "DS"):
        assert is_nodata(r, "gslb.test", 20)
    for r in every_way(edge, "www.gslb.test", "DS"):
        assert is_nodata(r, "gslb.test", 20)
    # A domain in a domain, a zone of named's in a domain: the outer one's.
    for name in ("sub.gslb.test", "own.gslb.test"):
        for r in every_way(edge, name, "DS"):
            assert not r.answer
            assert r.authority[0].name.to_text(True).lower() == "gslb.test"
    # A domain in a zone of named's: named has it.
    for r in every_way(edge, "low.ord.test", "DS"):
        assert r.answer[0][0].key_tag == 12345


def test_the_longest_match_wins(edge):
    for r in every_way(edge, "plain.own.gslb.test"):
        assert at(r, "plain.own.gslb.test", "A") == {"192.0.2.1"}
    for r in every_way(edge, "x.own.gslb.test", rcode="NXDOMAIN"):
        assert r.authority[0].name.to_text(True) == "own.gslb.test"
    for r in every_way(edge, "www.own.gslb.test"):  # swapped by the hooks
        assert decided(r, NAMED)
    for r in every_way(edge, "www.sub.gslb.test", "TXT"):
        assert is_nodata(r, "sub.gslb.test")
    for r in every_way(edge, "x.sub.gslb.test", rcode="NXDOMAIN"):
        assert r.authority[0].name.to_text(True).lower() == "sub.gslb.test"
    for r in every_way(edge, "www.ord.test"):
        assert at(r, "www.ord.test", "A") == {"192.0.2.2"}
    for r in every_way(edge, "x.low.ord.test", rcode="NXDOMAIN"):
        assert r.authority[0].name.to_text(True).lower() == "low.ord.test"
    for r in every_way(edge, "to.ord.test"):
        assert decided(r, ABOVE)


def test_names_that_are_nobodys(edge):
    for name in ("test", "gslb", "xgslb.test", "other.test", "."):
        assert ask(edge, name).rcode() == dns.rcode.REFUSED


def test_class_chaos_is_nameds(edge):
    r = ask(edge, "version.bind", "TXT", rdclass="CH")
    assert r.rcode() == dns.rcode.NOERROR and r.answer
    r = ask(edge, "www.gslb.test", rdclass="CH")
    assert r.rcode() == dns.rcode.REFUSED and not r.answer


def test_the_apex_is_spelled_as_the_question(edge):
    """The SOA's owner points into the question, whatever its spelling."""
    for name in ("x.GSLB.Test", "WWW.gSlB.tEsT", "gslb.TEST"):
        r = ask(edge, name, "TXT")
        assert r.authority[0].name.to_text(True) == name[-9:]
        assert r.authority[0].name == dns.name.from_text("gslb.test")


def test_labels_of_any_octets(edge):
    for label in ("\\000", "\\255\\254", "a\\.b", "x" * 63, "\\\"", "*"):
        r = ask(edge, f"{label}.gslb.test")
        assert r.rcode() == dns.rcode.NXDOMAIN
    long = ".".join(["y" * 49] * 4) + ".yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
    r = ask(edge, f"{long}.gslb.test")
    assert r.rcode() == dns.rcode.NXDOMAIN
    assert r.authority[0].rdtype == dns.rdatatype.SOA


# -- sizes and other messages ------------------------------------------------

def test_an_answer_that_does_not_fit(edge):
    for how, fits in (({}, False), ({"payload": 512}, False),
                      ({"payload": 1232}, True), ({"tcp": True}, True),
                      ({"tcp": True, "do": True}, True)):
        r = ask(edge, MANY.name, "AAAA", **how)
        assert bool(r.flags & dns.flags.TC) != fits
        assert len(r.to_wire()) <= (512 if not fits else 1232)
        if fits:
            assert at(r, MANY.name, "AAAA") == MANY.all(PRIMARY, "AAAA")
    r = ask(edge, MANY.name)  # sixteen A: 12 + 77 + 16 * 16
    assert at(r, MANY.name, "A") == MANY.all(PRIMARY)
    assert not r.flags & dns.flags.TC


def test_transfers_of_a_domain(edge):
    for rdtype in ("AXFR", "IXFR"):
        q = dns.message.make_query("gslb.test", rdtype)
        r = dns.query.tcp(q, edge.address, port=edge.port, timeout=5)
        assert not r.answer and r.rcode() in (
            dns.rcode.NOTAUTH, dns.rcode.REFUSED, dns.rcode.FORMERR)


def test_other_opcodes_and_odd_questions(edge):
    for opcode in (dns.opcode.NOTIFY, dns.opcode.UPDATE, dns.opcode.STATUS):
        q = make("gslb.test", "SOA")
        q.set_opcode(opcode)
        r = dns.query.udp(q, edge.address, port=edge.port, timeout=5)
        assert not r.answer and r.rcode() != dns.rcode.NOERROR
    for rdtype in ("OPT", "TSIG", "MAILB", "IXFR"):
        q = make("www.gslb.test", rdtype)
        r = dns.query.udp(q, edge.address, port=edge.port, timeout=5)
        assert not tiers(r)


def test_the_answers_order_varies(edge):
    firsts = {ask(edge, MANY.name).answer[0][0].to_text()
              for _ in range(40)}
    assert len(firsts) > 3


def test_status_counts_what_else_a_domain_answered(edge):
    def other():
        return edge.status()["traffic"]["other"]
    before = other()
    ask(edge, "gslb.test", "SOA")
    ask(edge, mix("none.gslb.test"))
    ask(edge, "www.gslb.test")
    assert other() == before + 2
    assert edge.status()["traffic"]["domains"] == 4
    assert command(edge, "explain", name="none.gslb.test",
                   type="A")["ok"] is False
