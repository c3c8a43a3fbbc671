# SPDX-License-Identifier: MPL-2.0
"""Near servers, kept servers, aliases, and hostnames that are only tried."""

import time

import dns.edns
import dns.flags
import dns.rdatatype
import pytest

from nzlib import Edge, Origin, ask, wait_for, zone_of, zone_text
from nzlib.steer import command, feed

NOW = time.time


def doc(**hostnames):
    return {
        "services": {"web": {"probe": "http", "interval": "5s"}},
        "pops": {
            "fra": {"servers": {"a": {"addresses": ["192.0.2.1",
                                                    "2001:db8::1"]}}},
            "iad": {"servers": {"b": {"addresses": ["192.0.2.2"]}}},
            "any": {"servers": {"cdn": {"alias": "www.cdn.example"}}}},
        "hostnames": {
            "near.gslb.test": {"servers": ["a", "b"], "explore": 0},
            "table.gslb.test": {
                "servers": ["a", "b"], "explore": 0, "persist": "1h",
                "persist-by": "table", "weigh": {"latency": 0}},
            "alias.gslb.test": {"servers": ["cdn"]},
            "alias.ord.test": {"servers": ["cdn"], "next": ["a"]},
            "alias.edge.test": {"servers": ["cdn"]},
            "else.gslb.test": {"servers": ["cdn"],
                               "else": "near.gslb.test"},
            "dry.ord.test": {"servers": ["a"], "dry-run": True},
            "dry.edge.test": {"servers": ["a"], "dry-run": True},
        },
        "domains": {"gslb.test": {"ns": ["ns1.other.test"]}},
    }


ORD = zone_text("alias A 198.51.100.1\nalias TXT text\n"
                "dry A 198.51.100.7\nto CNAME alias\nmx MX 1 alias\n")


@pytest.fixture(scope="module")
def origin():
    with Origin({"edge.test": zone_text("alias A 198.51.100.1\n"
                                        "dry A 198.51.100.8\n")}) as o:
        yield o


@pytest.fixture
def edge(origin):
    def body(e):
        path = e.write("ord.db", ORD)
        return (f'zone "ord.test" {{ type primary; file "{path}"; }};\n'
                + e.plugin())
    e = Edge({"edge.test": zone_of(origin)}, body=body)
    e.doc.update(doc())
    e.write_json()
    with e:
        yield e


def texts(r):
    return sorted(x.to_text() for s in r.answer for x in s)


def subnet(text):
    address, bits = text.split("/")
    return dns.edns.ECSOption(address, int(bits))


def given(edge, name, prefix=None, n=20):
    options = [subnet(prefix)] if prefix else []
    return {texts(ask(edge, name, options=options))[0] for _ in range(n)}


def rows(*latencies):
    return [["latency", prefix, pop, NOW(), ms]
            for prefix, pop, ms in latencies]


def test_near(edge):
    assert given(edge, "near.gslb.test", "10.1.2.0/24", 60) == {
        "192.0.2.1", "192.0.2.2"}
    # what was asked for is wanted, once
    def wanted():
        return command(edge, "wanted")["prefixes"]
    assert "10.1.2.0/24" in wanted()
    assert "10.1.2.0/24" not in wanted()
    r = feed(edge, rows(("10.1.2.0/24", "fra", 20), ("10.1.2.0/24", "iad", 90),
                        ("10.1.0.0/16", "fra", 90), ("10.1.0.0/16", "iad", 20),
                        ("2001:db8:7::/48", "fra", None),
                        ("2001:db8:7::/48", "iad", 300),
                        ("10.0.0.0/8", "mars", 1), ("10.0.0.0/33", "fra", 1),
                        ("10.0.0.0/8", "fra", -1)))
    assert r["accepted"] == 6 and r["why"] == {"unknown": 1, "malformed": 2}
    assert given(edge, "near.gslb.test", "10.1.2.0/24") == {"192.0.2.1"}
    assert given(edge, "near.gslb.test", "10.1.3.0/24") == {"192.0.2.2"}
    assert given(edge, "near.gslb.test", "2001:db8:7:1::/64") == {"192.0.2.2"}
    r = ask(edge, "near.gslb.test", options=[subnet("10.1.2.0/24")])
    ecs, = [o for o in r.options if isinstance(o, dns.edns.ECSOption)]
    assert ecs.scopelen == 24
    told = command(edge, "latency", client="10.1.2.3")
    assert told["known"] and {p["pop"]: p["ms"] for p in told["pops"]} == {
        "fra": pytest.approx(20), "iad": pytest.approx(90)}
    x = command(edge, "explain", name="near.gslb.test", type="A",
                client="10.1.2.0/24")["explain"]
    assert [(c["latency_ms"], c["latency"], c["verdict"])
            for c in x["candidates"]] == [
        (pytest.approx(20), "measured", "chosen"),
        (pytest.approx(90), "measured", "too costly")]
    # kept over reloads and restarts
    edge.nzctl("reload")
    assert given(edge, "near.gslb.test", "10.1.2.0/24") == {"192.0.2.1"}
    edge.stop()
    edge.start_again()
    assert given(edge, "near.gslb.test", "10.1.2.0/24") == {"192.0.2.1"}
    assert given(edge, "near.gslb.test", "10.1.9.0/24") == {"192.0.2.2"}
    assert edge.status()["traffic"]["groups"] == 3


def test_ages(edge):
    """True ones, also those that the monotonic clock cannot say."""
    with open("/proc/uptime") as f:
        age = float(f.read().split()[0]) + 3600
    edge.doc["max-age"] = {"latency": "30d"}
    edge.write_json()
    edge.nzctl("reload")
    r = feed(edge, [["latency", "10.1.2.0/24", "fra", NOW() - age, 20],
                    ["latency", "10.1.2.0/24", "iad", NOW() - 600, 90],
                    ["latency", "10.1.2.0/24", "any", NOW() - 31 * 86400, 9]])
    assert r["why"] == {"old": 1}

    def ages():
        told = command(edge, "latency", client="10.1.2.3")
        return {p["pop"]: p["age_s"] for p in told["pops"]}
    for _ in range(2):
        assert ages() == {"fra": pytest.approx(age, abs=70),
                          "iad": pytest.approx(600, abs=70)}
        edge.stop()
        edge.start_again()
    # a POP that goes takes its column along, the others stay
    del edge.doc["pops"]["fra"]
    edge.doc["hostnames"] = {"alias.gslb.test": {"servers": ["cdn"]}}
    edge.write_json()
    edge.nzctl("reload")
    assert ages() == {"iad": pytest.approx(600, abs=70)}


def test_another_size(edge):
    """A table with other columns, or of other groups, takes over."""
    for limits, more in ((100, []), (3, []), (3, range(20))):
        feed(edge, rows(("10.1.2.0/24", "fra", 20), ("10.1.2.0/24", "iad", 90),
                        ("10.1.0.0/16", "fra", 90), ("10.1.0.0/16", "iad", 20)))
        edge.doc["limits"] = {"groups": limits}
        for i in more:
            edge.doc["pops"]["more%d" % i] = {"servers": {}}
        edge.write_json()
        edge.nzctl("reload")
        assert given(edge, "near.gslb.test", "10.1.2.0/24") == {"192.0.2.1"}
        assert given(edge, "near.gslb.test", "10.1.3.0/24") == {"192.0.2.2"}
        assert edge.status()["traffic"]["groups"] == 2
    feed(edge, rows(*(("10.%d.0.0/16" % i, "more7", 5) for i in range(2, 9))))
    assert edge.status()["traffic"]["groups"] == 3
    edge.stop()
    edge.start_again()
    assert edge.status()["traffic"]["groups"] == 3


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_table_is_refused(edge, damage):
    feed(edge, rows(("10.1.2.0/24", "fra", 20), ("10.1.2.0/24", "iad", 90)))
    edge.stop()
    path = edge.path("latency.table")
    with open(path, "rb") as f:
        text = f.read()
    with open(path, "wb") as f:
        f.write(damage if damage is not None else
                text[:-40] + bytes([text[-40] ^ 1]) + text[-39:])
    edge.start_again()
    edge.wait_log("table '.*latency.table' is refused")
    assert edge.status()["traffic"]["groups"] == 0


def test_a_table_of_clients(edge):
    first = {p: given(edge, "table.gslb.test", p, 15)
             for p in (f"10.7.{i}.0/24" for i in range(20))}
    assert all(len(a) == 1 for a in first.values())
    assert {min(a) for a in first.values()} == {"192.0.2.1", "192.0.2.2"}
    edge.nzctl("reload")
    edge.stop()
    edge.start_again()
    for prefix, answer in first.items():
        assert given(edge, "table.gslb.test", prefix, 3) == answer
    # not its own server any more
    gone = next(p for p, a in first.items() if a == {"192.0.2.1"})
    command(edge, "drain", server="a", reason="x")
    assert given(edge, "table.gslb.test", gone) == {"192.0.2.2"}
    command(edge, "undrain", server="a")
    assert given(edge, "table.gslb.test", gone) == {"192.0.2.2"}


@pytest.mark.parametrize("name, rdtype", [
    ("alias.gslb.test", "A"), ("alias.gslb.test", "AAAA"),
    ("alias.edge.test", "A"), ("alias.edge.test", "AAAA"),
    ("alias.ord.test", "A")])  # whose zone holds no AAAA there
def test_alias(edge, name, rdtype):
    r = ask(edge, name, rdtype)
    one, = r.answer
    assert one.rdtype == dns.rdatatype.CNAME and one.ttl == 30
    assert texts(r) == ["www.cdn.example."] and r.rcode() == 0


def test_alias_alone(edge):
    """A name that leads to another has no records of its own."""
    for rdtype in "MX", "TXT", "HTTPS":
        assert texts(ask(edge, "alias.gslb.test", rdtype)) == [
            "www.cdn.example."]
    # of an ordinary zone, other types are the zone's
    assert texts(ask(edge, "alias.ord.test", "TXT")) == ['"text"']
    r = ask(edge, "to.ord.test")
    assert texts(r) == ["alias.ord.test.", "www.cdn.example."]
    # no address of it anywhere
    r = ask(edge, "mx.ord.test", "MX")
    assert r.answer and not any(
        s.rdtype in (dns.rdatatype.A, dns.rdatatype.CNAME)
        and s.name.to_text() == "alias.ord.test." for s in r.additional)
    command(edge, "drain", server="cdn", reason="x")
    assert texts(ask(edge, "alias.ord.test")) == ["192.0.2.1"]
    command(edge, "undrain", server="cdn")


def test_else(edge):
    command(edge, "drain", server="cdn", reason="x")
    assert given(edge, "else.gslb.test") == {"192.0.2.1", "192.0.2.2"}
    x = command(edge, "explain", name="else.gslb.test", type="A")["explain"]
    assert x["else"] == "near.gslb.test"
    assert {c["server"] for c in x["candidates"]} == {"a", "b"}
    command(edge, "undrain", server="cdn")
    assert given(edge, "else.gslb.test") == {"www.cdn.example."}


def test_dry_run(edge):
    assert texts(ask(edge, "dry.ord.test")) == ["198.51.100.7"]
    assert texts(ask(edge, "dry.edge.test")) == ["198.51.100.8"]
    for name in "dry.ord.test", "dry.edge.test":
        x = command(edge, "explain", name=name, type="A")["explain"]
        assert x["answer"] == ["192.0.2.1"]
        assert x["counts"]["dry"] == 1 and x["counts"]["decisions"] == 0
    edge.doc["hostnames"]["x.gslb.test"] = {"servers": ["a"], "dry-run": True}
    edge.write_json()
    errors = edge.nzctl("reload", status=(1,))["errors"]
    assert "dry-run" in errors[0]["text"]
