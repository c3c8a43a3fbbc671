# SPDX-License-Identifier: MPL-2.0
"""Floods: what good clients and the origin notice of them.

All of it is in network namespaces of this bench (nzlib/flood.py).  1,000
resolvers, each in a /24 of its own, ask at NORMAL questions a second for
1,000 names by Zipf's law, all of which have been asked for before, and a
little for new names; the attack has min(100 times that, 60 % of what the
edge was measured to take just before).  The origin is a named that counts,
behind a link that takes many times what good clients need, and no more.

The origin's rate is set against that of a control run with the same
questions and no attack, over the same seconds, from MITIGATE_S after the
start of the attack on; what happens before is 'mitigate-s'.  Good is
counted from the first moment.  'fronts' that are printed beside have the
same attacks for a shorter time, and no bounds: the plugin without filters,
dnsdist with the dynamic rules of its manual, named as a forwarder with RRL.

NZ_FLOOD_SECONDS is how long an attack takes (30), NZ_FLOOD_FRONTS which are
printed beside (all; '' none).
"""

import collections
import contextlib
import functools
import os
import socket
import threading
import time

from harness import (Broken, Daemon, Lab, Load, Named, Skip, dnsperf_argv,
                     figure, find, need, nzctl_path, quantile, query_file,
                     query_wire, wait_for)
from nzlib.flood import EDGE, ORIGIN, Net, NotHere, Run

ZONE = 'flood.test'
NORMAL, TIMES = 50, 100
CLIENTS, NAMES, NEW, TTL = 1000, 1000, 20000, 20
LINK = '2mbit'  # of the origin's answers
WALK = 400, 100  # questions a second, of a first and a second walk
SETTLE_S, AFTER_S = 20, 15
ATTACK_S = int(os.environ.get('NZ_FLOOD_SECONDS', '30'))
BESIDE_S = min(ATTACK_S, 12)
MITIGATE_S, BIN_S = 2, 0.25
PROBE_FIRST = 15000
FRONTS = [f for f in os.environ.get(
    'NZ_FLOOD_FRONTS', 'off dnsdist rrl').split() if f]
ATTACKS = {
    'few': {'mode': 'few', 'zone': ZONE, 'sources': 10},
    'forged': {'mode': 'forged', 'zone': ZONE},
    'known': {'mode': 'known', 'zone': ZONE, 'sources': CLIENTS},
    'repeat': {'mode': 'repeat', 'zone': ZONE, 'name': 'h7.sub.' + ZONE},
    'suffix': {'mode': 'suffix', 'zone': 'sub.' + ZONE, 'sources': CLIENTS},
}

Ask = collections.namedtuple(
    'Ask', 'began kind client number end rcode tries cut tcp us')


# -- the parts ----------------------------------------------------------------

def zone_file(lab):
    names = ['h%d%s A 192.0.2.%d' % (i, '.sub' if i % 4 == 3 else '',
                                     i % 250 + 1) for i in range(NAMES)]
    return lab.write('flood.db', '\n'.join([
        '$TTL %d' % TTL, '@ SOA ns1 hostmaster 1 3600 900 604800 %d' % TTL,
        '@ NS ns1', 'ns1 A ' + EDGE, *names,
        '$GENERATE 0-%d n$ A 192.0.2.7' % NEW]) + '\n')


@functools.lru_cache(None)
def has_admission():
    with Lab() as lab:
        return '"admission"' in lab.run([nzctl_path(), 'schema']).stdout


class Edge(Named):
    """named with the plugin before the origin in the other namespace."""

    def __init__(self, lab, mode='on'):
        super().__init__(lab, 'edge', edge={ZONE: None},
                         options='listen-on port 53 { %s; };' % EDGE)
        self.mode = mode

    def zones_json(self):
        zone = {'origins': [{'address': ORIGIN, 'port': 53}]}
        if has_admission():
            zone['admission'] = {'normal': NORMAL, **{
                f: self.mode
                for f in ('misses', 'repeats', 'unknown', 'suffixes')}}
        return {ZONE: zone}


class Forwarder(Named):
    """A plain named with RRL before the origin."""

    def __init__(self, lab):
        super().__init__(
            lab, 'rrl', forward=self, plugin=False, options='listen-on port'
            ' 53 { %s; }; rate-limit { responses-per-second 5; window 5; };'
            % EDGE)

    def write_named(self):
        path = super().write_named()
        with open(path) as f:
            text = f.read()
        return self.lab.write('rrl/named.conf', text.replace(
            'forwarders { 127.0.0.1 port %d;' % self.port,
            'forwarders { %s port 53;' % ORIGIN))


# The example of dynBlockRulesGroup in dnsdist's manual, and a limit of
# questions an address as in that of MaxQPSIPRule; TC, that clients may come
# by TCP.
DNSDIST = '''
setSecurityPollSuffix("")
setACL({"0.0.0.0/0"})
setLocal("%s:53")
newServer({address="%s:53", checkName="ns1.%s."})
getPool(""):setCache(newPacketCache(100000))
addAction(AndRule{TCPRule(false), MaxQPSIPRule(5, 32, 48)}, TCAction())
local dbr = dynBlockRulesGroup()
dbr:setQueryRate(30, 10, "Exceeded query rate", 60)
dbr:setRCodeRate(DNSRCode.NXDOMAIN, 20, 10, "Exceeded NXD rate", 60)
dbr:setRCodeRate(DNSRCode.SERVFAIL, 20, 10, "Exceeded ServFail rate", 60)
dbr:setQTypeRate(DNSQType.ANY, 5, 10, "Exceeded ANY rate", 60)
dbr:setResponseByteRate(10000, 10, "Exceeded resp BW rate", 60)
function maintenance() dbr:apply() end
'''


class Dnsdist(Daemon):
    def __init__(self, lab):
        self.lab, self.name = lab, 'dnsdist'

    def start(self):
        need('dnsdist')
        file = self.lab.write('dnsdist.conf', DNSDIST % (EDGE, ORIGIN, ZONE))
        with open(self.lab.path('dnsdist.log'), 'w') as log:
            self.process = self.lab.spawn(
                [find('dnsdist'), '--supervised', '-C', file],
                stdout=log, stderr=log)
        wait_for(lambda: asks('ns1', 0.2), 'dnsdist to answer', 20)
        return self


def asks(name, seconds, source=''):
    """Whether a name gets a record, once, by UDP."""
    wire = query_wire('%s.%s' % (name, ZONE), edns=True, rd=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, \
            contextlib.suppress(OSError):
        s.bind((source, 0))
        s.settimeout(seconds)
        s.connect((EDGE, 53))
        s.send(wire)
        answer = s.recv(4096)
        return answer[3] & 15 == 0 and answer[6:8] != b'\0\0'
    return False


class Stage:
    """A lab with the namespaces, the origin and one front in them."""

    def __init__(self, front):
        self.front_name = front
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.lab = stack.enter_context(Lab())
            try:
                self.net = stack.enter_context(Net())
            except NotHere as why:
                raise Skip(str(why)) from None
            with self.net.origin.inside():
                self.narrow()
                self.origin = self.lab.named(
                    'origin', zones={ZONE: zone_file(self.lab)},
                    options='listen-on port 53 { %s; };' % ORIGIN).start()
            with self.net.edge.inside():
                self.front = self.make().start()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def narrow(self):
        """An origin that has many times what it needs, and no more."""
        done = self.lab.run(
            [find('tc'), *'qdisc add dev nzf-edge root tbf burst 10kb'
             ' latency 100ms rate'.split(), LINK])
        if done.returncode:
            raise Skip('no tbf: ' + done.stdout.strip())

    def make(self):
        if self.front_name == 'dnsdist':
            return Dnsdist(self.lab)
        if self.front_name == 'rrl':
            return Forwarder(self.lab)
        return Edge(self.lab, 'off' if self.front_name == 'off' else 'on')

    @property
    def rd(self):
        return int(self.front_name == 'rrl')

    def asked(self):
        with self.net.origin.inside():
            return self.origin.asked()

    def honest(self, **more):
        return Run(self.net.good, 'honest', to=EDGE, zone=ZONE, sub='sub',
                   clients=CLIENTS, names=NAMES, rd=self.rd,
                   **{'questions': 500000, **more})

    def walk(self):
        """
        Each of the names is asked for once; then again, slowly: these are
        hits, so that no amnesty of a new zone or an empty cache is left.
        """
        for per_second in WALK:
            got = self.honest(walk=1, rate=per_second,
                              seconds=NAMES // per_second + 1,
                              questions=NAMES).wait()
            answered = got['old']['answered'] + got['sub']['answered']
            if self.front_name in ('edge', 'off') and answered < NAMES * .99:
                raise Broken('only %d of %d names were answered: %s'
                             % (answered, NAMES, got))
        if self.front_name == 'edge' and has_admission():
            wait_for(lambda: self.attack_status()['state'] == 'normal',
                     'the edge to know the zone', 20)

    def attack_status(self):
        """What nzctl says of attacks, if it does."""
        if self.front_name != 'edge' or not has_admission():
            return None
        answer = self.front.nzctl('attack', 'status', ZONE)
        return answer['attack']['zones'][0]


# -- one run ------------------------------------------------------------------

class Watch(threading.Thread):
    """The origin's count of questions, every BIN_S."""

    def __init__(self, stage):
        super().__init__(daemon=True)
        self.stage, self.rows = stage, []
        self.ends = threading.Event()

    def run(self):
        while not self.ends.wait(BIN_S):
            with contextlib.suppress(OSError, ValueError):
                before = time.monotonic()
                n = self.stage.asked()
                self.rows.append(((before + time.monotonic()) / 2, n))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join()

    def at(self, when):
        """The count at a moment, between two rows."""
        for (t0, n0), (t1, n1) in zip(self.rows, self.rows[1:]):
            if t0 <= when <= t1:
                return n0 + (n1 - n0) * (when - t0) / (t1 - t0)
        return self.rows[0][1] if when < self.rows[0][0] else \
            self.rows[-1][1]

    def rate(self, begin, end):
        return (self.at(end) - self.at(begin)) / (end - begin)


class Outcome:
    """What came of one run; moments are seconds after the load began."""

    def __init__(self, front, attack, seconds):
        self.front, self.attack, self.seconds = front, attack, seconds
        self.asks, self.sent, self.status = [], None, None
        self.released, self.watch = None, None
        self.begin, self.start, self.end = 0, SETTLE_S, SETTLE_S + seconds
        self.load = os.getloadavg()[0]

    def origin_rate(self, begin, end):
        return self.watch.rate(self.begin + begin, self.begin + end)

    def good(self, kinds=('old', 'sub'), begin=None, end=None):
        """(answered, asked) of questions that began in a time."""
        begin = self.start if begin is None else begin
        end = self.end if end is None else end
        mine = [a for a in self.asks if a.kind in kinds
                and begin <= a.began - self.begin < end]
        return sum(a.end == 'answered' for a in mine), len(mine)

    def refused(self):
        return sum(a.kind in ('old', 'sub') and a.rcode not in (0, 23)
                   and self.start <= a.began - self.begin < self.end
                   for a in self.asks)

    def ratio(self, control=None):
        """The origin's rate under attack, beside that without."""
        mine = self.origin_rate(self.start + MITIGATE_S, self.end)
        if control is not None:
            return mine / control.origin_rate(self.start + MITIGATE_S,
                                              self.end)
        return mine / self.origin_rate(self.start - 9, self.start - 1)

    def mitigated(self, control):
        """When the rate is under 1.2 of the control's, from then on."""
        t = 0
        while t < self.seconds - 5:
            mine = self.origin_rate(self.start + t, self.end)
            if mine <= 1.2 * control.origin_rate(self.start + t, self.end):
                return t
            t += BIN_S
        return self.seconds

    def line(self, control=None):
        good, asked = self.good()
        new, new_asked = self.good(('new',))
        took = [a.us / 1000 for a in self.asks
                if a.end == 'answered' and a.kind in ('old', 'sub')
                and self.start <= a.began - self.begin < self.end] or [0]
        mine = self.origin_rate(self.start, self.end)
        return ('%s: good %.4f (%d of %d; new names %d of %d), median %.1f'
                ' ms, p99 %.0f ms; origin %.1f q/s before, %.1f during, after'
                ' the first %d s %.2f of %s; %s sent%s; load %.1f' % (
                    self.front, good / max(asked, 1), good, asked, new,
                    new_asked, quantile(took, .5), quantile(took, .99),
                    self.origin_rate(self.start - 9, self.start - 1), mine,
                    MITIGATE_S, self.ratio(control),
                    'the control' if control else 'before',
                    self.sent['sent'] if self.sent else 'nothing',
                    '' if self.released is None else
                    ', released after %.1f s' % self.released, self.load))


def read_log(path):
    with open(path) as f:
        rows = [line.split() for line in f]
    return [Ask(float(r[0]), r[1], int(r[2]), int(r[3]), r[4],
                *map(int, r[5:])) for r in rows]


def probe(stage, end):
    """New names, till four in a row are answered; seconds, or AFTER_S."""
    streak, first = 0, 0
    for i in range(4 * (AFTER_S - 2)):
        due = end + i * BIN_S
        time.sleep(max(0, due - time.monotonic()))
        with stage.net.good.inside():
            good = asks('n%d' % (PROBE_FIRST + i), BIN_S * .9, '198.18.0.6')
        if good and streak == 0:
            first = due - end
        streak = streak + 1 if good else 0
        if streak == 4:
            return first
    return AFTER_S


@functools.lru_cache(None)
def rate():
    """The attack's: what the edge takes is measured just before."""
    with Stage('edge') as stage:
        file = query_file(stage.lab, 'cached.q', [
            query_wire('h%d%s.%s' % (i, '.sub' if i % 4 == 3 else '', ZONE),
                       edns=True) for i in range(NAMES)])
        argv = dnsperf_argv(stage.front, file, times=None, seconds=2)
        argv[argv.index('127.0.0.1')] = EDGE
        argv[argv.index('-p') + 1] = '53'
        stage.walk()
        with stage.net.good.inside():
            took = Load(stage.lab.run(argv).stdout).qps
    return min(TIMES * NORMAL, int(.6 * took)), took


@functools.lru_cache(None)
def flood(front, attack, seconds):
    """A run against a front; 'attack' None is the control."""
    need('dnsperf', 'ip', 'tc')
    per_second, _ = rate()
    after = AFTER_S if front == 'edge' else 3
    with Stage(front) as stage, contextlib.ExitStack() as stack:
        stage.walk()
        outcome = Outcome(front, attack, seconds)
        outcome.watch = stack.enter_context(Watch(stage))
        log = stage.lab.path('honest.log')
        load = stack.enter_context(stage.honest(
            rate=NORMAL, seconds=SETTLE_S + seconds + after, ttl=TTL,
            new_share=20, none_share=20, log=log, seed=7))
        outcome.begin = time.monotonic()
        time.sleep(SETTLE_S)
        if attack:
            with Run(stage.net.attacker, 'attack', to=EDGE, rd=stage.rd,
                     interface='nzf-edge', rate=per_second, seconds=seconds,
                     packets=per_second * seconds, seed=11,
                     **ATTACKS[attack]) as run:
                time.sleep(seconds / 2)
                outcome.status = stage.attack_status()
                outcome.sent = run.wait()
            outcome.start = outcome.sent['began'] - outcome.begin
            outcome.end = outcome.sent['ended'] - outcome.begin
            if front == 'edge':
                outcome.released = probe(stage, outcome.sent['ended'])
        outcome.begin = load.wait()['began']
        outcome.asks = read_log(log)
    if attack and outcome.sent['sent'] < .8 * per_second * seconds:
        raise Broken('only %d packets were sent' % outcome.sent['sent'])
    return outcome


def control():
    return flood('edge', None, ATTACK_S)


def beside(attack):
    """Lines on the other fronts."""
    lines = []
    for front in FRONTS:
        try:
            lines.append(flood(front, attack, BESIDE_S).line())
        except Skip as why:
            lines.append('%s: %s' % (front, why))
    return lines


def how(outcome):
    per_second, took = rate()
    return ('%d q/s for %d s over %d q/s of %d clients; the edge took %.0f'
            ' q/s of cached names' % (per_second, outcome.seconds, NORMAL,
                                      CLIENTS, took))


def good_of(attack):
    outcome = flood('edge', attack, ATTACK_S)
    good, asked = outcome.good()
    lines = [outcome.line(control()), control().line(), how(outcome)]
    if outcome.status:
        lines.append('meanwhile %s: %s; refused %s' % (
            outcome.status['state'],
            ', '.join(f['filter'] for f in outcome.status['filters']
                      if f['active']),
            ', '.join('%s %d' % r for r in outcome.status['refused'].items()
                      if r[1])))
    return good / asked, lines + beside(attack)


def origin_of(attack):
    outcome = flood('edge', attack, ATTACK_S)
    return outcome.ratio(control()), [outcome.line(control())]


def register():
    bounds = {'few': ('>=0.999', '<=1.2'), 'forged': ('>=0.99', '<=1.2'),
              'known': ('>=0.99', '<=1.2'), 'repeat': ('>=0.999', '<=1.05'),
              'suffix': ('>=0.999', '<=1.2')}
    for attack, (good, origin) in bounds.items():
        figure('flood-%s-good' % attack, good)(
            functools.partial(good_of, attack))
        figure('flood-%s-origin' % attack, origin)(
            functools.partial(origin_of, attack))


register()


@figure('flood-known-names', '<=0')
def known_names():
    outcome = flood('edge', 'known', ATTACK_S)
    return outcome.refused(), ['existing names for which a good client got'
                               ' an error, of %d' % outcome.good()[1]]


@figure('mitigate-s', '<=2')
def mitigate():
    took = {a: flood('edge', a, ATTACK_S).mitigated(control())
            for a in ATTACKS}
    return float(max(took.values())), ['%s: %.2f s' % t for t in took.items()]


@figure('release-s', '<=10')
def release():
    took = {a: flood('edge', a, ATTACK_S).released for a in ATTACKS}
    return float(max(took.values())), [
        '%s: %.2f s' % t for t in took.items()] + [
        'till new names are answered again, of one who was not there before']


# -- no attack ----------------------------------------------------------------

def calm(seconds, during=None, **load):
    """Honest traffic alone; the outcome."""
    with Stage('edge') as stage, contextlib.ExitStack() as stack:
        stage.walk()
        outcome = Outcome('edge', None, seconds)
        outcome.watch = stack.enter_context(Watch(stage))
        log = stage.lab.path('honest.log')
        run = stack.enter_context(stage.honest(
            seconds=SETTLE_S + seconds, ttl=TTL, log=log, seed=8, **load))
        time.sleep(SETTLE_S)
        if during:
            during(stage)
        outcome.begin = run.wait()['began']
        outcome.asks = read_log(log)
    return outcome


@figure('surge-good', '>=0.9999')
def surge():
    outcome = calm(25, rate=NORMAL, then=10 * NORMAL, new_share=20,
                   none_share=20, rise_at=1000 * SETTLE_S, rise_ms=10000)
    good, asked = outcome.good(('old', 'sub', 'new', 'none'))
    return good / asked, [
        'from %d to %d q/s in 10 s, then 15 s; new names and names that are'
        ' not there among them' % (NORMAL, 10 * NORMAL), outcome.line()]


@figure('amnesty-good', '>=0.9999')
def amnesty():
    full = 30 * NORMAL
    outcome = calm(15, lambda stage: stage.front.nzctl(
        'purge', '--zone', ZONE), rate=full, new_share=20)
    good, asked = outcome.good()
    return good / asked, [
        'at %d q/s, %d times normal, when new names are refused till the'
        ' purge, and are again when the cache is full' % (
            full, full // NORMAL),
        outcome.line()]
