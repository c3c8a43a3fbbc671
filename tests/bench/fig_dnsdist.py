# SPDX-License-Identifier: MPL-2.0
"""The edge beside dnsdist with its packet cache: a hit, a miss, an entry.

Both run with their defaults, the edge as a whole named.  The mode in which
dnsdist reads and sends many messages at once is no default; it is printed
beside.
"""

import contextlib
import os
import socket

from fig_hit import HOSTS, PAIRS, cpu_us, questions
from fig_miss import miss_us
from harness import (Broken, Daemon, Lab, figure, find, load, median, need,
                     quantile, query_file, query_wire, wait_for, zone_text,
                     ZONE_HEAD)
from nzlib.base import free_port

ENTRIES = 300000


class Dnsdist(Daemon):
    """dnsdist with a packet cache before one origin."""

    def __init__(self, lab, name, origin, vector=False):
        self.lab, self.name, self.origin = lab, name, origin
        self.zone = next(iter(origin.zones))
        self.vector = vector
        self.port = free_port()

    def start(self, cpu=None):
        """Starts it and waits until it answers."""
        file = self.lab.write(self.name + '.conf', '\n'.join([
            'setSecurityPollSuffix("")',
            'setACL("127.0.0.0/8")',
            'setLocal("127.0.0.1:%d")' % self.port,
            'newServer({address="127.0.0.1:%d", checkName="%s."})'
            % (self.origin.port, self.zone),
            'getPool(""):setCache(newPacketCache(%d))' % (2 * ENTRIES),
            'setUDPMultipleMessagesVectorSize(64)' if self.vector else '',
        ]) + '\n')
        argv = [] if cpu is None else [find('taskset'), '-c', str(cpu)]
        with open(self.lab.path(self.name + '.log'), 'w') as log:
            self.process = self.lab.spawn(
                argv + [find('dnsdist'), '--supervised', '-C', file],
                stdout=log, stderr=log)
        wait_for(self._answers, self.name + ' to answer', 20)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise Broken(self.name + ' ended')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, \
                contextlib.suppress(OSError):
            s.settimeout(0.2)
            s.connect(('127.0.0.1', self.port))
            s.send(query_wire('ns1.' + self.zone))
            return s.recv(4096)[3] & 15 == 0
        return False


def peers(lab, origin):
    """{name: server} of what is compared, started on CPU 0."""
    edge = lab.named('edge', edge={zone: origin for zone in origin.zones})
    return {
        'edge': edge.start(cpu=0, threads=1),
        'dnsdist': Dnsdist(lab, 'dnsdist', origin).start(cpu=0),
        'vector': Dnsdist(lab, 'vector', origin, vector=True).start(cpu=0),
    }


def compare(cost, what):
    """The median ratio of edge and dnsdist, and a line on each."""
    lines = []
    for name in ('dnsdist', 'vector'):
        ratios = [a / b for a, b in zip(cost['edge'], cost[name])]
        lines.append(
            '%s: edge %.2f us, dnsdist%s %.2f us a query (medians); ratio'
            ' %.3f, quartiles %.3f .. %.3f' % (
                what, median(cost['edge']),
                ' with many messages at once' if name == 'vector' else '',
                median(cost[name]), median(ratios), quantile(ratios, .25),
                quantile(ratios, .75)))
    return median([a / b for a, b in zip(cost['edge'], cost['dnsdist'])]), \
        lines


def rotated(names, turn):
    names, turn = list(names), turn % len(names)
    return names[turn:] + names[:turn]


@figure('hit-cpu-dnsdist', '<=1.0')
def hit_cpu_dnsdist():
    need('dnsperf', 'taskset', 'dnsdist')
    lines, ratios = [], []
    with Lab() as lab:
        origin = lab.named('origin', zones={
            'hit.test': lab.write('zone.db', zone_text(HOSTS))}).start(cpu=1)
        servers = peers(lab, origin)
        for rd in (False, True):
            file = questions(lab, 'hit.test', (False, True), rd, 10000)
            for server in servers.values():
                cpu_us(lab, server, file, 3)
            asked = origin.asked()
            cost = {name: [] for name in servers}
            for turn in range(PAIRS):
                for name in rotated(servers, turn):
                    cost[name].append(cpu_us(lab, servers[name], file, 5))
            if origin.asked() > asked + PAIRS * 60:
                raise Broken('the origin was asked while hits were measured')
            ratio, more = compare(cost, 'with RD' if rd else 'without RD')
            ratios.append(ratio)
            lines += more
    lines.append('%d rounds of 50000 questions each, half with EDNS; all on'
                 ' CPU 0, dnsperf on CPU 1; the figure is the worse of with'
                 ' and without RD' % PAIRS)
    return max(ratios), lines


@figure('miss-cpu-dnsdist', '<=1.6')
def miss_cpu_dnsdist():
    need('dnsperf', 'taskset', 'dnsdist')
    with Lab() as lab:
        origin = lab.named('origin', zones={'miss.test': lab.write(
            'zone.db', ZONE_HEAD + '*.w A 192.0.2.9\n')})
        origin.start(cpu=1, threads=1)
        servers = peers(lab, origin)
        for name, server in servers.items():
            miss_us(lab, server, origin, 'warm-' + name)
        cost = {name: [] for name in servers}
        for turn in range(PAIRS):
            for name in rotated(servers, turn):
                us, _ = miss_us(lab, servers[name], origin,
                                '%s-%d' % (name, turn))
                cost[name].append(us)
    ratio, lines = compare(cost, 'a miss')
    lines.append('%d rounds of new names, half with EDNS; all on CPU 0, the'
                 ' origin and dnsperf on CPU 1' % PAIRS)
    return ratio, lines


@figure('entry-bytes-dnsdist', '<=1.0')
def entry_bytes_dnsdist():
    """Growth of the resident set by small answers, one address each."""
    need('dnsperf', 'dnsdist')
    growth = {}
    with Lab() as lab:
        origin = lab.named('origin', options='minimal-responses yes;', zones={
            'small.test': lab.write('zone.db', ZONE_HEAD +
                                    '*.w A 192.0.2.9\n')}).start()
        edge = lab.named('edge', edge={'small.test': origin}).start()
        for server in (edge, Dnsdist(lab, 'dnsdist', origin).start()):
            for part, n in (('warm', 20000), ('fill', ENTRIES)):
                file = query_file(lab, 'fill.q', [
                    query_wire('%s-%d.w.small.test' % (part, i), rd=True)
                    for i in range(n)])
                before = server.resident()
                load(lab, server, file, window=100)
                growth[server.name] = (server.resident() - before) / n
                os.unlink(file)
    return growth['edge'] / growth['dnsdist'], [
        'edge %.0f octets, dnsdist %.0f octets an entry; growth of the'
        ' resident set by %d answers with one address'
        % (growth['edge'], growth['dnsdist'], ENTRIES)]
