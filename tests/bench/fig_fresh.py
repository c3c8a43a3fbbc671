# SPDX-License-Identifier: MPL-2.0
"""How long a changed zone is answered as it was, and what that costs.

An origin reloads a zone, of which a hundredth changes: records, names more,
names less.  It is named with ixfr-from-differences; the NOTIFY is sent to
nearzone-probed the moment that named has said that the new zone is loaded, so
that its time is known.  A client asks for a changed name all the while.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query

from harness import (Broken, Lab, Load, Skip, ZONE_HEAD, dnsperf_argv, figure,
                     free_port, need, query_file, query_wire, wait_for)

NAMES = 20000
CHANGED = 100  # of each kind, a round
ROUNDS = 8
ZONE = 'fresh.test'


def probed_path():
    path = os.environ.get('PROBED') or shutil.which('nearzone-probed')
    if not path:
        raise Skip('nearzone-probed is not installed')
    return path


def text_of(number):
    """The zone after that many changes."""
    lines = []
    for i in range(NAMES):
        block = i // CHANGED
        if block == 2 * number:  # not there this time
            continue
        fourth = number if block == 2 * number + 1 else 0
        lines.append('h%d A 10.%d.%d.%d' % (i, fourth, i >> 8, i & 255))
    lines.append('watched A 192.0.2.%d' % (number + 1))
    return ZONE_HEAD + '\n'.join(lines) + '\n'


class Rig:
    """Origin, edge and side-car; the cache holds all names."""

    def __init__(self, lab):
        self.lab = lab
        self.number = 0
        self.serial = 1
        self.zone = lab.path('zone.db')
        self.write()
        self.origin = lab.named(
            'origin', zones={ZONE: self.zone},
            zone_options='ixfr-from-differences yes; '
            'allow-transfer { any; };').start()
        self.port = free_port()
        self.edge = lab.named('edge', edge={ZONE: self.origin}, steer={
            'notify': {'address': ['127.0.0.1'], 'port': self.port}}).start()
        self.probed = lab.spawn(
            [probed_path(), '--config', lab.path('edge', 'nearzone.json'),
             '--node', 'bench', '--socket', self.edge.socket],
            stderr=subprocess.DEVNULL)
        wait_for(lambda: self.fresh().get('serial') == 1, 'the serial')
        wait_for(lambda: self.tell() is not None, 'the side-car')

    def write(self):
        text = text_of(self.number)
        text = re.sub(r'(SOA \S+ \S+) \d+', r'\g<1> %d' % self.serial, text, 1)
        with open(self.zone + '.new', 'w') as f:
            f.write(text)
        later = time.time() + 10 * self.number
        os.utime(self.zone + '.new', (later, later))
        os.rename(self.zone + '.new', self.zone)

    def fresh(self):
        status = self.edge.nzctl('status')['status']
        return status['zones'][0].get('fresh') or {}

    def tell(self):
        q = dns.message.make_query(ZONE, 'SOA')
        q.flags = dns.flags.AA
        q.set_opcode(dns.opcode.NOTIFY)
        with contextlib.suppress(dns.exception.Timeout, OSError):
            return dns.query.udp(q, '127.0.0.1', port=self.port, timeout=2)

    def load(self, numbers):
        file = query_file(self.lab, 'names.q', [
            query_wire('h%d.%s' % (i, ZONE)) for i in numbers])
        done = Load(self.lab.run(dnsperf_argv(self.edge, file,
                                              times=1)).stdout)
        if done.lost or done.interrupted:
            raise Broken('%d queries unanswered' % done.lost)

    def change(self):
        """One reload; seconds from NOTIFY to the last old answer."""
        self.number += 1
        self.serial += 1
        self.edge.ask('watched.' + ZONE, 'A')
        self.write()
        self.origin.rndc('reload', ZONE)
        wait_for(lambda: self.address(self.origin) == self.number + 1,
                 'the reload')
        before = time.monotonic()
        self.tell()
        last = before
        while True:
            now = time.monotonic()
            if self.address(self.edge) == self.number + 1:
                break
            last = time.monotonic()
            if now - before > 20:
                raise Broken('old answers for 20 s: %s' % self.fresh())
        wait_for(lambda: not self.fresh()['busy'], 'the end of the walk')
        return last - before

    def address(self, server):
        answer = server.ask('watched.' + ZONE, 'A')
        return int(answer.answer[0][0].address.split('.')[-1])


def untouched(number):
    """Names that are the same in versions 'number' - 1 and 'number'."""
    def version(n):
        return set(text_of(n).split('\n'))
    both = version(number) & version(number - 1)
    return [int(line.split()[0][1:]) for line in both
            if line.startswith('h') and line.split()[1] == 'A']


@figure('notify-s', '<=1')
def notify_s():
    need('dnsperf')
    with Lab() as lab:
        rig = Rig(lab)
        rig.load(range(NAMES))
        took = []
        for _ in range(ROUNDS):
            took.append(rig.change())
            time.sleep(1.1)
        fresh = rig.fresh()
    return max(took), [
        'the longest of %d rounds; all: %s ms' % (
            ROUNDS, ' '.join('%.1f' % (1000 * s) for s in took)),
        '%d names in memory, %d answers dropped in all, %d transfers, %d '
        'whole zones' % (NAMES, fresh['dropped'], fresh['transfers'],
                         fresh['whole'])]


@figure('notify-refetch', '<=0')
def notify_refetch():
    need('dnsperf')
    refetched = asked = 0
    with Lab() as lab:
        rig = Rig(lab)
        rig.load(range(NAMES))
        for _ in range(3):
            rig.change()
            same = untouched(rig.number)
            before = rig.origin.asked()
            rig.load(same)
            refetched += rig.origin.asked() - before
            asked += len(same)
            rig.load(range(NAMES))
            time.sleep(1.1)
        fresh = rig.fresh()
    return refetched, [
        '3 reloads: %d questions for names that these did not touch; %d '
        'answers dropped' % (asked, fresh['dropped'])]
