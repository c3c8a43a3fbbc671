# SPDX-License-Identifier: MPL-2.0
"""Answers too big for a client, TCP, TLS and HTTPS clients."""

import socket
import ssl
import subprocess

import dns.flags
import pytest

from nzlib import (Edge, Origin, ask, certificate, exchange, free_port,
                   option, pipelined, same, sections, zone_of)
from nzlib.ask import make, tool
from nzlib.zones import RICH, fresh_host

NSID, COOKIE, PADDING = 3, 10, 12


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH}) as o:
        yield o


@pytest.fixture(scope="module")
def edge(origin):
    cert, key = certificate("edge.test")
    ports = {"dot": free_port(), "doh": free_port()}
    with Edge({"example.com": zone_of(origin)}, options=f"""
            max-udp-size 4096; response-padding {{ any; }} block-size 128;
            listen-on port {ports["dot"]} tls edge {{ 127.0.0.1; }};
            listen-on port {ports["doh"]} tls edge http default {{
                127.0.0.1; }};""", body=lambda e: e.plugin() + f"""
            tls edge {{ cert-file "{cert}"; key-file "{key}"; }};""") as e:
        e.ports, e.cert = ports, cert
        yield e


@pytest.mark.parametrize("payload", [None, 512, 1232, 1400])
def test_truncated_at_the_clients_size(edge, payload):
    q = make("many.example.com", "TXT", payload=payload)
    for _ in range(2):
        wire = exchange(edge, q.to_wire())
        assert len(wire) <= (payload or 512)
        assert wire[2] & 2  # TC
        assert wire[:2] == q.to_wire()[:2]


def test_whole_where_it_fits(edge):
    for _ in range(2):
        r = ask(edge, "many.example.com", "TXT", payload=4096)
        assert not r.flags & dns.flags.TC
        assert len(r.answer[0][0].strings) == 10


def test_never_over_the_servers_own_limit(edge):
    q = make("large.example.com", "TXT", payload=65535)
    for _ in range(2):
        wire = exchange(edge, q.to_wire())
        assert len(wire) <= 4096 and wire[2] & 2


@pytest.mark.parametrize("name,strings", [("many", 10), ("large", 40),
                                          ("huge", 240)])
def test_tcp_gives_it_whole(origin, edge, name, strings):
    ask(edge, f"{name}.example.com", "TXT")
    mark = origin.mark()
    for do in (False, True):
        r = ask(edge, f"{name}.example.com", "TXT", tcp=True, do=do)
        assert not r.flags & dns.flags.TC
        assert len(r.answer[0][0].strings) == strings
    assert origin.questions(mark) == []
    assert sections(r) == sections(
        ask(origin, f"{name}.example.com", "TXT", tcp=True, do=True))


def test_many_on_one_tcp_connection(origin, edge):
    hosts = [fresh_host() for _ in range(20)]
    queries = [make(n) for n in hosts + ["www.example.com"] * 20 + hosts]
    for i, q in enumerate(queries):
        q.id = i
    mark = origin.mark()
    replies = pipelined(edge, queries)
    assert len(replies) == 60
    for i, q in enumerate(queries):
        assert replies[i].question == q.question
        assert replies[i].answer
    asked = [q for q in origin.questions(mark)
             if q.name != "www.example.com"]
    assert len(asked) == 20


def tls_connection(edge):
    context = ssl.create_default_context(cafile=edge.cert)
    context.set_alpn_protocols(["dot"])
    raw = socket.create_connection(("127.0.0.1", edge.ports["dot"]), 10)
    return context.wrap_socket(raw, server_hostname="edge.test")


def test_clients_by_tls(origin, edge):
    names = [fresh_host(), "www.example.com", "huge.example.com"]
    for _ in range(2):
        queries = [make(names[0]), make(names[1], do=True),
                   make(names[2], "TXT")]
        replies = pipelined(edge, queries,
                            connect=lambda: tls_connection(edge))
        for q in queries:
            rdtype = "TXT" if q is queries[2] else "A"
            direct = ask(origin, q.question[0].name, rdtype, tcp=True,
                         do=q is queries[1])
            same(replies[q.id], direct)


def test_clients_by_https(edge):
    """Through dig, which speaks HTTP/2: a miss, hits, and a big one."""
    name = fresh_host()
    for owner, rdtype, text in ((name, "A", "192.0.2.7"),
                                (name, "A", "192.0.2.7"),
                                ("large.example.com", "TXT", "039y"),
                                ("no.example.com", "A", "NXDOMAIN")):
        done = subprocess.run(
            [tool("dig"), "+https", "+tries=1", "+time=5", "@127.0.0.1",
             "-p", str(edge.ports["doh"]), owner, rdtype],
            capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stdout
        assert text in done.stdout and "flags: qr aa" in done.stdout


def test_padding(edge):
    pad = dns.edns.GenericOption(PADDING, b"\0" * 10)
    for _ in range(2):
        q = make("www.example.com", options=[pad])
        reply = pipelined(edge, [q])[q.id]
        assert option(reply, PADDING) is not None
        assert len(reply.to_wire()) % 128 == 0
        assert len(reply.answer[0]) == 4
    q = make("www.example.com", payload=1232)
    assert option(pipelined(edge, [q])[q.id], PADDING) is None
