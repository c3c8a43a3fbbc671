# SPDX-License-Identifier: MPL-2.0
"""Dumps of BGP tables: MRT (RFC 6396), TABLE_DUMP_V2, RFC 8050, TABLE_DUMP."""

import ipaddress
import struct

WHEN = 1732500000
SET, SEQUENCE, CONFED_SEQUENCE = 1, 2, 3
TABLE_DUMP, TABLE_DUMP_V2 = 12, 13


def record(kind, subtype, body):
    return struct.pack("!IHHI", WHEN, kind, subtype, len(body)) + body


def path(*segments, size=4):
    """
    An attribute ORIGIN and an AS_PATH; a segment is a list (a sequence), a set,
    or a pair of its type and a list.
    """
    value = b""
    for s in segments:
        kind, members = (s if isinstance(s, tuple) else
                         (SET, sorted(s)) if isinstance(s, set) else
                         (SEQUENCE, s))
        value += struct.pack("!BB", kind, len(members))
        value += b"".join(m.to_bytes(size, "big") for m in members)
    long = len(value) > 255
    return (b"\x40\x01\x01\x00" + bytes([0x50 if long else 0x40, 2]) +
            len(value).to_bytes(2 if long else 1, "big") + value)


def peers(n=2, name=b"v"):
    """Of both families, and with numbers of both sizes."""
    body = struct.pack("!4sH", b"\xc0\x00\x02\x01", len(name)) + name
    body += struct.pack("!H", n)
    for i in range(n):
        kind = i % 4
        body += struct.pack("!B4s", kind, bytes([192, 0, 2, i % 256]))
        body += bytes(16 if kind & 1 else 4)
        body += (64500 + i).to_bytes(4 if kind & 2 else 2, "big")
    return record(TABLE_DUMP_V2, 1, body)


def route(prefix, *paths, add_path=False, seq=0):
    """A record of a prefix, with what each of some peers says."""
    net = ipaddress.ip_network(prefix)
    octets = net.network_address.packed[:(net.prefixlen + 7) // 8]
    subtype = (2 if net.version == 4 else 4) + (6 if add_path else 0)
    body = struct.pack("!IB", seq, net.prefixlen) + octets
    body += struct.pack("!H", len(paths))
    for i, attributes in enumerate(paths):
        body += struct.pack("!HI", i, WHEN)
        body += struct.pack("!I", i + 1) if add_path else b""
        body += struct.pack("!H", len(attributes)) + attributes
    return record(TABLE_DUMP_V2, subtype, body)


def old_route(prefix, attributes):
    """One of TABLE_DUMP, of one peer."""
    net = ipaddress.ip_network(prefix)
    body = (struct.pack("!HH", 0, 1) + net.network_address.packed +
            struct.pack("!BBI", net.prefixlen, 1, WHEN) +
            bytes(16 if net.version == 6 else 4) + struct.pack("!H", 64500) +
            struct.pack("!H", len(attributes)) + attributes)
    return record(TABLE_DUMP, 1 if net.version == 4 else 2, body)
