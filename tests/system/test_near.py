# SPDX-License-Identifier: MPL-2.0
"""What is measured of clients and between POPs, by packets that are sent."""

import ipaddress
import json
import os
import re
import socket
import subprocess
import time

import dns.edns
import pytest

from nzlib import Edge, ask, wait_for
from nzlib.base import free_port, patience, scratch
from nzlib.named import Origin, zone_text
from nzlib.netns import Net, NotHere
from nzlib.probed import Probed, Sink
from nzlib.steer import command

NODE = "n1"
DELAY_MS = 20  # each way
ROUND_MS = 2 * DELAY_MS


def conf_of(doc):
    path = os.path.join(scratch("near"), "nearzone.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(doc, f)
    os.chmod(os.path.dirname(path), 0o755)
    return path


class Wants:
    """A plugin that wants some clients measured, and keeps what it hears."""

    def __init__(self, *clients):
        self.clients = list(clients)
        self.rows = []
        self.sink = Sink(answer=self.answer)

    def answer(self, request):
        if request["command"] == "wanted":
            wanted, self.clients = self.clients, []
            return {"ok": True, "prefixes": [group_of(c) for c in wanted],
                    "clients": wanted}
        if request["command"] != "metrics":
            return {"ok": False, "error": "not here"}
        self.rows += request["rows"]
        return {"ok": True, "accepted": len(request["rows"]), "refused": 0}

    def __enter__(self):
        self.sink.__enter__()
        os.chmod(self.sink.path, 0o666)
        os.chmod(os.path.dirname(self.sink.path), 0o755)
        return self

    def __exit__(self, *error):
        return self.sink.__exit__(*error)

    def of(self, client):
        """The newest row of a client's group, or None."""
        for row in reversed(self.rows):
            if row[0] == "latency" and row[1] == group_of(client):
                return row
        return None

    def wait(self, client, seconds=15):
        return wait_for(lambda: self.of(client),
                        f"the latency of {client}", seconds)


def group_of(client):
    """As the plugin groups clients, here of whole labels."""
    if "/" in client:
        return client
    if ":" in client:
        assert client.count(":") >= 4, client
        return ":".join(client.split(":")[:4]) + "::/56"
    return client.rpartition(".")[0] + ".0/24"


def document(sink, latency=None, pops=None, **more):
    return {"version": 1, "control": {"socket": sink.path},
            "feed": {"interval": "50ms"},
            "latency": {"timeout": "500ms", **(latency or {})},
            "pops": pops or {"here": {"probe": NODE, "servers": {}}}, **more}


@pytest.fixture(scope="module")
def net():
    """
    The side-car in 'here', then a wire with a delay, then 'far', whose own are
    the clients, but for those behind a row of routers, the last of which
    swallows everything.
    """
    try:
        with Net() as n:
            n.add("here", "far", "r2", "r3", "r4", "r5", "r6")
            n.sysctl("here", "net.ipv4.ping_group_range", "0 2147483647")
            n.delay("here", "far", 1, DELAY_MS)
            chain = ["here", "far", "r2", "r3", "r4", "r5", "r6"]
            n.forwards(*chain[1:])
            for i in range(2, 7):
                n.link(chain[i - 1], chain[i], i)
            for to in ("10.0.0.0/8", "2001:db8:a::/47"):
                for i in range(6):
                    n.route(chain[i], to, i + 1, 2)
            for back in ("198.18.1.0/24", "2001:db8:ff01::/64"):
                for i in range(2, 7):
                    n.route(chain[i], back, i, 1)
            n.ip("r6", "route", "add", "blackhole", "10.4.0.0/16")
            n.ip("r6", "-6", "route", "add", "blackhole", "2001:db8:b::/48")
            n.own("far", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16",
                  "2001:db8:a::/48")
            # of a network of its own it would not answer by that address
            n.ip("far", "addr", "add", "2001:db8:a:3300::1/128", "dev", "lo")
            yield n
    except NotHere as why:
        pytest.skip(f"not permitted here: {why}")


def near_ms(row, ms=ROUND_MS):
    """The wire is a process, which may be late."""
    return ms - 0.2 <= row[4] <= ms + patience(300)


RULES = [{"prefixes": ["10.1.0.0/16", "2001:db8:a:1100::/56"],
          "methods": ["ptr"]},
         {"prefixes": ["10.2.0.0/16", "2001:db8:a:2200::/56"],
          "methods": ["icmp"]},
         {"prefixes": ["10.3.0.0/16", "2001:db8:a:3300::/56"],
          "methods": ["udp"]},
         {"prefixes": ["10.4.0.0/16", "2001:db8:b::/48"],
          "methods": ["ttl"]}]
EXPECTED = [("10.1.0.53", "ptr", True), ("10.2.0.1", "icmp", True),
            ("10.3.0.1", "udp", True), ("10.4.0.1", "ttl", False),
            ("2001:db8:a:1100::53", "ptr", True),
            ("2001:db8:a:2200::1", "icmp", True),
            ("2001:db8:a:3300::1", "udp", True),
            ("2001:db8:b:4400::1", "ttl", False)]


@pytest.fixture(scope="module")
def resolver(net):
    """A named at port 53 of two of the clients."""
    class Far(Origin):
        def _is_ready(self, mark):  # it cannot be asked from here
            return re.search(r"^\S+ \S+ running$", self.log(mark), re.M)

    far = Far({"far.test": zone_text("")},
              options="listen-on-v6 port 53 { 2001:db8:a:1100::53; };")
    far.address, far.port = "10.1.0.53", 53
    far.within = net.inside("far")
    net.ip("far", "addr", "add", "10.1.0.53/32", "dev", "lo")
    net.ip("far", "addr", "add", "2001:db8:a:1100::53/128", "dev", "lo")
    with far:
        yield far


def test_each_method(net, resolver):
    with Wants(*[c for c, _, _ in EXPECTED]) as plugin:
        conf = conf_of(document(plugin.sink, {
            "rules": RULES, "about": "a test of nearzone"}))
        with Probed(conf, NODE, prefix=net.inside("here")):
            for client, method, full in EXPECTED:
                row = plugin.wait(client)
                assert row[2] == "here" and row[5] == method, row
                assert row[7] is full, row
                assert row[6].startswith(client + "/"), row
                assert near_ms(row), row
                assert abs(row[3] - time.time()) < patience(20), row
    asked = [q for q in resolver.questions(rdtype="PTR")]
    assert {q.name for q in asked} == {
        "1.1.18.198.in-addr.arpa",
        ipaddress.ip_address("2001:db8:ff01::1").reverse_pointer}, asked
    assert all("+" not in q.flags for q in asked), asked


def metrics_of(net, port, where="here"):
    """What a side-car in a namespace shows of itself, by sample."""
    text = subprocess.run(
        net.inside(where) + ["/usr/bin/python3", "-c", f"""
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:{port}/metrics").read()
      .decode())"""], capture_output=True, text=True, check=True).stdout
    return {name: float(value) for name, value in re.findall(
        r"^(nearzone_(?:latency|reach)_\S+) (\S+)$", text, re.M)}


def test_order_and_what_sticks(net, resolver):
    """
    The first way that brings an answer is the one; who opted out, or may not
    be measured, gets nothing.
    """
    net.ip("far", "addr", "add", "10.2.7.1/32", "dev", "lo")
    clients = ["10.1.0.53", "10.2.7.1", "2001:db8:a:4400::/56",
               "10.2.9.1", "10.2.10.1"]
    port = free_port()
    with Wants(*clients) as plugin:
        doc = document(plugin.sink, {
            "opt-out": ["10.2.9.0/25"], "methods": ["icmp", "ptr"],
            "rules": [{"prefixes": ["10.2.10.0/24"], "when": "never"},
                      {"prefixes": ["10.2.0.0/16", "2001:db8:a::/48"],
                       "methods": ["udp", "icmp"]}]},
            metrics={"address": ["127.0.0.1"], "port": port})
        with Probed(conf_of(doc), NODE, prefix=net.inside("here")):
            assert plugin.wait("10.1.0.53")[5] == "icmp"
            assert plugin.wait("10.2.7.1")[5] == "udp"
            row = plugin.wait("2001:db8:a:4400::/56")
            # a network is measured at its first address; its answer to UDP
            # comes from another one, so it does not count
            assert row[5:] == ["icmp", "2001:db8:a:4400::/56", True], row
            time.sleep(1.5)
            assert plugin.of("10.2.9.1") is plugin.of("10.2.10.1") is None
            m = metrics_of(net, port)
    assert m['nearzone_latency_refused_total{reason="opt-out"}'] == 2
    assert m['nearzone_latency_refused_total{reason="rule"}'] == 1
    assert m['nearzone_latency_measured_total{result="full"}'] == 3
    assert m['nearzone_latency_measured_total{result="silent"}'] == 2
    assert m['nearzone_latency_packets_total{method="ptr"}'] == 0
    assert m["nearzone_latency_groups"] == 5
    assert m["nearzone_latency_waiting"] == m["nearzone_latency_running"] == 0
    assert m["nearzone_latency_table_bytes"] / 5 > 120


def test_only_while_a_server_is_down(net):
    """By "failed", a client is measured only if one of this node's is."""
    port = free_port()
    with Wants("10.2.0.1") as plugin:
        doc = document(plugin.sink, {"methods": ["icmp"], "when": "failed"})
        with Probed(conf_of(doc), NODE, prefix=net.inside("here")):
            wait_for(lambda: not plugin.clients, "the question")
            time.sleep(1)
            assert plugin.rows == []
        doc = document(plugin.sink, {"methods": ["icmp"], "when": "failed"},
                       pops={"here": {"probe": NODE, "servers": {
                           "s": {"addresses": ["127.0.0.1"],
                                 "services": ["t"]}}}},
                       services={"t": {"probe": "tcp", "port": port,
                                       "interval": "1s", "fall": 1,
                                       "timeout": "500ms"}})
        with Probed(conf_of(doc), NODE, prefix=net.inside("here")) as probed:
            probed.wait_log("is down|1 down")
            plugin.clients = ["10.2.1.1"]
            assert plugin.wait("10.2.1.1")[5] == "icmp"


@pytest.mark.parametrize("group_range, capability", [
    ("1 0", "+net_raw"), ("0 2147483647", "-all")])
def test_rights(net, group_range, capability):
    """A datagram socket for ICMP where it is allowed, else CAP_NET_RAW."""
    net.sysctl("here", "net.ipv4.ping_group_range", group_range)
    who = ["setpriv", "--reuid", "65534", "--regid", "65534",
           "--clear-groups", "--inh-caps", capability]
    if capability != "-all":
        who += ["--ambient-caps", capability]
    try:
        with Wants("10.2.0.1", "2001:db8:a:2200::1") as plugin:
            conf = conf_of(document(plugin.sink, {"methods": ["icmp"]}))
            with Probed(conf, NODE, prefix=net.inside("here") + who):
                assert near_ms(plugin.wait("10.2.0.1"))
                assert near_ms(plugin.wait("2001:db8:a:2200::1"))
    finally:
        net.sysctl("here", "net.ipv4.ping_group_range", "0 2147483647")


def sent_by(net):
    """Packets of ICMP echo that 'here' has sent."""
    text = subprocess.run(net.inside("here") + ["cat", "/proc/net/snmp"],
                          capture_output=True, text=True, check=True).stdout
    names, values = [line.split()[1:] for line in text.splitlines()
                     if line.startswith("Icmp:")]
    return int(dict(zip(names, values))["OutEchos"])


def test_budget_and_no_burst_after_a_stop(net):
    clients = [f"10.2.{100 + i // 250}.{i % 250 + 1}" for i in range(5)]
    many = [f"10.2.{i}.0/24" for i in range(120)]
    with Wants(*many) as plugin:
        conf = conf_of(document(plugin.sink, {"methods": ["icmp"],
                                              "rate": 20}))
        with Probed(conf, NODE, prefix=net.inside("here")) as probed:
            wait_for(lambda: plugin.rows, "the first round trip")
            probed.pause()
            before = sent_by(net)
            time.sleep(3)
            probed.resume()
            time.sleep(1)
            assert 10 <= sent_by(net) - before <= 22
            wait_for(lambda: len({row[1] for row in plugin.rows}) == 120,
                     "all of them", 20)
    # who asks again and again is sent no more than its hour's share
    with Wants(*clients[:1]) as plugin:
        before = sent_by(net)
        conf = conf_of(document(plugin.sink, {
            "methods": ["icmp"], "client-rate": 1, "prefix-rate": 2}))
        with Probed(conf, NODE, prefix=net.inside("here")):
            plugin.wait(clients[0])
            for c in clients:
                plugin.clients = [c]
                time.sleep(1.1)
        assert sent_by(net) - before == 1


def test_loss_between_pops(net):
    """Every fifth packet is lost on a wire of its own."""
    net.add("lossy")
    net.delay("here", "lossy", 9, 5, lose=5)
    pops = {"here": {"probe": NODE, "servers": {}},
            "far": {"probe": "n2", "servers": {}, "address": "198.18.1.2"},
            "six": {"probe": "n3", "servers": {},
                    "address": "2001:db8:ff01::2"},
            "lossy": {"probe": "n4", "servers": {}, "address": "198.18.9.2"},
            "dead": {"probe": "n5", "servers": {}, "address": "10.4.9.9"}}
    port = free_port()
    with Wants() as plugin:
        doc = document(plugin.sink, pops=pops, reach={
            "from": ["here"], "interval": "2s", "packets": 20, "size": 200},
            metrics={"address": ["127.0.0.1"], "port": port})
        del doc["latency"]
        with Probed(conf_of(doc), NODE, prefix=net.inside("here")):
            wait_for(lambda: len([r for r in plugin.rows if r[1] == "dead"])
                     >= 2, "two rounds", 15)
            m = metrics_of(net, port)
        loss = {r[1]: r[3] for r in plugin.rows if r[0] == "loss"}
        # the kernel's own packets may take the place of one that is lost
        assert loss.pop("lossy") in (15, 20)
        assert loss == {"far": 0, "six": 0, "dead": 100}
        assert m['nearzone_reach_loss_ratio{pop="lossy"}'] in (0.15, 0.2)
        assert 0.039 < m['nearzone_reach_rtt_seconds{pop="far"}'] < 0.06
        assert 'nearzone_reach_rtt_seconds{pop="dead"}' not in m
        assert m['nearzone_reach_jitter_seconds{pop="far"}'] < 0.02
        # of another node nothing is sent
        plugin.rows.clear()
        with Probed(conf_of(doc), "n2", prefix=net.inside("here")):
            time.sleep(3)
        assert plugin.rows == []


def test_a_reload_and_a_stop_lose_nothing(net):
    """What is on its way when the configuration is read, or when the process
    is stopped, is not lost."""
    with Wants() as plugin:
        doc = document(plugin.sink, pops={
            "here": {"probe": NODE, "servers": {}},
            "far": {"probe": "n2", "servers": {}, "address": "198.18.1.2"}},
            reach={"from": ["here"], "interval": "1s", "packets": 100})
        del doc["latency"]
        with Probed(conf_of(doc), NODE,
                    prefix=net.inside("here")) as probed:
            wait_for(lambda: plugin.rows, "a round", 15)
            for _ in range(6):
                n = len(plugin.rows)
                probed.reload()
                wait_for(lambda: len(plugin.rows) > n, "the next", 15)
            for _ in range(3):
                n = len(plugin.rows)
                probed.pause()
                time.sleep(1.2)
                probed.resume()
                wait_for(lambda: len(plugin.rows) > n, "the next", 15)
            assert {row[3] for row in plugin.rows} == {0}, plugin.rows


# -- with the plugin, on loopback; needs no namespaces ------------------------

@pytest.fixture
def edge():
    e = Edge({})
    e.doc.update({
        "pops": {"fra": {"probe": NODE, "address": "127.0.0.1", "servers": {
            "a": {"addresses": ["192.0.2.1"]}}},
            "iad": {"probe": "n2", "address": "127.0.0.2", "servers": {
                "b": {"addresses": ["192.0.2.2"]}}}},
        "hostnames": {"near.gslb.test": {"servers": ["a", "b"], "explore": 0,
                                         "ttl": "10s"}},
        "domains": {"gslb.test": {"ns": ["ns1.other.test"]}},
        "feed": {"interval": "50ms"},
        "latency": {"methods": ["icmp", "udp"], "tcp-port": e.port,
                    "rules": [{"prefixes": ["127.5.8.0/24"],
                               "when": "never"}]},
        "reach": {"from": ["fra"], "interval": "1s", "packets": 2,
                  "gone": "down"},
    })
    e.write_json()
    with e:
        yield e


def subnet(text):
    address, bits = text.split("/")
    return dns.edns.ECSOption(address, int(bits))


def latency(edge, client):
    return {p["pop"]: p for p in command(edge, "latency",
                                         client=client)["pops"]}


def test_wanted_is_measured(edge):
    with Probed(edge.json_path, NODE):
        ask(edge, "near.gslb.test", options=[subnet("127.5.6.0/24")])
        found = wait_for(lambda: latency(edge, "127.5.6.7"), "a latency")
        assert found["fra"]["method"] in ("icmp", "udp")
        assert found["fra"]["of"] == "127.5.6.0/24" and found["fra"]["full"]
        assert found["fra"]["ms"] < 50 and found["fra"]["age_s"] < 10
        text = edge.nzctl("latency", "127.5.6.7", plain=True)
        assert re.search(r"is in the group 127.5.6.0/24:\n +pop +ms +method",
                         text), text
        assert re.search(r"fra +\d+\.\d +\w+ +127.5.6.0/24 +full", text), text
        # somebody that asks by himself
        ask(edge, "near.gslb.test", source="127.5.7.9")
        found = wait_for(lambda: latency(edge, "127.5.7.9"), "a latency")
        assert found["fra"]["of"] == "127.5.7.9"
    assert edge.nzctl("latency", "192.0.2.9", plain=True) == (
        "192.0.2.9: no latency is known\n")


def test_a_connection_tells(edge):
    """Who may not be measured is known by a TCP connection that he has."""
    with Probed(edge.json_path, NODE), socket.socket() as s:
        ask(edge, "near.gslb.test", source="127.5.8.9")
        s.bind(("127.5.8.10", 0))
        s.connect((edge.address, edge.port))
        found = wait_for(lambda: latency(edge, "127.5.8.9"), "a latency", 20)
        assert found["fra"]["method"] == "tcp" and found["fra"]["full"]
        assert found["fra"]["of"] == "127.5.8.10"
        assert 0 <= found["fra"]["ms"] < 20


def test_a_pop_that_is_gone(edge):
    def given():
        return {x.to_text() for _ in range(30) for s in
                ask(edge, "near.gslb.test").answer for x in s}

    now = time.time
    assert given() == {"192.0.2.1", "192.0.2.2"}
    feed = lambda *rows: command(edge, "metrics", rows=list(rows))  # noqa: E731
    feed(["loss", "fra", now(), 0], ["loss", "iad", now(), 100])
    assert given() == {"192.0.2.1"}
    x = command(edge, "explain", name="near.gslb.test", type="A")["explain"]
    assert [c["verdict"] for c in x["candidates"]] == [
        "chosen", "its POP is not reached"]
    time.sleep(0.05)
    feed(["loss", "iad", now(), 99])
    assert given() == {"192.0.2.1", "192.0.2.2"}
    # the table outlives a reload
    edge.doc["max-age"] = {"loss": "1s"}
    edge.write_json()
    edge.nzctl("reload")
    time.sleep(1.5)
    assert given() == {"192.0.2.1", "192.0.2.2"}  # nobody measures: no word
    feed(["loss", "fra", now(), 0])
    assert given() == {"192.0.2.1"}  # iad is not heard of, fra is
