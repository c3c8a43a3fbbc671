# SPDX-License-Identifier: MPL-2.0
"""rrset-order: a cached answer must not freeze the order of its records."""

import pytest

from nzlib import Edge, Origin, SignedZone, ask, zone_of
from nzlib.zones import RICH

ORDERS = {"127.0.0.51": "", "127.0.0.52": "rrset-order { order cyclic; };",
          "127.0.0.53": "rrset-order { order none; };",
          "127.0.0.54": "rrset-order { order random; };"}


@pytest.fixture(scope="module", params=["plain", "signed"])
def edge(request):
    text = RICH
    if request.param == "signed":
        text = SignedZone("example.com", RICH.replace("1-4000", "1-20")).text
    with Origin({"example.com": text}) as origin, \
            Edge({"example.com": zone_of(origin)}, body=lambda e: "".join(
                f'view "v{a[-2:]}" {{ match-clients {{ {a}; }}; {order} '
                f'{e.plugin()} }};\n' for a, order in ORDERS.items())) as e:
        yield e


def orders(edge, name, rdtype, source, n=24, **how):
    """The orders in which a client gets the records, in n answers."""
    return [[x.to_text() for x in r.answer[0]] for r in (
        ask(edge, name, rdtype, source=source, **how) for _ in range(n))]


@pytest.mark.parametrize("name,rdtype,n", [
    ("www", "A", 4), ("www", "AAAA", 2), ("example.com.", "NS", 2),
    ("example.com.", "MX", 2)])
@pytest.mark.parametrize("do", [False, True])
@pytest.mark.parametrize("tcp", [False, True])
def test_order_changes(edge, name, rdtype, n, do, tcp):
    name = name if name.endswith(".") else f"{name}.example.com"
    for source in ("127.0.0.51", "127.0.0.52", "127.0.0.54"):
        seen = orders(edge, name, rdtype, source, do=do, tcp=tcp)
        assert {len(x) for x in seen} == {n}
        assert len({tuple(sorted(x)) for x in seen}) == 1
        assert len({x[0] for x in seen}) >= min(n, 3), source


def test_cyclic_goes_round(edge):
    seen = orders(edge, "www.example.com", "A", "127.0.0.52", 12)
    firsts = [x[0] for x in seen]
    assert all(a != b for a, b in zip(firsts, firsts[1:]))
    assert all(firsts.count(x) == 3 for x in set(firsts))


def test_none_stays(edge):
    seen = orders(edge, "www.example.com", "A", "127.0.0.53", 20)
    assert len({tuple(x) for x in seen}) == 1


def test_owners_and_signatures_stay_with_their_records(edge):
    for _ in range(20):
        r = ask(edge, "www.example.com", do=True, source="127.0.0.51")
        assert [x.name.to_text() for x in r.answer] == [
            "www.example.com."] * len(r.answer)
        assert r.answer[0].ttl == r.answer[-1].ttl
