# SPDX-License-Identifier: MPL-2.0
"""Metrics for Prometheus: what they say, and who may ask how."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

from nzlib import (Edge, FakeOrigin, Origin, ask, free_port, origin_at,
                   wait_for, zone_of, zone_text)
from nzlib.base import patience
from nzlib.fake import answer_to
from nzlib.probed import Probed, Sink
from nzlib.prom import Answer, Client, Metrics, get, http, scrape
from nzlib.web import Script, Web
from test_probed import conf_of, document, service, write

HOST = "127.0.0.11"
CLIENT = "127.0.0.77"
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
ODD = 'a "zone\\ \u00e4'  # a zone's key may be any text


def metered(doc, port, *addresses):
    """The document with a place to be scraped at."""
    return {**doc, "metrics": {"address": list(addresses or ["127.0.0.1"]),
                               "port": port}}


def settled(port, condition):
    """The metrics when they say what they should; a text lives a second."""
    def found():
        m = scrape(port)
        return m if condition(m) else None
    return wait_for(found, "the metrics to say so")


def promtool(metrics):
    if not PROMTOOL:
        return
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=metrics.text,
                          capture_output=True, text=True, check=False,
                          timeout=patience(30))
    assert done.returncode == 0, done.stdout + done.stderr


# -- what they say -------------------------------------------------------------

@pytest.fixture(name="world", scope="module")
def make_world():
    """An edge with traffic of both kinds, and a side-car beside it."""
    zone = zone_text("www A 192.0.2.1\nsecret-name A 192.0.2.2\n")
    port = free_port()
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(
            Origin({"example.com": zone, "odd.test": zone}))
        web = stack.enter_context(Web())
        edge = Edge({"example.com": zone_of(origin, origin_dead()),
                     ODD: {**zone_of(origin), "name": "odd.test"}})
        edge.doc.update(metered(document(
            {"web": service(web.port), "bad": service(free_port())},
            servers={"one": {"addresses": [HOST],
                             "services": ["web", "bad"]},
                     "two": {"addresses": ["127.0.0.12"],
                             "services": ["bad"]}},
            hostnames={"lb.example.com": {"service": "web",
                                          "servers": ["one"]}},
            probe="t1"), port))
        edge.doc["control"] = {"socket": edge.socket}
        edge.doc["cache"] = {"size": "64MiB", "state-directory": edge.dir}
        edge.write_json()
        stack.enter_context(edge)
        probed = stack.enter_context(Probed(edge.json_path, "t1"))
        probed.wait_log("takes the results")
        for name in ("secret-name.example.com", "www.example.com"):
            for _ in range(3):
                ask(edge, name, source=CLIENT)
        ask(edge, "lb.example.com", source=CLIENT)
        ask(edge, "www.odd.test", source=CLIENT)
        yield edge, probed, port


def origin_dead():
    return {"address": "127.0.0.13", "port": free_port()}


def test_all_there_is(world):
    edge, _, port = world
    m = settled(port, lambda m: m.get(
        "nearzone_probed_feed_accepted_rows_total") and m.get(
        "nearzone_queries_total") == edge.counter("queries"))
    status = edge.status()
    assert m.get("nearzone_up") == 1
    assert m.labels("nearzone_build_info") == [
        {"version": status["version"], "bind": status["bind"]}]
    assert m.labels("nearzone_probed_build_info")[0]["node"] == "t1"
    assert m.get("nearzone_config_ok") == 1
    assert m.get("nearzone_zones") == 2
    for name in ("entries", "bytes"):
        assert m.get("nearzone_cache_" + name) > 0
    assert m.get("nearzone_cache_limit_bytes") == 64 << 20
    assert m.get("nearzone_journal_limit_bytes") == 64 << 20
    assert m.get("nearzone_journal_bytes") > 0
    for name in ("events", "decisions", "lost", "errors"):
        assert m.get(f"nearzone_journal_{name}_total") is not None
    promtool(m)


def test_zones(world):
    edge, _, port = world
    m = scrape(port)
    zones = {z["id"]: z["counters"] for z in edge.status()["zones"]}
    assert {z["zone"] for z in m.labels("nearzone_zone_hits_total")} == {
        "example.com", ODD} == set(zones)
    for zone, counters in zones.items():
        for name, value in counters.items():
            assert m.get(f"nearzone_zone_{name}_total", zone=zone) == value
    assert m.get("nearzone_zone_hits_total", zone="example.com") >= 4
    assert m.get("nearzone_zone_misses_total", zone=ODD) == 1


def test_what_zones_have_in_memory(world):
    edge, _, port = world
    ask(edge, "nothing.odd.test")
    m = settled(port, lambda m: m.get(
        "nearzone_zone_cache_negative_entries", zone=ODD))
    zones = {z["id"]: z["cache"] for z in edge.status()["zones"]}
    assert zones[ODD]["entries"] == 2 and zones[ODD]["negative"] == 1
    assert zones[ODD]["negative_share_pct"] == 50
    assert zones["example.com"]["negative"] == 0
    for zone, cache in zones.items():
        for key, name in {"entries": "entries", "bytes": "bytes",
                          "negative": "negative_entries"}.items():
            assert m.get("nearzone_zone_cache_" + name,
                         zone=zone) == cache[key]
    assert sum(c["entries"] for c in zones.values()) == m.get(
        "nearzone_cache_entries")
    edge.nzctl("purge", "--zone", ODD)
    zone, = [z for z in edge.status()["zones"] if z["id"] == ODD]
    assert zone["cache"] == {"entries": 0, "bytes": 0, "negative": 0,
                             "negative_share_pct": 0}


def test_origins(world):
    edge, _, port = world
    m = scrape(port)
    origins = {f"{o['address']}:{o['port']}/{o['transport']}": o
               for o in edge.status()["origins"]}
    assert {o["origin"] for o in m.labels("nearzone_origin_up")} == set(
        origins)
    for label, o in origins.items():
        assert m.get("nearzone_origin_up", origin=label) == o["up"]
        assert m.get("nearzone_origin_sent_total", origin=label) == o["sent"]
    busiest = max(origins, key=lambda o: origins[o]["sent"])
    assert 0 < m.get("nearzone_origin_srtt_seconds", origin=busiest) < 5


def test_traffic(world):
    _, _, port = world
    m = settled(port, lambda m: m.get(
        "nearzone_server_tests", server="one", pop="pop", state="up") == 1)
    assert m.get("nearzone_hostname_decisions_total",
                 hostname="lb.example.com") == 1
    assert m.get("nearzone_traffic_decisions_total") == 1
    assert m.get("nearzone_pop_given_total", pop="pop") == 1
    assert m.get("nearzone_server_given_total", server="one", pop="pop") == 1
    assert m.get("nearzone_server_drained", server="one", pop="pop") == 0
    assert m.get("nearzone_server_tests", server="two", pop="pop",
                 state="down") == 1
    assert m.get("nearzone_tests", state="up") == 1
    assert m.get("nearzone_tests", state="down") == 2
    assert 0 <= m.get("nearzone_feed_last_batch_age_seconds") < 30
    assert m.get("nearzone_omitted", what="servers") == 0


def test_targets(world):
    _, _, port = world
    m = settled(port, lambda m: m.get(
        "nearzone_probe_tests_total", server="one", address=HOST,
        service="web") >= 3)
    up = {"server": "one", "address": HOST, "service": "web"}
    down = {"server": "two", "address": "127.0.0.12", "service": "bad"}
    assert len(m.labels("nearzone_probe_up")) == 3
    assert m.get("nearzone_probe_up", **up) == 1
    assert m.get("nearzone_probe_up", **down) == 0
    assert 0 < m.get("nearzone_probe_last_duration_seconds", **up) < 0.8
    assert m.get("nearzone_probe_last_duration_seconds", **down) is None
    assert 0 <= m.get("nearzone_probe_last_result_age_seconds", **up) < 10
    assert m.get("nearzone_probe_failures_total", error="connection refused",
                 **down) == m.get("nearzone_probe_tests_total", **down)
    assert m.get("nearzone_probe_transitions_total", **up) == 0
    assert m.get("nearzone_probe_duration_seconds_count", service="web") == \
        m.get("nearzone_probe_tests_total", **up)
    assert m.get("nearzone_probed_targets", state="down") == 2
    assert m.get("nearzone_probed_schedule_lag_seconds_count") >= sum(
        m.get("nearzone_probe_tests_total", **t) for t in (up, down))
    assert m.get("nearzone_probed_feed_connected") == 1
    assert m.get("nearzone_probed_feed_batches_total") >= 1
    assert m.get("nearzone_probed_feed_last_success_age_seconds") < 30


def test_nothing_of_clients(world):
    _, _, port = world
    text = scrape(port).text
    assert CLIENT not in text
    assert "secret-name" not in text and "www." not in text


def test_named_goes_and_comes(world):
    edge, _, port = world
    edge.stop()
    m = settled(port, lambda m: m.get("nearzone_up") == 0)
    assert m.get("nearzone_zones") is None
    tests = m.get("nearzone_probed_schedule_lag_seconds_count")
    settled(port, lambda m: m.get(
        "nearzone_probed_schedule_lag_seconds_count") > tests)
    edge.start()
    m = settled(port, lambda m: m.get("nearzone_up") == 1)
    assert m.get("nearzone_probed_feed_lost_total") >= 1
    promtool(m)


@pytest.mark.skipif(not PROMTOOL, reason="no promtool here")
def test_promtool_is_not_blind():
    done = subprocess.run([PROMTOOL, "check", "metrics"],
                          input="# TYPE a counter\na{b=\"c\"} 1\n",
                          capture_output=True, text=True, check=False,
                          timeout=patience(30))
    assert done.returncode != 0


FAILING = {  # kind -> what the origin says
    "timeout": lambda query, via: None,
    "refused": lambda query, via: answer_to(query, rcode=2),
    "malformed": lambda query, via: b"\0" * 12,
}


def test_failures_by_kind():
    port = free_port()
    with contextlib.ExitStack() as stack:
        zones = {f"{kind}.test": zone_of(origin_at(
            stack.enter_context(FakeOrigin(handler)), timeout="100ms"))
            for kind, handler in FAILING.items()}
        zones["network.test"] = zone_of(origin_dead())
        edge = Edge(zones)
        edge.doc.update(metered(document({"s": service(free_port())},
                                         probe="t1"), port))
        edge.doc["control"] = {"socket": edge.socket}
        edge.doc["cache"] = {"state-directory": edge.dir}
        edge.write_json()
        stack.enter_context(edge)
        probed = stack.enter_context(Probed(edge.json_path, "t1"))
        probed.wait_log("metrics are at")
        for zone in zones:
            ask(edge, "www." + zone)
        m = settled(port, lambda m: m.get("nearzone_asked_total") >= 4)
        status = edge.status()
        for zone in status["zones"]:
            kind = zone["name"].split(".")[0]
            failed = {k: n for k, n in zone["asked_failed"].items() if n}
            assert failed == {kind: zone["counters"]["asked"]}, zone
            assert m.get("nearzone_zone_asked_failed_total", kind=kind,
                         zone=zone["id"]) == failed[kind]
            assert m.get("nearzone_asked_failed_total", kind=kind) == \
                failed[kind]
        assert m.get("nearzone_asked_failed_total", kind="other") == 0
        assert len(m.labels("nearzone_zone_asked_failed_total")) == 4
        promtool(m)


# -- a plugin that is slow, or talks nonsense ----------------------------------

def run(stack, doc, **more):
    port = free_port()
    probed = stack.enter_context(
        Probed(conf_of(metered(doc, port)), "n1", **more))
    probed.wait_log("metrics are at")
    return probed, port


def test_a_plugin_that_hangs_delays_nothing():
    def answer(request):
        return Sink.accept(request) if "rows" in request else None
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(Web())
        sink = stack.enter_context(Sink(answer=answer))
        services = {f"s{i}": service(web.port) for i in range(20)}
        _, port = run(stack, document(services, sink=sink))
        start = time.monotonic()
        m = scrape(port)
        took = time.monotonic() - start
        assert m.get("nearzone_up") == 0
        assert 0.9 < took < patience(1.5), took
        # Another one at once: what was made is given again.
        start = time.monotonic()
        assert scrape(port).text == m.text
        assert time.monotonic() - start < patience(0.5)
        for _ in range(3):
            time.sleep(1.1)
            m = scrape(port)
        assert m.get("nearzone_probed_tests_missed_total") == 0
        late = m.get("nearzone_probed_schedule_lag_seconds_count") - m.get(
            "nearzone_probed_schedule_lag_seconds_bucket", le="0.5")
        assert late == 0


@pytest.mark.parametrize("reply", [
    b"nonsense\n", b"{}\n", b'{"ok":false,"error":"no"}\n',
    b'{"ok":true,"status":[]}\n', b'{"ok":true}\n' * 3,
    b'{"ok":true,"status":{"zones":[{"id":"a"},7]}}' + b" " * 200000 + b"\n",
    b"x" * (6 << 20)], ids=["text", "empty", "error", "list", "many", "large",
                            "endless"])
def test_a_plugin_that_talks_nonsense(reply):
    def answer(request):
        return Sink.accept(request) if "rows" in request else reply
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink(answer=answer))
        _, port = run(stack, document({"s": service(free_port())}, sink=sink))
        m = scrape(port)
        assert m.get("nearzone_probed_build_info", **m.labels(
            "nearzone_probed_build_info")[0]) == 1


def test_pages_without_end():
    """The side-car takes so many, or what comes in five seconds."""
    page = {"ok": True, "status": {"zones": [{"id": "a"}] * 10, "next": {
        "list": "zones", "at": 10, "id": "a"}}}

    def answer(request):
        return Sink.accept(request) if "rows" in request else page
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink(answer=answer))
        _, port = run(stack, document({"s": service(free_port())}, sink=sink))
        assert get(port).status == 200
        asked = [r["after"] for _, r in sink.batches if "after" in r]
        assert page["status"]["next"] in asked
        assert len(asked) < 2000


def test_refused_rows_by_reason():
    def answer(request):
        if "rows" not in request:
            return {"ok": False, "error": "no"}
        return {"ok": True, "accepted": 1, "refused": 5,
                "why": {"unknown": 2, "old": 1, "odd": 2}}
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(Sink(answer=answer))
        _, port = run(stack, document({"s": service(free_port())}, sink=sink))
        sink.wait_row("s", "down")
        m = settled(port, lambda m: m.get(
            "nearzone_probed_feed_accepted_rows_total") > 0)
        n = m.get("nearzone_probed_feed_accepted_rows_total")
        for reason, each in {"unknown": 2, "old": 1, "other": 2,
                             "future": 0}.items():
            assert m.get("nearzone_probed_feed_refused_rows_total",
                         reason=reason) == each * n


# -- HTTP ----------------------------------------------------------------------

@pytest.fixture(name="port", scope="module")
def make_port():
    with contextlib.ExitStack() as stack:
        yield run(stack, document({"s": service(free_port())}))[1]


@pytest.mark.parametrize("octets, status", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET /metrics%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
     405),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"get /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
    (b"GET /metrics\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    (b"GET /metrics HTTP/1.1\nHost: x\n\n", 400),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000, 431),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" + b"z" * 60000, 200),
    (b"\r\nGET http://x/metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
])
def test_status_codes(port, octets, status):
    answer = http(port, octets)
    assert answer.status == status, answer.body
    if status == 405:
        assert answer.fields["Allow"] == "GET, HEAD"
    if status == 200:
        Metrics(answer.body.decode())


def test_head(port):
    answer = get(port, method="HEAD")
    assert answer.status == 200 and answer.length > 1000
    assert get(port, "/", method="HEAD").status == 404


def test_octet_by_octet(port):
    with Client(port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in HEAD + b"\r\n":
            client.send(bytes([octet]))
        assert Answer(client.rest()).status == 200


def test_half_closed(port):
    with Client(port) as client:
        client.send(HEAD + b"\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert Answer(client.rest()).status == 200


def test_pipelined_requests_get_one_answer(port):
    answer = http(port, (HEAD + b"\r\n") * 50)
    assert answer.status == 200  # Answer() has seen that no more came


def test_those_who_go_away(port):
    for octets in (b"", b"GET /me", HEAD + b"\r\n"):
        for _ in range(50):
            Client(port).send(octets).close()
    assert get(port).status == 200


def test_half_requests_end():
    with contextlib.ExitStack() as stack:
        _, port = run(stack, document({"s": service(free_port())}))
        with Client(port) as client:
            start = time.monotonic()
            client.send(HEAD)
            assert client.rest() == b""
            assert 9 < time.monotonic() - start < patience(12)
        m = settled(port, lambda m: m.get(
            "nearzone_probed_http_timeouts_total") == 1)
        promtool(m)


def test_too_many_connections():
    with contextlib.ExitStack() as stack:
        _, port = run(stack, document({"s": service(free_port())}))
        idle = [stack.enter_context(Client(port)).send(b"GET")
                for _ in range(40)]
        # Those who ask get through.
        m = scrape(port)
        assert m.get("nearzone_probed_http_connections") <= 32
        assert m.get("nearzone_probed_http_turned_away_total") >= 8
        # The oldest had to go.
        with contextlib.suppress(ConnectionResetError):
            assert idle[0].rest() == b""


def test_slow_readers():
    """A text too long for any socket's buffers, and some who do not read."""
    name = "long" * 15
    servers = {f"{name}{i:03}": {"services": [name], "addresses": [
        f"127.{1 + i // 250}.{i % 250}.{k}" for k in range(1, 11)]}
        for i in range(500)}
    doc = document({name: service(free_port(), "tcp", interval="60s")},
                   servers=servers)
    with contextlib.ExitStack() as stack:
        probed, port = run(stack, doc)
        probed.wait_log("first round done", seconds=20)
        m = scrape(port)
        assert len(m.labels("nearzone_probe_up")) == 5000
        assert m.get("nearzone_omitted", what="targets") == 0
        assert m.get("nearzone_omitted", what="lines") == 0
        assert len(m.text) > 5000000
        slow = [stack.enter_context(Client(port, buffer=4096)).send(
            HEAD + b"\r\n") for _ in range(20)]
        m = settled(port, lambda m: m.get(
            "nearzone_probed_http_connections") >= 20)
        wait_for(lambda: scrape(port).get(
            "nearzone_probed_http_timeouts_total") == 20,
            "slow readers to be left", 15)
        for client in slow:
            with contextlib.suppress(ConnectionResetError):
                assert len(client.rest()) < len(m.text)
        assert _rss(probed) < patience(100) << 20
        assert m.get("nearzone_probed_tests_missed_total") == 0
        promtool(m)


def _rss(probed):
    with open(f"/proc/{probed.process.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


# -- where ---------------------------------------------------------------------

def is_open(port, address="127.0.0.1"):
    with contextlib.suppress(ConnectionRefusedError):
        Client(port, address).close()
        return True
    return False


def test_no_block_no_port():
    with Probed(conf_of(document({"s": service(free_port())})), "n1") as p:
        p.wait_log("first round done")
        assert "metrics" not in p.log()
        assert not is_open(5398)


def test_reload_moves():
    doc = document({"s": service(free_port())})
    first, second = free_port(), free_port()
    path = conf_of(metered(doc, first, "127.0.0.1", "::1"))
    with Probed(path, "n1") as probed:
        probed.wait_log(r"metrics are at 'http://\[::1\]")
        scrape(first, "::1")
        tests = scrape(first).get("nearzone_probed_schedule_lag_seconds_count")
        for port, addresses in ((second, ["127.0.0.1"]),
                                (second, ["127.0.0.1", "127.0.0.2"]),
                                (first, ["0.0.0.0", "::"])):
            write(path, metered(doc, port, *addresses))
            mark = probed.reload()
            probed.wait_log("configuration read again", mark)
            assert scrape(port).get(
                "nearzone_probed_schedule_lag_seconds_count") >= tests
            assert is_open(first) == (port == first)
        scrape(first, "::1")
        write(path, metered(doc, first, "::1", "127.0.0.1"))
        probed.wait_log("configuration read again", probed.reload())
        scrape(first, "::1")
        assert is_open(first) and not is_open(first, "127.0.0.2")
        write(path, doc)
        probed.wait_log("configuration read again", probed.reload())
        assert not is_open(first)


def test_a_port_in_use_is_taken_later():
    with contextlib.ExitStack() as stack:
        squatter = stack.enter_context(Script(b"", address="127.0.0.1"))
        path = conf_of(metered(document({"s": service(free_port())}),
                               squatter.port, "127.0.0.1", "127.0.0.2"))
        probed = stack.enter_context(Probed(path, "n1"))
        probed.wait_log("cannot listen at '127.0.0.1:.* address already in "
                        "use")
        scrape(squatter.port, "127.0.0.2")
        squatter.__exit__(None, None, None)
        probed.wait_log("metrics are at 'http://127.0.0.1:", seconds=10)
        assert len(re.findall("cannot listen", probed.log())) == 1
        scrape(squatter.port)


def test_reload_keeps_what_was_counted():
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(Web())
        port = free_port()
        services = {"b": service(web.port), "a": service(web.port)}
        path = conf_of(metered(document(services), port))
        probed = stack.enter_context(Probed(path, "n1"))
        m = settled(port, lambda m: m.get(
            "nearzone_probe_duration_seconds_count", service="b"))
        before = m.get("nearzone_probe_duration_seconds_count", service="b")
        del services["a"]
        services["0"] = service(web.port)
        write(path, metered(document(services), port))
        probed.wait_log("configuration read again", probed.reload())
        m = settled(port, lambda m: m.get(
            "nearzone_probe_duration_seconds_count", service="0"))
        assert m.get("nearzone_probe_duration_seconds_count",
                     service="b") >= before
        assert m.get("nearzone_probe_duration_seconds_count",
                     service="a") is None
