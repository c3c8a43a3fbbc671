# SPDX-License-Identifier: MPL-2.0
"""Clients: one question, many at once, many on one connection, a load."""

import os
import random
import select
import socket
import struct
import threading
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from nzlib.base import patience

EDE = 15  # RFC 8914


def make(name, rdtype="A", do=False, rd=False, cd=False, ad=False,
         payload=None, options=None, rdclass="IN", edns=None):
    """A query; EDNS only if something asks for it."""
    if edns is None:
        edns = do or payload is not None or options is not None
    q = dns.message.make_query(name, rdtype, rdclass)
    q.flags = 0
    for wanted, flag in ((rd, dns.flags.RD), (cd, dns.flags.CD),
                         (ad, dns.flags.AD)):
        if wanted:
            q.flags |= flag
    if edns:
        q.use_edns(0, dns.flags.DO if do else 0, payload or 1232,
                   options=list(options or ()))
    return q


def ask(server, name, rdtype="A", tcp=False, source=None, seconds=10,
        **how):
    """Asks once and returns the reply; a reply with TC comes as it is.

    'source' is the client's address: any of 127.0.0.0/8, where named itself
    can listen on 127.0.0.1 only.
    """
    q = make(name, rdtype, **how)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(q, server.address, timeout=patience(seconds),
                port=server.port, source=source)


def exchange(server, wire, seconds=1.0):
    """Sends octets by UDP; returns the reply's octets or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(seconds)
        s.connect((server.address, server.port))
        try:
            s.send(wire)
            return s.recv(65535)
        except (socket.timeout, ConnectionError):
            return None


def ask_together(server, queries, seconds=10, quiet=None):
    """Sends all queries from sockets of their own before it reads any.

    Returns the replies in the queries' order, None for what was not
    answered in 'seconds' (or after 'quiet' seconds without a reply).
    """
    socks, replies = [], [None] * len(queries)
    try:
        for q in queries:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect((server.address, server.port))
            socks.append(s)
        for s, q in zip(socks, queries):
            s.send(q.to_wire())
        by_fd = {s.fileno(): i for i, s in enumerate(socks)}
        poll = select.poll()
        for s in socks:
            poll.register(s, select.POLLIN)
        end = time.monotonic() + patience(seconds)
        while by_fd and time.monotonic() < end:
            left = min(quiet or seconds, end - time.monotonic())
            ready = poll.poll(max(left, 0) * 1000)
            if not ready and quiet:
                break
            for fd, _ in ready:
                i = by_fd.pop(fd, None)
                if i is not None:
                    replies[i] = dns.message.from_wire(socks[i].recv(65535))
                    poll.unregister(fd)
    finally:
        for s in socks:
            s.close()
    return replies


def read_exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def pipelined(server, queries, seconds=10, connect=None):
    """Sends all queries on one TCP connection, then reads all replies.

    Returns {id: reply}; they may come in any order.
    """
    connect = connect or (lambda: socket.create_connection(
        (server.address, server.port), patience(seconds)))
    with connect() as s:
        s.settimeout(patience(seconds))
        wires = [q.to_wire() for q in queries]
        s.sendall(b"".join(struct.pack("!H", len(w)) + w for w in wires))
        replies = {}
        for _ in queries:
            n, = struct.unpack("!H", read_exactly(s, 2))
            reply = dns.message.from_wire(read_exactly(s, n))
            replies[reply.id] = reply
        return replies


def ede(message):
    """The extended error codes of a reply, in order."""
    return [struct.unpack("!H", o.to_wire()[:2])[0]
            for o in message.options if int(o.otype) == EDE]


def option(message, code):
    """The octets of one EDNS option of a reply, or None."""
    for o in message.options:
        if int(o.otype) == code:
            return o.to_wire()
    return None


def sections(message):
    """What a reply says, as sorted text without TTLs, a list a section."""
    return [sorted(f"{rrset.name.to_text().lower()} "
                   f"{dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
                   for rrset in section for rdata in rrset)
            for section in (message.answer, message.authority,
                            message.additional)]


def same(ours, theirs):
    """Asserts that two replies say the same, but for TTLs and order."""
    assert dns.rcode.to_text(ours.rcode()) == dns.rcode.to_text(
        theirs.rcode())
    assert dns.flags.to_text(ours.flags) == dns.flags.to_text(theirs.flags)
    assert sections(ours) == sections(theirs)
    assert ours.edns == theirs.edns
    assert ours.ednsflags == theirs.ednsflags


def answer_rrset(message, rdtype="A"):
    """The first RRset of a type in the answer section, or None."""
    for r in message.answer:
        if r.rdtype == dns.rdatatype.from_text(rdtype):
            return r
    return None


class Load(threading.Thread):
    """Asks by UDP at a steady rate, at most 'window' unanswered, until
    finish(); then waits for what is still to come.  Nothing is sent twice,
    so a query lost stays lost."""

    def __init__(self, server, names, rate=500, window=200):
        super().__init__(daemon=True)
        self.server, self.names = server, names
        self.gap_s, self.window = 1 / rate, window
        self.sent = 0
        self.rcodes = {}
        self.waiting = {}
        self.lost = []
        self.drain_s = 0
        self._ending = threading.Event()

    def finish(self, drain_s=8):
        self.drain_s = drain_s
        self._ending.set()
        self.join(patience(30))
        assert not self.is_alive()
        return self

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((self.server.address, self.server.port))
            s.setblocking(False)
            due = time.monotonic()
            while not self._ending.is_set():
                now = time.monotonic()
                if now >= due and len(self.waiting) < self.window:
                    self._send(s)
                    due = max(due + self.gap_s, now - 0.1)
                self._receive(s, max(due - time.monotonic(), 0.0005))
            end = time.monotonic() + patience(self.drain_s)
            while self.waiting and time.monotonic() < end:
                self._receive(s, 0.1)
        self.lost = list(self.waiting.values())

    def _send(self, s):
        q = make(self.names[self.sent % len(self.names)])
        q.id = self.sent & 0xffff
        self.waiting[q.id] = q.question[0].to_text()
        self.sent += 1
        s.send(q.to_wire())

    def _receive(self, s, seconds):
        if not select.select([s], [], [], seconds)[0]:
            return
        try:
            wire = s.recv(65535)
        except (BlockingIOError, ConnectionError):
            return
        if self.waiting.pop(int.from_bytes(wire[:2], "big"), None):
            rcode = wire[3] & 15
            self.rcodes[rcode] = self.rcodes.get(rcode, 0) + 1


def noise(seed, n):
    """Octets that look random and are the same each time."""
    return random.Random(seed).randbytes(n)


def tool(name):
    """The path of one of BIND's tools."""
    for where in ("/usr/bin", "/usr/sbin", "/usr/local/bin"):
        path = os.path.join(where, name)
        if os.path.exists(path):
            return path
    raise FileNotFoundError(name)
