# SPDX-License-Identifier: MPL-2.0
"""Memory of the cache: what an entry costs, floods, purges, restarts.

The million entries come out of a snapshot that a helper writes: one address
a name, half of the names below half0, half below half1.
"""

import contextlib
import os
import threading
import time

from harness import Broken, Lab, Skip, figure, wait_for

ENTRIES = 1000000
ZONE = 'big.test'
RECORDS = ('$TTL 300\n@ SOA ns1 h 1 3600 600 86400 300\n@ NS ns1\n'
           'ns1 A 192.0.2.250\n* A 192.0.2.1\n')


def helper():
    path = os.path.join(os.environ.get('builddir', '.'),
                        'tests/bench/bench_snapshot')
    if not os.access(path, os.X_OK):
        raise Skip('%s is not built' % path)
    return path


def entries(edge):
    return edge.nzctl('status')['status']['cache']['entries']


def rss_kb(edge):
    with open('/proc/%d/status' % edge.process.pid) as f:
        return int(next(line.split()[1] for line in f
                        if line.startswith('VmRSS')))


class Full:
    """A named whose cache is filled from a snapshot of a million entries."""

    def __init__(self, lab):
        zone = lab.write('zone.db', RECORDS)
        self.origin = lab.named('origin', zones={ZONE: zone})
        self.edge = lab.named('edge', edge={ZONE: self.origin})
        # the size is the harness's 256 MiB: small entries fit
        self.origin.start()
        self.edge.start()
        self.edge.ask('x.' + ZONE, 'A')
        self.empty_kb = rss_kb(self.edge)
        self.edge.stop()
        file = lab.path('edge', 'cache.snapshot')
        os.rename(file, file + '.template')
        made = lab.run([helper(), 'make', file + '.template', str(ENTRIES),
                        file])
        if made.returncode:
            raise Broken(made.stdout)
        self.wire_octets = int(made.stdout)
        since = time.monotonic()
        self.edge.start()
        wait_for(lambda: entries(self.edge) >= ENTRIES, 'all entries', 60)
        self.start_s = time.monotonic() - since
        asked = self.origin.asked()
        for i in range(0, ENTRIES, ENTRIES // 50):
            self.edge.ask('h%07d.half%d.%s' % (i, i % 2, ZONE), 'A')
        if self.origin.asked() != asked:
            raise Broken('answers that were saved were asked for again')


@figure('warm-start-s', '<=5')
def warm_start():
    with Lab() as lab:
        full = Full(lab)
        return full.start_s, ['named started, %d entries read back, 50 of '
                              'them asked for: all hits' % ENTRIES]


@figure('entry-overhead', '<=160')
def entry_overhead():
    with Lab() as lab:
        full = Full(lab)
        cache = full.edge.nzctl('status')['status']['cache']
        wire = full.wire_octets / ENTRIES
        counted = cache['bytes'] / cache['entries'] - wire
        grown = 1024 * (rss_kb(full.edge) - full.empty_kb) / ENTRIES - wire
        return max(counted, grown), [
            '%d entries of %.1f octets of messages: %.1f octets beyond them '
            'as counted (table, malloc headers), %.1f by growth of the '
            'resident set' % (cache['entries'], wire, counted, grown)]


@figure('flood-hit-loss', '<=1')
def flood_hit_loss():
    with Lab() as lab:
        done = lab.run([helper(), 'flood'])
        before, during, after = map(float, done.stdout.split())
        return max(before - during, before - after), [
            'Zipf 0.9 over 200,000 names, room for a fifth: %.2f %% hits '
            'before, %.2f %% while a million names are asked once, one for '
            'each question, %.2f %% after' % (before, during, after)]


def prefer(pid):
    """Other work on this machine is no part of the figure."""
    for task in os.listdir('/proc/%d/task' % pid):
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(task), -15)


def waits(full, name_of, stop, longest):
    """Asks one question after the other; notes the longest wait in ms."""
    i = 0
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
    while not stop.is_set():
        since = time.perf_counter()
        full.edge.ask(name_of(i), 'A')
        longest.append(1000 * (time.perf_counter() - since))
        i += 1


@figure('purge-wait-ms', '<=5')
def purge_wait():
    with Lab() as lab:
        full = Full(lab)
        prefer(full.edge.process.pid)
        prefer(full.origin.process.pid)
        kinds = {'hits': lambda i: 'h%07d.half1.%s' % (2 * i % ENTRIES + 1,
                                                       ZONE),
                 'misses': lambda i: 'm%d.%s' % (i, ZONE)}
        lines, worst = [], 0
        for kind, name_of in kinds.items():
            stop, all_ms, quiet = threading.Event(), [], []
            client = threading.Thread(target=waits, args=(
                full, name_of, stop, all_ms))
            client.start()
            time.sleep(1)
            quiet = max(all_ms)
            del all_ms[:]
            since = time.monotonic()
            half = 0 if kind == 'hits' else 1
            purged = full.edge.control(command='purge', subtree='half%d.%s'
                                       % (half, ZONE))['purged']
            took = time.monotonic() - since
            stop.set()
            client.join()
            if purged < ENTRIES // 2:
                raise Broken('%d entries purged' % purged)
            worst = max(worst, max(all_ms))
            lines.append('%s: longest of %d waits %.2f ms while %d entries '
                         'were purged in %.2f s; %.2f ms in the second before'
                         % (kind, len(all_ms), max(all_ms), purged, took,
                            quiet))
        return worst, lines
