# SPDX-License-Identifier: MPL-2.0
"""What does not exist is denied without asking: "names" of a zone.

Unsigned zones by the set of their names, which a transfer brought and
differences keep current; signed ones by what the origin has proven.  Each
answer made here is compared with the origin's own.
"""

import threading
import time

import dns.rcode
import dns.rdatatype
import pytest

from nzlib import (Edge, FakeOrigin, answer_to, ask, rrset, wait_for,
                   zone_of)

from test_fresh import NSEC3, Rig, ZONE, fqdn, shape

# Names that nobody has asked for before, and whether the edge has to ask.
MISSING = ["nope", "a.nope", "x.www", "zz", "x.y.alias", "x.ent.fra", "no.fra",
           "-", "\\000", "x.real.wild", "0.mail", "a.b.c.d.e.f.g"]
ASKED = ["one.wild", "x.y.wild", "wild", "fra", "ent.fra", "x.sub", "q.dn",
         "sub2", "www"]


class NamesRig(Rig):
    """The rig of test_fresh, its zone with "names"."""

    def __init__(self, names="transfer", **more):
        super().__init__(**more)
        self.edge.doc["zones"][ZONE]["names"] = names
        self.edge.write_json()

    def names(self):
        return self.edge.status()["zones"][0]["names"]

    def counters(self):
        return self.edge.status()["zones"][0]["counters"]

    def known(self):
        """The set is that of the zone as the origin has it."""
        serial = self.serial()
        wait_for(lambda: self.names()["set"].get("serial") == serial,
                 f"the names of serial {serial}")

    def same(self, name, rdtype="A", **how):
        """The edge's answer is the origin's; returns whether it asked."""
        mark = self.origin.mark()
        got = ask(self.edge, fqdn(name), rdtype, do=self.do, **how)
        asked = bool(self.origin.questions(mark))
        want = ask(self.origin, fqdn(name), rdtype, do=self.do, **how)
        assert shape(got) == shape(want), (name, rdtype, got, want)
        for g, w in zip(got.authority, want.authority):
            assert g.ttl <= w.ttl, (name, rdtype, got, want)
        return asked


@pytest.fixture(scope="module")
def plain():
    with NamesRig() as rig:
        rig.known()
        yield rig


@pytest.mark.parametrize("name", MISSING)
def test_missing_names_are_denied(plain, name):
    for rdtype in "A", "AAAA", "ANY", "SOA", "DS", "TYPE4711":
        assert not plain.same(name, rdtype), (name, rdtype)
    assert not plain.same(name.upper(), "MX")
    assert not plain.same("b." + name, "TXT", tcp=True)


@pytest.mark.parametrize("name", ASKED)
def test_what_may_exist_is_asked_for(plain, name):
    assert plain.same(name, "TXT")


def test_nothing_is_kept_of_it(plain):
    entries = plain.edge.status()["cache"]["entries"]
    denied = plain.counters()["denied"]
    for i in range(200):
        assert not plain.same(f"random{i}")
    assert plain.edge.status()["cache"]["entries"] == entries
    assert plain.counters()["denied"] == denied + 200


def test_a_set_is_small(plain):
    kept = plain.names()["set"]
    assert kept["state"] == "kept"
    assert kept["names"] == 23
    assert kept["transfers"] == 1
    text = plain.edge.nzctl("status", plain=True)
    table = text.split("zones, names:\n")[1].splitlines()
    assert table[0].split()[:4] == ["id", "state", "names", "bytes"]
    assert table[1].split()[:3] == [ZONE, "kept", "23"]


# -- changes ---------------------------------------------------------------------

def test_differences_change_the_set():
    with NamesRig() as rig:
        rig.known()
        assert not rig.same("new") and not rig.same("x.far.away")
        rig.update(("add", "new", 300, "A", "192.0.2.20"),
                   ("add", "far.away", 300, "A", "192.0.2.21"),
                   ("delete", "mail"), ("delete", "deep.ent.fra"),
                   ("delete", "sub"))
        rig.known()
        rig.settle()
        assert rig.same("new")
        assert rig.same("away")  # an empty non-terminal
        assert not rig.same("x.away")
        for gone in "mail", "deep.ent.fra", "ent.fra", "x.sub":
            assert not rig.same(gone, "TXT"), gone
        assert rig.same("host.fra", "TXT")
        # a wildcard where names were denied, and its end
        rig.update(("add", "*", 300, "A", "192.0.2.99"))
        rig.known()
        assert rig.same("nobody")
        rig.update(("delete", "*"))
        rig.known()
        rig.settle()
        assert not rig.same("nobody")
        kept = rig.names()["set"]
        assert kept["transfers"] == 1 and kept["changes"] == 3


def test_many_changes_leave_what_is():
    """Names that come and go, until it is as it was."""
    with NamesRig(options="max-ixfr-ratio unlimited;") as rig:
        rig.known()
        before = rig.names()["set"]["names"]
        for i in range(8):
            rig.update(*[("add", f"n{j}.part{j % 5}.x", 300, "A", "192.0.2.1")
                         for j in range(60) if j % 8 != i],
                       ("delete", f"n{i}.part{i % 5}.x"))
        rig.known()
        rig.settle()
        for j in range(60):
            rig.same(f"n{j}.part{j % 5}.x")
            assert not rig.same(f"m{j}.part{j % 5}.x")
        rig.update(*[("delete", f"n{j}.part{j % 5}.x") for j in range(60)])
        rig.known()
        assert rig.names()["set"]["names"] == before
        assert rig.names()["set"]["transfers"] == 1
        assert not rig.same("part1.x")


def test_without_ixfr_it_is_transferred_again():
    with NamesRig(journal=False) as rig:
        rig.known()
        assert not rig.same("new")
        rig.update(("add", "new", 300, "A", "192.0.2.20"))
        rig.settle()
        rig.same("new")
        wait_for(lambda: rig.names()["set"]["transfers"] == 2, "a transfer",
                 30)
        rig.known()
        assert not rig.same("newer")


def test_a_zone_that_becomes_signed():
    with NamesRig() as rig:
        rig.known()
        assert not rig.same("nope")
        rig.origin.zone_options += 'dnssec-policy "default";'
        rig.origin.write_conf()
        rig.origin.rndc("reconfig")
        wait_for(rig.is_signed, "the zone to be signed", 20)
        rig.do = True
        wait_for(lambda: "signed" in rig.names()["set"].get("why", ""),
                 "the set to be given up", 30)
        rig.settle()
        assert rig.same("nope2")
        for i in range(200):
            rig.same(f"r{i}")
        assert not rig.same("nope3")


# -- when it cannot be had, or is not to be trusted ------------------------------

def test_transfer_refused():
    rig = NamesRig()
    rig.origin.options += "allow-transfer { none; };"
    with rig:
        wait_for(lambda: rig.names()["set"].get("why"), "a reason")
        rig.edge.wait_log("allow-transfer")
        assert rig.same("nope")
        assert rig.names()["set"]["state"] == "none"


def test_purge_takes_the_set_away():
    with NamesRig() as rig:
        rig.known()
        assert not rig.same("nope")
        rig.edge.nzctl("purge", "www." + ZONE)
        assert rig.names()["set"]["state"] != "kept"
        assert rig.same("nope2")
        wait_for(lambda: rig.names()["set"]["state"] == "kept", "a new set",
                 30)
        assert not rig.same("nope3")


def test_origin_dead():
    with NamesRig() as rig:
        rig.known()
        rig.origin.stop()
        for i in range(20):
            reply = ask(rig.edge, f"r{i}.{ZONE}")
            assert reply.rcode() == dns.rcode.NXDOMAIN
            assert reply.authority[0].rdtype == dns.rdatatype.SOA
        assert rig.counters()["failures"] == 0


def test_reconfig_keeps_it_or_lets_it_go():
    with NamesRig() as rig:
        rig.known()
        rig.edge.nzctl("reload")
        assert not rig.same("nope")
        assert rig.names()["set"]["transfers"] == 1
        del rig.edge.doc["zones"][ZONE]["names"]
        rig.edge.write_json()
        rig.edge.nzctl("reload")
        wait_for(lambda: "names" not in rig.edge.status()["zones"][0],
                 "the set to go")
        assert rig.same("nope")
        rig.edge.doc["zones"][ZONE]["names"] = "transfer"
        rig.edge.write_json()
        rig.edge.nzctl("reload")
        wait_for(lambda: rig.edge.status()["zones"][0].get("names"), "a set")
        rig.known()
        assert not rig.same("nope2")


# -- signed zones ------------------------------------------------------------------

@pytest.fixture(scope="module", params=["default", "three"],
                ids=["nsec", "nsec3"])
def signed(request):
    with NamesRig(signed=request.param, policy=NSEC3,
                  names="proofs") as rig:
        rig.settle()
        yield rig


def learn(rig, names, rdtype="A"):
    for name in names:
        rig.same(name, rdtype)
    assert rig.names()["proofs"] > 0


def test_what_is_proven_is_not_asked(signed):
    """Enough questions, and there is nothing left to be asked."""
    for i in range(300):
        signed.same(f"r{i}")
    for i in range(300, 400):
        assert not signed.same(f"r{i}"), i
        assert not signed.same(f"y.r{i}", "TXT"), i
    signed.do = False
    for i in range(400, 420):
        assert not signed.same(f"r{i}"), i
    signed.do = True


def test_what_is_proven_of_types(signed):
    learn(signed, ["www", "mail", "real.wild", "ent.fra"], "MX")
    for name in "www", "mail", "real.wild", "ent.fra":
        for rdtype in "TYPE4711", "SRV", "DS":
            assert not signed.same(name, rdtype), (name, rdtype)
        signed.same(name, "ANY")
        signed.same(name, "NSEC")
        signed.same(name, "RRSIG")
    assert signed.same("www", "TXT")


def test_wildcards_and_cuts_are_asked_for(signed):
    for i in range(30):
        signed.same(f"q{i}.wild", "TXT")
        assert signed.same(f"r{i}.wild", "A")
        signed.same(f"x.q{i}.sub", "TXT")
        assert signed.same(f"x.r{i}.sub", "TXT")
        signed.same(f"q{i}.dn", "TXT")
        assert signed.same(f"r{i}.dn", "TXT")
        signed.same(f"x{i}.sub2", "DS")
    assert not signed.same("s.wild", "TXT")  # the wildcard has no such type


def test_changes_take_proofs_away(signed):
    for i in range(200):
        signed.same(f"c{i}")
    assert not signed.same("come")
    signed.update(("add", "come", 300, "A", "192.0.2.20"))
    signed.settle()
    signed.same("come")
    signed.update(("delete", "come"))
    signed.settle()
    signed.same("come")


def test_purge_takes_proofs_away(signed):
    learn(signed, ["p1", "p2"])
    signed.edge.nzctl("purge", "nothing." + ZONE)
    assert signed.names()["proofs"] == 0


def test_opt_out_proves_nothing():
    policy = NSEC3.replace("optout no", "optout yes")
    with NamesRig(signed="three", policy=policy, names="proofs") as rig:
        rig.settle()
        for i in range(100):
            rig.same(f"r{i}")
        for i in range(100, 120):
            assert rig.same(f"r{i}")


# -- origins as no named is ------------------------------------------------------

class Script(FakeOrigin):
    """Zones in versions, {serial: records}; 'ixfr' is a list of messages, each
    a list of records, of which all but the first wait for 'go'; a whole zone
    waits for 'whole'."""

    def __init__(self, serial, versions):
        self.serial, self.versions = serial, versions
        self.signed = False
        self.mute = False  # no transfer is answered
        self.ixfr = None
        self.go, self.whole = threading.Event(), threading.Event()
        self.whole.set()
        super().__init__(self.reply)

    @staticmethod
    def soa(zone, serial):
        return rrset(zone, 300, "SOA", f"ns.{zone} h.{zone} {serial} 3600 600 "
                     "604800 300")

    def transfer(self, query, zone):
        soa = self.soa(zone, self.serial)
        if query.question[0].rdtype == dns.rdatatype.AXFR:
            return [[soa, *self.versions[self.serial], soa]]
        return self.ixfr or [[soa]]

    def reply(self, query, _):
        q = query.question[0]
        zone = ".".join(str(q.name).split(".")[-3:])
        if q.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR):
            if self.mute:
                return None
            parts = self.transfer(query, zone)
            if len(parts) > 1:
                self.go.wait(20)
            if q.rdtype == dns.rdatatype.AXFR:
                self.whole.wait(20)
            return [answer_to(query, *part, edns=False) for part in parts]
        found = [r for r in self.versions[self.serial]
                 if r.name == q.name and r.rdtype == q.rdtype]
        if str(q.name) == zone and q.rdtype == dns.rdatatype.SOA:
            found = [self.soa(zone, self.serial)]
            if self.signed:
                found.append(rrset(
                    zone, 300, "RRSIG", "SOA 13 2 300 20300101000000 "
                    f"20200101000000 1 {zone} AAAA"))
        return answer_to(query, *found, rcode=0 if found else 3, authority=[]
                         if found else [self.soa(zone, self.serial)])

    def was_asked(self, rdtype):
        return any(q.question[0].rdtype == rdtype for q, _ in self.asked)


def the_set(edge, i=0):
    return edge.status()["zones"][i]["names"]["set"]


NS = rrset(ZONE + ".", 300, "NS", "ns.elsewhere.test.")


def test_zones_that_go_in_the_middle_of_transfers():
    zones = [f"z{i}.test" for i in range(6)]
    with Script(7, {7: []}) as origin:
        origin.mute = True
        with Edge({z: zone_of(origin, names="transfer")
                   for z in zones}) as edge:
            wait_for(lambda: sum(the_set(edge, i)["state"] == "transfer"
                                 for i in range(6)) == 4, "transfers")
            for gone in zones[2:5], zones[:2], zones[5:]:
                for zone in gone:
                    del edge.doc["zones"][zone]
                edge.write_json()
                edge.nzctl("reload")
                edge.status()
            assert edge.process.poll() is None


def test_dname_at_the_apex():
    dname = rrset(ZONE + ".", 300, "DNAME", "other.test.")
    with Script(7, {7: [NS, dname]}) as origin, \
            Edge({ZONE: zone_of(origin, names="transfer")}) as edge:
        wait_for(lambda: the_set(edge)["state"] == "kept", "the set")
        ask(edge, "www." + ZONE)
        assert origin.was_asked(dns.rdatatype.A)


def test_a_difference_for_another_set():
    """The set was made anew, and is further, when a difference has come."""
    def www(*hosts):
        return rrset("www." + ZONE + ".", 300, "A",
                     *(f"192.0.2.{h}" for h in hosts))
    more = rrset("more." + ZONE + ".", 300, "A", "192.0.2.9")
    versions = {7: [NS, www(1, 2)], 8: [NS, www(2)], 9: [NS, www(2), more]}
    soa = {n: Script.soa(ZONE + ".", n) for n in versions}
    with Script(7, versions) as fast, Script(7, versions) as slow, \
            Edge({ZONE: zone_of(fast, slow, names="transfer")}) as edge:
        wait_for(lambda: the_set(edge)["state"] == "kept", "the set")
        fast.ixfr = [[soa[9], soa[7], www(1), soa[8], soa[8]],
                     [soa[9], more, soa[9]]]
        fast.serial = 9
        edge.nzctl("notify", ZONE)
        wait_for(lambda: fast.was_asked(dns.rdatatype.IXFR), "a difference")
        slow.serial = 8
        edge.nzctl("purge", "nothing." + ZONE)
        wait_for(lambda: the_set(edge).get("serial") == 8, "the next set", 30)
        fast.go.set()
        wait_for(lambda: the_set(edge).get("serial") == 9, "the last set", 30)
        slow.serial = 9
        assert ask(edge, "www." + ZONE).rcode() == dns.rcode.NOERROR
        assert ask(edge, "more." + ZONE).rcode() == dns.rcode.NOERROR
        assert ask(edge, "none." + ZONE).rcode() == dns.rcode.NXDOMAIN


def test_a_transfer_that_was_overtaken():
    """The next waits in proportion to what it took, not to nothing."""
    with Script(7, {7: [NS]}) as origin:
        origin.whole.clear()
        with Edge({ZONE: zone_of(origin, names="transfer")}) as edge:
            wait_for(lambda: the_set(edge)["state"] == "transfer", "one")
            edge.nzctl("purge", "--zone", ZONE)
            long_ago = time.monotonic() + 1.5  # the least gap is a second
            wait_for(lambda: time.monotonic() > long_ago, "time to pass")
            origin.whole.set()
            wait_for(lambda: the_set(edge)["state"] == "none"
                     or the_set(edge)["transfers"] > 1, "its end")
            assert the_set(edge)["transfers"] == 1


def test_signed_on_the_fly():
    """Signatures that are not in a transfer: unsigned denials would be bogus."""
    with Script(7, {7: [NS]}) as origin, \
            Edge({ZONE: zone_of(origin, names="transfer")}) as edge:
        wait_for(lambda: the_set(edge)["state"] == "kept", "the set")
        origin.signed = True
        edge.nzctl("notify", ZONE)
        wait_for(lambda: "signed" in the_set(edge).get("why", ""),
                 "the set to be given up", 30)
        ask(edge, "www." + ZONE)
        assert origin.was_asked(dns.rdatatype.A)
