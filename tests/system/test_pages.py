# SPDX-License-Identifier: MPL-2.0
"""More zones and hostnames than one reply of the plugin holds."""

import contextlib
import json
import socket

import pytest

from nzlib import Edge, ask, free_port, zone_of
from nzlib.base import patience
from nzlib.probed import Probed
from test_metrics import document, metered, origin_dead, promtool, settled

ZONES = 3000
HOSTNAMES = 250


def zone_name(i):
    return f"zone-{i:04}.test"


def zones_of(numbers):
    origin = origin_dead()
    return {zone_name(i): zone_of(origin) for i in numbers}


@pytest.fixture(name="world", scope="module")
def make_world():
    port = free_port()
    edge = Edge(zones_of(range(ZONES)))
    edge.doc.update(metered(document(
        {"s": {"probe": "tcp", "port": free_port(), "interval": "60s"}},
        probe="t1", hostnames={
            f"h{i:03}.zone-0000.test": {"service": "s", "servers": ["srv"]}
            for i in range(HOSTNAMES)}), port))
    edge.doc["control"] = {"socket": edge.socket}
    edge.doc["cache"] = {"state-directory": edge.dir}
    edge.write_json()
    with edge:
        yield edge, port


class Asker:
    """One connection to the control socket."""

    def __init__(self, edge):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience(10))
        self.socket.connect(edge.socket)
        self.file = self.socket.makefile("rb")

    def ask(self, **request):
        self.socket.sendall(json.dumps(
            {"command": "status", **request}).encode() + b"\n")
        line = self.file.readline()
        assert len(line) < 200000
        return json.loads(line)

    def pages(self, after=None):
        """The rest, page by page."""
        while True:
            status = self.ask(**({"after": after} if after else {}))["status"]
            yield status
            after = status.get("next")
            if after is None:
                return

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture(name="asker")
def make_asker(world):
    with contextlib.closing(Asker(world[0])) as asker:
        yield asker


def ids(pages):
    return [z["id"] for page in pages for z in page.get("zones", [])]


def test_nzctl_shows_all(world):
    edge, _ = world
    status = edge.status()
    assert [z["id"] for z in status["zones"]] == [
        zone_name(i) for i in range(ZONES)]
    names = [n["name"] for n in status["traffic"]["names"]]
    assert len(names) == len(set(names)) == HOSTNAMES
    assert {a["name"] for a in status["traffic"]["answers"]} == set(names)
    assert "next" not in status
    text = edge.nzctl("status", plain=True)
    for word in (zone_name(0), zone_name(ZONES - 1), "h249.zone-0000.test"):
        assert word in text


def test_one_zone_is_one_reply(world):
    edge, _ = world
    status = edge.nzctl("status", "--zone", zone_name(2999))["status"]
    assert [z["id"] for z in status["zones"]] == [zone_name(2999)]
    assert 1 <= len(status["traffic"]["names"]) <= 100
    assert "next" not in status


def test_pages_are_short(asker):
    pages = list(asker.pages())
    assert all(len(p.get("zones", [])) <= 100 for p in pages)
    assert all(len(p["traffic"].get("names", [])) <= 100 for p in pages)
    assert all("cache" not in p and "counters" not in p for p in pages[1:])
    assert ids(pages) == [zone_name(i) for i in range(ZONES)]


@pytest.mark.parametrize("after", [
    7, "x", [], {}, {"list": "x"}, {"list": 7}, {"list": "zones", "at": -1}])
def test_what_is_no_next(asker, after):
    reply = asker.ask(after=after)
    assert reply["ok"] is False and "next" in reply["error"]


def test_odd_places(asker):
    def first(**after):
        return (ids([asker.ask(after={"list": "zones", **after})["status"]])
                or [None])[0]
    assert first() == zone_name(0)
    assert first(at=5, id=zone_name(4)) == zone_name(5)
    assert first(at=5, id=zone_name(99)) == zone_name(100)
    assert first(at=5, id="gone") == zone_name(5)
    assert first(at=5, id="gone", first=zone_name(7)) == zone_name(7)
    assert first(at=5, id="gone", first="too", n=ZONES + 3) == zone_name(2)
    assert first(at=5, id="gone", first="too", n=2 ** 60) == zone_name(0)
    assert first(at=5, id=7) == zone_name(5)
    assert first(at=2 ** 62) is None
    assert first(at="5", id="") in (zone_name(0), zone_name(5))


def test_metrics_have_all(world):
    edge, port = world
    with Probed(edge.json_path, "t1") as probed:
        probed.wait_log("metrics are at")
        m = settled(port, lambda m: m.get("nearzone_up") and m.get(
            "nearzone_probed_feed_accepted_rows_total"))
        assert [z["zone"] for z in m.labels("nearzone_zone_hits_total")] == [
            zone_name(i) for i in range(ZONES)]
        assert len(m.labels("nearzone_hostname_decisions_total")) == HOSTNAMES
        for what in "zones", "hostnames", "lines":
            assert m.get("nearzone_omitted", what=what) == 0
        assert m.get("nearzone_server_given_total", server="srv",
                     pop="pop") is not None
        promtool(m)


ORIGINS = 230


def test_origins_come_in_pages():
    """Each is known from the first question on, that it does not answer."""
    zones = {zone_name(i): zone_of({"address": f"127.0.2.{i + 1}",
                                    "port": 9, "timeout": "200ms"})
             for i in range(ORIGINS)}
    port = free_port()
    edge = Edge(zones)
    edge.doc.update(metered(document({"s": {
        "probe": "tcp", "port": free_port(), "interval": "60s"}},
        probe="t1"), port))
    edge.doc["control"] = {"socket": edge.socket}
    edge.doc["cache"] = {"state-directory": edge.dir}
    edge.write_json()
    with edge, contextlib.closing(Asker(edge)) as asker:
        for name in zones:
            ask(edge, f"www.{name}")
        want = [f"127.0.2.{i + 1}" for i in range(ORIGINS)]
        pages = list(asker.pages())
        lists = [[o["address"] for o in p.get("origins", [])] for p in pages]
        assert all(len(o) <= 100 for o in lists)
        assert sum(lists, []) == want
        assert ids(pages) == list(zones)
        assert pages[0]["origins_known"] == ORIGINS
        assert pages[0]["counters"]["queries"] == ORIGINS
        status = edge.status()
        assert [o["address"] for o in status["origins"]] == want
        assert [z["id"] for z in status["zones"]] == list(zones)
        one = asker.ask(zone=zone_name(7))["status"]
        assert 1 <= len(one["origins"]) <= 100 and "next" not in one
        with Probed(edge.json_path, "t1") as probed:
            probed.wait_log("metrics are at")
            m = settled(port, lambda m: m.get("nearzone_up"))
            assert len(m.labels("nearzone_origin_up")) == ORIGINS
            assert len(m.labels("nearzone_zone_hits_total")) == ORIGINS
            assert m.get("nearzone_omitted", what="origins") == 0
            promtool(m)


def test_a_reload_between_pages(world):
    """What is in both configurations comes, if nothing is moved; last test."""
    edge, _ = world
    with contextlib.closing(Asker(edge)) as asker:
        pages = asker.pages()
        seen = ids([next(pages), next(pages)])
        # the one that the next page is to begin behind goes, too
        left = [i for i in range(ZONES)
                if i % 10 != 1 and zone_name(i) != seen[-1]]
        edge.doc["zones"] = zones_of(left)
        edge.doc["serial"] += 1
        edge.write_json()
        edge.nzctl("reload")
        seen += ids(pages)
        assert len(seen) == len(set(seen))
        assert set(seen) >= {zone_name(i) for i in left}
