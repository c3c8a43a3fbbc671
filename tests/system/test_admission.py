# SPDX-License-Identifier: MPL-2.0
"""What is refused while a zone is asked far more than is normal for it: misses."""

import json
import random
import time

import dns.rcode
import pytest

from nzlib import Edge, Origin, ask, ede, wait_for, zone_of, zone_text
from nzlib.admission import (ZONE, NAMES, RECORDS, BLOCKED, filters, state,
                             refused, active, edge_of, flood, made_up,
                             existing, same, events)
from nzlib.ask import make
from nzlib.base import patience


@pytest.fixture(name="origin", scope="module")
def make_origin():
    with Origin({ZONE: zone_text(RECORDS)}) as o:
        yield o


def test_misses(origin):
    with edge_of(origin, filters(misses="on")) as e:
        s, watched = events(e)
        e.nzctl("purge", NAMES[3])
        ask(e, f"brief.{ZONE}")
        e.wait_state(f"brief.{ZONE}", "A", "stale", "expired")
        asked, mark = e.counter("asked"), e.mark()
        with flood(e, made_up) as f:
            began = json.loads(watched.readline())
            assert (began["event"], began["filter"]) == ("attack-begins",
                                                         "misses")
            assert began["zone"] == ZONE and began["normal"] == 2
            assert e.counter("asked") - asked < 150 < f.sent
            assert f.rcodes[dns.rcode.SERVFAIL] > f.sent / 2
            assert BLOCKED in f.edes
            assert active(e) == ["misses"]
            assert state(e)["state"] == "attack"
            # what exists: in memory, asked for before, stale
            assert ask(e, NAMES[1]).answer
            assert ask(e, NAMES[3]).answer
            assert ask(e, f"brief.{ZONE}").answer
            # what was never asked for
            r = ask(e, f"late.{ZONE}", payload=1232)
            assert r.rcode() == dns.rcode.SERVFAIL and ede(r) == [BLOCKED]
            assert set(refused(e)) == {"name"}
            assert refused(e, "would_refuse") == {}
            assert state(e)["passed_names"] >= 2
            assert [z["zone"] for z in e.nzctl("attack", "status")[
                "attack"]["zones"]] == [ZONE]
        e.wait_log(f"zone '{ZONE}': attack: refused ", mark)
        e.wait_log(f"zone '{ZONE}': attack: filter 'misses' begins", mark)
        over = time.monotonic()
        ended = json.loads(watched.readline())
        s.close()
        assert ended["event"] == "attack-ends"
        assert time.monotonic() - over < patience(10)
        assert active(e) == [] and e.nzctl("attack", "status")["attack"][
            "zones"] == []
        assert ask(e, f"late.{ZONE}").answer
        zone = e.nzctl("status", "--zone", ZONE)["status"]["zones"][0]
        assert zone["admission"]["refused"]["name"] > 100
        assert zone["admission"]["attack"] is False


def test_misses_observed(origin):
    with edge_of(origin, filters(misses="observe")) as e:
        asked, mark = e.counter("asked"), e.mark()
        with flood(e, made_up) as f:
            assert active(e) == ["misses"]
            assert refused(e) == {}
            assert set(refused(e, "would_refuse")) == {"name"}
            assert dns.rcode.SERVFAIL not in f.rcodes
            assert e.counter("asked") - asked > f.sent / 2
            assert ask(e, f"late.{ZONE}").answer
        e.wait_log(f"zone '{ZONE}': attack: would refuse ", mark)


def test_all_off(origin):
    with Edge({ZONE: zone_of(origin, admission=filters())}) as e:
        ask(e, NAMES[0])
        with flood(e, made_up) as f:
            assert dns.rcode.SERVFAIL not in f.rcodes
        assert "admission" not in e.nzctl("status", "--zone", ZONE)[
            "status"]["zones"][0]


def test_names_of_a_transfer_exist(origin):
    """Nobody has asked for it before, but the zone has it."""
    with edge_of(origin, filters(misses="on"), names="transfer") as e:
        wait_for(lambda: ask(e, f"no.{ZONE}").rcode() == 3 and
                 e.counter("denied") > 0, "the set of names", 20)
        with flood(e, lambda n: make(NAMES[n % 20], "TXT" if n % 2 else "A")):
            assert "misses" in active(e)
            assert ask(e, f"late.{ZONE}").answer


def test_names_of_a_wildcard_are_made_up():
    """The set of names denies none of them, nor is any of them in it."""
    text = zone_text(RECORDS + "*.wild 300 A 192.0.2.50\n")
    with Origin({ZONE: text}) as own, \
            edge_of(own, filters(misses="on"), names="transfer") as e:
        wait_for(lambda: ask(e, f"no.{ZONE}").rcode() == 3 and
                 e.counter("denied") > 0, "the set of names", 20)
        asked = e.counter("asked")
        with flood(e, lambda _: make(
                f"x{random.getrandbits(60):x}.wild.{ZONE}")) as f:
            assert active(e) == ["misses"]
            assert e.counter("asked") - asked < 150 < f.sent
            assert ask(e, f"late.{ZONE}").answer


def test_stale_denials_are_better_than_none(origin):
    """Of a name that was known not to exist."""
    with edge_of(origin, filters(misses="on"), ttl={"negative-max": 1}) as e:
        assert ask(e, f"none.{ZONE}").rcode() == dns.rcode.NXDOMAIN
        e.wait_state(f"none.{ZONE}", "A", "stale", "expired")
        with flood(e, made_up):
            r = ask(e, f"none.{ZONE}", payload=1232)
            assert r.rcode() == dns.rcode.NXDOMAIN
            assert BLOCKED not in ede(r)


def test_new_names_while_one_question_is_repeated(origin):
    """Origins are asked no more than ever: then new names are asked for."""
    with edge_of(origin, filters(misses="on")) as e:
        with flood(e, same) as f:
            assert active(e) == ["misses"]
            assert ask(e, f"late.{ZONE}").answer
            assert state(e)["passed_new_names"] == 1
            f.run(1)
            # but not for many
            asked = e.counter("asked")
            f.question = lambda n: same(n) if n % 2 else made_up(n)
            f.run(2)
            assert e.counter("asked") - asked < 30
            assert refused(e)["name"] > 100


def test_new_names_of_known_clients(origin):
    """A few, also while others make up names."""
    with edge_of(origin, filters(misses="on", suffixes="on")) as e:
        known = "127.9.210.1"
        ask(e, NAMES[0], tcp=True, source=known)
        with flood(e, made_up):
            assert "misses" in active(e)
            assert ask(e, f"late.{ZONE}", source=known).answer


def test_amnesty_after_a_purge(origin):
    with edge_of(origin, filters(misses="on")) as e:
        e.nzctl("purge", "--zone", ZONE)
        assert state(e)["state"] == "amnesty"
        with flood(e, existing) as f:
            assert set(f.rcodes) == {0}
        assert refused(e) == {}
        # all that was there is back: no more misses are forgiven
        wait_for(lambda: state(e)["state"] != "amnesty", "its end", 20)


def test_a_subtree_purged_is_not_the_zone(origin):
    """As many misses are forgiven as there were answers, again and again."""
    with edge_of(origin, filters(misses="on")) as e:
        for _ in range(3):
            e.nzctl("purge", "--subtree", NAMES[5])
        asked = e.counter("asked")
        with flood(e, made_up):
            assert "misses" in active(e)
            e.nzctl("purge", "--subtree", NAMES[6])
            e.nzctl("purge", "--subtree", f"nothing.{ZONE}")
        assert state(e)["state"] == "attack"
        assert e.counter("asked") - asked < 70
