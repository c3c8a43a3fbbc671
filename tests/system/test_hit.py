# SPDX-License-Identifier: MPL-2.0
"""Misses and hits: what is asked of the origin, and what clients get."""

import itertools
import time

import dns.flags
import dns.name
import dns.rcode
import pytest

from nzlib import (Edge, Named, Origin, answer_rrset, ask, exchange, same,
                   sections, wait_for, zone_of)
from nzlib.ask import make
from nzlib.zones import RICH, at, fresh_host, fresh_nothing


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH}) as o:
        yield o


@pytest.fixture(scope="module")
def edge(origin):
    with Edge({"example.com": zone_of(origin)}) as e:
        yield e


def test_miss_asks_the_origin_once_and_hit_not_at_all(origin, edge):
    name, mark = fresh_host(), origin.mark()
    before = edge.status()["counters"]
    miss = ask(edge, name)
    assert miss.rcode() == dns.rcode.NOERROR
    assert [r.to_text() for r in miss.answer[0]] == ["192.0.2.7"]
    assert miss.answer[0].ttl in (299, 300)
    assert len(origin.questions(mark)) == 1
    for _ in range(5):
        same(ask(edge, name), miss)
    assert len(origin.questions(mark)) == 1
    after = edge.status()["counters"]
    assert after["misses"] - before["misses"] == 1
    assert after["hits"] - before["hits"] == 5


def test_the_origin_is_asked_for_the_complete_answer(origin, edge):
    name, mark = fresh_host(), origin.mark()
    ask(edge, name, rd=True, cd=True)
    question, = origin.questions(mark)
    assert (question.name, question.rdtype) == (name, "A")
    assert question.flags.startswith("-E(0)")  # RD=0, EDNS
    assert "T" in question.flags and "D" in question.flags  # TCP, DO


def test_misses_share_one_connection(origin, edge):
    mark = origin.mark()
    for _ in range(10):
        ask(edge, fresh_host())
    questions = origin.questions(mark)
    assert len(questions) == 10
    assert len({q.port for q in questions}) <= 3


def test_every_miss_is_kept_whatever_the_clock_shows(origin, edge):
    """Over more than two seconds: clocks of whole seconds tick meanwhile."""
    n, mark, end = 0, origin.mark(), time.monotonic() + 2.2
    while time.monotonic() < end:
        for _ in range(2):
            assert ask(edge, f"pair{n}.wild.example.com").answer
        n += 1
    assert len(origin.questions(mark)) == n


def test_ttl_counts_down(origin, edge):
    name = fresh_host()
    first = ask(edge, name, rd=False)
    assert {r.ttl for r in first.answer + first.authority} <= {299, 300}
    mark = origin.mark()
    later = wait_for(lambda: (lambda r: r.answer[0].ttl < 299 and r)(
        ask(edge, name)), "the TTL to fall by two")
    ttls = {r.ttl for r in later.answer + later.authority + later.additional}
    assert len(ttls) == 1 and 200 < ttls.pop() < 299
    assert origin.questions(mark) == []


def test_ttl_zero_is_not_kept(origin, edge):
    mark = origin.mark()
    for _ in range(3):
        r = ask(edge, "zero.example.com")
        assert r.answer[0].ttl == 0
    assert len(origin.questions(mark)) == 3


def test_question_comes_back_as_it_was_spelled(origin, edge):
    name = fresh_host()
    mark = origin.mark()
    for spelled in (name.upper(), name.title(), name):
        q = make(spelled, do=True)
        wire = q.to_wire()
        reply = exchange(edge, wire)
        end = 12 + len(spelled) + 2 + 4
        assert reply[:2] == wire[:2]
        assert reply[12:end] == wire[12:end]
        assert ask(edge, spelled).answer[0].name == dns.name.from_text(name)
    assert len(origin.questions(mark)) == 1


def test_ids_are_the_clients(edge):
    name = fresh_host()
    for ident in (0, 1, 0x8000, 0xffff):
        q = make(name)
        q.id = ident
        assert exchange(edge, q.to_wire())[:2] == ident.to_bytes(2, "big")


@pytest.mark.parametrize("rdtype,rcode", [("A", dns.rcode.NXDOMAIN),
                                          ("TXT", dns.rcode.NOERROR)])
def test_negative_answers_are_kept(origin, edge, rdtype, rcode):
    name = fresh_nothing() if rcode else fresh_host()
    mark = origin.mark()
    first = ask(edge, name, rdtype)
    assert first.rcode() == rcode and not first.answer
    assert first.authority[0].rdtype == dns.rdatatype.SOA
    for _ in range(3):
        same(ask(edge, name, rdtype), first)
    assert len(origin.questions(mark)) == 1
    wait_for(lambda: ask(edge, name, rdtype).authority[0].ttl < 300,
             "the SOA's TTL to count down")
    assert len(origin.questions(mark)) == 1


def test_types_and_names_have_answers_of_their_own(origin, edge):
    a, b, mark = fresh_host(), fresh_host(), origin.mark()
    assert ask(edge, a, "A").answer
    assert not ask(edge, a, "AAAA").answer
    assert ask(edge, b, "A").answer
    assert ask(edge, "x." + a).rcode() == dns.rcode.NXDOMAIN
    assert len(origin.questions(mark)) == 4


def test_one_question_however_it_is_asked(origin, edge):
    name, mark = fresh_host(), origin.mark()
    for do, rd, cd, tcp in itertools.product([True, False], repeat=4):
        r = ask(edge, name, do=do, rd=rd, cd=cd, tcp=tcp)
        assert r.answer, (do, rd, cd, tcp)
        assert bool(r.flags & dns.flags.RD) == rd
        assert bool(r.flags & dns.flags.AA)
        assert not r.flags & (dns.flags.RA | dns.flags.TC | dns.flags.AD)
        assert bool(r.ednsflags & dns.flags.DO) == do
    for payload in (512, 1232, 4096):
        assert ask(edge, name, payload=payload).answer
    assert len(origin.questions(mark)) == 1


@pytest.mark.parametrize("ttl,shown", [
    ({"min": 600}, 600), ({"max": 60}, 60)])
def test_ttl_limits_of_the_zone(origin, ttl, shown):
    with Edge({"example.com": zone_of(origin, ttl=ttl)}) as e:
        assert ask(e, "www.example.com").answer[0].ttl in (shown - 1, shown)


def test_negative_ttl_limit(origin):
    zone = zone_of(origin, ttl={"negative-max": 20})
    with Edge({"example.com": zone}) as e:
        for name, rdtype in (("no.example.com", "A"),
                             ("www.example.com", "TXT")):
            assert ask(e, name, rdtype).authority[0].ttl <= 20
        assert ask(e, "www.example.com").answer[0].ttl in (299, 300)


def test_names_outside_are_nameds(edge):
    with Named() as bare:
        for name in ("example.org", "com", ".", "xexample.com"):
            same(ask(edge, name, rd=True), ask(bare, name, rd=True))
    assert ask(edge, "example.org").rcode() == dns.rcode.REFUSED


def test_two_zones_of_one_file(origin):
    zones = {"example.com": zone_of(origin),
             "set.example.com": zone_of(origin)}
    zones["www.example.com"] = zone_of(origin, stale="0s")
    with Edge(zones) as e:
        for name in ("www", "set", "h1"):
            r = ask(e, at(name))
            assert r.answer and r.flags & dns.flags.AA
        assert answer_rrset(ask(e, at("www"))).ttl <= 300
        assert sections(ask(e, at("@"), "SOA"))[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_with_so_many_workers(origin, workers):
    with Edge({"example.com": zone_of(origin)}, workers=workers) as e:
        mark = origin.mark()
        for _ in range(3):
            assert len(ask(e, "www.example.com").answer[0]) == 4
        assert len(origin.questions(mark)) == 1
