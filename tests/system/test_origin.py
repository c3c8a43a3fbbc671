# SPDX-License-Identifier: MPL-2.0
"""Origins that are slow, die, come back: what clients see meanwhile."""

import threading
import time

import dns.flags
import dns.rcode
import pytest

from nzlib import (Edge, FakeOrigin, Origin, answer_to, ask, ask_together,
                   ede, origin_at, free_port, rrset, wait_for, zone_of,
                   zone_text)
from nzlib.ask import make
from nzlib.zones import RICH, fresh_host, fresh_nothing

STALE, NO_ORIGIN = 3, 22  # RFC 8914

BRIEF = zone_text("""
$TTL 1
$GENERATE 1-200 b$ A 192.0.2.8
b201 TXT "old"
""", ttl=1, negative=1)


@pytest.fixture
def origin():
    with Origin({"example.com": RICH, "brief.test": BRIEF}) as o:
        yield o


@pytest.fixture
def edge(origin):
    with Edge({"example.com": zone_of(origin),
               "brief.test": zone_of(origin, stale="1d")}) as e:
        yield e


@pytest.mark.parametrize("do", [False, True])
def test_identical_misses_ask_once(origin, edge, do):
    name, mark = fresh_host(), origin.mark()
    origin.pause()
    queries = [make(name, do=do and i % 2, rd=bool(i % 3))
               for i in range(100)]
    replies = wait_and_resume(origin, edge, queries)
    assert all(r is not None and r.answer for r in replies)
    assert len(origin.questions(mark)) == 1
    counters = edge.status()["counters"]
    assert counters["coalesced"] == 99
    assert counters["misses"] == 100


def wait_and_resume(origin, edge, queries):
    """Sends queries to an edge whose origin is paused till all wait."""
    before = edge.status()["counters"]["misses"]
    replies = []
    sender = threading.Thread(
        target=lambda: replies.extend(ask_together(edge, queries)))
    sender.start()
    try:
        wait_for(lambda: edge.status()["counters"]["misses"]
                 == before + len(queries), "all queries to wait")
    finally:
        origin.resume()
        sender.join()
    return replies


def test_different_misses_wait_side_by_side(origin, edge):
    mark = origin.mark()
    origin.pause()
    queries = [make(fresh_host()) for _ in range(100)]
    replies = wait_and_resume(origin, edge, queries)
    assert all(r is not None and r.answer for r in replies)
    assert len(origin.questions(mark)) == 100


def test_a_dead_origin_leaves_cached_names_alone(origin, edge):
    cached = [fresh_host() for _ in range(20)]
    missing = fresh_nothing()
    for name in cached:
        ask(edge, name)
    assert ask(edge, missing).rcode() == dns.rcode.NXDOMAIN
    origin.stop()
    for name in cached:
        r = ask(edge, name)
        assert r.answer and r.flags & dns.flags.AA and ede(r) == []
    assert ask(edge, missing).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_never_cached_is_servfail(origin, edge, how):
    getattr(origin, how)()
    name = fresh_host()
    r = ask(edge, name, payload=1232, seconds=20)
    assert r.rcode() == dns.rcode.SERVFAIL
    assert ede(r) == [NO_ORIGIN]
    assert not r.answer and not r.authority
    r = ask(edge, fresh_host(), seconds=20)  # a client without EDNS
    assert r.rcode() == dns.rcode.SERVFAIL and r.edns == -1
    assert edge.counter("failures") >= 2


def test_failure_is_remembered_for_a_while(origin, edge):
    """RFC 9520: not every repetition goes to the origin."""
    origin.stop()
    name = fresh_host()
    assert ask(edge, name).rcode() == dns.rcode.SERVFAIL
    asked = edge.counter("asked")
    start = time.monotonic()
    replies = [ask(edge, name) for _ in range(10)]
    took = time.monotonic() - start
    assert {r.rcode() for r in replies} == {dns.rcode.SERVFAIL}
    if took < 0.5:
        assert edge.counter("asked") - asked <= 1


@pytest.mark.parametrize("name,rdtype,rcode", [
    ("b1.brief.test", "A", dns.rcode.NOERROR),
    ("b1.brief.test", "TXT", dns.rcode.NOERROR),
    ("nothing.brief.test", "A", dns.rcode.NXDOMAIN)])
def test_expired_names_are_served_stale(origin, edge, name, rdtype, rcode):
    first = ask(edge, name, rdtype, payload=1232)
    assert first.rcode() == rcode and ede(first) == []
    origin.stop()

    def stale():
        r = ask(edge, name, rdtype, payload=1232)
        assert r.rcode() == rcode
        return r if ede(r) else None

    r = wait_for(stale, "a stale answer")
    want = [STALE] if rcode == dns.rcode.NOERROR else [19]
    assert ede(r) in (want, [STALE])
    assert r.flags & dns.flags.AA
    for section in (r.answer, r.authority):
        assert all(x.ttl <= 30 for x in section)
    if rdtype == "A" and rcode == dns.rcode.NOERROR:
        assert r.answer[0][0].to_text() == "192.0.2.8"
    assert edge.counter("stale") >= 1
    assert ask(edge, name, rdtype).edns == -1  # stale without EDNS too


def test_stale_ends_where_the_zone_says(origin):
    with Edge({"brief.test": zone_of(origin, stale="0s")}) as e:
        assert ask(e, "b9.brief.test").answer
        origin.stop()
        wait_for(lambda: ask(e, "b9.brief.test").rcode()
                 == dns.rcode.SERVFAIL, "the end of a TTL of 1 s")


def test_stale_answers_are_quick_while_the_origin_hangs(origin, edge):
    name = "b3.brief.test"
    ask(edge, name)
    origin.pause()
    wait_for(lambda: ede(ask(edge, name, payload=1232)) == [STALE],
             "a stale answer", 20)
    start = time.monotonic()
    for _ in range(20):
        assert ask(edge, name).answer
    assert time.monotonic() - start < 5


def test_the_origin_comes_back(origin, edge):
    origin.stop()
    assert ask(edge, fresh_host()).rcode() == dns.rcode.SERVFAIL
    origin.start_again()
    wait_for(lambda: ask(edge, fresh_host()).answer, "an answer again", 20)
    replies = [ask(edge, fresh_host()) for _ in range(10)]
    assert all(r.answer and ede(r) == [] for r in replies)


def test_expired_names_are_asked_again(origin, edge):
    name = "b201.brief.test"
    assert ask(edge, name, "TXT").answer[0][0].to_text() == '"old"'
    origin.change("brief.test", BRIEF.replace('"old"', '"new"').replace(
        "hostmaster 1 ", "hostmaster 2 "))
    wait_for(lambda: ask(edge, name, "TXT").answer[0][0].to_text()
             == '"new"', "the new record")


def test_restarted_origin_costs_nobody_an_answer(origin, edge):
    """The idle connection is dead; the question goes over a new one."""
    assert ask(edge, fresh_host()).answer
    for _ in range(3):
        origin.stop()
        origin.start_again()
        assert ask(edge, fresh_host()).answer


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_one_of_two_origins_is_dead(origin, first, transport):
    dead = {"address": "127.0.0.1", "port": free_port(),
            "transport": transport}
    live = origin_at(origin, transport)
    pair = [dead, live] if first else [live, dead]
    with Edge({"example.com": zone_of(*pair)}) as e:
        for _ in range(10):
            r = ask(e, fresh_host(), seconds=15)
            assert r.answer, r


def test_second_origin_takes_over(origin):
    with Origin({"example.com": RICH}, what="second") as second:
        with Edge({"example.com": zone_of(origin, second)}) as e:
            assert ask(e, fresh_host()).answer
            origin.stop()
            for _ in range(5):
                assert ask(e, fresh_host(), seconds=15).answer
            assert second.questions()
            second.stop()
            r = ask(e, fresh_host(), seconds=20)
            assert r.rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP",
                                   "FORMERR"])
def test_an_origin_that_says_no(origin, rcode):
    """Another one is asked; with none left it is SERVFAIL, not kept long."""
    def no(query, _):
        return answer_to(query, rcode=dns.rcode.from_text(rcode), aa=False)

    with FakeOrigin(no) as bad:
        with Edge({"example.com": zone_of(bad, origin)}) as e:
            for _ in range(5):
                assert ask(e, fresh_host()).answer
        with Edge({"example.com": zone_of(bad)}) as e:
            r = ask(e, "x.example.com", payload=1232)
            assert r.rcode() == dns.rcode.SERVFAIL
            assert NO_ORIGIN in ede(r)


def test_origin_recovers_from_saying_no():
    says = {"rcode": dns.rcode.SERVFAIL}

    def handler(query, _):
        if says["rcode"]:
            return answer_to(query, rcode=says["rcode"])
        return answer_to(query, rrset(query.question[0].name, 60, "A",
                                      "192.0.2.1"))

    with FakeOrigin(handler) as fake, \
            Edge({"example.com": zone_of(fake)}) as e:
        assert ask(e, "a.example.com").rcode() == dns.rcode.SERVFAIL
        says["rcode"] = 0
        wait_for(lambda: ask(e, "a.example.com").answer, "an answer", 20)
