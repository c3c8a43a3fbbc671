# SPDX-License-Identifier: MPL-2.0
"""Hostnames in signed zones of named's: what they cost, and whether all is
valid.

The zone is signed beforehand, with P-256; the plugin signs what it decides
with the same keys.  It holds every public address as placeholders and the
plugin swaps the RRset and its signature, against a named without the plugin
whose signed zone holds just the RRset answered.
"""

import os
import re
import sys
import time

from fig_hit import HOSTS
from fig_steer import ADDRESSES, document, feed
from harness import (Broken, Lab, ZONE_HEAD, figure, find, load, need,
                     query_file, query_wire)

SYSTEM = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                      'system')


def signed_zone(lab, records):
    """Signs own.test with new keys; returns its file and their place."""
    text = ZONE_HEAD + ''.join('h%d A %s\n' % (i, address)
                               for i in range(HOSTS) for address in records)
    where = lab.path('keys')
    os.makedirs(where)
    for more in ((), ('-f', 'KSK')):
        lab.run([find('dnssec-keygen'), '-q', '-K', where, '-a',
                 'ECDSAP256SHA256', *more, 'own.test'])
    lab.run([find('dnssec-signzone'), '-q', '-S', '-K', where, '-o',
             'own.test', '-f', lab.path('signed'),
             lab.write('zone.db', text)])
    return lab.path('signed'), where


def build(lab, plugin):
    file, keys = signed_zone(lab, ADDRESSES if plugin else ADDRESSES[:1])
    return lab.named('named', steer=document('own.test') if plugin else None,
                     zones={'own.test': file},
                     zone_options='key-directory "%s";' % keys)


def wait_signed(server):
    """All single addresses of all hostnames have a signature."""
    end = time.monotonic() + 120
    while server.control(command='status')['status']['traffic'][
            'signed'] < HOSTS * len(ADDRESSES):
        server.ask('h1.own.test', 'A')
        if time.monotonic() > end:
            raise Broken('not signed in time')
        time.sleep(0.5)


def instructions_of_run(plugin, rd, times):
    """User-space instructions of one whole life of a named, by callgrind."""
    with Lab() as lab:
        server = build(lab, plugin)
        server.start(threads=1, seconds=120, wrap=(
            find('valgrind'), '--tool=callgrind',
            '--callgrind-out-file=' + lab.path('callgrind.out')))
        if plugin:
            feed(server)
            wait_signed(server)
        answer = server.ask('h7.own.test', 'A', want_dnssec=True)
        if sum(len(r) for r in answer.answer) != 2:
            raise Broken('not one address and one RRSIG: %s' % answer)
        file = query_file(lab, 'do.q', [
            query_wire('h%d.own.test' % i, rd=rd, edns=True, do=True)
            for i in range(HOSTS)])
        load(lab, server, file, times=times, window=20, timeout=60)
        server.stop()
        with open(lab.path('callgrind.out')) as f:
            return int(re.search(r'^(?:totals|summary): (\d+)', f.read(),
                                 re.M).group(1))


def instructions(plugin, rd, times=10):
    few = instructions_of_run(plugin, rd, times)
    many = instructions_of_run(plugin, rd, 3 * times)
    return (many - few) / (2 * times * HOSTS)


@figure('gtm-signed-instr', '<=1.15')
def gtm_signed_instr():
    need('valgrind', 'dnsperf', 'dnssec-signzone')
    lines, ratios = [], []
    for rd in (False, True):
        a, b = instructions(True, rd), instructions(False, rd)
        ratios.append(a / b)
        lines.append('%s RD, with DO: swapped and signed %.0f, without the '
                     'plugin %.0f instructions: %.4f'
                     % ('with' if rd else 'without', a, b, a / b))
    return max(ratios), lines


@figure('invalid', '<=0')
def invalid():
    need('delv', 'dnssec-signzone')
    sys.path.insert(0, SYSTEM)
    os.environ.setdefault('NZ_LIBDIR', os.path.dirname(
        __import__('harness').plugin_path()))
    # pylint: disable=import-outside-toplevel
    import test_sign
    import test_sign_cells
    import test_sign_clients
    looked, bad = test_sign.figure(rounds=10)
    lines = ['%d answers looked at; NSEC and NSEC3, P-256 and RSA, a key '
             'rollover included' % looked]
    n, more = test_sign_cells.figure(rounds=3)
    looked, bad = looked + n, bad + more
    lines.append('%d answers looked at; aliases and those that stand in, up '
                 'and down, one family, opt-out, referrals, wildcards; zones '
                 'thawed, updated, signed elsewhere, added, deleted, with '
                 'another algorithm; delv included' % n)
    n, more, shares = test_sign_clients.figure(rounds=20)
    looked, bad = looked + n, bad + more
    lines += shares
    return len(bad), ['%d answers looked at in all' % looked, *lines,
                      *bad[:10]]
