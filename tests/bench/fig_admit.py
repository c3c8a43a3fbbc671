# SPDX-License-Identifier: MPL-2.0
"""What watching for floods costs: a hit, and a client known to be good."""

import os
import re

from fig_hit import HOSTS, compare, KINDS, questions
from fig_steer import instructions
from harness import Broken, Lab, Named, Skip, figure, load, need, zone_text

FILTERS = ('misses', 'repeats', 'unknown', 'suffixes')


class Edge(Named):
    """An edge of on.test and off.test, which differ in their filters."""

    def zones_json(self):
        zones = super().zones_json()
        for name, zone in zones.items():
            zone['admission'] = {f: name.split('.')[0] for f in FILTERS}
        return zones


def build(lab):
    """The origin runs natively; the edge is measured."""
    file = lab.write('zone.db', zone_text(HOSTS))
    zones = ('on.test', 'off.test')
    origin = lab.named('origin', zones={z: file for z in zones}).start()
    return Edge(lab, 'edge', edge={z: origin for z in zones})


def warm(edge):
    for zone in ('on.test', 'off.test'):
        for edns in (False, True):
            for rd in (False, True):
                load(edge.lab, edge, questions(edge.lab, zone, edns, rd),
                     window=20, timeout=60)


@figure('admit-instr', '<=1.05')
def admit_instr():
    need('valgrind', 'dnsperf')
    return compare(('on', 'off'), 'on.test', 'off.test', {
        (zone, kind): instructions(build, zone, kind, prepare=warm)
        for zone in ('on.test', 'off.test') for kind in KINDS})


@figure('known-bytes', '<=8.4')
def known_bytes():
    path = os.path.join(os.environ.get('builddir', '.'),
                        'tests/bench/bench_known')
    if not os.access(path, os.X_OK):
        raise Skip('%s is not built' % path)
    with Lab() as lab:
        text = lab.run([path]).stdout
    got = {k: float(v) for k, v in re.findall(r'(\S+) ([\d.]+)', text)}
    if not got.get('known'):
        raise Broken(text)
    return max(got['bytes'], got['grown']) / got['known'], [
        '%d of %d prefixes that proved themselves are known; %.1f MiB; of a'
        ' million others %d are taken for known; %.0f ns a look' % (
            got['known'], got['prefixes'],
            max(got['bytes'], got['grown']) / 2**20, got['strange'],
            got['look-ns'])]
