# SPDX-License-Identifier: MPL-2.0
"""A stranger in an origin's place: what the edge asks passes through it.

It stands where the edge takes the origin to be, so that all it sends has the
right address and port, both ways; that is more than a stranger elsewhere has.
Before each true answer by UDP it sends forged ones, as many as it is told.
"""

import random
import select
import socket
import struct
import threading

from nzlib.base import free_port, wait_for

EVIL = "192.0.2.66"
COOKIE = 10
TOGETHER = 100  # datagrams that have room in a socket


def _name_end(wire):
    at = 12
    while wire[at]:
        at += 1 + wire[at]
    return at + 1


def _respell(name, rng):
    """The name in another spelling, never the one that it has."""
    while True:
        other = bytes(c ^ 0x20 if chr(c).isalpha() and rng.random() < 0.5
                      else c for c in name)
        if other != name:
            return other


def cookie_of(wire):
    """The cookie in a question of the edge: octets, b'' without one."""
    at = _name_end(wire) + 4 + 11
    if wire[at:at + 2] != struct.pack("!H", COOKIE):
        return b""
    n, = struct.unpack_from("!H", wire, at + 2)
    return wire[at + 4:at + 4 + n]


def is_waiting(port):
    """True if there is a UDP socket on 'port' with something to be read."""
    with open("/proc/net/udp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return any(int(row[4].split(":")[1], 16) > 0 for row in rows
               if int(row[1].split(":")[1], 16) == port)


class Forger:
    """Listens until stop(); 'forged' counts what it has forged.

    forge(wire, rng), if set, yields forged answers to the question 'wire'.
    'tcp' false: nothing listens there, as behind many a firewall.
    """

    address = "127.0.0.1"

    def __init__(self, origin, tcp=True, seed=4):
        self.origin = origin
        self.forge = None
        self.forged = 0
        self.questions = []
        self.by_tcp = 0
        self.rng = random.Random(seed)
        self.port = free_port()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, self.port))
        threading.Thread(target=self._serve, daemon=True).start()
        self.tcp = None
        if tcp:
            self.tcp = socket.create_server((self.address, self.port))
            threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for s in filter(None, (self.udp, self.tcp)):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _ask(self, wire):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.connect((self.origin.address, self.origin.port))
            s.send(wire)
            return s.recv(65535)

    def _serve(self):
        while True:
            try:
                wire, peer = self.udp.recvfrom(65535)
                if not wire:
                    return
                self.questions.append(wire)
                truth = self._ask(wire)
                if self.forge:
                    self._flood(self.forge(wire, self.rng), peer)
                self.udp.sendto(truth, peer)
            except (socket.timeout, ConnectionError):
                continue
            except OSError:
                return

    def _flood(self, answers, peer):
        """As fast as they are read: else a true one might find no room."""
        for answer in answers:
            self.udp.sendto(answer, peer)
            self.forged += 1
            if self.forged % TOGETHER == 0:
                wait_for(lambda: not is_waiting(peer[1]),
                         "the edge to read what was forged")

    def _accept(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            self.by_tcp += 1
            threading.Thread(target=self._pass_on, args=(client,),
                             daemon=True).start()

    def _pass_on(self, client):
        with client, socket.create_connection(
                (self.origin.address, self.origin.port)) as server:
            other = {client: server, server: client}
            try:
                while True:
                    for s in select.select(list(other), [], [])[0]:
                        data = s.recv(65535)
                        if not data:
                            return
                        other[s].sendall(data)
            except OSError:
                pass


def forgery(wire, ident, name, cookie=None):
    """An answer of EVIL, with its own servers and addresses for the zone."""
    end = _name_end(wire)
    evil = socket.inet_aton(EVIL)
    records = struct.pack("!HHHIH", 0xc00c, 1, 1, 86400, 4) + evil
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0x8000, 0)
    if cookie is not None:
        opt = (opt[:-2] + struct.pack("!HHH", len(cookie) + 4, COOKIE,
                                      len(cookie)) + cookie)
    return (struct.pack("!HHHHHH", ident, 0x8400, 1, 1, 0, 1) + name
            + wire[end:end + 4] + records + opt)


def ids(n):
    """All is right but the ID; the spelling is a guess."""
    def forge(wire, rng):
        true, = struct.unpack_from("!H", wire)
        name = wire[12:_name_end(wire)]
        first = rng.randrange(65536)
        for i in range(n):
            ident = (first + i) & 0xffff
            if ident != true:
                yield forgery(wire, ident, name if i % 2 else name.lower())
    return forge


def spellings(n):
    """The ID is right, the spelling is not."""
    def forge(wire, rng):
        ident, = struct.unpack_from("!H", wire)
        name = wire[12:_name_end(wire)]
        for _ in range(n):
            yield forgery(wire, ident, _respell(name, rng), cookie_of(wire))
    return forge


def cookies(n):
    """ID and spelling are right; the cookie is missing, guessed or cut."""
    def forge(wire, rng):
        ident, = struct.unpack_from("!H", wire)
        name = wire[12:_name_end(wire)]
        ours, theirs = cookie_of(wire)[:8], cookie_of(wire)[8:]
        for i in range(n):
            guess = rng.randbytes(8)
            if guess == ours:
                continue
            yield forgery(wire, ident, name, (
                None, guess + theirs, guess, ours[:7], b"",
                ours[::-1] + theirs)[i % 6])
    return forge


def mixed(*kinds):
    """All of these, shuffled."""
    def forge(wire, rng):
        answers = [a for kind in kinds for a in kind(wire, rng)]
        rng.shuffle(answers)
        return answers
    return forge
