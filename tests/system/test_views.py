# SPDX-License-Identifier: MPL-2.0
"""Views, and zones of named's own beside, above and below edge zones."""

import re

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import Edge, Origin, ask, same, zone_of, zone_text
from nzlib.zones import RICH, fresh_host


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH, "example.org": zone_text(
            "www A 192.0.2.9")}) as o:
        yield o


@pytest.fixture(scope="module")
def second():
    with Origin({"example.com": zone_text("www A 192.0.2.222")},
                what="second") as o:
        yield o


INSIDE, OUTSIDE = "127.0.0.31", "127.0.0.32"


@pytest.fixture(scope="module")
def edge(origin, second):
    """Two views, one zone name, different origins; one zone in both."""
    zones = {"inside": {"name": "example.com", **zone_of(second)},
             "outside": {"name": "example.com", **zone_of(origin)},
             "example.org": zone_of(origin)}
    with Edge(zones, body=lambda e: f"""
view "in" {{ match-clients {{ {INSIDE}; }};
    {e.plugin('zones { "inside"; "example.org"; };')} }};
view "out" {{ match-clients {{ {OUTSIDE}; }};
    {e.plugin('zones { "outside"; };')} }};
view "none" {{ match-clients {{ any; }}; }};""") as e:
        yield e


def test_each_view_has_its_origin(origin, second, edge):
    edge.nzctl("purge", "--zone", "example.com")  # in both views
    marks = origin.mark(), second.mark()
    for _ in range(2):
        for source, n, first in ((INSIDE, 1, "192.0.2.222"),
                                 (OUTSIDE, 4, None)):
            r = ask(edge, "www.example.com", source=source)
            assert len(r.answer[0]) == n and r.flags & dns.flags.AA
            if first:
                assert r.answer[0][0].to_text() == first
    assert len(origin.questions(marks[0])) == 1
    assert len(second.questions(marks[1])) == 1


def test_a_view_has_the_zones_it_selects(edge):
    assert ask(edge, "www.example.org", source=INSIDE).answer
    r = ask(edge, "www.example.org", source=OUTSIDE)
    assert r.rcode() == dns.rcode.REFUSED
    for name in ("www.example.com", "www.example.org"):
        r = ask(edge, name, source="127.0.0.33")
        assert r.rcode() == dns.rcode.REFUSED


def test_views_with_one_zone_and_origin_share_answers(origin):
    with Edge({"example.com": zone_of(origin)}, body=lambda e: f"""
view "in" {{ match-clients {{ {INSIDE}; }}; {e.plugin()} }};
view "out" {{ match-clients {{ any; }}; {e.plugin()} }};""") as e:
        name, mark = fresh_host(), origin.mark()
        for source in (INSIDE, OUTSIDE):
            assert ask(e, name, source=source).answer
        assert len(origin.questions(mark)) == 1


def test_zones_that_share_a_state_are_counted_once(origin):
    """Of one name and one origin, each of a view; so they do after a load."""
    zones = {i: {"name": "example.com", **zone_of(origin)} for i in "ab"}
    with Edge(zones, body=lambda e: f"""
view "in" {{ match-clients {{ {INSIDE}; }}; {e.plugin('zones { "a"; };')} }};
view "out" {{ match-clients {{ any; }}; {e.plugin('zones { "b"; };')} }};
""") as e:
        e.nzctl("reload")
        for source in (INSIDE, INSIDE, OUTSIDE):
            assert ask(e, "www.example.com", source=source).answer
        status = e.status()
        each = [z["counters"]["queries"] for z in status["zones"]]
        assert each == [3, 3]
        assert status["counters"]["queries"] == 3


def test_an_unknown_zone_in_a_selection_is_named(origin):
    with Edge({"example.com": zone_of(origin)},
              params='zones { "example.com"; "example.net"; };') as e:
        e.wait_log(r"nearzone.*named\.conf:\d+.*example\.net")
        assert ask(e, "www.example.com").answer


LOCAL_CHILD = zone_text("www A 192.0.2.111\nonly A 192.0.2.112")


@pytest.fixture(scope="module")
def mixed(origin):
    """Edge zone with named's own zone below it, and the other way round."""
    parent = zone_text("""www A 192.0.2.121
child NS ns.child
child DS 12345 13 2 """ + "ab" * 32 + """
ns.child A 192.0.2.122
other NS ns.other
ns.other A 192.0.2.123""")
    with Origin({"child.example.net": zone_text("www A 192.0.2.131")},
                what="child") as child:
        zones = {"example.com": zone_of(origin),
                 "child.example.net": zone_of(child)}
        with Edge(zones, body=lambda e: e.plugin() + f"""
zone "sub.example.com" {{ type primary;
    file "{e.write("sub.db", LOCAL_CHILD)}"; }};
zone "example.net" {{ type primary;
    file "{e.write("parent.db", parent)}"; }};""") as e:
            e.child = child
            yield e


def test_local_child_of_an_edge_zone_is_nameds(origin, mixed):
    mark = origin.mark()
    for name, address in (("www.sub", "192.0.2.111"),
                          ("only.sub", "192.0.2.112")):
        r = ask(mixed, f"{name}.example.com")
        assert r.answer[0][0].to_text() == address
        assert r.flags & dns.flags.AA
    r = ask(mixed, "no.sub.example.com")
    assert r.rcode() == dns.rcode.NXDOMAIN
    assert r.authority[0].name.to_text() == "sub.example.com."
    assert ask(mixed, "sub.example.com", "SOA").answer
    assert origin.questions(mark) == []
    assert len(ask(mixed, "www.example.com").answer[0]) == 4


def test_ds_at_the_cut_is_the_edge_parents(origin, mixed):
    mark = origin.mark()
    r = ask(mixed, "sub.example.com", "DS", do=True)
    assert [q.rdtype for q in origin.questions(mark)] == ["DS"]
    same(r, ask(origin, "sub.example.com", "DS", do=True))
    # One label below, there is no cut.
    mark = origin.mark()
    ask(mixed, "www.sub.example.com", "DS")
    assert origin.questions(mark) == []


def test_edge_child_of_a_local_zone(mixed):
    r = ask(mixed, "www.child.example.net")
    assert r.answer[0][0].to_text() == "192.0.2.131"
    assert r.flags & dns.flags.AA
    assert ask(mixed, "child.example.net", "SOA").answer
    assert ask(mixed, "www.example.net").answer[0][0].to_text() == \
        "192.0.2.121"
    r = ask(mixed, "www.other.example.net")
    assert not r.answer and r.authority[0].rdtype == dns.rdatatype.NS


def test_ds_at_the_cut_is_the_local_parents(mixed):
    mark = mixed.child.mark()
    r = ask(mixed, "child.example.net", "DS")
    assert r.answer[0][0].key_tag == 12345 and r.flags & dns.flags.AA
    assert mixed.child.questions(mark) == []
    # Where named holds no parent, the DS is ours to ask for.
    r = ask(mixed, "example.com", "DS")
    assert r.rcode() in (dns.rcode.NOERROR, dns.rcode.REFUSED)


def test_the_same_apex_in_both_is_nameds_and_said_so(origin):
    with Edge({"example.com": zone_of(origin),
               "example.org": zone_of(origin)},
              body=lambda e: e.plugin() + f"""
zone "example.com" {{ type primary;
    file "{e.write("own.db", LOCAL_CHILD)}"; }};""") as e:
        mark = origin.mark()
        r = ask(e, "www.example.com")
        assert r.answer[0][0].to_text() == "192.0.2.111"
        assert ask(e, "none.example.com").rcode() == dns.rcode.NXDOMAIN
        assert origin.questions(mark) == []
        e.wait_log(r"nearzone.*example\.com")
        lines = [line for line in e.log().splitlines()
                 if re.search(r"nearzone.*'?example\.com'?.*named", line)
                 or re.search(r"nearzone.*named.*example\.com", line)]
        assert lines, "nothing in the log about it"
        assert "example.com" in str(e.status())
        assert ask(e, "www.example.org").answer
