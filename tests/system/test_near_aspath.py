# SPDX-License-Identifier: MPL-2.0
"""Latency by a table of routes, for clients that cannot be measured."""

import os
import re
import subprocess
import time

import dns.edns
import pytest

from nzlib import Edge, ask, mrt, wait_for
from nzlib.base import free_port, patience, scratch
from nzlib.mrt import path, peers, route
from nzlib.probed import Probed
from nzlib.prom import scrape
from nzlib.steer import command

NODE = "n1"
HOP_MS = 20


class Table:
    """A file of routes, replaced by renaming another one."""

    def __init__(self):
        self.path = os.path.join(scratch("mrt"), "rib.mrt")

    def put(self, *records):
        with open(self.path + ".new", "wb") as f:
            f.write(b"".join(records))
        os.rename(self.path + ".new", self.path)


ROUTES = (
    peers(4),
    route("192.0.0.0/16", path([65001, 65002, 65003]), path([65009, 65003])),
    # who stands there again and again counts once
    route("198.51.100.0/24", path([65001, 65001, 65001, 65002])),
    route("198.51.100.64/26", path([65001], {65002, 65003}, [65004, 65005])),
    route("203.0.113.0/24", path([])),
    route("2001:db8::/32", path([65001, 65002, 65003, 65004])),
    route("2001:db8:1::/48", path([65001]), path([65001, 65002])))
LATER = (
    peers(2),
    route("192.0.0.0/16", path([65001, 65002, 65003, 65004, 65005, 65006]),
          path([65001, 65002, 65003, 65004, 65005]), add_path=True),
    route("2001:db8::/32", path([65001, 65002]), add_path=True))


@pytest.fixture
def table():
    return Table()


@pytest.fixture
def edge(table):
    e = Edge({})
    e.metrics = free_port()
    e.doc.update({
        "pops": {"fra": {"probe": NODE, "address": "127.0.0.1", "servers": {
            "a": {"addresses": ["192.0.2.1"]}}},
            "iad": {"probe": "n2", "address": "127.0.0.2", "servers": {
                "b": {"addresses": ["192.0.2.2"]}}}},
        "hostnames": {"near.gslb.test": {"servers": ["a", "b"], "explore": 0,
                                         "ttl": "10s"}},
        "domains": {"gslb.test": {"ns": ["ns1.other.test"]}},
        "feed": {"interval": "50ms"},
        "max-age": {"latency": "2s"},
        "metrics": {"address": ["127.0.0.1"], "port": e.metrics},
        # the clients of the tests are nobody's, and sent nothing
        "latency": {"opt-out": ["0.0.0.0/1", "128.0.0.0/1", "2000::/3"],
                    "tcp-port": 0, "mrt": {"file": table.path,
                                           "hop": f"{HOP_MS}ms",
                                           "interval": "1s"}},
    })
    e.write_json()
    with e:
        yield e


def known(edge, client):
    """The row of 'fra' for a client, or None."""
    pops = command(edge, "latency", client=client)["pops"]
    return next((p for p in pops if p["pop"] == "fra"), None)


def wanted(edge, client):
    """Somebody of that network asks."""
    address, _, bits = client.partition("/")
    bits = int(bits or (56 if ":" in client else 24))
    ask(edge, "near.gslb.test", options=[dns.edns.ECSOption(address, bits)])


def hops(edge, client):
    """
    How far a client is, in systems, once that is told.  The plugin wants a
    group once in ten minutes.
    """
    def found():
        wanted(edge, client)
        return known(edge, client.partition("/")[0])

    row = wait_for(found, f"the latency of {client}")
    assert row["method"] == "aspath" and row["full"] is False, row
    assert row["ms"] % HOP_MS == 0, row
    return row["ms"] // HOP_MS


def sample(edge, name, **labels):
    return scrape(edge.metrics).get(f"nearzone_latency_{name}", **labels)


def test_routes_tell(edge, table):
    table.put(*ROUTES)
    with Probed(edge.json_path, NODE) as probed:
        probed.wait_log(f"routes of '{table.path}': 4 prefixes of IPv4, "
                        "2 of IPv6")
        assert hops(edge, "192.0.2.0/24") == 2
        assert hops(edge, "198.51.100.0/24") == 2
        assert hops(edge, "203.0.113.0/24") == 1  # our own
        assert hops(edge, "2001:db8:0:100::") == 4
        assert hops(edge, "2001:db8:1:100::") == 1
        text = edge.nzctl("latency", "192.0.2.7", plain=True)
        assert re.search(r"fra +40\.0 +aspath +192\.0\.2\.0/24 +partial",
                         text), text
        # of what has no route, nothing is known
        wanted(edge, "8.8.8.0/24")
        wait_for(lambda: sample(edge, "measured_total", result="silent"),
            "somebody silent")
        assert known(edge, "8.8.8.8") is None
        assert sample(edge, "routes", family="ipv4") == 4
        assert sample(edge, "routes", family="ipv6") == 2
        assert 0 < sample(edge, "routes_bytes") < 1000
        assert 0 <= sample(edge, "routes_age_seconds") < patience(60)
        assert sample(edge, "routes_failed_total") == 0
        assert sample(edge, "answers_total", method="aspath") >= 5
        # none of it has cost a packet
        for method in ("ptr", "icmp", "udp", "ttl", "aspath"):
            assert sample(edge, "packets_total", method=method) == 0


def test_replaced_and_damaged(edge, table):
    with Probed(edge.json_path, NODE) as probed:
        probed.wait_log(f"no routes from '{table.path}': no such file or "
                        "directory; there are no routes")
        # who asked before there was a table need not wait for an hour
        wanted(edge, "192.0.2.0/24")
        wait_for(lambda: sample(edge, "measured_total", result="silent"),
                 "somebody silent")
        table.put(*ROUTES)
        probed.wait_log("4 prefixes of IPv4, 2 of IPv6")
        assert hops(edge, "192.0.2.0/24") == 2

        # another one, with several paths of a peer
        mark = probed.mark()
        table.put(*LATER)
        probed.wait_log("1 prefixes of IPv4, 1 of IPv6", mark)
        assert hops(edge, "192.0.3.0/24") == 5
        assert hops(edge, "2001:db8:1:100::") == 2

        # damaged: where that is, once; and nothing changes
        mark = probed.mark()
        table.put(*ROUTES[:2], ROUTES[2][:-7])
        where = len(ROUTES[0] + ROUTES[1])
        line = (f"no routes from '{table.path}': damaged at octet {where}, "
                "behind 2 records: it ends within a record; the routes from "
                "before stay")
        probed.wait_log(line, mark)
        time.sleep(2.5)
        assert probed.log(mark).count("damaged") == 1
        assert hops(edge, "192.0.4.0/24") == 5
        assert sample(edge, "routes_failed_total") >= 2
        assert sample(edge, "routes", family="ipv4") == 1

        # gone, or no file at all: likewise
        mark = probed.mark()
        os.unlink(table.path)
        probed.wait_log("no such file or directory; the routes from before "
                        "stay", mark)
        os.mkfifo(table.path)
        probed.wait_log("not a file; the routes from before stay", mark)
        os.unlink(table.path)
        table.put(*ROUTES)
        probed.wait_log("4 prefixes of IPv4, 2 of IPv6", mark)
        assert hops(edge, "192.0.5.0/24") == 2

        # without "mrt" there is no table any more
        file = edge.doc["latency"].pop("mrt")
        edge.write_json()
        mark = probed.reload()
        probed.wait_log("configuration", mark)
        wait_for(lambda: sample(edge, "routes", family="ipv4") is None,
            "no routes")
        edge.doc["latency"]["mrt"] = dict(file, hop="100ms")
        edge.write_json()
        mark = probed.reload()
        probed.wait_log("4 prefixes of IPv4, 2 of IPv6", mark)
        wanted(edge, "192.0.6.0/24")
        row = wait_for(lambda: known(edge, "192.0.6.1"), "a latency")
        assert row["ms"] == 200, row


def test_what_is_measured_is_better(edge, table):
    """A client that answers, does; the table is for the others."""
    table.put(peers(1), route("127.5.0.0/16", path([65001, 65002])))
    edge.doc["latency"].update({
        "methods": ["aspath", "icmp"], "opt-out": [], "rules": [
            {"prefixes": ["127.5.8.0/24"], "methods": ["aspath"]}]})
    edge.write_json()
    edge.nzctl("reload")
    with Probed(edge.json_path, NODE) as probed:
        probed.wait_log("1 prefixes of IPv4")
        wanted(edge, "127.5.6.0/24")
        row = wait_for(lambda: known(edge, "127.5.6.7"), "a latency")
        assert row["method"] == "icmp" and row["full"], row
        assert hops(edge, "127.5.8.0/24") == 2
        assert sample(edge, "packets_total", method="icmp") == 1


BIRD = "/usr/sbin/bird"
BIRD_CONF = """
log "{dir}/log" all;
router id 192.0.2.1;
ipv4 table master4;
ipv6 table master6;
protocol device {{ }}
protocol static s4 {{
  ipv4 {{ import filter {{
    if net = 198.51.100.0/24 then {{
      bgp_path.prepend(400003); bgp_path.prepend(65002);
      bgp_path.prepend(65002); bgp_path.prepend(65001);
    }}
    accept; }}; }};
  route 198.51.100.0/24 blackhole;
  route 203.0.113.0/24 blackhole;
}}
protocol static s6 {{
  ipv6 {{ import filter {{ bgp_path.prepend(400000);
    bgp_path.prepend(65001); accept; }}; }};
  route 2001:db8::/32 blackhole;
}}
protocol mrt m4 {{ table "master4"; filename "{dir}/4"; period 1; }}
protocol mrt m6 {{ table "master6"; filename "{dir}/6"; period 1; }}
"""


@pytest.mark.skipif(not os.path.exists(BIRD), reason="bird2 is not installed")
def test_a_dump_of_bird(edge, table):
    """What a router writes is read; its tables, of a family each, as one."""
    where = scratch("bird")
    with open(os.path.join(where, "conf"), "w", encoding="ascii") as f:
        f.write(BIRD_CONF.format(dir=where))

    def written(name):
        name = os.path.join(where, name)
        return os.path.exists(name) and os.path.getsize(name) > 0

    # it starts no other program, and all its sockets are in 'where'
    with subprocess.Popen(
            [BIRD, "-f", "-c", f"{where}/conf", "-s",
             f"{where}/ctl", "-P", f"{where}/pid"]) as bird:
        try:
            wait_for(lambda: written("4") and written("6"), "its dumps")
        finally:
            bird.terminate()
            bird.wait(10)
    octets = []
    for name in ("4", "6"):
        with open(os.path.join(where, name), "rb") as f:
            octets.append(f.read())
    table.put(*octets)
    with Probed(edge.json_path, NODE) as probed:
        probed.wait_log("2 prefixes of IPv4, 1 of IPv6")
        assert hops(edge, "198.51.100.0/24") == 3
        assert hops(edge, "203.0.113.0/24") == 1
        assert hops(edge, "2001:db8:0:100::") == 2


def test_a_dump_of_the_older_kind(edge, table):
    table.put(mrt.old_route("192.0.0.0/16", path([1, 2, 3, 4], size=2)),
              mrt.old_route("192.0.0.0/16", path([5, 6], size=2)),
              mrt.old_route("2001:db8::/32", path([1, 2, 3], size=2)))
    with Probed(edge.json_path, NODE) as probed:
        probed.wait_log("1 prefixes of IPv4, 1 of IPv6")
        assert hops(edge, "192.0.2.0/24") == 2
        assert hops(edge, "2001:db8:0:100::") == 3
