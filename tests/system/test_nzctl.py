# SPDX-License-Identifier: MPL-2.0
"""nzctl against a socket that answers whatever a test wants."""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from nzlib.base import patience

STATUS = {"ok": True, "status": {
    "version": "0.1.0", "pid": 4711, "started": 1795000000,
    "uptime_s": 93784,
    "config": {"state": "refused", "errors": [
        {"file": "/n.json", "line": 12, "path": "zones.a", "text": "bad"}]},
    "instances": [{"view": "_default", "zones": "all", "conflicts": []},
                  {"view": "in", "zones": 3, "conflicts": ["a.b", "c.d"]}],
    "cache": {"entries": 120, "bytes": 12999999},
    "counters": {"hits": 1234567, "of-a-later-release": 2 ** 64 - 1},
    "origins": [{"address": "192.0.2.53", "port": 53, "up": True,
                 "srtt_us": 12345},
                {"address": "2001:db8::1", "port": 853, "up": False,
                 "srtt_us": None}],
    "zones": [{"id": "a", "counters": {"hits": 5, "misses": 12}}],
}}
STATUS_TEXT = """\
version  0.1.0
pid      4711
started  2026-11-18T11:06:40Z
uptime   1d 2h 3m 4s
config:
  state  refused
  errors:
    /n.json:12: zones.a: bad
instances:
  view      zones  conflicts
  _default  all    -
  in        3      a.b, c.d
cache:
  entries  120
  bytes    12999999 (12.4 MiB)
counters:
  hits                1234567
  of-a-later-release  18446744073709551615
origins:
  address      port  up        srtt
  192.0.2.53     53  yes  12.345 ms
  2001:db8::1   853  no           -
zones:
  id  hits  misses
  a      5      12
"""


def line(document):
    return json.dumps(document).encode() + b"\n"


class Peer:
    """Takes one connection and one line, answers 'answer', and closes."""

    def __init__(self, path, answer, hold=False):
        self.path = path
        self.answer = answer
        self.hold = hold
        self.request = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        client, _ = self.listener.accept()
        with client, contextlib.suppress(OSError):
            with client.makefile("rb") as f:
                self.request = f.readline()
            client.sendall(self.answer)
            if self.hold:
                client.recv(1)

    def end(self):
        self.thread.join(patience(10))
        self.listener.close()


@pytest.fixture(name="path")
def path_fixture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a short path: sun_path has 108 octets
    return "sock"


def nzctl(*args, stdout=subprocess.PIPE, **env):
    return subprocess.run(
        [os.environ["NZCTL"], *args], stdout=stdout, stderr=subprocess.PIPE,
        text=True, timeout=patience(60), check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", **env})


def talk(path, answer, *args, hold=False, **more):
    peer = Peer(path, answer, hold)
    try:
        done = nzctl("--socket", path, *args, **more)
    finally:
        peer.end()
    return done, peer.request


def test_status(path):
    done, request = talk(path, line(STATUS), "status", "--zone", "a")
    assert json.loads(request) == {"command": "status", "zone": "a"}
    assert (done.returncode, done.stdout, done.stderr) == (0, STATUS_TEXT, "")


def test_json_is_passed_on_as_it_is(path):
    done, _ = talk(path, line(STATUS), "status", "--json")
    assert (done.returncode, done.stdout) == (0, line(STATUS).decode())


@pytest.mark.parametrize("args, want", [
    (["lookup", "www.a", "A"],
     {"command": "lookup", "name": "www.a", "type": "A"}),
    (["lookup", "--zone", "z", "--", "-a", "A"],
     {"command": "lookup", "name": "-a", "type": "A", "zone": "z"}),
    (["purge", "a\\.b.c"], {"command": "purge", "name": "a\\.b.c"}),
    (["purge", "--subtree", "b"], {"command": "purge", "subtree": "b"}),
    (["purge", "--zone", 'q"q'], {"command": "purge", "zone": 'q"q'}),
    (["reload"], {"command": "reload"}),
])
def test_requests(path, args, want):
    done, request = talk(path, line({"ok": True, "purged": 5}), *args)
    assert json.loads(request) == want
    assert (done.returncode, done.stdout) == (0, "purged  5\n")


def test_lookup_of_nothing(path):
    answer = line({"ok": True, "zone": "z", "state": "absent"})
    done, _ = talk(path, answer, "lookup", "a", "A")
    assert (done.returncode, done.stdout) == (1, "zone   z\nstate  absent\n")


def test_refused(path):
    answer = line({"ok": False, "error": "2 errors", "errors": [
        {"file": "/n.json", "line": 3, "path": "zones.a", "text": "bad"},
        {"file": "/n.json", "line": 0, "path": "", "text": "worse"}]})
    done, _ = talk(path, answer, "reload")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("/n.json:3: zones.a: bad\n/n.json: worse\n"
                           "nzctl: reload: 2 errors\n")


def test_refused_json(path):
    answer = line({"ok": False, "error": "no"})
    done, _ = talk(path, answer, "watch", "--json")
    assert (done.returncode, done.stdout) == (1, answer.decode())


EVENTS = (line({"ok": True})
          + line({"event": "origin", "time": 1795000000.123, "up": False,
                  "why": "timed out", "at": "192.0.2.1", "dropped": 3})
          + line({"event": "end"}))


def test_watch(path):
    done, _ = talk(path, EVENTS, "watch", "--count", "2", hold=True)
    assert (done.returncode, done.stdout) == (
        0, '2026-11-18T11:06:40.123Z origin up=false why="timed out" '
           "at=192.0.2.1 dropped=3\n- end\n")


def test_watch_json_till_the_end(path):
    done, _ = talk(path, EVENTS, "--json", "watch")
    assert done.returncode == 3
    assert done.stdout.encode() == EVENTS.split(b"\n", 1)[1]
    assert "closed" in done.stderr


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_nothing_moves_the_cursor(path, locale):
    evil = "\x1b[2J\r\n\t\x00\x7f\u009b\u202e\u200f"
    answer = line({"ok": True, evil: evil, "errors": [{"text": evil}],
                   "o": [{evil: evil}, {"caf\u00e9": 1}]})
    done, _ = talk(path, answer, "reload", LC_ALL=locale)
    assert done.returncode == 0
    shown = done.stdout.replace("\n", "")
    assert all(c.isprintable() for c in shown), shown
    assert ("caf\u00e9" in shown) == (locale != "C")


@pytest.mark.parametrize("answer", [
    b"\n", b"hello\n", b"[]\n", b"{}\n", b'{"ok":1}\n', b'{"ok":true} {}\n',
    b'{"ok":true,"a":"\x1b"}\n', b"\0\n", b'\x16\x03\x01\n',
    b'{"ok":true,"a":' + b"[" * 1000 + b"]" * 1000 + b"}\n",
])
def test_garbage(path, answer):
    done, _ = talk(path, answer, "status")
    assert (done.returncode, done.stdout) == (3, "")
    assert "not an answer of the plugin" in done.stderr


@pytest.mark.parametrize("answer", [b"", b'{"ok":true', b'{"ok":true}'])
def test_closed(path, answer):
    done, _ = talk(path, answer, "status")
    assert (done.returncode, done.stdout) == (3, "")
    assert "closed" in done.stderr


def test_endless_answer(path):
    done, _ = talk(path, b"x" * (65 << 20), "status")
    assert done.returncode == 3
    assert "longer than" in done.stderr


def test_timeout(path):
    done, _ = talk(path, b'{"ok":', "--timeout", "0.2", "status", hold=True)
    assert done.returncode == 3
    assert "no answer within 0.200 s" in done.stderr


def test_no_socket(path):
    done = nzctl("status", NEARZONE_SOCKET=path)
    assert done.returncode == 3
    assert "is named running with the plugin loaded" in done.stderr


def test_nobody_listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        done = nzctl("--socket", path, "status")
    assert done.returncode == 3
    assert "nobody listens" in done.stderr


@pytest.mark.parametrize("args", [["status"], ["watch", "--count", "1"]])
def test_output_lost(path, args):
    answer = line({"ok": True, "a": 1}) + line({"event": "x"})
    with open("/dev/full", "w", encoding="ascii") as full:
        done, _ = talk(path, answer, *args, stdout=full)
    assert done.returncode == 3
    assert "cannot write" in done.stderr


@pytest.mark.parametrize("args", [
    [], ["nope"], ["--nope", "status"], ["status", "x"], ["lookup", "a"],
    ["lookup", "a", "A", "b"], ["purge"], ["purge", "a", "b"],
    ["purge", "a", "--zone", "b"], ["purge", "--zone", "a", "--subtree", "b"],
    ["reload", "--zone", "a"], ["status", "--count", "1"],
    ["watch", "--count", "0"], ["watch", "--count", "1.5"],
    ["watch", "--count", "99999999999999999999"], ["check"], ["schema", "x"],
    ["--timeout", "0", "status"], ["--timeout", "1.0001", "status"],
    ["--timeout", "x", "status"], ["--timeout", "1.", "status"],
    ["--timeout", "86400.001", "status"], ["--socket", "x" * 108, "status"],
    ["lookup", "x" * 70000, "A"], ["help", "nope"], ["help", "purge", "x"],
])
def test_usage(path, args):
    peer = Peer(path, b"")  # there, so that only the usage can be wrong
    done = nzctl(*args, NEARZONE_SOCKET=path)
    with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(OSError):
        s.connect(path)
    peer.end()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr != ""


def test_help():
    done = nzctl("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("status", "lookup", "purge", "check", "reload", "watch",
                    "schema", "help"):
        assert f"\n  {command}" in done.stdout
        one = nzctl("help", command)
        assert one.stdout.startswith(f"usage: nzctl [OPTION...] {command}")
        assert nzctl(command, "--help").stdout == one.stdout
    assert nzctl("--version").stdout.startswith("nzctl (nearzone) ")


def test_check(tmp_path):
    good = tmp_path / "good.json"
    good.write_text(json.dumps({"version": 1, "serial": 7, "zones": {
        "example.com": {"origins": [{"address": "192.0.2.1"}]}}}))
    bad = tmp_path / "bad.json"
    bad.write_text('{ "version": 1, "serial": 7,\n "zonez": {} }\n')
    gone = tmp_path / "gone.json"

    done = nzctl("check", str(good))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{good}: ok (1 zone, serial 7)\n"
    done = nzctl("check", str(bad), str(good), str(gone))
    assert done.returncode == 1
    assert done.stdout == f"{good}: ok (1 zone, serial 7)\n"
    assert done.stderr.startswith(f"{bad}:2: ")
    assert f"\n{gone}: " in done.stderr

    done = nzctl("check", "--json", str(good), str(bad))
    assert (done.returncode, done.stderr) == (1, "")
    doc = json.loads(done.stdout)
    assert doc["ok"] is False
    assert doc["files"] == [{"file": str(good), "serial": 7, "zones": 1}]
    assert (doc["errors"][0]["file"], doc["errors"][0]["line"]) == (str(bad),
                                                                    2)


def test_schema():
    done = nzctl("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["type"] == "object"
