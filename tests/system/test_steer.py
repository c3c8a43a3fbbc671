# SPDX-License-Identifier: MPL-2.0
"""Hostnames in unsigned zones of named's own."""

import base64
import re
import subprocess

import dns.flags
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from nzlib import Edge, Origin, ask, wait_for, zone_of, zone_text
from nzlib.ask import tool
from nzlib.steer import (BACKUP, FULL, HIDDEN, HINTS, PLACEHOLDER, PRIMARY,
                         RECURSIVE, WAYS, Fleet, ask_way, at, counted,
                         counts, every_way, is_nodata, mix, tiers, types)

F = Fleet()
WWW = F.host("www.ord.test", backup=1, hidden=1, answers=2)
FOUR = F.host("four.ord.test", families="A")
NODATA = F.host("nodata.ord.test", fail="nodata")
SERVFAIL = F.host("servfail.ord.test", fail="servfail")
WILD = F.host("host.wild.ord.test")
BARE = F.host("bare.ord.test", hidden=1)
OTHER = F.host("www.oth.test")
APEX = F.host("oth.test")
CUT = F.host("ns.cut.oth.test")
DYNAMIC = F.host("www.dyn.test", hidden=1)
SECOND = F.host("www.sec.test", hidden=1)
DOMAIN = F.host("www.gslb.test")
EDGED = F.host("www.edge.test")
EMPTY6 = F.host("four.gslb.test", families="A")
GONE = F.host("none.ord.test")  # its zone has no records of that name
F.domains["gslb.test"] = {"ns": ["ns1.oth.test"]}


ECH = base64.b64encode(b"x" * 6000).decode()
ORD = f"""
{F.records("ord.test").replace("none A", ";").replace("none AAAA", ";")}
bare A {BARE.one(HIDDEN)}
www TXT "text"
www MX 10 www
@ MX 10 www
@ MX 20 plain
plain A 192.0.2.1
plain MX 5 www
four MX 5 four
_s._tcp SRV 0 5 80 www
_t._tcp SRV 0 5 80 www.oth.test.
@ NS www
alias CNAME www
alias2 CNAME alias
four-alias CNAME four
nodata-alias CNAME nodata
servfail-alias CNAME servfail
to-other CNAME www.oth.test.
to-domain CNAME www.gslb.test.
to-domain-4 CNAME four.gslb.test.
to-edge CNAME www.edge.test.
to-edge-alias CNAME alias.edge.test.
to-nowhere CNAME no.gslb.test.
*.wild A 192.0.2.70
tree DNAME wild
*.wa CNAME www
*.wg CNAME www.gslb.test.
www HTTPS 1 . alpn=h2 ipv4hint=10.1.9.1 ipv6hint=2001:db8:1:9::1
svc HTTPS 1 www alpn=h2,h3 port=443 ipv4hint=10.1.9.1
svc HTTPS 2 plain alpn=h2 ipv4hint=192.0.2.1
hint HTTPS 1 www mandatory=ipv4hint,alpn alpn=h2 ipv4hint=10.1.9.1
only HTTPS 1 www mandatory=ipv4hint ipv4hint=10.1.9.1
mode HTTPS 0 www
long HTTPS 1 www ech={ECH} ipv4hint=10.1.9.1
twin HTTPS 1 www alpn=h2 ipv4hint=10.1.9.1
twin HTTPS 1 www alpn=h2 ipv4hint=10.1.9.2
_b SVCB 1 www port=53 ipv6hint=2001:db8:1:9::1,2001:db8:1:9::2
"""
OTH = f"""
{F.records("oth.test")}
tree DNAME ord.test.
back CNAME alias.ord.test.
cut NS ns.cut
cut NS ns1
mail MX 1 www.ord.test.
"""


@pytest.fixture(scope="module")
def origin():
    with Origin({
            "edge.test": zone_text(F.records("edge.test")
                                   + "alias CNAME www"),
            "sec.test": zone_text(F.records("sec.test") + "@ MX 1 www")},
            options="allow-transfer { any; };") as o:
        yield o


def views(origin):
    """Four views, of which three share the zones of the first."""
    own = {"ord.test": zone_text(ORD, negative=60),
           "oth.test": zone_text(OTH),
           "dyn.test": zone_text(F.records("dyn.test"))}

    def body(e):
        first = "".join(
            f'zone "{z}" {{ type primary; allow-update {{ any; }};'
            f' file "{e.write(z + ".db", t)}"; }};\n'
            for z, t in own.items()) + f"""
zone "sec.test" {{ type secondary; file "sec.test.db";
    primaries {{ {origin.address} port {origin.port}; }}; }};"""
        rest = "".join(f'zone "{z}" {{ in-view "min"; }};\n'
                       for z in [*own, "sec.test"])
        return f"""
view "min" {{ match-clients {{ !{FULL}; !{RECURSIVE}; !127.0.0.32; any; }};
    {first} {e.plugin()} }};
view "full" {{ match-clients {{ {FULL}; }}; minimal-responses no;
    {rest} {e.plugin()} }};
view "rec" {{ match-clients {{ {RECURSIVE}; }}; recursion yes;
    allow-recursion {{ any; }}; minimal-responses no;
    zone "." {{ type hint; file "{e.write("hints.db", HINTS)}"; }};
    {rest} {e.plugin()} }};
view "any" {{ match-clients {{ any; }}; minimal-any yes;
    {rest} {e.plugin()} }};"""
    return body


@pytest.fixture(scope="module")
def edge(origin):
    e = Edge({"edge.test": zone_of(origin)}, body=views(origin),
             options="allow-transfer { any; };")
    F.put(e)
    with e:
        for host in F.hosts:
            host.set(e, "up", "up", "up")
        e.wait_log("zone sec.test/IN.*: transferred serial")
        # Until the origin has said that it is not signed.
        wait_for(lambda: not ask(e, "www.edge.test").answer
                 or tiers(ask(e, "www.edge.test")) == {PRIMARY},
                 "the edge zone to be known")
        yield e


def decided(r, host, rdtype="A", tier=PRIMARY, name=None, n=None):
    got = at(r, name or host.name, rdtype)
    assert got and got <= host.all(tier, rdtype), r.to_text()
    assert n is None or len(got) == n
    sets = [x for x in r.answer if dns.rdatatype.to_text(x.rdtype) == rdtype]
    assert [x.ttl for x in sets] == [30]
    return True


@pytest.mark.parametrize("rdtype", ["A", "AAAA"])
def test_addresses_are_swapped(edge, rdtype):
    with counted(edge, WWW) as more:
        for r in every_way(edge, "www.ord.test", rdtype):
            assert decided(r, WWW, rdtype, n=2)
            assert types(r, "answer") == [rdtype]
    assert more["decisions"] == len(WAYS)


def test_sections_are_as_named_makes_them(edge):
    """Only the answer's records change: authority and all else stay."""
    for how in ({}, {"source": FULL}, {"source": FULL, "do": True}):
        ours, plain = (ask(edge, f"{n}.ord.test", **how)
                       for n in ("www", "plain"))
        assert types(ours, "authority") == types(plain, "authority")
        assert types(ours, "answer") == types(plain, "answer")
        assert ours.flags == plain.flags


def test_the_owner_is_spelled_as_named_spells_it(edge):
    for name in ("www.ord.test", mix("www.ord.test")):
        ours = ask(edge, name).answer[0].name.to_text(True)
        text = ask(edge, name, "TXT").answer[0].name.to_text(True)
        assert ours == text


def test_other_types_stay(edge):
    for r in every_way(edge, "www.ord.test", "TXT"):
        assert at(r, WWW.name, "TXT") == {'"text"'}
    for r in every_way(edge, "www.ord.test", "CAA"):
        assert is_nodata(r, "ord.test", 60)


def test_a_family_without_servers_is_nodata(edge):
    for r in every_way(edge, "four.ord.test", "AAAA"):
        assert is_nodata(r, "ord.test", 60)
    for r in every_way(edge, "four-alias.ord.test", "AAAA"):
        assert at(r, "four-alias.ord.test", "CNAME") == {"four.ord.test."}
        assert is_nodata(r, "ord.test", 60)


def test_a_name_that_the_zone_does_not_have(edge):
    """Without placeholders there is nothing to swap: named's own answer."""
    for r in every_way(edge, "none.ord.test", rcode="NXDOMAIN"):
        assert not r.answer


def test_fail_nodata(edge):
    NODATA.set(edge, "down")
    for r in every_way(edge, "nodata.ord.test"):
        assert is_nodata(r, "ord.test", 60)
    for r in every_way(edge, "nodata-alias.ord.test"):
        assert is_nodata(r, "ord.test", 60)
    NODATA.set(edge, "up")
    for r in every_way(edge, "nodata.ord.test"):
        assert decided(r, NODATA)


def test_fail_servfail(edge):
    SERVFAIL.set(edge, "down")
    for name in ("servfail.ord.test", "servfail-alias.ord.test"):
        for how in WAYS:
            how = {k: v for k, v in how.items() if k != "mixed"}
            r = ask(edge, name, **how)
            assert r.rcode() == dns.rcode.SERVFAIL and not r.answer
    r = ask(edge, "servfail.ord.test", "ANY", tcp=True)
    assert r.rcode() == dns.rcode.NOERROR and not tiers(r)
    SERVFAIL.set(edge, "up")
    for r in every_way(edge, "servfail.ord.test"):
        assert decided(r, SERVFAIL)


@pytest.mark.parametrize("name,host", [
    ("alias.ord.test", WWW), ("alias2.ord.test", WWW),
    ("x.wa.ord.test", WWW), ("x.wg.ord.test", DOMAIN),
    ("to-domain.ord.test", DOMAIN), ("to-edge.ord.test", EDGED),
    ("host.tree.ord.test", WILD),
])
@pytest.mark.parametrize("rdtype", ["A", "AAAA"])
def test_chains(edge, name, host, rdtype):
    # also for those who may ask named to recurse: it has nobody to ask
    ways = [ask_way(edge, name, rdtype, {"rd": True, "source": RECURSIVE,
                                         **how})
            for how in ({}, {"tcp": True}, {"do": True}, {"mixed": True})]
    for r in [*every_way(edge, name, rdtype), *ways]:
        assert decided(r, host, rdtype)
        assert at(r, name, "CNAME")
        assert not [x for x in r.authority
                    if x.rdtype == dns.rdatatype.SOA], r.to_text()


@pytest.mark.parametrize("name,host", [
    ("to-other.ord.test", OTHER), ("back.oth.test", WWW),
    ("www.tree.oth.test", WWW), ("alias.tree.oth.test", WWW),
])
def test_chains_across_zones(edge, name, host):
    """named follows them only for those who may ask it to recurse."""
    for rdtype in ("A", "AAAA"):
        for r in every_way(edge, name, rdtype):
            assert set(types(r, "answer")) <= {"CNAME", "DNAME"}
        for how in ({}, {"tcp": True}, {"do": True}, {"mixed": True}):
            r = ask_way(edge, name, rdtype, {"rd": True, "source": RECURSIVE,
                                             **how})
            assert decided(r, host, rdtype) and tiers(r) == {PRIMARY}


def test_a_chain_into_a_family_without_servers(edge):
    for r in every_way(edge, "to-domain-4.ord.test", "AAAA"):
        assert types(r, "answer") == ["CNAME"]


def test_a_chain_that_no_hostname_ends(edge):
    """What is not a hostname is for the resolver to ask about."""
    for name in ("to-nowhere", "to-edge-alias"):
        for r in every_way(edge, f"{name}.ord.test"):
            assert types(r, "answer") == ["CNAME"]


def test_a_chain_asked_by_type(edge):
    for r in every_way(edge, "alias.ord.test", "CNAME"):
        assert types(r, "answer") == ["CNAME"]
    for r in every_way(edge, "to-domain.ord.test", "TXT"):
        assert types(r, "answer") == ["CNAME"]


def test_wildcard_beside(edge):
    for r in every_way(edge, "host.wild.ord.test"):
        assert decided(r, WILD)
    for r in every_way(edge, "other.wild.ord.test"):
        assert at(r, "other.wild.ord.test", "A") == {"192.0.2.70"}


@pytest.mark.parametrize("how", [
    {"tcp": True}, {}, {"payload": 1232}, {"source": FULL}, {"do": True}])
def test_any(edge, how):
    r = ask(edge, "www.ord.test", "ANY", **how)
    assert tiers(r) == {PRIMARY}
    assert decided(r, WWW, "A") and at(r, WWW.name, "TXT")
    assert at(r, WWW.name, "AAAA") <= WWW.all(PRIMARY, "AAAA")
    assert at(r, WWW.name, "MX") and at(r, WWW.name, "HTTPS")
    r = ask(edge, "four.ord.test", "ANY", **how)
    assert at(r, FOUR.name, "A") <= FOUR.all(PRIMARY)
    assert not at(r, FOUR.name, "AAAA") and tiers(r) == {PRIMARY}


def test_any_minimal(edge):
    for name in ("www.ord.test", "four.ord.test", "host.wild.ord.test"):
        for _ in range(4):
            r = ask(edge, name, "ANY", source="127.0.0.32")
            assert r.rcode() == dns.rcode.NOERROR
            assert not tiers(r) & {HIDDEN, PLACEHOLDER}
            assert len(r.answer) == 1 or is_nodata(r, "ord.test")


@pytest.mark.parametrize("name,rdtype,host", [
    ("ord.test", "MX", WWW), ("www.ord.test", "MX", WWW),
    ("plain.ord.test", "MX", WWW), ("_s._tcp.ord.test", "SRV", WWW),
    ("ord.test", "NS", WWW), ("svc.ord.test", "HTTPS", WWW),
    ("_b.ord.test", "SVCB", WWW), ("mode.ord.test", "HTTPS", WWW),
])
def test_additional_data(edge, name, rdtype, host):
    """With minimal-responses no, the addresses decided."""
    with counted(edge, host) as more:
        found = 0
        for r in every_way(edge, name, rdtype):
            assert r.answer
            for kind in ("A", "AAAA"):
                got = at(r, host.name, kind, "additional")
                assert got <= host.all(PRIMARY, kind)
                found += bool(got)
    assert found or rdtype in ("HTTPS", "SVCB")
    assert more.get("extra", 0) == found and "decisions" not in more


def test_additional_data_of_another_zone(edge):
    """As with chains: only for those who may ask named to recurse."""
    for name, rdtype, host in (("_t._tcp.ord.test", "SRV", OTHER),
                               ("mail.oth.test", "MX", WWW)):
        for r in every_way(edge, name, rdtype):
            assert not at(r, host.name, "A", "additional")
        r = ask(edge, name, rdtype, rd=True, source=RECURSIVE)
        assert at(r, host.name, "A", "additional") <= host.all(PRIMARY)
        assert tiers(r) == {PRIMARY}


def test_additional_data_without_servers_or_by_policy(edge):
    for r in every_way(edge, "four.ord.test", "MX"):
        assert at(r, "four.ord.test", "MX")
        assert not at(r, "four.ord.test", "AAAA", "additional")


def test_ns_in_the_authority_section_of_other_names(edge):
    r = ask(edge, "plain.ord.test", source=FULL)
    assert at(r, "ord.test", "NS", "authority")
    assert at(r, "www.ord.test", "A", "additional") <= WWW.all(PRIMARY)
    assert tiers(r) == {PRIMARY}


def test_referral_glue(edge):
    for r in every_way(edge, "x.cut.oth.test", aa=False):
        assert "ns.cut.oth.test." in at(r, "cut.oth.test", "NS", "authority")
        got = at(r, "ns.cut.oth.test", "A", "additional")
        assert got and got <= CUT.all(PRIMARY)
    # The hostname is below the cut: named has no answer of its own there.
    for r in every_way(edge, "ns.cut.oth.test", aa=False):
        assert at(r, "ns.cut.oth.test", "A", "additional") <= CUT.all(
            PRIMARY)


def test_a_hostname_at_the_apex(edge):
    for r in every_way(edge, "oth.test"):
        assert decided(r, APEX)
    for r in every_way(edge, "oth.test", "SOA"):
        assert at(r, "oth.test", "SOA")


@pytest.mark.parametrize("name,rdtype,want", [
    ("www", "HTTPS", {'1 . alpn="h2"'}),
    ("svc", "HTTPS", {'1 www.ord.test. alpn="h2,h3" port="443"',
                      '2 plain.ord.test. alpn="h2" ipv4hint="192.0.2.1"'}),
    ("hint", "HTTPS", {'1 www.ord.test. mandatory="alpn" alpn="h2"'}),
    ("only", "HTTPS", {"1 www.ord.test."}),
    ("mode", "HTTPS", {"0 www.ord.test."}),
    ("twin", "HTTPS", {'1 www.ord.test. alpn="h2"'}),
    ("_b", "SVCB", {'1 www.ord.test. port="53"'}),
])
def test_hints(edge, name, rdtype, want):
    for r in every_way(edge, f"{name}.ord.test", rdtype):
        got = {x.strip() for x in at(r, f"{name}.ord.test", rdtype)}
        assert got == want and len(r.answer[0]) == len(want)
        assert [x.ttl for x in r.answer] == [300]


def test_hints_of_a_long_record(edge):
    r = ask(edge, "long.ord.test", "HTTPS", tcp=True)
    text = r.answer[0][0].to_text()
    assert text.startswith("1 www.ord.test. ech=")
    assert PLACEHOLDER not in tiers(r)
    assert len(text) > 8000


def test_transfers_show_placeholders_and_nothing_hidden(edge):
    z = dns.zone.from_xfr(dns.query.xfr(
        edge.address, "ord.test", port=edge.port, relativize=False),
        relativize=False, check_origin=False)
    text = z.to_text().replace(BARE.one(HIDDEN) + "\n", "")
    assert tiers(text) == {PLACEHOLDER}
    assert WWW.placeholders() <= set(re.findall(r"10\.1\.9\.\d", text))


def test_a_hidden_server_in_the_zone_is_told(edge):
    mark = edge.mark()
    with counted(edge, BARE) as more:
        for r in every_way(edge, "bare.ord.test"):
            assert decided(r, BARE)
    assert more["exposed"] == len(WAYS)
    edge.wait_log(rf"hostname 'bare\.ord\.test'.*hidden server "
                  rf"'{BARE.id(HIDDEN)}'", 0)
    assert len(re.findall("bare.ord.test.*hidden", edge.log(mark))) <= 2
    assert counts(edge, WWW)["exposed"] == 0


def test_backup_and_hidden_when_their_turn_comes(edge):
    try:
        WWW.set(edge, primary="down")
        with counted(edge, WWW) as more:
            for r in every_way(edge, "www.ord.test"):
                assert decided(r, WWW, tier=BACKUP)
        assert more["backup"] == len(WAYS)
        WWW.set(edge, backup="down")
        for r in every_way(edge, "alias.ord.test", never=[PLACEHOLDER]):
            assert decided(r, WWW, tier=HIDDEN)
    finally:
        WWW.set(edge, "up", "up")


def update(edge, *lines):
    text = "\n".join([f"server {edge.address} {edge.port}", *lines, "send"])
    done = subprocess.run([tool("nsupdate")], input=text + "\n", text=True,
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done


def test_a_zone_changed_by_update(edge):
    for r in every_way(edge, "www.dyn.test"):
        assert decided(r, DYNAMIC)
    update(edge, "zone dyn.test",
           f"update delete www.dyn.test AAAA {DYNAMIC.one(9, 1, 'AAAA')}",
           "update add www.dyn.test 77 A 10.10.9.7",
           "update add dyn.test 300 MX 1 www.dyn.test",
           "update add new.dyn.test 300 CNAME www.dyn.test")
    for rdtype in ("A", "AAAA"):
        for r in every_way(edge, "www.dyn.test", rdtype):
            assert decided(r, DYNAMIC, rdtype)
    for r in every_way(edge, "new.dyn.test"):
        assert decided(r, DYNAMIC)
    for r in every_way(edge, "dyn.test", "MX"):
        assert at(r, "www.dyn.test", "A", "additional") <= DYNAMIC.all(1)
    # Taken out of the zone: named says so.
    update(edge, "zone dyn.test", "update delete www.dyn.test A",
           "update delete www.dyn.test AAAA")
    for r in every_way(edge, "www.dyn.test", rcode="NXDOMAIN"):
        assert not r.answer
    update(edge, "zone dyn.test", "update add www.dyn.test 77 A 10.10.9.7")
    for r in every_way(edge, "www.dyn.test"):
        assert decided(r, DYNAMIC)
    # The update's journal: an incremental transfer.
    text = "".join(m.to_text() for m in dns.query.xfr(
        edge.address, "dyn.test", "IXFR", serial=1, port=edge.port))
    assert tiers(text) == {PLACEHOLDER}


def test_a_secondary_zone(edge, origin):
    for r in every_way(edge, "www.sec.test"):
        assert decided(r, SECOND)
    for r in every_way(edge, "sec.test", "MX"):
        assert at(r, "www.sec.test", "A", "additional") <= SECOND.all(1)
    mark = edge.mark()
    origin.change("sec.test", zone_text(
        F.records("sec.test") + "@ MX 1 www\nwww A 10.11.9.9\n"
        "al CNAME www", serial=2))
    edge.rndc("refresh", "sec.test", "IN", "min")
    edge.wait_log(r"zone sec.test/IN.*: transferred serial 2", mark)
    for name in ("www.sec.test", "al.sec.test"):
        for r in every_way(edge, name):
            assert decided(r, SECOND)


def test_a_zone_that_is_loaded_again(edge):
    edge.rndc("freeze", "oth.test", "IN", "min")
    edge.rndc("reload", "oth.test", "IN", "min")
    for r in every_way(edge, "www.oth.test"):
        assert decided(r, OTHER)
    edge.rndc("thaw", "oth.test", "IN", "min")
    for r in every_way(edge, "www.oth.test", "AAAA"):
        assert decided(r, OTHER, "AAAA")
