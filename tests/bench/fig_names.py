# SPDX-License-Identifier: MPL-2.0
"""Names that do not exist: what knowing them takes, and a flood of them costs.

An unsigned zone of a million names, with "names": "transfer".  The flood are
made-up names, each asked once; what it costs the edge is set beside hits.
"""

import functools
import statistics

from harness import (Broken, Lab, Load, ZONE_HEAD, dnsperf_argv, figure,
                     query_file, query_wire, wait_for)

NAMES = 1000000
FLOOD = 40000  # a run
ROUNDS = 5
ZONE = 'names.test'


def zone_text():
    return ZONE_HEAD + ''.join(
        'h%x-%x A 192.0.2.%d\n' % (i, i * 7919 % 1000003, i % 250)
        for i in range(NAMES))


def run(lab, edge, questions):
    """CPU of the edge a query, in ns."""
    file = query_file(lab, 'run.q', questions)
    before = edge.cpu_ns()
    done = Load(lab.run(dnsperf_argv(edge, file, times=1)).stdout)
    if done.lost or done.interrupted:
        raise Broken('%d queries unanswered' % done.lost)
    return (edge.cpu_ns() - before) / done.sent


def made_up(start):
    return [query_wire('no-%d.%s' % (i, ZONE), edns=True)
            for i in range(start, start + FLOOD)]


def hits():
    return [query_wire('ns%d.%s' % (i % 2 + 1, ZONE), edns=True)
            for i in range(FLOOD)]


@functools.lru_cache(None)
def measure():
    with Lab() as lab:
        file = lab.write('zone.db', zone_text())
        origin = lab.named(
            'origin', zones={ZONE: file},
            zone_options='allow-transfer { any; };').start(seconds=120)
        edge = lab.named('edge', edge={ZONE: origin},
                         zone_keys={'names': 'transfer'})
        edge.start()

        def known():
            status = edge.nzctl('status')['status']['zones'][0]
            return status['names']['set']
        wait_for(lambda: known()['state'] == 'kept', 'the set', 120)
        run(lab, edge, hits())
        entries = edge.nzctl('status')['status']['cache']['entries']
        asked = origin.asked()
        ratios = []
        for i in range(ROUNDS):
            denied = run(lab, edge, made_up(i * FLOOD))
            ratios.append(denied / run(lab, edge, hits()))
        status = edge.nzctl('status')['status']
        return (known(), origin.asked() - asked,
                status['cache']['entries'] - entries, ratios)


@figure('names-bytes', '<=8')
def names_bytes():
    kept = measure()[0]
    return round(kept['bytes'] / kept['names'], 3), [
        '%d names in %d octets, by transfer of a zone of %d names'
        % (kept['names'], kept['bytes'], NAMES)]


@figure('names-flood', '<=0')
def names_flood():
    _, asked, entries, ratios = measure()
    return asked + entries, [
        '%d made-up names, each once: asked of the origin %d, entries more %d'
        % (ROUNDS * FLOOD, asked, entries),
        'CPU of a denial / of a hit: median %.3f (%s)' % (
            statistics.median(ratios),
            ', '.join('%.3f' % r for r in ratios))]
