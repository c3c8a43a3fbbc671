# SPDX-License-Identifier: MPL-2.0
"""nzctl against a socket that answers whatever a test wants."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time

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
                 "srtt_us": 12345, "dropped": {"wrong_id": 40}},
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
  address      port  up        srtt  wrong_id
  192.0.2.53     53  yes  12.345 ms        40
  2001:db8::1   853  no           -         -
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


def test_zones_are_shown_in_tables_by_what_is_known(path):
    fresh = {"serial": None, "hints": 0, "busy": False}
    answer = line({"ok": True, "status": {"version": "x", "zones": [
        {"id": "a", "origins": 2, "counters": {"hits": 5},
         "cache": {"entries": 3, "bytes": 2048, "negative_share_pct": 33},
         "fresh": {"serial": 7, "hints": 1, "busy": False},
         "names": {"set": {"state": "kept", "names": 12}, "proofs": 0}},
        {"id": "b", "origins": 1, "counters": {"hits": 6}, "fresh": fresh,
         "cache": {"entries": 0, "bytes": 0, "negative_share_pct": 0},
         "names": {"proofs": 4}, "later": {"x": 0}},
        {"id": "c", "origins": 1, "counters": {"hits": 7}, "fresh": fresh}],
        "control": {"requests": 1}}})
    done, _ = talk(path, answer, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == """\
version  x
control:
  requests  1
zones:
  id  origins  hits
  a         2     5
  b         1     6
  c         1     7
zones, cache:
  id  entries           bytes  negative_share
  a         3  2048 (2.0 KiB)             33%
zones, fresh:
  id  serial  hints  busy
  a        7      1  no
zones, names:
  id  state  names  proofs
  a   kept      12       0
  b   -          -       4
"""


def test_json_is_passed_on_as_it_is(path):
    done, _ = talk(path, line(STATUS), "status", "--json")
    assert (done.returncode, done.stdout) == (0, line(STATUS).decode())


@pytest.mark.parametrize("args, want", [
    (["lookup", "www.a", "A"],
     {"command": "lookup", "name": "www.a", "type": "A"}),
    (["lookup", "--zone", "z", "--", "-a", "A"],
     {"command": "lookup", "name": "-a", "type": "A", "zone": "z"}),
    (["purge", "a\\.b.c"], {"command": "purge", "name": "a\\.b.c"}),
    (["purge", "a", "TXT"], {"command": "purge", "name": "a",
                             "type": "TXT"}),
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
    ["lookup", "a", "A", "b"], ["purge"], ["purge", "a", "b", "c"],
    ["purge", "a", "--zone", "b"], ["purge", "--zone", "a", "--subtree", "b"],
    ["reload", "--zone", "a"], ["status", "--count", "1"],
    ["watch", "--count", "0"], ["watch", "--count", "1.5"],
    ["watch", "--count", "99999999999999999999"], ["check"], ["schema", "x"],
    ["--timeout", "0", "status"], ["--timeout", "1.0001", "status"],
    ["--timeout", "x", "status"], ["--timeout", "1.", "status"],
    ["--timeout", "86400.001", "status"], ["--socket", "x" * 108, "status"],
    ["lookup", "x" * 70000, "A"], ["help", "nope"], ["help", "purge", "x"],
    ["explain"], ["explain", "a"], ["explain", "a", "A", "b"],
    ["explain", "a", "MX"], ["explain", "a", "A", "--client", "x"],
    ["explain", "a", "A", "--client", "192.0.2.1/33"],
    ["explain", "a", "A", "--client", "2001:db8::/129"],
    ["explain", "a", "A", "--client", "192.0.2.1/"],
    ["explain", "a", "A", "--client", ""],
    ["explain", "a", "A", "--client", "1" * 50],
    ["servers", "a", "b"], ["servers", "--client", "192.0.2.1"],
    ["drain"], ["drain", "a"], ["drain", "--reason", "r"],
    ["drain", "a", "b", "--reason", "r"], ["drain", "a", "--reason", ""],
    ["drain", "a", "--reason", "x" * 201],
    ["drain", "a", "--reason", "r", "--for", "0"],
    ["drain", "a", "--reason", "r", "--for", "1500ms"],
    ["drain", "a", "--reason", "r", "--for", "30 m"],
    ["drain", "a", "--reason", "r", "--for", "3651d"],
    ["drain", "a", "--reason", "r", "--for", "9999999999999999999999w"],
    ["drain", "a", "--reason", "r", "--for", ""],
    ["force"], ["force", "sideways", "a", "--reason", "r"],
    ["force", "up", "--reason", "r"], ["force", "up", "a"],
    ["servers", "--pop", "fra"],
    ["undrain"], ["undrain", "a", "b"], ["undrain", "a", "--reason", "r"],
    ["probes", "a", "b"], ["status", "--for", "1s"],
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
    for command in ("status", "lookup", "purge", "explain", "servers",
                    "drain", "undrain", "probes", "check", "reload", "watch",
                    "schema", "help"):
        assert f"\n  {command}" in done.stdout
        one = nzctl("help", command)
        assert one.stdout.startswith(f"usage: nzctl [OPTION...] {command}")
        assert nzctl(command, "--help").stdout == one.stdout
    assert nzctl("--version").stdout.startswith("nzctl (nearzone) ")


# -- traffic management ------------------------------------------------------

@pytest.mark.parametrize("args, want", [
    (["explain", "www.a", "a"],
     {"command": "explain", "name": "www.a", "type": "A"}),
    (["explain", "www.a", "AAAA", "--client", "192.0.2.0/24"],
     {"command": "explain", "name": "www.a", "type": "AAAA",
      "client": "192.0.2.0/24"}),
    (["explain", "www.a", "A", "--client", "2001:db8::1"],
     {"command": "explain", "name": "www.a", "type": "A",
      "client": "2001:db8::1"}),
    (["servers"], {"command": "servers"}),
    (["servers", "fra-a"], {"command": "servers", "server": "fra-a"}),
    (["drain", "fra-a", "--reason", "disk \u00e9"],
     {"command": "drain", "server": "fra-a", "reason": "disk \u00e9"}),
    (["drain", "fra-a", "--reason", "x" * 200, "--for", "30m"],
     {"command": "drain", "server": "fra-a", "reason": "x" * 200,
      "for_s": 1800}),
    (["drain", "--for", "90", "fra-a", "--reason", "r"],
     {"command": "drain", "server": "fra-a", "reason": "r", "for_s": 90}),
    (["drain", "a", "--for", "52w", "--reason", "r"],
     {"command": "drain", "server": "a", "reason": "r",
      "for_s": 52 * 7 * 86400}),
    (["drain", "--pop", "fra", "--reason", "r"],
     {"command": "drain", "pop": "fra", "reason": "r"}),
    (["force", "up", "fra-*", "--reason", "r", "--for", "2h"],
     {"command": "force", "state": "up", "server": "fra-*", "reason": "r",
      "for_s": 7200}),
    (["force", "down", "--pop", "fra", "--reason", "r"],
     {"command": "force", "state": "down", "pop": "fra", "reason": "r"}),
    (["undrain", "fra-a"], {"command": "undrain", "server": "fra-a"}),
    (["undrain", "--pop", "fra"], {"command": "undrain", "pop": "fra"}),
    (["probes"], {"command": "probes"}),
    (["probes", "fra-a"], {"command": "probes", "server": "fra-a"}),
])
def test_traffic_requests(path, args, want):
    answer = line({"ok": True, "explain": {"answer": ["192.0.2.1"]}})
    done, request = talk(path, answer, *args, "--json")
    request = json.loads(request)
    if "reason" in want:  # who says it is of this machine
        assert request.pop("author") != ""
    assert request == want
    assert (done.returncode, done.stdout) == (0, answer.decode())


@pytest.mark.parametrize("args", [
    ["explain", "www.a", "A"], ["servers", "x"], ["undrain", "x"],
    ["drain", "x", "--reason", "r"], ["probes", "x"],
])
def test_traffic_refused(path, args):
    answer = line({"ok": False, "error": "no server is called 'x'"})
    done, _ = talk(path, answer, *args)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"nzctl: {args[0]}: no server is called 'x'\n"


def candidate(server, tier, address, state, verdict, **more):
    return {"server": server, "pop": server[:3], "tier": tier,
            "address": address, "state": state, "weight": 10, "share": 0.0,
            "given": 7,
            "verdict": verdict, **more}


EXPLAIN = {
    "name": "www.example.com", "type": "A", "where": "named's zone",
    "service": "web", "client": "192.0.2.0/24", "rule": "up",
    "tier": "primary", "outcome": "addresses",
    "answer": ["198.51.100.10", "198.51.100.11"], "ttl_s": 90, "scope": 24,
    "candidates": [
        candidate("fra-a", "primary", "198.51.100.10", "up", "chosen",
                  metric=12, age_s=0.412, share=0.75),
        candidate("iad-a", "primary", "203.0.113.10", "down", "not up",
                  metric=65535, age_s=182.9),
        candidate("iad-b", "primary", "203.0.113.11", "new", "not tested",
                  metric=0),
        candidate("dr-a", "backup", "203.0.113.99", "up", "later tier"),
    ],
    "counts": {"decisions": 812, "backup": 0, "fail": 3}}
EXPLAIN_TEXT = """\
www.example.com A for 192.0.2.0/24: the primary servers answer, with 1 of 3 \
addresses up.

server  pop  tier     address        state    age  metric  weight  share  \
given  verdict
fra-a   fra  primary  198.51.100.10  up      0.4s      12      10    75%  \
    7  chosen
iad-a   iad  primary  203.0.113.10   down   3m 3s       -      10      -  \
    7  not up
iad-b   iad  primary  203.0.113.11   new    never       -      10      -  \
    7  not tested
dr-a    dr-  backup   203.0.113.99   up         -       -      10      -  \
    7  later tier

answer    198.51.100.10, 198.51.100.11
ttl       1m 30s
scope     /24 (for clients of this prefix)
lives in  named's zone
service   web
counted   decisions 812, fail 3
"""


def test_explain(path):
    answer = line({"ok": True, "explain": EXPLAIN})
    done, _ = talk(path, answer, "explain", "www.example.com", "A")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == EXPLAIN_TEXT


def test_explain_keeps_its_columns(path):
    """Wherever the first row has nothing, and without those never set."""
    reply = {**EXPLAIN, "candidates": EXPLAIN["candidates"][2:0:-1]
             + EXPLAIN["candidates"][:1]}
    done, _ = talk(path, line({"ok": True, "explain": reply}), "explain",
                   "www.example.com", "A")
    assert ("\nserver  pop  tier     address        state    age  metric  "
            "weight  share  given  verdict\n") in done.stdout
    reply["candidates"] = reply["candidates"][:1]
    done, _ = talk(path + "2", line({"ok": True, "explain": reply}),
                   "explain", "www.example.com", "A")
    assert ("\nserver  pop  tier     address       state    age  weight  "
            "given  verdict\n") in done.stdout


@pytest.mark.parametrize("rule, tier, states, words", [
    ("up", "primary", ["up"], "the primary servers answer, with 1 of 1 "
     "address up."),
    ("up", "backup", ["down", ("backup", "up")], "the backup servers answer, "
     "with 1 of 1 address up; of those before them too little is up."),
    ("up", "hidden", ["down", ("hidden", "up"), ("hidden", "up")],
     "the hidden servers answer, with 2 of 2 addresses up; of the others "
     "too little is up."),
    ("new", "primary", ["new", "down"], "the primary servers answer: 1 of 2 "
     "addresses are not tested yet, and so not known to have failed."),
    ("new", "backup", ["down", ("backup", "new")], "the backup servers "
     "answer: 1 of 1 address is not tested yet, and so not known to have "
     "failed; of those before them too little is up."),
    ("open", "primary", ["down"], 'nothing is up, and "fail" is "open": the '
     "primary servers answer as if they were up."),
    ("open", "primary", ["stale", "down", "stale"], "up.\n2 of 3 results are "
     "too old to count: is nearzone-probed running?"),
    ("last", "primary", ["down"], 'nothing is up, and "fail" is "last": the '
     "server that was up last answers."),
    ("backup", "backup", ["down"], 'nothing is up, and "fail" is "backup": '
     "the backup servers answer all the same."),
    ("of a later release", "x", ["down"], "the rule is 'of a later "
     "release'."),
])
def test_explain_says_why(path, rule, tier, states, words):
    lines = [("primary", s) if isinstance(s, str) else s for s in states]
    answer = line({"ok": True, "explain": {
        **EXPLAIN, "rule": rule, "tier": tier, "client": "0.0.0.0",
        "candidates": [candidate("a", t, "192.0.2.1", s, "chosen")
                       for t, s in lines]}})
    done, _ = talk(path, answer, "explain", "www.example.com", "A")
    assert done.returncode == 0
    head = done.stdout.split("\n\n")[0]
    assert head.startswith("www.example.com A: ")
    assert head.endswith(words)


@pytest.mark.parametrize("rule, outcome, why, answer", [
    ("nodata", "nodata", 'nothing is up, and "fail" is "nodata": the answer '
     "has no record.", "no record (NODATA)"),
    ("servfail", "servfail", 'nothing is up, and "fail" is "servfail": the '
     "answer is SERVFAIL.", "SERVFAIL"),
    ("empty", "nodata", "none of its servers has an IPv6 address, so the "
     "answer has no record.", "no record (NODATA)"),
])
def test_explain_without_address(path, rule, outcome, why, answer):
    reply = line({"ok": True, "explain": {
        "name": "a", "type": "AAAA", "where": "domain", "service": "web",
        "rule": rule, "outcome": outcome, "answer": [], "ttl_s": 30,
        "scope": 0, "candidates": []}})
    done, _ = talk(path, reply, "explain", "a", "AAAA")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (f"a AAAA: {why}\n\nanswer    {answer}\n"
                           "ttl       30s\nscope     /0 (whoever asks)\n"
                           "lives in  domain\nservice   web\n")
    done, _ = talk(path + "2", reply, "explain", "a", "AAAA", "--json")
    assert (done.returncode, done.stdout) == (1, reply.decode())


def servers(now):
    return [
        {"server": "dr-a", "pop": "iad", "weight": 1, "state": "drained",
         "given": 0, "tests": [
             {"address": "203.0.113.99", "service": "web", "state": "up",
              "metric": 40, "age_s": 2.04}],
         "drained": {"reason": "disk swap", "since": now - 7384,
                     "until": now + 86430}},
        {"server": "fra-a", "pop": "fra", "weight": 10, "state": "mixed",
         "given": 81234, "tests": [
             {"address": "198.51.100.10", "service": "web", "state": "up",
              "metric": 12, "age_s": 0.4},
             {"address": "2001:db8::10", "service": "web", "state": "down",
              "metric": 65535, "age_s": 183.2,
              "error": "connection refused"}]},
        {"server": "iad-a", "pop": "iad", "weight": 10, "state": "unknown",
         "given": 7, "tests": [
             {"address": "203.0.113.10", "service": "web",
              "state": "unknown"}]},
        {"server": "free", "pop": "iad", "weight": 0, "state": "up",
         "given": 0, "tests": []}]


def test_servers(path):
    answer = line({"ok": True, "servers": servers(time.time())})
    done, _ = talk(path, answer, "servers")
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.splitlines()
    assert shown[:2] == [
        "4 servers: 1 up, 1 mixed, 1 unknown, 1 drained",
        "  server  pop  weight  state    tests   given  note"]
    assert shown[2].startswith(
        "  dr-a    iad       1  drained  1/1 up      0  disk swap; drained "
        "2h 3m ")
    assert " ago, for 1d " in shown[2] and shown[2].endswith(" more")
    assert shown[3:] == [
        "  fra-a   fra      10  mixed    1/2 up  81234  -",
        "  iad-a   iad      10  unknown  0/1 up      7  -",
        "  free    iad       0  up       -           0  -",
        "tests that are not up:",
        "  server  address       service  state      age  error",
        "  fra-a   2001:db8::10  web      down     3m 3s  connection refused",
        "  iad-a   203.0.113.10  web      unknown  never  -"]


def test_one_server(path):
    one = servers(0)[1]
    one["drained"] = {"reason": "\x1b[2J"}
    done, _ = talk(path, line({"ok": True, "servers": [one]}), "servers",
                   "fra-a")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == """\
1 server: 1 mixed
  server  pop  weight  state  tests   given  note
  fra-a   fra      10  mixed  1/2 up  81234  \\x1b[2J; drained, until further \
notice
tests:
  server  address        service  state    age  metric  error
  fra-a   198.51.100.10  web      up      0.4s      12  -
  fra-a   2001:db8::10   web      down   3m 3s       -  connection refused
"""


def test_no_servers(path):
    done, _ = talk(path, line({"ok": True, "servers": []}), "servers")
    assert (done.returncode, done.stdout) == (0, "0 servers\n")


def test_probes(path):
    row = {"server": "fra-a", "pop": "fra", "address": "198.51.100.10",
           "service": "web", "probe": "https", "node": "fra1", "state": "up",
           "metric": 12, "age_s": 0.06, "since_s": 93784.2, "rows": 1234}
    answer = line({"ok": True, "probes": [
        row,
        {**row, "address": "2001:db8::10", "state": "down", "metric": 65535,
         "age_s": 59.96, "since_s": 12.51, "error": "timed out"},
        {**row, "state": "stale", "age_s": 3600.2, "since_s": 7200},
        {"server": "iad-a", "pop": "iad", "address": "203.0.113.10",
         "service": "web", "probe": "https", "state": "unknown", "rows": 0}],
        "feed": {"batches": 12, "unknown": 1, "last_s": 0.7,
                 "node": "fra1"}})
    done, _ = talk(path, answer, "probes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == """\
4 tests: 1 up, 1 down, 1 stale, 1 unknown
  server  address        service  probe  state      age  metric          for\
  node  error
  fra-a   198.51.100.10  web      https  up        0.1s      12  1d 2h 3m 4s\
  fra1  -
  fra-a   2001:db8::10   web      https  down     1m 0s       -        12.5s\
  fra1  timed out
  fra-a   198.51.100.10  web      https  stale    1h 0s      12        2h 0s\
  fra1  -
  iad-a   203.0.113.10   web      https  unknown  never       -            -\
  -     -
feed:
  batches  12
  unknown  1
  last     0.7s
  node     fra1
"""


def test_drain(path):
    answer = line({"ok": True, "server": "fra-a", "until": 4102444800})
    done, _ = talk(path, answer, "drain", "fra-a", "--reason", "r")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "fra-a: drained until 2100-01-01T00:00:00Z, for ")
    done, _ = talk(path + "2", line({"ok": True, "server": "fra-a"}), "drain",
                   "fra-a", "--reason", "r")
    assert done.stdout == "fra-a: drained until further notice\n"


@pytest.mark.parametrize("was, words", [
    (True, "serves again"), (False, "was not drained")])
def test_undrain(path, was, words):
    answer = line({"ok": True, "server": "fra-a", "was": was})
    done, _ = talk(path, answer, "undrain", "fra-a")
    assert (done.returncode, done.stdout) == (0, f"fra-a: {words}\n")


def test_traffic_status(path):
    given = {"name": "www.a", "server": "x", "address": "192.0.2.1",
             "given": 12}
    answer = line({"ok": True, "status": {"version": "x", "traffic": {
        "hostnames": 2, "decisions": 112, "servers": 3, "up": 2,
        "feed": {"rows": 10, "last_s": 62.1, "node": "fra1"},
        "pops": [{"pop": "fra", "given": 10}, {"pop": "iad", "given": 2}],
        "names": [
            {"name": "www.a", "where": "named's zone",
             "counts": {"decisions": 12, "backup": 0}},
            {"name": "b", "where": "domain",
             "counts": {"decisions": 100, "backup": 1}}],
        "answers": [given, {**given, "server": "y", "given": 0}]}}})
    done, _ = talk(path, answer, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == """\
version  x
traffic:
  hostnames  2
  decisions  112
  servers    3
  up         2
  feed:
    rows  10
    last  1m 2s
    node  fra1
  pops:
    pop  given
    fra     10
    iad      2
  names:
    name   where         decisions  backup
    www.a  named's zone         12       0
    b      domain              100       1
  answers:
    name   server  address    given
    www.a  x       192.0.2.1     12
    www.a  y       192.0.2.1      0
"""


@pytest.mark.parametrize("command", [
    ["explain", "a", "A"], ["servers"], ["servers", "a"], ["probes"],
    ["drain", "a", "--reason", "r"], ["undrain", "a"], ["status"]])
@pytest.mark.parametrize("junk", [
    None, 1, -1e300, "\x1b[2J", [], {}, [1, None, "\n"], [[]], [{}],
    {"a": {"b": []}}])
def test_traffic_junk(path, command, junk):
    """Whatever a member is, nzctl shows something, and ends."""
    deep = {k: junk for k in (
        "name", "type", "rule", "tier", "answer", "ttl_s", "scope", "counts",
        "candidates", "server", "drained", "tests", "state", "age_s",
        "since", "until", "metric", "share", "since_s", "names", "given",
        "traffic", "client", "where", "error", "outcome", "reason")}
    for inner in (junk, deep, [deep], {**deep, "drained": deep,
                                       "traffic": {"names": [deep]},
                                       "candidates": [deep]}):
        answer = line({"ok": True, "explain": inner, "servers": inner,
                       "probes": inner, "feed": inner, "status": inner,
                       "server": junk, "until": junk, "was": junk})
        done, _ = talk(path, answer, *command)
        os.unlink(path)
        assert done.returncode in (0, 1)
        assert "\x1b" not in done.stdout + done.stderr
        assert done.stderr == ""


def test_check(tmp_path):
    good = tmp_path / "good.json"
    good.write_text(json.dumps({"version": 1, "serial": 7, "zones": {
        "example.com": {"origins": [{"address": "192.0.2.1"}]}}}))
    bad = tmp_path / "bad.json"
    bad.write_text('{ "version": 1, "serial": 7,\n "zonez": {} }\n')
    gone = tmp_path / "gone.json"

    done = nzctl("check", str(good))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{good}: ok (1 zone, 0 hostnames, serial 7)\n"
    done = nzctl("check", str(bad), str(good), str(gone))
    assert done.returncode == 1
    assert done.stdout == f"{good}: ok (1 zone, 0 hostnames, serial 7)\n"
    assert done.stderr.startswith(f"{bad}:2: ")
    assert f"\n{gone}: " in done.stderr

    done = nzctl("check", "--json", str(good), str(bad))
    assert (done.returncode, done.stderr) == (1, "")
    doc = json.loads(done.stdout)
    assert doc["ok"] is False
    assert doc["files"] == [{"file": str(good), "serial": 7, "zones": 1,
                             "hostnames": 0}]
    assert (doc["errors"][0]["file"], doc["errors"][0]["line"]) == (str(bad),
                                                                    2)


def test_schema():
    done = nzctl("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["type"] == "object"
