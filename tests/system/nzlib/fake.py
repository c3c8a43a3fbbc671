# SPDX-License-Identifier: MPL-2.0
"""An origin in Python that says whatever a test wants, when it wants."""

import socket
import struct
import threading

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from nzlib.ask import read_exactly
from nzlib.base import free_port


class Raw(bytes):
    """Octets for a TCP stream as they are, without a length before them."""


CLOSE = object()  # a handler's wish to close the TCP connection


def rrset(name, ttl, rdtype, *rdatas):
    return dns.rrset.from_text(name, ttl, "IN", rdtype, *rdatas)


def answer_to(query, *answer, authority=(), additional=(), rcode=0, aa=True,
              options=None, edns=True):
    """A reply as an authoritative server makes it."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA if aa else 0
    reply.answer = list(answer)
    reply.authority = list(authority)
    reply.additional = list(additional)
    reply.set_rcode(rcode)
    if edns:
        reply.use_edns(0, query.ednsflags, 1232, options=options)
    else:
        reply.use_edns(-1)
    return reply


class FakeOrigin:
    """Listens by UDP and TCP on one port until stop().

    handler(query, via) runs in a thread of its own for each query ('via'
    is "udp" or "tcp") and returns a message, octets, a list of these, Raw
    octets, CLOSE, or None for silence.  'asked' lists (query, via).
    """

    address = "127.0.0.1"

    def __init__(self, handler):
        self.handler = handler
        self.asked = []
        self.connections = 0
        self.port = free_port()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, self.port))
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.bind((self.address, self.port))
        self.tcp.listen(64)
        self.clients = []
        for target in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=target, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for s in [self.udp, self.tcp] + self.clients:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def names(self):
        """The names asked for, in order, as text without the last dot."""
        return [q.question[0].name.to_text(True).lower()
                for q, _ in self.asked]

    def _replies(self, wire, via):
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return []
        self.asked.append((query, via))
        said = self.handler(query, via)
        if said is None:
            return []
        said = said if isinstance(said, list) else [said]
        return [r.to_wire(max_size=65535) if isinstance(
            r, dns.message.Message) else r for r in said]

    def _serve_udp(self):
        while True:
            try:
                wire, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            threading.Thread(target=self._udp_one, args=(wire, peer),
                             daemon=True).start()

    def _udp_one(self, wire, peer):
        try:
            for reply in self._replies(wire, "udp"):
                if reply is not CLOSE:
                    self.udp.sendto(reply, peer)
        except OSError:
            pass

    def _serve_tcp(self):
        while True:
            try:
                s, _ = self.tcp.accept()
            except OSError:
                return
            self.connections += 1
            self.clients.append(s)
            threading.Thread(target=self._tcp_client, args=(s,),
                             daemon=True).start()

    def _tcp_client(self, s):
        lock = threading.Lock()
        try:
            while True:
                n, = struct.unpack("!H", read_exactly(s, 2))
                threading.Thread(target=self._tcp_one, daemon=True,
                                 args=(s, lock, read_exactly(s, n))).start()
        except (OSError, EOFError):
            s.close()

    def _tcp_one(self, s, lock, wire):
        try:
            for reply in self._replies(wire, "tcp"):
                if reply is CLOSE:
                    s.shutdown(socket.SHUT_RDWR)
                    return
                if not isinstance(reply, Raw):
                    reply = struct.pack("!H", len(reply)) + reply
                with lock:
                    s.sendall(reply)
        except OSError:
            pass
