# SPDX-License-Identifier: MPL-2.0
"""The side-car in trouble: of its machine, its clock, its plugin."""

import contextlib
import os
import resource
import subprocess
import threading
import time

import pytest

from nzlib.base import free_port, patience, scratch, wait_for
from nzlib.pki import certificate
from nzlib.probed import Probed, Sink
from nzlib.prom import scrape
from nzlib.web import Script, Web
from test_probed import HOST, conf_of, document, http, service

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def cpu_s(probed):
    with open(f"/proc/{probed.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def files_max(probed, n):
    """Allows it 'n' descriptors more than those that it keeps open."""
    pid = probed.process.pid
    kept = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    free = next(fd for fd in range(4096) if fd not in kept)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + n, 4096))


QUESTION = {"question": {"name": "a.test"}}
BY_TCP = {"question": {"name": "a.test", "transport": "tcp"}}
KINDS = [("tcp", {}), ("http", {"expect": {"status": 200}}),
         ("https", {"expect": {"status": 200}}), ("smtp", {}), ("tls", {}),
         ("dns", QUESTION), ("dns", BY_TCP),
         ("program", {"command": ["/bin/true"]})]


@pytest.mark.parametrize(("probe", "more"), KINDS)
def test_without_descriptors(probe, more):
    """It says so, judges nobody, rests in between, and goes on."""
    metrics = free_port()
    with Web() as web, Sink() as sink:
        names = [f"s{i:02}" for i in range(20)]
        doc = document({name: service(web.port, probe, **more)
                        for name in names}, sink=sink)
        doc["metrics"] = {"address": ["127.0.0.1"], "port": metrics}
        with Probed(conf_of(doc), "n1") as probed:
            wait_for(lambda: len(sink.newest()) == 20, "all rows")
            state = sink.newest()["s00"][4]
            wait_for(lambda: sink.count() >= 2, "more")
            # All that is free is taken: the connection to the plugin and the
            # listener stay.
            files_max(probed, 0)
            probed.wait_log("tests cannot be made: '.*[Tt]oo many open files")
            time.sleep(0.5)  # what was under way
            since, cpu = sink.count(), cpu_s(probed)
            time.sleep(2.5)
            assert cpu_s(probed) - cpu < 0.5
            assert {row[4] for row in sink.rows(since)} <= {state}
            assert 10 not in {row[6] for row in sink.rows(since)}
            assert probed.log().count("cannot be made") == 1, probed.log()
            files_max(probed, 200)
            since = sink.count()
            wait_for(lambda: len(sink.newest(since)) == 20, "all again")
            sink.stop()  # it knows no other commands
            void = scrape(metrics).get("nearzone_probed_tests_void_total",
                                       cause="lacking")
            assert void >= 20
            assert {row[4] for row in sink.rows(since)} == {state}


def test_authorities_that_cannot_be_read():
    """A descriptor for a connection and none for a file blames no server."""
    cert = certificate("www.example")
    more = {"host": "www.example", "ca-file": cert[0]}
    with Web(tls=cert) as web, Sink() as sink:
        doc = document({"h": service(web.port, "https", **more),
                        "t": service(web.port, "tls", **more)}, sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            wait_for(lambda: len(sink.newest()) == 2, "all rows")
            files_max(probed, 1)
            since = sink.count()

            def read_again():
                probed.reload()
                time.sleep(0.3)
                return "configuration read again" in probed.log()

            wait_for(read_again, "the configuration, by one descriptor")
            probed.wait_log("tests cannot be made: '.*[Tt]oo many open files")
            time.sleep(2.5)
            files_max(probed, 200)
            again = sink.count()
            wait_for(lambda: len(sink.newest(again)) == 2, "all again")
            assert {row[4] for row in sink.rows(since)} == {"up"}


def test_a_stop_in_the_middle_of_a_test_is_no_failure():
    """The answer was there in time; it was we who were not."""
    with Script(http("ok"), gap=0.0) as fast, Sink() as sink:
        gate = threading.Event()
        slow = Script(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\nok",
                      gap=0.5)
        with slow:
            doc = document({"slow": service(slow.port, interval="2s"),
                            "fast": service(fast.port, interval="2s")},
                           sink=sink)
            with Probed(conf_of(doc), "n1") as probed:
                wait_for(lambda: len(sink.newest()) == 2, "a round")
                assert sink.newest()["slow"][4] == "up"
                seen = len(slow.times)
                wait_for(lambda: len(slow.times) > seen, "a test", 10)
                probed.pause()
                gate.wait(2.5)
                since = sink.count()
                probed.resume()
                probed.wait_log("too late to be judged are made again")
                wait_for(lambda: len(sink.newest(since)) == 2, "results")
                time.sleep(1.5)
            assert {row[4] for row in sink.rows()} == {"up"}, sink.rows()
            assert {row[6] for row in sink.rows()} == {0}, sink.rows()


def most_in(times, span_s):
    """The most of them within any such span."""
    return max(sum(t <= other < t + span_s for other in times) for t in times)


def test_turns_are_spread_and_stay_so_over_a_stop():
    """No burst after it: each target has its turn, and that is where it was."""
    n, interval = 200, 5
    with Script(http("ok")) as web:
        doc = document({f"s{i:03}": service(web.port, "tcp", jitter=0,
                                            interval=f"{interval}s")
                        for i in range(n)},
                       {f"srv{k}": {"addresses": [HOST], "services": [
                           f"s{i:03}" for i in range(50 * k, 50 * k + 50)]}
                        for k in range(4)})
        with Probed(conf_of(doc), "n1") as probed:
            wait_for(lambda: len(web.times) >= 2 * n, "two rounds", 20)
            # The first round takes a second; then evenly over the interval.
            begin = web.times[0] + 1.3
            seen = [t for t in web.times if t > begin]
            usual = n / interval * 0.5  # in half a second
            assert most_in(seen, 0.5) <= usual * 1.6, seen
            probed.pause()
            time.sleep(23)
            before, resumed = len(web.times), time.monotonic()
            probed.resume()
            probed.wait_log(r"\d+ tests came too late and were left out")
            wait_for(lambda: time.monotonic() > resumed + interval + 1,
                     "a round", 10)
            later = web.times[before:]
            # What was due in the last second is caught up with, nothing else.
            caught = [t for t in later if t < resumed + 0.5]
            assert len(caught) <= 1.5 * n / interval + 1.6 * usual
            rest = [t for t in later if t >= resumed + 0.5]
            assert most_in(rest, 0.5) <= usual * 1.6, rest
            whole = [t for t in later if t < resumed + interval]
            assert 0.7 * n <= len(whole) <= 1.3 * n


@contextlib.contextmanager
def set_clock(offset_s=0):
    """(environment, set): a clock that can be set; monotonic goes on."""
    if not os.path.exists(FAKETIME):
        pytest.skip("libfaketime is not installed")
    if os.environ.get("NZ_SANITIZER"):
        pytest.skip("the sanitizer's library wants to come first, too")
    path = os.path.join(scratch("clock"), "offset")

    def put(seconds):
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(f"{seconds:+d}")
        os.rename(path + ".new", path)

    put(offset_s)
    yield {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": path,
           "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
           "DONT_FAKE_MONOTONIC": "1"}, put


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_clock_that_is_set(step_s):
    with set_clock() as (env, put), Script(http("ok")) as web, Sink() as sink:
        doc = document({"web": service(web.port, jitter=0),
                        "rare": service(web.port, interval="8s", jitter=0)},
                       sink=sink)
        with Probed(conf_of(doc), "n1", env=env):
            wait_for(lambda: len(sink.newest()) == 2, "a round")
            row = sink.newest()["web"]
            assert abs(row[3] - time.time()) < patience(5)
            put(step_s)
            # All is told anew, what was measured before, too.
            since = sink.count()
            sink.drop()
            wait_for(lambda: len(sink.newest(since)) == 2, "all again")
            for row in sink.newest(since).values():
                age_s = time.time() + step_s - row[3]
                assert -1 < age_s < patience(9), row
            n = len(web.times)
            wait_for(lambda: len(web.times) >= n + 4, "more tests")
        gaps = [b - a for a, b in zip(web.times, web.times[1:])]
        assert max(gaps) < 1 + patience(0.3), gaps


def test_no_names_are_resolved():
    """DNS is down, and nobody notices."""
    inside = ["unshare", "--mount", "--map-root-user", "sh", "-c",
              'mount --bind "$0" /etc/resolv.conf && mount --bind /dev/null'
              ' /etc/hosts && exec "$@"']
    where = os.path.join(scratch("resolv"), "resolv.conf")
    with open(where, "w", encoding="ascii") as f:
        f.write("nameserver 127.0.0.99\noptions timeout:30\n")
    if subprocess.run([*inside, where, "true"], capture_output=True,
                      check=False).returncode != 0:
        pytest.skip("no mount namespaces here")
    with Web() as web, Sink() as sink:
        doc = document({"web": service(web.port, host="www.nowhere.test"),
                        "curl": service(web.port, host="www.nowhere.test",
                                        probe="https", verify=False)},
                       sink=sink)
        with Probed(conf_of(doc), "n1", prefix=[*inside, where]):
            began = time.monotonic()
            wait_for(lambda: len(sink.newest()) == 2, "a round")
            assert time.monotonic() - began < patience(3)
            assert sink.newest()["web"][4] == "up"
            assert sink.newest()["curl"][6] == 5  # not TLS: it was asked


def test_a_plugin_that_was_away():
    """It gets the newest result of each, once, in the order of time."""
    with Web() as web:
        sink = Sink()
        names = [f"s{i:02}" for i in range(30)]
        doc = document({name: service(web.port, "tcp", rise=9, fall=9)
                        for name in names},
                       sink=sink, feed={"interval": "200ms", "rows": 7})
        with Probed(conf_of(doc), "n1") as probed:
            with sink:
                wait_for(lambda: len(sink.newest()) == 30, "a round")
            time.sleep(4)  # several results of each, which nobody gets
            since = sink.count()
            back = time.time()
            with sink:
                wait_for(lambda: len(sink.newest(since)) == 30, "all rows")
                rows = sink.rows(since)[:30]
                assert {row[2] for row in rows} == set(names)
                times = [row[3] for row in rows]
                # Tests that end meanwhile join their target's row, and
                # change its time: in order within a batch in any case.
                old = [t for t in times if t <= back]
                assert old == sorted(old), times
                assert min(times) > back - 1.3 - patience(0.5), times
                for _, request in sink.batches[since:]:
                    when = [row[3] for row in request["rows"]]
                    assert when == sorted(when)
                    assert len(when) <= 7
                # And nothing twice.
                time.sleep(2)
                each = {}
                for row in sink.rows(since):
                    each.setdefault(row[2], []).append(row[3])
                for when in each.values():
                    assert when == sorted(set(when))
            assert "cannot talk" in probed.log()


def test_a_side_car_that_starts_again():
    with Web() as web, Sink() as sink:
        doc = document({"web": service(web.port),
                        "bad": service(free_port())}, sink=sink)
        path = conf_of(doc)
        with Probed(path, "n1") as probed:
            wait_for(lambda: len(sink.newest()) == 2, "a round")
            probed.kill()
            since = sink.count()
            probed.start()
            wait_for(lambda: len(sink.newest(since)) == 2, "another")
            assert sink.newest(since)["web"][4] == "up"
            assert sink.newest(since)["bad"][4] == "down"
            before = max(row[3] for row in sink.rows()[:2])
            assert min(row[3] for row in sink.rows(since)) > before


def test_doubt_is_resolved_sooner():
    """Fall 3, every 4 s: down after some 4 s, not 12."""
    with Web() as web, Sink() as sink:
        doc = document({"web": service(web.port, interval="4s", jitter=0,
                                       rise=3, fall=3,
                                       **{"fast-interval": "300ms"})},
                       sink=sink)
        with Probed(conf_of(doc), "n1") as probed:
            sink.wait_row("web", "up")
            web.stop()
            since, began = sink.count(), time.monotonic()
            sink.wait_row("web", "down", since)
            assert time.monotonic() - began < 4 + 0.6 + patience(0.8)
            web.start()
            since, began = sink.count(), time.monotonic()
            sink.wait_row("web", "up", since)
            assert time.monotonic() - began < 4 + 0.6 + patience(0.8)
            # Then as before: once in an interval.
            seen = len(web.requests())
            time.sleep(2)
            assert len(web.requests()) <= seen + 1
            assert "down after 3 failures" in probed.log()
