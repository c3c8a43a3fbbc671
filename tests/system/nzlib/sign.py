# SPDX-License-Identifier: MPL-2.0
"""Signed zones of named's: what a validator says of their answers."""

import re
import subprocess

import dns.dnssec
import dns.flags
import dns.name
import dns.rdatatype
import dns.rrset

from nzlib.ask import ask, tool
from nzlib.base import scratch

RRSIG = dns.rdatatype.RRSIG


def zone_keys(server, zone):
    """The DNSKEY RRset that the zone shows, as validators take it."""
    r = ask(server, zone, "DNSKEY", tcp=True, do=True)
    for s in r.answer:
        if s.rdtype == dns.rdatatype.DNSKEY:
            return {s.name: s}
    raise AssertionError(f"no DNSKEY in {zone}")


def _is_cut(message, name):
    """The set is glue, or says where a zone below begins."""
    return not message.flags & dns.flags.AA or any(
        r.rdtype == dns.rdatatype.NS and name.is_subdomain(r.name) and
        r.name != name for r in message.authority)


def _faults_of(message, r, sigs, keys, do):
    found = [s for s in sigs if s.name == r.name and s.covers == r.rdtype]
    if not found:
        return [f"{r.name} {r.rdtype}: unsigned"] if do else []
    faults = []
    if found[0].ttl != r.ttl:
        faults.append(f"{r.name} {r.rdtype}: TTL {r.ttl}, {found[0].ttl}")
    algorithms = {k.algorithm for s in keys.values() for k in s}
    if {x.algorithm for x in found[0]} != algorithms:
        faults.append(f"{r.name} {r.rdtype}: algorithms")
    for x in found[0]:
        if r.ttl > x.original_ttl:
            faults.append(f"{r.name} {r.rdtype}: TTL over the original")
        try:
            dns.dnssec.validate_rrsig(r, x, keys)
        except dns.dnssec.ValidationFailure as e:
            faults.append(f"{r.name} {r.rdtype}: {e}\n{message}")
    return faults


def faults(message, zone, keys, do=True, udp=False):
    """What a validator would say against an answer: every set of the zone
    signed (with 'do'), by every algorithm, every signature right.

    By UDP, named leaves out signatures of additional data for want of room.
    """
    top = dns.name.from_text(zone)
    all_sets = message.answer + message.authority + message.additional
    sigs = [r for r in all_sets if r.rdtype == RRSIG]
    return [fault for r in all_sets
            if r.rdtype != RRSIG and r.name.is_subdomain(top)
            and not _is_cut(message, r.name)
            for fault in _faults_of(message, r, sigs, keys, do and not (
                udp and r in message.additional))]


def anchor(server, zone):
    """A file that makes delv trust the keys that the zone shows."""
    path = f"{scratch('anchor')}/anchor"
    with open(path, "w", encoding="utf-8") as f:
        f.write("trust-anchors { " + "".join(
            f'{zone} static-key {k.flags} 3 {int(k.algorithm)} "'
            + k.to_text().split(" ", 3)[3].replace(" ", "") + '"; '
            for s in zone_keys(server, zone).values() for k in s
            if k.flags == 257) + "};\n")
    return path


def delv(server, zone, name, rdtype, trusted=None):
    """What delv says of a name."""
    return subprocess.run(
        [tool("delv"), f"@{server.address}", "-p", str(server.port), "-a",
         trusted or anchor(server, zone), f"+root={zone}", name, rdtype],
        capture_output=True, text=True, timeout=20, check=True).stdout


# Every cell of the truth table, for a zone of cell_records().
CELLS = [
    ("www", "A", {}), ("www", "AAAA", {}), ("one", "A", {}),
    ("one", "AAAA", {}), ("www", "TXT", {}), ("www", "CAA", {}),
    ("many", "A", {}), ("nodata", "A", {}), ("keep", "A", {}),
    ("alias", "A", {}), ("alias2", "AAAA", {}), ("x.w", "A", {}),
    ("x.wild", "A", {}), ("www", "ANY", {"tcp": True}), ("www", "ANY", {}),
    ("", "MX", {}), ("_s._tcp", "SRV", {}), ("", "NS", {}),
    ("", "ANY", {"tcp": True}), ("svc", "HTTPS", {}), ("svc", "A", {}),
    ("nowhere", "A", {}), ("", "SOA", {}), ("x.www", "A", {}),
    ("www", "RRSIG", {"tcp": True}),
]

CELL_RECORDS = """
@ NS www
www TXT "text"
@ MX 5 www
@ MX 7 many
alias CNAME www
alias2 CNAME alias
_s._tcp SRV 0 5 80 www
svc HTTPS 1 www alpn=h2
*.w CNAME www
*.wild A 192.0.2.7
"""


def cells(server, zone, sources=("127.0.0.1",)):
    """Asks all cells; returns the answers looked at and all faults."""
    keys = zone_keys(server, zone)
    n, bad = 0, []
    for label, rdtype, how in CELLS:
        name = f"{label}.{zone}" if label else zone
        for source in sources:
            for more in ({"do": True}, {"do": True, "tcp": True}, {},
                         {"tcp": True}, {"do": True, "cd": True}):
                r = ask(server, name, rdtype, source=source,
                        **{**how, **more})
                n += 1
                bad += [f"{name} {rdtype} {more}: {x}" for x in faults(
                    r, zone, keys,
                    more.get("do", False) and rdtype != "RRSIG",
                    not {**how, **more}.get("tcp", False))]
    return n, bad


def validates(server, zone):
    """Every cell, as delv has it; returns what it did not like."""
    trusted = anchor(server, zone)
    bad = []
    for label, rdtype, _ in CELLS:
        if rdtype in ("RRSIG", "ANY") or label == "nodata":
            continue
        name = f"{label}.{zone}" if label else zone
        said = delv(server, zone, name, rdtype, trusted)
        if not re.search(r"^; (negative response, )?fully validated", said,
                         re.M):
            bad.append(f"{name} {rdtype}: {said}")
    return bad
