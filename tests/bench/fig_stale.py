# SPDX-License-Identifier: MPL-2.0
"""What clients see of an answer's end, and of an origin's."""

import time

from harness import Broken, Lab, ZONE_HEAD, figure, query_wire, wait_for
from harness import Load, dnsperf_argv, need, query_file

POPULAR_S = 60
DEAD_S = 300
NAMES = 500


@figure('prefetch-misses', '<=0')
def prefetch_misses():
    """A name with a TTL of 5 s, asked ten times a second."""
    need('dnsperf')
    with Lab() as lab:
        origin = lab.named('origin', zones={'pop.test': lab.write(
            'zone.db', ZONE_HEAD + 'www 5 A 192.0.2.80\n')}).start()
        edge = lab.named('edge', edge={'pop.test': origin}).start()
        edge.ask('www.pop.test', 'A')
        before = edge.nzctl('status')['status']['counters']
        file = query_file(lab, 'www.q', [query_wire('www.pop.test')])
        done = Load(lab.run(dnsperf_argv(edge, file, times=None,
                                         seconds=POPULAR_S, rate=10)).stdout)
        after = edge.nzctl('status')['status']['counters']
    if done.unanswered:
        raise Broken('%d queries without a good answer' % done.unanswered)
    misses, stale, prefetched = (
        after[k] - before[k] for k in ('misses', 'stale', 'prefetched'))
    return misses + stale, [
        '%d queries in %d s, TTL 5 s: %d misses and %d stale answers after the'
        ' first, %d renewals' % (done.sent, POPULAR_S, misses, stale,
                                 prefetched)]


@figure('stale-servfail', '<=0')
def stale_servfail():
    """The origin dies; names that were cached go on being answered."""
    need('dnsperf')
    with Lab() as lab:
        origin = lab.named('origin', zones={'old.test': lab.write(
            'zone.db', ZONE_HEAD + ''.join(
                'h%d 20 A 192.0.2.%d\n' % (i, i % 250)
                for i in range(NAMES)))}).start()
        edge = lab.named('edge', edge={'old.test': origin}).start()
        file = query_file(lab, 'all.q', [
            query_wire('h%d.old.test' % i, edns=bool(i % 2))
            for i in range(NAMES)])
        first = Load(lab.run(dnsperf_argv(edge, file, times=1)).stdout)
        if first.unanswered:
            raise Broken('%d queries unanswered at first' % first.unanswered)
        origin.process.kill()
        origin.process.wait()
        began = time.monotonic()
        done = Load(lab.run(dnsperf_argv(edge, file, times=None,
                                         seconds=DEAD_S, rate=200)).stdout)
        took = time.monotonic() - began
        wait_for(lambda: edge.nzctl('status')['status']['counters']['stale'],
                 'stale answers')
    return done.unanswered, [
        '%d names with a TTL of 20 s, origin killed; %d queries in %.0f s: %d'
        ' without a good answer' % (NAMES, done.sent, took, done.unanswered)]
