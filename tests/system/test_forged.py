# SPDX-License-Identifier: MPL-2.0
"""Origins by UDP and somebody who answers in their name."""

import re

import dns.edns
import dns.rcode
import pytest

from nzlib import Edge, Origin, ask, origin_at, wait_for, zone_of
from nzlib.forger import (EVIL, Forger, cookie_of, cookies, ids, mixed,
                          spellings)
from nzlib.zones import RICH, fresh_host

TRUE = "192.0.2.7"
NAMES = 20
EACH = 700  # forged answers of each kind before each true one


@pytest.fixture
def origin():
    with Origin({"example.com": RICH}) as o:
        yield o


def edge_at(forger):
    """A longer timeout than usual: floods take their time."""
    return Edge({"example.com": zone_of(
        origin_at(forger, "udp", timeout="4s"), stale="0s")})


def address(edge, name):
    """What the edge says; never what was forged.  None: SERVFAIL."""
    r = ask(edge, name, payload=1232, seconds=20)
    assert EVIL not in r.to_text()
    if r.rcode() == dns.rcode.SERVFAIL:
        return None
    assert r.rcode() == dns.rcode.NOERROR
    return r.answer[0][0].to_text()


def true_in_the_end(edge, name):
    """A flood may push a true answer out of the kernel's buffer."""
    assert wait_for(lambda: address(edge, name), f"{name} to be answered",
                    20) == TRUE


def udp_row(edge):
    row, = (o for o in edge.status()["origins"] if o["transport"] == "udp")
    return row


@pytest.mark.parametrize("tcp", [True, False])
def test_a_flood_before_each_answer(origin, tcp):
    """It knows ports, IDs and spelling; what it does not is the cookie."""
    with Forger(origin, tcp) as forger, edge_at(forger) as e:
        for _ in range(2):
            assert address(e, fresh_host()) == TRUE
        assert len(cookie_of(forger.questions[-1])) > 8
        mark = e.mark()
        forger.forge = mixed(ids(EACH), spellings(EACH), cookies(EACH))
        names = [fresh_host() for _ in range(NAMES)]
        for name in names:
            true_in_the_end(e, name)
        # Each name, by UDP with TCP closed: once, and once more.
        count = (NAMES - 1) * 2.9 * EACH * (1 if tcp else 2)
        wait_for(lambda: forger.forged >= count, "the whole flood")
        assert (forger.by_tcp > 0) == tcp
        row = udp_row(e)
        assert set(row["dropped"]) >= {"wrong_id", "wrong_spelling",
                                       "no_cookie", "wrong_cookie"}
        assert sum(row["dropped"].values()) == row["bad"]
        if not tcp:
            assert row["bad"] > NAMES * EACH
        # Once for each cause, and no more.
        causes = re.findall(r"dropped what came as an answer of origin "
                            rf"'127.0.0.1#{forger.port}': '(\w+)'",
                            e.log(mark))
        assert sorted(causes) == sorted(row["dropped"])
        forger.forge = None
        for name in names:  # what is stored
            assert address(e, name) == TRUE
        assert EVIL not in e.nzctl("dump", plain=True)


@pytest.mark.parametrize("tcp", [True, False])
def test_a_flood_from_the_first_question_on(origin, tcp):
    """Before the origin has shown anything: then TCP answers, or nobody."""
    with Forger(origin, tcp) as forger:
        forger.forge = mixed(ids(EACH), spellings(EACH))
        with edge_at(forger) as e:
            said = {address(e, fresh_host()) for _ in range(NAMES)}
            assert said == {TRUE if tcp else None}
            row = udp_row(e)
            assert set(row["dropped"]) >= {"wrong_id", "wrong_spelling"}
            # What a question can be guessed at: see cacheproxy/origin.h.
            assert row["bad"] <= NAMES * 3 * 32
            forger.forge = None
            true_in_the_end(e, fresh_host())


def test_the_origin_has_our_cookie(origin):
    """By named's own account: V is a right one, K one of the client's."""
    with Edge({"example.com": zone_of(origin_at(origin, "udp"))}) as e:
        for _ in range(3):
            assert address(e, fresh_host()) == TRUE
        flags = [q.flags for q in origin.questions()]
        assert len(flags) == 3
        assert flags[0][-1] == "K"
        assert [f[-1] for f in flags[1:]] == ["V", "V"]


def test_an_origin_that_insists(origin):
    """BADCOOKIE costs one question by UDP, once."""
    with Origin({"example.com": RICH},
                options="require-server-cookie yes;") as strict, \
            Edge({"example.com": zone_of(origin_at(strict, "udp"))}) as e:
        for _ in range(3):
            assert address(e, fresh_host()) == TRUE
        row = udp_row(e)
        assert row["sent"] == 4 and row["bad"] == 0
        assert not any("T" in q.flags for q in strict.questions())


def test_an_origin_comes_back_without_cookies(origin):
    with edge_at(origin) as e:
        for _ in range(2):
            assert address(e, fresh_host()) == TRUE
        origin.stop()
        origin.options = "answer-cookie no;"
        origin.start()
        mark = origin.mark()
        for _ in range(4):
            assert address(e, fresh_host()) == TRUE
        assert ["T" in q.flags for q in origin.questions(mark)] == [
            False, True, False, False, False]
        assert udp_row(e)["dropped"] == {"no_cookie": 1}


def test_clients_never_see_the_cookie_of_the_origin(origin):
    """Nor does one who brings its own: that is answered by named."""
    own = bytes(range(8))
    with Forger(origin) as forger, edge_at(forger) as e:
        name = fresh_host()
        for options in ([], [], [dns.edns.GenericOption(10, own)]):
            r = ask(e, name, options=options, payload=1232)
            assert r.answer
            found = [o.to_wire() for o in r.options if o.otype == 10]
            assert len(found) == len(options)
            assert all(o[:8] == own for o in found)
        ours = cookie_of(forger.questions[0])[:8]
        assert len(ours) == 8 and ours != own
        assert ours not in r.to_wire()
