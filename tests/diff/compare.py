# SPDX-License-Identifier: MPL-2.0
"""Asks an origin and its edge the same, and says what differs.

Each question goes to the origin once and to the edge twice: after the first
its answer is in memory, or at least was.  Nothing here knows what an answer
should be; the origin does.
"""

import collections
import multiprocessing
import random
import socket
import struct

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

SECTIONS = ('answer', 'authority', 'additional')
FLAGS = ('AA', 'TC', 'RD', 'RA', 'AD', 'CD')
MAY_VARY = {'answer', 'authority', 'additional', 'TC', 'reply'}
EXPIRE, EDE = 9, 15  # options: RFC 7314, RFC 8914
TIMEOUT_S = 3
TRIES = 2

# What differs for one question: 'when' is 'first', 'again', or either with
# ' by TCP'; 'field' what of the reply; 'text' how.
Difference = collections.namedtuple('Difference', 'question when field text')
Outcome = collections.namedtuple('Outcome', 'compared differences rcodes')


class Reply:
    """What a server said: parsed if possible, or nothing at all."""

    def __init__(self, wire):
        self.wire = wire
        self.message = None
        self.fault = None
        if wire is None:
            return
        try:
            self.message = dns.message.from_wire(
                wire, one_rr_per_rrset=True, raise_on_truncation=False)
        except (dns.exception.DNSException, struct.error, ValueError) as why:
            self.fault = type(why).__name__  # then octets are compared

    @property
    def kind(self):
        if self.wire is None:
            return 'none'
        return self.fault or 'message'

    @property
    def is_cut(self):
        return self.wire is not None and bool(self.wire[2] & 0x02)


def by_udp(server, wire):
    for _ in range(TRIES):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(TIMEOUT_S)
            s.connect(server)
            try:
                s.send(wire)
                reply = s.recv(65535)
            except OSError:
                continue
            if reply[:2] == wire[:2]:
                return reply
    return None


def _read(s, n):
    data = b''
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise OSError('closed')
        data += more
    return data


def by_tcp(server, wire):
    try:
        with socket.create_connection(server, TIMEOUT_S) as s:
            s.sendall(struct.pack('!H', len(wire)) + wire)
            n, = struct.unpack('!H', _read(s, 2))
            return _read(s, n)
    except OSError:
        return None


def ask(server, question, tcp=False):
    wire = question.wire(random.getrandbits(16))
    send = by_tcp if tcp or question.tcp else by_udp
    return Reply(send(server, wire))


# -- one reply beside another --------------------------------------------------

def _records(section):
    """The section as a multiset of records, without TTLs."""
    return collections.Counter(
        (rrset.name.canonicalize(), int(rrset.rdtype), int(rrset.rdclass),
         rdata.to_digestable())
        for rrset in section for rdata in (rrset or [None])
        if rdata is not None)


def _ttls(section):
    """The least TTL of every RRset."""
    least = {}
    for rrset in section:
        key = (rrset.name, int(rrset.rdtype), int(rrset.covers))
        least[key] = min(rrset.ttl, least.get(key, rrset.ttl))
    return least


def _named(records):
    return ', '.join(
        '%s %s (%d octets)%s' % (name, dns.rdatatype.to_text(rdtype),
                                 len(data), ' x%d' % n if n > 1 else '')
        for (name, rdtype, _, data), n in list(records.items())[:5])


def _section_differs(theirs, ours):
    a, b = _records(theirs), _records(ours)
    if a == b:
        return None
    return 'missing {%s} extra {%s}' % (_named(a - b), _named(b - a))


def _head_differs(theirs, ours):
    """Flags, rcode, EDNS and the question's octets."""
    a, b = theirs.message, ours.message
    pairs = [('rcode', dns.rcode.to_text(a.rcode()),
              dns.rcode.to_text(b.rcode())),
             ('opcode', a.opcode(), b.opcode()),
             ('EDNS', a.edns, b.edns), ('DO', a.ednsflags, b.ednsflags),
             ('EDNS size', a.payload, b.payload),
             ('options', _options(a), _options(b)),
             ('question', question_octets(theirs.wire).hex(),
              question_octets(ours.wire).hex())]
    pairs += [(flag, bool(a.flags & dns.flags.from_text(flag)),
               bool(b.flags & dns.flags.from_text(flag))) for flag in FLAGS]
    return [(field, f'origin {x}, edge {y}') for field, x, y in pairs
            if x != y]


def _options(message):
    """Which EDNS options it has.

    But for EXPIRE, which is for those who transfer the zone: they cannot do
    so from an edge; and for what an edge may say about failures.
    """
    failed = message.rcode() == dns.rcode.SERVFAIL
    return sorted(int(o.otype) for o in message.options
                  if o.otype != EXPIRE and not (failed and o.otype == EDE))


def question_octets(wire):
    """All of the question section."""
    at = 12
    for _ in range(struct.unpack('!H', wire[4:6])[0]):
        _, used = dns.name.from_wire(wire, at)
        at += used + 4
    return wire[12:at]


def differences(question, theirs, ours, tcp=False):
    """[(field, text)] of what the edge's reply has otherwise."""
    if theirs.kind != ours.kind:
        return [('reply', f'origin {theirs.kind}, edge {ours.kind}')]
    if theirs.message is None:
        if theirs.wire is None or theirs.wire[2:] == ours.wire[2:]:
            return []
        return [('octets', f'origin {theirs.wire.hex()}, edge '
                 f'{ours.wire.hex()}')]
    found = _head_differs(theirs, ours)
    limit = 65535 if tcp else question.limit
    if len(ours.wire) > limit:
        found.append(('size', f'{len(ours.wire)} octets of {limit}'))
    if theirs.is_cut and ours.is_cut:
        return found
    for name in SECTIONS:
        a = getattr(theirs.message, name)
        b = getattr(ours.message, name)
        text = _section_differs(a, b)
        if text:
            found.append((name, text + ' of %d and %d octets' % (
                len(theirs.wire), len(ours.wire))))
        least = _ttls(a)
        found += [('TTL', f'{key[0]} origin {least[key]}, edge {ttl}')
                  for key, ttl in _ttls(b).items()
                  if ttl > least.get(key, ttl)]
    return found


# -- one question ------------------------------------------------------------

class Pair:
    """An origin and its edge, as (address, port)."""

    def __init__(self, origin, edge):
        self.origin, self.edge = origin, edge

    def _beside(self, question, theirs, tcp=False):
        """The edge's reply and what differs.

        Records come in random order, and so what is left out of a reply
        may vary; an origin that says once what the edge says is enough.
        """
        ours = ask(self.edge, question, tcp)
        found = differences(question, theirs, ours, tcp)
        for _ in range(3):
            if not found or not {field for field, _ in found} <= MAY_VARY:
                break
            found = differences(question, ask(self.origin, question, tcp),
                                ours, tcp)
        return ours, found

    def look(self, question):
        """Asks all; an Outcome."""
        theirs = ask(self.origin, question)
        whole = None
        found = []
        compared = 0
        for when in ('first', 'again'):
            ours, differ = self._beside(question, theirs)
            compared += 1
            found += [Difference(question, when, *d) for d in differ]
            if question.tcp or not (theirs.is_cut and ours.is_cut):
                continue
            whole = whole or ask(self.origin, question, tcp=True)
            _, differ = self._beside(question, whole, tcp=True)
            compared += 1
            found += [Difference(question, when + ' by TCP', *d)
                      for d in differ]
        rcode = theirs.kind
        if theirs.message is not None:
            rcode = dns.rcode.to_text(theirs.message.rcode())
        return Outcome(compared, found, collections.Counter([rcode]))


def _look_at(job):
    pair, questions = job
    total, found, rcodes = 0, [], collections.Counter()
    for question in questions:
        outcome = pair.look(question)
        total += outcome.compared
        found += outcome.differences
        rcodes += outcome.rcodes
    return Outcome(total, found, rcodes)


def compare(pair, questions, jobs=2):
    """Asks all questions; the sum of their Outcomes."""
    chunks = [(pair, questions[i:i + 64])
              for i in range(0, len(questions), 64)]
    total, found, rcodes = 0, [], collections.Counter()
    with multiprocessing.get_context('fork').Pool(jobs) as pool:
        for outcome in pool.imap(_look_at, chunks):
            total += outcome.compared
            found += outcome.differences
            rcodes += outcome.rcodes
        pool.close()
        pool.join()
    return Outcome(total, found, rcodes)
