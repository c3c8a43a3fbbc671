# SPDX-License-Identifier: MPL-2.0
"""Questions about the zones of zones.py, from a seed.

make(zones, seed, each) asks every owner of every zone, and names around them,
for what is there and what is not, each time in other ways: flags, EDNS,
transport, spelling.

strange(zones) asks what no resolver should, but for NOTIFY, UPDATE and
transfers: these named answers by its own list of zones before any plugin is
asked, and an edge zone is not in it.
"""

import dataclasses
import random
import struct

import dns.exception
import dns.name
import dns.rdatatype

QUERY, IQUERY, STATUS, NOTIFY, UPDATE = 0, 1, 2, 4, 5
IN, CHAOS, HESIOD, NONE, ANY_CLASS = 1, 3, 4, 254, 255
RD, AD, CD, Z = 0x0100, 0x0020, 0x0010, 0x0040

NSID, ECS, EXPIRE, COOKIE, KEEPALIVE, PADDING = 3, 8, 9, 10, 11, 12
ECS_V4 = struct.pack('!HBB', 1, 24, 0) + bytes((203, 0, 113))
ECS_V6 = struct.pack('!HBB', 2, 56, 0) + bytes.fromhex('20010db8000100')
OPTIONS = (  # what a client may add
    (ECS, ECS_V4), (ECS, ECS_V6), (ECS, struct.pack('!HBB', 1, 0, 0)),
    (COOKIE, b'cookie01'), (NSID, b''), (EXPIRE, b''), (PADDING, bytes(16)),
    (65001, b'unknown'),
)
TYPES = ('A', 'AAAA', 'TXT', 'MX', 'NS', 'SOA', 'CNAME', 'DNAME', 'DS',
         'DNSKEY', 'NSEC', 'NSEC3', 'NSEC3PARAM', 'RRSIG', 'ANY', 'SRV',
         'HTTPS', 'SVCB', 'PTR', 'CDS', 'CDNSKEY', 'CAA', 'TYPE65300',
         'TYPE65535', 'KEY', 'SIG', 'NXT', 'NULL', 'A6', 'DLV')
SIZES = (512, 1232, 4096)


@dataclasses.dataclass(frozen=True)
class Question:
    """One question as a client sends it."""

    qname: bytes  # wire form, as spelled
    rdtype: int
    flags: int = 0
    tcp: bool = False
    size: int = -1  # what EDNS announces, or -1 without EDNS
    do: bool = False
    options: tuple = ()
    rdclass: int = IN
    opcode: int = QUERY
    version: int = 0
    copies: int = 1  # of the question

    @property
    def edns(self):
        return self.size >= 0

    @property
    def limit(self):
        """Octets that the reply may have; named sends 1232 by UDP."""
        if self.tcp:
            return 65535
        return max(512, min(self.size, 1232))

    def wire(self, ident):
        head = struct.pack('!6H', ident, self.flags | self.opcode << 11,
                           self.copies, 0, 0, int(self.edns))
        asked = self.qname + struct.pack('!2H', self.rdtype, self.rdclass)
        return head + asked * self.copies + (self._opt() if self.edns
                                             else b'')

    def _opt(self):
        data = b''.join(struct.pack('!2H', code, len(value)) + value
                        for code, value in self.options)
        return b'\0' + struct.pack('!2H2BHH', 41, self.size, 0, self.version,
                                   0x8000 if self.do else 0, len(data)) + data

    def __str__(self):
        name, _ = dns.name.from_wire(self.qname, 0)
        words = [name.to_text(), dns.rdatatype.to_text(self.rdtype)]
        words += [word for word, is_so in (
            ('rd', self.flags & RD), ('ad', self.flags & AD),
            ('cd', self.flags & CD), ('z', self.flags & Z), ('do', self.do),
            ('tcp', self.tcp)) if is_so]
        words += [f'{word}={value}' for word, value, usual in (
            ('edns', self.size, -1), ('class', self.rdclass, IN),
            ('opcode', self.opcode, QUERY), ('ednsver', self.version, 0),
            ('qd', self.copies, 1)) if value != usual]
        words += [f'opt={code}:{value.hex()}' for code, value in self.options]
        return ' '.join(words)


def spelled(wire, rng):
    """The name in another mixture of cases."""
    out = bytearray(wire)
    at = 0
    while out[at]:
        for i in range(at + 1, at + 1 + out[at]):
            if 65 <= out[i] & 0xdf <= 90 and rng.random() < 0.5:
                out[i] ^= 0x20
        at += 1 + out[at]
    return bytes(out)


def ways(rng, wire, rdtype):
    """One question in a way that the seed chooses."""
    flags = sum(bit for bit, share in ((RD, .5), (AD, .2), (CD, .15),
                                       (Z, .02)) if rng.random() < share)
    tcp = rng.random() < 0.15
    if rng.random() < 0.4:
        wire = spelled(wire, rng)
    if rng.random() < 0.25:
        return Question(wire, rdtype, flags, tcp)
    size = rng.choice(SIZES)
    if rng.random() < 0.25:
        size = rng.choice((0, 511, 65535, rng.randint(513, 1300),
                           rng.randint(513, 1300)))
    options = ()
    if rng.random() < 0.25:
        options = tuple(rng.sample(OPTIONS, rng.choice((1, 1, 2))))
    if tcp and rng.random() < 0.1:
        options += ((KEEPALIVE, b''),)
    if len({code for code, _ in options}) < len(options):
        options = options[:1]
    return Question(wire, rdtype, flags, tcp, size, rng.random() < 0.6,
                    options)


def _name(text, origin):
    return dns.name.from_text(text, origin)


def _longer(name, *labels):
    """The name below 'name', or None where it would be too long."""
    try:
        return dns.name.Name(labels + name.labels)
    except dns.exception.DNSException:
        return None


def _next_to(name, rng):
    """Names that sort just before and after this one."""
    label = name.labels[0]
    last = bytes([label[-1] ^ 1])
    return rng.choice((
        dns.name.Name((label[:-1] + last,) + name.labels[1:]),
        _longer(name, b'\0'),
        dns.name.Name((label[:62] + b'\0',) + name.labels[1:])
        if len(name.to_wire()) < 255 else None,
    ))


def around(zone, rng):
    """Names in and near the zone: {name: types that the owner has}."""
    origin = _name(zone.name, None)
    found = {}
    for text, types in zone.names.items():
        found[_name(text, origin)] = types
    for name in list(found):
        if name != origin:
            found.setdefault(_next_to(name, rng), [])
        found.setdefault(_longer(name, b'no-such'), [])
        found.setdefault(_longer(name, b'a', b'b'), [])
        above = name
        while above != origin:
            above = above.parent()
            found.setdefault(above, [])
        if name.labels[0] == b'*':
            star = found[name]
            found[_longer(name.parent(), b'covered%d' % rng.randrange(9))
                  ] = star
            found[_longer(name.parent(), b'x', b'Covered')] = star
    for label in (b'nothing', b'_udp', b'\0\1'):
        found[_longer(origin, label)] = []
    if origin.labels[0] != b'':
        found.setdefault(origin.parent(), [])
    found.pop(None, None)
    return found


def of_zone(zone, rng, each):
    """'each' questions of every type that a name has, and of three it has
    not."""
    made = []
    for name, types in around(zone, rng).items():
        asked = set(types) | set(rng.sample(TYPES, 3))
        wire = name.to_wire()
        for rdtype in sorted(asked):
            number = int(dns.rdatatype.from_text(rdtype))
            made += [ways(rng, wire, number) for _ in range(each)]
    return made


def make(zones, seed, each=2):
    rng = random.Random(f'{seed} questions')
    made = []
    for zone in zones:
        made += of_zone(zone, rng, each)
    rng.shuffle(made)
    return made


def strange(zones):
    """Types that are no types, other classes and opcodes, broken EDNS."""
    made = []
    for zone in zones:
        apex = _name(zone.name, None).to_wire()
        below = b'\3www' + apex
        for wire in (apex, below):
            made += [Question(wire, rdtype, flags, tcp, size)
                     for rdtype in (0, 41, 128, 249, 250, 253, 254, 103)
                     for flags in (0, RD)
                     for tcp in (False, True) for size in (-1, 1232)]
            # by TCP, as named limits the rate of what class CH says
            made += [Question(wire, 1, RD, True, size, rdclass=rdclass)
                     for rdclass in (0, 2, CHAOS, HESIOD, NONE, ANY_CLASS,
                                     65535)
                     for size in (-1, 1232)]
            made += [Question(wire, 6, 0, tcp, size, opcode=opcode)
                     for opcode in (IQUERY, STATUS, 3, 6, 15)
                     for tcp in (False, True) for size in (-1, 1232)]
            made += [Question(wire, 1, 0, tcp, 1232, version=version)
                     for version in (1, 255) for tcp in (False, True)]
            made += [Question(wire, 1, 0, tcp, size, copies=copies)
                     for copies in (0, 2) for tcp in (False, True)
                     for size in (-1, 1232)]
            made += [Question(wire, 1, 0, False, 1232, options=options)
                     for options in (((ECS, b'\0'),), ((COOKIE, b'abc'),),
                                     ((ECS, b'\0\1\x19\0\xff\xff\xff\xff'),),
                                     ((COOKIE, b'x' * 24),))]
    return made
