# SPDX-License-Identifier: MPL-2.0
"""The operator's access rules hold for edge zones as for named's own.

A named with the same settings and the zone itself stands beside the edge:
replies and log lines must be the same.
"""

import itertools
import re
import time

import dns.edns
import dns.flags
import dns.rcode
import pytest

from nzlib import (Edge, Named, Origin, ask, ask_together, ede, option, same,
                   zone_of)
from nzlib.ask import make
from nzlib.zones import RICH, fresh_host, fresh_nothing

COOKIE, PROHIBITED = 10, 18
BADCOOKIE = 23


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH}) as o:
        yield o


# One view a setting, chosen by the client's address (its last octet).
VIEWS = {
    41: "allow-query { none; };",
    42: "allow-query { 127.0.0.42; };",
    43: "allow-query { !127.0.0.43; any; };",
    44: "allow-query-on { !127.0.0.1; any; };",
    45: "allow-query-on { 127.0.0.1; };",
    46: "require-server-cookie yes;",
    47: "minimal-responses no;",
    48: "check-names response fail;",
}


def views(inside):
    return "".join(f'view "v{n}" {{ match-clients {{ 127.0.0.{n}; }}; '
                   f'{setting} {inside} }};\n'
                   for n, setting in VIEWS.items())


def twin_body(inside=lambda z: z):
    def body(server):
        path = server.write("zone.db", RICH)
        return inside(f'zone "example.com" {{ type primary; '
                      f'file "{path}"; }};')
    return body


@pytest.fixture(scope="module")
def edge(origin):
    with Edge({"example.com": zone_of(origin)},
              body=lambda e: views(e.plugin())) as e:
        yield e


@pytest.fixture(scope="module")
def twin():
    with Named("twin", body=twin_body(views)) as t:
        yield t


def denials(server, mark):
    """What the log says of refused queries, without what must differ."""
    return [re.sub(r"^.*?client @\S+ ([^#]+)#\d+| at \S+:\d+$", r"\1", line)
            for line in server.log(mark).splitlines()
            if "client @" in line and ": query: " not in line]


@pytest.mark.parametrize("n,allowed", [
    (41, False), (42, True), (43, False), (44, False), (45, True)])
@pytest.mark.parametrize("cached", [False, True])
def test_acls(origin, edge, twin, n, allowed, cached):
    name = fresh_host()
    if cached:
        assert ask(edge, name, source="127.0.0.47").answer
    mark, marks = origin.mark(), (edge.mark(), twin.mark())
    for do, tcp in itertools.product([True, False], repeat=2):
        how = {"source": f"127.0.0.{n}", "do": do, "tcp": tcp}
        ours, theirs = ask(edge, name, **how), ask(twin, name, **how)
        same(ours, theirs)
        assert ede(ours) == ede(theirs)
        assert ours.rcode() == (dns.rcode.NOERROR if allowed
                                else dns.rcode.REFUSED)
        if do and not allowed:
            assert ede(ours) == [PROHIBITED]
    if not allowed:
        assert origin.questions(mark) == []  # nothing is asked for them
    said = denials(edge, marks[0]), denials(twin, marks[1])
    assert said[0] == said[1]
    assert bool(said[0]) != allowed


@pytest.mark.parametrize("name,ok", [
    ("set.example.com", True), ("_bad_.example.com", False),
    ("b d.example.com", False), ("-.example.com", False)])
def test_check_names(origin, edge, twin, name, ok):
    marks = edge.mark(), twin.mark()
    for rdtype in ("A", "TXT"):
        how = {"source": "127.0.0.48", "do": True}
        ours, theirs = ask(edge, name, rdtype, **how), ask(
            twin, name, rdtype, **how)
        same(ours, theirs)
        assert (ours.rcode() == dns.rcode.REFUSED) == (
            rdtype == "A" and not ok)
    assert denials(edge, marks[0]) == denials(twin, marks[1])


def test_refused_is_counted(edge):
    before = edge.counter("refused")
    ask(edge, fresh_host(), source="127.0.0.41")
    assert edge.counter("refused") == before + 1


@pytest.mark.parametrize("cached", [False, True])
def test_require_server_cookie(edge, twin, cached):
    name, source = fresh_host(), "127.0.0.46"
    if cached:
        assert ask(edge, name, source="127.0.0.47").answer
    client = dns.edns.GenericOption(COOKIE, b"8 octets")
    for server in (twin, edge):
        r = ask(server, name, source=source, options=[client])
        assert r.rcode() == BADCOOKIE and not r.answer
        full = option(r, COOKIE)
        assert full[:8] == b"8 octets" and len(full) == 24
        again = dns.edns.GenericOption(COOKIE, full)
        assert ask(server, name, source=source, options=[again]).answer
        # By TCP the address is proven; without a cookie none is required.
        assert ask(server, name, source=source, options=[client],
                   tcp=True).answer
        assert ask(server, name, source=source).answer
        bad = dns.edns.GenericOption(COOKIE, full[:-1] + bytes([full[-1] ^ 1]))
        r = ask(server, name, source=source, options=[bad])
        assert r.rcode() == BADCOOKIE


def test_cookies_are_the_edges_own(edge):
    """A hit gives each client a cookie of its own, and only who asks."""
    name, source = fresh_host(), "127.0.0.47"
    seen = set()
    for client in (b"client 1", b"client 2", b"client 1"):
        r = ask(edge, name, source=source, options=[
            dns.edns.GenericOption(COOKIE, client)])
        assert r.answer and option(r, COOKIE)[:8] == client
        seen.add(option(r, COOKIE)[8:])
    assert len(seen) >= 2
    assert option(ask(edge, name, source=source, do=True), COOKIE) is None


RATE = """rate-limit { responses-per-second 5; nxdomains-per-second 5;
    nodata-per-second 5; window 5; slip 2; };"""


def burst(server, names, rdtype="A", n=100):
    """(answered, truncated, dropped) of a burst of queries at once."""
    queries = [make(name, rdtype) for name in itertools.islice(
        itertools.cycle(names), n)]
    replies = ask_together(server, queries, quiet=0.5)
    slipped = sum(r is not None and bool(r.flags & dns.flags.TC)
                  for r in replies)
    dropped = sum(r is None for r in replies)
    return n - slipped - dropped, slipped, dropped


@pytest.fixture
def limited(origin):
    """An edge and a named with the zone, both limiting; fresh accounts."""
    with Edge({"example.com": zone_of(origin)}, options=RATE) as e, \
            Named("twin", options=RATE, body=twin_body()) as t:
        yield e, t


def near(ours, theirs):
    """Equal, but for a burst that fell on two seconds of the clock."""
    assert all(abs(a - b) <= 12 for a, b in zip(ours, theirs)), (
        ours, theirs)


def test_rrl_for_hits(limited):
    edge, twin = limited
    name = "www.example.com"
    ask(edge, name, source="127.0.1.1")  # another account pays for it
    ours, theirs = burst(edge, [name]), burst(twin, [name])
    assert ours[0] <= 15 and ours[1] >= 30 and ours[2] >= 30
    near(ours, theirs)
    assert edge.counter("limited") >= 80


def test_rrl_for_random_names_counts_on_the_zone(limited):
    edge, twin = limited
    names = [fresh_nothing() for _ in range(100)]
    ours, theirs = burst(edge, names), burst(twin, names)
    assert ours[0] <= 15 and ours[2] >= 30
    near(ours, theirs)
    again = burst(edge, names)  # hits now, the account still in the red
    assert again[0] <= 15


def test_rrl_for_nodata_and_referrals(limited):
    edge, twin = limited
    for names, rdtype in ((["www.example.com"], "TXT"),
                          ([f"r{i}.sub.example.com" for i in range(100)],
                           "A")):
        ours = burst(edge, names, rdtype)
        near(ours, burst(twin, names, rdtype))
        assert ours[0] <= 15


def test_rrl_spares_tcp_and_others(limited):
    edge, _ = limited
    burst(edge, ["www.example.com"])
    for _ in range(20):
        assert ask(edge, "www.example.com", tcp=True).answer
    assert ask(edge, "www.example.com", source="127.0.2.1").answer
    assert edge.log().count("limit responses to 127.0.0.0/24") == 1


def test_rrl_forgives(limited):
    edge, _ = limited
    burst(edge, ["www.example.com"], n=20)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        r = ask_together(edge, [make("www.example.com")], seconds=1)[0]
        if r is not None and r.answer:
            return
    raise AssertionError("limited for ever")
