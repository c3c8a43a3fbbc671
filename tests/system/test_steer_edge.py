# SPDX-License-Identifier: MPL-2.0
"""Hostnames in edge zones: the origin is not asked for what is decided, and
what it says of them is cut out of its other answers."""

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import Edge, Origin, ask, ede, wait_for, zone_of, zone_text
from nzlib.steer import (BACKUP, FULL, HIDDEN, PRIMARY, WAYS, Fleet, asked,
                         at, counted, every_way, is_nodata, tiers, types)

F = Fleet()
WWW = F.host("www.edge.test", backup=1, hidden=1, answers=2)
FOUR = F.host("four.edge.test", families="A")
ONLY6 = F.host("six.edge.test", families="AAAA")
MISSING = F.host("missing.edge.test")
CHAINED = F.host("chained.edge.test")
NODATA = F.host("nodata.edge.test", fail="nodata")
SERVFAIL = F.host("servfail.edge.test", fail="servfail")
APEX = F.host("edge.test")
CUT = F.host("ns.cut.edge.test")
BELOW = F.host("a.b.c.edge.test")
DOMAIN = F.host("www.gslb.test")
OTHER = F.host("www.two.test")
OWN = F.host("www.own.edge.test")
DEEP = F.host("www.deep.ent.edge.test")
F.domains["gslb.test"] = {"ns": ["ns1.edge.test"]}

SKIP = ("missing ", "chained ", "a.b.c ", "six A ", "www.own ", "www.deep ")
RECORDS = "".join(
    line + "\n" for line in F.records("edge.test").splitlines()
    if not line.startswith(SKIP)) + """
www TXT "text"
@ MX 10 www
@ MX 20 plain
@ NS www
plain A 192.0.2.1
chained CNAME elsewhere.test.
alias CNAME www
alias2 CNAME alias
to-chained CNAME chained
to-missing CNAME missing
to-domain CNAME www.gslb.test.
to-two CNAME www.two.test.
to-four CNAME four
nodata-alias CNAME nodata
servfail-alias CNAME servfail
tree DNAME edge.test.
*.w CNAME www
*.c A 192.0.2.9
_s._tcp SRV 0 5 80 www
www HTTPS 1 . alpn=h2 ipv4hint=10.1.9.1 ipv6hint=2001:db8:1:9::1
svc HTTPS 1 www alpn=h2 port=443 ipv4hint=10.1.9.1
svc HTTPS 2 plain alpn=h2 ipv4hint=192.0.2.1
hint HTTPS 1 www mandatory=ipv4hint,alpn alpn=h2 ipv4hint=10.1.9.1
_b SVCB 1 www port=53 ipv6hint=2001:db8:1:9::1,2001:db8:1:9::2
cut NS ns.cut
cut NS plain
own NS plain
"""
OWN_ZONE = zone_text(F.records("own.edge.test"))


@pytest.fixture(scope="module")
def origin():
    with Origin({"edge.test": zone_text(RECORDS, ttl=600, negative=60),
                 "two.test": zone_text(F.records("two.test")
                                       + "plain A 192.0.2.1")}) as o:
        yield o


def views(e):
    return f"""
view "min" {{ match-clients {{ !{FULL}; !127.0.0.32; any; }};
    zone "own.edge.test" {{ type primary;
        file "{e.write("own.db", OWN_ZONE)}"; }};
    {e.plugin()} }};
view "full" {{ match-clients {{ {FULL}; }}; minimal-responses no;
    zone "own.edge.test" {{ in-view "min"; }}; {e.plugin()} }};
view "any" {{ match-clients {{ any; }}; minimal-any yes;
    zone "own.edge.test" {{ in-view "min"; }}; {e.plugin()} }};"""


def start(origin, **more):
    e = Edge({"edge.test": zone_of(origin, **more),
              "two.test": zone_of(origin, **more)}, body=views)
    F.put(e).start()
    for host in F.hosts:
        host.set(e, "up", "up", "up")
    return e


@pytest.fixture(scope="module")
def edge(origin):
    e = start(origin)
    try:
        for host in (WWW, OTHER):
            ask(e, host.name)
        yield e
    except BaseException:
        e.kill()
        raise
    e.stop()


@pytest.fixture(params=["miss", "hit"])
def path(request, edge):
    """Each answer from the origin, or all from memory."""
    def again():
        if request.param == "miss":
            edge.nzctl("purge", "--zone", "edge.test")
    return again


def ways(edge, name, rdtype="A", again=None, some=WAYS, **more):
    """As every_way(), with a call of 'again' before each way."""
    for how in some:
        if again:
            again()
        yield from every_way(edge, name, rdtype, ways=[how], **more)


def decided(r, host, rdtype="A", tier=PRIMARY, n=None):
    got = at(r, host.name, rdtype)
    assert got and got <= host.all(tier, rdtype), r.to_text()
    assert n is None or len(got) == n
    assert {x.ttl for x in r.answer
            if dns.rdatatype.to_text(x.rdtype) == rdtype} == {30}
    return True


@pytest.mark.parametrize("host", [WWW, MISSING, CHAINED, APEX, BELOW],
                         ids=lambda h: h.name)
def test_decided_without_the_origin(edge, origin, host):
    mark = origin.mark()
    with counted(edge, host) as more:
        for rdtype in ("A", "AAAA"):
            for r in every_way(edge, host.name, rdtype):
                assert decided(r, host, rdtype)
                assert types(r, "answer") == [rdtype]
    assert more["decisions"] == 2 * len(WAYS)
    assert asked(origin, mark) == []


def test_the_zones_counters(edge):
    def steered():
        return next(z["counters"]["steered"] for z in edge.status()["zones"]
                    if z["id"] == "edge.test")
    before = steered()
    for _ in range(3):
        ask(edge, "www.edge.test")
    assert steered() == before + 3


def test_other_types_are_the_origins(edge, origin, path):
    mark = origin.mark()
    for r in ways(edge, "www.edge.test", "TXT", path):
        assert at(r, WWW.name, "TXT") == {'"text"'}
    for r in ways(edge, "www.edge.test", "CAA", path):
        assert is_nodata(r, "edge.test")
    assert {q.rdtype for q in asked(origin, mark)} <= {"TXT", "CAA"}


def test_a_hostname_exists_whatever_the_origin_says(edge, path):
    for r in ways(edge, "missing.edge.test", "TXT", path):
        assert is_nodata(r, "edge.test")
    for r in ways(edge, "missing.edge.test", "HTTPS", path):
        assert is_nodata(r, "edge.test")
    for r in ways(edge, "absent.edge.test", "TXT", path, rcode="NXDOMAIN"):
        assert not r.answer


def test_a_name_above_a_hostname_exists_too(edge, path):
    """The origin knows nothing of it: NXDOMAIN would deny what is below it
    (RFC 8020)."""
    for name in ("ent.edge.test", "deep.ent.edge.test"):
        for r in ways(edge, name, "A", path):
            assert is_nodata(r, "edge.test")
    for name in ("x.ent.edge.test", "x.www.deep.ent.edge.test"):
        for r in ways(edge, name, "A", path, rcode="NXDOMAIN"):
            assert not r.answer
    for r in ways(edge, DEEP.name, "A", path):
        assert decided(r, DEEP)


def test_a_family_without_servers(edge, path):
    """From the origin, and never its placeholders."""
    for r in ways(edge, "four.edge.test", "AAAA", path):
        assert not at(r, FOUR.name, "AAAA")
    for r in ways(edge, "six.edge.test", "A", path):
        assert is_nodata(r, "edge.test")
    for r in ways(edge, "to-four.edge.test", "AAAA", path):
        assert types(r, "answer") == ["CNAME"]


def test_fail_nodata(edge, path):
    NODATA.set(edge, "down")
    try:
        for r in ways(edge, "nodata.edge.test", "A", path):
            assert not r.answer
        for r in ways(edge, "nodata-alias.edge.test", "A", path):
            assert types(r, "answer") == ["CNAME"]
    finally:
        NODATA.set(edge, "up")
    for r in ways(edge, "nodata-alias.edge.test", "A", path):
        assert decided(r, NODATA)


def test_fail_servfail(edge, path):
    SERVFAIL.set(edge, "down")
    for name in ("servfail.edge.test", "servfail-alias.edge.test"):
        for how in ({}, {"tcp": True}, {"do": True}, {"source": FULL}):
            path()
            r = ask(edge, name, **how)
            assert r.rcode() == dns.rcode.SERVFAIL and not r.answer
    path()
    r = ask(edge, "servfail.edge.test", "ANY", tcp=True)
    assert r.rcode() == dns.rcode.NOERROR and not tiers(r)
    SERVFAIL.set(edge, "up")
    for r in ways(edge, "servfail-alias.edge.test", "A", path):
        assert decided(r, SERVFAIL)


@pytest.mark.parametrize("name,host", [
    ("alias", WWW), ("alias2", WWW), ("to-chained", CHAINED),
    ("to-missing", MISSING), ("to-domain", DOMAIN), ("to-two", OTHER),
    ("x.w", WWW), ("www.tree", WWW), ("to-missing.tree", MISSING)])
@pytest.mark.parametrize("rdtype", ["A", "AAAA"])
def test_chains_are_cut_and_decided(edge, path, name, host, rdtype):
    for r in ways(edge, f"{name}.edge.test", rdtype, path):
        assert decided(r, host, rdtype)
        assert at(r, f"{name}.edge.test", "CNAME")
        assert "elsewhere" not in r.to_text()
        assert dns.rdatatype.SOA not in {x.rdtype for x in r.authority}


def test_a_chain_is_decided_for_each_client(edge, origin):
    WWW.set(edge, "up")
    assert decided(ask(edge, "alias.edge.test"), WWW)
    mark = origin.mark()
    WWW.set(edge, "down")
    for r in every_way(edge, "alias.edge.test"):
        assert decided(r, WWW, tier=BACKUP)
    WWW.set(edge, "up")
    for r in every_way(edge, "alias.edge.test"):
        assert decided(r, WWW)
    assert asked(origin, mark) == []


@pytest.mark.parametrize("rdtype", ["TXT", "HTTPS", "CNAME", "ANY"])
def test_an_origins_alias_at_a_hostname(edge, path, rdtype):
    """Whoever was told of it would follow it for addresses too."""
    some = [w for w in WAYS if w.get("tcp") or rdtype != "ANY"]
    for r in ways(edge, "chained.edge.test", rdtype, path, some):
        assert "elsewhere" not in r.to_text()
        assert set(types(r, "answer")) == ({"A", "AAAA"} if rdtype == "ANY"
                                           else set())
    if rdtype != "ANY":
        for r in ways(edge, "to-chained.edge.test", rdtype, path, some):
            assert types(r, "answer") == ["CNAME"]
            assert "elsewhere" not in r.to_text()


@pytest.mark.parametrize("name,rdtype", [
    ("edge.test", "MX"), ("_s._tcp.edge.test", "SRV"), ("edge.test", "NS"),
    ("svc.edge.test", "HTTPS"), ("_b.edge.test", "SVCB")])
def test_additional_data(edge, path, name, rdtype):
    with counted(edge, WWW) as more:
        found = 0
        for r in ways(edge, name, rdtype, path):
            assert r.answer
            for kind in ("A", "AAAA"):
                got = at(r, WWW.name, kind, "additional")
                assert got <= WWW.all(PRIMARY, kind)
                found += bool(got)
    assert found and more == {"extra": found}


def test_referral_glue(edge, path):
    for name in ("x.cut.edge.test", "cut.edge.test"):
        for r in ways(edge, name, "A", path, aa=False):
            assert at(r, "cut.edge.test", "NS", "authority")
            assert at(r, CUT.name, "A", "additional") <= CUT.all(PRIMARY)
            assert at(r, CUT.name, "A", "additional")
    # The hostname itself, below the cut, is ours to answer.
    for r in every_way(edge, CUT.name):
        assert decided(r, CUT)


@pytest.mark.parametrize("how", [
    {"tcp": True}, {}, {"payload": 1232}, {"source": FULL}, {"do": True}])
def test_any(edge, path, how):
    path()
    r = ask(edge, "www.edge.test", "ANY", **how)
    assert tiers(r) == {PRIMARY} and decided(r, WWW, n=2)
    assert decided(r, WWW, "AAAA", n=2)
    assert at(r, WWW.name, "TXT") and at(r, WWW.name, "HTTPS")
    path()
    r = ask(edge, "missing.edge.test", "ANY", **how)
    assert r.rcode() == dns.rcode.NOERROR and decided(r, MISSING)
    assert decided(r, MISSING, "AAAA")
    assert dns.rdatatype.SOA not in {x.rdtype for x in r.authority}
    path()
    r = ask(edge, "four.edge.test", "ANY", **how)
    assert decided(r, FOUR) and not at(r, FOUR.name, "AAAA")


def test_any_minimal(edge, path):
    for name in ("www.edge.test", "missing.edge.test", "four.edge.test"):
        for _ in range(4):
            path()
            r = ask(edge, name, "ANY", source="127.0.0.32")
            assert r.rcode() == dns.rcode.NOERROR
            assert not tiers(r) - {PRIMARY}
            assert len(r.answer) == 1, r.to_text()


@pytest.mark.parametrize("name,rdtype,want", [
    ("www", "HTTPS", {'1 . alpn="h2"'}),
    ("svc", "HTTPS", {'1 www.edge.test. alpn="h2" port="443"',
                      '2 plain.edge.test. alpn="h2" ipv4hint="192.0.2.1"'}),
    ("hint", "HTTPS", {'1 www.edge.test. mandatory="alpn" alpn="h2"'}),
    ("_b", "SVCB", {'1 www.edge.test. port="53"'}),
])
def test_hints(edge, path, name, rdtype, want):
    for r in ways(edge, f"{name}.edge.test", rdtype, path):
        assert {x.strip() for x in at(r, f"{name}.edge.test",
                                      rdtype)} == want


def test_a_zone_of_nameds_own_below(edge):
    for r in every_way(edge, "www.own.edge.test"):
        assert decided(r, OWN)
    for r in every_way(edge, "www.own.edge.test", "TXT"):
        assert is_nodata(r, "own.edge.test")


def test_what_has_no_hostname_goes_the_fast_path(edge):
    def raw():
        return edge.counter("raw")
    ask(edge, "plain.two.test")
    before = raw()
    for r in every_way(edge, "plain.two.test"):
        assert at(r, "plain.two.test", "A") == {"192.0.2.1"}
    assert raw() == before + len(WAYS)


# -- origins that do not answer ----------------------------------------------

def test_an_origin_that_is_dead_from_the_start(origin):
    origin.pause()
    try:
        e = start({"address": "127.0.0.77", "port": origin.port,
                   "transport": "tcp"})
        with_stop(e, dead_from_the_start)
    finally:
        origin.resume()


def with_stop(e, what):
    try:
        what(e)
    except BaseException:
        e.kill()
        raise
    e.stop()


def dead_from_the_start(e):
    wait_for(lambda: ask(e, "www.edge.test").answer, "the survey to give up")
    for rdtype in ("A", "AAAA"):
        for r in every_way(e, "www.edge.test", rdtype):
            assert decided(r, WWW, rdtype)
    for how in ({}, {"tcp": True}, {"do": True}):
        r = ask(e, "www.edge.test", "TXT", **how)
        assert r.rcode() == dns.rcode.SERVFAIL
        r = ask(e, "alias.edge.test", **how)
        assert r.rcode() == dns.rcode.SERVFAIL and not r.answer


def test_an_origin_that_dies(origin):
    """Decisions go on; aliases and others are stale, their ends decided."""
    with Origin({"edge.test": zone_text(RECORDS, ttl=1, negative=1),
                 "two.test": zone_text(F.records("two.test"))},
                what="mortal") as mortal:
        with_stop(start(mortal), lambda e: dies(e, mortal))


def dies(e, mortal):
    names = [("alias.edge.test", "A"), ("edge.test", "MX"),
             ("www.edge.test", "TXT"), ("missing.edge.test", "TXT"),
             ("www.edge.test", "HTTPS"), ("to-domain.edge.test", "A")]
    for name, rdtype in names:
        r = ask(e, name, rdtype)
        assert r.rcode() == dns.rcode.NOERROR and not ede(r)
    mortal.stop()
    for name, rdtype in names:
        e.wait_state(name, rdtype, "stale", "expired")
    for r in every_way(e, "www.edge.test"):
        assert decided(r, WWW)
    for how in WAYS:
        for r in every_way(e, "alias.edge.test", ways=[how]):
            assert decided(r, WWW)
            assert ede(r) == ([3] if r.edns >= 0 else [])
            assert {x.ttl for x in r.answer if x.rdtype
                    == dns.rdatatype.CNAME} == {30}
    for r in every_way(e, "to-domain.edge.test"):
        assert decided(r, DOMAIN)
    for r in every_way(e, "edge.test", "MX"):
        assert at(r, WWW.name, "A", "additional") <= WWW.all(PRIMARY)
    for r in every_way(e, "www.edge.test", "HTTPS"):
        assert at(r, WWW.name, "HTTPS") == {'1 . alpn="h2"'}
    for r in every_way(e, "missing.edge.test", "TXT"):
        assert not r.answer
    WWW.set(e, "down")
    for r in every_way(e, "alias.edge.test"):
        assert decided(r, WWW, tier=BACKUP)
    WWW.set(e, backup="down")
    for r in every_way(e, "alias.edge.test", never=[]):
        assert decided(r, WWW, tier=HIDDEN)
