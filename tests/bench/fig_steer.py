# SPDX-License-Identifier: MPL-2.0
"""What a decision costs a query.

At SETUP: hostnames of a declared domain, against a primary zone of the same
named that holds just the RRset answered.  In a zone of named's own: the zone
holds every public address as placeholders and the plugin swaps the RRset,
against a named without the plugin whose zone holds just the RRset answered.
Eight servers are to choose from, all tested, all up, all weighted alike.
Taken as in fig_hit: by callgrind, with and without RD, half with EDNS.
"""

import re
import time

from fig_hit import HOSTS, KINDS, compare, questions
from harness import (Broken, Lab, ZONE_HEAD, figure, find, load, need,
                     zone_text)

SERVERS = 8
ADDRESSES = ['203.0.113.%d' % i for i in range(1, SERVERS + 1)]


def document(domain):
    """Hostnames h0, h1, ... of the domain, each with all servers."""
    names = ['s%d' % i for i in range(SERVERS)]
    return {
        'services': {'web': {'probe': 'http', 'interval': '1h',
                             'timeout': '1s'}},
        'pops': {'p': {'servers': {
            name: {'addresses': [address], 'weight': 10}
            for name, address in zip(names, ADDRESSES)}}},
        'hostnames': {'h%d.%s' % (i, domain): {
            'service': 'web', 'servers': names, 'ttl': 3600}
            for i in range(HOSTS)},
    }


def feed(server):
    """Every server has just been seen to be up."""
    now = time.time()
    answer = server.control(command='metrics', node='bench', rows=[
        ['s%d' % i, address, 'web', now, 'up', 10 + i, 0]
        for i, address in enumerate(ADDRESSES)])
    if answer['accepted'] != SERVERS:
        raise Broken('the feed was refused: %s' % answer)


def at_setup(lab):
    """A named that decides for gslb.test and is primary of own.test."""
    steer = document('gslb.test')
    steer['domains'] = {'gslb.test': {'ns': ['ns.elsewhere.test']}}
    return lab.named('edge', steer=steer, zones={
        'own.test': lab.write('zone.db', zone_text(HOSTS))})


def in_zone(lab, plugin):
    """A primary of own.test: with all placeholders, or with one address."""
    records = ADDRESSES if plugin else ADDRESSES[:1]
    text = ZONE_HEAD + ''.join('h%d A %s\n' % (i, address)
                               for i in range(HOSTS) for address in records)
    return lab.named('named', steer=document('own.test') if plugin else None,
                     zones={'own.test': lab.write('zone.db', text)})


def instructions_of_run(build, zone, kind, times, prepare):
    """User-space instructions of one whole life of a named, by callgrind."""
    with Lab() as lab:
        server = build(lab)
        server.start(threads=1, seconds=120, wrap=(
            find('valgrind'), '--tool=callgrind',
            '--callgrind-out-file=' + lab.path('callgrind.out')))
        if server.plugin:
            prepare(server)
        answer = server.ask('h7.' + zone, 'A')
        if sum(len(r) for r in answer.answer) != 1:
            raise Broken('not one address: %s' % answer)
        load(lab, server, questions(lab, zone, *kind), times=times, window=20,
             timeout=60)
        server.stop()
        with open(lab.path('callgrind.out')) as f:
            return int(re.search(r'^(?:totals|summary): (\d+)', f.read(),
                                 re.M).group(1))


def instructions(build, zone, kind, times=10, prepare=feed):
    """Instructions a query: (3N queries - N queries) / 2N."""
    few = instructions_of_run(build, zone, kind, times, prepare)
    many = instructions_of_run(build, zone, kind, 3 * times, prepare)
    return (many - few) / (2 * times * HOSTS)


@figure('gtm-setup-instr', '<=0.60')
def gtm_setup_instr():
    need('valgrind', 'dnsperf')
    return compare(('decided', 'primary zone'), 'gslb.test', 'own.test', {
        (zone, kind): instructions(at_setup, zone, kind)
        for zone in ('gslb.test', 'own.test') for kind in KINDS})


@figure('gtm-zone-instr', '<=1.10')
def gtm_zone_instr():
    need('valgrind', 'dnsperf')
    return compare(('swapped', 'without the plugin'), True, False, {
        (plugin, kind): instructions(lambda lab, p=plugin: in_zone(lab, p),
                                     'own.test', kind)
        for plugin in (True, False) for kind in KINDS})
