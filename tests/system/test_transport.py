# SPDX-License-Identifier: MPL-2.0
"""How the edge talks to its origins: UDP, TCP, TLS, TSIG."""

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.tsigkeyring
import pytest

from nzlib import (Edge, FakeOrigin, Origin, answer_to, ask, certificate,
                   ede, free_port, origin_at, rrset, tsig_key, zone_of)
from nzlib.zones import RICH, fresh_host

NAME = "origin.test"


@pytest.fixture(scope="module")
def pair():
    return certificate(NAME)


@pytest.fixture(scope="module")
def origin(pair):
    """Plain zone on the plain port and by TLS; keyed.test by TSIG only."""
    dot = free_port()
    with Origin({"example.com": RICH},
                options=f"listen-on port {dot} tls own {{ 127.0.0.1; }};",
                body=lambda o: f"""
tls own {{ cert-file "{pair[0]}"; key-file "{pair[1]}"; }};
{tsig_key("edge-key", "correct")}
zone "keyed.test" {{ type primary; file "{o.write("keyed", RICH)}";
    allow-query {{ key edge-key; }}; }};""") as o:
        o.dot = dot
        yield o


def tls_origin(origin, ca, name=NAME):
    tls = {"ca-file": ca}
    if name:
        tls["name"] = name
    return {"address": "127.0.0.1", "port": origin.dot, "transport": "tls",
            "tls": tls}


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_miss_and_hit(origin, pair, transport):
    where = (tls_origin(origin, pair[0]) if transport == "tls"
             else origin_at(origin, transport))
    with Edge({"example.com": zone_of(where)}) as e:
        name, mark = fresh_host(), origin.mark()
        for _ in range(3):
            assert ask(e, name).answer
        question, = origin.questions(mark)
        assert ("T" in question.flags) == (transport != "udp")
        assert "D" in question.flags and question.flags[0] == "-"
        for _ in range(30):
            assert ask(e, fresh_host()).answer
        ports = {q.port for q in origin.questions(mark)}
        # Ports rotate where a stranger could guess them, else they stay.
        assert len(ports) >= 4 if transport == "udp" else len(ports) <= 3
        big = ask(e, "huge.example.com", "TXT", tcp=True)
        assert len(big.answer[0][0].strings) == 240


def test_udp_truncated_is_asked_again_by_tcp(origin):
    with Edge({"example.com": zone_of(origin_at(origin, "udp"))}) as e:
        mark = origin.mark()
        r = ask(e, "large.example.com", "TXT", tcp=True)
        assert len(r.answer[0][0].strings) == 40
        flags = [q.flags for q in origin.questions(mark)]
        assert len(flags) == 2
        assert "T" not in flags[0] and "T" in flags[1]


def test_tls_by_address_when_no_name_is_given(origin, pair):
    with Edge({"example.com": zone_of(
            tls_origin(origin, pair[0], name=None))}) as e:
        assert ask(e, fresh_host()).answer


@pytest.mark.parametrize("wrong", ["ca", "name", "system"])
def test_wrong_certificate_is_refused(origin, pair, wrong):
    """Nothing is asked of a server that is not who it should be."""
    where = {"ca": lambda: tls_origin(origin, certificate(NAME)[0]),
             "name": lambda: tls_origin(origin, pair[0], "other.test"),
             "system": lambda: {**tls_origin(origin, pair[0]),
                                "tls": {"name": NAME}}}[wrong]()
    with Edge({"example.com": zone_of(where)}) as e:
        mark = origin.mark()
        r = ask(e, fresh_host(), payload=1232, seconds=20)
        assert r.rcode() == dns.rcode.SERVFAIL and ede(r) == [22]
        assert origin.questions(mark) == []


def test_tls_to_a_port_that_does_not_speak_it(origin, pair):
    where = {**tls_origin(origin, pair[0]), "port": origin.port}
    with Edge({"example.com": zone_of(where)}) as e:
        r = ask(e, fresh_host(), seconds=20)
        assert r.rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_tsig(origin, pair, transport):
    where = (tls_origin(origin, pair[0]) if transport == "tls"
             else origin_at(origin, transport))
    zone = zone_of({**where, "key": "edge-key"})
    key = tsig_key("edge-key", "correct")
    with Edge({"keyed.test": zone}, body=lambda e: key + e.plugin()) as e:
        mark = origin.mark()
        for _ in range(2):
            r = ask(e, "www.keyed.test", do=True)
            assert len(r.answer[0]) == 4 and not r.had_tsig
        question, = origin.questions(mark, "www.keyed.test")
        assert question.key == "edge-key" and "S" in question.flags
        r = ask(e, "huge.keyed.test", "TXT", tcp=True)
        assert len(r.answer[0][0].strings) == 240


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_wrong_or_no_tsig_key(origin, transport, key):
    where = origin_at(origin, transport)
    text = ""
    if key:
        where["key"] = "edge-key"
        text = tsig_key("edge-key", key)
    with Edge({"keyed.test": zone_of(where)},
              body=lambda e: text + e.plugin()) as e:
        r = ask(e, "www.keyed.test", seconds=20)
        assert r.rcode() == dns.rcode.SERVFAIL and not r.answer


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_unsigned_answer_to_a_signed_question(transport):
    """An answer without TSIG is not one, whatever it says."""
    def handler(query, _):
        return answer_to(query, rrset(query.question[0].name, 60, "A",
                                      "192.0.2.66"))

    with FakeOrigin(handler) as fake:
        zone = zone_of(origin_at(fake, transport, key="edge-key"))
        text = tsig_key("edge-key", "correct")
        with Edge({"keyed.test": zone},
                  body=lambda e: text + e.plugin()) as e:
            r = ask(e, "www.keyed.test", seconds=20)
            assert r.rcode() == dns.rcode.SERVFAIL and not r.answer


def test_client_with_tsig_gets_a_signed_answer(origin):
    keyring = dns.tsigkeyring.from_text({"client-key": "Y2xpZW50"})
    text = tsig_key("client-key", "client")
    with Edge({"example.com": zone_of(origin)},
              body=lambda e: text + e.plugin()) as e:
        for _ in range(2):
            q = dns.message.make_query("www.example.com", "A")
            q.use_tsig(keyring, keyname="client-key")
            r = dns.query.udp(q, "127.0.0.1", 10, e.port)
            assert r.had_tsig and len(r.answer[0]) == 4
            assert r.flags & dns.flags.AA
