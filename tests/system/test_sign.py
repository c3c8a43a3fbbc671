# SPDX-License-Identifier: MPL-2.0
"""Signed zones of named's: what is decided is signed, and never anything
that a validator would refuse is given."""

import contextlib
import glob
import os
import subprocess
import time

import dns.dnssec
import dns.rcode
import dns.rdatatype
import pytest

from nzlib import Edge, ask, wait_for, zone_text
from nzlib.ask import tool
from nzlib.sign import (CELL_RECORDS, cells, delv, faults, validates,
                        zone_keys)
from nzlib.steer import (FULL, PLACEHOLDER, PRIMARY, Fleet, address, at,
                         counted, explain, feed, tiers)

POLICIES = """
dnssec-policy "ec" { keys { ksk lifetime unlimited algorithm 13;
    zsk lifetime unlimited algorithm 13; }; };
dnssec-policy "ec3" { keys { csk lifetime unlimited algorithm 13; };
    nsec3param iterations 0; };
dnssec-policy "rsa" { keys { ksk lifetime unlimited algorithm 8 2048;
    zsk lifetime unlimited algorithm 8 2048; }; };
dnssec-policy "rsa3" { keys { csk lifetime unlimited algorithm 8 2048; };
    nsec3param iterations 0; };
dnssec-policy "roll" { dnskey-ttl 1; max-zone-ttl 2; publish-safety 1;
    retire-safety 1; zone-propagation-delay 1; signatures-jitter 0;
    signatures-validity 40; signatures-refresh 35;
    signatures-validity-dnskey 40;
    keys { ksk lifetime unlimited algorithm 13;
        zsk lifetime unlimited algorithm 13; }; };
"""
# zone: policy; those without one are signed beforehand
ZONES = {"ec.test": "ec", "ec3.test": "ec3", "rsa.test": "rsa",
         "rsa3.test": "rsa3", "roll.test": "roll", "st.test": None,
         "off.test": None}
CELL_ZONES = [z for z in ZONES if z != "roll.test"]
SIGNED = [z for z in ZONES if z != "off.test"]

F = Fleet()
HOSTS = {}
for zone_name in ZONES:
    short = {"ttl": 2} if zone_name == "roll.test" else {}
    HOSTS[zone_name] = {
        "www": F.host(f"www.{zone_name}", hidden=1, **short),
        "one": F.host(f"one.{zone_name}", families="A", **short),
        "many": F.host(f"many.{zone_name}", primary=12, answers=3, **short),
        "nodata": F.host(f"nodata.{zone_name}", fail="nodata", **short),
        "keep": F.host(f"keep.{zone_name}", primary=9, answers=2,
                       persist="1h", **short),
    }
HOSTS["ec.test"]["big"] = F.host("big.ec.test", primary=30, answers=8)


def records(zone, hosts):
    """One family alone of 'one': its NODATA is the zone's own."""
    lines = "".join(h.records(zone) for h in hosts.values())
    return CELL_RECORDS + "".join(
        line + "\n" for line in lines.splitlines()
        if not line.startswith("one AAAA"))


def signed_beforehand(e, zone, text):
    """Signed by dnssec-signzone, keys beside it."""
    where = e.path(f"keys-{zone}")
    os.mkdir(where)
    for more in (["-f", "KSK"], []):
        subprocess.run([tool("dnssec-keygen"), "-q", "-K", where, "-a",
                        "ECDSAP256SHA256", *more, zone], check=True,
                       timeout=60, capture_output=True)
    e.write(f"{zone}.db", text)
    subprocess.run([tool("dnssec-signzone"), "-q", "-S", "-K", where, "-o",
                    zone, "-f", e.path(f"{zone}.signed"),
                    e.path(f"{zone}.db")], check=True, timeout=60,
                   cwd=e.dir, capture_output=True)
    return f'file "{e.path(zone)}.signed"; key-directory "{where}";'


def statement(e, zone, policy):
    ttl = 2 if policy == "roll" else 300
    text = zone_text(records(zone, HOSTS[zone]), ttl=ttl)
    if policy is None:
        path = e.path(f"{zone}.signed")
        body = (f'file "{path}"; key-directory "{e.path("keys-" + zone)}";'
                if os.path.exists(path) else signed_beforehand(e, zone, text))
    else:
        body = (f'file "{e.write(zone + ".db", text)}"; '
                f'dnssec-policy "{policy}"; inline-signing yes; '
                f'key-directory "{e.dir}";')
    return f'zone "{zone}" {{ type primary; {body} }};\n'


def views(e):
    zones = "".join(statement(e, z, p) for z, p in ZONES.items())
    for path in glob.glob(e.path("keys-off.test") + "/K*.private"):
        os.rename(path, path + ".away")
    shared = "".join(f'zone "{z}" {{ in-view "min"; }};\n' for z in ZONES)
    return POLICIES + f"""
view "min" {{ match-clients {{ !{FULL}; any; }}; {zones} {e.plugin()} }};
view "full" {{ match-clients {{ any; }}; minimal-responses no; {shared}
    {e.plugin()} }};"""


def feed_all(e):
    for hosts in HOSTS.values():
        for name, host in hosts.items():
            host.set(e, "down" if name == "nodata" else "up",
                     hidden="up" if name == "www" else None)


def is_decided(e, host, rdtype="A"):
    return tiers(ask(e, host.name, rdtype, do=True)) == {PRIMARY}


@contextlib.contextmanager
def running():
    e = F.put(Edge({}, body=views, options="allow-transfer { any; };"))
    with e:
        feed_all(e)
        wait_for(lambda: all(is_decided(e, HOSTS[z][n]) for z in SIGNED
                             for n in ("www", "one", "many", "keep")),
                 "all zones to be signed, and their answers", 30)
        yield e


@pytest.fixture(scope="module")
def edge():
    with running() as e:
        yield e


# -- what is given -----------------------------------------------------------

@pytest.mark.parametrize("zone", CELL_ZONES)
def test_every_cell_is_valid(edge, zone):
    for _ in range(3):  # other draws
        n, bad = cells(edge, zone, ("127.0.0.1", FULL))
        assert n > 100 and not bad, "\n".join(bad)
    assert not validates(edge, zone)


@pytest.mark.parametrize("zone", SIGNED)
def test_what_is_decided_is_given(edge, zone):
    www, many = HOSTS[zone]["www"], HOSTS[zone]["many"]
    for rdtype in ("A", "AAAA"):
        with counted(edge, www) as more:
            got = {x for _ in range(20) for do in (True, False) for x in
                   at(ask(edge, www.name, rdtype, do=do), www.name, rdtype)}
        assert got == www.all(PRIMARY, rdtype)
        assert more["decisions"] == 40
    for do in (True, False):
        r = ask(edge, many.name, do=do)
        assert at(r, many.name, "A") <= many.all(PRIMARY)
        r = ask(edge, zone, "MX", do=do, source=FULL)
        found = at(r, www.name, "A", "additional")
        assert found and found <= www.all(PRIMARY)
        r = ask(edge, www.name, "ANY", tcp=True, do=do)
        assert tiers(r) == {PRIMARY}
        r = ask(edge, f"alias2.{zone}", do=do, tcp=True)
        assert tiers(r) == {PRIMARY}
    r = ask(edge, www.name)
    assert dns.rdatatype.RRSIG not in {x.rdtype for x in r.answer}


def test_subsets_come_at_demand(edge):
    """Three of twelve: any three will be given, once they are signed."""
    many = HOSTS["ec.test"]["many"]
    assert len(many.all(PRIMARY)) == 12
    keys = zone_keys(edge, "ec.test")

    def full():
        r = ask(edge, many.name, do=True)
        assert not faults(r, "ec.test", keys)
        got = at(r, many.name, "A")
        assert got <= many.all(PRIMARY) and 1 <= len(got) <= 3
        return len(got) == 3

    wait_for(full, "a signature over three")


def test_more_subsets_than_can_be_signed(edge):
    """Eight of thirty, of which there are millions: few of them are drawn,
    and all of those have a signature soon."""
    big = HOSTS["ec.test"]["big"]
    keys = zone_keys(edge, "ec.test")

    def full():
        for _ in range(40):
            r = ask(edge, big.name, do=True)
            assert not faults(r, "ec.test", keys)
            got = at(r, big.name, "A")
            assert got <= big.all(PRIMARY)
            if len(got) != 8:
                return False
        return True

    wait_for(full, "signatures over eight", 30)


def test_a_client_stays(edge):
    keep = HOSTS["ec.test"]["keep"]
    wait_for(lambda: len(at(ask(edge, keep.name, do=True), keep.name, "A"))
             == 2, "a signature over two")
    got = {frozenset(at(ask(edge, keep.name, do=do), keep.name, "A"))
           for do in (True, False) for _ in range(5)}
    assert len(got) == 1 and got.pop() <= keep.all(PRIMARY)


def test_a_server_that_fails(edge):
    www = HOSTS["ec.test"]["www"]
    www.set(edge, "down", only=1)
    try:
        for _ in range(10):
            r = ask(edge, www.name, do=True)
            assert at(r, www.name, "A") == {www.one(PRIMARY, 2)}
            assert not faults(r, "ec.test", zone_keys(edge, "ec.test"))
    finally:
        www.set(edge, "up")


def test_nodata_cannot_be_said(edge):
    """The zone has the type: its own records, and the log."""
    host = HOSTS["ec.test"]["nodata"]
    for do in (True, False):
        r = ask(edge, host.name, do=do)
        assert at(r, host.name, "A") == host.placeholders()
    edge.wait_log(r"hostname 'nodata\.\S+': no address is to be given")


def test_a_zone_without_a_private_key(edge):
    host = HOSTS["off.test"]["www"]
    for do in (True, False):
        r = ask(edge, host.name, do=do)
        assert at(r, host.name, "A") == host.placeholders()
    edge.wait_log(r"zone 'off\.test' is signed, and a private key is not in")
    assert "no private key" in explain(edge, host)["where"]
    # and from the moment on that there is one
    for path in glob.glob(edge.path("keys-off.test") + "/K*.away"):
        os.rename(path, path.removesuffix(".away"))
    wait_for(lambda: is_decided(edge, host), "the key to be found", 20)
    assert explain(edge, host)["where"] == "named's zone, signed"
    assert not cells(edge, "off.test")[1]


def test_status_says_so(edge):
    traffic = edge.status()["traffic"]
    names = {x["name"]: x["where"] for x in traffic["names"]}
    assert names["www.ec.test"] == "named's zone, signed"
    assert traffic["signed"] > 100


# -- what changes ------------------------------------------------------------

def test_servfail(edge):
    host = HOSTS["ec.test"]["www"]
    F.hostnames[host.name]["fail"] = "servfail"
    F.put(edge)
    edge.nzctl("reload")
    host.set(edge, "down", hidden="down")
    try:
        wait_for(lambda: ask(edge, host.name, do=True).rcode()
                 == dns.rcode.SERVFAIL, "the new configuration")
    finally:
        del F.hostnames[host.name]["fail"]
        F.put(edge)
        edge.nzctl("reload")
        host.set(edge, "up", hidden="up")
        wait_for(lambda: is_decided(edge, host), "the old one")


def test_another_ttl(edge):
    """A longer TTL needs another signature."""
    host = HOSTS["ec.test"]["www"]
    keys = zone_keys(edge, "ec.test")
    ttls = set()

    def ttl_is(ttl):
        r = ask(edge, host.name, do=True)
        assert not faults(r, "ec.test", keys)
        ttls.update(x.ttl for x in r.answer)
        return {x.ttl for x in r.answer} == {ttl}

    for ttl in (77, 7, 30):
        F.hostnames[host.name]["ttl"] = ttl
        F.put(edge)
        edge.nzctl("reload")
        wait_for(lambda want=ttl: ttl_is(want), f"a TTL of {ttl}")
    del F.hostnames[host.name]["ttl"]


def test_a_server_is_added(edge):
    host = HOSTS["ec.test"]["www"]
    pop = edge.doc["pops"]["fra"]["servers"]
    new = address(host.number, PRIMARY, 200)
    pop["extra"] = {"weight": 10000, "addresses": [new]}
    F.hostnames[host.name]["servers"].append("extra")
    edge.write_json()
    edge.nzctl("reload")
    wait_for(lambda: feed(edge, [["extra", new, "web", time.time(), "up", 1,
                                  0]])["accepted"], "the new server")
    wait_for(lambda: at(ask(edge, host.name, do=True), host.name, "A")
             == {new}, "the new address")
    assert not cells(edge, "ec.test")[1]
    F.hostnames[host.name]["servers"].remove("extra")
    del pop["extra"]
    edge.write_json()
    edge.nzctl("reload")
    wait_for(lambda: is_decided(edge, host), "the old ones")


def test_a_zone_is_loaded_anew(edge):
    """Signed with other keys, at once: nothing of the old is left."""
    host = HOSTS["st.test"]["www"]
    for path in glob.glob(edge.path("keys-st.test") + "/K*"):
        os.remove(path)
    os.rmdir(edge.path("keys-st.test"))
    old = set(*zone_keys(edge, "st.test").values())
    signed_beforehand(edge, "st.test", zone_text(
        records("st.test", HOSTS["st.test"]), serial=2))
    edge.rndc("reload", "st.test", "IN", "min")

    def anew():
        """The zone may change between an answer and its keys: look again."""
        first = zone_keys(edge, "st.test")
        r = ask(edge, host.name, do=True)
        keys = zone_keys(edge, "st.test")
        if first == keys:
            assert not faults(r, "st.test", keys)
        return set(*keys.values()) != old and tiers(r) == {PRIMARY}

    wait_for(anew, "answers signed with the new keys")
    assert not cells(edge, "st.test")[1]


def test_a_zone_is_no_longer_signed(edge):
    host = HOSTS["st.test"]["www"]
    edge.write("st.test.signed", zone_text(
        records("st.test", HOSTS["st.test"]), serial=3))
    edge.rndc("reload", "st.test", "IN", "min")
    for do in (True, False):
        wait_for(lambda do=do: [x.rdtype for x in ask(
            edge, host.name, do=do).answer] == [dns.rdatatype.A],
                 "the zone without signatures")
        assert is_decided(edge, host)


def test_reconfig(edge):
    for _ in range(2):
        edge.rndc("reconfig")
        for zone in ("ec.test", "rsa3.test"):
            assert not cells(edge, zone)[1]
        assert is_decided(edge, HOSTS["ec.test"]["www"])


def key_tags(r):
    return {x.key_tag for s in r.answer if s.rdtype == dns.rdatatype.RRSIG
            for x in s}


def roll(edge):
    """Replaces the zone-signing key; returns the answers looked at, what is
    wrong with any, and whether all were signed by the old or the new key."""
    www = HOSTS["roll.test"]["www"]
    before, = key_tags(ask(edge, www.name, do=True))
    edge.rndc("dnssec", "-rollover", "-key", str(before), "roll.test", "IN",
              "min")
    bad, seen = [], []

    def rolled():
        """Answer first, then keys: as who has cached neither."""
        r = ask(edge, www.name, do=True)
        keys = zone_keys(edge, "roll.test")
        bad.extend(faults(r, "roll.test", keys))
        if tiers(r) != {PRIMARY}:
            bad.append(f"not decided: {r.to_text()}")
        seen.append(frozenset(key_tags(r)))
        tags = {dns.dnssec.key_id(k) for s in keys.values() for k in s}
        return before not in tags

    wait_for(rolled, "the old key to leave the zone", 90)
    after = key_tags(ask(edge, www.name, do=True))
    clean = len(after) == 1 and set().union(*seen) == {before, *after}
    return len(seen), bad, clean


def test_rollover(edge):
    """No answer fails while the zone-signing key is replaced."""
    assert not cells(edge, "roll.test")[1]
    _, bad, clean = roll(edge)
    assert clean and not bad, "\n".join(bad)
    assert not cells(edge, "roll.test")[1]
    assert "fully validated" in delv(edge, "roll.test", "www.roll.test", "A")


def figure(rounds):
    """All cells again and again, and a rollover: the number of answers looked
    at and what is wrong with any."""
    with running() as e:
        looked, bad = 0, []
        for _ in range(rounds):
            for zone in CELL_ZONES:
                n, more = cells(e, zone, ("127.0.0.1", FULL))
                looked, bad = looked + n, bad + more
        for zone in CELL_ZONES:
            bad += validates(e, zone)
        n, more, _ = roll(e)
        m, rest = cells(e, "roll.test")
        return looked + n + m, bad + more + rest


def test_the_zones_of_a_dead_plugin(edge):
    """Last: named stops and starts with all that it has."""
    edge.stop()
    edge.start_again()
    feed_all(edge)
    wait_for(lambda: is_decided(edge, HOSTS["ec.test"]["www"]),
             "signatures after a restart")
    assert explain(edge, HOSTS["st.test"]["www"])["where"] == "named's zone"
    assert PLACEHOLDER not in tiers(ask(edge, "www.ec.test", do=True))
