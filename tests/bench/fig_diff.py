# SPDX-License-Identifier: MPL-2.0
"""The edge against its origin, over sets of zones and questions.

The sets and their comparer (edgediff.py) are not part of the product:
NZ_CORPUS names their directory, or ../shared/corpus beside the source.
"""

import json
import os
import re
import sys

from harness import (Broken, Lab, Named, Skip, figure)

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LOOSE = 'check-names primary ignore; check-integrity no; check-mx ignore;' \
        ' check-mx-cname ignore; check-srv-cname ignore;' \
        ' check-sibling no; check-spf ignore; check-wildcard no;' \
        ' check-dup-records ignore;'
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


def compare(lab, place, name, options, tag):
    """One set under one setting; edgediff's account of it, and notes."""
    directory = os.path.join(place, name)
    zones = zones_of(directory)
    origin = Named(lab, 'o-' + tag, zones=zones, options=options + LOOSE)
    origin.start()
    with open(origin.log) as f:
        unloaded = re.findall(r'zone (\S+)/IN: not loaded', f.read())
    edge = Named(lab, 'e-' + tag, edge={z: origin for z in zones},
                 options=options)
    edge.start()
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


@figure('diff-first', '<=100')
def diff_first():
    place = corpus()
    names = sorted(n for n in os.listdir(place)
                   if os.path.exists('%s/%s/queries.txt' % (place, n)))
    total = asked = 0
    lines = []
    with Lab() as lab:
        for name in names:
            for setting, options in (('default', ''),
                                     ('full', 'minimal-responses no;')):
                tag = '%s-%s' % (name, setting)
                account, unloaded = compare(lab, place, name, options, tag)
                where = keep(tag, account)
                total += account['different']
                asked += account['same'] + account['different']
                fields = ', '.join('%s %d' % f for f in sorted(
                    account['fields'].items(), key=lambda f: -f[1]))
                lines.append('%s: %d different of %d%s%s' % (
                    tag, account['different'],
                    account['same'] + account['different'],
                    ' (%s)' % fields if fields else '',
                    '; not loaded: ' + ' '.join(unloaded)
                    if unloaded else ''))
    lines.append('%d questions, each asked of the edge as a miss and as a'
                 ' hit; default and "minimal-responses no"' % asked)
    lines.append('differences kept in ' + where)
    return total, lines
