# SPDX-License-Identifier: MPL-2.0
"""What is not an ordinary IN query for an edge zone is named's, untouched:
the edge answers it as a named without the plugin does."""

import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.update
import pytest

from nzlib import (Edge, Named, Origin, ask, exchange, option, pipelined,
                   same, zone_of)
from nzlib.ask import make, noise
from nzlib.zones import RICH, fresh_host

NSID, SUBNET = 3, 8
OPTIONS = 'server-id "edge-id"; version "9";'


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH},
                options='server-id "origin-id"; version "origin";') as o:
        yield o


@pytest.fixture(scope="module")
def edge(origin):
    with Edge({"example.com": zone_of(origin)}, options=OPTIONS) as e:
        yield e


@pytest.fixture(scope="module")
def bare():
    with Named("bare", options=OPTIONS) as b:
        yield b


@pytest.fixture(scope="module")
def twin():
    with Named("twin", options=OPTIONS, body=lambda t: f"""
zone "example.com" {{ type primary;
    file "{t.write("zone.db", RICH)}"; }};""") as t:
        yield t


@pytest.mark.parametrize("name,rdtype,rdclass", [
    ("version.bind", "TXT", "CH"), ("id.server", "TXT", "CH"),
    ("example.com", "SOA", "CH"), ("www.example.com", "A", "CH"),
    ("www.example.com", "A", "HS"), ("www.example.com", "A", "ANY"),
    ("www.example.com", "A", "NONE"), ("www.example.com", "ANY", "ANY"),
    ("www.example.com", "AXFR", "IN"), ("example.com", "MAILA", "IN"),
    ("example.com", "MAILB", "IN"), ("example.com", "TKEY", "IN"),
    ("example.com", "TSIG", "IN"), ("example.com", "OPT", "IN")])
@pytest.mark.parametrize("tcp", [False, True])
def test_other_classes_and_meta_types(origin, edge, bare, name, rdtype,
                                      rdclass, tcp):
    mark = origin.mark()
    how = {"rdclass": rdclass, "payload": 1232, "tcp": tcp}
    same(ask(edge, name, rdtype, **how), ask(bare, name, rdtype, **how))
    assert origin.questions(mark) == []


@pytest.mark.parametrize("name", ["example.com", "www.example.com"])
def test_transfers(origin, edge, bare, name):
    mark = origin.mark()
    for rdtype, tcp in (("AXFR", True), ("AXFR", False), ("IXFR", True),
                        ("IXFR", False)):
        q = make(name, rdtype)
        if rdtype == "IXFR":
            q.authority.append(dns.rrset.from_text(
                name + ".", 0, "IN", "SOA", "ns1. h. 1 1 1 1 1"))
        send = dns.query.tcp if tcp else dns.query.udp
        ours, theirs = (send(q, "127.0.0.1", 10, s.port)
                        for s in (edge, bare))
        same(ours, theirs)
        assert ours.rcode() != dns.rcode.NOERROR
    assert origin.questions(mark) == []


def test_notify_and_update(origin, edge, bare):
    notify = make("example.com", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    notify.flags |= dns.flags.AA
    update = dns.update.Update("example.com")
    update.replace("www", 60, "A", "192.0.2.66")
    mark = origin.mark()
    for message in (notify, update):
        for send in dns.query.udp, dns.query.tcp:
            ours, theirs = (send(message, "127.0.0.1", 10, s.port)
                            for s in (edge, bare))
            assert ours.rcode() == theirs.rcode()
            assert ours.rcode() in (dns.rcode.NOTAUTH, dns.rcode.REFUSED)
    assert origin.questions(mark) == []
    assert len(ask(edge, "www.example.com").answer[0]) == 4


@pytest.mark.parametrize("opcode", [1, 2, 3, 6, 15])
def test_other_opcodes(edge, bare, opcode):
    wire = bytearray(make("www.example.com").to_wire())
    wire[2] |= opcode << 3
    ours, theirs = (exchange(s, bytes(wire)) for s in (edge, bare))
    assert ours == theirs


def test_nsid_is_the_edges(edge, twin):
    name = fresh_host()
    nsid = dns.edns.GenericOption(NSID, b"")
    for _ in range(2):
        for server in (edge, twin):
            assert option(ask(server, name, options=[nsid]),
                          NSID) == b"edge-id"
            assert option(ask(server, name, do=True), NSID) is None


def test_client_subnet_is_answered_as_named_does(edge, twin):
    name = fresh_host()
    for text in (b"\0\1\x18\0\xc0\0\2", b"\0\2\x38\0\x20\1\r\xb8\0\0\0"):
        subnet = dns.edns.GenericOption(SUBNET, text)
        for _ in range(2):
            ours, theirs = (ask(s, name, options=[subnet])
                            for s in (edge, twin))
            same(ours, theirs)
            assert option(ours, SUBNET) == option(theirs, SUBNET)
    assert option(ask(edge, name, do=True), SUBNET) is None


def test_bad_options_and_versions(edge, twin):
    name = fresh_host()
    ask(edge, name)
    for _ in range(2):
        q = make(name, options=[dns.edns.GenericOption(SUBNET, b"\0")])
        ours, theirs = (exchange(s, q.to_wire()) for s in (edge, twin))
        assert ours[3] & 15 == theirs[3] & 15 == dns.rcode.FORMERR
        q = make(name)
        q.use_edns(1)
        ours, theirs = (dns.message.from_wire(exchange(s, q.to_wire()))
                        for s in (edge, twin))
        same(ours, theirs)
        assert ours.rcode() == dns.rcode.BADVERS


def hostile():
    """Packets no resolver sends."""
    name = b"\3www\7example\3com\0"
    tail = b"\0\1\0\1"
    good = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + name + tail
    yield from (good[:n] for n in range(len(good)))
    yield good + b"trailing"
    for counts in ((0, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0),
                   (1, 0, 0, 1), (65535,) * 4):
        yield struct.pack("!6H", 7, 0, *counts) + name + tail
    yield struct.pack("!6H", 7, 0, 2, 0, 0, 0) + (name + tail) * 2
    head = struct.pack("!6H", 7, 0, 1, 0, 0, 0)
    for bad in (b"\xc0\x0c", b"\xff\xff", b"\x40a\0", b"\x80\0",
                (b"\x3f" + b"a" * 63) * 4 + b"\7example\3com\0",
                b"\3www\xc0\x0c", b"\1" * 300):
        yield head + bad + tail
    opt = b"\0\0\x29\4\xd0\0\0\0\0"
    for options in (b"\0\0", b"\0\4\0\x0a\0\xff", b"\0\5\0\x0a\0\1x",
                    b"\0\6\0\x0a\0\2xy", b"\xff\xff"):
        yield (struct.pack("!6H", 7, 0, 1, 0, 0, 1) + name + tail + opt
               + options)
    yield (struct.pack("!6H", 7, 0, 1, 0, 0, 2) + name + tail
           + (opt + b"\0\0") * 2)
    yield struct.pack("!6H", 7, 0x8000, 1, 0, 0, 0) + name + tail
    yield from (noise(i, 40 + i) for i in range(40))
    yield from (good[:12] + noise(i, 30) for i in range(40))


def test_malformed_packets(edge, twin):
    """Each gets what named gives: an error or silence; nothing dies."""
    for wire in hostile():
        theirs = exchange(twin, wire, seconds=0.03)
        ours = exchange(edge, wire, seconds=0.5 if theirs else 0.03)
        assert bool(ours) == bool(theirs), wire.hex()
        if ours:
            assert ours[3] & 15 == theirs[3] & 15, wire.hex()
    assert len(ask(edge, "www.example.com").answer[0]) == 4


def test_malformed_tcp_streams(edge):
    good = make(fresh_host())
    for stream in (b"\0", b"\0\0", b"\0\5abcde", b"\xff\xff" + b"x" * 100,
                   noise(3, 5000), b"GET / HTTP/1.0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", edge.port), 5) as s:
            s.sendall(stream)
    assert pipelined(edge, [good])[good.id].answer


def test_names_at_the_limits(edge, twin):
    """The longest names, odd octets, and labels that look like others."""
    label = "a" * 63
    longest = ".".join([label] * 3 + ["b" * 49, "example.com"])
    names = [longest, r"\000.example.com", r"\255\032\046.example.com",
             r"www\.example.com", r"*.example.com", r"*.wild.example.com",
             ".".join("a" * 110) + ".example.com", r"xn--\195\164.example.com"]
    for name in names:
        for _ in range(2):
            same(ask(edge, name), ask(twin, name))
