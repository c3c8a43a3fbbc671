# SPDX-License-Identifier: MPL-2.0
"""Loads of machines, by a real prometheus-node-exporter."""

import contextlib
import json
import os
import shutil
import time

import pytest

from nzlib.base import free_port, scratch, wait_for
from nzlib.machines import ADDRESS, Exporter
from nzlib.probed import Probed, Sink
from nzlib.prom import scrape
from nzlib.web import Script

pytestmark = pytest.mark.skipif(
    not shutil.which("prometheus-node-exporter"),
    reason="no prometheus-node-exporter")


def document(sink, load, servers=None, pop=None, **root):
    return {"version": 1, "serial": 1, "feed": {"interval": "50ms"},
            "control": {"socket": sink.path},
            "pops": {"pop": {"probe": "n1", **(pop or {}), "servers": servers or {
                "srv": {"addresses": [ADDRESS], "load": load}}}}, **root}


def how(port, **more):
    return {"port": port, "interval": "1s", "timeout": "800ms", **more}


def write(path, doc):
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(doc, f, indent=1)
    os.rename(path + ".new", path)
    return path


def conf_of(doc):
    return write(os.path.join(scratch("loadconf"), "nearzone.json"), doc)


def loads(sink, server="srv", since=0):
    return [row for row in sink.rows(since)
            if row[0] == "load" and row[1] == server]


def wait_load(sink, value, server="srv", since=0, within=0.02):
    """A load of about 'value'; the newest is left."""
    def found():
        return [row for row in loads(sink, server, since)
                if abs(row[3] - value) <= max(within * value, 0.01)]
    return wait_for(found, f"a load of {value}: {loads(sink, server)[-3:]}",
                    15)[0]


@contextlib.contextmanager
def scene(**more):
    with Exporter() as exporter, Sink() as sink:
        doc = document(sink, how(exporter.port, **more))
        with Probed(conf_of(doc), "n1") as probed:
            yield exporter, sink, probed


def test_default_formula_and_its_changes():
    with scene() as (exporter, sink, _):
        row = wait_load(sink, 5.0)
        assert row[:2] == ["load", "srv"]
        assert abs(row[2] - time.time()) < 10
        exporter.set(load=2.5, swap_mb=300)
        wait_load(sink, 325.0)


def test_formulas():
    cases = {
        "plain": ("node_load1", 1.5),
        "words": ("max(load1, load5) + min(3, 2) - -1", 4.5),
        "brackets": ("(load1 + 0.5) * 4 / 2", 4.0),
        "memory": ("mem_used_pct", 25.0),
        "labels": ('node_network_receive_bytes_total{device="eth0"}', 1000.0),
        "other": ('count(node_network_receive_bytes_total{device!="eth0"})',
                  0.0),
        "floor": ("load1 - 100", 0.0),
        "division": ("1 / count(node_none)", 1000.0),
        "missing": ("load1 + node_no_such_thing", 1000.0),
        "huge": ("load1 * 1e300", 16777215.0),
    }
    with Exporter() as exporter, Sink() as sink:
        exporter.set(load=1.5, rx=1000)
        servers = {name: {"addresses": [ADDRESS], "load": how(
            exporter.port, formula=text)} for name, (text, _) in cases.items()}
        with Probed(conf_of(document(sink, None, servers)), "n1") as probed:
            for name, (_, value) in cases.items():
                wait_load(sink, value, name)
            probed.wait_log(r"load of server '(division|missing)': ")


def test_rates_need_two_looks_and_survive_a_restart():
    with Exporter() as exporter, Sink() as sink:
        exporter.set(rx=1000000)
        doc = document(sink, how(exporter.port, formula="net_rx_mbit"))
        with Probed(conf_of(doc), "n1"):
            wait_load(sink, 0.0)
            assert not [row for row in loads(sink) if row[3] == 1000]
            for octets in range(2, 12):
                exporter.set(rx=octets * 1000000)
                time.sleep(0.25)
            busy = max(row[3] for row in loads(sink))
            assert 16 <= busy <= 60, busy
            mark = sink.count()
            exporter.set(rx=500)  # began anew at 0
            wait_load(sink, 0.0, since=mark)
            assert max(row[3] for row in loads(sink, since=mark)) < 60


def test_unreachable_has_no_value_but_words():
    with scene() as (exporter, sink, probed):
        wait_load(sink, 5.0)
        exporter.stop()
        probed.wait_log(r"load of server 'srv': .*(refused|connect)")
        mark = sink.count()
        time.sleep(2.5)
        assert loads(sink, since=mark) == []
        exporter.set(load=4)
        exporter.start()
        probed.wait_log(r"load of server 'srv': 40.00, known again")
        wait_load(sink, 40.0, since=mark)


def test_hangs_lies_and_floods():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    line = b"node_load1 2\n"
    with contextlib.ExitStack() as stack:
        def script(*pieces, **more):
            return stack.enter_context(Script(
                *pieces, address=ADDRESS, **more)).port
        sink = stack.enter_context(Sink())
        ports = {
            "good": script(head + line),
            "noise": script(head + b"{}\n# HELP\nnode_load1{a= 1\n\0\xff\n"
                            b"node_load1x 7\n" + line),
            "last": script(head + line[:-1]),
            "cut": script(head[:-2] + b"Content-Length: 900\r\n\r\n" + line),
            "hangs": script(head + line, hold=True),
            "mute": script(hold=True),
            "status": script(head.replace(b"200 OK", b"503 No") + line),
            "flood": script(head, *[b"x" * 65536] * 80, line),
            "long": script(head, b"node_load1" + b" " * 70000 + b"9\n" + line),
            "closed": free_port(),
        }
        servers = {name: {"addresses": [ADDRESS], "load": how(
            port, formula="load1")} for name, port in ports.items()}
        probed = stack.enter_context(
            Probed(conf_of(document(sink, None, servers)), "n1"))
        for name in ("good", "noise", "last", "long"):
            wait_load(sink, 2.0, name)
        time.sleep(1.5)
        for name in ("cut", "hangs", "mute", "status", "flood", "closed"):
            assert loads(sink, name) == [], name
        probed.process.send_signal(10)  # SIGUSR1
        for name, words in {"cut": "closed|transfer", "hangs": "timed out",
                            "mute": "timed out", "closed": "connect",
                            "status": "unexpected status .503",
                            "flood": "more than 4194304 octets"}.items():
            probed.wait_log(rf"load of '{name}': .*({words})")


def test_url_of_a_server_and_default_of_a_pop():
    with Exporter() as exporter, Sink() as sink:
        servers = {
            "plain": {"addresses": [ADDRESS]},
            "alias": {"alias": "www.example.net"},
            "own": {"addresses": ["127.0.0.99"], "load": {
                "url": f"http://localhost:{exporter.port}/metrics",
                "interval": "1s", "timeout": "900ms", "formula": "load15"}},
        }
        pop = {"load": how(exporter.port, formula="load5")}
        other = {"probe": "n2", "load": pop["load"], "servers": {
            "not-ours": {"addresses": [ADDRESS]}}}
        doc = document(sink, None, servers, pop)
        doc["pops"]["other"] = other
        with Probed(conf_of(doc), "n1"):
            wait_load(sink, 0.2, "plain")
            wait_load(sink, 0.1, "own")
            assert {row[1] for row in sink.rows()} == {"plain", "own"}


def test_reload_keeps_what_is_the_same():
    with Exporter() as exporter, Sink() as sink:
        load = how(exporter.port, interval="20s", timeout="1s",
                   formula="load1 + 0 * net_rx_mbit")
        servers = {name: {"addresses": [ADDRESS], "load": load}
                   for name in ("a", "b")}
        doc = document(sink, None, servers)
        path = conf_of(doc)
        with Probed(path, "n1") as probed:
            time.sleep(1)
            doc["serial"] = 2
            doc["pops"]["pop"]["servers"]["b"]["load"] = how(
                exporter.port, formula="load5")
            doc["pops"]["pop"]["servers"]["c"] = {
                "addresses": [ADDRESS], "load": how(exporter.port)}
            write(path, doc)
            mark = probed.reload()
            probed.wait_log("configuration read again", mark)
            wait_load(sink, 0.2, "b")
            wait_load(sink, 5.0, "c")
            del doc["pops"]["pop"]["servers"]["c"]
            write(path, doc)
            mark = probed.reload()
            probed.wait_log("configuration read again", mark)
            time.sleep(0.3)
            mark = sink.count()
            time.sleep(1.5)
            assert loads(sink, "c", mark) == []
            assert loads(sink, "b", mark) != []


def test_tells_a_new_plugin_and_survives_a_stop():
    with scene() as (_, sink, probed):
        wait_load(sink, 5.0)
        mark = sink.count()
        probed.pause()
        time.sleep(3.5)
        probed.resume()
        wait_load(sink, 5.0, since=mark)
        time.sleep(0.5)
        assert len(loads(sink, since=mark)) <= 3  # no burst
        sink.drop()
        wait_load(sink, 5.0, since=sink.count())


def test_metrics():
    port = free_port()
    with Exporter() as exporter, Sink() as sink:
        doc = document(sink, None, {
            "good": {"addresses": [ADDRESS], "load": how(exporter.port)},
            "bad": {"addresses": [ADDRESS], "load": how(free_port())}},
            metrics={"address": [ADDRESS], "port": port})
        with Probed(conf_of(doc), "n1"):
            wait_load(sink, 5.0, "good")

            def failing():
                got = scrape(port)
                return got if got.get("nearzone_probed_value_failing",
                                      kind="load", of="bad") == 1 else None
            got = wait_for(failing, "metrics of loads")
            assert got.get("nearzone_probed_value", kind="load",
                           of="good") == 5
            assert 'nearzone_probed_value{kind="load",of="bad"}' \
                not in got.text
            assert got.get("nearzone_probed_value_failing", kind="load",
                           of="good") == 0
            assert got.get("nearzone_probed_value_failures_total",
                           kind="load", of="bad") >= 1
