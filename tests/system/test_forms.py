# SPDX-License-Identifier: MPL-2.0
"""The edge beside a named that serves the zone itself: the same answers."""

import itertools

import dns.flags
import dns.rdatatype
import pytest

from nzlib import Edge, Named, Origin, SignedZone, ask, same, zone_of
from nzlib.zones import KINDS, RICH, at

# One view for each setting, chosen by the address that asks.
SETTINGS = {
    "127.0.0.21": "",
    "127.0.0.22": "minimal-responses no;",
    "127.0.0.23": "minimal-responses yes;",
    "127.0.0.24": "minimal-responses no-auth;",
    "127.0.0.25": "minimal-any yes;",
}
MINIMAL_ANY = "127.0.0.25"


def views(inside):
    """A view statement for each of SETTINGS; inside(address) is in it."""
    return "".join(
        f'view "v{i}" {{ match-clients {{ {a}; }}; {setting} '
        f'{inside(a)} }};\n'
        for i, (a, setting) in enumerate(SETTINGS.items()))


@pytest.fixture(scope="module", params=["plain", "nsec", "nsec3"])
def zone(request):
    if request.param == "plain":
        return RICH
    small = RICH.replace("1-4000", "1-20")
    return SignedZone("example.com", small, request.param == "nsec3").text


@pytest.fixture(scope="module")
def origin(zone):
    with Origin({"example.com": zone}) as o:
        yield o


@pytest.fixture(scope="module")
def twin(zone):
    """A named without the plugin that has the zone, in the same views."""
    def body(server):
        server.write("zone.db", zone)
        return views(lambda _: 'zone "example.com" { type primary; '
                     'file "zone.db"; };')

    with Named("twin", body=body) as t:
        yield t


@pytest.fixture(scope="module")
def edge(origin):
    with Edge({"example.com": zone_of(origin)},
              body=lambda e: views(lambda _: e.plugin())) as e:
        yield e


def alike(ours, theirs, how):
    """The same; where named may choose, as good a choice."""
    if theirs.flags & dns.flags.TC:
        assert ours.flags & dns.flags.TC
        assert ours.rcode() == theirs.rcode()
    elif (theirs.question[0].rdtype in (dns.rdatatype.ANY,
                                        dns.rdatatype.RRSIG)
          and how["source"] == MINIMAL_ANY and not how["tcp"]):
        # One RRset, whichever comes first.
        assert ours.rcode() == theirs.rcode()
        assert bool(ours.answer) == bool(theirs.answer)
        types = {r.rdtype for r in ours.answer} - {dns.rdatatype.RRSIG}
        assert len(types) <= 1
    else:
        same(ours, theirs)


@pytest.mark.parametrize("name,rdtype", KINDS)
def test_every_form(origin, edge, twin, name, rdtype):
    """Miss and hit, every setting, every kind of client; one question."""
    edge.nzctl("purge", at(name))
    mark = origin.mark()
    for address, do, rd, tcp in itertools.product(
            SETTINGS, [True, False], [True, False], [True, False]):
        how = {"source": address, "do": do, "rd": rd, "tcp": tcp}
        theirs = ask(twin, at(name), rdtype, **how)
        try:
            for _ in range(2):
                alike(ask(edge, at(name), rdtype, **how), theirs, how)
        except AssertionError as e:
            e.args = (f"{how}: {e.args[0] if e.args else ''}",)
            raise
    asked = origin.questions(mark)
    whole = ask(twin, at(name), rdtype, do=True, tcp=True,
                source="127.0.0.22")
    if any(r.ttl == 0 for r in whole.answer):
        assert asked  # NSEC3PARAM among ANY: not to be kept
    else:
        assert len(asked) == 1, asked


@pytest.mark.parametrize("payload", [512, 600, 1232, 4096])
@pytest.mark.parametrize("name,rdtype", [
    ("www", "A"), ("@", "MX"), ("@", "NS"), ("_sip._tcp", "SRV"),
    ("nowhere", "A"), ("many", "TXT"), ("set", "A"), ("sub", "A")])
def test_every_size(edge, twin, name, rdtype, payload):
    """What fits a client's buffer and what does not, DO and not."""
    for do, address in itertools.product([True, False], SETTINGS):
        how = {"source": address, "do": do, "payload": payload}
        ours = ask(edge, at(name), rdtype, **how)
        assert len(ours.to_wire()) <= payload
        alike(ours, ask(twin, at(name), rdtype, **how), {**how, "tcp": 0})
