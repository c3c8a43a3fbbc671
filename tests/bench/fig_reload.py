# SPDX-License-Identifier: MPL-2.0
"""Queries lost while the configuration is replaced under load."""

import signal
import subprocess
import time

from harness import (Broken, Lab, Load, dnsperf_argv, figure, need,
                     query_file, query_wire, wait_for, zone_text, nzctl_path)

HOSTS = 100
RATE = 2000
CHANGES = 20
LARGE = 10000


def questions(lab, seconds):
    """Of ten questions eight are hits, one a miss, one a primary zone's."""
    queries = []
    for i in range(RATE * seconds):
        if i % 10 == 8:
            name = 'new%d.w.hit.test' % i
        elif i % 10 == 9:
            name = 'h%d.own.test' % (i // 10 % HOSTS)
        else:
            name = 'h%d.hit.test' % (i % HOSTS)
        queries.append(query_wire(name, edns=bool(i % 3)))
    return query_file(lab, 'traffic.q', queries)


def many_zones(edge, n, turn):
    """n zones, of which one comes and one goes with every turn."""
    zones = edge.zones_json()
    server = zones['hit.test']['origins'][0]
    for i in range(n - len(zones)):
        zones['z%d.test' % (i if i else n + turn)] = {
            'origins': [dict(server)],
            'ttl': {'max': 3600 + (turn if i == 1 else 0)}}
    return zones


def change(edge, turn, n, command):
    """Writes the next configuration, has it loaded, waits until it is."""
    serial = edge.write_nearzone(many_zones(edge, n, turn) if n else None)
    began = time.monotonic()
    command()
    wait_for(lambda: running_serial(edge) == serial,
             'serial %d to run' % serial, 30)
    return time.monotonic() - began


def running_serial(edge):
    return edge.nzctl('status')['status']['config'].get('serial')


class Traffic:
    """A steady load; stop() gives what became of it."""

    def __init__(self, lab, server, file):
        self.server = server
        self.drops = server.udp_drops()
        self.client = lab.spawn(
            dnsperf_argv(server, file, times=None, seconds=600, rate=RATE,
                         window=20000, timeout=2, clients=16),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(1)

    def stop(self):
        time.sleep(2.5)  # so that every loss has been noticed
        if self.client.poll() is not None:
            raise Broken('the load ended early: '
                         + self.client.stdout.read())
        # What is in flight now is not counted.
        self.client.send_signal(signal.SIGINT)
        done = Load(self.client.communicate()[0])
        done.drops = self.server.udp_drops() - self.drops
        return done


def lost_without_plugin(lab, file, queries):
    """For comparison: the same named and reconfigurations, no plugin."""
    plain = lab.named('plain', zones={'own.test': file, 'hit.test': file})
    plain.start()
    traffic = Traffic(lab, plain, queries)
    for _ in range(CHANGES):
        plain.rndc('reconfig')
        time.sleep(0.2)
    done = traffic.stop()
    plain.stop()
    return 'without the plugin, %d times rndc reconfig: %d lost, %d of' \
        ' them dropped unread by the kernel' % (CHANGES, done.lost,
                                                done.drops)


def reload_lost(n):
    need('dnsperf')
    nzctl_path()
    took = {'rndc reconfig': [], 'nzctl reload': []}
    with Lab() as lab:
        file = lab.write('zone.db', zone_text(HOSTS) + '*.w A 192.0.2.9\n')
        origin = lab.named('origin', zones={'hit.test': file})
        edge = lab.named('edge', zones={'own.test': file},
                         edge={'hit.test': origin})
        queries = questions(lab, 120)
        plain = lost_without_plugin(lab, file, queries)
        origin.start()
        edge.start()
        if n:
            change(edge, 0, n, lambda: edge.nzctl('reload'))
        traffic = Traffic(lab, edge, queries)
        for turn in range(1, CHANGES + 1):
            for name, command in (
                    ('rndc reconfig', lambda: edge.rndc('reconfig')),
                    ('nzctl reload', lambda: edge.nzctl('reload'))):
                took[name].append(change(edge, turn, n, command))
                time.sleep(0.1)
        done = traffic.stop()
    bad = done.completed - done.noerror
    lines = ['%d questions at %.0f a second; %d without an answer in 2 s,'
             ' %d of them dropped unread by the kernel; %d answered other'
             ' than NOERROR' % (done.sent, done.qps, done.lost, done.drops,
                                bad), plain]
    lines += ['%d times %s: in force after %.3f s (median), %.3f s (worst)'
              % (len(t), name, sorted(t)[len(t) // 2], max(t))
              for name, t in took.items()]
    return done.lost + bad, lines


@figure('reload-lost', '<=0')
def reload_small():
    return reload_lost(0)


@figure('reload-large-lost', '<=0')
def reload_large():
    value, lines = reload_lost(LARGE)
    return value, lines + ['%d zones in the file, one added, one removed,'
                           ' one changed each time' % LARGE]
