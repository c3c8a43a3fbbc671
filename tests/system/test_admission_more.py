# SPDX-License-Identifier: MPL-2.0
"""The same: repeats, sources, suffixes, the ceiling, and what people see."""

import os
import random
import threading
import time

import dns.edns
import dns.flags
import dns.rcode
import pytest

from nzlib import (Edge, Origin, ask, free_port, option, origin_at, wait_for,
                   zone_of, zone_text)
from nzlib.admission import (ZONE, NAMES, RECORDS, BLOCKED, PROHIBITED, COOKIE,
                             filters, state, refused, active, settle, edge_of,
                             Flood, flood, made_up, made_up_wide, existing,
                             same)
from nzlib.ask import make
from nzlib.probed import Probed
from nzlib.prom import scrape


@pytest.fixture(name="origin", scope="module")
def make_origin():
    with Origin({ZONE: zone_text(RECORDS)}) as o:
        yield o


def test_repeats(origin):
    with edge_of(origin, filters(repeats="on")) as e:
        with flood(e, same) as f:
            assert f.cut > 16 and f.answers < f.sent
            assert f.edes == {PROHIBITED}
            assert active(e) == ["repeats"]
            assert set(refused(e)) == {"repeat", "repeat-dropped"}
            # from another prefix; and by TCP from this one
            r = ask(e, NAMES[0], source="127.0.7.1")
            assert r.answer and not r.flags & dns.flags.TC
            assert ask(e, NAMES[0], tcp=True).answer
        with flood(e, existing, rate=200, sources=("127.0.8.1",)) as f:
            assert f.cut == 0 and f.answers == f.sent


def test_repeats_of_what_is_made(origin):
    """Denials by the set of names are answers, too."""
    with edge_of(origin, filters(repeats="on"), names="transfer") as e:
        wait_for(lambda: ask(e, f"no.{ZONE}").rcode() == 3 and
                 e.counter("denied") > 0, "the set of names", 20)
        with flood(e, lambda _: make(f"no.{ZONE}")) as f:
            assert f.cut > 16 and f.answers < f.sent
            r = ask(e, f"no.{ZONE}", source="127.0.7.1")
            assert r.rcode() == dns.rcode.NXDOMAIN
            assert not r.flags & dns.flags.TC


def test_rate_limit_beside(origin):
    """What filters let through, named's own limit may hold."""
    edge = Edge({ZONE: zone_of(origin, admission=filters(misses="on"))},
                options="rate-limit { responses-per-second 20;"
                " errors-per-second 10; window 5; slip 0; };")
    with edge as e:
        with Flood(e, existing, rate=18) as calm:
            def normal():
                calm.run(1)
                return state(e).get("state") == "normal"
            wait_for(normal, "the zone to be an old one", 60)
        with flood(e, made_up) as f:
            assert "misses" in active(e)
            assert 0 < f.rcodes[dns.rcode.SERVFAIL] < 100
        with flood(e, same, sources=("127.0.11.1",)) as f:
            assert 0 < f.answers < 100
            assert e.counter("limited") > 100


def test_repeats_observed(origin):
    with edge_of(origin, filters(repeats="observe")) as e:
        with flood(e, same) as f:
            assert f.cut == 0 and f.answers == f.sent
            assert refused(e) == {}
            assert set(refused(e, "would_refuse")) == {"repeat",
                                                       "repeat-dropped"}


def test_repeats_with_cookies(origin):
    """Who sends a cookie that is not ours learns ours."""
    def asks(_):
        return make(NAMES[0], options=[dns.edns.GenericOption(
            COOKIE, b"12345678")])
    with edge_of(origin, filters(repeats="on")) as e:
        with flood(e, asks) as f:
            assert f.rcodes.get(dns.rcode.BADCOOKIE, 0) > 16
            assert f.cut == 0


# -- unknown sources ----------------------------------------------------------

def all_over(n=300):
    return [f"127.{1 + i % 250}.{i // 250 + 3}.1" for i in range(n)]


def test_unknown_sources(origin):
    with edge_of(origin, filters(unknown="on")) as e:
        known, cookie, other = "127.9.200.1", "127.9.201.1", "127.9.202.1"
        ask(e, NAMES[0], tcp=True, source=known)
        ours = option(ask(e, NAMES[0], source=cookie, options=[
            dns.edns.GenericOption(COOKIE, b"12345678")]), COOKIE)
        f = Flood(e, existing, rate=600, sources=all_over())
        try:
            f.run(2)
            assert active(e) == ["unknown"]
            assert f.cut > f.sent / 4
            assert f.edes == {PROHIBITED}
            assert set(refused(e)) == {"source"}
            # earned before
            assert ask(e, NAMES[1], source=known).answer
            # earned now
            r = ask(e, NAMES[1], source=other)
            assert r.flags & dns.flags.TC and not r.answer
            assert ask(e, NAMES[1], tcp=True, source=other).answer
            f.run(1)
            assert ask(e, NAMES[1], source=other).answer
            # a cookie that is not ours, and one that is
            r = ask(e, NAMES[1], source=cookie, options=[
                dns.edns.GenericOption(COOKIE, b"12345678")])
            assert r.rcode() == dns.rcode.BADCOOKIE
            assert ask(e, NAMES[1], source=cookie, options=[
                dns.edns.GenericOption(COOKIE, ours)]).answer
            assert ask(e, NAMES[1], source=cookie).answer
            assert state(e)["passed_sources"] >= 4
        finally:
            f.close()


def test_few_sources_are_not_unknown(origin):
    with edge_of(origin, filters(unknown="on")) as e:
        with flood(e, existing, rate=600, sources=all_over(10)) as f:
            assert active(e) == [] and f.cut == 0


def test_unknown_sources_observed(origin):
    with edge_of(origin, filters(unknown="observe")) as e:
        with flood(e, existing, rate=600, sources=all_over()) as f:
            assert active(e) == ["unknown"] and f.cut == 0
            assert refused(e) == {}
            assert set(refused(e, "would_refuse")) == {"source"}


def test_known_clients_outlive_named(origin):
    admission = filters(unknown="on")
    with edge_of(origin, admission) as e:
        known = "127.9.200.1"
        ask(e, NAMES[0], tcp=True, source=known)
        before = e.nzctl("attack", "status")["attack"]["known"]["prefixes"]
        learned = state(e)["learned_s"]
        assert before >= 2 and learned > 0
        e.stop()
        for name in ("known.table", "normal.table"):
            assert os.path.getsize(os.path.join(e.dir, name)) > 32
        e.start_again()
        ask(e, NAMES[0])
        assert e.nzctl("attack", "status")["attack"]["known"][
            "prefixes"] >= before
        assert wait_for(lambda: state(e).get("learned_s"),
                        "the zone") >= learned
        settle(e)
        with flood(e, existing, rate=600, sources=all_over()):
            assert active(e) == ["unknown"]
            assert ask(e, NAMES[1], source=known).answer


def test_damaged_tables_are_refused(origin):
    with edge_of(origin, filters(unknown="on")) as e:
        ask(e, NAMES[0], tcp=True)
        e.stop()
        for name in ("known.table", "normal.table"):
            path = os.path.join(e.dir, name)
            with open(path, "r+b") as f:
                f.seek(40)
                f.write(b"\xa5\x5a")
        mark = e.mark()
        e.start_again()
        for name in ("known.table", "normal.table"):
            e.wait_log(f"{name}' is refused: it is damaged", mark)
        assert ask(e, NAMES[0]).answer


# -- suffixes -----------------------------------------------------------------

def test_suffix(origin):
    """Far below what is 20 times normal, but all below one name."""
    admission = {**filters(suffixes="on"), "normal": 10000}
    with edge_of(origin, admission) as e:
        asked = e.counter("asked")
        entries = e.status()["cache"]["entries"]

        def below(_):
            return make(f"x{random.getrandbits(60):x}.n1.{ZONE}",
                        payload=1232)
        with flood(e, below, rate=600) as f:
            assert active(e) == ["suffixes"]
            assert e.counter("asked") - asked < 400 < f.sent
            assert e.status()["cache"]["entries"] - entries < 400
            assert set(refused(e)) == {"suffix"}
            assert f.edes == {BLOCKED}
            suffixes = state(e)["suffixes"]
            assert [x["suffix"] for x in suffixes] == [f"n1.{ZONE}"]
            # other names of the zone, asked for or not
            assert ask(e, NAMES[2]).answer
            assert ask(e, f"late.{ZONE}").answer
            assert ask(e, NAMES[1]).answer
        wait_for(lambda: active(e) == [], "the end", 12)


def test_suffix_observed(origin):
    admission = {**filters(suffixes="observe"), "normal": 10000}
    with edge_of(origin, admission) as e:
        asked = e.counter("asked")
        with flood(e, made_up, rate=600) as f:
            assert active(e) == ["suffixes"]
            assert set(refused(e, "would_refuse")) == {"suffix"}
            assert refused(e) == {}
            assert e.counter("asked") - asked > f.sent / 2


def test_two_labels_made_up(origin):
    admission = {**filters(suffixes="on"), "normal": 10000}
    with edge_of(origin, admission) as e:
        with flood(e, made_up_wide, rate=600):
            assert [x["suffix"] for x in state(e)["suffixes"]] == [ZONE]
            assert ask(e, NAMES[2]).answer


# -- the ceiling --------------------------------------------------------------

def test_origin_rate(origin):
    """It holds whatever else is done."""
    zone = zone_of(origin, admission=filters(), **{"origin-rate": 20})
    with Edge({ZONE: zone}) as e:
        ask(e, NAMES[0])
        at = e.mark()
        mark, asked = origin.mark(), e.counter("asked")
        began = time.monotonic()
        with flood(e, made_up, seconds=3) as f:
            took = time.monotonic() - began
            n = len(origin.questions(mark))
            assert n <= 20 * took * 0.75 + 5
            assert n >= 20
            assert e.counter("asked") - asked <= n
            assert f.rcodes[dns.rcode.SERVFAIL] > f.sent / 2
            assert BLOCKED in f.edes
        assert refused(e)["origin-rate"] > 100
        e.wait_log(f"zone '{ZONE}': not asking for 'x", at)


def test_origin_rate_counts_what_is_repeated():
    """Answers that are too long for UDP are asked for twice."""
    long = " ".join(f'"{i}{"x" * 240}"' for i in range(20))
    with Origin({ZONE: zone_text(f"*.long TXT {long}\n")}) as own:
        zone = zone_of({**origin_at(own), "transport": "udp"},
                       admission=filters(), **{"origin-rate": 20})
        with Edge({ZONE: zone}) as e:
            ask(e, f"x.long.{ZONE}", "TXT")
            mark, began = own.mark(), time.monotonic()
            with flood(e, lambda n: make(f"x{n}.long.{ZONE}", "TXT"),
                       seconds=4):
                n = len(own.questions(mark))
                took = time.monotonic() - began
                assert 40 <= n <= 20 * took + 15, (n, took)


def test_origin_rate_keeps_room_for_names_that_exist(origin):
    zone = zone_of(origin, admission=filters(), **{"origin-rate": 20})
    with Edge({ZONE: zone}) as e:
        wait_for(lambda: all(ask(e, n).answer for n in NAMES[:10]),
                 "all in memory", 20)
        with flood(e, made_up, seconds=2) as f:
            for name in NAMES[:4]:
                e.nzctl("purge", name)
                f.run(0.3)
                # A question that was repeated has used it up for a moment.
                wait_for(lambda name=name: ask(e, name).answer, name, 2)


# -- what is said of it -------------------------------------------------------

def test_when_many_wait_known_sources_come_first():
    """Three quarters of the room are for whoever comes first."""
    with Origin({ZONE: zone_text(RECORDS)}) as own:
        edge = Edge({ZONE: zone_of(own, admission=filters(unknown="on"))})
        edge.doc["limits"] = {"waiters": 20}
        edge.write_json()
        with edge:
            own.pause()
            try:
                flood = Flood(edge, lambda n: make(f"x{n}.{ZONE}"),
                              sources=["127.0.0.9"]).run(1)
                assert refused(edge)["busy"] > 200
                assert edge.counter("overload") >= refused(edge)["busy"]
                assert flood.rcodes == {dns.rcode.SERVFAIL: flood.answers}
                replies = []
                known = threading.Thread(target=lambda: replies.append(
                    ask(edge, NAMES[0], tcp=True, seconds=20)))
                known.start()
                wait_for(lambda: edge.counter("misses") > 16, "it to wait")
            finally:
                own.resume()
            known.join(20)
            assert replies[0].answer


def test_metrics(origin):
    port = free_port()
    with edge_of(origin, filters(misses="on", repeats="observe")) as e:
        e.doc["metrics"] = {"address": ["127.0.0.1"], "port": port}
        e.write_json()
        e.nzctl("reload")
        with Probed(e.json_path, "t1"), flood(e, made_up) as f:
            f.run(1)

            def told():
                m = scrape(port)
                return m.get("nearzone_attack", zone=ZONE) == 1 and m
            m = wait_for(told, "the attack", 20)
            assert m.get("nearzone_admission_refused_total", zone=ZONE,
                           reason="name") > 0
            assert m.get("nearzone_admission_would_refuse_total", zone=ZONE,
                           reason="name") == 0


def test_commands(origin):
    with Edge({ZONE: zone_of(origin)}) as e:
        text = e.nzctl("attack", "status", ZONE, plain=True)
        assert "not asked yet" in text
        assert "no zone 'x'" in e.nzctl("attack", "status", "x", plain=True,
                                        status=(1,))
        assert "want 'status'" in e.nzctl("attack", "end", plain=True,
                                          status=(2,))
        ask(e, NAMES[0])
        wait_for(lambda: state(e)["state"] == "new", "the zone")
        assert [f["mode"] for f in state(e)["filters"]] == ["on"] * 4


def test_a_reload_during_an_attack(origin):
    """A filter that is turned off ends; the attack goes on with the rest."""
    with edge_of(origin, filters(misses="on", repeats="on")) as e:
        with flood(e, made_up) as f:
            assert set(active(e)) == {"misses", "repeats"}
            e.doc["zones"][ZONE]["admission"]["repeats"] = "off"
            e.write_json()
            e.nzctl("reload")
            f.run(2)
            assert active(e) == ["misses"]
            del e.doc["zones"][ZONE]
            e.write_json()
            e.nzctl("reload")
            assert e.nzctl("attack", "status")["attack"]["zones"] == []
