# SPDX-License-Identifier: MPL-2.0
"""Signed zones through the edge: validators must be content."""

import dns.flags
import dns.rdatatype
import pytest

from nzlib import Edge, Origin, SignedZone, ask, zone_of, zone_text

RECORDS = """
www A 192.0.2.1
www A 192.0.2.2
alias CNAME www
*.wild A 192.0.2.3
a.b.ent A 192.0.2.4
sub NS ns.sub
ns.sub A 192.0.2.5
$GENERATE 1-40 h$ A 192.0.2.7
"""


@pytest.fixture(scope="module", params=["nsec", "nsec3"])
def zone(request):
    return SignedZone("example.com", zone_text(RECORDS),
                      nsec3=request.param == "nsec3")


@pytest.fixture(scope="module")
def origin(zone):
    with Origin({"example.com": zone.text}) as o:
        yield o


@pytest.fixture(scope="module")
def edge(origin):
    with Edge({"example.com": zone_of(origin)}) as e:
        yield e


@pytest.mark.parametrize("name,rdtype,says", [
    ("www", "A", "; fully validated"),
    ("alias", "A", "; fully validated"),
    ("foo.wild", "A", "; fully validated"),
    ("example.com.", "DNSKEY", "; fully validated"),
    ("example.com.", "SOA", "; fully validated"),
    ("www", "TXT", "; negative response, fully validated"),
    ("b.ent", "A", "; negative response, fully validated"),
    ("sub", "DS", "; negative response, fully validated"),
    ("nowhere", "A", "; negative response, fully validated"),
    ("foo.wild", "TXT", "; negative response, fully validated"),
])
def test_delv_validates(origin, edge, zone, name, rdtype, says):
    name = name if name.endswith(".") else f"{name}.example.com."
    zone.delv(edge, name, rdtype)  # a miss, unless another test asked
    mark = origin.mark()
    assert says in zone.delv(edge, name, rdtype)
    assert origin.questions(mark) == []


def has_dnssec(message):
    kinds = {dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
    return any(r.rdtype in kinds for section in (
        message.answer, message.authority, message.additional)
        for r in section)


@pytest.mark.parametrize("first_do", [True, False])
@pytest.mark.parametrize("name,rdtype,rcode", [
    ("h{}", "A", 0), ("h{}", "TXT", 0), ("none{}", "A", 3),
    ("w{}.wild", "A", 0)])
def test_both_forms_from_one_question(origin, edge, first_do, name, rdtype,
                                      rcode):
    name = name.format(10 if first_do else 20) + ".example.com"
    mark = origin.mark()
    for do in (first_do, not first_do, first_do):
        r = ask(edge, name, rdtype, do=do)
        assert r.rcode() == rcode
        assert has_dnssec(r) == do
        assert bool(r.ednsflags & dns.flags.DO) == do
        assert not r.flags & dns.flags.AD
    assert len(origin.questions(mark)) == 1


def test_signatures_when_asked_for_by_type(edge):
    for rdtype in ("RRSIG", "ANY", "DNSKEY"):
        r = ask(edge, "example.com", rdtype, tcp=True)
        assert r.answer and not r.ednsflags & dns.flags.DO
        types = {x.rdtype for x in r.answer}
        assert dns.rdatatype.from_text(rdtype) in types or (
            rdtype == "ANY" and dns.rdatatype.RRSIG in types)


def test_ad_is_never_set(edge):
    for _ in range(2):
        for how in ({"ad": True}, {"do": True}, {"ad": True, "cd": True}):
            r = ask(edge, "www.example.com", **how)
            assert not r.flags & dns.flags.AD
            assert bool(r.flags & dns.flags.CD) == how.get("cd", False)


def test_expired_signatures_are_not_kept_longer_than_they_hold(edge, zone):
    """TTLs never outlive the signatures over them (RFC 4035, 5.3.3)."""
    r = ask(edge, "www.example.com", do=True)
    signature = next(x for x in r.answer
                     if x.rdtype == dns.rdatatype.RRSIG)[0]
    assert r.answer[0].ttl <= signature.original_ttl
    assert "fully validated" in zone.delv(edge, "www.example.com")
