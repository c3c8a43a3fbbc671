# SPDX-License-Identifier: MPL-2.0
"""Bandwidth of POPs, by the counters of a real snmpd."""

import json
import os
import shutil
import sys
import time

import pytest

from nzlib.base import free_port, scratch, wait_for
from nzlib.machines import ADDRESS, Snmpd, send_octets
from nzlib.probed import Probed, Sink

pytestmark = pytest.mark.skipif(
    not (shutil.which("snmpd") or os.path.exists("/usr/sbin/snmpd")),
    reason="no snmpd")

MBIT = 125000  # octets
CAPACITY = 100000000


def switch(snmpd, credentials, **more):
    return {"address": ADDRESS, "port": snmpd.port, "credentials": credentials,
            "interfaces": ["uplink1", "uplink2"], "capacity": CAPACITY,
            "interval": "1s", "timeout": "400ms", **more}


def document(sink, **pops):
    return {"version": 1, "serial": 1, "feed": {"interval": "50ms"},
            "control": {"socket": sink.path},
            "pops": {name: {"probe": "n1", "snmp": snmp}
                     for name, snmp in pops.items()}}


def write(path, doc):
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(doc, f, indent=1)
    os.rename(path + ".new", path)
    return path


def conf_of(doc):
    return write(os.path.join(scratch("snmpconf"), "nearzone.json"), doc)


def values(sink, pop="pop", since=0):
    return [row[3] for row in sink.rows(since)
            if row[0] == "bandwidth" and row[1] == pop]


def wait_value(sink, least, most, pop="pop", since=0, seconds=15):
    def found():
        return [v for v in values(sink, pop, since) if least <= v <= most]
    return wait_for(found, f"{least} to {most} per cent", seconds)[0]


def busy(snmpd, seconds, mbit_in, mbit_out=0):
    """Each interface carries so much, for so long."""
    end = time.monotonic() + seconds
    last = time.monotonic()
    while last < end:
        time.sleep(0.05)
        now = time.monotonic()
        snmpd.grow(int(mbit_in * MBIT * (now - last)),
                   int(mbit_out * MBIT * (now - last)))
        last = now


def test_v2c_sums_interfaces_and_takes_the_larger_direction():
    with Snmpd() as snmpd, Sink() as sink:
        who = snmpd.community()
        doc = document(sink, pop=switch(snmpd, who),
                       into=switch(snmpd, who, direction="in"),
                       out=switch(snmpd, who, direction="out"),
                       one=switch(snmpd, who, interfaces=["2"]),
                       tiny=switch(snmpd, who, capacity=1000))
        with Probed(conf_of(doc), "n1"):
            for pop in ("pop", "into", "out", "one", "tiny"):
                wait_value(sink, 0, 0, pop)
            mark = sink.count()
            busy(snmpd, 4.5, 10, 20)
            # of 100 Mbit/s: two interfaces of 10 in, 20 out
            wait_value(sink, 34, 46, since=mark)
            wait_value(sink, 16, 24, "into", mark)
            wait_value(sink, 34, 46, "out", mark)
            wait_value(sink, 17, 23, "one", mark)
            wait_value(sink, 100, 100, "tiny", mark)
            row = [row for row in sink.rows() if row[1] == "pop"][-1]
            assert abs(row[2] - time.time()) < 10


@pytest.mark.parametrize("auth,priv", [("SHA-256", "AES"), ("SHA", "AES"),
                                       ("SHA-512", "AES-256")])
def test_v3(auth, priv):
    with Snmpd(users=((auth, priv),)) as snmpd, Sink() as sink:
        doc = document(sink, pop=switch(snmpd, snmpd.user()))
        with Probed(conf_of(doc), "n1"):
            wait_value(sink, 0, 0)
            mark = sink.count()
            busy(snmpd, 3.5, 25)
            wait_value(sink, 43, 57, since=mark)


def test_v3_restart_of_the_switch():
    with Snmpd() as snmpd, Sink() as sink:
        doc = document(sink, pop=switch(snmpd, snmpd.user()))
        with Probed(conf_of(doc), "n1") as probed:
            snmpd.grow(10 ** 12)
            wait_value(sink, 0, 0)
            snmpd.stop()
            probed.wait_log("bandwidth of POP 'pop': no answer")
            for interface in snmpd.interfaces:
                interface.update({"in": 0, "out": 0})
            snmpd.set()
            mark = sink.count()
            snmpd.start()
            probed.wait_log(r"bandwidth of POP 'pop': \d.*known again")
            wait_value(sink, 0, 0, since=mark)
            assert max(values(sink)) == 0  # no spike


def test_wraps_and_counters_that_begin_anew():
    cases = {64: True, 32: False}
    for bits, wide in cases.items():
        start = 2 ** bits - 2 * MBIT
        with Snmpd() as snmpd, Sink() as sink:
            snmpd.set(*(snmpd.interface(i, f"uplink{i}", start, wide=wide)
                        for i in (1, 2)))
            doc = document(sink, pop=switch(snmpd, snmpd.community()))
            with Probed(conf_of(doc), "n1"):
                wait_value(sink, 0, 0)
                mark = sink.count()
                busy(snmpd, 3.5, 15)
                assert snmpd.interfaces[0]["in"] > 2 ** bits
                wait_value(sink, 24, 36, since=mark)
                assert max(values(sink)) < 45
                # The same numbers, but the switch says: they began anew.
                for interface in snmpd.interfaces:
                    interface.update({"in": 5, "begun": 12345})
                snmpd.set()
                time.sleep(2.5)
                assert max(values(sink)) < 45
                # It says nothing, but 64 bits do not go back.
                if wide:
                    for interface in snmpd.interfaces:
                        interface["in"] = 1
                    snmpd.set()
                    time.sleep(2.5)
                    assert max(values(sink)) < 45


def test_32_bits_that_cannot_do():
    with Snmpd() as snmpd, Sink() as sink:
        snmpd.set(snmpd.interface(1, "uplink1", wide=False))
        doc = document(sink, pop=switch(
            snmpd, snmpd.community(), interfaces=["uplink1"],
            capacity=100 * 10 ** 9))
        with Probed(conf_of(doc), "n1") as probed:
            probed.wait_log("its 32-bit counters wrap too soon")
            assert values(sink) == []


def test_interfaces_numbered_anew():
    with Snmpd() as snmpd, Sink() as sink:
        doc = document(sink, pop=switch(snmpd, snmpd.community(),
                                        interfaces=["uplink2"]))
        with Probed(conf_of(doc), "n1"):
            wait_value(sink, 0, 0)
            two = snmpd.interfaces[1]
            snmpd.set(snmpd.interface(2, "other", 10 ** 15),
                      {**two, "index": 70})
            time.sleep(2.2)
            assert max(values(sink)) == 0
            mark = sink.count()
            busy(snmpd, 3.5, 30)
            wait_value(sink, 25, 35, since=mark)


def test_what_goes_wrong_is_said():
    with Snmpd(users=(("SHA-256", "AES"),) * 3) as snmpd, Sink() as sink:
        good = snmpd.community()
        os.chmod(snmpd.write("open", "community wonderland\n"), 0o644)
        v3 = snmpd.user()
        cases = {
            "wrong-community": (switch(snmpd, snmpd.write(
                "wrong", "community nobody\n", 0o600)), "no answer"),
            "wrong-port": ({**switch(snmpd, good), "port": free_port()},
                           "no answer"),
            "no-interface": (switch(snmpd, good, interfaces=["eth99"]),
                             "it has no interface 'eth99'"),
            "no-number": (switch(snmpd, good, interfaces=["99"]),
                          "does not tell octets of interface '99'"),
            "no-file": (switch(snmpd, "/nonexistent/community"),
                        "credentials '/nonexistent/community': No such"),
            "open-file": (switch(snmpd, snmpd.path("open")),
                          "is open to others"),
            "a-directory": (switch(snmpd, snmpd.dir), "no regular file"),
            "nonsense": (switch(snmpd, snmpd.write(
                "nonsense", "password wonderland\n", 0o600)),
                "line 1: want community, user, auth or priv"),
            "wrong-auth": (switch(snmpd, snmpd.write(
                "auth", "user probe1\nauth SHA-256 other-pass-12\n"
                "priv AES priv-pass-34\n", 0o600)),
                "[Aa]uthentication|digest|accept"),
            "wrong-user": (switch(snmpd, snmpd.write(
                "user", "user nobody\nauth SHA-256 auth-pass-12\n"
                "priv AES priv-pass-34\n", 0o600)), "[Uu]ser|accept"),
            "wrong-priv": (switch(snmpd, snmpd.write(
                "priv", "user probe2\nauth SHA-256 auth-pass-12\n"
                "priv AES other-pass-34\n", 0o600)), "no answer|[Dd]ecrypt"),
            "good": (switch(snmpd, good), None),
            "good3": (switch(snmpd, v3), None),
        }
        for snmp, _ in cases.values():
            snmp.update({"interval": "4s", "timeout": "150ms"})
        doc = document(sink, **{n: snmp for n, (snmp, _) in cases.items()})
        with Probed(conf_of(doc), "n1") as probed:
            wait_value(sink, 0, 0, "good", seconds=20)
            wait_value(sink, 0, 0, "good3", seconds=20)
            mark = probed.mark()
            probed.process.send_signal(10)  # SIGUSR1
            for pop, (_, words) in cases.items():
                if words:
                    probed.wait_log(rf"bandwidth of '{pop}': .*({words})",
                                    mark)
                    assert values(sink, pop) == []
            text = probed.log()
            for secret in ("wonderland", "other-pass", "auth-pass", "nobody"):
                assert secret not in text.replace(
                    "user nobody", ""), secret
            # Put right, it is read again.
            snmpd.write("wrong", "community wonderland\n", 0o600)
            shutil.copy(snmpd.user(1), snmpd.path("auth"))
            shutil.copy(snmpd.user(2), snmpd.path("priv"))
            for pop in ("wrong-community", "wrong-auth", "wrong-priv"):
                wait_value(sink, 0, 0, pop, seconds=20)


def test_hangs_do_not_hold_up_the_rest():
    with Snmpd() as snmpd, Snmpd() as dead, Sink() as sink:
        doc = document(sink,
                       dead=switch(dead, dead.community(), interval="2s"),
                       pop=switch(snmpd, snmpd.community()))
        doc["services"] = {"web": {"probe": "tcp", "port": free_port(),
                                   "interval": "1s"}}
        doc["pops"]["pop"]["servers"] = {
            "srv": {"addresses": ["127.0.0.11"], "services": ["web"]}}
        with Probed(conf_of(doc), "n1") as probed:
            wait_value(sink, 0, 0)
            wait_value(sink, 0, 0, "dead")
            dead.pause()
            probed.wait_log("bandwidth of POP 'dead': no answer")
            mark = sink.count()
            time.sleep(5)
            assert len(values(sink, "pop", mark)) >= 2
            assert len([r for r in sink.rows(mark) if r[0] == "srv"]) >= 3
            assert values(sink, "dead", mark) == []
            dead.resume()
            wait_value(sink, 0, 0, "dead", mark)
            # A reload while one is being read.
            dead.pause()
            time.sleep(1)
            doc["pops"].pop("dead")
            write(probed.config_path, doc)
            since = probed.reload()
            probed.wait_log("configuration read again", since)
            mark = sink.count()
            wait_value(sink, 0, 0, since=mark)


def test_real_counters_of_this_machine():
    with Snmpd(real=True) as snmpd, Sink() as sink:
        names = snmpd.get(*(f"1.3.6.1.2.1.31.1.1.1.1.{i}" for i in (1,)))
        assert [name.strip('"') for name in names] == ["lo"]
        doc = document(sink, pop=switch(snmpd, snmpd.community(),
                                        interfaces=["lo"]))
        with Probed(conf_of(doc), "n1"):
            def seen():
                send_octets(3000000, 0.2)
                return [v for v in values(sink) if v > 0.5]
            wait_for(seen, "octets of the loopback", 50)


@pytest.mark.parametrize("v3", [False, True])
def test_beyond_1024_descriptors(v3):
    many = ("import os, resource, sys\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
            "for fd in range(3, 1500): os.dup2(0, fd, True)\n"
            "os.execv(sys.argv[1], sys.argv[1:])\n")
    with Snmpd() as snmpd, Sink() as sink:
        who = snmpd.user() if v3 else snmpd.community()
        doc = document(sink, pop=switch(snmpd, who))
        with Probed(conf_of(doc), "n1",
                    prefix=[sys.executable, "-c", many]):
            wait_value(sink, 0, 0)
