# SPDX-License-Identifier: MPL-2.0
"""What clients see when servers or the side-car die, and what they never see.

Real web servers (nginx), the real side-car, a real named.
"""

import contextlib
import ipaddress
import json
import os
import random
import re
import time

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

from harness import (Broken, Lab, Load, dnsperf_argv, figure, need,
                     query_file, query_wire, wait_for, ZONE_HEAD)

KILLS = 20
DEAD_S = 60
RATE = 1000
SCENARIO = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(
    __file__))), 'scenarios', 'clients.txt')


# -- servers and their tests --------------------------------------------------

def document(port, addresses, **hostname):
    """Servers s0, s1, ... each in a POP of its own, for www.gslb.test."""
    names = ['s%d' % i for i in range(len(addresses))]
    return {
        'services': {'web': {
            'probe': 'http', 'port': port, 'interval': '1s',
            'timeout': '500ms', 'rise': 2, 'fall': 2}},
        'pops': {'p%d' % i: {'servers': {name: {'addresses': [address]}}}
                 for i, (name, address) in enumerate(zip(names, addresses))},
        'domains': {'gslb.test': {'ns': ['ns.elsewhere.test']}},
        'hostnames': {'www.gslb.test': {
            'service': 'web', 'servers': names, 'ttl': 1, **hostname}},
    }


@contextlib.contextmanager
def scene(lab, **hostname):
    """Two web servers, a named that chooses between them, the side-car."""
    need('nginx')
    from nzlib.probed import Probed
    from nzlib.web import Web
    webs = [Web(address='127.0.0.21')]
    webs.append(Web(address='127.0.0.22', port=webs[0].port))
    addresses = [web.address for web in webs]
    server = lab.named('edge', steer=document(webs[0].port, addresses,
                                              **hostname))
    probed = None
    try:
        for web in webs:
            web.start()
        server.start()
        probed = Probed(server.lab.path('edge', 'nearzone.json'), 'bench')
        if not os.path.exists(probed.program):
            raise Broken('%s is not built' % probed.program)
        probed.start()
        wait_for(lambda: up(server) == {'s0', 's1'}, 'both servers to be up')
        yield server, webs, probed
    finally:
        if probed is not None:
            probed.kill()
        for web in webs:
            web.kill()


def up(server):
    """The servers whose every test is up."""
    return {s['server'] for s in server.control(command='servers')['servers']
            if s['state'] == 'up'}


def answers(server):
    """The addresses in one answer."""
    with contextlib.suppress(dns.exception.Timeout):
        return {r.to_text() for rrset in server.ask('www.gslb.test', 'A',
                                                    timeout=1).answer
                for r in rrset}
    return set()


def seconds_named(server, address, limit_s):
    """Asks 200 times a second until 'limit_s' after; when it was last named,
    from now."""
    began = last = time.monotonic()
    while time.monotonic() < began + limit_s:
        asked = time.monotonic()
        if address in answers(server):
            last = asked
        time.sleep(0.005)
        if time.monotonic() - last > 2.5:
            break
    return last - began


@figure('failover-s', '<=3.5')
def failover_s():
    seconds = []
    with Lab() as lab, scene(lab) as (server, webs, _):
        for i in range(KILLS):
            web = webs[i % 2]
            # at any moment between two tests
            time.sleep(random.Random(i).random())
            web.kill()
            seconds.append(seconds_named(server, web.address, 10))
            web.start()
            wait_for(lambda: up(server) == {'s0', 's1'},
                     'both servers to be up again', 20)
    return max(seconds), [
        '%d kills of nginx (SIGKILL), alternating between two servers;'
        ' interval 1 s, fall 2: from the kill to the last answer that named it,'
        ' median %.2f s, worst %.2f s; asked about 200 times a second'
        % (KILLS, sorted(seconds)[len(seconds) // 2], max(seconds))]


@figure('sidecar-dead', '<=0')
def sidecar_dead():
    need('dnsperf')
    with Lab() as lab, scene(lab) as (server, webs, probed):
        file = query_file(lab, 'www.q', [
            query_wire('www.gslb.test', edns=bool(i % 2)) for i in range(100)])
        webs[1].kill()
        wait_for(lambda: up(server) == {'s0'}, 's1 to be down', 20)
        probed.kill()
        done = Load(lab.run(dnsperf_argv(server, file, times=None,
                                         seconds=DEAD_S, rate=RATE)).stdout)
        named = {a for _ in range(200) for a in answers(server)}
        rule = server.nzctl('explain', 'www.gslb.test', 'A')
        rule = rule['explain']['rule']
    lines = ['side-car killed (SIGKILL), then %d queries at %d a second for %d s:'
             ' %d without a good answer; after it the results are stale, rule'
             ' "%s", and answers name %s (%s had been seen down before)'
             % (done.sent, RATE, DEAD_S, done.unanswered, rule,
                ', '.join(sorted(named)), webs[1].address)]
    return done.unanswered, lines


# -- hidden servers -------------------------------------------------------------

HIDDEN4, HIDDEN6 = '192.0.2.66', '2001:db8:66::66'
TYPES = ['A', 'AAAA', 'ANY', 'MX', 'SRV', 'NS', 'HTTPS', 'SVCB', 'CNAME',
         'TXT', 'SOA', 'DNAME', 'CAA', 'RRSIG', 'PTR', 'NAPTR']
HOLDER = '''@ MX 10 www
_x._tcp SRV 0 0 80 www
child NS www
alias CNAME www
https HTTPS 1 www alpn=h2
'''


def hidden_document(origin_zone):
    names = {'www.%s' % zone for zone in ('own.test', origin_zone,
                                          'gslb.test')}
    return {
        'services': {'web': {'probe': 'tcp', 'port': 80}},
        'pops': {'p': {'servers': {
            'a': {'addresses': ['198.51.100.1', '2001:db8::1']},
            'b': {'addresses': ['198.51.100.2', '2001:db8::2']},
            'h': {'addresses': [HIDDEN4, HIDDEN6]}}}},
        'domains': {'gslb.test': {'ns': ['ns.elsewhere.test']}},
        'hostnames': {name: {'service': 'web', 'servers': ['a', 'b'],
                             'hidden': ['h']} for name in names},
    }


def feed(server, states):
    now = time.time()
    rows = []
    for name, state in states.items():
        for address in {'a': ('198.51.100.1', '2001:db8::1'),
                        'b': ('198.51.100.2', '2001:db8::2'),
                        'h': (HIDDEN4, HIDDEN6)}[name]:
            rows.append([name, address, 'web', now, state,
                         5 if state == 'up' else 65535, 0])
    server.control(command='metrics', node='bench', rows=rows)


def shows_hidden(wire):
    return any(ipaddress.ip_address(a).packed in wire
               for a in (HIDDEN4, HIDDEN6))


def leaks_in_queries(server, names):
    """Every type at every name, in every way; answers that show hidden."""
    leaks = asked = 0
    ways = [(tcp, edns, rd) for tcp in (False, True) for edns in (-1, 0)
            for rd in (False, True)]
    for name in names:
        for rdtype in TYPES:
            for tcp, edns, rd in ways:
                query = dns.message.make_query(name, rdtype, use_edns=edns)
                if not rd:
                    query.flags &= ~dns.flags.RD
                send = dns.query.tcp if tcp else dns.query.udp
                reply = send(query, '127.0.0.1', port=server.port, timeout=5)
                leaks += shows_hidden(reply.to_wire())
                asked += 1
    return leaks, asked


def leaks_in_transfer(server, zone):
    transfer = dns.query.xfr('127.0.0.1', zone, port=server.port, timeout=10,
                             lifetime=20)
    return sum(shows_hidden(m.to_wire()) for m in transfer)


@figure('hidden-leak', '<=0')
def hidden_leak():
    own = ('www 60 A 198.51.100.1\nwww 60 A 198.51.100.2\n'
           'www 60 AAAA 2001:db8::1\n'
           'www HTTPS 1 . ipv4hint=198.51.100.1 ipv6hint=2001:db8::1\n'
           'out CNAME www.gslb.test.\nedge CNAME www.far.test.\n')
    with Lab() as lab:
        text = ZONE_HEAD + HOLDER
        origin = lab.named('origin', zones={
            'far.test': lab.write('far.db', text + own)}).start()
        server = lab.named(
            'edge', steer=hidden_document('far.test'),
            zones={'own.test': lab.write('own.db', text + own)},
            zone_options='allow-transfer { any; };')
        server.edge = {'far.test': origin}
        server.start()
        names = [n + '.' + zone for zone in ('own.test', 'far.test')
                 for n in ('www', 'alias', 'out', 'edge', '_x._tcp', 'child',
                           'x.child', 'https', 'ns1', 'none')]
        names += ['own.test', 'far.test', 'gslb.test', 'www.gslb.test',
                  'x.www.gslb.test']
        leaks = asked = 0
        states = [{'a': 'up', 'b': 'up', 'h': 'up'},
                  {'a': 'down', 'b': 'up', 'h': 'up'},
                  {'a': 'up', 'b': 'down', 'h': 'up'}]
        for state in states:
            feed(server, state)
            found, n = leaks_in_queries(server, names)
            leaks, asked = leaks + found, asked + n
        leaks += leaks_in_transfer(server, 'own.test')
        # and it is there when it is the last one
        feed(server, {'a': 'down', 'b': 'down', 'h': 'up'})
        shown = {r.to_text() for name in ('www.own.test', 'www.far.test',
                                          'www.gslb.test')
                 for rrset in server.ask(name, 'A').answer for r in rrset
                 if rrset.rdtype == dns.rdatatype.A}
        if shown != {HIDDEN4}:
            raise Broken('with all others down, answers are %s' % shown)
    return leaks, ['%d questions of %d types at %d names, UDP and TCP, with and'
                   ' without EDNS and RD, in %d states in which another server'
                   ' is up, and a transfer; hostnames in a domain, in a zone of'
                   " named's and in an edge zone; with all others down it is"
                   ' given out' % (asked, len(TYPES), len(names), len(states))]


# -- scopes ----------------------------------------------------------------------

def scenario():
    """The configuration and the questions of clients.txt."""
    with open(SCENARIO) as f:
        text = f.read()
    config = json.loads(re.search(r'^config\n(.*?)^end$', text,
                                  re.M | re.S).group(1))
    asks = re.findall(r'^ask (\S+) A(?: by (\S+))?(?: from (\S+)/(\d+))?'
                      r' -> scope (\d+)$', text, re.M)
    if len(asks) < 30:
        raise Broken('only %d questions in %s' % (len(asks), SCENARIO))
    return config, asks


def scope_of(server, name, subnet, bits):
    """(scope echoed, None without an option; addresses)."""
    options = []
    if subnet:
        options = [dns.edns.ECSOption(subnet, int(bits), 0)]
    query = dns.message.make_query(name, 'A', use_edns=0, options=options)
    reply = dns.query.udp(query, '127.0.0.1', port=server.port, timeout=5)
    found = [o for o in reply.options if o.otype == dns.edns.ECS]
    if found and found[0].srclen != int(bits):
        raise Broken('source length %d echoed for %s' % (found[0].srclen,
                                                         bits))
    return (found[0].scopelen if found else None,
            frozenset(r.to_text() for rrset in reply.answer for r in rrset))


@figure('scope-error', '<=0')
def scope_error():
    config, asks = scenario()
    wrong = []
    with Lab() as lab:
        server = lab.named('edge', steer={
            'pops': config['pops'], 'hostnames': config['hostnames'],
            'domains': {'example.com': {'ns': ['ns.elsewhere.test']}}})
        server.start()
        for name, _, subnet, bits, want in asks:
            scope, given = scope_of(server, name, subnet, bits)
            expected = int(want) if subnet else None
            if scope != expected:
                wrong.append('%s from %s/%s: scope %s, want %s'
                             % (name, subnet, bits, scope, expected))
            # what a scope says must hold: all of that prefix get the same
            # (of shorter ones, who sends more bits is told more)
            if scope:
                net = ipaddress.ip_network('%s/%d' % (subnet, scope),
                                           strict=False)
                other = net[random.Random(want).randrange(net.num_addresses)]
                full = net.max_prefixlen
                if scope == (24 if full == 32 else 56):
                    _, there = scope_of(server, name, str(other), full)
                    if there != given:
                        wrong.append('%s: %s and %s/%d differ'
                                     % (name, other, subnet, scope))
    return len(wrong), ['%d questions of tests/scenarios/clients.txt put to'
                        ' named' % len(asks)] + wrong[:10]
