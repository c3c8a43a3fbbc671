# SPDX-License-Identifier: MPL-2.0
"""Answers that are in memory before anybody asks: names that are listed, and
whole zones, by hand and at the first miss."""

import json
import os
import re
import subprocess
import threading

import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import (CLOSE, Edge, FakeOrigin, Origin, Raw, answer_to, ask,
                   ask_together, rrset, same, tsig_key, wait_for, zone_of,
                   zone_text)
from nzlib.ask import make, noise
from nzlib.edge import control

ZONE = "example.com"
RECORDS = """
@ MX 10 mail
mail A 192.0.2.25
www A 192.0.2.1
www AAAA 2001:db8::1
www TXT "one"
alias CNAME www
srv SRV 1 1 80 www
sub NS ns.sub
ns.sub A 192.0.2.5
dn DNAME tree
x.tree A 192.0.2.7
*.wild A 192.0.2.9
deep.ent A 192.0.2.12
zero 0 A 192.0.2.13
zero 0 AAAA 2001:db8::13
"""

# what a fill of the zone asks for, less what is not to be kept
QUESTIONS = [
    ("@", "SOA"), ("@", "NS"), ("@", "MX"), ("ns1", "A"), ("ns1", "AAAA"),
    ("mail", "A"), ("mail", "AAAA"), ("www", "A"), ("www", "AAAA"),
    ("www", "TXT"), ("alias", "A"), ("alias", "AAAA"), ("alias", "CNAME"),
    ("srv", "SRV"), ("sub", "NS"), ("sub", "DS"), ("dn", "DNAME"),
    ("x.tree", "A"), ("x.tree", "AAAA"), ("*.wild", "A"), ("*.wild", "AAAA"),
    ("deep.ent", "A"), ("deep.ent", "AAAA"),
]
BRIEF = [("zero", "A"), ("zero", "AAAA")]
TRANSFER = "allow-transfer { any; };"


def fqdn(name):
    return ZONE if name == "@" else f"{name}.{ZONE}"


def edge_of(origin, **more):
    return Edge({ZONE: zone_of(origin, **more)})


def asked(origin, since=0):
    """What was asked, without the transfer and SOA polls of nobody."""
    return sorted((q.name, q.rdtype) for q in origin.questions(since)
                  if q.rdtype not in ("AXFR", "IXFR"))


def wanted(questions=QUESTIONS):
    return sorted((fqdn(name), rdtype) for name, rdtype in questions)


def fill_of(edge):
    return edge.status()["zones"][0].get("fill") or {}


def wait_filled(edge, **more):
    def is_filled():
        fill = fill_of(edge)
        return fill.get("state") == "idle" and fill.get("time") and all(
            fill.get(k) == v for k, v in more.items()) and fill
    return wait_for(is_filled, f"a fill with {more}", 20)


@pytest.fixture(name="origin", scope="module")
def origin_fixture():
    with Origin({ZONE: zone_text(RECORDS)}, zone_options=TRANSFER) as o:
        yield o


@pytest.fixture(name="edge")
def edge_fixture(origin):
    with edge_of(origin) as e:
        yield e


# -- lists ---------------------------------------------------------------


def test_names(origin, edge):
    mark = origin.mark()
    r = edge.nzctl("populate", "www." + ZONE, "mail.EXAMPLE.com. MX,a,TXT",
                   "nothing.example.com AAAA")
    assert (r["names"], r["asked"], r["kept"]) == (3, 6, 6)
    assert asked(origin, mark) == sorted([
        ("www." + ZONE, "A"), ("www." + ZONE, "AAAA"), ("mail." + ZONE, "MX"),
        ("mail." + ZONE, "A"), ("mail." + ZONE, "TXT"),
        ("nothing." + ZONE, "AAAA")])
    mark = origin.mark()
    assert ask(edge, "www." + ZONE).answer
    assert ask(edge, "nothing." + ZONE, "AAAA").rcode() == dns.rcode.NXDOMAIN
    assert edge.counter("misses") == 0 and edge.counter("filled") == 6
    # what is there is left alone
    r = edge.nzctl("populate", "www." + ZONE, "mail." + ZONE)
    assert (r["asked"], r["kept"], r["known"]) == (1, 1, 3)
    assert len(asked(origin, mark)) == 1
    # unless told otherwise
    r = edge.nzctl("populate", "--renew", "www." + ZONE)
    assert (r["asked"], r["kept"]) == (2, 2)
    assert len(asked(origin, mark)) == 3


def test_what_is_not_to_be_kept(edge):
    r = edge.nzctl("populate", "zero." + ZONE)
    assert (r["kept"], r["brief"], r["failed"]) == (0, 2, 0)


def test_a_file_with_junk(origin, edge):
    path = edge.write("names", f"""
# a comment
www.{ZONE} A   # and another
  mail.{ZONE}\tA,MX
www.other.test
..bad..
x{'y' * 70}.{ZONE}
www.{ZONE} NOTATYPE,A,ANY
www.{ZONE} A AAAA
{'z' * 9000}
\\255\\000.{ZONE} A
alias.{ZONE}""")
    with open(path, "ab") as f:
        f.write(b"\n\xff\xfe." + ZONE.encode() + b" A\n\0nul." +
                ZONE.encode() + b"\nsrv." + ZONE.encode() + b" SRV\na#b." + ZONE.encode() +
                b" TXT # \xff")
    done = subprocess.run(
        [os.environ["NZCTL"], "--socket", edge.socket, "populate", "--file",
         path], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    where = re.findall(r"names:(\d+): (.*)", done.stderr)
    assert [int(n) for n, _ in where] == [6, 7, 9, 10, 14, 5, 8, 8]
    assert "'www.other.test' is in no edge zone" in done.stderr
    assert "not a record type to ask for: 'NOTATYPE'" in done.stderr
    assert "not a record type to ask for: 'ANY'" in done.stderr
    sums = dict(re.findall(r"^(\w+):? +(\d+)$", done.stdout, re.M))
    assert sums["outside"] == "1" and sums["faulty"] == "7", done
    assert sums["kept"] == "9" and sums["failed"] == "0", done
    for name, rdtype in (("www", "A"), ("mail", "MX"), ("alias", "AAAA"),
                         ("srv", "SRV"), ("\\255\\254", "A"), ("a#b", "TXT")):
        assert edge.lookup(fqdn(name), rdtype) == "fresh"
    assert asked(origin) != []


def test_names_outside_alone_are_no_failure(edge):
    r = edge.nzctl("populate", "www.other.test", "www." + ZONE)
    assert (r["outside"], r["kept"]) == (1, 2)


def test_usage(edge):
    for args in ([], ["--max", "5", "a.example.com"], ["--max", "0"],
                 ["--file", "x", "a.example.com"], ["--zone", "x", "--count",
                                                    "1"]):
        done = subprocess.run(
            [os.environ["NZCTL"], "--socket", edge.socket, "populate", *args],
            capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 2, args
    edge.nzctl("populate", "--file", "/nonexistent", status=(1,), plain=True)
    edge.nzctl("populate", "--zone", "not.here", status=(1,))


def test_a_hostile_list(edge):
    bad = [None, "x", 1, {}, [], [[]], [["a"] * 18], [1], ["a.example.com"],
           [["a"]] * 5000]
    with control(edge) as call:
        for names in bad[1:]:
            r = call({"command": "populate", "names": names})
            assert not r["ok"], names
        r = call({"command": "populate", "names": [[1, 2], [None], [["x"]],
                                                   ["www.example.com", 7]]})
        assert r["ok"] and r["faulty"] == 4 and r["asked"] == 0
        # what is shown of a long name ends with a whole character
        for i in range(3):
            r = call({"command": "populate",
                      "names": [["a" * i + "\u20ac" * 200]]})
            assert r["faulty"] == 1
            r = call({"command": "populate", "zone": "a" * i + "\u20ac" * 200})
            assert not r["ok"]
        assert not call({"command": "populate"})["ok"]
        assert not call({"command": "populate", "zone": ZONE, "max": -1})["ok"]
        assert not call({"command": "populate", "zone": ZONE,
                         "max": 1 << 40})["ok"]
        assert not call({"command": "populate", "zone": "x",
                         "names": [["www.example.com"]]})["ok"]


def test_many_lines():
    """100000 lines, of which every one is asked for once."""
    with Origin({ZONE: zone_text("* A 192.0.2.1")},
                ) as o, edge_of(o) as e:
        o.rndc("querylog", "off")
        path = e.write("names", "".join(
            f"h{i}.{ZONE} A\n" for i in range(100000)))
        done = subprocess.run(
            [os.environ["NZCTL"], "--json", "--socket", e.socket, "populate",
             "--file", path], capture_output=True, text=True, check=True,
            timeout=300)
        assert '"kept":100000' in done.stdout
        o.stop()
        for i in (0, 1, 499, 500, 99999):
            assert ask(e, f"h{i}.{ZONE}").answer


# -- zones ---------------------------------------------------------------


def apex_types(origin):
    """The types that a transfer has at the apex, but signatures and proofs."""
    types = set()
    for message in dns.query.xfr(origin.address, ZONE, port=origin.port,
                                 relativize=False, lifetime=10):
        types |= {dns.rdatatype.to_text(r.rdtype) for r in message.answer
                  if r.name == dns.name.from_text(ZONE)}
    return types - {"RRSIG", "NSEC", "NSEC3"}


@pytest.mark.parametrize("signed", [None, "nsec", "nsec3"])
def test_a_zone(signed):
    policy = """
dnssec-policy "nsec" { keys { csk lifetime unlimited algorithm 13; }; };
dnssec-policy "nsec3" { keys { csk lifetime unlimited algorithm 13; };
    nsec3param; };
"""
    options = TRANSFER + (f'dnssec-policy "{signed}"; inline-signing yes;'
                          if signed else "")
    with Origin({ZONE: zone_text(RECORDS)}, zone_options=options,
                options='key-directory ".";', body=policy) as o, \
            edge_of(o) as e:
        more = []
        if signed:
            wait_for(lambda: any(
                r.rdtype in (47, 50)
                for r in ask(o, "nx." + ZONE, do=True).authority),
                "the zone to be signed", 20)
            more = [("@", t) for t in apex_types(o)
                    if ("@", t) not in QUESTIONS]
            assert ("@", "DNSKEY") in more
            assert (("@", "NSEC3PARAM") in more) == (signed == "nsec3")
        mark = o.mark()
        r = e.nzctl("populate", "--zone", ZONE)
        assert asked(o, mark) == wanted(QUESTIONS + BRIEF + more)
        assert len(o.questions(mark, rdtype="AXFR")) == 1
        # named gives these the TTL 0
        keep = QUESTIONS + [q for q in more
                            if q[1] not in ("TYPE65534", "NSEC3PARAM")]
        assert r["kept"] == len(keep)
        assert r["brief"] == 2 + len(QUESTIONS + more) - len(keep)
        assert (r["failed"], r["zone"]) == (0, ZONE)
        e.wait_log(f"zone '{ZONE}': filled: serial")
        theirs = {q: ask(o, fqdn(q[0]), q[1], do=bool(signed))
                  for q in keep}
        o.kill()  # and all is still answered, as it was there
        for q, reply in theirs.items():
            same(ask(e, fqdn(q[0]), q[1], do=bool(signed)), reply)
        assert e.counter("misses") == 0 and e.counter("stale") == 0


def test_a_zone_again(origin, edge):
    edge.nzctl("populate", "--zone", ZONE)
    mark = origin.mark()
    r = edge.nzctl("populate", "--zone", ZONE)
    assert asked(origin, mark) == wanted(BRIEF)
    assert r["known"] == len(QUESTIONS)
    r = edge.nzctl("populate", "--zone", ZONE, "--renew")
    assert r["kept"] == len(QUESTIONS)


def test_names_of_a_zone_within():
    """They are answered by another's origin."""
    with Origin({ZONE: zone_text("www A 192.0.2.1\nin.sub A 192.0.2.2")},
                zone_options=TRANSFER) as o, \
            Origin({"sub." + ZONE: zone_text("in A 192.0.2.3")}) as o2, \
            Edge({ZONE: zone_of(o), "sub." + ZONE: zone_of(o2)}) as e:
        e.nzctl("populate", "--zone", ZONE)
        assert ("in.sub." + ZONE, "A") not in asked(o)
        assert ask(e, "in.sub." + ZONE).answer[0][0].to_text() == "192.0.2.3"


def test_zones_of_one_name(origin):
    """Views may each have one: names are for all of them, or that of an id."""
    with Origin({ZONE: zone_text(RECORDS)}, zone_options=TRANSFER) as o, \
            Edge({"one": zone_of(origin, name=ZONE),
                  "two": zone_of(o, name=ZONE)}) as e:
        assert e.nzctl("populate", "www." + ZONE)["kept"] == 4
        assert len(o.questions(name="www." + ZONE)) == 2
        r = e.nzctl("populate", "--zone", "two", "mail." + ZONE)
        assert r["kept"] == 2
        assert len(o.questions(name="mail." + ZONE)) == 2
        r = e.nzctl("populate", "--zone", "two", "www.other.test")
        assert r["outside"] == 1
        r = e.nzctl("populate", "--zone", ZONE, status=(1,))
        assert "id" in r["error"]
        r = e.nzctl("populate", "--zone", "two")
        assert (r["zone"], r["kept"], r["known"]) == (
            "two", len(QUESTIONS) - 4, 4)


def test_an_event(edge):
    # pylint: disable-next=consider-using-with
    p = subprocess.Popen(
        [os.environ["NZCTL"], "--socket", edge.socket, "watch", "--count",
         "1"], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: edge.status()["control"]["subscribers"] == 1, "a reader")
    edge.nzctl("populate", "--zone", ZONE)
    out, _ = p.communicate(timeout=20)
    assert "zone-filled" in out and f"kept={len(QUESTIONS)}" in out


def test_a_refused_transfer():
    with Origin({ZONE: zone_text(RECORDS)},
                zone_options="allow-transfer { none; };") as o, \
            edge_of(o, fill="zone") as e:
        r = e.nzctl("populate", "--zone", ZONE, status=(1,))
        assert "allow-transfer" in r["error"] and r["asked"] == 0
        # nor by itself, and then not again and again
        def transfers():
            return len(o.questions(rdtype="AXFR"))

        ask(e, "nothing." + ZONE)
        assert transfers() == 1
        mark = e.mark()
        e.nzctl("reload")
        ask(e, "more." + ZONE)
        e.wait_log("refuses the transfer.*an hour", mark)
        assert transfers() == 2
        for i in range(3):
            ask(e, f"nothing{i}.{ZONE}")
        now = e.status()["uptime_s"]
        wait_for(lambda: e.status()["uptime_s"] >= now + 2, "a few ticks")
        assert transfers() == 2


def test_the_second_origin_is_asked():
    text = zone_text(RECORDS)
    with Origin({ZONE: text}, zone_options="allow-transfer { none; };") as o, \
            Origin({ZONE: text}, zone_options=TRANSFER) as o2, \
            Edge({ZONE: zone_of(o, o2)}) as e:
        assert e.nzctl("populate", "--zone", ZONE)["kept"] == len(QUESTIONS)
        o2.stop()
        r = e.nzctl("populate", "--zone", ZONE, status=(1,))
        assert "transfer from origin" in r["error"]


def test_a_transfer_with_a_key():
    key = tsig_key("edge-key", "of the edge")
    with Origin({ZONE: zone_text(
            RECORDS + "$GENERATE 1-3000 h$ A 192.0.2.1")}, body=key,
            options='allow-query { key edge-key; };',
            zone_options="allow-transfer { key edge-key; };") as o, \
            Edge({ZONE: zone_of({"address": o.address, "port": o.port,
                                 "key": "edge-key"})},
                 body=lambda e: key + e.plugin()) as e:
        # keys are the views', which show themselves with a question
        r = e.nzctl("populate", "--zone", ZONE, status=(1,))
        assert "edge-key" in r["error"]
        r = e.nzctl("populate", "www." + ZONE, status=(1,))
        assert (r["asked"], r["failed"]) == (0, 2)
        assert e.lookup("www." + ZONE) == "absent"
        assert ask(e, "www." + ZONE).answer
        r = e.nzctl("populate", "--zone", ZONE)
        assert (r["failed"], r["known"]) == (0, 1)
        assert r["kept"] == len(QUESTIONS) + 6000 - 1
        assert o.questions(rdtype="AXFR")[0].key == "edge-key"


def test_a_zone_that_is_too_large(origin):
    with edge_of(origin) as e:
        r = e.nzctl("populate", "--zone", ZONE, "--max", "17", status=(1,))
        assert "more than 17 records" in r["error"] and r["asked"] == 0
        assert e.nzctl("populate", "--zone", ZONE, "--max", "18")["kept"]


def soa(serial=1):
    return rrset(ZONE + ".", 300, "SOA", f"ns1. h. {serial} 3600 600 86400 300")


def address(name):
    return rrset(name, 300, "A", "192.0.2.1")


def whole(q, *records):
    """A zone in one message."""
    return in_order(q, soa(), *records, soa())


def in_order(q, *records):
    """A reply with these records, one after the other."""
    reply = answer_to(q, *records, edns=False)
    return reply.to_wire(max_size=65535)


TRANSFERS = {
    "nothing": in_order,
    "other names": lambda q: whole(q, address("www.other.test."),
                                   address("other.test.")),
    "no end": lambda q: in_order(q, soa(), address("www." + ZONE + ".")),
    "cut": lambda q: [in_order(q, soa(), address("www." + ZONE + ".")),
                      CLOSE],
    "two versions": lambda q: in_order(q, soa(), address(
        "www." + ZONE + "."), soa(2)),
    "noise": lambda q: Raw(b"\0\x20" + noise(7, 32)),
    "no SOA": lambda q: in_order(q, address("www." + ZONE + ".")),
    "another's SOA": lambda q: whole(q, rrset(
        "sub." + ZONE + ".", 300, "SOA", "ns1. h. 1 3600 600 86400 300")),
    "after its end": lambda q: in_order(q, soa(), soa(), soa()),
    "a SOA alone": lambda q: whole(q),
}


@pytest.mark.parametrize("kind", TRANSFERS)
def test_a_hostile_transfer(kind):
    def say(q, _):
        if q.question[0].rdtype == 252:
            return TRANSFERS[kind](q)
        return answer_to(q, authority=[soa()])

    with FakeOrigin(say) as o, edge_of(o) as e:
        good = kind in ("other names", "a SOA alone")
        r = e.nzctl("populate", "--zone", ZONE, status=(0 if good else 1,))
        assert r["ok"] == good and r["asked"] == good, r
        assert ask(e, "www." + ZONE).rcode() == dns.rcode.NOERROR


# -- at the first miss ---------------------------------------------------


def test_the_first_miss(origin):
    with edge_of(origin, fill="zone") as e:
        mark = origin.mark()
        assert origin.questions(mark) == []
        ask(e, "www." + ZONE)
        fill = wait_filled(e, kept=len(QUESTIONS) - 1, known=1)
        assert fill["failed"] == 0 and "error" not in fill
        misses = e.counter("misses")
        for name, rdtype in QUESTIONS:
            ask(e, fqdn(name), rdtype)
        assert e.counter("misses") == misses == 1
        # another miss does not begin it again
        mark = origin.mark()
        for i in range(5):
            ask(e, f"none{i}.{ZONE}")
        ask(e, "www." + ZONE)
        assert len(asked(origin, mark)) == 5
        assert origin.questions(mark, rdtype="AXFR") == []
        # but one after a purge of the zone does
        e.nzctl("purge", "--zone", ZONE)
        assert fill_of(e)["state"] == "idle"
        mark = origin.mark()
        ask(e, "www." + ZONE)
        wait_for(lambda: e.lookup("x.tree." + ZONE, "AAAA") == "fresh",
                 "the zone to be filled again", 20)
        assert len(origin.questions(mark, rdtype="AXFR")) == 1


def test_first_misses_of_many_at_once(origin):
    with edge_of(origin, fill="zone") as e:
        mark = origin.mark()
        assert all(ask_together(e, [make(fqdn(name), rdtype)
                                    for name, rdtype in QUESTIONS] * 3))
        wait_filled(e)
        assert len(origin.questions(mark, rdtype="AXFR")) == 1
        assert len(asked(origin, mark)) == len(QUESTIONS + BRIEF)


def test_a_miss_in_a_zone_that_is_too_large(origin):
    with edge_of(origin, fill="zone", **{"fill-max": 5}) as e:
        ask(e, "www." + ZONE)
        e.wait_log("more than 5 records.*an hour")
        assert len(asked(origin)) > 0 and fill_of(e)["asked"] == 0
        mark = origin.mark()
        ask(e, "mail." + ZONE)
        assert origin.questions(mark, rdtype="AXFR") == []


def test_a_zone_that_changes(origin):
    """Where no difference is to be had the zone goes, and is filled again."""
    text = zone_text(RECORDS)
    with Origin({ZONE: text}, options="provide-ixfr no;",
                zone_options=TRANSFER) as o, \
            edge_of(o, fill="zone", poll="1s") as e:
        ask(e, "www." + ZONE)
        e.wait_log("filled: serial 1", seconds=20)
        o.change(ZONE, zone_text(RECORDS.replace("192.0.2.7", "192.0.2.77"),
                                 serial=2))
        wait_for(lambda: e.status()["zones"][0]["fresh"]["serial"] == 2,
                 "the new serial", 20)
        ask(e, "www." + ZONE)
        e.wait_log("filled: serial 2", seconds=20)
        reply = ask(e, "x.tree." + ZONE)
        assert reply.answer[0][0].to_text() == "192.0.2.77"
        misses = e.counter("misses")
        for name, rdtype in QUESTIONS:
            ask(e, fqdn(name), rdtype)
        assert e.counter("misses") == misses


# -- what may happen meanwhile -------------------------------------------


def start_populate(edge, *args):
    """nzctl in the background: it waits for the end."""
    # pylint: disable-next=consider-using-with
    return subprocess.Popen(
        [os.environ["NZCTL"], "--json", "--socket", edge.socket, "populate",
         *args], stdout=subprocess.PIPE, text=True)


@pytest.fixture(name="hung")
def hung_fixture():
    """An edge that has asked for 32 of many names, and has no answer yet; they
    come when the last that it yields is set."""
    held, go = [], threading.Event()

    def answer(q, _):
        name = q.question[0].name
        if q.question[0].rdtype == 252:
            return whole(q, *[address(f"h{i}.{ZONE}.")
                              for i in range(300)])
        held.append((name.to_text(True), q.question[0].rdtype))
        if not go.wait(20):
            return None
        if q.question[0].rdtype == dns.rdatatype.A:
            return answer_to(q, address(name))
        return answer_to(q, authority=[soa()])

    with FakeOrigin(answer) as o:
        zone = {"origins": [{"address": o.address, "port": o.port,
                             "timeout": "8s"}]}
        with Edge({ZONE: zone}) as e:
            p = start_populate(e, "--zone", ZONE)
            wait_for(lambda: len(held) == 32, "a window of questions")
            assert fill_of(e)["state"] == "asking"
            yield e, p, held, go
            go.set()
            p.kill()
            p.wait()


def end_of(p):
    out, _ = p.communicate(timeout=30)
    return p.returncode, out


def test_one_at_a_time(hung):
    e, _, held, _ = hung
    r = e.nzctl("populate", "--zone", ZONE, status=(1,))
    assert "being filled just now" in r["error"]
    assert len(held) == 32


def test_a_purge_meanwhile(hung):
    e, p, held, _ = hung
    e.nzctl("purge", "--zone", ZONE)
    status, out = end_of(p)
    assert status == 1 and "purged or dropped" in out
    assert len(held) == 32


def test_a_purge_of_a_name_meanwhile(hung):
    """What was under way is asked again, and that is kept."""
    e, p, held, go = hung
    name, rdtype = held[0]
    e.nzctl("purge", name)
    assert p.poll() is None and fill_of(e)["state"] == "asking"
    go.set()
    status, out = end_of(p)
    assert status == 0 and json.loads(out)["kept"] == 601
    assert held.count((name, rdtype)) == 2
    assert len(held) == 601 + sum(n == name for n, _ in held[:32])
    assert e.lookup(name, dns.rdatatype.to_text(rdtype)) == "fresh"


def test_a_reload_meanwhile(hung):
    e, p, held, _ = hung
    e.nzctl("reload")
    e.rndc("reconfig")
    assert p.poll() is None and fill_of(e)["state"] == "asking"
    e.doc["zones"] = {"other.test": e.doc["zones"][ZONE]}
    e.write_json()
    e.nzctl("reload")
    status, out = end_of(p)
    assert status == 1 and "no longer configured" in out
    assert len(held) == 32


def test_the_end_of_named_meanwhile(hung):
    e, p, *_ = hung
    e.stop()
    assert end_of(p)[0] in (1, 3)


def test_who_asked_has_gone(hung):
    e, p, held, _ = hung
    p.kill()
    p.wait()
    assert "hung up" in wait_filled(e)["error"]
    assert len(held) == 32


def test_the_origin_dies_meanwhile():
    """Given up soon; what was there stays."""
    with Origin({ZONE: zone_text(
            "$GENERATE 1-20000 h$ A 192.0.2.1")},
            zone_options=TRANSFER) as o, edge_of(o) as e:
        o.rndc("querylog", "off")
        p = start_populate(e, "--zone", ZONE)
        wait_for(lambda: fill_of(e).get("kept", 0) > 100, "some answers", 20)
        o.kill()
        status, out = end_of(p)
        assert status == 1 and "in a row" in out
        assert ask(e, "h1." + ZONE).answer
        fill = wait_filled(e)
        assert 64 <= fill["failed"] < 200 and "error" in fill


def test_lists_end_as_well():
    with Origin({ZONE: zone_text("* A 192.0.2.1")}) as o, edge_of(o) as e:
        o.kill()
        path = e.write("names", "".join(
            f"h{i}.{ZONE} A\n" for i in range(5000)))
        status, out = end_of(start_populate(e, "--file", path))
        assert status == 1 and '"ok":false' in out.replace(" ", "")
        assert '"faulty":0' in out.replace(" ", "")
