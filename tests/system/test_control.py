# SPDX-License-Identifier: MPL-2.0
"""The control socket under abuse: bounded, and harmless to queries."""

import contextlib
import json
import os
import socket
import stat

import pytest

from nzlib import Edge, Load, Origin, ask, control, wait_for, zone_of
from nzlib.ask import noise
from nzlib.base import patience
from nzlib.zones import RICH, fresh_host


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH}) as o:
        yield o


@pytest.fixture(scope="module")
def edge(origin):
    with Edge({"example.com": zone_of(origin)}) as e:
        yield e


@pytest.fixture
def busy(edge):
    """Queries go on during the test, and none may be lost or refused."""
    load = Load(edge, ["www.example.com", "mail.example.com",
                       "nowhere.example.com", fresh_host()], rate=300)
    load.start()
    wait_for(lambda: sum(load.rcodes.values()) > 20, "the load to run")
    yield load
    before = load.sent
    wait_for(lambda: load.sent > before + 20, "the load to go on")
    load.finish()
    assert load.lost == []
    assert set(load.rcodes) <= {0, 3}


@contextlib.contextmanager
def connection(edge, seconds=10):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(patience(seconds))
        wait_for(lambda: connected(s, edge.socket), "room in the backlog")
        yield s


def connected(s, path):
    """True, or False while there is no room in the listener's backlog."""
    try:
        s.connect(path)
    except BlockingIOError:
        return False
    return True


def everything(s):
    """All octets until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := s.recv(65536):
            data += more
    return data


def lines_of(s, n):
    data = b""
    while data.count(b"\n") < n:
        more = s.recv(65536)
        if not more:
            break
        data += more
    return [json.loads(line) for line in data.splitlines()]


def works(edge):
    assert edge.nzctl("status")["ok"] is True


def test_the_socket_is_for_its_group_only(edge):
    mode = os.stat(edge.socket).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


def test_one_line_one_answer_in_order(edge):
    with connection(edge) as s:
        s.sendall(b'{"command":"status"}\n{"command":"nonsense"}\n'
                  b'not json\n[]\n{"command":7}\n{}\n'
                  b'{"command":"lookup","name":"www.example.com",'
                  b'"type":"A"}\n{"command":"status"}\n')
        said = lines_of(s, 8)
    assert [r["ok"] for r in said] == [True] + [False] * 5 + [True, True]
    assert all(r["error"] for r in said if not r["ok"])
    assert "status" in said[0] and "state" in said[6]


@pytest.mark.parametrize("line", [
    b'{"command":"purge"}', b'{"command":"purge","name":7}',
    b'{"command":"purge","name":"a..b"}', b'{"command":"purge","zone":"x"}',
    b'{"command":"lookup"}', b'{"command":"lookup","name":"www.example.com"}',
    b'{"command":"lookup","name":"www.example.com","type":"NONSENSE"}',
    b'{"command":"lookup","name":"' + b"a" * 3000 + b'","type":"A"}',
    b'{"command":"lookup","name":"\\u0000","type":"A"}',
    b'{"command":"st\\u0000atus"}', b'{"command":""}', b'"status"', b"null",
    b"[" * 5000, b'{"a":' * 5000, b'{"command":"status"', b"\x00\xff\xfe",
    b'{"command":"' + b"x" * 60000 + b'"}'])
def test_bad_lines_are_refused_and_said_so(edge, line):
    with connection(edge) as s:
        s.sendall(line + b"\n")
        reply, = lines_of(s, 1)
        assert reply["ok"] is False and reply["error"]
    works(edge)


def test_noise(edge, busy):
    for seed in range(30):
        with connection(edge) as s:
            with contextlib.suppress(ConnectionError):
                s.sendall(noise(seed, 1 << (seed % 17)))
    works(edge)


def test_half_lines_and_silence(edge, busy):
    with contextlib.ExitStack() as stack:
        for text in (b"", b"{", b'{"command":"sta', b'{"command":"status"}'):
            for _ in range(5):
                stack.enter_context(connection(edge)).sendall(text)
        works(edge)
    works(edge)


def test_a_line_in_pieces_is_a_line(edge):
    with connection(edge) as s:
        for octet in b'{"command":"status"}\n':
            s.sendall(bytes([octet]))
        assert lines_of(s, 1)[0]["ok"] is True


def test_a_huge_line_is_cut_off(edge, busy):
    with connection(edge) as s:
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                s.sendall(b"x" * 65536)
        said = everything(s)
        if said:
            assert json.loads(said.splitlines()[0])["ok"] is False
    works(edge)


def test_a_thousand_connections(edge, busy):
    """Most are turned away; when they are gone, it works as before."""
    with contextlib.ExitStack() as stack:
        turned_away = 0
        for _ in range(1000):
            s = stack.enter_context(
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            s.setblocking(False)
            try:
                s.connect(edge.socket)
                s.send(b'{"command":"status"}\n')
            except OSError:
                turned_away += 1
        assert ask(edge, "www.example.com").answer
    wait_for(lambda: _status_or_none(edge), "the control socket to recover")


def _status_or_none(edge):
    try:
        with control(edge) as call:
            return call({"command": "status"}).get("ok")
    except (OSError, ValueError):
        return None


def test_a_slow_reader_is_bounded(edge, busy):
    """It asks for ever and reads nothing: the others do not notice."""
    with connection(edge, 0.3) as s:
        with contextlib.suppress(OSError):
            for _ in range(3000):
                s.sendall(b'{"command":"status"}\n' * 50)
        works(edge)
        assert ask(edge, fresh_host()).answer
    works(edge)


def test_clients_that_leave_before_the_answer(edge, busy):
    for _ in range(200):
        with connection(edge) as s:
            s.sendall(b'{"command":"status"}\n{"command":"purge",'
                      b'"zone":"example.com"}\n')
    works(edge)


def test_watchers_that_do_not_read(edge, busy):
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            s = stack.enter_context(connection(edge))
            s.sendall(b'{"command":"watch"}\n')
        for _ in range(50):
            edge.nzctl("reload")
    works(edge)


def test_socket_of_a_killed_named_is_replaced(origin):
    edge = Edge({"example.com": zone_of(origin)}).start()
    edge.kill()
    assert os.path.exists(edge.socket)
    edge.start_again()
    works(edge)
    edge.stop()
    assert not os.path.exists(edge.socket)


def test_a_live_socket_is_not_taken_away(origin, edge):
    other = Edge({"example.com": zone_of(origin)}, what="other")
    other.doc["control"]["socket"] = edge.socket
    other.write_json()
    with other:
        assert ask(other, "www.example.com").answer
        other.wait_log(r"nearzone.*control\.sock")
    works(edge)
