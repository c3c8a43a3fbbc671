# SPDX-License-Identifier: MPL-2.0
"""Several nodes test one server: what enough of them say, holds."""

import contextlib
import time

from nzlib import Edge, wait_for
from nzlib.probed import Probed
from nzlib.steer import (BACKUP, PRIMARY, Fleet, command, every_way, tiers)
from nzlib.web import Web


def served(edge, host):
    found = set()
    for r in every_way(edge, host.name, ways=[{}, {"tcp": True}]):
        found |= tiers(r)
    return found


def say(edge, node, row):
    time.sleep(0.005)  # no two at one time
    r = command(edge, "metrics", node=node, rows=[row])
    assert r["ok"] and r["accepted"] == 1, r


def test_two_of_three_nodes():
    fleet = Fleet()
    fleet.services["web"].update({"quorum": 2, "max-age": "5s",
                                  "interval": "1s"})
    www = fleet.host("www.gslb.test", primary=1, backup=1)
    fleet.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
    with fleet.put(Edge({})) as edge:
        def tell(node, tier, state):
            for rdtype in ("A", "AAAA"):
                say(edge, node, [www.id(tier), www.one(tier, 1, rdtype),
                                 "web", time.time(), state,
                                 10 if state == "up" else 65535,
                                 0 if state == "up" else 1])

        for node in ("n1", "n2"):
            tell(node, PRIMARY, "up")
            tell(node, BACKUP, "up")
        assert served(edge, www) == {PRIMARY}
        # One that does not reach it is not believed, however often it says so.
        for _ in range(5):
            tell("n3", PRIMARY, "down")
        assert served(edge, www) == {PRIMARY}
        tell("n2", PRIMARY, "down")
        assert served(edge, www) == {BACKUP}
        # A reload: what holds goes on to hold, and votes are heard anew.
        edge.doc["serial"] = 2
        edge.write_json()
        edge.nzctl("reload")
        assert served(edge, www) == {BACKUP}
        tell("n1", PRIMARY, "up")
        assert served(edge, www) == {BACKUP}
        tell("n2", PRIMARY, "up")
        assert served(edge, www) == {PRIMARY}
        # What was said too long ago is no vote.
        time.sleep(5.5)
        tell("n1", BACKUP, "up")
        tell("n2", BACKUP, "up")
        tell("n3", PRIMARY, "down")
        assert served(edge, www) == {BACKUP}  # stale is not up
        tell("n1", PRIMARY, "up")
        assert served(edge, www) == {BACKUP}
        tell("n2", PRIMARY, "up")
        assert served(edge, www) == {PRIMARY}


def test_two_side_cars_agree():
    """Two that run: one alone cannot take a server down, nor bring it up."""
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(Web(address="127.0.0.11"))
        edge = Edge({})
        edge.doc.update({
            "feed": {"interval": "100ms"},
            "services": {"web": {
                "probe": "http", "port": web.port, "interval": "1s",
                "timeout": "500ms", "rise": 1, "fall": 1, "quorum": 2}},
            "pops": {"p": {"servers": {"srv": {"addresses": [web.address]}}}},
            "hostnames": {"www.gslb.test": {"service": "web",
                                            "servers": ["srv"]}},
            "domains": {"gslb.test": {"ns": ["ns.other.test"]}}})
        edge.write_json()
        stack.enter_context(edge)

        def state():
            return edge.nzctl("probes")["probes"][0]["state"]

        one = stack.enter_context(Probed(edge.json_path, "n1",
                                         socket=edge.socket))
        one.wait_log("takes the results")
        time.sleep(1.5)
        assert state() not in ("up", "down")
        stack.enter_context(Probed(edge.json_path, "n2", socket=edge.socket))
        wait_for(lambda: state() == "up", "both to say so")
        web.stop()
        wait_for(lambda: state() == "down", "both to see it")
