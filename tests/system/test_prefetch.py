# SPDX-License-Identifier: MPL-2.0
"""Answers renewed before their time is over, and stale ones for those who
would wait too long."""

import time

import pytest

from nzlib import Edge, Origin, ask, ede, wait_for, zone_of, zone_text
from nzlib.ask import exchange, make
from nzlib.base import patience

ZONE = """
short 4 A 192.0.2.1
rare 4 A 192.0.2.2
slow 1 A 192.0.2.3
still 1 A 192.0.2.4
"""


@pytest.fixture
def origin():
    with Origin({"example.com": zone_text(ZONE)}) as o:
        yield o


def counters(edge):
    return edge.status()["counters"]


def keep_asking(edge, name, seconds, gap_s=0.2, until=None):
    """The TTLs of the answers."""
    ttls = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (until and until()):
        ttls.append(ask(edge, name).answer[0].ttl)
        time.sleep(gap_s)
    return ttls


def test_what_is_asked_often_is_never_a_miss_again(origin):
    with Edge({"example.com": zone_of(origin, prefetch=True)}) as e:
        ask(e, "short.example.com")
        before = counters(e)
        keep_asking(e, "short.example.com", 60, until=lambda: counters(e)[
            "prefetched"] >= before["prefetched"] + 3)
        after = counters(e)
        assert after["misses"] == before["misses"]
        assert after["stale"] == before["stale"]
        assert after["prefetched"] >= before["prefetched"] + 3
        # one question for each
        assert (after["asked"] - before["asked"]
                == after["prefetched"] - before["prefetched"])


def test_what_is_asked_once_is_not_renewed(origin):
    with Edge({"example.com": zone_of(origin, prefetch=True)}) as e:
        ask(e, "rare.example.com")
        e.wait_state("rare.example.com", "A", "stale", "expired")
        assert counters(e)["prefetched"] == 0
        ask(e, "rare.example.com")
        assert counters(e)["misses"] == 2


def test_without_prefetch(origin):
    with Edge({"example.com": zone_of(origin, prefetch=False)}) as e:
        keep_asking(e, "short.example.com", 60, until=lambda: counters(e)[
            "misses"] >= 2)
        assert counters(e)["prefetched"] == 0


def test_a_renewal_brings_the_new_answer(origin):
    with Edge({"example.com": zone_of(origin, prefetch=True)}) as e:
        for _ in range(3):
            ask(e, "short.example.com")
        origin.change("example.com", zone_text(ZONE.replace("192.0.2.1",
                                                            "192.0.2.9"),
                                               serial=2))
        wait_for(lambda: ask(e, "short.example.com").answer[0][0].address
                 == "192.0.2.9", "the new answer", 10)
        assert counters(e)["misses"] == 1


def test_stale_for_those_who_would_wait(origin):
    """The origin is there, and does not answer."""
    zone = zone_of(origin, **{"client-timeout": "300ms", "prefetch": False})
    zone["origins"][0]["timeout"] = "8s"
    with Edge({"example.com": zone}) as e:
        ask(e, "slow.example.com", payload=1232)
        e.wait_state("slow.example.com", "A", "stale")
        origin.pause()
        try:
            began = time.monotonic()
            r = ask(e, "slow.example.com", payload=1232)
            took = time.monotonic() - began
            assert ede(r) == [3] and r.answer[0].ttl == 30
            assert 0.25 < took < patience(4)
            # and at once, while the question is still on its way
            began = time.monotonic()
            assert ede(ask(e, "slow.example.com", payload=1232)) == [3]
            assert time.monotonic() - began < took + patience(0.2)
        finally:
            origin.resume()
        # what was asked for then is kept
        wait_for(lambda: not ede(ask(e, "slow.example.com", payload=1232)),
                 "a fresh answer", 10)


def test_a_life_of_a_second_is_no_storm(origin):
    """Renewed at most once a second, whoever asks how often."""
    with Edge({"example.com": zone_of(origin)}) as e:
        end, asked = time.monotonic() + 3, 0
        mark = origin.mark()
        while time.monotonic() < end:
            ask(e, "slow.example.com")
            asked += 1
        assert asked > 20
        assert len(origin.questions(mark, "slow.example.com")) <= 6


def test_patience_while_it_is_being_renewed(origin):
    """Who comes when a renewal hangs waits no longer than others."""
    zone = zone_of(origin, **{"client-timeout": "300ms"})
    zone["origins"][0]["timeout"] = "8s"
    with Edge({"example.com": zone}) as e:
        for _ in range(3):
            ask(e, "short.example.com")
        origin.pause()
        try:
            stale, longest, end = 0, 0, time.monotonic() + 7
            while time.monotonic() < end:
                began = time.monotonic()
                r = ask(e, "short.example.com", payload=1232)
                longest = max(longest, time.monotonic() - began)
                stale += ede(r) == [3]
                assert r.answer
                # nothing is stale before its time
                if not stale:
                    assert r.answer[0].ttl <= 4
                time.sleep(0.05)
        finally:
            origin.resume()
        assert stale and longest < patience(1.2)


def test_nothing_stale_means_waiting(origin):
    zone = zone_of(origin, stale=0, **{"client-timeout": "100ms"})
    zone["origins"][0]["timeout"] = "8s"
    with Edge({"example.com": zone}) as e:
        origin.pause()
        try:
            wire = make("still.example.com").to_wire()
            assert exchange(e, wire, seconds=0.5) is None
        finally:
            origin.resume()
        wait_for(lambda: e.lookup("still.example.com") == "fresh",
                 "the answer", 10)
