# SPDX-License-Identifier: MPL-2.0
"""Signed zones of named's: aliases, those that stand in, denials, and whatever
may happen to a zone.  A parent has signed all of them, so that one trust anchor
does for chains that go from one to another; every answer is given to two
validators, dnspython's (nzlib.validator) and delv."""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import threading
import time

import dns.dnssec
import dns.flags
import dns.name
import dns.query
import dns.rdatatype
import dns.update
import pytest

from nzlib import Edge, ask, wait_for, zone_text
from nzlib.ask import tool
from nzlib.sign import anchor, delv, zone_keys
from nzlib.steer import (FULL, HIDDEN, HINTS, PLACEHOLDER, PRIMARY, RECURSIVE,
                         Fleet, at, counted, counts, explain, subnet, tiers,
                         types)
from nzlib.validator import verdict

POLICIES = """
dnssec-policy "zsk" { keys { ksk lifetime unlimited algorithm 13;
    zsk lifetime unlimited algorithm 13; }; };
dnssec-policy "csk3" { keys { csk lifetime unlimited algorithm 13; };
    nsec3param iterations 0; };
dnssec-policy "out" { keys { csk lifetime unlimited algorithm 13; };
    nsec3param iterations 0 optout yes; };
dnssec-policy "fast" { dnskey-ttl 1; max-zone-ttl 2; publish-safety 1;
    retire-safety 1; zone-propagation-delay 1; parent-ds-ttl 1;
    parent-propagation-delay 1; signatures-jitter 0;
    signatures-validity 40; signatures-refresh 35;
    signatures-validity-dnskey 40;
    keys { csk lifetime unlimited algorithm %s; }; };
"""
TOP = "par.test"
# origin: policy; those without one are signed beforehand
ZONES = {TOP: "out", "a.par.test": "zsk", "b.par.test": "csk3",
         "o.par.test": "out", "algo.par.test": "fast", "off.par.test": None}
SIGNED = list(ZONES)
CELLED = ("a.par.test", "b.par.test", "o.par.test")
BOTH = ("A", "AAAA")

F = Fleet()
F.domains["gslb.test"] = {"ns": ["ns1.other.test"]}
POOL = F.host("pool.gslb.test")                # stands in for others
FAR = F.host("far.gslb.test", primary=1)       # the same, by an alias
F.servers[FAR.id(PRIMARY)] = {"alias": "cdn.example"}
HOSTS = {}


def alias(name, target):
    host = F.host(name, primary=1)
    F.servers[host.id(PRIMARY)] = {"alias": target}
    return host


def hosts_of(zone):
    """Every cell's hostname in one zone."""
    other = "b.par.test" if zone == "a.par.test" else "a.par.test"
    mix = F.host(f"mix.{zone}", backup=1)
    F.servers[mix.id(2)] = {"alias": f"plain.{zone}"}
    return {
        "www": F.host(f"www.{zone}", hidden=1),
        "al": alias(f"al.{zone}", f"plain.{zone}"),
        "alh": alias(f"alh.{zone}", f"www.{zone}"),
        "alal": alias(f"alal.{zone}", f"alh.{zone}"),
        "alb": alias(f"alb.{zone}", f"plain.{other}"),
        "albh": alias(f"albh.{zone}", f"alh.{other}"),
        "ali": alias(f"ali.{zone}", "plain.ins.par.test"),
        "ald": alias(f"ald.{zone}", "pool.gslb.test"),
        "far": alias(f"far.{zone}", "cdn.example"),
        "none": alias(f"none.{zone}", f"nowhere.{zone}"),
        "ring": alias(f"ring.{zone}", f"loop.{zone}"),
        "cn": alias(f"cn.{zone}", f"plain.{zone}"),
        "cnal": alias(f"cnal.{zone}", f"cn.{zone}"),
        "mix": mix,
        "v4": F.host(f"v4.{zone}", families="A"),
        "v4z": F.host(f"v4z.{zone}", families="A"),
        "v6": F.host(f"v6.{zone}", families="AAAA"),
        "nod": F.host(f"nod.{zone}", fail="nodata"),
        "st": F.host(f"st.{zone}", **{"else": "pool.gslb.test"}),
        "sta": F.host(f"sta.{zone}", **{"else": "far.gslb.test"}),
        "four": F.host(f"four.{zone}", primary=8, answers=4),
        "x.wild": F.host(f"x.wild.{zone}"),
        "bare": alias(f"bare.{zone}", f"plain.{zone}"),
        "@": F.host(zone),
    }


DELEGATED = {}
for origin in CELLED:
    HOSTS[origin] = hosts_of(origin)
    for child in ("sub", "dsub"):  # name servers, of which two are given
        servers = F.host(f"{child}.{origin}", primary=3, answers=2,
                         **{"name-servers": True})
        DELEGATED[servers.name] = servers
        for n in (1, 2, 3):
            F.servers[servers.id(PRIMARY, n)]["name-server"] = \
                f"ns{n}.{servers.name}"
for origin in ("algo.par.test", "off.par.test", "dyn.par.test"):
    HOSTS[origin] = {"www": F.host(f"www.{origin}", ttl=2),
                     "al": alias(f"al.{origin}", f"www.{origin}")}
    F.hostnames[f"al.{origin}"]["ttl"] = 2
HOSTS["ins.par.test"] = {"www": F.host("www.ins.par.test")}

GONE = ("bare ", "ring ", "cn ", "cnal ", "v4z AAAA", "x.wild ")
MORE = """
plain A 192.0.2.1
plain AAAA 2001:db8::1
plain TXT "plain"
plain MX 5 al
bare TXT "text"
ring A 10.6.9.1
loop CNAME ring
cn CNAME fallback
cnal CNAME fallback
fallback A 192.0.2.9
far TXT "far"
*.wild A 192.0.2.7
*.wild AAAA 2001:db8::7
@ MX 1 www
@ MX 2 al
@ MX 3 mix
@ NS www
to CNAME al
to-far CNAME far
to-cn CNAME cn
to-st CNAME st
to-ring CNAME loop
*.w CNAME al
_s._tcp SRV 0 5 80 st
svc HTTPS 1 al alpn=h2
dsub DS 12345 13 2 """ + "ab" * 32 + "\n" + "".join(
    f"{c} NS ns{i}.{c}\nns{i}.{c} A 192.0.2.{60 + i}\n"
    for c in ("sub", "dsub") for i in (1, 2, 3))


def content(zone, serial=1):
    ttl = 2 if zone in ("algo.par.test", "off.par.test",
                        "dyn.par.test") else 300
    if zone == TOP:
        return zone_text("".join(
            f"{z}. NS ns1.{z}.\nns1.{z}. A 192.0.2.250\n" for z in (*ZONES, "ins.par.test",
                                            "dyn.par.test")
            if z != TOP), ttl=5)
    lines = "".join(h.records(zone) for h in HOSTS[zone].values())
    lines = "".join(x + "\n" for x in lines.splitlines()
                    if not x.startswith(GONE))
    if zone not in CELLED:
        return zone_text(lines + 'plain A 192.0.2.1\nwww TXT "www"',
                         ttl=ttl, serial=serial)
    return zone_text(lines + MORE, ttl=ttl, serial=serial)


def sign_beforehand(e, zone, serial):
    """Signed by dnssec-signzone; keys beside it, and for the next time."""
    where, kept = e.path(f"keys-{zone}"), e.path(f"kept-{zone}")
    os.makedirs(where, exist_ok=True)
    if not os.path.isdir(kept):
        os.mkdir(kept)
        for more in (["-f", "KSK"], []):
            subprocess.run([tool("dnssec-keygen"), "-q", "-K", kept, "-a",
                            "ECDSAP256SHA256", *more, zone], check=True,
                           timeout=60, capture_output=True)
        for path in glob.glob(kept + "/K*"):
            shutil.copy(path, where)
    e.write(f"{zone}.db", content(zone, serial))
    subprocess.run([tool("dnssec-signzone"), "-q", "-S", "-K", kept, "-o",
                    zone, "-f", e.path(f"{zone}.signed"),
                    e.path(f"{zone}.db")], check=True, timeout=60,
                   cwd=e.dir, capture_output=True)
    return f'file "{e.path(zone)}.signed"; key-directory "{where}";'


def statement(e, zone, policy):
    if policy is None:
        body = sign_beforehand(e, zone, 1)
    else:
        more = "allow-update { any; };" if zone in (TOP, "b.par.test") else \
            "inline-signing yes;"
        body = (f'file "{e.write(zone + ".db", content(zone))}"; {more} '
                f'dnssec-policy "{policy}"; key-directory "{e.dir}";')
    return f'zone "{zone}" {{ type primary; {body} }};\n'


def views(e):
    if not os.path.exists(e.path("policies")):
        e.write("policies", POLICIES % 13)
    zones = "".join(statement(e, z, p) for z, p in ZONES.items())
    ins = e.write("ins.db", content("ins.par.test"))
    zones += f'zone "ins.par.test" {{ type primary; file "{ins}"; }};\n'
    shared = "".join(f'zone "{z}" {{ in-view "min"; }};\n'
                     for z in (*ZONES, "ins.par.test"))
    return f"""include "{e.path("policies")}";
view "min" {{ match-clients {{ !{FULL}; !{RECURSIVE}; any; }};
    allow-new-zones yes; {zones} {e.plugin()} }};
view "rec" {{ match-clients {{ {RECURSIVE}; }}; recursion yes;
    allow-recursion {{ any; }}; minimal-responses no; {shared} {e.plugin()}
    zone "." {{ type hint; file "{e.write("hints.db", HINTS)}"; }}; }};
view "full" {{ match-clients {{ any; }}; minimal-responses no; {shared}
    {e.plugin()} }};"""


def delegate(e, *zones):
    """Has the parent show DS records of the zones' keys."""
    for zone in zones:
        update = dns.update.Update(TOP)
        update.delete(zone + ".", "DS")
        for keys in zone_keys(e, zone).values():
            for key in keys:
                if key.flags == 257:
                    update.add(zone + ".", 5, dns.dnssec.make_ds(
                        zone + ".", key, "SHA256"))
        r = dns.query.tcp(update, e.address, port=e.port, timeout=10)
        assert r.rcode() == 0, r


def keys_of(e, zones=tuple(SIGNED)):
    return {dns.name.from_text("ins.par.test"): None,
            **{dns.name.from_text(z): zone_keys(e, z) for z in zones}}


def is_alias(host):
    return "alias" in F.servers[host.id(PRIMARY)]


def feed_all(e):
    for host in (POOL, *DELEGATED.values(), *(
            h for hosts in HOSTS.values() for h in hosts.values())):
        if not is_alias(host):
            host.set(e, "up", hidden="up" if host.counts[HIDDEN] else None)


def decided(e, host, rdtype="A"):
    """The hostname's decided answer, an alias included, is given."""
    r = ask(e, host.name, rdtype, do=True)
    if is_alias(host):
        return bool(at(r, host.name, "CNAME")) and \
            PLACEHOLDER not in tiers(r)
    return tiers(r) == {PRIMARY}


NOT_SERVED = ("bare", "x.wild", "nod", "cnal", "alal")  # and those unlike


def all_decided(e, zone):
    return all(decided(e, h, "AAAA" if n == "v6" else "A")
               for n, h in HOSTS[zone].items() if n not in NOT_SERVED)


@contextlib.contextmanager
def running():
    e = F.put(Edge({}, body=views, options="allow-transfer { any; };"))
    with e:
        feed_all(e)
        wait_for(lambda: all(all_decided(e, z) for z in HOSTS
                             if z in SIGNED), "all answers to be signed", 30)
        delegate(e, *SIGNED[1:])
        yield e


@pytest.fixture(scope="module")
def edge():
    with running() as e:
        yield e


# -- every cell --------------------------------------------------------------

NAMES = ["plain", "to", "to-far", "to-cn", "to-st", "to-ring", "x.w", "svc",
         "nowhere", "x.www", "x.al", "y.wild", "_s._tcp", "www.sub", "sub",
         "dsub", "x.dsub"]
TYPES = ["A", "AAAA", "TXT", "CNAME", "MX", "HTTPS", "NS", "DS", "ANY",
         "RRSIG"]
HOW = [{"do": True}, {"do": True, "tcp": True, "source": FULL},
       {"do": True, "cd": True}, {"tcp": True},
       {"do": True, "rd": True, "source": RECURSIVE}]


def questions(zone):
    for label in [*HOSTS[zone], *NAMES]:
        for rdtype in TYPES:
            yield (zone if label == "@" else f"{label}.{zone}"), rdtype
    for label, rdtype in (("_s._tcp", "SRV"), ("@", "SOA"), ("@", "DNSKEY")):
        yield (zone if label == "@" else f"{label}.{zone}"), rdtype


def cells(e, zone):
    """Asks all of them; the answers looked at, and all that is wrong."""
    keys = keys_of(e)
    n, bad = 0, []
    for name, rdtype in questions(zone):
        for how in HOW:
            if rdtype in ("ANY", "RRSIG"):
                how = {**how, "tcp": how.get("tcp", n % 2 == 0)}
            if how.get("source") == RECURSIVE and "sub" in name:
                continue  # would be asked of servers that there are not
            r = ask(e, name, rdtype, **how)
            n += 1
            bad += [f"{name} {rdtype} {how}: {x}" for x in verdict(
                r, keys, how.get("do", False) and rdtype != "RRSIG")]
    return n, bad


def delvs(e, zone, names=None):
    """The same, as delv has it, from the parent's keys."""
    trusted = anchor(e, TOP)
    bad, n = [], 0
    for label in names or [*HOSTS[zone], *NAMES[:11]]:
        name = zone if label == "@" else f"{label}.{zone}"
        for rdtype in ("A", "AAAA", "TXT"):
            said = delv(e, TOP, name, rdtype, trusted)
            n += 1
            if not accepted(said):
                bad.append(f"{name} {rdtype}: {said}")
    return n, bad


def accepted(said):
    """Validated from its beginning on, up to what is in no signed zone.  With
    opt-out no proof that a wildcard is the closest is secure (RFC 5155 section
    9.2)."""
    if re.search(r"^; unsigned answer\nx\.(w|wild)\.o\.par\.test\.", said,
                 re.M):
        return True
    status = re.findall(r"^; (negative response, fully validated"
                        r"|fully validated|unsigned answer|authoritative)$",
                        said, re.M)
    return bool(status) and status[0].endswith("fully validated") and (
        set(status[1:]) <= {"fully validated",
                            "negative response, fully validated"}
        or re.search(r"^(\w+\.ins\.par|pool\.gslb)\.test\.", said, re.M)
        is not None)


@pytest.mark.parametrize("zone", CELLED)
def test_every_cell_is_valid(edge, zone):
    n, bad = cells(edge, zone)
    assert n > 1000 and not bad, f"{len(bad)}\n" + "\n".join(bad[:5])


@pytest.mark.parametrize("zone", CELLED)
def test_every_cell_as_delv_has_it(edge, zone):
    n, bad = delvs(edge, zone)
    assert n > 90 and not bad, f"{len(bad)}\n" + "\n".join(bad[:5])


def test_the_validator_sees_what_is_wrong(edge):
    """Each answer with something taken away or put there is refused."""
    keys = keys_of(edge)

    def spoiled(name, rdtype, spoil):
        r = ask(edge, name, rdtype, do=True)
        assert not verdict(r, keys)
        spoil(r)
        return verdict(r, keys)

    def drop(section, rdtype):
        def spoil(r):
            sets = getattr(r, section)
            gone = [s for s in sets if s.rdtype == getattr(
                dns.rdatatype, rdtype)]
            assert gone
            for s in gone:
                sets.remove(s)
        return spoil

    def other_ttl(r):
        r.answer[0].ttl += 1

    def rename(r):
        first = next(s for s in r.answer if s.rdtype == dns.rdatatype.CNAME)
        first.clear()
        first.add(dns.rdata.from_text("IN", "CNAME", "x.a.par.test."))

    assert spoiled("www.a.par.test", "A", drop("answer", "RRSIG"))
    assert spoiled("www.a.par.test", "A", other_ttl)
    assert spoiled("al.a.par.test", "A", rename)
    for zone, proof in (("a.par.test", "NSEC"), ("b.par.test", "NSEC3")):
        for name in ("al", "nowhere", "x.al", "y.wild"):
            assert spoiled(f"{name}.{zone}", "TXT",
                           drop("authority", proof)), name
        assert spoiled(f"al.{zone}", "TXT", drop("authority", "RRSIG"))
        assert spoiled(f"x.sub.{zone}", "A", drop("authority", proof))


# -- what is given -----------------------------------------------------------

def leads(r, *names):
    """A chain of aliases, each with its signature where they are wanted."""
    for owner, target in zip(names, names[1:]):
        assert at(r, owner, "CNAME") == {target + "."}, r.to_text()
        if r.ednsflags & dns.flags.DO:
            assert any(s.covers == dns.rdatatype.CNAME and
                       s.name.to_text(True) == owner for s in r.answer)
        else:
            assert "RRSIG" not in types(r, "answer")
    return True


@pytest.mark.parametrize("zone", CELLED)
def test_aliases(edge, zone):
    hosts = HOSTS[zone]
    for rdtype in BOTH:
        plain = {"A": "192.0.2.1", "AAAA": "2001:db8::1"}[rdtype]
        for how in ({}, {"do": True}, {"do": True, "tcp": True}):
            r = ask(edge, f"al.{zone}", rdtype, **how)
            assert leads(r, f"al.{zone}", f"plain.{zone}")
            assert at(r, f"plain.{zone}", rdtype) == {plain}
            r = ask(edge, f"alal.{zone}", rdtype, **how)
            assert leads(r, f"alal.{zone}", f"alh.{zone}", f"www.{zone}")
            got = at(r, f"www.{zone}", rdtype)
            assert got and got <= hosts["www"].all(PRIMARY, rdtype)
            r = ask(edge, f"to-far.{zone}", rdtype, **how)
            assert leads(r, f"to-far.{zone}", f"far.{zone}", "cdn.example")
            r = ask(edge, f"cn.{zone}", rdtype, **how)
            assert leads(r, f"cn.{zone}", f"plain.{zone}")
            r = ask(edge, f"ald.{zone}", rdtype, **how)
            assert leads(r, f"ald.{zone}", "pool.gslb.test")
            assert at(r, POOL.name, rdtype) <= POOL.all(PRIMARY, rdtype)
            assert at(r, POOL.name, rdtype)
            r = ask(edge, f"none.{zone}", rdtype, **how)
            assert r.rcode() == dns.rcode.NXDOMAIN
            if rdtype == "A":  # which the zone has
                r = ask(edge, f"ring.{zone}", rdtype, **how)
                assert leads(r, f"ring.{zone}", f"loop.{zone}",
                             f"ring.{zone}")


@pytest.mark.parametrize("zone", CELLED)
def test_other_types_at_an_alias(edge, zone):
    """What the zone's proofs say: addresses are there, and nothing else is;
    where the zone has an alias, the decided one stands for all types."""
    trusted = anchor(edge, TOP)
    for rdtype in ("TXT", "CNAME", "MX", "HTTPS"):
        r = ask(edge, f"al.{zone}", rdtype, do=True)
        assert not r.answer and "SOA" in types(r, "authority")
        said = delv(edge, TOP, f"al.{zone}", rdtype, trusted)
        assert "negative response, fully validated" in said
        r = ask(edge, f"cn.{zone}", rdtype, do=True)
        assert leads(r, f"cn.{zone}", f"plain.{zone}")
    assert at(ask(edge, f"far.{zone}", "TXT"), f"far.{zone}", "TXT")
    assert at(ask(edge, f"cn.{zone}", "TXT"), f"plain.{zone}", "TXT")
    for label in ("al", "cn"):
        for how in ({"tcp": True}, {"tcp": True, "do": True}):
            r = ask(edge, f"{label}.{zone}", "ANY", **how)
            assert leads(r, f"{label}.{zone}", f"plain.{zone}")
            assert types(r, "answer") == sorted(
                ["CNAME", "RRSIG"] if "do" in how else ["CNAME"])


@pytest.mark.parametrize("zone", CELLED)
def test_additional_data(edge, zone):
    for how in ({"source": FULL}, {"source": FULL, "do": True}):
        r = ask(edge, zone, "MX", **how)
        assert not at(r, f"al.{zone}", "A", "additional")
        got = at(r, f"www.{zone}", "A", "additional")
        assert got and got <= HOSTS[zone]["www"].all(PRIMARY)
        assert not {PLACEHOLDER, HIDDEN} & tiers(r)


@pytest.mark.parametrize("zone", CELLED)
def test_referrals(edge, zone):
    """Two of three name servers, and the zone's own DS or proof of none."""
    keys = keys_of(edge)
    for label in ("sub", "dsub"):
        host = DELEGATED[f"{label}.{zone}"]
        proofs = set()
        with counted(edge, host) as more:
            for name in (host.name, f"www.{host.name}") * 5:
                r = ask(edge, name, do=True)
                assert not verdict(r, keys)
                assert len(at(r, host.name, "NS", "authority")) == 2
                assert len([s for s in r.additional
                            if s.rdtype == dns.rdatatype.A]) == 2
                proofs.add(tuple(sorted(
                    s.to_text() for s in r.authority
                    if s.rdtype != dns.rdatatype.NS)))
        assert more["decisions"] == 10
        proof, = proofs  # the same, whoever is chosen
        assert ("DS 12345" in str(proof)) == (label == "dsub")
        assert ("NSEC" in str(proof)) == (label == "sub")
        assert "RRSIG" in str(proof)


def test_a_client_without_dnssec(edge):
    for zone in CELLED:
        for name in ("www", "al", "st", "four"):
            for rdtype in BOTH:
                r = ask(edge, f"{name}.{zone}", rdtype)
                assert r.answer and "RRSIG" not in types(r, "answer")


# -- what fails --------------------------------------------------------------

@contextlib.contextmanager
def down(e, zone, *labels):
    for label in labels:
        HOSTS[zone][label].set(e, "down")
    yield
    for label in labels:
        HOSTS[zone][label].set(e, "up")


FAILING = ("mix", "st", "sta", "nod", "v4", "four")


@pytest.mark.parametrize("zone", CELLED)
def test_those_that_stand_in(edge, zone):
    """Their records are signed before they are needed."""
    with down(edge, zone, *FAILING):
        for rdtype in BOTH:
            with counted(edge, HOSTS[zone]["st"]) as more:
                for how in ({}, {"do": True}, {"do": True, "tcp": True}):
                    r = ask(edge, f"st.{zone}", rdtype, **how)
                    got = at(r, f"st.{zone}", rdtype)
                    assert got and got <= POOL.all(PRIMARY, rdtype)
            assert more["else"] == 3 and "pending" not in more
            r = ask(edge, f"to-st.{zone}", rdtype, do=True)
            assert at(r, f"st.{zone}", rdtype) <= POOL.all(PRIMARY, rdtype)
            r = ask(edge, f"sta.{zone}", rdtype, do=True)
            assert leads(r, f"sta.{zone}", "cdn.example")
            r = ask(edge, f"mix.{zone}", rdtype, do=True)
            assert leads(r, f"mix.{zone}", f"plain.{zone}")
            assert at(r, f"plain.{zone}", rdtype)
        r = ask(edge, f"mix.{zone}", "ANY", do=True, tcp=True)
        assert not tiers(r)
        r = ask(edge, f"mix.{zone}", "TXT", do=True)
        assert not r.answer
        host = HOSTS[zone]["nod"]
        assert at(ask(edge, host.name), host.name,
                  "A") == host.placeholders()
        n, bad = cells(edge, zone)
        assert n > 1000 and not bad, f"{len(bad)}\n" + "\n".join(bad[:5])
        n, bad = delvs(edge, zone, FAILING)
        assert n and not bad, "\n".join(bad[:5])
    assert tiers(ask(edge, f"mix.{zone}", do=True)) == {PRIMARY}


@pytest.mark.parametrize("zone", CELLED)
def test_one_family(edge, zone):
    """The zone has both, the servers one: the other is the zone's, signed;
    nothing is denied that the zone has."""
    trusted = anchor(edge, TOP)
    keys = keys_of(edge)
    for label, rdtype, other in (("v4", "A", "AAAA"), ("v6", "AAAA", "A")):
        host = HOSTS[zone][label]
        for how in ({}, {"do": True}, {"do": True, "tcp": True}):
            r = ask(edge, host.name, rdtype, **how)
            assert tiers(r) == {PRIMARY}
            r = ask(edge, host.name, other, **how)
            assert at(r, host.name, other) == host.placeholders(other)
            assert not verdict(r, keys, "do" in how)
        assert "no server has an address" in explain(
            edge, host, other)["where"]
        assert explain(edge, host, rdtype)["where"] == "named's zone, signed"
        assert accepted(delv(edge, TOP, host.name, other, trusted))
    r = ask(edge, f"v4z.{zone}", "AAAA", do=True)
    assert not r.answer and not verdict(r, keys)
    assert "negative response, fully validated" in delv(
        edge, TOP, f"v4z.{zone}", "AAAA", trusted)


# -- what explain and status say ---------------------------------------------

def where(e, host, rdtype="A"):
    text = explain(e, host, rdtype)["where"]
    named = "named's zone, signed"
    assert text.startswith(named)
    return text[len(named):].removeprefix(": served as it is: ")


def test_causes(edge):
    hosts = HOSTS["a.par.test"]
    for label, why in (
            ("www", ""), ("al", ""), ("cn", ""), ("st", ""), ("mix", ""),
            ("v4z", ""), ("x.wild", "its name is one that a wildcard makes"),
            ("bare", "the zone has no A or AAAA records of it"),
            ("@", "")):
        assert where(edge, hosts[label]) == why, label
    names = {x["name"]: x["where"]
             for x in edge.status()["traffic"]["names"]}
    assert names["v4.a.par.test"].endswith(
        "AAAA: no server has an address, which the zone cannot say")
    assert names["www.a.par.test"] == "named's zone, signed"
    with down(edge, "a.par.test", "nod"):
        assert "no address is to be given" in where(edge, hosts["nod"])
    assert where(edge, hosts["nod"]) == ""


def test_more_causes(edge):
    """Of hostnames as another configuration has them."""
    www, apex = HOSTS["a.par.test"]["www"], HOSTS["a.par.test"]["@"]
    kept = {h.name: dict(F.hostnames[h.name]) for h in (www, apex)}
    far = HOSTS["a.par.test"]["far"].id(PRIMARY)
    F.hostnames[www.name]["dry-run"] = True
    F.hostnames[apex.name]["servers"] = [far]
    F.put(edge)
    edge.nzctl("reload")
    try:
        wait_for(lambda: "dry-run" in where(edge, www), "the cause")
        assert where(edge, apex) == "alias: the apex of a zone cannot be one"
        r = ask(edge, apex.name, do=True)
        assert at(r, apex.name, "A") == apex.placeholders()
        assert not verdict(r, keys_of(edge))
        r = ask(edge, www.name, do=True)
        assert at(r, www.name, "A") == www.placeholders()
    finally:
        F.hostnames.update(kept)
        F.put(edge)
        edge.nzctl("reload")
    wait_for(lambda: where(edge, www) == "" and decided(edge, www) and
             decided(edge, apex), "what was before")


# -- what may happen to a zone -----------------------------------------------

class Watch:
    """Asks one thing after another, while something happens to a zone, and
    keeps what is wrong with any answer."""

    def __init__(self, e, zone, labels=("www", "al", "plain")):
        self.e, self.zone, self.labels = e, zone, labels
        self.n, self.bad = 0, []
        self.known = keys_of(e, [z for z in SIGNED if z != zone])

    def look(self):
        """Answers first, then keys: as who has cached neither; the zone may
        change between the two, and so the keys are asked for before, too."""
        origin = dns.name.from_text(self.zone)
        for label in self.labels:
            for rdtype in ("A", "AAAA", "TXT"):
                before = zone_keys(self.e, self.zone)
                r = ask(self.e, f"{label}.{self.zone}", rdtype, do=True)
                self.n += 1
                after = zone_keys(self.e, self.zone)
                found = [verdict(r, {**self.known, origin: k})
                         for k in (after, before)]
                if all(found):
                    self.bad += found[0]

    def until(self, condition, what, seconds=30):
        def seen():
            self.look()
            return condition()
        wait_for(seen, what, seconds)


def freeze_and_thaw(e):
    zone = "b.par.test"
    watch = Watch(e, zone)
    e.rndc("freeze", zone, "IN", "min")
    watch.look()
    assert decided(e, HOSTS[zone]["www"]) and decided(e, HOSTS[zone]["al"])
    e.rndc("thaw", zone, "IN", "min")
    watch.until(lambda: all_decided(e, zone), "answers after a thaw")
    return watch


def update(e, zone, *changes):
    u = dns.update.Update(zone)
    for what, *args in changes:
        getattr(u, what)(*args)
    r = dns.query.tcp(u, e.address, port=e.port, timeout=10)
    assert r.rcode() == 0, r


def updates(e):
    """Placeholders come and go, of one type or all."""
    zone, host = "b.par.test", HOSTS["b.par.test"]["www"]
    watch = Watch(e, zone)
    update(e, zone, ("delete", "www", "AAAA"))
    watch.look()
    r = ask(e, host.name, "AAAA", do=True)
    assert not r.answer
    assert decided(e, host)
    update(e, zone, ("add", "www", 300, "AAAA", "2001:db8:4:9::1"))
    watch.until(lambda: decided(e, host, "AAAA"), "the new AAAA")
    bare = HOSTS[zone]["bare"]
    update(e, zone, ("add", "bare", 300, "A", "192.0.2.88"))
    watch.until(lambda: decided(e, bare), "the new placeholder")
    update(e, zone, ("delete", "bare", "A"))
    watch.look()
    r = ask(e, bare.name, do=True)
    assert not r.answer
    return watch


def taken_away(e):
    """Signed anew elsewhere: the keys are not here any more."""
    zone, hosts = "off.par.test", HOSTS["off.par.test"]
    watch = Watch(e, zone)
    watch.look()
    shutil.rmtree(e.path(f"keys-{zone}"))
    os.mkdir(e.path(f"keys-{zone}"))
    sign_beforehand(e, zone, 2)
    mark = e.mark()
    e.rndc("reload", zone, "IN", "min")
    watch.until(lambda: not decided(e, hosts["www"]), "the zone's own")
    e.wait_log(rf"zone '{zone}' is signed, and a private key is not in", mark)
    for rdtype in BOTH:
        for host in hosts.values():
            r = ask(e, host.name, rdtype, do=True)
            assert at(r, host.name, rdtype) == host.placeholders(rdtype)
    watch.look()
    assert where(e, hosts["al"]) == "no private key in the key directory"
    for path in glob.glob(e.path(f"kept-{zone}") + "/K*"):
        shutil.copy(path, e.path(f"keys-{zone}"))
    watch.until(lambda: all_decided(e, zone), "the keys to be found")
    return watch


def is_signed(e, name, rdtype):
    reply = ask(e, name, rdtype, do=True)
    return any(rrset.rdtype == dns.rdatatype.RRSIG
               for rrset in reply.answer + reply.authority
               if rrset.name == reply.question[0].name or not reply.answer)


def come_and_go(e):
    """By rndc addzone and delzone; the second time with other keys."""
    zone = "dyn.par.test"
    config = (f'{{ type primary; file "{e.path(zone)}.db"; dnssec-policy zsk;'
              f' inline-signing yes; key-directory "{e.dir}"; }};')
    e.write(f"{zone}.db", content(zone))
    keys, watch = set(), None
    for _ in range(2):
        e.rndc("addzone", zone, "IN", "min", config)
        # named signs a new zone piece by piece.
        wait_for(lambda: all_decided(e, zone) and all(
            is_signed(e, f"{label}.{zone}", rdtype) for label in
            ("www", "al", "plain") for rdtype in ("A", "TXT")),
            "the added zone's answers", 30)
        watch = watch or Watch(e, zone)
        watch.look()
        keys |= {k for s in zone_keys(e, zone).values() for k in s}
        e.rndc("delzone", zone, "IN", "min")
        wait_for(lambda: not ask(e, f"www.{zone}", do=True).answer,
                 "the zone to go")
        watch.bad += verdict(ask(e, f"www.{zone}", do=True), watch.known)
        for path in glob.glob(e.path(f"K{zone}.*")) + glob.glob(
                e.path(f"{zone}.db.*")):
            os.remove(path)
    assert len(keys) == 4
    return watch


def state_of(e, zone, algorithm, which):
    """A line of the state file of the zone's key, or None."""
    for path in glob.glob(e.path(f"K{zone}.+{algorithm:03d}+*.state")):
        with open(path, encoding="ascii") as f:
            m = re.search(rf"^{which}: (\S+)", f.read(), re.M)
        tag = int(path.rsplit("+", 1)[1].split(".")[0])
        return (m[1] if m else None), tag
    return None, None


def other_algorithm(e):
    """The combined key's algorithm is replaced, DS included."""
    zone = "algo.par.test"
    watch = Watch(e, zone, ("www", "al"))
    e.write("policies", POLICIES % 15)
    e.rndc("reconfig")
    seen = set()

    def rolled():
        for algorithm, state, said in ((15, "rumoured", "published"),
                                       (13, "unretentive", "withdrawn")):
            now, tag = state_of(e, zone, algorithm, "DSState")
            if now == state and said not in seen:
                delegate(e, zone)
                e.rndc("dnssec", "-checkds", "-key", str(tag), said, zone,
                       "IN", "min")
                seen.add(said)
        r = ask(e, f"www.{zone}", do=True)
        for s in r.answer:
            if s.rdtype == dns.rdatatype.RRSIG:
                seen.update(x.algorithm for x in s)
        if tiers(r) != {PRIMARY}:
            seen.add("not decided")
        return {k.algorithm for s in zone_keys(e, zone).values()
                for k in s} == {15}

    watch.until(rolled, "the old algorithm to leave the zone", 90)
    delegate(e, zone)
    assert {13, 15} <= seen
    return watch, "not decided" not in seen


def test_freeze_and_thaw(edge):
    watch = freeze_and_thaw(edge)
    assert watch.n and not watch.bad, "\n".join(watch.bad[:5])


def test_updates(edge):
    watch = updates(edge)
    assert watch.n and not watch.bad, "\n".join(watch.bad[:5])


def test_keys_are_taken_away(edge):
    watch = taken_away(edge)
    assert watch.n and not watch.bad, "\n".join(watch.bad[:5])
    assert not delvs(edge, "off.par.test", ("www", "al"))[1]


def test_a_zone_comes_and_goes(edge):
    watch = come_and_go(edge)
    assert watch.n and not watch.bad, "\n".join(watch.bad[:5])


def test_another_algorithm(edge):
    watch, always = other_algorithm(edge)
    assert watch.n and not watch.bad, "\n".join(watch.bad[:5])
    assert always
    assert not delvs(edge, "algo.par.test", ("www", "al"))[1]


def test_reconfig_and_a_restart(edge):
    edge.rndc("reconfig")
    for zone in CELLED:
        assert not cells(edge, zone)[1]
    edge.stop()
    edge.start_again()
    feed_all(edge)
    wait_for(lambda: all(all_decided(edge, z) for z in HOSTS if z in SIGNED),
             "signatures after a restart", 30)
    for zone in CELLED:
        assert not cells(edge, zone)[1]


def figure(rounds):
    """All cells again and again, with servers up and down, and all that may
    happen to a zone: the number of answers looked at and what is wrong with
    any."""
    with running() as e:
        looked, bad = 0, []
        for zone in CELLED:
            for labels in ((), FAILING):
                with down(e, zone, *labels):
                    for _ in range(rounds):
                        n, more = cells(e, zone)
                        looked, bad = looked + n, bad + more
                    n, more = delvs(e, zone)
                    looked, bad = looked + n, bad + more
        watches = [happens(e) for happens in (
            freeze_and_thaw, updates, taken_away, come_and_go)]
        watches.append(other_algorithm(e)[0])
        for watch in watches:
            looked, bad = looked + watch.n, bad + watch.bad
        return looked, bad
