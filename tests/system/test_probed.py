# SPDX-License-Identifier: MPL-2.0
"""The side-car: what it tests, what it makes of it, and what it reports."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from nzlib.base import free_port, patience, scratch, wait_for
from nzlib.pki import certificate
from nzlib.probed import PROBED, Probed, Sink
from nzlib.web import Full, Script, Web, expired_certificate

HOST = "127.0.0.11"
ERRORS = {"timeout": 1, "refused": 2, "reset": 4, "tls": 5,
          "certificate": 6, "status": 7, "body": 8, "protocol": 9,
          "local": 10}


def document(services, servers=None, sink=None, feed=None, probe="n1",
             hostnames=None):
    """A configuration: one POP; by default one server that offers all."""
    doc = {"version": 1, "serial": 1,
           "feed": feed or {"interval": "100ms"},
           "services": services,
           "pops": {"pop": {"probe": probe, "servers": servers or {
               "srv": {"addresses": [HOST], "services": list(services)}}}},
           "hostnames": hostnames or {}}
    if sink is not None:
        doc["control"] = {"socket": sink.path}
    return doc


def write(path, doc):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(doc if isinstance(doc, str) else json.dumps(doc, indent=1))
    os.rename(path + ".new", path)
    return path


def conf_of(doc):
    return write(os.path.join(scratch("probedconf"), "nearzone.json"), doc)


def service(port, probe="http", **more):
    return {"probe": probe, "port": port, "interval": "1s",
            "timeout": "800ms", "rise": 1, "fall": 1, **more}


def once(doc, *args, node="n1"):
    done = subprocess.run(
        [PROBED, "--config", conf_of(doc), "--node", node, "--once",
         "--json", *args], capture_output=True, text=True,
        timeout=patience(30), check=False)
    assert done.stderr == "" or "nothing to test" in done.stderr, done.stderr
    result = json.loads(done.stdout)
    assert result["ok"] == (done.returncode == 0)
    assert done.returncode in (0, 1)
    return {row["service"]: row for row in result["targets"]}


def http(body, head="HTTP/1.1 200 OK", *more):
    fields = "".join(f"{field}\r\n" for field in more)
    return (f"{head}\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
            f"{body}").encode()


# -- what a test finds ---------------------------------------------------------

def test_outcomes_of_plain_tests():
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(Web(body="all is well"))
        sick = stack.enter_context(Web(status=503))
        moved = stack.enter_context(Web(status=302, body="http://127.0.0.1:1/"))
        mute = stack.enter_context(Script(hold=True))
        full = stack.enter_context(Full())
        gone = stack.enter_context(Script())
        short = stack.enter_context(Script(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"))
        other = stack.enter_context(Script(b"220 smtp.example ESMTP\r\n"))
        flood = stack.enter_context(Script(
            b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 60000 + b"\r\n"] * 4))
        plain = service(web.port)
        rows = once(document({
            "up": plain,
            "text": {**plain, "expect": {"body": "is well"}},
            "status": {**plain, "expect": {"status": 200}},
            "not-204": {**plain, "expect": {"status": 204}},
            "no-text": {**plain, "expect": {"body": "is ill"}},
            "sick": service(sick.port),
            "sick-wanted": service(sick.port, expect={"status": 503}),
            "moved": service(moved.port),
            "refused": service(free_port()),
            "mute": service(mute.port),
            "full": service(full.port),
            "gone": service(gone.port),
            "short": service(short.port),
            "other": service(other.port),
            "flood": service(flood.port),
            "tcp": service(web.port, "tcp"),
            "tcp-refused": service(free_port(), "tcp"),
            "tcp-full": service(full.port, "tcp"),
            "no-tls": service(web.port, "https"),
        }))
        up = ("up", "text", "status", "sick-wanted", "moved", "tcp")
        for name in up:
            assert rows[name]["state"] == "up", rows[name]
            assert 1 <= rows[name]["metric"] < 800, rows[name]
        for name, error in {
                "not-204": "unexpected status (200, want 204)",
                "no-text": "expected text not found (in 11 octets)",
                "sick": "unexpected status (503, want 200 to 399)",
                "refused": "connection refused",
                "mute": "timed out (waiting for the answer, 800ms)",
                "full": "timed out (connecting, 800ms)",
                "gone": "connection closed early",
                "short": "connection closed early",
                "other": "unexpected protocol",
                "flood": "unexpected protocol (more than 65536",
                "tcp-refused": "connection refused",
                "tcp-full": "timed out",
                "no-tls": "TLS handshake failed"}.items():
            assert rows[name]["state"] == "down", rows[name]
            assert rows[name]["error"].startswith(error), rows[name]
            assert rows[name]["metric"] is None


def test_text_in_any_piece():
    big = "x" * 3000
    with contextlib.ExitStack() as stack:
        def script(*pieces, **more):
            return service(stack.enter_context(
                Script(*pieces, gap=0.02, **more)).port,
                expect={"body": "needle"})
        rows = once(document({
            "cut": script(http("a needle b")[:-5], b"dle b"),
            "octets": script(
                http("hay needle")[:-6], *[bytes([c]) for c in b"needle"]),
            "chunked": script(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"3\r\nnee\r\n", b"3\r\ndle\r\n", b"0\r\n\r\n"),
            "not": script(http("nee dle")[:-3], b"dle"),
            # Found: what never comes after it is not waited for.
            "early": script(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
                            b"needle", hold=True),
            # Beyond the first mebioctet nobody looks, or reads.
            "far": script(b"HTTP/1.1 200 OK\r\n\r\n",
                          *[big.encode()] * 2, b"z" * (1 << 20), b"needle",
                          hold=True),
        }))
        states = {name: row["state"] for name, row in rows.items()}
        assert states == {"cut": "up", "octets": "up", "chunked": "up",
                          "not": "down", "early": "up", "far": "down"}, rows
        assert "in 1048576 octets" in rows["far"]["error"]


def test_certificates():
    good = certificate("www.example")
    expired = expired_certificate("www.example")
    with Web(tls=good) as web, Web(tls=expired) as old, \
            Web(tls=good, address="127.0.0.1") as plain:
        tls = service(web.port, "https", host="www.example")
        rows = once(document({
            "trusted": {**tls, "ca-file": good[0]},
            "self-signed": tls,
            "not-checked": {**tls, "verify": False},
            "wrong-name": {**tls, "host": "other.example",
                           "ca-file": good[0]},
            "other-ca": {**tls, "ca-file": expired[0]},
            "expired": service(old.port, "https", host="www.example",
                               **{"ca-file": expired[0]}),
            "no-file": {**tls, "ca-file": "/nonexistent/ca.pem"},
            "by-address": service(plain.port, "https",
                                  **{"ca-file": good[0]}),
        }, {"srv": {"addresses": [HOST], "services": [
            "trusted", "self-signed", "not-checked", "wrong-name",
            "other-ca", "expired", "no-file"]},
            "other": {"addresses": ["127.0.0.1"],
                      "services": ["by-address"]}}))
        for name in ("trusted", "not-checked", "by-address"):
            assert rows[name]["state"] == "up", rows[name]
        for name in ("self-signed", "wrong-name", "other-ca", "expired"):
            assert rows[name]["error"].startswith(
                "certificate not accepted ("), rows[name]
        assert "expired" in rows["expired"]["error"]
        assert "other.example" in rows["wrong-name"]["error"]
        assert rows["no-file"]["error"].startswith(
            "trouble of the tester itself")


def test_what_a_server_sees():
    cert = certificate("www.example")
    with Web(tls=cert) as web, Web() as plain:
        doc = document({
            "named": service(web.port, "https", host="www.example",
                             path="/health?a=b c#d", **{"ca-file": cert[0]}),
            "first": service(plain.port, path="/a/../up"),
            "bare": service(plain.port, path="/bare"),
        }, hostnames={"shop.example": {"service": "first",
                                       "servers": ["srv"]}})
        # Nothing of the environment or of a home directory matters.
        env = {"http_proxy": "http://127.0.0.1:1",
               "https_proxy": "http://127.0.0.1:1",
               "ALL_PROXY": "http://127.0.0.1:1"}
        probed = Probed(conf_of(doc), "n1", env=env)
        with probed:
            wait_for(lambda: len(web.requests()) >= 2, "two requests")
            wait_for(lambda: len(plain.requests()) >= 4, "four requests")
        for seen in web.requests():
            assert seen["host"] == f"www.example:{web.port}"
            assert seen["sni"] == "www.example"
            assert seen["protocol"] == "HTTP/1.1"
            assert seen["method"] == "GET"
            assert seen["uri"] == "/health?a=b%20c%23d"
            assert seen["agent"].startswith("nearzone-probed/")
            assert seen["session"] == "."
        # A connection of its own for each test.
        numbers = [seen["connection"] for seen in web.requests()]
        assert len(set(numbers)) == len(numbers)
        hosts = {seen["uri"]: seen["host"] for seen in plain.requests()}
        assert hosts == {"/a/../up": f"shop.example:{plain.port}",
                         "/bare": f"{HOST}:{plain.port}"}


def test_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with Web(address="::1") as web:
        rows = once(document(
            {"web": service(web.port), "tcp": service(web.port, "tcp")},
            {"srv": {"addresses": ["::1"], "services": ["web", "tcp"]}}))
        assert rows["web"]["state"] == "up", rows
        assert rows["tcp"]["state"] == "up", rows
        assert web.requests()[-1]["host"] == f"[::1]:{web.port}"


def test_unreachable():
    """In a network of its own, where only the loopback interface is."""
    inside = ["unshare", "--net", "--map-root-user", "sh", "-c",
              'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*inside, "true"], capture_output=True,
                      check=False).returncode != 0:
        pytest.skip("no network namespaces, or no ip, here")
    path = conf_of(document(
        {"web": service(80), "tls": service(443, "https"),
         "tcp": service(80, "tcp")},
        {"srv": {"addresses": ["192.0.2.1", "2001:db8::1"],
                 "services": ["web", "tls", "tcp"]}}))
    done = subprocess.run(
        [*inside, PROBED, "--config", path, "--node", "n1", "--once",
         "--json"], capture_output=True, text=True, check=False,
        timeout=patience(30))
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)["targets"]
    assert [row["error"] for row in rows] == ["unreachable"] * 6


# -- reports -------------------------------------------------------------------

def test_first_round_is_reported_whole():
    with Script(hold=True) as mute, Web() as web, Sink() as sink:
        doc = document({
            "fast": service(web.port),
            "refused": service(free_port()),
            "slow": service(mute.port, timeout="1s"),
            "noload": {"probe": "noload"},
        }, sink=sink)
        with Probed(conf_of(doc), "n1"):
            sink.wait_row("slow", "down")
        _, first = sink.batches[0]
        assert first["command"] == "metrics"
        assert first["node"] == "n1"
        rows = {row[2]: row for row in first["rows"]}
        assert set(rows) == {"fast", "refused", "slow"}
        server, address, _, when, state, metric, error = rows["fast"]
        assert (server, address, state, error) == ("srv", HOST, "up", 0)
        assert 1 <= metric < 1000
        assert abs(when - time.time()) < patience(10)
        assert rows["refused"][4:] == ["down", 65535, ERRORS["refused"]]
        assert rows["slow"][4:] == ["down", 65535, ERRORS["timeout"]]


def test_rise_and_fall():
    with Web() as web, Sink() as sink:
        doc = document({"web": service(web.port, rise=2, fall=3)}, sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            sink.wait_row("web", "up")
            web.stop()
            since = sink.count()
            sink.wait_row("web", "down", since)
            states = [(row[4], row[6]) for row in sink.rows(since)
                      if row[6] != 0]
            # Of two that come within a batch the newer one is sent.
            first = states.index(("down", 2))
            assert 1 <= first <= 2 and states[:first] == [("up", 2)] * first
            assert probed.wait_log(
                r"^\S+ warning server 'srv' 127\.0\.0\.11 service 'web': down"
                r" after 3 failures \(was up \d+s\): connection refused \[server='srv'"
                r" address='127\.0\.0\.11' service='web' from='up' to='down'"
                r" tests=3 was_s=\d+\.\d{3} cause='connection refused'"
                r" detail=''\]$")
            web.start()
            since = sink.count()
            sink.wait_row("web", "up", since)
            states = [(row[4], row[6]) for row in sink.rows(since)
                      if row[6] == 0]
            assert states[:2] == [("down", 0), ("up", 0)]
            probed.wait_log(r"notice .*: up after 2 good tests \(was down")


def test_changes_are_reported_at_once():
    with Web() as web, Sink() as sink:
        doc = document({"web": service(web.port)}, sink=sink,
                       feed={"interval": "60s", "rows": 400})
        with Probed(conf_of(doc), "n1"):
            sink.wait_row("web", "up")
            before = sink.count()
            time.sleep(1.5)  # more of the same: waits for the interval
            assert sink.count() == before
            web.stop()
            row = sink.wait_row("web", "down", before)
            arrived = time.time()
            wait_for(lambda: sink.count() > before, "a batch")
            assert arrived - row[3] < patience(0.5)


def test_batches_are_as_big_as_configured():
    names = [f"s{i:02}" for i in range(25)]
    with Web() as web, Sink() as sink:
        doc = document({name: service(web.port, "tcp") for name in names},
                       sink=sink, feed={"rows": 10, "interval": "60s"})
        with Probed(conf_of(doc), "n1"):
            wait_for(lambda: len(sink.newest()) == 25, "all rows")
            wait_for(lambda: sink.count() >= 5, "more batches")
        sizes = [len(request["rows"]) for _, request in sink.batches]
        assert sizes[:2] == [10, 10]
        assert max(sizes) == 10


def test_one_batch_at_a_time():
    """The next goes when the one before was answered."""
    gate = threading.Event()

    def answer(request):
        gate.wait(patience(20))
        return Sink.accept(request)

    with Web() as web, Sink(answer=answer) as sink:
        doc = document({f"s{i}": service(web.port, "tcp") for i in range(5)},
                       sink=sink, feed={"rows": 1, "interval": "50ms"})
        with Probed(conf_of(doc), "n1"):
            wait_for(lambda: sink.count() == 1, "a batch")
            time.sleep(1.0)
            assert sink.count() == 1
            gate.set()
            wait_for(lambda: len(sink.newest()) == 5, "the others")


def test_plugin_that_comes_and_goes():
    with Web() as web:
        sink = Sink()
        doc = document({"web": service(web.port),
                        "tcp": service(web.port, "tcp")}, sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            probed.wait_log("cannot talk to the plugin")
            wait_for(lambda: len(web.requests()) >= 2, "tests without it")
            with sink:
                wait_for(lambda: len(sink.newest()) == 2, "all rows")
                probed.wait_log("takes the results again")
                mark = probed.mark()
            probed.wait_log("cannot talk to the plugin", mark)
            asked = len(web.requests())
            web.status = 500
            web.restart()
            probed.wait_log("service 'web': down", mark)
            since = sink.count()
            with sink:
                # The whole table, as it is now.
                wait_for(lambda: len(sink.newest(since)) == 2, "all rows")
                assert sink.newest(since)["web"][4] == "down"
                assert sink.newest(since)["tcp"][4] == "up"
                since = sink.count()
                sink.drop()
                wait_for(lambda: len(sink.newest(since)) == 2, "all again")
            assert len(web.requests()) > asked
        log = probed.log()
        # Once for each time that it went.
        assert log.count("cannot talk to the plugin") <= 3 + 1, log


def test_slow_plugin_delays_no_test():
    with Script(http("ok")) as web, Sink(answer=lambda _: None) as sink:
        doc = document({"web": service(web.port, jitter=0)}, sink=sink)
        with Probed(conf_of(doc), "n1"):
            wait_for(lambda: sink.count() == 1, "a batch")
            since = len(web.times)
            wait_for(lambda: len(web.times) >= since + 5, "more tests", 20)
        gaps = [b - a for a, b in zip(web.times, web.times[1:])]
        assert max(gaps) < 1 + patience(0.3), gaps
        assert sink.count() == 1


def test_plugin_that_never_answers_is_left():
    with Web() as web, Sink(answer=lambda _: None) as sink:
        doc = document({"web": service(web.port)}, sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            wait_for(lambda: sink.connections == 1, "a connection")
            wait_for(lambda: sink.connections == 2, "another", 20)
            assert "it does not answer" in probed.log()


@pytest.mark.parametrize("reply", [
    b"nonsense\n", b"{\"ok\":true}\n{\"ok\":true}\n", b"[]\n", b"x" * 70000])
def test_replies_that_are_none(reply):
    with Web() as web, Sink(answer=lambda _: reply) as sink:
        doc = document({"web": service(web.port)}, sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            probed.wait_log("cannot talk to the plugin at .*: it")
            wait_for(lambda: sink.connections >= 3, "other connections")
        # With pauses that grow, and said once.
        assert sink.connections < 100
        assert probed.log().count("cannot talk to the plugin") == 1


def test_refusals_are_logged_rarely():
    def partly(request):
        return {"ok": True, "accepted": 0, "refused": len(request["rows"]),
                "why": {"unknown": len(request["rows"])}}

    for answer, said in (
            (partly, r"refused 1 results of a batch: unknown 1"),
            (lambda _: {"ok": False, "error": "no such command"},
             r"refused a batch: 'no such command'")):
        with Web() as web, Sink(answer=answer) as sink:
            doc = document({"web": service(web.port)}, sink=sink)
            with Probed(conf_of(doc), "n1") as probed:
                probed.wait_log(said)
                wait_for(lambda: sink.count() >= 4, "batches")
            assert sink.connections == 1
            assert probed.log().count(" refused ") == 1, probed.log()


# -- schedule ------------------------------------------------------------------

def test_a_stopped_process_makes_up_for_nothing():
    with Script(http("ok")) as web, Sink() as sink:
        names = [f"s{i:02}" for i in range(20)]
        doc = document({name: service(web.port, interval="3s", jitter=0)
                        for name in names}, sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            wait_for(lambda: sum(len(request["rows"]) for _, request in
                                 sink.batches) >= 20, "a round")
            probed.pause()
            time.sleep(7)
            resumed = time.monotonic()
            before = len(web.times)
            probed.resume()
            wait_for(lambda: len(web.times) >= before + 40, "two rounds", 20)
            probed.wait_log(r"warning \d+ tests came too late and were left")
        later = web.times[before:]
        # Two slots of each are lost; what comes has its old phase, spread
        # over a second, and comes once in an interval.
        assert len([t for t in later if t < resumed + 0.2]) < 15
        assert len([t for t in later if t < resumed + 2.9]) <= 20 + 1


def test_first_round_is_spread_over_a_second():
    with Script(http("ok")) as web:
        doc = document({f"s{i:02}": service(web.port, interval="30s")
                        for i in range(40)})
        with Probed(conf_of(doc), "n1"):
            wait_for(lambda: len(web.times) == 40, "a round")
        span = web.times[-1] - web.times[0]
        assert 0.8 < span < patience(1.5)
        middle = [t for t in web.times if t < web.times[0] + span / 2]
        assert 12 < len(middle) < 28


# -- life ----------------------------------------------------------------------

def test_reload():
    with Web() as web, Script(hold=True) as mute, Sink() as sink, \
            Sink() as other:
        old = {"web": service(web.port), "tcp": service(web.port, "tcp"),
               "leaves": service(web.port, "tcp")}
        path = conf_of(document(old, sink=sink))
        with Probed(path, "n1") as probed:
            wait_for(lambda: len(sink.newest()) == 3, "all rows")

            write(path, '{ "version": 1, "sevices": {} }')
            mark = probed.reload()
            probed.wait_log(r"error .*nearzone\.json:1: .*sevices", mark)
            probed.wait_log("refused; the old one stays in use", mark)
            os.unlink(path)
            mark = probed.reload()
            probed.wait_log("refused; the old one stays in use", mark)
            since = sink.count()
            sink.wait_row("leaves", "up", since)

            del old["leaves"]
            old["comes"] = service(mute.port)
            old["web"]["interval"] = "2s"
            write(path, document(old, sink=sink))
            mark = probed.reload()
            probed.wait_log("configuration read again: serial 1, 3 to test",
                            mark)
            since = sink.count() + 1
            # Others are not held back by one that has no result yet.
            sink.wait_row("tcp", "up", since)
            sink.wait_row("comes", "down", since)
            assert "leaves" not in sink.newest(since)
            # Those that stay keep their state: nothing begins anew.
            assert not [line for line in probed.log(mark).split("\n")
                        if "'web'" in line or "'tcp'" in line]

            write(path, document(old, sink=other))
            probed.reload()
            wait_for(lambda: len(other.newest()) == 3, "all rows elsewhere")


def test_reload_reads_authorities_again():
    good, other = certificate("www.example"), certificate("www.example")
    trusted = os.path.join(scratch("ca"), "ca.pem")
    shutil.copy(other[0], trusted)
    with Web(tls=good) as web, Sink() as sink:
        doc = document({"web": service(web.port, "https", host="www.example",
                                       **{"ca-file": trusted})}, sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            row = sink.wait_row("web", "down")
            assert row[6] == ERRORS["certificate"]
            shutil.copy(good[0], trusted)
            probed.reload()
            sink.wait_row("web", "up")


def test_node_without_targets():
    with Web() as web, Sink() as sink:
        doc = document({"web": service(web.port)}, sink=sink, probe="n2")
        path = conf_of(doc)
        with Probed(path, "n1") as probed:
            probed.wait_log(r"warning nothing to test: in '.*' no service of "
                            r"a server is for node 'n1' to test")
            time.sleep(0.3)
            assert sink.count() == 0
            write(path, document({"web": service(web.port)}, sink=sink))
            probed.reload()
            sink.wait_row("web", "up")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_cleanly(number):
    with Script(hold=True) as mute, Sink(answer=lambda _: None) as sink, \
            Web() as web:
        doc = document({
            "web": service(web.port), "tcp": service(web.port, "tcp"),
            "mute": service(mute.port, interval="30s", timeout="20s")},
            sink=sink)
        probed = Probed(conf_of(doc), "n1").start()
        wait_for(lambda: mute.times and len(web.requests()) >= 1,
                 "a test under way")
        begun = time.monotonic()
        probed.process.send_signal(number)
        assert probed.wait() == 0
        assert time.monotonic() - begun < patience(2)


def test_usr1_tells_what_is_not_up():
    with Web() as web:
        doc = document({"web": service(web.port),
                        "bad": service(free_port())})
        with Probed(conf_of(doc), "n1") as probed:
            probed.wait_log("first round done: 1 up, 1 down")
            mark = probed.mark()
            probed.process.send_signal(signal.SIGUSR1)
            probed.wait_log("2 to test: 1 up, 1 down", mark)
            probed.wait_log(r"service 'bad': down for .*: connection refused",
                            mark)


def test_verbose_logs_every_test():
    with Web() as web:
        doc = document({"web": service(web.port)})
        with Probed(conf_of(doc), "n1", extra=["--verbose"]) as probed:
            probed.wait_log(r"debug server 'srv' 127\.0\.0\.11 service 'web': "
                            r"still up, test 2: \d+ ms")


def notifications(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(patience(15))
    return listener


def next_with(listener, text):
    while True:
        message = listener.recv(4096).decode()
        if text in message.split("\n"):
            return message


@pytest.mark.parametrize("abstract", [False, True])
def test_service_manager(abstract):
    name = os.path.join(scratch("notify"), "notify")
    with Web() as web, Sink() as sink:
        path = conf_of(document({"web": service(web.port)}, sink=sink))
        with contextlib.closing(notifications(
                "\0" + name if abstract else name)) as listener:
            probed = Probed(path, "n1", env={
                "NOTIFY_SOCKET": "@" + name if abstract else name,
                "WATCHDOG_USEC": "400000"})
            with probed:
                ready = next_with(listener, "READY=1")
                assert "STATUS=1 to test: 1 up, 0 down" in ready
                next_with(listener, "WATCHDOG=1")
                begun = time.monotonic()
                next_with(listener, "WATCHDOG=1")
                assert time.monotonic() - begun < patience(0.4)
                web.stop()
                next_with(listener, "STATUS=1 to test: 0 up, 1 down, 0 "
                          "without a result")
                probed.reload()
                message = next_with(listener, "RELOADING=1")
                assert "MONOTONIC_USEC=" in message
                next_with(listener, "READY=1")
            next_with(listener, "STOPPING=1")


def test_hanging_target_does_not_block_booting():
    name = os.path.join(scratch("notify"), "notify")
    with Script(hold=True) as mute, \
            contextlib.closing(notifications(name)) as listener, \
            Sink() as sink:
        doc = document({"mute": service(mute.port, interval="60s",
                                        timeout="30s")}, sink=sink)
        begun = time.monotonic()
        with Probed(conf_of(doc), "n1", env={"NOTIFY_SOCKET": name}):
            next_with(listener, "READY=1")
            assert 9 < time.monotonic() - begun < 10 + patience(2)
            assert sink.count() == 0


def test_ready_at_once_without_targets():
    name = os.path.join(scratch("notify"), "notify")
    with contextlib.closing(notifications(name)) as listener:
        doc = document({"web": service(80)}, probe="n2")
        begun = time.monotonic()
        with Probed(conf_of(doc), "n1", env={"NOTIFY_SOCKET": name}):
            next_with(listener, "READY=1")
            assert time.monotonic() - begun < patience(3)


def test_journal():
    """Priorities in front where the journal reads, and only there."""
    where = os.path.join(scratch("journal"), "log")
    path = conf_of(document({"bad": service(free_port())}))
    for stream, first in ((True, "<5>nearzone-probed "), (False, "20")):
        with open(where, "wb") as log:
            st = os.fstat(log.fileno())
            of = f"{st.st_dev}:{st.st_ino}" if stream else "1:1"
            probed = subprocess.Popen(
                [PROBED, "--config", path, "--node", "n1"], stderr=log,
                env=dict(os.environ, JOURNAL_STREAM=of))
        with open(where, encoding="utf-8") as log:
            wait_for(lambda: log.seek(0) or "first round done" in log.read(),
                     "its log")
            probed.terminate()
            assert probed.wait(patience(10)) == 0
            log.seek(0)
            text = log.read()
        assert text.startswith(first), text
        assert ("\n<4>server 'srv'" in text) == stream, text


def test_socket_from_option_and_environment():
    with Web() as web, Sink() as a, Sink() as b:
        path = conf_of(document({"web": service(web.port)}))
        with Probed(path, "n1", env={"NEARZONE_SOCKET": a.path}):
            a.wait_row("web", "up")
        with Probed(path, "n1", socket=b.path,
                    env={"NEARZONE_SOCKET": "/nonexistent"}):
            b.wait_row("web", "up")


def test_runs_without_privileges():
    if os.getuid() != 0:
        pytest.skip("not root: all other tests were without privileges")
    with Web() as web, Sink() as sink:
        path = conf_of(document({"web": service(web.port)}, sink=sink))
        # Where nobody may go and read.
        program = os.path.join(os.path.dirname(path), "nearzone-probed")
        shutil.copy(PROBED, program)
        for where in (os.path.dirname(path), os.path.dirname(sink.path)):
            os.chmod(where, 0o755)
        with Probed(path, "n1", program=program, prefix=[
                "setpriv", "--reuid=65534", "--regid=65534",
                "--clear-groups", "--no-new-privs", "--inh-caps=-all"]):
            sink.wait_row("web", "up")


def test_few_descriptors():
    """More targets than descriptors: they wait in order, none is lost."""
    with Script(http("ok"), gap=0.05) as web:
        rows = subprocess.run(
            ["prlimit", "--nofile=90:90", PROBED, "--config", conf_of(document(
                {f"s{i:02}": service(web.port, timeout="5s", interval="6s")
                 for i in range(60)})), "--node", "n1", "--once", "--json"],
            capture_output=True, text=True, timeout=patience(30), check=False)
        assert rows.returncode == 0, rows.stdout


# -- by hand -------------------------------------------------------------------

def run(*args, env=None):
    return subprocess.run(
        [PROBED, *args], capture_output=True, text=True, check=False,
        timeout=patience(30), env=dict(os.environ, **(env or {})))


def test_check():
    path = conf_of(document({
        "web": service(8080, host="www.example", path="/health"),
        "tcp": service(25, "tcp"), "noload": {"probe": "noload"}}))
    done = run("--config", path, "--node", "n1", "--check")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.split("\n")]
    assert ["srv", HOST, "web", "http", "8080", "1s", "www.example",
            "/health"] in lines
    assert ["srv", HOST, "tcp", "tcp", "25", "1s", "-", "-"] in lines
    assert "noload" not in done.stdout

    done = run("--config", path, "--node", "n1", "--check", "--json")
    assert [row["service"] for row in json.loads(done.stdout)["targets"]] == \
        ["tcp", "web"]
    done = run("--config", path, "--node", "other", "--check")
    assert done.returncode == 0
    assert "nothing to test for node 'other'" in done.stderr


def test_check_refuses():
    path = conf_of('{ "version": 1,\n "bogus": 2 }')
    done = run("--config", path, "--node", "n1", "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f'{path}:2: unknown key "bogus"'), \
        done.stderr
    done = run("--config", path, "--node", "n1", "--once", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
    done = run("--config", "/nonexistent", "--node", "n1", "--check")
    assert done.returncode == 1
    assert "no such file" in done.stderr.lower()
    done = run("--config", path, "--node", "n1")
    assert done.returncode == 1
    assert "refused: not started" in done.stderr


def test_once_shows_a_table():
    with Web() as web:
        good = document({"web": service(web.port)})
        done = run("--config", conf_of(good), "--node", "n1", "--once")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split("\n")[2].split() == [
            "server", "address", "service", "state", "metric"]
        done = run("--config", conf_of(good), "--node", "none", "--once")
        assert done.returncode == 1
        assert "nothing to test" in done.stderr
    done = run("--config", conf_of(document(
        {"web": service(free_port())})), "--node", "n1", "--once")
    assert done.returncode == 1
    assert "connection refused" in done.stdout


@pytest.mark.parametrize("args", [
    [], ["--config", "x"], ["--node", "x"], ["--bogus"],
    ["--config", "x", "--node", ""], ["--config", "x", "--node", "a b"],
    ["--config", "x", "--node", 'a"b'], ["--config", "x", "--node", "n" * 64],
    ["--config", "x", "--node", "n", "--json"],
    ["--config", "x", "--node", "n", "--check", "--once"],
    ["--config", "x", "--node", "n", "--socket", ""],
    ["--config", "x", "--node", "n", "--socket", "/" + "s" * 107],
    ["--config", "x", "--node", "n", "argument"]])
def test_wrong_usage(args):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "see 'nearzone-probed --help'" in done.stderr


def test_help_and_version():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: nearzone-probed" in done.stdout
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nearzone-probed (nearzone) ")


def test_output_that_cannot_be_written():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([PROBED, "--help"], stdout=full, check=False,
                              stderr=subprocess.PIPE, timeout=patience(30))
    assert done.returncode == 3
    assert b"cannot write the output" in done.stderr
