# SPDX-License-Identifier: MPL-2.0
"""The harness itself, on plain named: what it says must be true."""

import threading

import pytest

from nzlib import (FakeOrigin, Load, Named, Origin, SignedZone, StartFailed,
                   answer_to, ask, ask_together, free_port, pipelined, rrset,
                   same, wait_for, zone_text)
from nzlib.ask import make
from nzlib.zones import KINDS, RICH, at

@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH}) as o:
        yield o


def test_ports_differ():
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_questions_are_counted_exactly(origin):
    mark = origin.mark()
    for _ in range(20):
        ask(origin, "www.example.com")
    ask_together(origin, [make("h1.example.com", do=True)] * 30)
    pipelined(origin, [make(f"h{i}.example.com") for i in range(2, 12)])
    assert len(origin.questions(mark, "www.example.com", "A")) == 20
    assert len(origin.questions(mark, "h1.example.com")) == 30
    assert len(origin.questions(mark)) == 60
    last = origin.questions(mark)[-1]
    assert last.flags == "-T" and last.view is None


def test_two_named_with_one_zone_say_the_same(origin):
    with Origin({"example.com": RICH}, what="twin") as twin:
        for name, rdtype in KINDS:
            same(ask(twin, at(name), rdtype, do=True),
                 ask(origin, at(name), rdtype, do=True))
        with pytest.raises(AssertionError):
            same(ask(twin, "www.example.com"), ask(origin, "h1.example.com"))


def test_change_is_served_at_once():
    with Origin({"example.test": zone_text("a A 192.0.2.1")}) as origin:
        for serial in range(2, 5):
            origin.change("example.test", zone_text(
                f"n{serial} A 192.0.2.99", serial=serial))
            assert ask(origin, f"n{serial}.example.test").answer
            assert not ask(origin, "a.example.test").answer


def test_paused_named_is_silent_and_comes_back(origin):
    origin.pause()
    assert ask_together(origin, [make("www.example.com")],
                        seconds=0.3) == [None]
    origin.resume()
    assert ask(origin, "www.example.com").answer


def test_a_failed_start_says_why():
    with pytest.raises(StartFailed, match="unknown option"):
        Named(options="no-such-option yes;").start()


def test_bad_words_and_status_fail_the_stop():
    server = Named().start()
    with open(server.path("log"), "a", encoding="utf-8") as f:
        f.write("x.c:1: INSIST(0) failed\n")
    with pytest.raises(AssertionError, match="INSIST"):
        server.stop()
    server = Named().start()
    server.process.kill()
    with pytest.raises(AssertionError, match="status -9"):
        server.stop()


def test_load_counts_what_is_lost():
    drop, dropped = threading.Event(), []

    def handler(query, _):
        if not drop.is_set():
            return answer_to(query)
        dropped.append(query)
        return None

    with FakeOrigin(handler) as fake:
        load = Load(fake, ["a.test", "b.test"], rate=200)
        load.start()
        wait_for(lambda: load.sent >= 20, "20 queries")
        drop.set()
        wait_for(lambda: len(dropped) >= 5, "5 dropped")
        drop.clear()
        load.finish(drain_s=1)
        assert 5 <= len(load.lost) == len(dropped) < load.sent
        assert sum(load.rcodes.values()) + len(load.lost) == load.sent


def test_fake_origin_answers_by_udp_and_tcp():
    def handler(query, via):
        return answer_to(query, rrset("x.test.", 5, "TXT", via))

    with FakeOrigin(handler) as fake:
        for tcp in False, True:
            r = ask(fake, "x.test", "TXT", tcp=tcp)
            assert r.answer[0][0].to_text() == ('"tcp"' if tcp else '"udp"')
        assert fake.names() == ["x.test", "x.test"]
        assert fake.connections == 1


def test_delv_trusts_a_signed_zone():
    zone = SignedZone("signed.test", zone_text("www A 192.0.2.1"))
    with Origin({"signed.test": zone.text}) as server:
        assert "fully validated" in zone.delv(server, "www.signed.test")
    forged = zone.text.replace("192.0.2.1\n", "192.0.2.66\n")
    assert forged != zone.text
    with Origin({"signed.test": forged}) as server:
        assert "fully validated" not in zone.delv(server, "www.signed.test")
