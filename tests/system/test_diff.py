# SPDX-License-Identifier: MPL-2.0
"""The edge differs from its origin in nothing: a part of what figure 'diff'
of the benches compares, and what once differed."""

import contextlib
import os
import sys

import dns.name
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import (Edge, Named, Origin, ask, origin_at, scratch, zone_of,
                   zone_text)

sys.path.insert(1, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "diff"))

import compare  # noqa: E402 (the path comes first)
import questions  # noqa: E402
import zones  # noqa: E402

SEED = "check"
PART = 1000  # questions of a setting
SETTINGS = {"default": ("", {}), "full": ("minimal-responses no;", {}),
            "names": ("", {"names": "transfer"})}
LOOSE = ("check-names primary ignore; check-integrity no;"
         " check-mx-cname ignore; check-srv-cname ignore;"
         " max-records-per-type 0; max-types-per-name 0;")


@contextlib.contextmanager
def serving(made, options, keys=(), transport="tcp"):
    """An origin and its edge, both running: a Pair.  'keys': of each zone."""
    body = "".join(f'zone "{z.name}" {{ type primary; file "{z.file}"; }};\n'
                   for z in made)
    with Named("origin", LOOSE + options, body) as origin:
        assert "not loaded" not in origin.log()
        shown = {z.name.lower(): zone_of(origin_at(origin, transport),
                                         **dict(keys))
                 for z in made if z.shown}
        with Edge(shown, options=options) as edge:
            for zone in shown if keys else ():
                edge.wait_log(f"zone '{zone}'.* its .*names are")
            yield compare.Pair((origin.address, origin.port),
                               (edge.address, edge.port))


@pytest.fixture(scope="module")
def made():
    return zones.make(SEED, scratch("zones"))


@pytest.fixture(scope="module", params=SETTINGS)
def pair(request, made):
    with serving(made, *SETTINGS[request.param]) as p:
        yield p


def told(found):
    """Differences as lines."""
    return "\n".join(f"{d.question}: {d.when}: {d.field}: {d.text[:300]}"
                     for d in found[:20])


def test_part(pair, made):
    """Everything of the generator, thinned out."""
    asked = questions.make(made, SEED, each=1)
    asked = asked[::max(len(asked) // PART, 1)]
    outcome = compare.compare(pair, asked)
    assert not outcome.differences, told(outcome.differences)
    assert outcome.compared >= 2 * PART
    assert {"NOERROR", "NXDOMAIN"} <= set(outcome.rcodes)


def test_strange(pair, made):
    """What is no question about records of class IN is named's own."""
    asked = questions.strange(made[:1])
    outcome = compare.compare(pair, asked)
    assert not outcome.differences, told(outcome.differences)


def test_root():
    """The root zone: nothing is outside of it."""
    made = zones.make_root(SEED, scratch("root"))
    with serving(made, "") as p:
        asked = questions.make(made, SEED, each=1)
        outcome = compare.compare(p, asked[::4])
    assert not outcome.differences, told(outcome.differences)


def test_by_udp():
    """An origin asked by UDP leaves out what does not fit a datagram."""
    made = zones.make(SEED, scratch("udp"), ("large", "aliases"), ("nsec3",))
    with serving(made, "", transport="udp") as p:
        for n in (4, 8, 16, 30):
            for name, rdtype in ((f"m{n}", "MX"), (f"_s{n}", "SRV"),
                                 (f"h{n}", "HTTPS")):
                same(p, f"{name}.large-nsec3.test", rdtype, **DO)
        asked = questions.make(made, SEED, each=1)
        outcome = compare.compare(p, asked[::8])
    assert not outcome.differences, told(outcome.differences)


def question(name, rdtype, **how):
    return questions.Question(dns.name.from_text(name).to_wire(),
                              dns.rdatatype.from_text(rdtype), **how)


def same(pair, name, rdtype, **how):
    """Asks once, asserts that nothing differs; the rcodes."""
    outcome = pair.look(question(name, rdtype, **how))
    assert not outcome.differences, told(outcome.differences)
    return outcome.rcodes


DO = {"size": 1232, "do": True}


@pytest.mark.parametrize("name", ["ping", "a.b.lt2", "x.wildself", "c3"])
@pytest.mark.parametrize("how", [{}, DO, {"size": 512, "do": True},
                                 {"tcp": True}])
def test_loop(pair, name, how):
    """Aliases without an end: SERVFAIL with those that were followed."""
    for flavour in ("plain", "nsec", "nsec3"):
        assert same(pair, f"{name}.aliases-{flavour}.test", "MX",
                    **how)["SERVFAIL"]


@pytest.mark.parametrize("flavour", ["nsec", "nsec3", "optout"])
def test_wildcard_out(pair, flavour):
    """An alias out of the zone keeps the proof that it is a wildcard's."""
    same(pair, f"x.y.wildout.aliases-{flavour}.test", "A", **DO)
    same(pair, f"towildout.aliases-{flavour}.test", "A", **DO)


@pytest.mark.parametrize("rdtype", ["RRSIG", "ANY"])
def test_signature_on_the_way(pair, rdtype):
    """Signatures that are asked for, but not those of the DNAME above."""
    for name in ("x.tree", "x.tree2", "x.outtree", "tree", "www"):
        same(pair, f"{name}.aliases-nsec.test", rdtype, tcp=True)


def test_spelling_that_does_not_fit(pair):
    """named compresses by spelling: what fits may not, spelled in another
    way, also without EDNS."""
    for size in (446, 452, 458):
        for name in (f"g{size}", f"G{size}"):
            for zone in ("large-plain.test", "LARGE-plain.tEST"):
                same(pair, f"{name}.{zone}", "TXT", flags=questions.RD)
                same(pair, f"{name}.{zone}", "ANY")


def test_what_is_left_out(pair):
    """The same additional data is left out at every size."""
    for size in range(520, 1232, 8):
        for name in ("_dnsalias.hosts-nsec3", "_sip._tcp.hosts-nsec",
                     "wide.cuts-plain"):
            rdtype = "SRV" if name[:4] == "_sip" else "SVCB"
            same(pair, f"{name}.test", rdtype, size=size, do=True)


def test_zone_below(pair):
    """A zone that the edge does not know, and its parent's origin has."""
    for zone in ("insecure.cuts-plain", "insecure.cuts-nsec3"):
        for name, rdtype in (("ns.elsewhere.", "A"), ("", "SOA"), ("", "NS"),
                             ("", "DS"), ("", "TXT"), ("no.", "A")):
            for how in ({}, DO, {"size": 512, "do": True}, {"tcp": True},
                        {"flags": questions.RD}):
                same(pair, f"{name}{zone}.test", rdtype, **how)


def test_dname_spelled(pair):
    """An alias from a DNAME takes the client's spelling, and fits as well."""
    for name in ("A.b.CutTREe", "x.CUTtree", "X.Tree2", "x.TREE"):
        for zone in ("aliases-nsec3.test", "ALIASES-nSEC3.tEsT"):
            for size in (512, 520, 530, 560):
                same(pair, f"{name}.{zone}", "TXT", size=size, do=True)


def test_alias_that_comes_back():
    """An alias leaves the zone, another in a zone that the edge has not
    comes back: what is beyond the first is left to whoever follows it."""
    a = zone_text("""
out CNAME b.b.test.
in CNAME out
lost CNAME gone.b.test.
back A 192.0.2.1
tree DNAME tree.b.test.
""")
    b = zone_text("""
b CNAME back.a.test.
gone CNAME nothing.a.test.
x.tree CNAME back.a.test.
""")
    with Origin({"a.test": a, "b.test": b}) as origin, \
            Edge({"a.test": zone_of(origin)}) as edge:
        for name, chain in (("out", 1), ("in", 2), ("lost", 1),
                            ("x.tree", 2)):
            for _ in range(2):  # a miss, a hit
                reply = ask(edge, f"{name}.a.test")
                assert reply.rcode() == dns.rcode.NOERROR
                assert len(reply.answer) == chain, reply
                assert all(r.rdtype in (dns.rdatatype.CNAME,
                                        dns.rdatatype.DNAME)
                           for r in reply.answer)
                assert not reply.authority
        assert ask(edge, "back.a.test").answer[0][0].address == "192.0.2.1"
