# SPDX-License-Identifier: MPL-2.0
"""Traffic management: hostnames, their servers, and what a side-car says.

Every hostname has servers of its own, so that tests share a named and not
its state.  An address tells what it is: 10.H.T.I and 2001:db8:H:T::I, where
H counts hostnames and T is 1, 2, 3 for a primary, backup, hidden server, and
9 for the placeholders in a zone.
"""

import contextlib
import re
import time

import dns.edns
import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype

from nzlib.ask import ask
from nzlib.base import wait_for
from nzlib.edge import control

PRIMARY, BACKUP, HIDDEN, PLACEHOLDER = 1, 2, 3, 9
FULL = "127.0.0.31"  # who has the view with minimal-responses no
RECURSIVE = "127.0.0.33"  # who may ask named to recurse, and where to
HINTS = ". 3600 NS nowhere.\nnowhere. 3600 A 127.0.0.99\n"

# How a client may ask.
WAYS = [
    {}, {"tcp": True}, {"payload": 1232}, {"payload": 4096, "rd": True},
    {"do": True}, {"do": True, "tcp": True}, {"rd": True}, {"mixed": True},
    {"mixed": True, "do": True, "cd": True}, {"source": FULL},
    {"source": FULL, "do": True}, {"source": FULL, "tcp": True, "rd": True},
    {"ad": True}, {"ad": True, "payload": 1232},
]


def address(host, tier, i, v6=False):
    return f"2001:db8:{host:x}:{tier}::{i}" if v6 else f"10.{host}.{tier}.{i}"


class Host:
    """A hostname of the configuration and its servers."""

    def __init__(self, fleet, number, name, counts, families):
        self.fleet, self.number, self.name = fleet, number, name
        self.counts, self.families = counts, families

    def id(self, tier, i=1):
        return f"h{self.number}-{tier}-{i}"

    def all(self, tier, rdtype="A"):
        """Every address of a tier."""
        return {address(self.number, tier, i, rdtype == "AAAA")
                for i in range(1, self.counts[tier] + 1)}

    def one(self, tier, i=1, rdtype="A"):
        return address(self.number, tier, i, rdtype == "AAAA")

    def rows(self, tier, state, only=None, age_s=0.0, metric=None,
             service="web"):
        """Rows of the feed for a tier's servers, or the one that is 'only'.
        """
        bad = state == "down"
        return [[self.id(tier, i), address(self.number, tier, i, v6), service,
                 round(time.time() - age_s, 3), state,
                 metric if metric is not None else 65535 if bad else 10 + i,
                 2 if bad else 0]
                for i in range(1, self.counts[tier] + 1)
                if only is None or i == only
                for v6 in (False, True) if ("AAAA" if v6 else "A")
                in self.families]

    def set(self, edge, primary=None, backup=None, hidden=None, **how):
        """Feeds one state for each tier that is given.

        Again, until all rows are taken: two in one millisecond are not one
        newer than the other.
        """
        def fed():
            rows = [row for tier, state in (
                (PRIMARY, primary), (BACKUP, backup), (HIDDEN, hidden))
                if state for row in self.rows(tier, state, **how)]
            r = feed(edge, rows)
            assert set(r.get("why", {})) <= {"old"}, r
            return r["accepted"] == len(rows)
        wait_for(fed, "all rows to be taken", 2)

    def placeholders(self, rdtype="A"):
        return {address(self.number, PLACEHOLDER, i, rdtype == "AAAA")
                for i in (1, 2)}

    def records(self, zone):
        """The placeholders, as lines of the zone's file."""
        label = self.name[:-len(zone) - 1] or "@"
        return "".join(f"{label} {t} {a}\n" for t in ("A", "AAAA")
                       for a in sorted(self.placeholders(t)))


class Fleet:
    """The traffic part of a configuration."""

    def __init__(self):
        self.hosts = []
        self.domains = {}
        self.servers = {}
        self.hostnames = {}
        self.services = {"web": {
            "probe": "http", "port": 8080, "interval": "1s", "timeout": "1s",
            "max-age": "60s"}}

    def host(self, name, primary=2, backup=0, hidden=0, families="A AAAA",
             weight=10, **more):
        """Declares a hostname with so many servers in each tier."""
        counts = {PRIMARY: primary, BACKUP: backup, HIDDEN: hidden}
        host = Host(self, len(self.hosts) + 1, name, counts,
                    families.split())
        self.hosts.append(host)
        lists = {}
        for tier, key in ((PRIMARY, "servers"), (BACKUP, "backup"),
                          (HIDDEN, "hidden")):
            ids = [host.id(tier, i) for i in range(1, counts[tier] + 1)]
            for i, server in enumerate(ids, 1):
                self.servers[server] = {"weight": weight, "addresses": [
                    address(host.number, tier, i, f == "AAAA")
                    for f in host.families]}
            if ids:
                lists[key] = ids
        self.hostnames[name] = {"service": "web", **lists, **more}
        return host

    def records(self, zone):
        return "".join(h.records(zone) for h in self.hosts
                       if h.name == zone or h.name.endswith("." + zone))

    def put(self, edge):
        """Writes it into the configuration of an edge."""
        edge.doc["services"] = self.services
        edge.doc["pops"] = {"fra": {"servers": self.servers}}
        edge.doc["hostnames"] = self.hostnames
        if self.domains:
            edge.doc["domains"] = self.domains
        edge.write_json()
        return edge


# -- the feed ----------------------------------------------------------------

def feed(edge, rows):
    """Sends rows; returns the reply, which counts them all."""
    r = command(edge, "metrics", node="t1", rows=rows)
    assert r["ok"] and r["accepted"] + r["refused"] == len(rows), r
    assert r["refused"] == sum(r.get("why", {}).values())
    return r


def command(edge, what, **more):
    with control(edge) as call:
        return call({"command": what, **more})


def explain(edge, host, rdtype="A", **more):
    r = command(edge, "explain", name=host.name, type=rdtype, **more)
    assert r["ok"], r
    return r["explain"]


def counts(edge, host):
    return explain(edge, host)["counts"]


@contextlib.contextmanager
def counted(edge, host):
    """What a block added to a hostname's counters; zeros are left out."""
    before, more = counts(edge, host), {}
    yield more
    after = counts(edge, host)
    more.update({k: after[k] - before[k] for k in after
                 if after[k] != before[k]})


def asked(origin, mark):
    """What an origin was asked since a mark, surveys of its zones (which may
    come at any time) left out."""
    return [q for q in origin.questions(mark) if q.rdtype != "SOA"]


# -- answers -----------------------------------------------------------------

def mix(name):
    """The same name in another spelling."""
    return "".join(c.upper() if i % 2 else c for i, c in enumerate(name))


def at(message, name, rdtype, section="answer"):
    """The records of a type that a section has for a name, as texts."""
    name = dns.name.from_text(name)
    rdtype = dns.rdatatype.from_text(rdtype)
    return {rd.to_text() for r in getattr(message, section)
            if r.name == name and r.rdtype == rdtype for rd in r}


def types(message, section):
    return sorted(dns.rdatatype.to_text(r.rdtype)
                  for r in getattr(message, section))


def tiers(message, *also):
    """Which kinds of addresses are anywhere in a message (or text)."""
    text = message if isinstance(message, str) else message.to_text()
    found = re.findall(r"\b10\.\d+\.(\d)\.\d|2001:db8:[0-9a-f]+:(\d)::", text)
    # An option or a parameter may hold one in another spelling.
    found += re.findall(r"\b0?a[0-9a-f]{2}0([1239])0\d\b", text)
    return {int(a if isinstance(a, str) else a[0] or a[1]) for a in found}


def ask_way(edge, name, rdtype, how):
    """Asks one way, and looks at all that any answer must have right."""
    how = dict(how)
    name = mix(name) if how.pop("mixed", False) else name
    r = ask(edge, name, rdtype, **how)
    assert r.question[0].name.to_text(True) == name  # as it was spelled
    assert bool(r.flags & dns.flags.RD) == how.get("rd", False)
    assert bool(r.flags & dns.flags.CD) == how.get("cd", False)
    assert not r.flags & dns.flags.AD
    assert not r.flags & dns.flags.TC
    edns = how.get("do", False) or "payload" in how or "options" in how
    assert (r.edns >= 0) == edns
    assert bool(r.ednsflags & dns.flags.DO) == how.get("do", False)
    return r


def every_way(edge, name, rdtype="A", rcode="NOERROR", aa=True,
              never=(HIDDEN, PLACEHOLDER), ways=None):
    """Asks in every way; yields the replies, none of which has addresses of
    a kind that is 'never' right."""
    for how in ways or WAYS:
        r = ask_way(edge, name, rdtype, how)
        assert dns.rcode.to_text(r.rcode()) == rcode, (how, r.to_text())
        assert bool(r.flags & dns.flags.AA) == aa, (how, r.to_text())
        assert not tiers(r) & set(never), (how, r.to_text())
        yield r


def is_nodata(message, zone, ttl_s=None):
    """Asserts NODATA with that zone's SOA, and nothing in the answer but
    aliases."""
    assert message.rcode() == dns.rcode.NOERROR
    assert set(types(message, "answer")) <= {"CNAME", "DNAME"}
    soa = [r for r in message.authority if r.rdtype == dns.rdatatype.SOA]
    assert [r.name.to_text(True).lower() for r in soa] == [zone], \
        message.to_text()
    if ttl_s is not None:
        assert soa[0].ttl == ttl_s
    return True


# -- the client's subnet -----------------------------------------------------

def subnet(text):
    """An option for "192.0.2.0/24"."""
    where, _, bits = text.partition("/")
    return dns.edns.ECSOption(where, int(bits))


def scope(message):
    """The scope of a reply's client subnet; None without that option."""
    found = [o for o in message.options if isinstance(o, dns.edns.ECSOption)]
    assert len(found) <= 1
    return found[0].scopelen if found else None
