# SPDX-License-Identifier: MPL-2.0
"""Work in slices that overlaps: purges, a change of a zone, a restart.

Each ends by itself, and leaves what the others are about.
"""

import contextlib
import json
import socket
import threading

import pytest

from nzlib import Edge, Origin, ask, ask_together, wait_for, zone_of, zone_text
from nzlib.ask import make
from nzlib.base import patience

N = 150
PARTS = "one", "two", "kept"
MANY = zone_text("\n".join(f"h{i}.{part} A 192.0.2.1"
                           for i in range(N) for part in PARTS))


def names(part):
    return [f"h{i}.{part}.many.test" for i in range(N)]


MOVED = [f"h{i}.moved.test" for i in range(N)]


def moved(fourth, serial):
    """The zone of which one name changes."""
    return zone_text("\n".join(f"h{i} A 192.0.2.{fourth if i == 7 else 1}"
                               for i in range(N)), serial=serial)


@pytest.fixture
def pair():
    zones = {"many.test": MANY, "moved.test": moved(1, 1),
             "gone.test": zone_text("* A 192.0.2.1")}
    with Origin(zones, zone_options="ixfr-from-differences yes;") as origin:
        edge = Edge({"many.test": zone_of(origin),
                     "moved.test": zone_of(origin, poll="1h"),
                     "gone.test": zone_of(origin)})
        # a table whose walk takes many slices
        edge.doc["cache"]["size"] = "512MiB"
        edge.write_json()
        with edge:
            yield origin, edge


def fresh(edge):
    zones = edge.nzctl("status", "--zone", "moved.test")["status"]["zones"]
    return zones[0]["fresh"]


def is_at(edge, serial):
    state = fresh(edge)
    return state["serial"] == serial and not state["busy"]


def asked(origin, edge, some):
    """Those of 'some' that the edge has to ask for."""
    mark = origin.mark()
    assert None not in ask_together(edge, [make(name) for name in some])
    return {q.name for q in origin.questions(mark, rdtype="A")}


def fill(origin, edge):
    wait_for(lambda: is_at(edge, 1), "the serial")
    for some in *map(names, PARTS), MOVED, ["x.gone.test", "y.gone.test"]:
        asked(origin, edge, some)
        assert asked(origin, edge, some) == set()


def reply_in(file):
    try:
        return json.loads(file.readline() or "{}")
    except ConnectionError:
        return {}


@contextlib.contextmanager
def together(edge, *requests):
    """Sends all before it reads any; yields what gives the replies, {} for
    one that does not come."""
    with contextlib.ExitStack() as stack:
        files = []
        for request in requests:
            s = stack.enter_context(socket.socket(socket.AF_UNIX))
            s.settimeout(patience(20))
            s.connect(edge.socket)
            files.append(stack.enter_context(s.makefile("rwb")))
            files[-1].write(json.dumps(request).encode() + b"\n")
        for f in files:
            f.flush()
        yield lambda: [reply_in(f) for f in files]


def purge(**what):
    return {"command": "purge", **what}


NOTIFY = {"command": "notify", "zone": "moved.test"}


def is_right(origin, edge):
    """After the purges of two parts, and the change."""
    wait_for(lambda: is_at(edge, 2), "the new serial")
    assert "192.0.2.99" in ask(edge, MOVED[7]).to_text()
    for part in "one", "two":
        assert asked(origin, edge, names(part)) == set(names(part))


def test_purges_and_a_change(pair):
    origin, edge = pair
    fill(origin, edge)
    origin.change("moved.test", moved(99, 2))
    with together(edge, purge(subtree="one.many.test"), NOTIFY,
                  purge(subtree="two.many.test"), purge(zone="gone.test"),
                  purge(subtree="one.many.test")) as replies:
        one, _, two, gone, again = replies()
    # both walks for the first part share what is there
    assert one["purged"] + again["purged"] == N
    assert two["purged"] == N and gone["purged"] == 2
    is_right(origin, edge)
    assert asked(origin, edge, MOVED) == set()
    assert asked(origin, edge, names("kept")) == set()
    state = fresh(edge)
    assert (state["dropped"], state["whole"]) == (1, 0)


def test_while_the_snapshot_comes_back(pair):
    """A purge as early as can be: what it purged stays away, whether it was
    in the store, still to come, or neither."""
    origin, edge = pair
    fill(origin, edge)
    edge.stop()
    origin.change("moved.test", moved(99, 2))
    done = []

    def early():
        def attempt():
            with contextlib.suppress(OSError, ValueError), together(
                    edge, purge(subtree="one.many.test"), NOTIFY,
                    purge(subtree="two.many.test")) as replies:
                return all(got := replies()) and got
        done.extend(wait_for(attempt, "the control socket", 30))

    thread = threading.Thread(target=early)
    thread.start()
    edge.start_again()
    thread.join()
    assert all(reply["ok"] for reply in done)
    is_right(origin, edge)
    # and again, with all of it in the store
    with together(edge, purge(subtree="one.many.test"), NOTIFY,
                  purge(subtree="two.many.test")) as replies:
        one, _, two = replies()
    assert (one["purged"], two["purged"]) == (N, N)


def test_a_stop_ends_what_is_under_way(pair):
    """What was answered holds after the restart, the rest is whole."""
    origin, edge = pair
    fill(origin, edge)
    origin.change("moved.test", moved(99, 2))
    parts = ("one", "two") * 20
    with together(edge, *[purge(subtree=part + ".many.test")
                          for part in parts], NOTIFY) as replies:
        edge.stop()
        done = {part for part, reply in zip(parts, replies()) if reply}
    edge.start_again()
    wait_for(lambda: is_at(edge, 2), "the new serial")
    assert "192.0.2.99" in ask(edge, MOVED[7]).to_text()
    for part in done:
        assert asked(origin, edge, names(part)) == set(names(part))
    assert asked(origin, edge, names("kept")) == set()
