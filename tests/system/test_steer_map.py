# SPDX-License-Identifier: MPL-2.0
"""Answers by who and where clients are: databases and rules, by A answers."""

import os
import pathlib
import shutil

import dns.edns
import pytest

from nzlib import Edge, ask, wait_for

DATA = pathlib.Path(__file__).resolve().parent.parent / "mmdb"
CITY = DATA / "GeoIP2-City-Test.mmdb"
ASN = DATA / "GeoLite2-ASN-Test.mmdb"
BAD = DATA / "bad" / "unexpected-bytes.mmdb"
SWEDEN = "89.160.20.112"     # /28: SE; and AS 29518 by the other database
LONDON = "81.2.69.160"
NOBODY = "203.0.113.0"
EU, NA, ASIA = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Site(Edge):
    def __init__(self):
        super().__init__({})
        self.doc.update({
            "pops": {
                "eu": {"location": [50, 8],
                       "servers": {"e": {"addresses": [EU]}}},
                "na": {"location": [40, -75],
                       "servers": {"n": {"addresses": [NA]}}},
                "asia": {"location": [35, 139],
                         "servers": {"t": {"addresses": [ASIA]}}}},
            "geo": {"databases": [self.path("a.mmdb")]},
            "clients": {
                "swedes": {"countries": ["SE"], "pops": ["na", "eu"]},
                "carrier": {"as": [29518], "pops": ["asia"]},
                "weighed": {"prefixes": ["198.51.100.0/24"],
                            "weights": {"e": 0, "n": 0, "t": 1}},
                "told": {"prefixes": ["2001:db8:7::/48"],
                         "latency": {"eu": 90, "na": 70, "asia": 3}}},
            "hostnames": {
                "pops.gslb.test": {"servers": ["e", "n", "t"]},
                "near.gslb.test": {"servers": ["e", "n", "t"],
                                   "weigh": {"latency": 1}, "explore": 0},
                "near2.gslb.test": {"servers": ["e", "t"], "explore": 0,
                                    "weigh": {"latency": 1}}},
            "domains": {"gslb.test": {"ns": ["ns1.other.test"]}}})
        self.write_json()

    def put(self, source):
        shutil.copyfile(source, self.path("new"))
        os.rename(self.path("new"), self.path("a.mmdb"))

    def geo(self):
        return self.status()["clients"]["databases"][0]

    def answer(self, name, client, bits=24):
        """The addresses that a client gets, and the scope."""
        option = dns.edns.ECSOption(client, bits)
        reply = ask(self, name + ".gslb.test", "A", options=[option])
        assert reply.rcode() == 0
        ecs = [o for o in reply.options if isinstance(o, dns.edns.ECSOption)]
        return reply.answer[0][0].address, ecs[0].scopelen

    def all_of(self, name, client, bits=24):
        return {self.answer(name, client, bits)[0] for _ in range(30)}


@pytest.fixture
def site():
    s = Site()
    s.put(CITY)
    with s:
        wait_for(lambda: s.geo()["state"] == "read", "the database")
        yield s


def test_rules_choose(site):
    assert site.all_of("pops", SWEDEN, 28) == {NA}
    address, scope = site.answer("pops", SWEDEN, 28)
    assert 8 < scope <= 32
    assert site.all_of("pops", NOBODY) == {EU, NA, ASIA}
    assert site.all_of("pops", "198.51.100.0") == {ASIA}
    assert site.answer("pops", "198.51.100.0")[1] == 24
    assert site.answer("near", "2001:db8:7:100::", 56) == (ASIA, 48)


def test_distance_stands_in_for_what_is_not_measured(site):
    assert site.all_of("near2", LONDON, 27) == {EU}
    # who is in no database is as near to all
    assert site.all_of("near", NOBODY) == {EU, NA, ASIA}
    got = site.nzctl("explain", "near2.gslb.test", "A", "--client",
                     LONDON)["explain"]
    by = {c["server"]: c for c in got["candidates"]}
    assert by["e"]["latency"] == "guessed"
    assert by["e"]["latency_ms"] < 20 < 80 < by["t"]["latency_ms"]
    assert by["t"]["verdict"] == "too costly"
    got = site.nzctl("explain", "pops.gslb.test", "A", "--client",
                     SWEDEN)["explain"]
    by = {c["server"]: c for c in got["candidates"]}
    assert got["clients"] == "swedes" and got["country"] == "SE"
    text = site.nzctl("explain", "pops.gslb.test", "A", "--client", SWEDEN,
                      plain=True)
    assert "swedes" in text and "another POP preferred" in text
    assert by["n"]["verdict"] == "chosen"
    assert by["e"]["verdict"] == "another POP preferred"


def test_what_prefers_a_pop_falls_back_when_it_is_drained(site):
    site.nzctl("drain", "n", "--reason", "works", plain=True)
    assert site.all_of("pops", SWEDEN, 28) == {EU}
    site.nzctl("drain", "e", "--reason", "works", plain=True)
    assert site.all_of("pops", SWEDEN, 28) == {ASIA}
    site.nzctl("undrain", "n", plain=True)
    assert site.all_of("pops", SWEDEN, 28) == {NA}


def test_a_database_is_replaced_and_a_bad_one_is_not_read(site):
    site.put(ASN)
    wait_for(lambda: site.geo()["type"] == "GeoLite2-ASN", "the new one",
             seconds=30)
    assert site.all_of("pops", SWEDEN, 28) == {ASIA}
    site.put(BAD)
    wait_for(lambda: site.status()["clients"]["refused"], "the refusal",
             seconds=30)
    assert site.all_of("pops", SWEDEN, 28) == {ASIA}
