# SPDX-License-Identifier: MPL-2.0
"""Hostnames where other parts of named, or of the zone, have a word too."""

import dns.rcode
import pytest

from nzlib import (Edge, Origin, SignedZone, ask, tsig_key, wait_for, zone_of,
                   zone_text)
from nzlib.steer import (HIDDEN, PRIMARY, Fleet, at, command, explain, feed,
                         tiers)

DNS64, POLICY = "127.0.0.51", "127.0.0.52"
F = Fleet()
WWW = F.host("www.ord.test", answers=1)
DEEP = F.host("x.ent.edge.test")
NEW = F.host("new.edge.test")
GLUE = F.host("ns.sub.edge.test", fail="nodata")
FAR = F.host("a.b.far.edge.test")
KEYED = F.host("www.key.test")
ENT_IN_DOMAIN = F.host("a.b.gslb.test")
F.domains["gslb.test"] = {"ns": ["ns1.ord.test"]}
F.domains["b.far.edge.test"] = {"ns": ["ns1.ord.test"]}

ORD = zone_text(F.records("ord.test") + """
to-ent CNAME b.gslb.test.
to-none CNAME c.gslb.test.
""")
EDGE = zone_text("""
plain A 192.0.2.1
alias CNAME new
to-ent CNAME ent
to-gone CNAME gone
sub NS ns.sub
ns.sub A 10.4.9.1
""")
POLICY_ZONE = """$TTL 300
@ SOA localhost. localhost. 1 3600 600 86400 300
@ NS localhost.
www.ord.test A 10.9.9.9
"""


@pytest.fixture(scope="module")
def origin():
    key = SignedZone("key.test", zone_text(F.records("key.test")
                                           + "dyn NS ns.dyn\nns.dyn A 1.2.3.4"))
    with Origin({"edge.test": EDGE}, body=lambda o: tsig_key(
            "edge-key", "secret") + f"""
zone "key.test" {{ type primary; allow-query {{ key "edge-key"; }};
    file "{o.write("key", key.text)}"; }};
zone "dyn.key.test" {{ type primary; allow-query {{ key "edge-key"; }};
    file "{o.write("dyn", zone_text("x A 192.0.2.7"))}"; }};""") as o:
        yield o


def views(e):
    ord_file = e.write("ord.db", ORD)
    policy = e.write("rpz.db", POLICY_ZONE)
    return tsig_key("edge-key", "secret") + f"""
view "sixtyfour" {{ match-clients {{ {DNS64}; }};
    dns64 64:ff9b::/96 {{ exclude {{ 2001:db8:1:9::1/128; }}; }};
    zone "ord.test" {{ type primary; file "{ord_file}"; }};
    {e.plugin()} }};
view "policy" {{ match-clients {{ {POLICY}; }};
    response-policy {{ zone "rpz.test"; }} recursive-only no;
    zone "rpz.test" {{ type primary; file "{policy}"; }};
    zone "ord.test" {{ in-view "sixtyfour"; }};
    {e.plugin()} }};
view "rest" {{ match-clients {{ any; }};
    zone "ord.test" {{ in-view "sixtyfour"; }};
    {e.plugin()} }};"""


@pytest.fixture(scope="module")
def edge(origin):
    keyed = zone_of(origin)
    keyed["origins"][0]["key"] = "edge-key"
    e = Edge({"edge.test": zone_of(origin), "key.test": keyed}, body=views)
    with F.put(e) as e:
        for host in F.hosts:
            host.set(e, "up", "up", "up")
        yield e


def twice(edge, name, rdtype="A", **how):
    """From the origin, and from memory."""
    edge.nzctl("purge", "--zone", "edge.test")
    yield ask(edge, name, rdtype, **how)
    for _ in range(3):
        yield ask(edge, name, rdtype, **how)


def test_dns64_with_exclusions(edge):
    """named has noted which of the zone's records it would leave out."""
    for how in ({}, {"tcp": True}, {"do": True}, {"rd": True}):
        r = ask(edge, WWW.name, "AAAA", source=DNS64, **how)
        assert at(r, WWW.name, "AAAA") <= WWW.all(PRIMARY, "AAAA")
        r = ask(edge, WWW.name, "A", source=DNS64, **how)
        assert at(r, WWW.name, "A") <= WWW.all(PRIMARY)


def test_a_response_policy_has_the_last_word(edge):
    for how in ({}, {"tcp": True}, {"rd": True}):
        r = ask(edge, WWW.name, source=POLICY, **how)
        assert at(r, WWW.name, "A") == {"10.9.9.9"}
    assert at(ask(edge, WWW.name), WWW.name, "A") <= WWW.all(PRIMARY)


def test_a_name_above_a_hostname_exists(edge):
    for rdtype in ("A", "TXT", "ANY"):
        for r in twice(edge, "ent.edge.test", rdtype):
            assert r.rcode() == dns.rcode.NOERROR and not r.answer
    for r in twice(edge, "other.edge.test"):
        assert r.rcode() == dns.rcode.NXDOMAIN


def test_a_name_above_a_domain_in_an_edge_zone_exists(edge):
    for r in twice(edge, "far.edge.test"):
        assert r.rcode() == dns.rcode.NOERROR and not r.answer
    r = ask(edge, FAR.name)
    assert at(r, FAR.name, "A") <= FAR.all(PRIMARY) and tiers(r) == {PRIMARY}


@pytest.mark.parametrize("name", ["alias.edge.test", "to-ent.edge.test"])
def test_an_alias_to_what_the_origin_does_not_know(edge, name):
    """A denial for one type would be believed for all (RFC 8020)."""
    for rdtype in ("HTTPS", "TXT", "MX"):
        for r in twice(edge, name, rdtype):
            assert r.rcode() == dns.rcode.NOERROR
            assert at(r, name, "CNAME")


def test_an_alias_to_what_is_not_there(edge):
    for rdtype in ("A", "TXT"):
        for r in twice(edge, "to-gone.edge.test", rdtype):
            assert r.rcode() == dns.rcode.NXDOMAIN


def test_an_alias_of_a_zone_into_a_domain(edge):
    r = ask(edge, "to-ent.ord.test", "TXT")
    assert r.rcode() == dns.rcode.NOERROR and at(r, "to-ent.ord.test", "CNAME")


def test_glue_stays_when_nothing_is_decided(edge):
    for r in twice(edge, "below.sub.edge.test"):
        assert at(r, GLUE.name, "A", "additional") <= GLUE.all(PRIMARY)
    GLUE.set(edge, "down")
    try:
        for r in twice(edge, "below.sub.edge.test"):
            assert at(r, GLUE.name, "A", "additional")
    finally:
        GLUE.set(edge, "up")


def test_a_child_does_not_speak_for_a_signed_zone(edge):
    """The origin of a zone with a key also has an unsigned child of it."""
    placeholders = KEYED.placeholders()
    for _ in range(2):
        r = ask(edge, KEYED.name, do=True)
        assert at(r, KEYED.name, "A") == placeholders
        assert at(r, KEYED.name, "RRSIG")
        assert ask(edge, "x.dyn.key.test").answer
        edge.nzctl("purge", "--zone", "key.test")
        assert ask(edge, "x.dyn.key.test").answer


def test_undrain_of_a_server_that_is_gone(edge):
    server = WWW.id(PRIMARY, 2)
    assert command(edge, "drain", server=server, reason="test")["ok"]
    with_it = dict(F.hostnames[WWW.name])
    edge.doc["hostnames"][WWW.name] = {**with_it,
                                       "servers": [WWW.id(PRIMARY, 1)]}
    place = edge.doc["pops"]["fra"]["servers"].pop(server)
    edge.write_json()
    edge.nzctl("reload")
    try:
        assert command(edge, "undrain", server=server)["was"] is True
        assert not command(edge, "undrain", server=server)["ok"]
    finally:
        edge.doc["pops"]["fra"]["servers"][server] = place
        edge.doc["hostnames"][WWW.name] = with_it
        edge.write_json()
        edge.nzctl("reload")


def test_a_row_older_than_the_clock(edge):
    """How old it is nobody can tell; so it is not taken for news."""
    rows = WWW.rows(PRIMARY, "down", age_s=10 * 365 * 86400)
    assert feed(edge, rows)["why"] == {"old": len(rows)}
    assert explain(edge, WWW)["rule"] == "up"
    assert HIDDEN not in tiers(ask(edge, WWW.name))
    wait_for(lambda: ask(edge, WWW.name).answer, "an answer")
