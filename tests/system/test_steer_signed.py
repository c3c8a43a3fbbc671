# SPDX-License-Identifier: MPL-2.0
"""Hostnames in signed zones: in named's what is decided is signed, from an
origin nothing that is signed is ever changed."""

import dns.flags
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from nzlib import (Edge, FakeOrigin, Origin, SignedZone, answer_to, ask,
                   rrset, tsig_key, wait_for, zone_of, zone_text)
from nzlib.sign import delv, faults, zone_keys
from nzlib.steer import (FULL, HIDDEN, HINTS, PLACEHOLDER, PRIMARY,
                         RECURSIVE, WAYS, Fleet,
                         at, counted, every_way, explain, tiers)

F = Fleet()
OWN = F.host("www.sig.test", hidden=1)
PLAIN = F.host("www.ord.test", hidden=1)
DOMAIN = F.host("www.gslb.test")
EDGED = F.host("www.se.test", hidden=1)
CHANGING = F.host("www.chg.test", hidden=1)
KEYED = F.host("www.key.test", hidden=1)
F.domains["gslb.test"] = {"ns": ["ns1.ord.test"]}

RECORDS = """
www TXT "text"
@ MX 5 www
alias CNAME www
to-plain CNAME www.ord.test.
to-domain CNAME www.gslb.test.
_s._tcp SRV 0 5 80 www
svc HTTPS 1 www alpn=h2 ipv4hint=10.1.9.1
*.w CNAME www
plain A 192.0.2.1
"""
SIG = zone_text(F.records("sig.test") + RECORDS)
ORD = zone_text(F.records("ord.test") + """
to-signed CNAME www.sig.test.
to-edge CNAME www.se.test.
""")
CHG = F.records("chg.test") + "alias CNAME www\n@ MX 1 www\n"


@pytest.fixture(scope="module")
def signed():
    return SignedZone("se.test", zone_text(F.records("se.test") + RECORDS
                                           .replace("10.1.9", "10.4.9")))


@pytest.fixture(scope="module")
def origin(signed):
    key = tsig_key("edge-key", "secret")
    with Origin({"se.test": signed.text, "chg.test": zone_text(CHG)},
                body=lambda o: key + f"""
zone "key.test" {{ type primary; allow-query {{ key "edge-key"; }};
    file "{o.write("key", zone_text(F.records("key.test")))}"; }};""") as o:
        yield o


def views(e):
    zones = f"""
zone "sig.test" {{ type primary; file "{e.write("sig.db", SIG)}";
    dnssec-policy default; inline-signing yes; }};
zone "ord.test" {{ type primary; file "{e.write("ord.db", ORD)}"; }};"""
    shared = "".join(f'zone "{z}" {{ in-view "min"; }};\n'
                     for z in ("sig.test", "ord.test"))
    return tsig_key("edge-key", "secret") + f"""
view "min" {{ match-clients {{ !{FULL}; !{RECURSIVE}; any; }};
    {zones} {e.plugin()} }};
view "full" {{ match-clients {{ {FULL}; }}; minimal-responses no;
    {shared} {e.plugin()} }};
view "rec" {{ match-clients {{ any; }}; recursion yes; {shared}
    zone "." {{ type hint; file "{e.write("hints.db", HINTS)}"; }};
    {e.plugin()} }};"""


@pytest.fixture(scope="module")
def edge(origin):
    e = Edge({"se.test": zone_of(origin), "chg.test": zone_of(origin),
              "key.test": zone_of({"address": origin.address,
                                   "port": origin.port,
                                   "key": "edge-key"})},
             body=views, options="allow-transfer { any; };")
    F.put(e)
    with e:
        for host in F.hosts:
            host.set(e, "up", hidden="up")
        wait_for(lambda: all(at(ask(e, name, do=True), name, "RRSIG")
                             for name in ("www.sig.test", "alias.sig.test",
                                          "to-domain.sig.test")),
                 "sig.test to be signed")
        wait_for(lambda: all(tiers(ask(e, OWN.name, t)) == {PRIMARY}
                             for t in ("A", "AAAA")),
                 "signatures for what is decided")
        wait_for(lambda: "signed" in explain(e, EDGED)["where"],
                 "the survey of se.test")
        yield e


def transferred(server, zone):
    """{(owner, type, covers): records} of a whole zone."""
    z = dns.zone.from_xfr(dns.query.xfr(
        server.address, zone, port=server.port, relativize=False),
        relativize=False, check_origin=False)
    return {(name, r.rdtype, r.covers): {x.to_text() for x in r}
            for name, node in z.nodes.items() for r in node.rdatasets}


def is_of(message, zone, name):
    """Asserts that every set of a message that is at 'name' or covered by a
    signature is the zone's, whole."""
    for section in (message.answer, message.authority, message.additional):
        for r in section:
            if r.name.to_text(True).endswith(name) or \
                    r.rdtype == dns.rdatatype.RRSIG:
                key = (r.name, r.rdtype, r.covers)
                if key in zone:
                    assert {x.to_text() for x in r} == zone[key], key
    return True


@pytest.mark.parametrize("name,rdtype", [
    ("www", "A"), ("www", "AAAA"), ("alias", "A"), ("x.w", "A"),
    ("@", "MX"), ("_s._tcp", "SRV"), ("svc", "HTTPS")])
def test_decided_and_signed_for_everybody(edge, name, rdtype):
    name = "sig.test" if name == "@" else f"{name}.sig.test"
    keys = zone_keys(edge, "sig.test")
    # hints of an HTTPS record are data of the zone
    never = [HIDDEN] if rdtype == "HTTPS" else [HIDDEN, PLACEHOLDER]
    for r in every_way(edge, name, rdtype, never=never):
        assert r.answer
        assert not faults(r, "sig.test", keys,
                          bool(r.ednsflags & dns.flags.DO), True)
        if rdtype in ("A", "AAAA"):
            assert at(r, OWN.name, rdtype)
            assert at(r, OWN.name, rdtype) <= OWN.all(PRIMARY, rdtype)
    assert "; fully validated" in delv(edge, "sig.test", name, rdtype)


def test_what_is_not_decided_is_the_zones(edge):
    zone = transferred(edge, "sig.test")
    mine = {(dns.name.from_text(OWN.name), t, c) for t in ("A", "AAAA")
            for t, c in ((dns.rdatatype.from_text(t), 0),
                         (dns.rdatatype.RRSIG, dns.rdatatype.from_text(t)))}
    zone = {k: v for k, v in zone.items() if k not in mine}
    for name, rdtype in (("www", "A"), ("www", "ANY"), ("alias", "AAAA"),
                         ("@", "MX"), ("_s._tcp", "SRV"), ("@", "ANY"),
                         ("svc", "HTTPS"), ("www", "RRSIG")):
        name = "sig.test" if name == "@" else f"{name}.sig.test"
        for how in ({"do": True}, {"do": True, "tcp": True},
                    {"do": True, "tcp": True, "source": FULL},
                    {"tcp": True, "source": FULL}):
            r = ask(edge, name, rdtype, **how)
            assert r.answer and is_of(r, zone, "sig.test")
            assert HIDDEN not in tiers(r)


def test_the_name_of_another_family_is_denied_by_the_zone(edge):
    r = ask(edge, "www.sig.test", "CAA", do=True)
    assert not r.answer
    assert dns.rdatatype.NSEC in {x.rdtype for x in r.authority}
    assert "negative response, fully validated" in delv(
        edge, "sig.test", "www.sig.test", "CAA")


def test_chains_between_signed_and_unsigned(edge):
    zone = transferred(edge, "sig.test")
    keys = zone_keys(edge, "sig.test")
    for do in (False, True):
        how = {"rd": True, "do": do, "source": RECURSIVE}
        r = ask(edge, "to-signed.ord.test", **how)
        assert at(r, OWN.name, "A") <= OWN.all(PRIMARY)
        assert tiers(r) == {PRIMARY}
        assert not faults(r, "sig.test", keys, do)
        r = ask(edge, "to-plain.sig.test", **how)
        assert at(r, PLAIN.name, "A") <= PLAIN.all(PRIMARY)
        assert tiers(r) == {PRIMARY} and is_of(r, zone, "sig.test")
    for r in every_way(edge, "to-domain.sig.test"):
        assert at(r, DOMAIN.name, "A") <= DOMAIN.all(PRIMARY)
        assert at(r, DOMAIN.name, "A") and is_of(r, zone, "sig.test")
        signed = {x.covers for x in r.answer
                  if x.rdtype == dns.rdatatype.RRSIG}
        assert signed == ({dns.rdatatype.CNAME} if r.ednsflags
                          & dns.flags.DO else set())


# -- edge zones --------------------------------------------------------------

def test_a_signed_edge_zone_is_served_as_it_is(edge, origin, signed):
    zone = transferred_from_text(signed)
    for _ in range(2):  # miss and hit
        for name, rdtype in (("www", "A"), ("www", "AAAA"), ("alias", "A"),
                             ("@", "MX"), ("x.w", "A"), ("www", "ANY"),
                             ("svc", "HTTPS")):
            name = "se.test" if name == "@" else f"{name}.se.test"
            ways = [w for w in WAYS if rdtype != "ANY" or w.get("tcp")]
            for r in every_way(edge, name, rdtype, never=[PRIMARY, HIDDEN],
                               ways=ways):
                assert r.answer and is_of(r, zone, "se.test")
                if rdtype in ("A", "AAAA"):
                    assert at(r, EDGED.name, rdtype) == EDGED.placeholders(
                        rdtype)
    for name, rdtype in (("www", "A"), ("alias", "AAAA"), ("svc", "HTTPS")):
        assert "; fully validated" in signed.delv(
            edge, f"{name}.se.test", rdtype)
    # A chain that leads there is left to the resolver.
    for r in every_way(edge, "to-edge.ord.test"):
        assert not tiers(r)


def transferred_from_text(signed):
    z = dns.zone.from_text(signed.text, "se.test", relativize=False,
                           check_origin=False)
    return {(name, r.rdtype, r.covers): {x.to_text() for x in r}
            for name, node in z.nodes.items() for r in node.rdatasets}


def test_a_chain_out_of_a_signed_edge_zone(edge):
    """Nothing of it is touched, and the resolver asks for the rest."""
    for name in ("to-domain.se.test", "to-plain.se.test"):
        for r in every_way(edge, name):
            assert not tiers(r) and at(r, name, "CNAME")


def test_log_and_status_say_so(edge):
    edge.wait_log(r"zone 'se\.test' is signed: its hostnames are served as")
    assert explain(edge, EDGED)["where"].startswith("edge zone, signed")
    names = {x["name"]: x for x in edge.status()["traffic"]["names"]}
    assert names[EDGED.name]["where"].startswith("edge zone, signed")
    assert names[OWN.name]["where"] == "named's zone, signed"
    assert names[DOMAIN.name]["where"] == "domain"


def test_a_zone_that_becomes_signed_and_unsigned(edge, origin):
    wait_for(lambda: explain(edge, CHANGING)["where"] == "edge zone",
             "the survey")
    for name in ("www.chg.test", "alias.chg.test"):
        for r in every_way(edge, name):
            assert at(r, CHANGING.name, "A") <= CHANGING.all(PRIMARY)
    text = SignedZone("chg.test", zone_text(CHG, serial=2)).text
    origin.change("chg.test", text)
    mark = edge.mark()
    ask(edge, "chg.test", "MX")  # what is learned from any at the apex
    edge.wait_log(r"zone 'chg\.test' is signed", mark)
    for do in (True, False):
        for _ in range(2):
            r = ask(edge, "www.chg.test", do=do)
            assert at(r, CHANGING.name, "A") == CHANGING.placeholders()
            assert bool(at(r, CHANGING.name, "RRSIG")) == do
    origin.change("chg.test", zone_text(CHG, serial=99))
    mark = edge.mark()
    ask(edge, "chg.test", "TXT")
    edge.wait_log(r"zone 'chg\.test' is no longer signed", mark)
    for r in every_way(edge, "www.chg.test"):
        assert at(r, CHANGING.name, "A") <= CHANGING.all(PRIMARY)


def test_what_is_below_the_apex_tells_nothing(edge, signed):
    """An origin may have a zone below, signed or not, and odd answers."""
    def handler(q, _):
        name = q.question[0].name
        if name.to_text().startswith("yx."):
            return answer_to(q, rcode=dns.rcode.YXDOMAIN)
        if name.to_text().startswith("empty."):
            return answer_to(q)
        if name.to_text().endswith(".kid.se.test."):
            return answer_to(q, rrset(name, 60, "TXT", "x"))
        return dns.query.tcp(q, origin.address, port=origin.port)

    with Origin({"se.test": signed.text}, what="one") as origin:
        with FakeOrigin(handler) as fake:
            other = F.put(Edge({"se.test": zone_of(fake)}, what="other"))
            with other:
                wait_for(lambda: "signed" in explain(other, EDGED)["where"],
                         "the survey")
                for name in ("yx", "empty", "x.kid"):
                    ask(other, f"{name}.se.test", "TXT")
                    assert "signed" in explain(other, EDGED)["where"]
                    r = ask(other, EDGED.name, do=True)
                    assert at(r, EDGED.name, "A") == EDGED.placeholders()


def test_an_origin_that_wants_a_key(edge, origin):
    """The survey has none; the first client's question tells."""
    mark = origin.mark()
    for r in every_way(edge, "www.key.test"):
        assert at(r, KEYED.name, "A") <= KEYED.all(PRIMARY)
        assert tiers(r) == {PRIMARY}
    asked = origin.questions(mark, name="www.key.test")
    assert len(asked) == 1 and asked[0].key
