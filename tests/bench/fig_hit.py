# SPDX-License-Identifier: MPL-2.0
"""What a cache hit costs, and what the plugin costs those it is not for.

The edge zone hit.test and the primary zone own.test hold the same records;
both are served by one named with the plugin, so that nothing else differs.
Everything is taken twice: asked without RD, as resolvers ask (the answers
carry NS and glue), and with RD, when named leaves these out.  The worse of
the two is the figure.  Half of the questions have EDNS.
"""

import re

from harness import (Broken, Lab, figure, find, load, median, need, quantile,
                     query_file, query_wire, zone_text)

HOSTS = 200
PAIRS = 14


def build(lab, plugin=True):
    """An origin and an edge for hit.test; the edge holds own.test itself."""
    file = lab.write('zone.db', zone_text(HOSTS))
    origin = lab.named('origin', zones={'hit.test': file})
    edge = lab.named('edge', zones={'own.test': file},
                     edge={'hit.test': origin} if plugin else None)
    return origin, edge


def questions(lab, zone, edns, rd=False, n=HOSTS):
    """A file of n questions about the zone; edns: one value or several."""
    kinds = edns if isinstance(edns, tuple) else (edns,)
    return query_file(
        lab, '%s-%s-%s-%d.q' % (zone, edns, rd, n),
        [query_wire('h%d.%s' % (i % HOSTS, zone), rd=rd,
                    edns=kinds[i % len(kinds)]) for i in range(n)])


def warm(lab, edge, zone):
    """Every question once, in every kind."""
    for edns in (False, True):
        for rd in (False, True):
            load(lab, edge, questions(lab, zone, edns, rd), window=20,
                 timeout=60)


def same_answers(edge):
    """The two zones must give answers of one size, or nothing compares."""
    for edns in (-1, 0):
        a, b = (edge.ask('h7.' + zone, 'A', use_edns=edns)
                for zone in ('hit.test', 'own.test'))
        counts = [[sum(len(r) for r in s) for s in
                   (m.answer, m.authority, m.additional)] for m in (a, b)]
        if counts[0] != counts[1] or len(a.to_wire()) != len(b.to_wire()):
            raise Broken('edge answers %s records, primary %s' % (*counts,))


# -- instructions -------------------------------------------------------------

KINDS = [(edns, rd) for rd in (False, True) for edns in (False, True)]


def kind_text(edns, rd):
    return '%s RD, %s EDNS' % ('with' if rd else 'without',
                               'with' if edns else 'without')


def instructions_of_run(zone, kind, times, plugin):
    """User-space instructions of one whole life of a named, by callgrind."""
    with Lab() as lab:
        origin, edge = build(lab, plugin)
        if plugin:
            origin.start()
        edge.start(threads=1, seconds=120, wrap=(
            find('valgrind'), '--tool=callgrind',
            '--callgrind-out-file=' + lab.path('callgrind.out')))
        if plugin:
            warm(lab, edge, 'hit.test')
            same_answers(edge)
        warm(lab, edge, 'own.test')
        load(lab, edge, questions(lab, zone, *kind), times=times, window=20,
             timeout=60)
        edge.stop()
        with open(lab.path('callgrind.out')) as f:
            return int(re.search(r'^(?:totals|summary): (\d+)', f.read(),
                                 re.M).group(1))


def instructions(zone, kind, plugin=True, times=10):
    """Instructions a query: (3N queries - N queries) / 2N."""
    few = instructions_of_run(zone, kind, times, plugin)
    many = instructions_of_run(zone, kind, 3 * times, plugin)
    return (many - few) / (2 * times * HOSTS)


def compare(what, one, other, cost):
    """
    'one' and 'other' are keys of cost, which maps key and kind to a figure.
    Returns the worse of the ratios with and without RD, and lines about it.
    """
    lines, ratios = [], []
    for kind in KINDS:
        a, b = cost[one, kind], cost[other, kind]
        lines.append('%s: %s %.0f, %s %.0f instructions: %.4f'
                     % (kind_text(*kind), what[0], a, what[1], b, a / b))
    for rd in (False, True):
        a, b = (sum(cost[key, (edns, rd)] for edns in (False, True))
                for key in (one, other))
        ratios.append(a / b)
    lines.append('half with EDNS: without RD %.4f, with RD %.4f; callgrind,'
                 ' named -n 1, %d and %d questions, the difference over %d'
                 % (*ratios, 10 * HOSTS, 30 * HOSTS, 20 * HOSTS))
    return max(ratios), lines


@figure('hit-instr', '<=0.50')
def hit_instr():
    need('valgrind', 'dnsperf')
    return compare(('hit', 'primary zone'), 'hit.test', 'own.test', {
        (zone, kind): instructions(zone, kind)
        for zone in ('hit.test', 'own.test') for kind in KINDS})


@figure('bystander-instr', '<=1.02')
def bystander_instr():
    need('valgrind', 'dnsperf')
    return compare(('with the plugin', 'without'), True, False, {
        (plugin, kind): instructions('own.test', kind, plugin)
        for plugin in (True, False) for kind in KINDS})


# -- CPU ----------------------------------------------------------------------

def cpu_us(lab, server, file, times):
    """CPU microseconds a query of one run of the load."""
    before = server.cpu_ns()
    done = load(lab, server, file, times=times, cpu=1, window=100)
    return (server.cpu_ns() - before) / 1000 / done.sent


def cpu_pairs(lab, edge, rd):
    """Alternating runs of both zones: {zone: [us a query of each run]}."""
    costs, files = {'hit.test': [], 'own.test': []}, {}
    for zone in costs:
        files[zone] = questions(lab, zone, (False, True), rd, 10000)
        cpu_us(lab, edge, files[zone], 3)
    for pair in range(PAIRS):
        for zone in sorted(costs, reverse=bool(pair % 2)):
            costs[zone].append(cpu_us(lab, edge, files[zone], 5))
    return costs


@figure('hit-cpu', '<=0.95')
def hit_cpu():
    need('dnsperf', 'taskset')
    lines, medians = [], []
    with Lab() as lab:
        origin, edge = build(lab)
        origin.start(cpu=1)
        edge.start(cpu=0, threads=1)
        warm(lab, edge, 'hit.test')
        same_answers(edge)
        asked = origin.asked()
        for rd in (False, True):
            costs = cpu_pairs(lab, edge, rd)
            ratios = [a / b for a, b in zip(costs['hit.test'],
                                            costs['own.test'])]
            medians.append(median(ratios))
            lines.append(
                '%s RD: hit %.2f us, primary zone %.2f us a query (medians);'
                ' ratio %.3f, quartiles %.3f .. %.3f, all %.3f .. %.3f'
                % ('with' if rd else 'without', median(costs['hit.test']),
                   median(costs['own.test']), median(ratios),
                   quantile(ratios, .25), quantile(ratios, .75),
                   min(ratios), max(ratios)))
        if origin.asked() != asked:
            raise Broken('the origin was asked while hits were measured')
    lines.append('%d alternating pairs of 50000 questions each, half with'
                 ' EDNS; named -n 1 on CPU 0, dnsperf on CPU 1' % PAIRS)
    return max(medians), lines
