# SPDX-License-Identifier: MPL-2.0
"""A zone that changes at its origin: the edge knows, and drops what it must.

The origin is a named whose zone is changed by dynamic updates and which
sends NOTIFY to the side-car.  After each change every question is answered
as the origin answers it, and what the change does not touch is not asked
again.
"""

import os
import shutil
import socket
import time

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.update
import pytest

from nzlib import (Edge, Origin, ask, certificate, control, free_port, tsig_key,
                   wait_for, zone_of, zone_text)
from nzlib.probed import Probed

ZONE = "example.com"
RECORDS = """
@ MX 10 mail
mail A 192.0.2.25
www A 192.0.2.1
www TXT "one"
other A 192.0.2.2
alias CNAME www
alias2 CNAME alias
srv SRV 1 1 80 other
into CNAME gone
sub NS ns.sub
ns.sub A 192.0.2.5
sub2 NS ns.sub2
ns.sub2 A 192.0.2.6
dn DNAME tree
x.tree A 192.0.2.7
y.tree A 192.0.2.8
*.wild A 192.0.2.9
real.wild A 192.0.2.10
host.fra A 192.0.2.11
deep.ent.fra A 192.0.2.12
"""

QUESTIONS = [
    ("@", "SOA"), ("@", "NS"), ("@", "MX"), ("@", "TXT"), ("mail", "A"),
    ("www", "A"), ("www", "TXT"), ("www", "AAAA"), ("other", "A"),
    ("alias", "A"), ("alias2", "A"), ("alias", "CNAME"), ("srv", "SRV"),
    ("into", "A"), ("gone", "A"), ("new", "A"), ("below.new", "A"),
    ("sub", "A"), ("a.sub", "A"), ("sub", "DS"), ("a.sub2", "A"),
    ("x.dn", "A"), ("z.dn", "A"), ("x.tree", "A"), ("y.tree", "A"),
    ("one.wild", "A"), ("two.wild", "TXT"), ("real.wild", "A"),
    ("real.wild", "TXT"), ("host.fra", "A"), ("fra", "A"),
    ("ent.fra", "A"), ("deep.ent.fra", "A"), ("no.fra", "A"),
    ("no.ent.fra", "A"), ("far.away", "A"), ("away", "A"),
]


def fqdn(name):
    return ZONE if name == "@" else f"{name}.{ZONE}"


def shape(reply):
    """What must be equal; the SOA of a denial may be an older one."""
    parts = []
    for section in (reply.answer, reply.authority, reply.additional):
        part = set()
        for r in section:
            soa = dns.rdatatype.SOA
            if section is reply.authority and soa in (r.rdtype, r.covers):
                part.add((str(r.name), r.rdtype, "any"))
            else:
                part |= {(str(r.name).lower(), r.rdtype, d.to_text().lower())
                         for d in r}
        parts.append(part)
    return reply.rcode(), reply.flags & dns.flags.AA, parts


class Rig:
    """An origin with a zone that can change, its edge, its side-car."""

    def __init__(self, signed=None, records=RECORDS, policy="", key="",
                 journal=True, options="", origin=()):
        self.port = free_port()
        self.do = signed is not None
        self.origin = Origin(
            {ZONE: zone_text(records)}, options=f"""
    notify-delay 0; notify-rate 1000; startup-notify-rate 1000;
    minimal-responses no; {"" if journal else "provide-ixfr no;"}
    {options}""",
            body=policy + key,
            zone_options="allow-update { 127.0.0.1; }; notify explicit; "
            + ("allow-transfer { key edge-key; }; " if key else "") +
            f"also-notify {{ 127.0.0.1 port {self.port}; }}; "
            + (f'dnssec-policy "{signed}";' if signed else ""))
        more = {"key": "edge-key"} if key else {}
        self.edge = Edge(
            {ZONE: zone_of({"address": self.origin.address,
                            "port": self.origin.port, **more,
                            **dict(origin)})},
            options="minimal-responses no;",
            body=lambda e: key + e.plugin())
        self.edge.doc["notify"] = {"address": ["127.0.0.1"],
                                   "port": self.port}
        self.edge.write_json()
        self.probed = Probed(self.edge.json_path, "t1")

    def __enter__(self):
        self.origin.start()
        if self.do:
            wait_for(self.is_signed, "the zone to be signed", 20)
        self.edge.start()
        self.probed.start()
        self.probed.wait_log("takes the results|listening for NOTIFY")
        return self

    def __exit__(self, *how):
        for part in self.probed, self.edge, self.origin:
            part.__exit__(*how)

    def is_signed(self):
        reply = ask(self.origin, "nx." + ZONE, do=True)
        return any(r.rdtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
                   for r in reply.authority)

    def serial(self):
        reply = ask(self.origin, ZONE, "SOA")
        return reply.answer[0][0].serial

    def fresh(self):
        return self.edge.status()["zones"][0].get("fresh") or {}

    def is_at(self, serial):
        fresh = self.fresh()
        return fresh.get("serial") == serial and not fresh["busy"]

    def settle(self):
        """The edge knows the serial that the origin has, and stays."""
        serial = self.serial()
        wait_for(lambda: self.is_at(serial), f"serial {serial}")

    def prime(self, questions=QUESTIONS):
        # where the origin wants a key, the first client shows it
        ask(self.edge, "www." + ZONE, do=self.do)
        self.settle()
        for name, rdtype in questions:
            ask(self.edge, fqdn(name), rdtype, do=self.do)
        mark = self.origin.mark()
        for name, rdtype in questions:
            ask(self.edge, fqdn(name), rdtype, do=self.do)
        assert self.origin.questions(mark) == []

    def update(self, *changes):
        """Changes the zone: ("add", name, ttl, type, data), ("delete", ..)."""
        message = dns.update.UpdateMessage(ZONE)
        for how, name, *rest in changes:
            getattr(message, how)(fqdn(name) + ".", *rest)
        reply = dns.query.tcp(message, self.origin.address,
                              port=self.origin.port, timeout=10)
        assert reply.rcode() == dns.rcode.NOERROR, reply

    def change(self, *changes, questions=QUESTIONS):
        """Changes, waits for the edge, compares all; names asked anew."""
        self.prime(questions)
        before = self.serial()
        # a look may have been a moment ago: not more than one a second
        began = time.monotonic()
        self.update(*changes)
        wait_for(lambda: self.serial() != before, "the update")
        self.settle()
        print(f"{changes}: {time.monotonic() - began:.3f} s, {self.fresh()}")
        mark = self.origin.mark()
        got = [ask(self.edge, fqdn(name), rdtype, do=self.do)
               for name, rdtype in questions]
        asked = {(q.name, q.rdtype) for q in self.origin.questions(mark)}
        for (name, rdtype), reply in zip(questions, got):
            want = ask(self.origin, fqdn(name), rdtype, do=self.do)
            assert shape(reply) == shape(want), (name, rdtype, reply, want)
        return asked


def pairs(*questions):
    return {(fqdn(name), rdtype) for name, rdtype in questions}


SOA = ("@", "SOA")

# What changes, and which of the questions it touches.
CHANGES = [
    ("a record",
     [("replace", "www", 300, "A", "192.0.2.101")],
     [("www", "A"), ("www", "TXT"), ("www", "AAAA"), ("alias", "A"),
      ("alias2", "A"), ("alias", "CNAME")]),
    ("additional data",
     [("replace", "mail", 300, "A", "192.0.2.125")],
     [("mail", "A"), ("@", "MX")]),
    ("additional data of SRV",
     [("replace", "other", 300, "A", "192.0.2.102")],
     [("other", "A"), ("srv", "SRV")]),
    ("a new name",
     [("add", "new", 300, "A", "192.0.2.20")], [("new", "A")]),
    ("the end of a chain",
     [("add", "gone", 300, "A", "192.0.2.21")],
     [("gone", "A"), ("into", "A")]),
    ("a name less", [("delete", "new")], [("new", "A")]),
    ("a name below nothing",
     [("add", "far.away", 300, "A", "192.0.2.22")],
     [("far.away", "A"), ("away", "A")]),
    ("an empty non-terminal less", [("delete", "far.away")],
     [("far.away", "A"), ("away", "A")]),
    ("a name beside others, deeper",
     [("add", "no.fra", 300, "A", "192.0.2.23")],
     [("no.fra", "A")]),
    ("a type more of a name with others below",
     [("add", "fra", 300, "TXT", '"x"')], [("fra", "A")]),
    ("an alias that points elsewhere",
     [("replace", "alias", 300, "CNAME", "other")],
     [("alias", "A"), ("alias2", "A"), ("alias", "CNAME")]),
    # it might have been there, with one address less
    ("a wildcard", [("add", "*.fra", 300, "A", "192.0.2.24")],
     [("ent.fra", "A"), ("no.ent.fra", "A"), ("host.fra", "A"),
      ("deep.ent.fra", "A"), ("no.fra", "A")]),
    ("a name under a wildcard",
     [("add", "one.wild", 300, "TXT", '"x"')],
     [("one.wild", "A")]),
    ("a name under a wildcard less", [("delete", "one.wild")],
     [("one.wild", "A")]),
    ("a wildcard's data, one more",
     [("add", "*.wild", 300, "A", "192.0.2.91")],
     [("one.wild", "A"), ("two.wild", "TXT"), ("real.wild", "A"),
      ("real.wild", "TXT")]),
    # "real.wild" exists, which its denial of a type does not show
    ("a wildcard's data",
     [("replace", "*.wild", 300, "A", "192.0.2.90")],
     [("one.wild", "A"), ("two.wild", "TXT"), ("real.wild", "TXT")]),
    ("a wildcard less", [("delete", "*.wild")],
     [("one.wild", "A"), ("two.wild", "TXT"), ("real.wild", "TXT")]),
    ("a delegation's servers",
     [("replace", "sub", 300, "NS", "other")],
     [("sub", "A"), ("a.sub", "A"), ("sub", "DS")]),
    ("glue", [("replace", "ns.sub2", 300, "A", "192.0.2.66")],
     [("a.sub2", "A")]),
    ("a new delegation",
     [("add", "away", 300, "NS", "ns.elsewhere.test.")],
     [("away", "A"), ("far.away", "A")]),
    ("a delegation less", [("delete", "sub2", "NS")], [("a.sub2", "A")]),
    ("an alias of a tree",
     [("replace", "dn", 300, "DNAME", "ent.fra")],
     [("x.dn", "A"), ("z.dn", "A")]),
    ("the apex",
     [("add", "@", 300, "TXT", '"x"')], [("@", "TXT")]),
]


@pytest.fixture(scope="module")
def plain():
    with Rig() as rig:
        yield rig


@pytest.mark.parametrize("what,changes,touched", CHANGES,
                         ids=[c[0].replace(" ", "-") for c in CHANGES])
def test_only_what_is_touched(plain, what, changes, touched):
    asked = plain.change(*changes)
    assert asked == pairs(*touched) | pairs(SOA), what


# -- signed zones --------------------------------------------------------------

NSEC3 = """
dnssec-policy "three" {
    keys { csk key-directory lifetime unlimited algorithm 13; };
    nsec3param iterations 0 optout no salt-length 0;
};
"""
SIGNED = [CHANGES[i] for i in (0, 3, 4, 6, 11, 14, 15, 16, 17, 19)]
KEPT = [("mail", "A"), ("srv", "SRV"), ("x.tree", "A"), ("host.fra", "A"),
        ("deep.ent.fra", "A")]


@pytest.fixture(scope="module", params=["default", "three"],
                ids=["nsec", "nsec3"])
def signed(request):
    with Rig(signed=request.param, policy=NSEC3) as rig:
        yield rig


@pytest.mark.parametrize("what,changes,touched", SIGNED,
                         ids=[c[0].replace(" ", "-") for c in SIGNED])
def test_signed_zone(signed, what, changes, touched):
    """Proofs are those of the origin; what has none stays."""
    asked = signed.change(*changes)
    assert not asked & pairs(*KEPT), what
    assert signed.fresh()["whole"] == 0


# -- no difference to be had ------------------------------------------------------

def test_without_ixfr_the_zone_goes():
    with Rig(journal=False) as rig:
        asked = rig.change(("replace", "www", 300, "A", "192.0.2.101"))
        assert len(asked) >= len(QUESTIONS) - 1
        fresh = rig.fresh()
        assert fresh["whole"] == 1 and fresh["transfers"] == 1


def test_unchanged_serial_drops_nothing():
    with Rig() as rig:
        rig.prime()
        checks = rig.fresh()["checks"]
        rig.edge.nzctl("notify", ZONE)
        wait_for(lambda: rig.fresh()["checks"] > checks
                 and not rig.fresh()["busy"], "a look")
        mark = rig.origin.mark()
        for name, rdtype in QUESTIONS:
            ask(rig.edge, fqdn(name), rdtype)
        assert rig.origin.questions(mark) == []


def test_transfer_with_tsig():
    with Rig(key=tsig_key("edge-key", "of the edge")) as rig:
        asked = rig.change(("replace", "www", 300, "A", "192.0.2.101"))
        assert pairs(("mail", "A")) & asked == set()
        fresh = rig.fresh()
        # once, for what was asked before the serial was known
        assert fresh["whole"] == 1 and fresh["transfers"] == 1


def test_a_restored_zone_waits_for_its_key():
    """Nothing is asked before a client's view has shown the key."""
    with Rig(key=tsig_key("edge-key", "of the edge")) as rig:
        rig.prime()
        rig.probed.stop()  # no hint comes
        rig.edge.stop()
        rig.update(("replace", "www", 300, "A", "192.0.2.101"))
        rig.edge.start_again()
        ask(rig.edge, "nothing." + ZONE)  # a miss
        rig.settle()
        mark = rig.origin.mark()
        assert "192.0.2.101" in ask(rig.edge, "www." + ZONE).to_text()
        ask(rig.edge, "mail." + ZONE)
        asked = [q.name for q in rig.origin.questions(mark, rdtype="A")]
        assert asked == ["www." + ZONE]


def test_transfer_by_tls():
    cert, private = certificate("origin.test")
    own = shutil.copy(cert, cert + ".edge")
    dot = free_port()
    with Rig(records=RECORDS, options=f"listen-on port {dot} tls own "
             "{ 127.0.0.1; };", policy=f'tls own {{ cert-file "{cert}"; '
             f'key-file "{private}"; }};', origin={
                 "port": dot, "transport": "tls",
                 "tls": {"name": "origin.test", "ca-file": own}}) as rig:
        rig.prime()
        os.rename(own, own + ".away")  # it was read, and is not read again
        asked = rig.change(("replace", "www", 300, "A", "192.0.2.101"))
        assert pairs(("mail", "A")) & asked == set()
        assert rig.fresh()["transfers"] == 1


# -- who may say so ---------------------------------------------------------------

def notify(port, zone=ZONE, source="127.0.0.1", tcp=False, **flags):
    """Sends a NOTIFY; returns the answer, or None."""
    q = dns.message.make_query(zone, "SOA")
    q.flags = dns.flags.AA
    q.set_opcode(dns.opcode.NOTIFY)
    send = dns.query.tcp if tcp else dns.query.udp
    try:
        return send(q, "127.0.0.1", port=port, source=source, timeout=2)
    except (dns.exception.Timeout, EOFError, ConnectionError):
        return None


def test_only_origins_may_notify():
    with Rig() as rig:
        rig.settle()
        checks = rig.fresh()["checks"]
        for source in "127.0.0.2", "127.0.0.3":
            reply = notify(rig.port, source=source)
            assert reply.rcode() == dns.rcode.REFUSED
            assert notify(rig.port, source=source, tcp=True) is None
        assert notify(rig.port, "example.org").rcode() == dns.rcode.NOTAUTH
        rig.probed.wait_log("NOTIFY for 'example.com' from 127.0.0.2 port")
        assert rig.fresh()["checks"] == checks
        assert rig.fresh()["hints"] <= 1
        for tcp in False, True:
            reply = notify(rig.port, tcp=tcp)
            assert reply.rcode() == dns.rcode.NOERROR
            assert reply.opcode() == dns.opcode.NOTIFY
            assert reply.flags & dns.flags.QR and reply.flags & dns.flags.AA
        wait_for(lambda: rig.fresh()["checks"] > checks, "a look")


def test_nonsense_is_dropped():
    with Rig() as rig:
        good = dns.message.make_query(ZONE, "SOA")
        good.set_opcode(dns.opcode.NOTIFY)
        wire = good.to_wire()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.3)
            s.connect(("127.0.0.1", rig.port))
            for bad in (b"", b"\0", wire[:11], wire[:-1],
                        wire[:2] + b"\xa4" + wire[3:],
                        wire[:2] + b"\x00" + wire[3:],
                        wire[:4] + b"\0\2" + wire[6:], b"\xff" * 4000):
                s.send(bad)
            with pytest.raises(socket.timeout):
                s.recv(4096)
        assert notify(rig.port).rcode() == dns.rcode.NOERROR


def test_hints_wait_for_the_plugin():
    """The side-car listens while named is away, and then passes it on."""
    with Rig() as rig:
        rig.settle()
        rig.edge.stop()
        assert notify(rig.port).rcode() == dns.rcode.NOERROR
        rig.edge.start_again()
        wait_for(lambda: rig.fresh().get("hints", 0) >= 1, "the hint", 15)


def test_a_port_without_privilege_is_explained():
    with Edge({ZONE: zone_of({"address": "127.0.0.1", "port": 1})}) as edge:
        edge.doc["notify"] = {"address": ["127.0.0.1"], "port": 77}
        edge.write_json()
        probed = Probed(edge.json_path, "t1", prefix=[
            "setpriv", "--bounding-set", "-all", "--inh-caps", "-all"])
        with probed:
            probed.wait_log("cannot listen for NOTIFY on 127.0.0.1 port 77: "
                            ".*CAP_NET_BIND_SERVICE")


# -- when -----------------------------------------------------------------------

def test_poll_needs_no_notify():
    with Origin({ZONE: zone_text(RECORDS)},
                zone_options="ixfr-from-differences yes;") as origin:
        with Edge({ZONE: zone_of(origin, poll="1s")}) as edge:
            def fresh():
                return edge.status()["zones"][0]["fresh"]

            wait_for(lambda: fresh()["serial"] == 1, "the serial")
            ask(edge, "www." + ZONE)
            ask(edge, "mail." + ZONE)
            origin.change(ZONE, zone_text(
                RECORDS.replace("192.0.2.1\n", "192.0.2.101\n"), serial=5))
            wait_for(lambda: fresh()["serial"] == 5 and not fresh()["busy"],
                     "the new serial")
            mark = origin.mark()
            assert "192.0.2.101" in ask(edge, "www." + ZONE).to_text()
            ask(edge, "mail." + ZONE)
            asked = [q.name for q in origin.questions(mark, rdtype="A")]
            assert asked == ["www." + ZONE]


@pytest.mark.parametrize("poll", ["1s", None])
def test_a_change_while_named_was_down(poll):
    """What was saved comes back, and what has changed since is dropped:
    by the difference, or all if no serial was known."""
    with Origin({ZONE: zone_text(RECORDS)},
                zone_options="ixfr-from-differences yes;") as origin:
        more = {"poll": poll} if poll else {}
        with Edge({ZONE: zone_of(origin, **more)}) as edge:
            def fresh():
                return edge.status()["zones"][0].get("fresh") or {}

            if poll:
                wait_for(lambda: fresh()["serial"] == 1, "the serial")
            for name in "www", "mail":
                ask(edge, f"{name}.{ZONE}")
            edge.stop()
            origin.change(ZONE, zone_text(
                RECORDS.replace("192.0.2.1\n", "192.0.2.101\n"), serial=5))
            edge.doc["zones"][ZONE]["poll"] = "1s"
            edge.write_json()
            edge.start_again()
            assert edge.status()["cache"]["snapshot"]["restored"] >= 2
            wait_for(lambda: fresh()["serial"] == 5 and not fresh()["busy"],
                     "the new serial")
            assert fresh()["whole"] == (0 if poll else 1)
            mark = origin.mark()
            assert "192.0.2.101" in ask(edge, "www." + ZONE).to_text()
            ask(edge, "mail." + ZONE)
            asked = [q.name for q in origin.questions(mark, rdtype="A")]
            assert asked == ["www." + ZONE] + (
                [] if poll else ["mail." + ZONE])


def test_serial_set_back():
    with Origin({ZONE: zone_text(RECORDS, serial=9)}) as origin:
        with Edge({ZONE: zone_of(origin, poll="1s")}) as edge:
            def serial():
                return edge.status()["zones"][0]["fresh"]["serial"]

            wait_for(lambda: serial() == 9, "the serial")
            ask(edge, "www." + ZONE)
            origin.stop()
            origin.write(f"{ZONE}.db", zone_text(
                RECORDS.replace("192.0.2.1\n", "192.0.2.101\n"), serial=3))
            origin.start_again()
            wait_for(lambda: serial() == 3, "the serial", 20)
            assert "192.0.2.101" in ask(edge, "www." + ZONE).to_text()


def test_a_lagging_origin_does_not_bring_old_data_back():
    """What it said before it caught up is dropped when it has."""
    with Origin({ZONE: zone_text(RECORDS)},
                zone_options="ixfr-from-differences yes;") as one, \
            Origin({ZONE: zone_text(RECORDS)}, what="lags",
                   zone_options="ixfr-from-differences yes;") as two:
        with Edge({ZONE: zone_of(two, one)}) as edge:
            def fresh():
                return edge.status()["zones"][0].get("fresh") or {}

            edge.nzctl("notify", ZONE)
            wait_for(lambda: fresh().get("serial") == 1, "the serial")
            new = zone_text(RECORDS.replace("192.0.2.1\n", "192.0.2.101\n"),
                            serial=5)
            one.change(ZONE, new)
            edge.nzctl("notify", ZONE)
            wait_for(lambda: fresh()["serial"] == 5, "the new serial")
            assert fresh()["oldest"] == 1
            ask(edge, "www." + ZONE)  # perhaps of the one that lags
            two.change(ZONE, new)
            wait_for(lambda: fresh()["oldest"] == 5, "both", 20)
            for _ in range(3):
                assert "192.0.2.101" in ask(edge, "www." + ZONE).to_text()


def test_change_is_an_event():
    with Rig() as rig:
        rig.prime()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect(rig.edge.socket)
            f = s.makefile("rwb")
            f.write(b'{"command":"watch"}\n')
            f.flush()
            assert b"true" in f.readline()
            rig.update(("replace", "www", 300, "A", "192.0.2.101"))
            line = f.readline()
        assert b'"zone-changed"' in line and b'"difference"' in line, line


def test_unknown_zone_is_refused():
    with Edge({ZONE: zone_of({"address": "127.0.0.1", "port": 1})}) as edge:
        with control(edge) as call:
            for request in ({"command": "notify"},
                            {"command": "notify", "zone": "example.org"},
                            {"command": "notify", "zone": 7}):
                assert call(request)["ok"] is False
            assert call({"command": "notify", "zone": ZONE})["zones"] == 1
