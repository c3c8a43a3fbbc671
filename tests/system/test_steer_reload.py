# SPDX-License-Identifier: MPL-2.0
"""Hostnames that come and go with the configuration, views, and what named's
own settings mean for them."""

import base64
import contextlib
import socket

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import pytest

from nzlib import (Edge, Load, Origin, ask, ask_together, tsig_key, wait_for,
                   zone_of, zone_text)
from nzlib.ask import make
from nzlib.base import patience
from nzlib.steer import (BACKUP, HINTS, PLACEHOLDER, PRIMARY, Fleet, asked, at,
                         command, counts, every_way, explain, tiers, types)

ONE = [{}, {"tcp": True}, {"do": True}]
RECORDS = """
alias CNAME new
@ MX 1 new
svc HTTPS 1 new alpn=h2 ipv4hint=10.2.9.1
new TXT "text"
new A 10.2.9.1
new AAAA 2001:db8:2:9::1
plain A 192.0.2.1
www A 10.1.9.1
www AAAA 2001:db8:1:9::1
third A 10.3.9.1
low.third A 192.0.2.3
"""


class Site:
    """A fleet of which hostnames are there or not."""

    def __init__(self):
        self.fleet = Fleet()
        self.www = self.fleet.host("www.edge.test", backup=1)
        self.new = self.fleet.host("new.edge.test")
        self.dom = self.fleet.host("www.gslb.test")
        self.own = self.fleet.host("www.ord.test")
        self.fleet.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
        self.all = dict(self.fleet.hostnames)
        self.servers = dict(self.fleet.servers)

    def put(self, edge, *without, reload=True):
        """The configuration with all hostnames but these, in force."""
        self.fleet.hostnames = {k: v for k, v in self.all.items()
                                if k not in without}
        used = {s for h in self.fleet.hostnames.values()
                for k in ("servers", "backup", "hidden")
                for s in h.get(k, ())}
        self.fleet.servers = {k: v for k, v in self.servers.items()
                              if k in used}
        edge.doc["serial"] += 1
        self.fleet.put(edge)
        if reload:
            edge.nzctl("reload")

    def up(self, edge):
        for host in self.fleet.hosts:
            if host.name in self.fleet.hostnames:
                host.set(edge, "up", "up", "up")


@pytest.fixture(scope="module")
def origin():
    with Origin({"edge.test": zone_text(RECORDS),
                 "two.test": zone_text("www A 10.9.9.1")}) as o:
        yield o


ORD = zone_text("www A 10.4.9.1\nwww AAAA 2001:db8:4:9::1\n"
                "to CNAME new.edge.test.\nfar CNAME www.gslb.test.")


def own_zone(e):
    return (f'zone "ord.test" {{ type primary;'
            f' file "{e.write("ord.db", ORD)}"; }};\n')


@pytest.fixture(scope="module")
def running(origin):
    e = Edge({"edge.test": zone_of(origin)},
             options="minimal-responses no;",
             body=lambda e: own_zone(e) + e.plugin())
    e.site = Site()
    e.site.put(e, reload=False)
    with e:
        yield e


@pytest.fixture
def edge(running):
    running.site.put(running)
    running.site.up(running)
    wait_for(lambda: tiers(ask(running, "www.edge.test")) == {PRIMARY},
             "the survey")
    return running


def stored(edge):
    """Asks for all that leads to the hostname 'new'."""
    for name, rdtype in (("alias", "A"), ("alias", "AAAA"), ("@", "MX"),
                         ("svc", "HTTPS"), ("new", "A"), ("new", "TXT")):
        owner = "edge.test" if name == "@" else f"{name}.edge.test"
        for r in every_way(edge, owner, rdtype, never=[], ways=ONE):
            yield (name, rdtype), r


def test_a_hostname_added_holds_for_stored_answers(edge, origin):
    site = edge.site
    site.put(edge, site.new.name)
    for what, r in stored(edge):
        if what[1] != "TXT":
            assert tiers(r) == {PLACEHOLDER}, (what, r.to_text())
    mark = origin.mark()
    site.put(edge)
    for what, r in stored(edge):
        assert PLACEHOLDER not in tiers(r), (what, r.to_text())
        if what[1] in ("A", "AAAA", "MX"):
            assert tiers(r) == {PRIMARY}
    assert asked(origin, mark) == []
    # Taken out: what the origin had said holds again, from memory.
    site.put(edge, site.new.name)
    for what, r in stored(edge):
        if what[1] != "TXT":
            assert tiers(r) == {PLACEHOLDER}, (what, r.to_text())
    assert asked(origin, mark) == []


def test_a_hostname_added_to_a_zone_of_nameds(edge):
    site = edge.site
    site.put(edge, site.own.name, site.dom.name)
    for r in every_way(edge, "www.ord.test", never=[], ways=ONE):
        assert tiers(r) == {PLACEHOLDER}
    for r in every_way(edge, "far.ord.test", ways=ONE):
        assert types(r, "answer") == ["CNAME"]
    for r in every_way(edge, "www.gslb.test", ways=ONE, rcode="NXDOMAIN"):
        assert not r.answer
    site.put(edge)
    for name in ("www.ord.test", "far.ord.test", "www.gslb.test"):
        for r in every_way(edge, name, ways=ONE):
            assert tiers(r) == {PRIMARY}


def test_a_domain_that_comes_and_goes(edge):
    site = edge.site
    domains = dict(site.fleet.domains)
    edge.doc.pop("domains", None)
    site.fleet.domains = {}
    site.put(edge, site.dom.name)
    assert ask(edge, "gslb.test", "SOA").rcode() == dns.rcode.REFUSED
    site.fleet.domains = domains
    site.put(edge)
    assert ask(edge, "gslb.test", "SOA").answer
    serial = ask(edge, "gslb.test", "SOA").answer[0][0].serial
    site.put(edge)
    assert ask(edge, "gslb.test", "SOA").answer[0][0].serial >= serial


def test_state_and_counters_are_kept(edge):
    site = edge.site
    for host in (site.www, site.dom, site.own):
        ask(edge, host.name)
    site.www.set(edge, "down")
    before = counts(edge, site.www)
    probes = command(edge, "probes", server=site.www.id(PRIMARY))["probes"]
    assert before["decisions"] > 0
    for without in ((), (site.new.name,), (site.dom.name,), ()):
        site.put(edge, *without)
        assert tiers(ask(edge, site.www.name)) == {BACKUP}
        before["decisions"] += 1
        before["backup"] += 1
        assert counts(edge, site.www) == before
    again = command(edge, "probes", server=site.www.id(PRIMARY))["probes"]
    assert [p["rows"] for p in again] == [p["rows"] for p in probes]
    assert again[0]["since_s"] >= probes[0]["since_s"]
    feed = edge.status()["traffic"]["feed"]
    assert feed["accepted"] >= 10


def test_a_server_taken_out_and_put_back(edge):
    """Another's state is not touched, its own begins anew; a drain is the
    operator's and stays."""
    site = edge.site
    name = site.new.id(PRIMARY, 1)
    site.new.set(edge, "down", only=1)
    assert command(edge, "drain", server=site.new.id(PRIMARY, 2),
                   reason="kept")["ok"]
    site.put(edge, site.new.name)
    assert command(edge, "servers", server=name)["ok"] is False
    assert tiers(ask(edge, site.www.name)) == {PRIMARY}
    site.put(edge)
    one, = command(edge, "servers", server=name)["servers"]
    assert one["state"] == "unknown"
    two, = command(edge, "servers", server=site.new.id(PRIMARY, 2))["servers"]
    assert two["state"] == "drained" and two["drained"]["reason"] == "kept"
    assert command(edge, "undrain", server=site.new.id(PRIMARY, 2))["was"]


def test_a_policy_that_changes(edge):
    site = edge.site
    old = site.all[site.www.name]
    try:
        for change, n, ttl in (
                ({"answers": 2}, 2, 30), ({"ttl": "5m"}, 1, 300),
                ({"servers": [site.www.id(PRIMARY, 2)]}, 1, 30)):
            site.all[site.www.name] = {**old, **change}
            site.put(edge)
            for r in every_way(edge, site.www.name, ways=ONE):
                assert len(r.answer[0]) == n and r.answer[0].ttl == ttl
        assert at(r, site.www.name, "A") == {site.www.one(PRIMARY, 2)}
        site.all[site.www.name] = {**old, "fail": "nodata", "backup": []}
        site.put(edge)
        site.www.set(edge, "down")
        assert not ask(edge, site.www.name).answer
    finally:
        site.all[site.www.name] = old
        site.put(edge)


def test_a_bad_file_changes_nothing(edge):
    site = edge.site
    text = '{"version": 1, "hostnames": {"www.edge.test": {"servers": 7}}}'
    edge.write_json(text)
    reply = edge.nzctl("reload", status=(1,))
    assert reply["ok"] is False and "hostnames" in reply["error"]
    for host in (site.www, site.dom, site.own):
        assert tiers(ask(edge, host.name)) == {PRIMARY}


@pytest.mark.parametrize("how", ["nzctl", "reconfig"])
def test_nothing_is_lost_under_load(edge, how):
    site = edge.site
    names = [site.www.name, site.dom.name, site.own.name, "alias.edge.test",
             "far.ord.test", "plain.edge.test"]
    load = Load(edge, names, rate=800)
    load.start()
    wait_for(lambda: sum(load.rcodes.values()) > 50, "the load to run")
    for i in range(6):
        site.put(edge, *([site.new.name] if i % 2 else []), reload=False)
        if how == "nzctl":
            edge.nzctl("reload")
        else:
            edge.rndc("reconfig")
        site.www.set(edge, "down" if i % 2 else "up")
    wait_for(lambda: edge.status()["config"]["serial"] == edge.doc["serial"],
             "the last configuration")
    load.finish()
    assert load.lost == [] and set(load.rcodes) == {0}


# -- views -------------------------------------------------------------------

def test_two_views_with_different_zones(origin):
    site = Site()
    site.fleet.host("www.two.test")
    site.all = dict(site.fleet.hostnames)
    site.servers = dict(site.fleet.servers)
    e = Edge({"edge.test": zone_of(origin), "two.test": zone_of(origin)},
             body=lambda e: f"""
view "one" {{ match-clients {{ 127.0.0.31; }};
    {e.plugin('zones { "edge.test"; };')} {own_zone(e)} }};
view "two" {{ match-clients {{ 127.0.0.32; }};
    {e.plugin('zones { "two.test"; };')} }};
view "none" {{ match-clients {{ any; }};
    zone "ord.test" {{ in-view "one"; }}; }};""")
    site.put(e, reload=False)
    with e:
        site.up(e)

        def said(source, name):
            r = ask(e, name, source=source)
            return (dns.rcode.to_text(r.rcode()), tiers(r))
        wait_for(lambda: said("127.0.0.31", "www.edge.test")[1] == {PRIMARY},
                 "the survey")
        up, no = ("NOERROR", {PRIMARY}), ("REFUSED", set())
        for name, one, two, none in (
                ("www.edge.test", up, no, no), ("www.two.test", no, up, no),
                ("www.gslb.test", up, up, no),
                ("www.ord.test", up, no, ("NOERROR", {PLACEHOLDER})),
                ("far.ord.test", up, no, ("NOERROR", set())),
                ("to.ord.test", up, no, ("NOERROR", set()))):
            assert said("127.0.0.31", name) == one, name
            assert said("127.0.0.32", name) == two, name
            assert said("127.0.0.33", name) == none, name


# -- named's own settings ----------------------------------------------------

KEY = tsig_key("client-key", "secret")


@pytest.fixture(scope="module")
def guarded(origin):
    """A view with a list, one with a limit, one with a key, one with
    recursion."""
    site = Site()
    site.www2 = site.fleet.host("www.ext.test")
    site.all = dict(site.fleet.hostnames)
    site.servers = dict(site.fleet.servers)
    outside = Origin({"ext.test": zone_text(
        "www A 10.5.9.1\nwww AAAA 2001:db8:5:9::1\nalias CNAME www\n"
        "to-own CNAME www.ord.test.\n@ MX 1 www")}, what="outside")
    shared = 'zone "ord.test" { in-view "rrl"; };'
    e = Edge({"edge.test": zone_of(origin)},
             options="response-padding { any; } block-size 128;",
             body=lambda e: KEY + f"""
view "acl" {{ match-clients {{ 127.0.0.41; 127.0.0.42; }}; {own_zone(e)}
    allow-query {{ 127.0.0.42; key "client-key"; }}; {e.plugin()} }};
view "rrl" {{ match-clients {{ 127.0.0.43; }}; {own_zone(e)}
    rate-limit {{ nxdomains-per-second 3; responses-per-second 200;
        window 2; slip 0; ipv4-prefix-length 32; }}; {e.plugin()} }};
view "rec" {{ match-clients {{ 127.0.0.44; }}; {shared} recursion yes;
    allow-recursion {{ any; }}; forward only; minimal-responses no;
    forwarders {{ {outside.address} port {outside.port}; }};
    zone "." {{ type hint; file "{e.write("hints.db", HINTS)}"; }};
    {e.plugin()} }};
view "key" {{ match-clients {{ any; }}; {shared} {e.plugin()} }};""")
    e.site = site
    site.put(e, reload=False)
    with outside, e:
        site.up(e)
        wait_for(lambda: tiers(ask(e, "www.edge.test")) == {PRIMARY},
                 "the survey")
        yield e


HOSTS = ("www.edge.test", "www.gslb.test", "www.ord.test")


def test_allow_query(guarded):
    decided = {n: counts(guarded, h) for n, h in zip(HOSTS, (
        guarded.site.www, guarded.site.dom, guarded.site.own))}
    for name in (*HOSTS, "gslb.test", "none.gslb.test"):
        for rdtype in ("A", "TXT", "ANY"):
            for how in ({}, {"tcp": True}, {"do": True}):
                r = ask(guarded, name, rdtype, source="127.0.0.41", **how)
                assert r.rcode() == dns.rcode.REFUSED
                assert not r.answer and not tiers(r)
    assert decided == {n: counts(guarded, h) for n, h in zip(HOSTS, (
        guarded.site.www, guarded.site.dom, guarded.site.own))}
    for name in HOSTS:
        assert tiers(ask(guarded, name, source="127.0.0.42")) == {PRIMARY}


def signed(edge, name, source, tcp=False, rdtype="A"):
    q = make(name, rdtype, do=True)
    q.use_tsig(dns.tsigkeyring.from_text({"client-key": (
        "hmac-sha256", base64.b64encode(b"secret").decode())}))
    send = dns.query.tcp if tcp else dns.query.udp
    return send(q, edge.address, port=edge.port, source=source, timeout=5)


@pytest.mark.parametrize("name", [*HOSTS, "alias.edge.test", "far.ord.test",
                                  "none.gslb.test", "gslb.test"])
@pytest.mark.parametrize("tcp", [False, True])
def test_questions_with_tsig(guarded, name, tcp):
    for source in ("127.0.0.41", "127.0.0.45"):
        r = signed(guarded, name, source, tcp)
        assert r.had_tsig
        assert r.rcode() == (dns.rcode.NXDOMAIN if name.startswith("none")
                             else dns.rcode.NOERROR)
        if name not in ("none.gslb.test", "gslb.test"):
            assert tiers(r) == {PRIMARY}


def test_padded_questions(guarded):
    """Padding (RFC 7830) is for answers over TCP."""
    pad = dns.edns.GenericOption(12, b"")
    for name in (*HOSTS, "none.gslb.test"):
        q = make(name, options=[pad])
        r = dns.query.tcp(q, guarded.address, port=guarded.port, timeout=5)
        wire = r.wire if hasattr(r, "wire") else r.to_wire()
        assert len(wire) % 128 == 0 or any(
            o.otype == 12 for o in r.options)
        assert (tiers(r) == {PRIMARY}) == (name != "none.gslb.test")


def burst(edge, names, source):
    """Sends all at once from one socket; how many were answered."""
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.settimeout(patience(0.3))
        for name in names:
            s.sendto(make(name).to_wire(), (edge.address, edge.port))
        with contextlib.suppress(socket.timeout):
            while s.recv(4096):
                answered += 1
    return answered


def test_a_flood_of_names_that_do_not_exist(guarded):
    """RRL counts them on the domain, whatever the name (named's way)."""
    mark = guarded.mark()
    names = [f"x{i}.gslb.test" for i in range(14)]
    assert 1 <= burst(guarded, names, "127.0.0.43") <= 6
    guarded.wait_log(r"limit NXDOMAIN responses to 127\.0\.0\.43/32 for "
                     r"gslb\.test", mark)
    # Those that exist are not hurt, nor is anybody else.
    for name in HOSTS:
        assert tiers(ask(guarded, name, source="127.0.0.43")) == {PRIMARY}
    assert all(r is not None for r in ask_together(
        guarded, [make(f"y{i}.gslb.test") for i in range(20)]))


def test_what_a_resolver_found_elsewhere(guarded):
    """A hostname whose name is resolved by recursion is not touched."""
    how = {"source": "127.0.0.44", "rd": True}
    for name, rdtype in (("www.ext.test", "A"), ("www.ext.test", "AAAA"),
                         ("alias.ext.test", "A"), ("ext.test", "MX"),
                         ("www.ext.test", "ANY")):
        for more in ({}, {"tcp": True}, {"do": True}):
            r = ask(guarded, name, rdtype, **how, **more)
            assert r.rcode() == dns.rcode.NOERROR and r.answer
            assert tiers(r) <= {PLACEHOLDER} and not r.flags & dns.flags.AA
            assert tiers(r) or rdtype == "MX"
    assert counts(guarded, guarded.site.www2)["decisions"] == 0
    assert explain(guarded, guarded.site.www2)["where"] == "named's zone"
    # But what is named's own is decided, also at the end of a chain.
    r = ask(guarded, "to-own.ext.test", **how)
    assert tiers(r) == {PRIMARY} and at(r, "www.ord.test", "A")
    for name in HOSTS:
        assert tiers(ask(guarded, name, **how)) == {PRIMARY}


def test_a_hostname_that_is_only_tried_becomes_one(edge_of_dry):
    """Also in answers that were stored while it was not."""
    e, host = edge_of_dry
    for dry in (True, False, True):
        e.doc["hostnames"][host.name]["dry-run"] = dry
        e.write_json()
        assert e.nzctl("reload")["ok"]
        want = host.placeholders() if dry else host.all(PRIMARY)
        for _ in range(2):
            r = ask(e, "edge.test", "MX")
            assert at(r, host.name, "A", "additional") <= want
            assert at(r, host.name, "A", "additional"), r.to_text()


@pytest.fixture
def edge_of_dry():
    fleet = Fleet()
    host = fleet.host("www.edge.test", families="A")
    zone = zone_text(fleet.records("edge.test") + "@ MX 1 www")
    with Origin({"edge.test": zone}) as o:
        e = Edge({"edge.test": zone_of(o)})
        fleet.put(e)
        with e:
            host.set(e, "up")
            yield e, host
