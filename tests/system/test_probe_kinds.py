# SPDX-License-Identifier: MPL-2.0
"""Kinds of probes against real servers, and against servers that misbehave."""

import contextlib
import json
import os
import subprocess
import time

import pytest

from nzlib import kinds
from nzlib.base import free_port, patience, scratch, wait_for
from nzlib.kinds import HOST, Bad, Mute
from nzlib.pki import certificate
from nzlib.probed import Probed, Sink
from nzlib.web import Web

NZCTL = os.environ.get("NZCTL") or os.path.join(
    os.environ.get("NZ_STAGE", "/"), "usr/local/bin/nzctl")


def document(services, **more):
    return {"version": 1, "feed": {"interval": "100ms"},
            "services": services, "pops": {"pop": {"servers": {"srv": {
                "addresses": [HOST], "services": list(services)}}}}, **more}


def write(doc):
    path = os.path.join(scratch("kinds"), "nearzone.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(doc, f)
    return path


def service(probe, port, **more):
    return {"probe": probe, "port": port, "interval": "1s",
            "timeout": "800ms", "rise": 1, "fall": 1, **more}


# -- what is found -------------------------------------------------------------

def test_every_kind_against_real_servers():
    missing = kinds.missing()
    if missing:
        pytest.skip(f"missing: {missing}")
    n, wrong = kinds.judge()
    assert n > 150
    assert not wrong, "\n".join(map(str, wrong))


def endless(first, piece):
    """A beginning, and then the same without an end."""
    def pieces():
        yield first
        while True:
            yield piece
    return pieces


def dripping(text):
    def pieces():
        for octet in text:
            yield bytes([octet])
            time.sleep(0.1)
    return pieces


HEAD = b"HTTP/1.1 200 OK\r\n"


def hostile(tls):
    """(kind, more of the service, server, what is found)."""
    big = b"x" * 65536
    reset = Bad(lambda: [HEAD + b"Content-Length: 10\r\n\r\nabc"], reset=True)
    cut = "connection closed early"
    yield "http", {}, Bad(endless(HEAD, b"X: y\r\n" * 1000)), "unexpected prot"
    yield "http", {"expect": {"body": "never"}}, Bad(endless(
        HEAD + b"\r\n", big)), "expected text not found"
    yield "http", {"expect": {"regex": "(x+x+)+y"}}, Bad(endless(
        HEAD + b"\r\n", big)), "expected text not found"
    yield "http", {"expect": {"sha256": "0" * 64}}, Bad(endless(
        HEAD + b"\r\n", big)), "unexpected size"
    yield "http", {}, Bad(dripping(HEAD * 100)), "timed out"
    yield "http", {"expect": {"body": "end"}}, reset, cut
    yield "tcp", {"expect": {"body": "never"}}, Bad(endless(b"", big)), \
        "expected text not found"
    yield "tcp", {"expect": {"body": "never"}}, Bad(dripping(
        b"220 " * 100)), "timed out"
    for kind in ("ftp", "smtp"):
        yield kind, {}, Bad(endless(b"220-", b"220-more\r\n" * 500)), \
            "unexpected protocol"
        yield kind, {}, Bad(endless(b"220 ", big)), "unexpected protocol"
        yield kind, {}, Bad(endless(b"", b"SSH-2.0-x\r\n")), \
            "unexpected protocol"
        yield kind, {}, Bad(dripping(b"220-" * 100)), "timed out"
        yield kind, {}, Bad(lambda: [b"421 too busy\r\n"]), \
            "unexpected status (421 too busy"
        yield kind, {}, Bad(lambda: [b"22"], reset=True), cut
        yield kind, {}, Bad(lambda: []), cut
    yield "smtp", {"starttls": True}, Bad(lambda: [
        b"220 a\r\n250 b\r\n"]), "TLS handshake failed (STARTTLS"
    # What a man in the middle puts in before TLS is not believed.
    yield "smtp", {"starttls": True}, Bad(lambda: [
        b"220 a\r\n", b"250-b\r\n250 STARTTLS\r\n220 go\r\n250 more\r\n"]), \
        "unexpected protocol"
    yield "rtsp", {}, Bad(endless(b"RTSP/1.0 200 OK\r\n", b"X: y\r\n" * 99)), \
        "unexpected protocol"
    yield "rtsp", {}, Bad(lambda: [
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"]), \
        "unexpected size"
    yield "rtmp", {}, Bad(endless(b"\x03", big)), "unexpected protocol"
    yield "dns", {"question": {"name": "a.test", "transport": "tcp"}}, \
        Bad(endless(b"\xff\xff", big)), "unexpected size"
    yield "tls", {"verify": False}, Bad(endless(b"", big)), "TLS handshake"
    yield "tls", {"verify": False}, Bad(endless(
        b"", b"\x16\x03\x03\x40\x00" + b"\x02\xff\xff\xff" + big[:16380])), \
        "TLS handshake failed"
    yield "tls", {"verify": False}, Bad(lambda: [b"\x16\x03"], reset=True), cut


def test_servers_that_misbehave():
    with contextlib.ExitStack() as stack:
        services, expected = {}, {}
        for i, (kind, more, bad, found) in enumerate(hostile(None)):
            stack.callback(bad.close)
            name = f"{kind}-{i}"
            services[name] = service(kind, bad.port, **more)
            expected[name] = found
        rows = kinds.once(services)
        for name, found in expected.items():
            assert rows[name]["state"] == "down", rows[name]
            assert rows[name]["error"].startswith(found), (found, rows[name])


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_no_server_blocks_or_grows_the_side_car():
    """Floods of every kind, for many rounds, and one good server besides."""
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(Web(address=HOST))
        services = {"good": service("http", web.port)}
        for i, (kind, more, bad, _) in enumerate(hostile(None)):
            stack.callback(bad.close)
            services[f"bad-{i}"] = service(kind, bad.port, **more)
        sink = stack.enter_context(Sink())
        path = write(document(services))
        probed = stack.enter_context(Probed(path, "n1", socket=sink.path))
        wait_for(lambda: len(sink.newest()) == len(services), "a round", 20)
        for _ in range(3):  # what is kept for good is there by now
            mark = sink.count()
            wait_for(lambda mark=mark: len(sink.newest(mark)) ==
                     len(services), "another round", 20)
        before, mark = rss_kib(probed.process.pid), sink.count()
        time.sleep(8)
        good = [row for row in sink.rows(mark) if row[2] == "good"]
        assert len(good) >= 5
        # A flood costs what is read of it; nobody waits for that.
        assert all(row[4] == "up" and row[5] < 500 for row in good), good
        more = 262144 if os.environ.get("NZ_SANITIZER") else 8192
        assert rss_kib(probed.process.pid) < before + more
        assert "came too late" not in probed.log()


def test_a_reload_while_tests_of_each_kind_run():
    """A test that goes on, or waits for its turn, still knows what it is."""
    more = {"timeout": "1s", "interval": "1s", "rise": 1, "fall": 1}
    cert = certificate("kinds.test")
    with contextlib.closing(Mute()) as mute, Sink() as sink:
        services = {
            kind: {"probe": kind, "port": mute.port, **more}
            for kind in ("http", "https", "http2", "tls", "ftp", "ftps",
                         "smtp", "rtsp", "rtmp")}
        for kind in ("https", "tls"):
            services[kind] |= {"host": "kinds.test", "ca-file": cert[0],
                               "expect": {"valid-for": "1d"}}
        services |= {
            "check": {"probe": "http", "port": mute.port, **more,
                      "headers": ["X-A: b"],
                      "expect": {"body": "a", "regex": "b"}},
            "tcp": {"probe": "tcp", "port": mute.port, **more,
                    "expect": {"body": "hello"}},
            "udp": {"probe": "dns", "port": mute.port, **more,
                    "question": {"name": "a.test"}},
            "dns": {"probe": "dns", "port": mute.port, **more,
                    "question": {"name": "a.test", "transport": "tcp"}}}
        for i in range(20):  # more than may run
            services[f"p{i}"] = {"probe": "program", **more,
                                 "command": ["/bin/sleep", "30"]}
        doc = document(services)
        path = write(doc)
        with Probed(path, "n1", socket=sink.path) as probed:
            wait_for(lambda: len(sink.newest()) == len(services), "all rows")
            for i in range(8):
                doc["serial"] = 2 + i
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(doc, f)
                probed.reload()
                probed.wait_log(f"read again: serial {2 + i},")
            since = sink.count()
            wait_for(lambda: len(sink.newest(since)) == len(services), "all")
            assert {row[4] for row in sink.rows(since)} == {"down"}
            assert {row[6] for row in sink.rows(since)} == {1}
            doc["services"] = {"tls": services["tls"]}  # others: cancelled
            doc["pops"]["pop"]["servers"]["srv"]["services"] = ["tls"]
            with open(path, "w", encoding="utf-8") as f:
                json.dump(doc, f)
            probed.reload()
            probed.wait_log("read again: serial 9, 1 to test")
            since = sink.count()
            wait_for(lambda: sink.rows(since), "the one that is left")


# -- programs ------------------------------------------------------------------

def test_programs_are_few_and_end():
    """Forty that hang: sixteen at one time, and nothing is left of them."""
    mark = f"98{free_port()}"  # seconds, and what they are known by
    services = {f"p{i}": {
        "probe": "program", "interval": "5s", "timeout": "500ms",
        "command": ["/bin/sh", "-c", f"sleep {mark} & sleep {mark}"]}
        for i in range(40)}

    def children(probed):
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(probed.process.pid)],
            capture_output=True, text=True, check=False)
        return len(found.stdout.split())

    with Sink() as sink, Probed(write(document(services)), "n1",
                                socket=sink.path) as probed:
        most = 0
        end = time.monotonic() + patience(20)
        while len(sink.newest()) < 40 and time.monotonic() < end:
            most = max(most, children(probed))
            time.sleep(0.02)
        rows = sink.newest()
        assert len(rows) == 40
        assert 4 < most <= 16, most
        assert all(row[4] == "down" and row[6] == 1 for row in rows.values())
    # What the programs had started was killed with them.
    left = subprocess.run(["pgrep", "-f", f"sleep {mark}"],
                          capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_what_a_program_leaves_behind_ends_with_it():
    """Its answer is not waited for, and it does not become more and more."""
    mark = f"97{free_port()}"
    services = {f"p{i}": {
        "probe": "program", "interval": "5s", "timeout": "3s",
        "command": ["/bin/sh", "-c",
                    f"sleep {mark} {close} & echo fine"]}
        for i, close in enumerate(("", ">/dev/null"))}
    with Sink() as sink, Probed(write(document(services)), "n1",
                                socket=sink.path):
        wait_for(lambda: len(sink.newest()) == 2, "both")
        assert all(row[4] == "up" for row in sink.newest().values())
        left = subprocess.run(["pgrep", "-f", f"^sleep {mark}"],
                              capture_output=True, text=True, check=False)
        assert left.stdout == ""


def test_a_program_sees_no_shell_and_no_environment():
    out = os.path.join(scratch("program"), "out")
    services = {"p": {"probe": "program", "port": 77, "interval": "10s",
                      "command": ["/usr/bin/python3", "-c",
                                  "import os, sys; open(sys.argv[1], 'w')"
                                  ".write(repr((sys.argv[2:], "
                                  "sorted(os.environ))))", out,
                                  "$HOME;`id`", "{address}:{port}", "",
                                  "{host} {other}"]}}
    row = kinds.once(services)["p"]
    assert row["state"] == "up", row
    with open(out, encoding="utf-8") as f:
        argv, environ = eval(f.read())  # our own repr()
    assert argv == ["$HOME;`id`", f"{HOST}:77", "", f"{HOST} {{other}}"]
    assert set(environ) <= {"PATH", "LC_ALL", "LC_CTYPE"}, environ


# -- damping, degraded, source -------------------------------------------------

def test_a_server_that_flaps_is_held_down():
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(Web(address=HOST))
        sink = stack.enter_context(Sink())
        probed = stack.enter_context(Probed(write(document({
            "calm": service("http", web.port),
            "damped": service("http", web.port, damping={
                "half-life": "4s", "suppress": 1.4, "reuse": 1})})),
            "n1", socket=sink.path))
        sink.wait_row("damped", "up")
        for _ in range(2):
            web.stop()
            mark = sink.count()
            sink.wait_row("damped", "down", mark)
            sink.wait_row("calm", "down", mark)
            web.start()
            mark = sink.count()
            sink.wait_row("calm", "up", mark)
            wait_for(lambda mark=mark: [r for r in sink.rows(mark) if
                                        r[2] == "damped" and r[6] in (0, 15)],
                     "a good test")  # 15: held
        probed.wait_log(r"service 'damped': held down after 1 good test: it "
                        r"failed too often \(penalty [0-9.]+, until it is "
                        r"below 1.0\)")
        held = wait_for(lambda: [r for r in sink.rows(mark) if
                                 r[2] == "damped" and r[6] == 15], "held")
        assert held[0][4] == "down" and held[0][5] < 800
        assert not [r for r in sink.rows(mark)
                    if r[2] == "calm" and r[4] == "down"]
        # Two failures: under 1 in less than two half-lives.
        sink.wait_row("damped", "up", mark, seconds=12)


def test_slow_is_load_and_not_down():
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(Web(address=HOST))
        slow = kinds.Slow(web.port)
        stack.callback(slow.close)
        rows = kinds.once({
            "plain": service("http", slow.port),
            "slow": service("http", slow.port, degraded="200ms"),
            "fast": service("http", web.port, degraded="200ms")})
    assert rows["plain"]["state"] == rows["slow"]["state"] == "up"
    assert "slow" not in rows["plain"] and "slow" not in rows["fast"]
    took = rows["plain"]["metric"]
    assert 400 <= took < 600
    # Each millisecond beyond 200 counts ten times.
    assert abs(rows["slow"]["metric"] - (200 + 10 * (took - 200))) < 1000
    assert rows["slow"]["slow"] is True


def test_tests_come_from_the_source_address():
    with Web(address=HOST, body="ok") as web:
        now = time.time()
        kinds.once({
            "a": service("http", web.port, source="127.0.0.77",
                         headers=["X-A: b"])})
        assert web.wait_request(now)["client"] == "127.0.0.77"
        row = kinds.once({"a": service("http", web.port,
                                       source="192.0.2.9")})["a"]
        assert row["state"] == "down", row
        row = kinds.once({"a": service("smtp", web.port,
                                       source="192.0.2.9")})["a"]
        assert row["error"].startswith("trouble of the tester itself"), row


# -- nzctl probe run -----------------------------------------------------------

def probe_run(doc, *names, args=()):
    done = subprocess.run(
        [NZCTL, *args, "probe", "run", *names, "--config", write(doc)],
        capture_output=True, text=True, timeout=patience(30), check=False)
    return done.returncode, done.stdout, done.stderr


def test_one_test_by_hand_is_timed():
    cert = certificate("web.test")
    with Web(address=HOST, tls=cert) as web, contextlib.closing(
            Mute()) as mute:
        doc = document({
            "web": service("https", web.port, host="web.test",
                           **{"ca-file": cert[0]}),
            "mute": service("smtp", mute.port),
            "dumb": service("https", mute.port),
            "free": {"probe": "noload"}})
        code, out, err = probe_run(doc, "web", "srv", args=["--json"])
        assert (code, err) == (0, "")
        row = json.loads(out)["probes"][0]
        times = row.pop("times")
        assert times["dns_ms"] is None
        assert 0 < times["connect_ms"] < times["tls_ms"] < \
            times["first_byte_ms"] <= times["total_ms"] < 800
        assert 29 * 86400 < row.pop("certificate_ends") - time.time() \
            <= 30 * 86400
        assert 1 <= row.pop("metric") < 800
        assert row == {"server": "srv", "address": HOST, "service": "web",
                       "probe": "https", "port": web.port, "good": True,
                       "slow": False, "code": 0}
        code, out, err = probe_run(doc, "web", "srv")
        assert (code, err) == (0, "")
        assert out.startswith(f"server 'srv' {HOST} service 'web' (https, "
                              f"port {web.port}): good, metric ")
        for word in ("connect", "tls", "first byte", "total",
                     "certificate ends in "):
            assert word in out, out

        code, out, _ = probe_run(doc, "mute", "srv", args=["--json"])
        row = json.loads(out)["probes"][0]
        assert (code, row["good"], row["code"]) == (1, False, 1)
        assert row["error"] == "timed out"
        assert row["detail"] == "waiting for the answer, 800ms"
        assert row["times"]["connect_ms"] > 0
        assert row["times"]["first_byte_ms"] is None
        assert 799 <= row["times"]["total_ms"] < patience(1500)

        code, out, _ = probe_run(doc, "dumb", "srv", args=["--json"])
        row = json.loads(out)["probes"][0]
        assert row["detail"] == "in the TLS handshake, 800ms", row
        assert 0 < row["times"]["connect_ms"] < 800
        assert row["times"]["tls_ms"] is None

        for names, status, text in (
                (("none", "srv"), 1, "no service 'none'"),
                (("web", "none"), 1, "no server 'none'"),
                (("free", "srv"), 1, "tested by nobody"),
                (("web",), 2, "")):
            code, out, err = probe_run(doc, *names)
            assert (code, out) == (status, ""), (names, out, err)
            assert text in err
    done = subprocess.run([NZCTL, "probe", "walk", "a", "b"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "probe run SERVICE" in done.stderr


def test_a_name_is_looked_up_first():
    with Web(address=HOST) as web:
        doc = document({"web": service("http", web.port)})
        doc["pops"]["pop"]["servers"]["cdn"] = {"alias": "localhost"}
        code, out, err = probe_run(doc, "web", "cdn", args=["--json"])
        rows = json.loads(out)["probes"]
        assert err == "" and rows
        v4 = [row for row in rows if row["address"] == HOST]
        assert v4 and v4[0]["good"] and v4[0]["times"]["dns_ms"] > 0
        assert code == (0 if all(row["good"] for row in rows) else 1)
