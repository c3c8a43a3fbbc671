# SPDX-License-Identifier: MPL-2.0
"""The map of clients: databases that come, change, are bad, and go."""

import json
import os
import pathlib
import shutil
import time

import pytest

from nzlib import Edge, Load, wait_for
from nzlib.base import patience
from nzlib.steer import PRIMARY, Fleet, command

DATA = pathlib.Path(__file__).resolve().parent.parent / "mmdb"
CITY = DATA / "GeoIP2-City-Test.mmdb"
ASN = DATA / "GeoLite2-ASN-Test.mmdb"
BAD = DATA / "bad" / "unexpected-bytes.mmdb"
# In the one database AS 1221, in the other one Sweden.
TELSTRA = "1.128.0.5"
SWEDEN = "89.160.20.112"
CHECKS_S = 10  # how often the plugin looks

F = Fleet()
WWW = F.host("www.gslb.test")
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}


class Site(Edge):
    """An edge with two databases, of which none is there."""

    def __init__(self):
        super().__init__({})
        F.put(self)
        pops = list(self.doc["pops"])
        self.doc["pops"][pops[0]]["location"] = [50.11, 8.68]
        self.doc["geo"] = {"databases": [self.path("a.mmdb"),
                                         self.path("b.mmdb")]}
        self.doc["clients"] = {
            "telstra": {"as": [1221], "latency": {pops[0]: 12.5}},
            "swedes": {"countries": ["SE"], "pops": [pops[0]],
                       "weights": {WWW.id(PRIMARY): 7}},
            "office": {"prefixes": ["192.0.2.0/24"], "location": [48, 2]},
            "all": {"prefixes": ["0.0.0.0/0"]}}
        self.write_json()

    def put(self, source, name="a.mmdb"):
        """Puts a database where another one may be, by a rename."""
        shutil.copyfile(source, self.path("new"))
        os.rename(self.path("new"), self.path(name))

    def who(self, client):
        return self.nzctl("client", client)["client"]

    def clients(self):
        return self.status()["clients"]

    def state(self, i=0):
        return self.clients()["databases"][i]["state"]

    def wait(self, condition, what):
        """Until it has looked at the files once more."""
        return wait_for(condition, what, seconds=3 * CHECKS_S)


@pytest.fixture
def site():
    return Site()


def test_rules_hold_without_databases(site):
    with site:
        wait_for(lambda: site.state() == "absent", "the first look")
        office = site.who("192.0.2.9")
        assert office["rule"] == "office" and office["scope"] == 24
        assert office["location"] == [48.0, 2.0]
        assert 4 < list(office["estimates"].values())[0] < 10
        assert site.who("192.0.0.0/16")["rule"] == "all"
        assert site.who("192.0.0.0/16")["scope"] == 16
        assert "rule" not in site.who("2001:db8::1")
        assert site.log().count("is not there") == 2
        status = site.clients()
        assert status["rules"] == 4 and not status["refused"]
        text = site.nzctl("client", "192.0.2.9", plain=True)
        assert "office" in text and "48" in text
        site.nzctl("client", "nobody", status=(1,))
        site.nzctl("client", "192.0.2.9/24", status=(1,))
        # it appears
        site.put(CITY, "b.mmdb")
        site.wait(lambda: site.state(1) == "read", "the database")
        assert site.who(SWEDEN)["rule"] == "swedes"


def test_nothing_is_said_without_a_word_of_clients():
    edge = Edge({})
    with edge:
        assert "clients" not in edge.status()
        edge.nzctl("client", "192.0.2.1", status=(1,))


def test_a_database_is_replaced_while_clients_ask(site):
    site.put(ASN)
    with site:
        wait_for(lambda: site.state() == "read", "the database")
        was = site.who(TELSTRA)
        assert was["as"] == 1221 and was["rule"] == "telstra"
        assert list(was["latency"].values()) == [12.5]
        assert site.who(SWEDEN)["rule"] == "all"
        database = site.clients()["databases"][0]
        assert database["type"] == "GeoLite2-ASN"
        assert database["networks"] > 100
        load = Load(site, ["www.gslb.test"])
        load.start()
        site.put(CITY)
        site.wait(lambda: "country" in site.who(SWEDEN), "the new one")
        for _ in range(50):
            now = site.who(SWEDEN)
            assert now["country"] == "SE" and now["continent"] == "EU"
            assert now["rule"] == "swedes"
            assert list(now["weights"].values()) == [7]
            assert "as" not in site.who(TELSTRA)
        load.finish()
        assert load.sent > 0 and not load.lost and set(load.rcodes) == {0}
        assert site.log().count("a database was replaced") == 1


def is_as_before(site):
    return site.who(SWEDEN)["rule"] == "swedes"


def test_a_bad_database_is_refused(site):
    site.put(CITY)
    with site:
        wait_for(lambda: site.state() == "read", "the database")
        assert is_as_before(site)
        mark = site.mark()
        site.put(BAD)
        site.wait(lambda: site.clients()["refused"], "the refusal")
        assert is_as_before(site)
        assert "a.mmdb" in site.clients()["error"]
        assert "stays as it was" in site.log(mark)
        # a reload says so, and nothing changes, other changes included
        site.doc["serial"] = 2
        site.write_json()
        reply = site.nzctl("reload", status=(1,))
        assert "a.mmdb" in json.dumps(reply)
        assert site.status()["config"]["serial"] == 1
        assert site.status()["config"]["state"] == "refused"
        assert is_as_before(site)
        # written over in its place, and shortened: named lives
        with open(site.path("a.mmdb"), "r+b") as f:
            f.truncate(100)
        site.nzctl("reload", status=(1,))
        assert is_as_before(site)
        # gone: no reason to refuse
        os.unlink(site.path("a.mmdb"))
        site.put(ASN)
        site.nzctl("reload")
        assert not site.clients()["refused"]
        assert site.status()["config"]["serial"] == 2
        assert site.who(TELSTRA)["rule"] == "telstra"
        assert site.who(SWEDEN)["rule"] == "all"
        assert not [f for f in os.listdir(site.dir) if "copy" in f]


def test_a_database_that_goes_is_remembered(site):
    site.put(CITY)
    with site:
        wait_for(lambda: site.state() == "read", "the database")
        mark = site.mark()
        os.unlink(site.path("a.mmdb"))
        site.wait(lambda: "is gone" in site.log(mark), "a look")
        assert is_as_before(site)


def test_starts_with_a_bad_database(site):
    site.put(BAD)
    with site:
        wait_for(lambda: site.status()["config"]["state"] == "refused",
                 "the refusal")
        assert site.who("192.0.2.1")["rule"] == "office"
        assert site.clients()["databases"][0]["state"] == "pending"
        site.put(CITY)
        site.wait(lambda: site.state() == "read", "the good one")
        assert is_as_before(site)


def test_a_reload_keeps_a_map_that_would_be_the_same(site):
    site.put(CITY)
    with site:
        wait_for(lambda: site.state() == "read", "the database")
        made = site.clients()["age_s"], time.monotonic()
        site.doc["clients"]["swedes"]["weights"] = {WWW.id(PRIMARY): 9}
        site.write_json()
        site.nzctl("reload")
        age = site.clients()["age_s"] - made[0]
        assert abs(age - (time.monotonic() - made[1])) < patience(1)
        assert list(site.who(SWEDEN)["weights"].values()) == [9]
        del site.doc["clients"]["swedes"]
        site.write_json()
        site.nzctl("reload")
        assert site.who(SWEDEN)["rule"] == "all"
        assert command(site, "status")["ok"]
