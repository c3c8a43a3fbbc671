# SPDX-License-Identifier: MPL-2.0
"""What the side-car shows of its tests: its socket, nzctl, log and metrics."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time

import pytest

from nzlib.base import free_port, patience, scratch, wait_for
from nzlib.probed import Probed, Sink
from nzlib.prom import scrape
from nzlib.web import Script, Web
from test_probed import HOST, conf_of, document, service

NZCTL = os.environ.get("NZCTL") or os.path.join(
    os.environ.get("NZ_STAGE", "/"), "usr/local/bin/nzctl")


class Viewed(Probed):
    """A side-car that shows its tests."""

    def __init__(self, doc, **more):
        self.view = os.path.join(scratch("view"), "view.sock")
        super().__init__(conf_of(doc), "n1", extra=["--view", self.view],
                         **more)

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as s, s.makefile("rwb") as f:
            s.settimeout(patience(10))
            s.connect(self.view)
            f.write(request if isinstance(request, bytes)
                    else json.dumps(request).encode() + b"\n")
            f.flush()
            line = f.readline()
            return json.loads(line) if line else None

    def tests(self, **more):
        reply = self.ask({"command": "tests", **more})
        assert reply["ok"] and reply["node"] == "n1", reply
        return {row["service"]: row for row in reply["tests"]}


def nzctl(*args, socket_path="/nonexistent/control.sock"):
    return subprocess.run([NZCTL, "--socket", socket_path, *args],
                          capture_output=True, text=True, check=False,
                          timeout=patience(30))


def test_what_is_shown():
    with Web() as web, Script(hold=True) as mute:
        doc = document({
            "good": service(web.port, interval="1s", jitter=0),
            "bad": service(free_port(), "tcp", interval="1s"),
            "slow": service(mute.port, interval="30s", timeout="400ms"),
        })
        with Viewed(doc) as probed:
            wait_for(lambda: probed.tests()["good"]["tests"] >= 3, "tests")
            seen, now = probed.tests(), time.time()
            good = seen["good"]
            assert (good["server"], good["address"]) == ("srv", HOST)
            assert good["state"] == "up" and "error" not in good
            assert good["last"] == "." * good["tests"]
            assert len(good["results"]) == good["tests"] == good["run"]
            assert all(1 <= ms < 800 for ms in good["results"])
            assert 0 <= good["next_s"] <= 1
            assert abs(now - good["since"] - good["since_s"]) < patience(1)
            assert good["age_s"] <= 1 + patience(0.5)
            assert seen["bad"]["error"] == "connection refused"
            assert set(seen["bad"]["last"]) == {"r"}
            assert seen["bad"]["results"][0] == "connection refused"
            assert seen["slow"]["last"] == "t"
            assert seen["slow"]["error"] == (
                "timed out (waiting for the answer, 400ms)")
            # The turns are spread over the interval.
            assert 2 <= seen["slow"]["next_s"] <= 33
            # The last 20, the newest at the end.
            wait_for(lambda: probed.tests()["good"]["tests"] >= 18, "tests",
                     25)
            web.stop()
            wait_for(lambda: probed.tests()["good"]["state"] == "down",
                     "it to be down")
            wait_for(lambda: probed.tests()["good"]["tests"] >= 22, "tests")
            good = probed.tests()["good"]
            assert re.fullmatch(r"\.+r+", good["last"])
            assert len(good["last"]) == len(good["results"]) == 20
            assert good["transitions"] == 1
            assert good["since_s"] < 10
        assert not os.path.exists(probed.view)


def test_many_are_shown_in_pages():
    names = [f"s{i:02}" for i in range(50)]
    servers = {f"srv{i}": {"addresses": [f"127.0.0.{30 + i}"],
                           "services": names} for i in range(9)}
    doc = document({name: service(free_port() if name == "s00" else 9, "tcp",
                                  interval="30s") for name in names}, servers)
    with Viewed(doc) as probed:
        probed.wait_log("first round done")
        seen, after, pages = [], None, 0
        while True:
            more = {"after": after} if after else {}
            reply = probed.ask({"command": "tests", **more})
            seen += [(r["server"], r["address"], r["service"])
                     for r in reply["tests"]]
            pages += 1
            after = reply.get("next")
            if not after:
                break
        assert pages == 3
        assert seen == sorted(set(seen)) and len(seen) == 450
        one = probed.ask({"command": "tests", "server": "srv4"})["tests"]
        assert len(one) == 50 and {r["server"] for r in one} == {"srv4"}
        assert probed.ask({"command": "tests", "server": "nobody"}) == {
            "ok": True, "node": "n1", "tests": []}
        done = nzctl("--json", "probes", "--view", probed.view)
        assert len(json.loads(done.stdout)["tests"]) == 450


@pytest.mark.parametrize("request_line", [
    b"\n", b"x\n", b"[]\n", b"{}\n", b'{"command":1}\n',
    b'{"command":"drain"}\n', b'{"command":"tests"} x\n',
    b'{"command":"tests","server":5}\n', b'{"command":"tests","after":5}\n',
    b'{"command":"tests","after":["a","b"]}\n', b"[[[[[[[[[[[[\n",
    b'{"command":"tests","after":["a","b",null]}\n', b"\0\xff\n"])
def test_what_is_no_request(request_line):
    doc = document({"tcp": service(free_port(), "tcp")})
    with Viewed(doc) as probed:
        reply = probed.ask(request_line)
        assert reply["ok"] is False and reply["error"]
        assert probed.tests()  # and goes on


def test_bounds_of_those_who_look():
    doc = document({"tcp": service(free_port(), "tcp")})
    with Viewed(doc) as probed, contextlib.ExitStack() as stack:
        probed.wait_log("first round done")
        # Too long a line: closed.
        with contextlib.suppress(ConnectionError):
            assert probed.ask(b"x" * 5000) is None
        # So many at a time, and no more.
        idle = []
        for _ in range(16):
            s = stack.enter_context(socket.socket(socket.AF_UNIX))
            s.connect(probed.view)
            s.settimeout(patience(20))
            idle.append(s)
        time.sleep(0.2)
        with contextlib.suppress(ConnectionError):
            assert probed.ask({"command": "tests"}) is None
        # Who asks nothing has ten seconds.
        began = time.monotonic()
        assert idle[0].recv(1) == b""
        assert 5 < time.monotonic() - began < patience(15)
        wait_for(lambda: probed.ask({"command": "tests"}), "room")
        # Requests on end, by one who does not read at first.
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(probed.view)
            s.settimeout(patience(10))
            s.sendall(b'{"command":"tests"}\n' * 100)
            with s.makefile("rb") as f:
                for _ in range(100):
                    assert json.loads(f.readline())["ok"]


def test_the_place_of_the_socket():
    doc = document({"tcp": service(free_port(), "tcp")})
    one = Viewed(doc)
    with one:
        # Another one there goes on without.
        two = Viewed(doc)
        two.extra = ["--view", one.view]
        with two:
            two.wait_log("tests are not shown at .*: address already in use")
            assert one.tests()
        assert one.tests()
        one.kill()
        # What it has left is no obstacle.
        assert os.path.exists(one.view)
        one.start()
        assert one.tests()
    # A file of somebody else's stays.
    with open(one.view, "w", encoding="ascii") as f:
        f.write("mine")
    with one:
        one.wait_log("tests are not shown at .*: file already exists")
    with open(one.view, encoding="ascii") as f:
        assert f.read() == "mine"


def test_nzctl_without_named():
    with Web() as web:
        doc = document({"web": service(web.port),
                        "bad": service(free_port(), "tcp")})
        with Viewed(doc) as probed:
            wait_for(lambda: len(probed.tests()["web"]["results"]) >= 2,
                     "results")
            done = nzctl("probes", "--view", probed.view)
            assert done.returncode == 3
            assert "no such socket" in done.stderr
            assert "2 tests: 1 up, 1 down" in done.stdout
            head = done.stdout.split("\n")[1].split()
            assert head == ["server", "address", "service", "state", "age",
                            "metric", "for", "node", "last", "next", "error"]
            assert re.search(r"srv +127\.0\.0\.11 +bad +down .* n1 +r+ .*"
                             r"connection refused", done.stdout)
            done = nzctl("probes", "srv", "--view", probed.view)
            assert re.search(r"^bad on 127\.0\.0\.11:\n", done.stdout, re.M)
            assert re.search(r"^  results +connection refused", done.stdout,
                             re.M)
            done = nzctl("--json", "probes", "--view", probed.view)
            assert json.loads(done.stdout)["ok"] is False
            assert len(json.loads(done.stdout)["tests"]) == 2


def test_nzctl_with_both():
    row = {"server": "srv", "pop": "pop", "address": HOST, "service": "web",
           "probe": "http", "state": "up", "metric": 1, "age_s": 0.1,
           "since_s": 5, "rows": 1}
    reply = {"ok": True, "probes": [row, {**row, "server": "far"}],
             "feed": {"rows": 1}}

    def answer(request):
        return (reply if request["command"] == "probes"
                else Sink.accept(request))

    with Web() as web, Sink(answer=answer) as sink:
        with Viewed(document({"web": service(web.port)}, sink=sink)) as probed:
            wait_for(lambda: probed.tests()["web"]["tests"] >= 2, "results")
            done = nzctl("probes", "--view", probed.view,
                         socket_path=sink.path)
            assert (done.returncode, done.stderr) == (0, "")
            lines = {line.split()[0]: line.split()
                     for line in done.stdout.split("\n")[2:4]}
            assert any(re.fullmatch(r"\.\.+", c) for c in lines["srv"])
            assert not any(c.startswith("..") for c in lines["far"])
            done = nzctl("--json", "probes", "--view", probed.view,
                         socket_path=sink.path)
            doc = json.loads(done.stdout)
            assert doc["probes"][0]["last"].startswith("..")
            assert "last" not in doc["probes"][1]
            assert doc["tests"][0]["node"] == "n1"
        # Named and not there: said, and what there is is shown.
        done = nzctl("probes", "--view", probed.view, socket_path=sink.path)
        assert done.returncode == 3 and "cannot be asked" in done.stderr
        assert "2 tests: 2 up" in done.stdout


def test_transitions_are_counted_and_logged():
    metrics = free_port()
    with Web() as web:
        doc = document({"web": service(web.port),
                        "tcp": service(web.port, "tcp")})
        doc["metrics"] = {"address": ["127.0.0.1"], "port": metrics}
        with Viewed(doc) as probed:
            wait_for(lambda: probed.tests()["web"]["state"] == "up", "up")
            web.stop()
            wait_for(lambda: probed.tests()["web"]["state"] == "down" and
                     probed.tests()["tcp"]["state"] == "down", "down")
            web.start()
            wait_for(lambda: probed.tests()["web"]["state"] == "up" and
                     probed.tests()["tcp"]["state"] == "up", "up again")
            m = scrape(metrics)
            name = "nearzone_probe_service_transitions_total"
            for to in ("up", "down"):
                assert m.get(name, service="web", to=to) == 1
            assert m.get("nearzone_probe_service_targets", service="web",
                         state="up") == 1
            assert m.get("nearzone_probe_service_oldest_result_age_seconds",
                         service="web") < 1 + patience(1)
            lines = re.findall(r"\[(server='srv'.*)\]$", probed.log(), re.M)
            pairs = [dict(re.findall(r"(\w+)='?([^' ]*(?: [^'=]*)?)'?(?: |$)",
                                     line)) for line in lines]
            turns = [(p["service"], p["from"], p["to"], p["cause"])
                     for p in pairs if p["service"] == "web"]
            assert turns == [("web", "up", "down", "connection refused"),
                             ("web", "down", "up", "no error")], lines
