# SPDX-License-Identifier: MPL-2.0
"""Starts and ends: bad files, wrong builds, SIGTERM in the midst of work.
named itself always starts, unless its operator said otherwise."""

import glob
import os
import shutil
import socket
import subprocess
import threading
import time

import dns.rcode
import pytest

from nzlib import (Edge, Origin, StartFailed, ask, ask_together, scratch,
                   wait_for, zone_of, zone_text)
from nzlib.ask import make
from nzlib.zones import RICH, fresh_host

# A key unknown, and a text that ends too early; both in line 2.  They
# say where the state is, since the default is outside of the tests' reach.
HEAD = '{{"version": 1, "cache": {{"state-directory": "{}"}},\n'
BAD, SYNTAX = HEAD + ' "zoness": {{}}}}', HEAD + ' "zones"'
DEFAULT_STATE = "/var/lib/bind/nearzone"


@pytest.fixture(scope="module")
def origin():
    with Origin({"example.com": RICH}) as o:
        yield o


def with_own_zone(e):
    """The plugin, and a zone that named serves itself."""
    path = e.write("own.db", zone_text("www A 192.0.2.33"))
    return e.plugin() + f'zone "own.test" {{ type primary; file "{path}"; }};'


def new_edge(origin, **more):
    return Edge({"example.com": zone_of(origin)}, body=with_own_zone, **more)


def own_zone_is_served(edge):
    r = ask(edge, "www.own.test")
    return r.answer and r.answer[0][0].to_text() == "192.0.2.33"


@pytest.mark.parametrize("text,line", [(BAD, 2), (SYNTAX, 2)])
def test_bad_file_at_the_start(origin, text, line):
    edge = new_edge(origin)
    edge.write_json(text.format(edge.dir))
    with edge:
        assert own_zone_is_served(edge)
        r = ask(edge, "www.example.com")
        assert r.rcode() == dns.rcode.REFUSED
        assert f"nearzone.json:{line}" in edge.log()
        edge.wait_log(r"nearzone.*INACTIVE")
        edge.write_json()
        edge.rndc("reconfig")
        wait_for(lambda: ask(edge, "www.example.com").answer,
                 "the repaired file to be in force")
        edge.nzctl("status")


def test_missing_file_at_the_start(origin):
    edge = new_edge(origin)
    os.unlink(edge.json_path)
    with edge:
        assert own_zone_is_served(edge)
        edge.wait_log(r"nearzone.*nearzone\.json")
        if not os.path.exists(DEFAULT_STATE):
            edge.wait_log(r"nearzone.*INACTIVE")


@pytest.mark.parametrize("text", [BAD, SYNTAX, None])
def test_on_error_fail(origin, text):
    edge = new_edge(origin, params="on-error fail;")
    if text:
        edge.write_json(text.format(edge.dir))
        with pytest.raises(StartFailed, match="nearzone.json:2"):
            edge.start()
    else:
        with edge:
            assert ask(edge, "www.example.com").answer


def test_a_selected_zone_that_is_not_there(origin):
    select = 'zones { "example.com"; "example.net"; };'
    edge = new_edge(origin, params=select + " on-error fail;")
    with pytest.raises(StartFailed, match="selected is not in"):
        edge.start()
    with new_edge(origin, params=select) as edge:
        edge.wait_log(r"nearzone.*'example.net' is not in")
        assert ask(edge, "www.example.com").answer


@pytest.mark.parametrize("params,word", [
    ("no-such-parameter yes;", "no-such-parameter"),
    ("on-error perhaps;", "perhaps"), ("zones;", "zones"),
    ('config "/second";', "config")])
def test_bad_parameters_are_named(origin, params, word):
    with pytest.raises(StartFailed, match=f"nearzone.*{word}"):
        new_edge(origin, params=params).start()


@pytest.mark.parametrize("text", [BAD, SYNTAX])
def test_last_good_copy(origin, text):
    edge = new_edge(origin)
    with edge:
        assert ask(edge, "www.example.com").answer
    edge.write_json(text.format(edge.dir))
    mark = edge.mark()
    edge.start_again()
    try:
        assert ask(edge, "www.example.com").answer
        assert own_zone_is_served(edge)
        assert "nearzone.json:2" in edge.log(mark)
        assert "last good" in edge.log(mark)
        config = edge.status()["config"]
        assert "nearzone.json:2" in config["error"]
        edge.write_json()
        edge.nzctl("reload")
        assert not edge.status()["config"].get("error")
    finally:
        edge.stop()


def copied_libdir(rename=None, core=True):
    """The plugin as installed, in a directory of its own."""
    where, source = scratch("lib"), os.environ["NZ_LIBDIR"]
    shutil.copy(os.path.join(source, "nearzone.so"), where)
    if core:
        for path in glob.glob(os.path.join(source, "nearzone", "*")):
            shutil.copytree(path, os.path.join(
                where, "nearzone", rename or os.path.basename(path)))
    return where


@pytest.mark.parametrize("how", ["other", "none", "empty", "not-elf"])
def test_no_core_for_this_bind(origin, how):
    where = copied_libdir("9.18.1-other" if how == "other" else None,
                          core=how != "none")
    if how in ("empty", "not-elf"):
        path, = glob.glob(os.path.join(where, "nearzone", "*", "core.so"))
        with open(path, "wb") as f:
            f.write(b"" if how == "empty" else b"not a library\n")
    with new_edge(origin, libdir=where) as edge:
        assert own_zone_is_served(edge)
        assert ask(edge, "www.example.com").rcode() == dns.rcode.REFUSED
        line, = [x for x in edge.log().splitlines()
                 if "nearzone" in x and "INACTIVE" in x]
        assert "9.18" in line and "install" in line
        edge.rndc("reconfig")
        assert own_zone_is_served(edge)
    with pytest.raises(StartFailed, match="nearzone"):
        new_edge(origin, libdir=where, params="on-mismatch fail;").start()


def test_moved_installation_works(origin):
    with new_edge(origin, libdir=copied_libdir()) as edge:
        assert ask(edge, "www.example.com").answer


def checkconf(edge):
    edge.write_conf()
    done = subprocess.run(["named-checkconf", edge.path("named.conf")],
                          capture_output=True, text=True, timeout=30,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def test_named_checkconf(origin):
    if os.environ.get("NZ_SANITIZER"):
        pytest.skip("named-checkconf has no sanitizer runtime")
    edge = new_edge(origin)
    assert checkconf(edge) == (0, "")
    edge.write_json(BAD.format(edge.dir))
    status, said = checkconf(edge)
    assert status != 0 and "nearzone.json:2" in said and "zoness" in said


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_with_misses_in_flight(origin, workers):
    edge = new_edge(origin, workers=workers).start()
    assert ask(edge, fresh_host()).answer
    origin.pause()
    try:
        queries = [make(fresh_host()) for _ in range(100)] * 2
        client = threading.Thread(target=lambda: ask_together(
            edge, queries, seconds=3))
        client.start()
        wait_for(lambda: edge.counter("misses") >= 200, "misses in flight")
        start = time.monotonic()
        edge.stop()  # asserts the status and the log
        assert time.monotonic() - start < 10
        client.join(20)
    finally:
        origin.resume()


def test_sigterm_right_after_the_start(origin):
    for _ in range(3):
        new_edge(origin).start().stop()


def test_sigterm_during_a_reload(origin):
    edge = new_edge(origin).start()
    edge.rndc("reconfig")
    edge.write_json()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(edge.socket)
        s.sendall(b'{"command":"reload"}\n' * 20)
        edge.stop()


def test_clients_that_vanish_while_they_wait(origin):
    """TCP clients close with a question under way; UDP sockets are gone."""
    with new_edge(origin) as edge:
        origin.pause()
        try:
            for _ in range(30):
                wire = make(fresh_host()).to_wire()
                with socket.create_connection(
                        ("127.0.0.1", edge.port), 5) as s:
                    s.sendall(len(wire).to_bytes(2, "big") + wire)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.sendto(wire, ("127.0.0.1", edge.port))
            wait_for(lambda: edge.counter("misses") >= 31, "the misses")
        finally:
            origin.resume()
        assert ask(edge, fresh_host()).answer
        assert own_zone_is_served(edge)


def test_no_room_to_wait(origin):
    """limits.waiters: one more is told SERVFAIL, not left to wait."""
    edge = new_edge(origin)
    edge.doc["limits"] = {"waiters": 10}
    edge.doc["zones"]["example.com"]["admission"] = {"unknown": "off"}
    edge.write_json()
    with edge:
        origin.pause()
        replies = []
        try:
            client = threading.Thread(target=lambda: replies.extend(
                ask_together(edge, [make(fresh_host()) for _ in range(40)])))
            client.start()
            wait_for(lambda: edge.counter("overload") >= 30, "the overload")
            assert own_zone_is_served(edge)
        finally:
            origin.resume()
        client.join(20)
        rcodes = [r.rcode() for r in replies]
        assert rcodes.count(dns.rcode.NOERROR) == 10
        assert rcodes.count(dns.rcode.SERVFAIL) == 30
        assert ask(edge, fresh_host()).answer
