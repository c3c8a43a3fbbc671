# SPDX-License-Identifier: MPL-2.0
"""Decisions that are aliases: wherever the hostname lives, and as far as named
follows aliases; and hostnames that are only decided ("dry-run")."""

import dns.rcode
import pytest

from nzlib import Edge, Origin, ask, wait_for, zone_of, zone_text
from nzlib.steer import (FULL, HINTS, PLACEHOLDER, PRIMARY, RECURSIVE, WAYS,
                         Fleet, at, counted, every_way, explain, is_nodata,
                         tiers, types)

F = Fleet()


def alias(name, target, **more):
    """A hostname that has an alias and nothing else."""
    host = F.host(name, primary=1, **more)
    F.servers[host.id(PRIMARY)] = {"alias": target}
    return host


OWN = alias("own.ord.test", "plain.ord.test")     # in the same zone
OUT = alias("out.ord.test", "plain.oth.test")     # in another of named's
FAR = alias("far.ord.test", "cdn.example")        # nowhere here
STEERED = alias("to.ord.test", "host.ord.test")   # to a hostname, in the zone
DECLARED = alias("dom.ord.test", "host.gslb.test")
RING = alias("ring.ord.test", "loop.ord.test")    # and the zone leads back
BARE = alias("bare.ord.test", "plain.ord.test")   # no placeholders, but a TXT
APEX = alias("apx.test", "plain.ord.test")
MIX = F.host("mix.ord.test", backup=1)
HOST = F.host("host.ord.test")
DRY = F.host("dry.ord.test", **{"dry-run": True})
LIVE = F.host("host.gslb.test")
NOWHERE = F.host("none.gslb.test", fail="nodata")
FAIL = F.host("bad.gslb.test", fail="servfail")
D_IN = alias("in.gslb.test", "host.gslb.test")
D_TWO = alias("two.gslb.test", "in.gslb.test")
D_OUT = alias("out.gslb.test", "plain.oth.test")
D_FAR = alias("far.gslb.test", "cdn.example")
D_NONE = alias("nodata.gslb.test", "none.gslb.test")
D_FAIL = alias("fail.gslb.test", "bad.gslb.test")
ELSE = F.host("else.gslb.test", **{"else": "far.gslb.test"})
D_MIX = F.host("mix.gslb.test", backup=1)
E_HOST = F.host("host.edge.test")
E_IN = alias("in.edge.test", "host.edge.test")
E_FAR = alias("far.edge.test", "cdn.example")
E_PLAIN = alias("al.edge.test", "plain.edge.test")
E_MIX = F.host("mix.edge.test", backup=1)
E_DRY = F.host("dry.edge.test", **{"dry-run": True})
SIGNED = alias("al.sig.test", "plain.ord.test")
S_MIX = F.host("mix.sig.test", backup=1)
for mixed in (S_MIX, MIX, D_MIX, E_MIX):
    F.servers[mixed.id(2)] = {"alias": "cdn.example"}
F.domains["gslb.test"] = {"ns": ["ns1.other.test"], "negative-ttl": "20s"}
GONE = ("bare ", "ring ")
ORD = "".join(x + "\n" for x in F.records("ord.test").splitlines()
              if not x.startswith(GONE)) + """
plain A 192.0.2.1
plain AAAA 2001:db8::1
plain MX 5 far
bare TXT "text"
ring A 10.6.9.1
loop CNAME ring
far TXT "hidden"
@ MX 1 own
@ MX 2 mix
@ NS out
to-own CNAME own
to-far CNAME far
to-mix CNAME mix
to-dom CNAME in.gslb.test.
to-dom-2 CNAME two.gslb.test.
to-dom-far CNAME far.gslb.test.
to-dom-none CNAME nodata.gslb.test.
to-dom-fail CNAME fail.gslb.test.
to-dom-out CNAME out.gslb.test.
mix TXT "mixed"
dry TXT "dry"
to-dry CNAME dry
"""
EDGE = "".join(x + "\n" for x in F.records("edge.test").splitlines()
               if not x.startswith(("far ", "mix AAAA"))) + """
plain A 192.0.2.1
mix TXT "mixed"
in TXT "hidden"
to-in CNAME in
to-far CNAME far
@ MX 1 in
@ MX 2 host
to-mix CNAME mix
"""
NEVER = (PLACEHOLDER,)
REC = {"source": RECURSIVE, "rd": True}


@pytest.fixture(scope="module")
def origin():
    with Origin({"edge.test": zone_text(EDGE, negative=60)}) as o:
        yield o


def views(e):
    first = "".join(
        f'zone "{z}" {{ type primary; file "{e.write(z + ".db", t)}"; }};\n'
        for z, t in (("ord.test", zone_text(ORD, negative=60)),
                     ("oth.test", zone_text("plain A 192.0.2.7\n"
                                            "plain AAAA 2001:db8::7")),
                     ("apx.test", zone_text(F.records("apx.test")))))
    rest = "".join(f'zone "{z}" {{ in-view "min"; }};\n'
                   for z in ("ord.test", "oth.test", "apx.test"))
    return f"""
view "min" {{ match-clients {{ !{FULL}; !{RECURSIVE}; !127.0.0.32; any; }};
    {first} {e.plugin()}
    zone "sig.test" {{ type primary; dnssec-policy default;
        inline-signing yes; file "{e.write("sig", zone_text(
            F.records("sig.test") + "to CNAME al"))}"; }}; }};
view "full" {{ match-clients {{ {FULL}; }}; minimal-responses no;
    {rest} {e.plugin()} }};
view "rec" {{ match-clients {{ {RECURSIVE}; }}; recursion yes;
    allow-recursion {{ any; }}; minimal-responses no;
    zone "." {{ type hint; file "{e.write("hints.db", HINTS)}"; }};
    {rest} {e.plugin()} }};
view "any" {{ match-clients {{ any; }}; minimal-any yes;
    {rest} {e.plugin()} }};"""


@pytest.fixture(scope="module")
def edge(origin):
    e = Edge({"edge.test": zone_of(origin)}, body=views)
    F.put(e)
    with e:
        for host in (MIX, HOST, DRY, LIVE, NOWHERE, FAIL, ELSE, D_MIX, E_HOST,
                     E_MIX, E_DRY):
            host.set(e, *["up"] * 1)
        wait_for(lambda: tiers(ask(e, E_HOST.name)) == {PRIMARY},
                 "the edge zone to be known")
        wait_for(lambda: "RRSIG" in types(ask(e, "al.sig.test", do=True),
                                          "answer"), "the zone to be signed")
        yield e


def leads(r, *names):
    """Asserts a chain of aliases, each decided."""
    for owner, target in zip(names, names[1:]):
        assert at(r, owner, "CNAME") == {target + "."}, r.to_text()
    assert [x.name.to_text(True).lower() for x in r.answer
            if x.rdtype == dns.rdatatype.CNAME] == list(names[:-1])
    return True


BOTH = pytest.mark.parametrize("rdtype", ["A", "AAAA"])


@BOTH
def test_in_the_same_zone(edge, rdtype):
    want = {"A": "192.0.2.1", "AAAA": "2001:db8::1"}[rdtype]
    with counted(edge, OWN) as more:
        for r in every_way(edge, "own.ord.test", rdtype, never=NEVER):
            assert leads(r, "own.ord.test", "plain.ord.test")
            assert at(r, "plain.ord.test", rdtype) == {want}
            assert r.answer[0].ttl == 30
            assert types(r, "answer") == sorted(["CNAME", rdtype])
    assert more == {"decisions": len(WAYS)}


@BOTH
def test_into_another_zone(edge, rdtype):
    """As named follows its own aliases: only for those it recurses for."""
    for name, way in (("out.ord.test", WAYS), ("out.gslb.test", WAYS)):
        for r in every_way(edge, name, rdtype, never=NEVER, ways=way):
            assert leads(r, name, "plain.oth.test")
            assert types(r, "answer") == ["CNAME"]
            assert not at(r, "plain.oth.test", rdtype)
        r, = every_way(edge, name, rdtype, ways=[REC])
        assert leads(r, name, "plain.oth.test")
        assert at(r, "plain.oth.test", rdtype)


@pytest.mark.parametrize("name", ["far.ord.test", "far.gslb.test",
                                  "far.edge.test"])
@pytest.mark.parametrize("rdtype", ["A", "AAAA", "TXT", "MX", "CNAME", "ANY",
                                    "HTTPS"])
def test_nothing_but_an_alias(edge, name, rdtype):
    for r in every_way(edge, name, rdtype, never=NEVER):
        assert leads(r, name, "cdn.example")
        assert types(r, "answer") == ["CNAME"] and r.answer[0].ttl == 30
        assert not [x for x in r.authority
                    if x.rdtype == dns.rdatatype.SOA]


def test_the_log_says_what_is_hidden(edge):
    ask(edge, "far.ord.test", "TXT")
    edge.wait_log("'far.ord.test' is an alias, but its zone has TXT")


def test_no_placeholders(edge):
    for rdtype in ("A", "AAAA", "TXT"):
        r = ask(edge, "bare.ord.test", rdtype)
        assert leads(r, "bare.ord.test", "plain.ord.test")
    assert at(ask(edge, "bare.ord.test"), "plain.ord.test", "A")
    r = ask(edge, "bare.ord.test", "TXT")  # plain has no TXT
    assert is_nodata(r, "ord.test", 60)


def test_apex(edge):
    for rdtype in ("A", "SOA", "NS"):
        r = ask(edge, "apx.test", rdtype)
        assert r.answer and "CNAME" not in types(r, "answer")
    edge.wait_log("'apx.test' has aliases, but is the apex")


@BOTH
def test_in_a_signed_zone(edge, rdtype):
    """More of that: test_sign_cells.py."""
    S_MIX.set(edge, "down")
    for host, target in ((SIGNED, "plain.ord.test"), (S_MIX, "cdn.example")):
        for how in ({}, {"do": True}, {"do": True, "tcp": True}):
            wait_for(lambda h=host, w=how: at(ask(
                edge, h.name, rdtype, **w), h.name, "CNAME"), "its signature")
            r = ask(edge, host.name, rdtype, **how)
            assert leads(r, host.name, target) and not tiers(r)
            assert ("RRSIG" in types(r, "answer")) == ("do" in how)
    r = ask(edge, "to.sig.test", rdtype)
    assert leads(r, "to.sig.test", SIGNED.name, "plain.ord.test")
    assert is_nodata(ask(edge, SIGNED.name, "TXT"), "sig.test")


@BOTH
def test_to_hostnames(edge, rdtype):
    for r in every_way(edge, "to.ord.test", rdtype):
        assert leads(r, "to.ord.test", "host.ord.test")
        assert at(r, HOST.name, rdtype) <= HOST.all(PRIMARY, rdtype)
        assert at(r, HOST.name, rdtype)
    for name, chain in (
            ("dom.ord.test", ["host.gslb.test"]),
            ("in.gslb.test", ["host.gslb.test"]),
            ("two.gslb.test", ["in.gslb.test", "host.gslb.test"]),
            ("to-dom.ord.test", ["in.gslb.test", "host.gslb.test"]),
            ("to-dom-2.ord.test", ["two.gslb.test", "in.gslb.test",
                                   "host.gslb.test"])):
        for r in every_way(edge, name, rdtype, never=NEVER,
                           ways=[*WAYS, REC]):
            assert leads(r, name, *chain)
            got = at(r, LIVE.name, rdtype)
            assert got and got <= LIVE.all(PRIMARY, rdtype), r.to_text()
    for name in ("in.edge.test", "to-in.edge.test"):
        for r in every_way(edge, name, rdtype, never=NEVER):
            assert at(r, E_HOST.name, rdtype) <= E_HOST.all(PRIMARY, rdtype)
            assert at(r, E_HOST.name, rdtype), r.to_text()
            assert at(r, "in.edge.test", "CNAME") == {"host.edge.test."}


def test_ends_of_chains(edge):
    """No address, or SERVFAIL, behind aliases."""
    NOWHERE.set(edge, "down")
    FAIL.set(edge, "down")
    for name in ("nodata.gslb.test", "to-dom-none.ord.test"):
        for r in every_way(edge, name, never=NEVER):
            assert at(r, "nodata.gslb.test", "CNAME")
            assert is_nodata(r, "gslb.test", 20)
    for name in ("fail.gslb.test", "to-dom-fail.ord.test"):
        for how in ({}, {"tcp": True}, {"do": True}):
            assert ask(edge, name, **how).rcode() == dns.rcode.SERVFAIL
    NOWHERE.set(edge, "up")
    FAIL.set(edge, "up")
    assert at(ask(edge, "fail.gslb.test"), FAIL.name, "A")


def test_at_the_end_of_a_chain(edge):
    for r in every_way(edge, "to-own.ord.test", never=NEVER):
        assert leads(r, "to-own.ord.test", "own.ord.test", "plain.ord.test")
        assert at(r, "plain.ord.test", "A") == {"192.0.2.1"}
    for r in every_way(edge, "to-far.ord.test", never=NEVER):
        assert leads(r, "to-far.ord.test", "far.ord.test", "cdn.example")
    for r in every_way(edge, "to-far.edge.test", never=NEVER):
        assert leads(r, "to-far.edge.test", "far.edge.test", "cdn.example")
    for r in every_way(edge, "to-far.ord.test", "TXT", never=NEVER):
        assert leads(r, "to-far.ord.test", "far.ord.test", "cdn.example")
    for r in every_way(edge, "to-dom-out.ord.test", never=NEVER):
        assert leads(r, "to-dom-out.ord.test", "out.gslb.test",
                     "plain.oth.test")
    r, = every_way(edge, "to-dom-out.ord.test", never=NEVER, ways=[REC])
    assert at(r, "plain.oth.test", "A") == {"192.0.2.7"}, r.to_text()


def test_a_plain_name_of_an_edge_zone_is_not_followed(edge):
    for r in every_way(edge, "al.edge.test", never=NEVER):
        assert leads(r, "al.edge.test", "plain.edge.test")
        assert types(r, "answer") == ["CNAME"]


def test_a_ring_ends(edge):
    for how in ({}, {"tcp": True}, REC):
        r = ask(edge, "ring.ord.test", **how)
        assert at(r, "ring.ord.test", "CNAME") == {"loop.ord.test."}
        assert at(r, "loop.ord.test", "CNAME") == {"ring.ord.test."}
        assert not tiers(r)


def test_additional_data(edge):
    """An alias has no addresses to be added; nor has it placeholders."""
    for name in ("ord.test", "edge.test"):
        for r in every_way(edge, name, "MX", never=NEVER):
            for host in ("own.ord.test", "in.edge.test", "out.ord.test"):
                assert not at(r, host, "A", "additional")
                assert not at(r, host, "CNAME", "additional")
    for r in every_way(edge, "ord.test", "NS", never=NEVER):
        assert not at(r, "out.ord.test", "A", "additional")


def test_mixed(edge):
    for host, zone in ((MIX, "ord.test"), (D_MIX, "gslb.test"),
                       (E_MIX, "edge.test")):
        host.set(edge, "up")
        for rdtype in ("A", "AAAA"):
            for r in every_way(edge, host.name, rdtype, never=NEVER):
                assert at(r, host.name, rdtype) <= host.all(PRIMARY, rdtype)
                assert types(r, "answer") == [rdtype]
        r = ask(edge, host.name, "ANY", tcp=True)
        assert {"A", "AAAA"} <= set(types(r, "answer"))
        host.set(edge, "down")
        for rdtype in ("A", "AAAA"):
            for r in every_way(edge, host.name, rdtype, never=NEVER):
                assert leads(r, host.name, "cdn.example")
                assert types(r, "answer") == ["CNAME"]
        r = ask(edge, host.name, "ANY", tcp=True)
        assert not tiers(r)
        assert "CNAME" not in types(r, "answer") or len(r.answer) == 1
        r = ask(edge, host.name, "TXT")
        if host is D_MIX:
            assert is_nodata(r, zone, 20)
        else:
            assert at(r, host.name, "TXT") == {'"mixed"'}
        host.set(edge, "up")
    MIX.set(edge, "down")
    for r in every_way(edge, "to-mix.ord.test", never=NEVER):
        assert leads(r, "to-mix.ord.test", "mix.ord.test", "cdn.example")
    for r in every_way(edge, "ord.test", "MX", never=NEVER):
        assert not at(r, MIX.name, "A", "additional")
    MIX.set(edge, "up")


@BOTH
def test_else(edge, rdtype):
    """The alias of the hostname that stands in."""
    ELSE.set(edge, "up")
    for r in every_way(edge, ELSE.name, rdtype):
        assert at(r, ELSE.name, rdtype) <= ELSE.all(PRIMARY, rdtype)
    ELSE.set(edge, "down")
    with counted(edge, ELSE) as more:
        for r in every_way(edge, ELSE.name, rdtype, never=NEVER):
            assert leads(r, ELSE.name, "cdn.example")
    assert more["else"] == len(WAYS)
    why = explain(edge, ELSE)
    assert why["outcome"] == "alias" and why["answer"] == ["cdn.example"]
    assert why["else"] == "far.gslb.test"
    ELSE.set(edge, "up")


def test_any_minimal(edge):
    for name in ("far.ord.test", "far.gslb.test", "far.edge.test"):
        r = ask(edge, name, "ANY", source="127.0.0.32")
        assert leads(r, name, "cdn.example")


def test_dry_run(edge):
    for host, zone in ((DRY, "ord.test"), (E_DRY, "edge.test")):
        with counted(edge, host) as more:
            for rdtype in ("A", "AAAA"):
                for r in every_way(edge, host.name, rdtype, never=()):
                    assert at(r, host.name, rdtype) == \
                        host.placeholders(rdtype)
                    assert r.answer[0].ttl == ask(
                        edge, f"plain.{zone}").answer[0].ttl
        assert more == {"dry": 2 * len(WAYS)}
        with counted(edge, host) as more:
            ask(edge, host.name, "ANY", tcp=True)
            ask(edge, host.name, "TXT")
        assert not more
        why = explain(edge, host)
        assert why["dry_run"] is True and set(why["answer"]) <= \
            host.all(PRIMARY)
        assert why["where"] == ("edge zone" if host is E_DRY
                                else "named's zone")
    r = ask(edge, "to-dry.ord.test")
    assert at(r, DRY.name, "A") == DRY.placeholders("A")
