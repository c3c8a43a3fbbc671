# SPDX-License-Identifier: MPL-2.0
"""The edge against its origin.

'diff' compares them over zones and questions that ../diff makes, and over
sets of zones and questions; 'diff-first' over the sets alone.  The sets and
their comparer (edgediff.py) are not part of the product: NZ_CORPUS names
their directory, or ../shared/corpus beside the source.
"""

import functools
import json
import os
import re
import sys
import time

from harness import (Broken, Lab, Named, Skip, figure)

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(1, os.path.dirname(HERE) + '/diff')

import compare as pairs  # noqa: E402 (the path comes first)
import questions  # noqa: E402
import zones  # noqa: E402

LOOSE = 'check-names primary ignore; check-integrity no; check-mx ignore;' \
        ' check-mx-cname ignore; check-srv-cname ignore;' \
        ' check-sibling no; check-spf ignore; check-wildcard no;' \
        ' check-dup-records ignore;'
ENDLESS = ' max-records-per-type 0; max-types-per-name 0;'  # large RRsets
OPEN = 'allow-transfer { any; };'
JOBS = 2


def corpus():
    place = os.environ.get('NZ_CORPUS') or os.path.join(
        os.path.dirname(TOP), 'shared', 'corpus')
    if not os.path.exists(place + '/edgediff.py'):
        raise Skip('no sets in %s (NZ_CORPUS names another place)' % place)
    return place


def zones_of(directory):
    """zone -> file of a set."""
    with open(directory + '/zones.list') as f:
        rows = [line.rstrip('\n').split('\t') for line in f if line.strip()]
    return {row[0]: os.path.join(directory, row[1]) for row in rows}


def start_edge(lab, tag, options, keys, origin, shown):
    """An edge of 'shown' zones, ready to deny what it can."""
    edge = Named(lab, 'e-' + tag, edge={z: origin for z in shown},
                 options=options, zone_keys=keys)
    edge.start()
    end = time.monotonic() + 60
    while keys and time.monotonic() < end:
        with open(edge.log) as f:
            if len(re.findall('its (?:[0-9]+ )?names are', f.read())) >= len(
                    shown):
                return edge
        time.sleep(0.1)
    if keys:
        raise Broken('%s: no sets of names' % tag)
    return edge


def compare(lab, place, name, options, keys, tag):
    """One set under one setting; edgediff's account of it, and notes."""
    directory = os.path.join(place, name)
    zones = zones_of(directory)
    origin = Named(lab, 'o-' + tag, zones=zones, options=options + LOOSE,
                   zone_options=OPEN if keys else '')
    origin.start()
    with open(origin.log) as f:
        unloaded = re.findall(r'zone (\S+)/IN: not loaded', f.read())
    edge = start_edge(lab, tag, options, keys, origin, [
        z for z in zones if z not in unloaded])
    result = lab.path(tag + '.json')
    done = lab.run([sys.executable, '-B', place + '/edgediff.py',
                    '127.0.0.1:%d' % origin.port, '127.0.0.1:%d' % edge.port,
                    directory + '/queries.txt', '--jobs', str(JOBS),
                    '--quiet', '--json', result])
    if done.returncode not in (0, 1):
        raise Broken('%s: %s' % (tag, done.stdout[-500:]))
    if origin.process.poll() is not None or edge.process.poll() is not None:
        raise Broken('%s: a named died' % tag)
    for named in (edge, origin):
        named.stop()
    with open(result) as f:
        return json.load(f), unloaded


def keep(tag, account):
    """Puts the differences where a reader finds them; the path."""
    out = os.path.join(os.environ.get('NZ_BENCH_OUT', 'bench-out'), 'diff')
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, tag + '.json'), 'w') as f:
        json.dump(account, f, indent=1)
    return os.path.abspath(out)


def settings(tag):
    """(tag, options of named, keys of every edge zone) of each setting that
    all is compared under."""
    return [(tag + '-default', '', {}),
            (tag + '-full', 'minimal-responses no;', {}),
            (tag + '-names', '', {'names': 'transfer'})]


@functools.lru_cache(None)
def over_corpus():
    """Everything in the sets: questions, differences, of these transfers,
    and lines."""
    place = corpus()
    names = sorted(n for n in os.listdir(place)
                   if os.path.exists('%s/%s/queries.txt' % (place, n)))
    total = asked = transfers = 0
    lines = []
    with Lab() as lab:
        for name in names:
            for tag, options, keys in settings(name):
                account, unloaded = compare(lab, place, name, options, keys,
                                            tag)
                where = keep(tag, account)
                total += account['different']
                asked += account['same'] + account['different']
                transfers += sum(is_transfer(d['query'])
                                 for d in account['differences'])
                fields = ', '.join('%s %d' % f for f in sorted(
                    account['fields'].items(), key=lambda f: -f[1]))
                lines.append('%s: %d different of %d%s%s' % (
                    tag, account['different'],
                    account['same'] + account['different'],
                    ' (%s)' % fields if fields else '',
                    '; not loaded: ' + ' '.join(unloaded)
                    if unloaded else ''))
    lines.append('%d questions, each asked of the edge as a miss and as a'
                 ' hit; default, "minimal-responses no", and "names":'
                 ' "transfer"' % asked)
    lines.append('differences kept in ' + where)
    return asked, total, transfers, lines


def is_transfer(query):
    """A line of a set that asks for a transfer.

    named answers these before any hook of a plugin runs: NOTAUTH, for it has
    no such zone, where an origin that forbids transfers says REFUSED.
    """
    return query.split()[1].upper() in ('AXFR', 'IXFR')


@figure('diff-first', '<=100')
def diff_first():
    _, total, _, lines = over_corpus()
    return total, lines


def start_pair(lab, made, options, keys, tag):
    """An origin with the generated zones, and its edge."""
    origin = Named(lab, 'o-' + tag, zones={z.name: z.file for z in made},
                   options=options + LOOSE + ENDLESS,
                   zone_options=OPEN if keys else '')
    origin.start()
    with open(origin.log) as f:
        unloaded = re.findall(r'zone (\S+)/IN: not loaded', f.read())
    if unloaded:
        raise Broken('%s: not loaded: %s' % (tag, ' '.join(unloaded)))
    edge = start_edge(lab, tag, options, keys, origin,
                      [z.name.lower() for z in made if z.shown])
    return origin, edge


def over_zones(lab, seed, tag, options, keys, make):
    """Zones that 'make' makes, under one setting: an Outcome."""
    where = lab.path('zones-' + tag)
    os.makedirs(where)
    made = make(seed, where)
    origin, edge = start_pair(lab, made, options, keys, tag)
    asked = questions.make(made, seed + tag, each=1)
    asked += questions.strange([z for z in made if z.family == 'hosts'])
    outcome = pairs.compare(
        pairs.Pair(('127.0.0.1', origin.port), ('127.0.0.1', edge.port)),
        asked, JOBS)
    for named in (edge, origin):
        named.stop()
    keep(tag, [dict(d._asdict(), question=str(d.question))
               for d in outcome.differences])
    return outcome


@figure('diff', '<=0')
def diff():
    seed = os.environ.get('NZ_DIFF_SEED', '1')
    total = compared = 0
    lines = []
    with Lab() as lab:
        for tag, options, keys, make in [
                (*setting, zones.make) for setting in settings('generated')
        ] + [('root', '', {}, zones.make_root)]:
            outcome = over_zones(lab, seed, tag, options, keys, make)
            differ = len({d.question for d in outcome.differences})
            total += differ
            compared += outcome.compared
            lines.append('%s: %d different, %d comparisons (%s)' % (
                tag, differ, outcome.compared, ', '.join(
                    '%s %d' % r for r in outcome.rcodes.most_common(5))))
    if compared < 20000:
        raise Broken('only %d comparisons' % compared)
    lines.append('%d comparisons over zones from seed %s (NZ_DIFF_SEED):'
                 ' the edge twice, and by TCP after TC' % (compared, seed))
    try:
        asked, differ, transfers, _ = over_corpus()
        total += differ - transfers
        lines.append('sets: %d different of %d questions, and %d transfers,'
                     ' which are not counted: named refuses them before any'
                     ' hook runs' % (differ - transfers, asked, transfers))
    except Skip as why:
        lines.append('no sets: %s' % why)
    return total, lines
