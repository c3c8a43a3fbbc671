# SPDX-License-Identifier: MPL-2.0
"""Origins that send nonsense: SERVFAIL or the truth, never a crash."""

import dns.edns
import dns.rcode
import pytest

from nzlib import Edge, FakeOrigin, ask, ask_together, origin_at, zone_of
from nzlib.ask import make
from nzlib.broken import (BAD, GOOD, OPEN, TCP_BAD, TCP_GOOD, TRUE,
                          UDP_GOOD, good)

WANTED = {"bad": {"SERVFAIL"}, "good": {TRUE},
          "open": {"SERVFAIL", "NOERROR", TRUE}}


def cases():
    for transport in "tcp", "udp":
        own = {"tcp": {"bad": TCP_BAD, "good": TCP_GOOD},
               "udp": {"good": UDP_GOOD}}[transport]
        for kind, shared in (("bad", BAD), ("open", OPEN), ("good", GOOD)):
            for name, say in {**shared, **own.get(kind, {})}.items():
                yield f"{name}.{transport}.test", transport, kind, say


CASES = list(cases())


@pytest.fixture(scope="module")
def edge():
    """A zone and an origin for each case, so that none spoils another."""
    origins, zones = [], {}
    for zone, transport, kind, say in CASES:
        origin = FakeOrigin(lambda q, _, say=say: say(q))
        origins.append(origin)
        timeout = "100ms" if kind == "bad" else "500ms"
        zones[zone] = zone_of(origin_at(origin, transport,
                                        timeout=timeout))
    last = FakeOrigin(lambda q, _: good(q))
    zones["sound.test"] = zone_of(last)
    with Edge(zones) as e:
        yield e
    for origin in origins + [last]:
        origin.stop()


def outcome(reply):
    """The rcode, or the address, of a reply; nothing evil is in it."""
    text = reply.to_text()
    assert "evil" not in text and "192.0.2.66" not in text
    if reply.answer and reply.answer[0].rdtype == 1:
        assert len(reply.answer) == 1
        return reply.answer[0][0].to_text()
    return dns.rcode.to_text(reply.rcode())


@pytest.mark.parametrize("zone,transport,kind,say", CASES,
                         ids=[c[0] for c in CASES])
def test_one_kind(edge, zone, transport, kind, say):
    for name in (f"www.{zone}", f"www.{zone}", f"other.{zone}"):
        assert outcome(ask(edge, name, do=True, seconds=15)) in WANTED[kind]
    assert edge.is_running()
    assert outcome(ask(edge, "www.sound.test")) == TRUE


def test_all_kinds_at_once(edge):
    """Each zone by many names together; sound ones must not suffer."""
    queries = [make(f"n{i}.{zone}", do=True)
               for zone, _, _, _ in CASES for i in range(3)]
    queries += [make(f"n{i}.sound.test") for i in range(50)]
    replies = ask_together(edge, queries, seconds=20)
    for reply in replies[-50:]:
        assert outcome(reply) == TRUE
    for reply, (_, _, kind, _) in zip(replies[:-50],
                                      [c for c in CASES for _ in "123"]):
        assert reply is not None
        assert outcome(reply) in WANTED[kind] | {"SERVFAIL"}
    assert edge.counter("bad") > 0


def test_a_bad_origin_beside_a_good_one():
    with FakeOrigin(lambda q, _: BAD["noise"](q)) as bad, \
            FakeOrigin(lambda q, _: good(q)) as sound:
        pair = [origin_at(bad, timeout="300ms"), origin_at(sound)]
        with Edge({"example.test": zone_of(*pair)}) as e:
            for i in range(20):
                assert outcome(ask(e, f"n{i}.example.test")) == TRUE
            assert bad.asked


def test_options_of_the_origin_stay_there():
    """Its NSID, cookie, subnet, extended errors are not for clients."""
    options = [dns.edns.GenericOption(3, b"origin-id"),
               dns.edns.GenericOption(10, b"abcdefgh" * 3),
               dns.edns.GenericOption(8, b"\0\1\x18\0\xc0\0\2"),
               dns.edns.GenericOption(15, b"\0\x12secret"),
               dns.edns.GenericOption(12, b"\0" * 40),
               dns.edns.GenericOption(65001, b"private")]
    with FakeOrigin(lambda q, _: good(q, options=options)) as fake, \
            Edge({"example.test": zone_of(fake)}) as e:
        for _ in range(2):
            for how in ({"do": True}, {"payload": 4096}, {"tcp": True,
                                                         "do": True}):
                assert not ask(e, "www.example.test", **how).options
        query, via = fake.asked[0]
        assert via == "tcp" and query.edns == 0
        assert query.ednsflags & 0x8000 and not query.flags & 0x0100
        assert 8 not in {int(o.otype) for o in query.options}
        assert len(fake.asked) == 1


@pytest.fixture(scope="module")
def udp_queries():
    with FakeOrigin(lambda q, _: good(q)) as fake:
        zone = zone_of(origin_at(fake, "udp"))
        with Edge({"example.test": zone}) as e:
            for i in range(20):
                assert ask(e, f"quite-a-long-name-{i}.example.test").answer
    return [query for query, _ in fake.asked]


def test_ids_vary_by_udp(udp_queries):
    ids = [q.id for q in udp_queries]
    assert len(set(ids)) > 15
    steps = [abs(a - b) for a, b in zip(ids, ids[1:])]
    assert sum(step > 100 for step in steps) > 10


def test_spelling_varies_by_udp(udp_queries):
    """Guessing an answer takes more than an ID and a port (0x20)."""
    spelled = {q.question[0].name.to_text() for q in udp_queries}
    assert any(s != s.lower() for s in spelled)
