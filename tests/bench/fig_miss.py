# SPDX-License-Identifier: MPL-2.0
"""What a miss costs, alone and among others; equal ones cost the origin one."""

import contextlib
import os
import selectors
import signal
import socket
import struct
import time

from harness import (Broken, Lab, figure, load, median, need, quantile,
                     query_file, query_wire, wait_for, ZONE_HEAD)

PAIRS = 10
MISSES = 10000
CROWD = 1000
BURST = 30
BURSTS = 20


def fresh(lab, tag, n=MISSES):
    """A file of n questions that nobody has asked before."""
    return query_file(lab, 'miss.q', [
        query_wire('%s-%d.w.miss.test' % (tag, i), edns=bool(i % 2),
                   rd=True)
        for i in range(n)])


def miss_us(lab, server, origin, tag):
    """CPU microseconds a miss of the server, and of its origin."""
    file = fresh(lab, tag)
    asked, cpu, theirs = origin.asked(), server.cpu_ns(), origin.cpu_ns()
    load(lab, server, file, cpu=1, window=100)
    cpu, theirs = server.cpu_ns() - cpu, origin.cpu_ns() - theirs
    asked = origin.asked() - asked
    if asked < MISSES:
        raise Broken('%s asked %d times for %d misses'
                     % (server.name, asked, MISSES))
    return cpu / 1000 / MISSES, theirs / 1000 / MISSES


@figure('miss-cpu-forwarder', '<=0.45')
def miss_cpu_forwarder():
    """Asked with RD: a forwarder forwards nothing else."""
    need('dnsperf', 'taskset')
    with Lab() as lab:
        file = lab.write('zone.db', ZONE_HEAD + '*.w A 192.0.2.9\n')
        origin = lab.named('origin', zones={'miss.test': file})
        servers = {'forwarder': lab.named('forwarder', forward=origin)}
        for name, transport in (('default', None), ('tcp', 'tcp'),
                                ('udp', 'udp')):
            servers[name] = lab.named('edge-' + name, transport=transport,
                                      edge={'miss.test': origin})
        origin.start(cpu=1, threads=1)
        for server in servers.values():
            server.start(cpu=0, threads=1)
        cost = {name: [] for name in servers}
        behind = {name: [] for name in servers}
        for name, server in servers.items():
            miss_us(lab, server, origin, 'warm-' + name)
        for turn in range(PAIRS):
            names = list(servers)
            for name in names[turn % 4:] + names[:turn % 4]:
                us, theirs = miss_us(lab, servers[name], origin,
                                     '%s-%d' % (name, turn))
                cost[name].append(us)
                behind[name].append(theirs)
    ratio = {name: [a / b for a, b in zip(cost[name], cost['forwarder'])]
             for name in cost}
    lines = ['%s: %.1f us a miss (origin: %.1f us)%s' % (
        name, median(cost[name]), median(behind[name]),
        '' if name == 'forwarder' else '; ratio %.3f, quartiles %.3f .. %.3f'
        % (median(ratio[name]), quantile(ratio[name], .25),
           quantile(ratio[name], .75))) for name in cost]
    lines.append('%d rounds of %d new names each, half with EDNS; named -n 1'
                 ' on CPU 0, origin and dnsperf on CPU 1; the figure is the'
                 ' default transport' % (PAIRS, MISSES))
    return median(ratio['default']), lines


# -- coalescing ---------------------------------------------------------------

def ask_all(stack, port, n, name):
    """Sends the same question from n sockets; returns them."""
    wire = query_wire(name, rd=True)
    sockets = []
    for i in range(n):
        s = stack.enter_context(socket.socket(socket.AF_INET,
                                              socket.SOCK_DGRAM))
        s.connect(('127.0.0.1', port))
        s.send(struct.pack('!H', i) + wire[2:])
        sockets.append(s)
        if i % 50 == 49:
            time.sleep(0.005)
    return sockets


def gather(stack, sockets, seconds):
    """How many sockets got a NOERROR answer with a record."""
    selector = stack.enter_context(selectors.DefaultSelector())
    for i, s in enumerate(sockets):
        selector.register(s, selectors.EVENT_READ, i)
    good, end = 0, time.monotonic() + seconds
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(0.1):
            ident, flags, _, answers = struct.unpack(
                '!HHHH', key.fileobj.recv(4096)[:8])
            good += ident == key.data and not flags & 15 and answers > 0
            selector.unregister(key.fileobj)
    return good


@figure('coalesce', '<=1')
def coalesce():
    with Lab() as lab, contextlib.ExitStack() as stack:
        file = lab.write('zone.db', ZONE_HEAD + '*.w A 192.0.2.9\n')
        origin = lab.named('origin', zones={'miss.test': file})
        edge = lab.named('edge', edge={'miss.test': origin})
        origin.start()
        edge.start()
        edge.ask('first.w.miss.test', 'A')  # the connection is up
        asked, before = origin.asked(), edge.asked()
        os.kill(origin.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        sockets = ask_all(stack, edge.port, CROWD, 'crowd.w.miss.test')
        wait_for(lambda: edge.asked() - before >= CROWD,
                 'the edge to hear all')
        held = time.monotonic() - began
        os.kill(origin.process.pid, signal.SIGCONT)
        good = gather(stack, sockets, 10)
        asked = origin.asked() - asked
    if good != CROWD or not asked:
        raise Broken('%d of %d got the answer (origin asked %d times)'
                     % (good, CROWD, asked))
    return asked, ['%d clients at once; all were answered; the origin was'
                   ' stopped for %.2f s meanwhile' % (CROWD, held)]


def burst_ms(edge, turn):
    """How long BURST questions sent at once take till all are answered."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for _ in range(BURST)]
        began = time.monotonic()
        for i, s in enumerate(sockets):
            s.settimeout(5)
            s.connect(('127.0.0.1', edge.port))
            s.send(query_wire('b%d-%d.w.miss.test' % (turn, i)))
        for s in sockets:
            s.recv(4096)
        return 1e3 * (time.monotonic() - began)


@figure('burst-ms', '<=20')
def burst():
    with Lab() as lab:
        file = lab.write('zone.db', ZONE_HEAD + '*.w A 192.0.2.9\n')
        origin = lab.named('origin', zones={'miss.test': file}).start()
        edge = lab.named('edge', edge={'miss.test': origin}).start()
        edge.ask('first.w.miss.test', 'A')
        took = [burst_ms(edge, turn) for turn in range(BURSTS)]
    return round(quantile(took, .9), 3), [
        'the ninth tenth of %d bursts of %d misses at once, median %.2f ms,'
        ' longest %.2f ms' % (BURSTS, BURST, median(took), max(took))]
