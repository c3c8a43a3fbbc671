# SPDX-License-Identifier: MPL-2.0
"""What a broken or hostile origin may say: one function a kind.

Each takes the query (a dns.message) and returns octets or a list of them.
GOOD kinds hold the true answer somewhere, and clients must get it; for the
BAD ones it must be SERVFAIL; for the OPEN ones, either.
"""

import struct

import dns.flags
import dns.message
import dns.rcode

from nzlib.ask import noise
from nzlib.fake import CLOSE, Raw, answer_to, rrset

TRUE, EVIL = "192.0.2.1", "192.0.2.66"


def good(q, **more):
    return answer_to(q, rrset(q.question[0].name, 300, "A", TRUE), **more)


def wire(q):
    return good(q).to_wire()


def evil(q, name=None, **more):
    return answer_to(q, rrset(name or q.question[0].name, 300, "A", EVIL),
                     **more)


def header(q, qd=1, an=1, ns=0, ar=0, flags=0x8400, ident=None):
    return struct.pack("!6H", q.id if ident is None else ident, flags, qd,
                       an, ns, ar)


def question(q):
    return (q.question[0].name.to_wire()
            + struct.pack("!2H", q.question[0].rdtype, 1))


def record(owner, rdata, rdtype=1, rdclass=1, ttl=300, n=None):
    return owner + struct.pack("!2HIH", rdtype, rdclass, ttl,
                               len(rdata) if n is None else n) + rdata


EVIL4 = bytes([192, 0, 2, 66])
HERE = b"\xc0\x0c"  # a pointer to the question's name


def crafted(q, owner=HERE, rdata=EVIL4, **more):
    return header(q) + question(q) + record(owner, rdata, **more)


def other_question(q, name=None, rdtype=None):
    other = dns.message.make_query(name or q.question[0].name,
                                   rdtype or q.question[0].rdtype)
    other.id = q.id
    return evil(other, name=q.question[0].name).to_wire()


def with_flags(q, on=0, off=0):
    w = evil(q).to_wire()
    flags = (int.from_bytes(w[2:4], "big") | on) & ~off
    return w[:2] + struct.pack("!H", flags) + w[4:]


BAD = {
    "cut-header": lambda q: wire(q)[:7],
    "cut-question": lambda q: wire(q)[:16],
    "cut-owner": lambda q: crafted(q)[:12 + len(question(q)) + 1],
    "cut-rdata": lambda q: crafted(q)[:-2],
    "noise": lambda q: header(q) + noise(1, 300),
    "noise-after-question": lambda q: header(q, an=9, ns=9, ar=9)
    + question(q) + noise(2, 900),
    "only-header": lambda q: header(q, qd=0, an=0),
    "no-question": lambda q: header(q, qd=0) + record(
        q.question[0].name.to_wire(), EVIL4),
    "two-questions": lambda q: header(q, qd=2) + question(q) * 2
    + record(HERE, EVIL4),
    "other-name": lambda q: other_question(q, name="evil.test."),
    "other-type": lambda q: other_question(q, rdtype="AAAA"),
    "a-query": lambda q: with_flags(q, off=0x8000),
    "opcode": lambda q: with_flags(q, on=0x2000),
    "loop": lambda q: header(q) + question(q) + record(
        struct.pack("!H", 0xc000 | (12 + len(question(q)))), EVIL4),
    "pointer-forward": lambda q: crafted(q, owner=b"\xff\xff"),
    "long-label": lambda q: crafted(q, owner=b"\x7f" + b"a" * 127 + b"\0"),
    "odd-label": lambda q: crafted(q, owner=b"\x80a\0"),
    "long-name": lambda q: crafted(q, owner=(b"\x3f" + b"a" * 63) * 5
                                   + b"\0"),
    "rdata-too-long": lambda q: crafted(q, n=40000),
    "rdata-too-short": lambda q: crafted(q, rdata=EVIL4[:3]),
    "rdata-trailing": lambda q: crafted(q, rdata=EVIL4 + b"x"),
    "many-counted": lambda q: header(q, an=65535) + question(q)
    + record(HERE, EVIL4),
    "other-class": lambda q: crafted(q, rdclass=3),
    "foreign-answer": lambda q: evil(q, name="evil.test.").to_wire(),
    "parent-answer": lambda q: evil(q, name="test.").to_wire(),
    "foreign-soa": lambda q: answer_to(q, authority=[rrset(
        "evil.test.", 60, "SOA", "a. b. 1 1 1 1 1")], rcode=3).to_wire(),
    "upward-referral": lambda q: answer_to(q, authority=[rrset(
        ".", 60, "NS", "evil.test.")], aa=False).to_wire(),
    "two-opt": lambda q: header(q, ar=2) + question(q)
    + record(HERE, EVIL4) + record(b"\0", b"", 41, 1232, 0) * 2,
    "opt-owner": lambda q: header(q, ar=1) + question(q)
    + record(HERE, EVIL4) + record(b"\1x\0", b"", 41, 1232, 0),
    "opt-cut": lambda q: header(q, ar=1) + question(q) + record(HERE, EVIL4)
    + record(b"\0", b"\0\x0a\0\x40abcd", 41, 1232, 0),
    "badvers": lambda q: header(q, an=0, ar=1) + question(q)
    + record(b"\0", b"", 41, 1232, 0x01000000),
    "rcode-15": lambda q: with_flags(q, on=15),
}

OPEN = {
    "not-authoritative": lambda q: good(q, aa=False).to_wire(),
    "self-cname": lambda q: answer_to(q, rrset(
        q.question[0].name, 300, "CNAME",
        q.question[0].name.to_text())).to_wire(),
    "root-soa": lambda q: answer_to(q, authority=[rrset(
        ".", 60, "SOA", "a. b. 1 1 1 1 1")]).to_wire(),
    "trailing": lambda q: wire(q) + b"trailing",
    "bare-nodata": lambda q: answer_to(q).to_wire(),
    "cookie-only": lambda q: good(q, edns=False).to_wire(),
    "ttl-negative": lambda q: header(q) + question(q) + record(
        HERE, bytes([192, 0, 2, 1]), ttl=0xffffffff),
    "many": lambda q: header(q, an=4000) + question(q) + b"".join(
        record(HERE, struct.pack("!I", 0xc0000300 + i))
        for i in range(4000)),
}

GOOD = {
    "plain": wire,
    "no-edns": lambda q: good(q, edns=False).to_wire(),
    "foreign-additional": lambda q: good(q, additional=[
        rrset("evil.test.", 60, "A", EVIL),
        rrset("www.evil.test.", 60, "A", EVIL)]).to_wire(),
    "foreign-authority": lambda q: good(q, authority=[
        rrset("evil.test.", 60, "NS", "ns.evil.test.")]).to_wire(),
    "parent-authority": lambda q: good(q, authority=[
        rrset("test.", 60, "NS", "ns.evil.test."),
        rrset(".", 60, "NS", "ns.evil.test.")]).to_wire(),
    "foreign-first": lambda q: answer_to(
        q, rrset("evil.test.", 300, "A", EVIL),
        rrset(q.question[0].name, 300, "A", TRUE)).to_wire(),
    "twice": lambda q: [wire(q), wire(q)],
}

TCP_BAD = {
    "closes": lambda q: CLOSE,
    "length-zero": lambda q: [Raw(b"\0\0"), CLOSE],
    "length-short": lambda q: [Raw(b"\0\5abcde"), CLOSE],
    "length-cut": lambda q: [Raw(struct.pack("!H", 500) + wire(q)), CLOSE],
    "half-a-length": lambda q: [Raw(b"\1"), CLOSE],
    "other-id": lambda q: struct.pack("!H", q.id ^ 1)
    + evil(q).to_wire()[2:],
    "truncated-by-tcp": lambda q: header(q, an=0, flags=0x8600)
    + question(q),
    "http": lambda q: [Raw(b"HTTP/1.0 400 no\r\n\r\n" + b"x" * 600), CLOSE],
}

TCP_GOOD = {
    "in-pieces": lambda q: [Raw(bytes([b]))
                            for b in struct.pack("!H", len(wire(q)))
                            + wire(q)],
    "two-in-one": lambda q: Raw(b"".join(
        struct.pack("!H", len(wire(q))) + w for w in [
            wire(q), wire(q)])),
}

UDP_GOOD = {
    "spoofed-ids-first": lambda q: [
        struct.pack("!H", (q.id + i) & 0xffff) + evil(q).to_wire()[2:]
        for i in range(1, 50)] + [wire(q)],
    "spoofed-question-first": lambda q: [
        other_question(q, name="evil.test."), wire(q)],
    "empty-first": lambda q: [b"", b"x", wire(q)],
}
