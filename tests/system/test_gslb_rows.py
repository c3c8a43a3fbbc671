# SPDX-License-Identifier: MPL-2.0
"""What the tests of other traffic managers hold them to, by DNS.

The numbers are those of a list of scenarios drawn from these tests; what a
decision alone can answer is in tests/scenarios/.  Each holds in the three
homes of a hostname: an edge zone, an ordinary zone of named, a domain.
"""

import struct

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import (Edge, Origin, ask, exchange, wait_for, zone_of,
                   zone_text)
from nzlib.ask import make

P, S = "192.0.2.1", "192.0.2.2"
RECORDS = zone_text("""
www A 198.51.100.1
www TXT "as stored"
mx MX 5 www
to CNAME www
*.wild A 198.51.100.2
plain A 198.51.100.3
loop CNAME loop2
loop2 CNAME loop
""")
HOMES = ("edge.test", "ord.test")
ALL = HOMES + ("gslb.test",)


@pytest.fixture(scope="module")
def edge():
    with Origin({"edge.test": RECORDS}) as origin:
        def body(e):
            return (f'zone "ord.test" {{ type primary; file '
                    f'"{e.write("ord.db", RECORDS)}"; }};\n' + e.plugin())
        e = Edge({"edge.test": zone_of(origin)}, body=body)
        names = [f"{host}.{zone}" for zone in ALL
                 for host in ("www", "deep.wild")]
        e.doc.update({
            "pops": {"p": {"servers": {"a": {"addresses": [P]},
                                       "b": {"addresses": [S]}}}},
            "hostnames": {name: {"servers": ["a"], "backup": ["b"]}
                          for name in names},
            "domains": {"gslb.test": {"ns": ["ns.other.test"]}}})
        e.write_json()
        with e:
            wait_for(lambda: got(ask(e, "www.edge.test")) == {P},
                     "the survey")
            yield e


def got(reply, kind="A", name=None):
    return {r.to_text() for s in reply.answer for r in s
            if s.rdtype == dns.rdatatype.from_text(kind)
            and name in (None, s.name.to_text(True))}


@pytest.mark.parametrize("zone", ALL)
def test_other_types_are_not_touched(edge, zone):
    # D26: no such family: NODATA, with one SOA
    r = ask(edge, f"www.{zone}", "AAAA")
    assert r.rcode() == 0 and not r.answer
    assert [s.rdtype for s in r.authority] == [dns.rdatatype.SOA]
    # F1, D35: a type that is not held
    r = ask(edge, f"www.{zone}", "CAA")
    assert r.rcode() == 0 and not r.answer
    assert [s.rdtype for s in r.authority] == [dns.rdatatype.SOA]
    r = ask(edge, f"www.{zone}", "MX")
    assert r.rcode() == 0 and not r.answer


@pytest.mark.parametrize("zone", HOMES)
def test_what_the_zone_holds_beside_it_is_served(edge, zone):
    # D27, F6: the zone's own other types
    assert got(ask(edge, f"www.{zone}", "TXT"), "TXT") == {'"as stored"'}
    # D28, F2: ANY has the client's address, never the zone's, never nothing
    r = ask(edge, f"www.{zone}", "ANY", tcp=True)
    assert got(r) == {P} and r.rcode() == 0
    # D29: a name that is not managed
    assert got(ask(edge, f"plain.{zone}")) == {"198.51.100.3"}
    # F3: as stored, and an additional address that is right
    r = ask(edge, f"mx.{zone}", "MX")
    assert got(r, "MX") == {f"5 www.{zone}."}
    assert {x.to_text() for s in r.additional for x in s
            if s.rdtype == dns.rdatatype.A
            and s.name.to_text(True) == f"www.{zone}"} <= {P}
    # F4: an alias in the zone to a managed name
    r = ask(edge, f"to.{zone}")
    assert got(r, "CNAME") == {f"www.{zone}."} and got(r) == {P}
    # D16: a managed name below a wildcard; its neighbours are the zone's
    assert got(ask(edge, f"deep.wild.{zone}")) == {P}
    assert got(ask(edge, f"x.wild.{zone}")) == {"198.51.100.2"}


def test_any_in_a_domain(edge):
    r = ask(edge, "www.gslb.test", "ANY", tcp=True)
    assert got(r) == {P}


@pytest.mark.parametrize("zone", HOMES)
def test_a_ring_of_aliases_ends(edge, zone):
    # F5
    r = ask(edge, f"loop.{zone}", "AAAA")
    names = [s.name.to_text(True) for s in r.answer]
    assert names[0] == f"loop.{zone}" and len(names) == len(set(names)) <= 2


@pytest.mark.parametrize("zone", ALL)
def test_the_name_is_echoed_as_it_was_asked(edge, zone):
    # F9
    r = ask(edge, f"WwW.{zone.upper()}")
    assert r.question[0].name.to_text(True) == f"WwW.{zone.upper()}"
    assert got(r) == {P}


BAD = {
    "D7: 33 bits": (1, 33, 0, bytes(5)),
    "D7: 129 bits": (2, 129, 0, bytes(17)),
    "D8: too few octets": (1, 24, 0, bytes(2)),
    "D8: unknown family": (7, 8, 0, bytes(1)),
    "D8: shorter than 4": None,
}


@pytest.mark.parametrize("zone", ALL)
@pytest.mark.parametrize("row", BAD)
def test_a_bad_client_subnet(edge, zone, row):
    raw = b"\0\1\0" if BAD[row] is None else (
        struct.pack("!HBB", *BAD[row][:3]) + BAD[row][3])
    q = make(f"www.{zone}", "A", options=[dns.edns.GenericOption(8, raw)])
    r = dns.message.from_wire(exchange(edge, q.to_wire()))
    assert r.rcode() == dns.rcode.FORMERR and not r.flags & dns.flags.AA
    assert not r.answer


@pytest.mark.parametrize("zone", ALL)
def test_a_policy_with_an_error_is_refused(edge, zone):
    # F7 has no counterpart: policies are checked before they are in force.
    # What is refused leaves the old answers (D31, E19).
    before = got(ask(edge, f"www.{zone}"))
    good = dict(edge.doc)
    edge.doc["hostnames"] = {"www." + zone: {"servers": ["nobody"]}}
    edge.write_json()
    edge.nzctl("check", edge.path("nearzone.json"), status=(1,),
               plain=True)
    assert got(ask(edge, f"www.{zone}")) == before
    edge.doc.update(good)
    edge.write_json()
