# SPDX-License-Identifier: MPL-2.0
"""Zones that hold something of every kind of answer, from a seed.

make(seed, where) writes zone files, the same for the same seed (but for keys
and signatures), and returns Zone objects.  Every family of zones comes
unsigned and signed with NSEC, NSEC3 and NSEC3 with opt-out.
"""

import collections
import os
import random
import shutil
import subprocess

FLAVOURS = {  # label in the zone's name -> arguments of dnssec-signzone
    'plain': None,
    'nsec': [],
    'nsec3': ['-3', '-', '-H', '0'],
    'optout': ['-3', 'c0ffee', '-H', '3', '-A'],
}

# 'names' has each owner's types, as the zone file spells it: {text: [text]}.
# 'shown': the edge has the zone, too, and not just the origin.
Zone = collections.namedtuple('Zone', 'name file family flavour names shown')

SECRET = 'b' * 64  # what a DS record's digest looks like
WORDS = ('alpha', 'Bravo', 'charlie', 'delta', 'ECHO', 'foxtrot', 'golf')


class Text:
    """A zone file in the making; owners are relative to its apex."""

    def __init__(self, name, rng, longest):
        self.name = name
        self.rng = rng
        self.longest = longest  # octets of a name
        self.lines = []
        self.names = collections.defaultdict(list)

    def add(self, owner, rdtype, *rdatas, ttl=None):
        """One RRset; without 'ttl' it gets one of the usual or odd ones."""
        if ttl is None:
            ttl = self.rng.choice((300, 300, 3600, 86400, 60, 7, 1, 0))
        for rdata in rdatas:
            self.lines.append(f'{owner} {ttl} IN {rdtype} {rdata}')
        if rdtype not in self.names[owner]:
            self.names[owner].append(rdtype)

    def head(self, ttl=3600, negative=900, servers=('ns1', 'ns2')):
        """SOA and NS, whose addresses are in the zone."""
        self.add('@', 'SOA', 'ns1 hostmaster 7 7200 900 604800 %d' % negative,
                 ttl=ttl)
        self.add('@', 'NS', *servers, ttl=ttl)
        for i, server in enumerate(servers):
            self.address(server, i + 1, 3600)

    def address(self, owner, n, ttl=None, both=True):
        self.add(owner, 'A', f'192.0.2.{n % 256}', ttl=ttl)
        if both:
            self.add(owner, 'AAAA', f'2001:db8::{n:x}', ttl=ttl)

    def txt(self, owner, octets, ttl=300):
        """A TXT RRset of about so many octets of rdata, one record."""
        strings = []
        while octets > 1:
            n = min(octets - 1, 255)
            strings.append('"%s"' % ''.join(
                self.rng.choices('abcdefghijklmnop', k=n)))
            octets -= n + 1
        self.add(owner, 'TXT', ' '.join(strings) or '""', ttl=ttl)

    def __str__(self):
        return f'$ORIGIN {self.name}\n' + '\n'.join(self.lines) + '\n'


def hosts(z):
    """Records of many types, and answers that call for additional data."""
    rng = z.rng
    z.head(ttl=rng.choice((3600, 60)), negative=rng.choice((30, 900)),
           servers=('ns1', 'ns2', 'NS3.Deep'))
    z.add('@', 'MX', '10 mail', '10 Mail2', '20 mx.example.net.')
    z.add('@', 'A', '192.0.2.80', '192.0.2.81')
    z.add('@', 'TXT', '"v=spf1 -all"', '"second"')
    z.add('@', 'CAA', '0 issue "ca.example"')
    z.add('@', 'HTTPS', '1 . alpn=h2', ttl=300)
    z.add('@', 'TYPE65301', r'\# 4 01020304')
    for i, owner in enumerate(('mail', 'mail2', 'sip1', 'sip2', 'web')):
        z.address(owner, 20 + i)
    z.add('_sip._tcp', 'SRV', '0 5 5060 sip1', '0 5 5060 sip2',
          '1 0 5061 gone', '1 1 5062 sip.example.org.')
    z.add('svc', 'HTTPS', '1 web alpn=h2 ipv4hint=192.0.2.1', '2 mail')
    z.add('svcalias', 'HTTPS', '0 svc')
    z.add('_dns', 'SVCB', '1 ns1 alpn=dot', '2 web port=853', '3 svc')
    z.add('_dnsalias', 'SVCB', '0 _dns')
    z.add('naptr', 'NAPTR', '10 10 "s" "SIP+D2T" "" _sip._tcp',
          '20 10 "a" "x" "" web')
    z.add('kx', 'KX', '10 mail')
    z.add('afs', 'AFSDB', '1 mail2')
    z.add('rt', 'RT', '5 sip2')
    z.add('rp', 'RP', 'hostmaster web')
    z.add('rp', 'TXT', '"about rp"')
    z.add('ptr', 'PTR', 'web', 'Mail')
    z.add('info', 'HINFO', '"x" "y"')
    z.add('loc', 'LOC', '50 6 39.6 N 8 40 55.2 E 112m')
    z.add('tlsa', 'TLSA', '3 1 1 ' + SECRET)
    z.add('sshfp', 'SSHFP', '4 2 ' + SECRET)
    z.add('uri', 'URI', '10 1 "https://example.net/"')
    z.add('eui', 'EUI48', '00-11-22-33-44-55')
    z.add('odd', 'TYPE65300', r'\# 0', r'\# 3 aabbcc')
    z.add('odd', 'TYPE1234', r'\# 2 0000')
    z.add('zero', 'A', '192.0.2.90', ttl=0)
    z.add('zero', 'TXT', '"not zero"', ttl=60)
    z.add('a.b.c.deep', 'A', '192.0.2.91')
    for i in range(12):
        owner = '%s%d' % (rng.choice(WORDS), i)
        for rdtype in rng.sample(('A', 'AAAA', 'TXT', 'MX'), 2):
            _host_set(z, owner, rdtype)


def _host_set(z, owner, rdtype):
    n = z.rng.randint(1, 9)
    data = {
        'A': [f'198.51.100.{i + 1}' for i in range(n)],
        'AAAA': [f'2001:db8:1::{i + 1:x}' for i in range(n)],
        'TXT': ['"%s"' % ('t' * (i + 1)) for i in range(n)],
        'MX': ['10 mail', '20 mail2'],
    }
    z.add(owner, rdtype, *data[rdtype])


def cuts(z):
    """Referrals: secure or not, with glue in every place, also too much."""
    z.head(negative=300)
    z.address('shared', 40)
    z.add('insecure', 'NS', 'ns.insecure', 'ns2.Insecure')
    z.address('ns.insecure', 50)
    z.address('ns2.insecure', 51, both=False)
    z.add('secure', 'NS', 'ns.secure', 'ns1')
    z.add('secure', 'DS', f'4711 13 2 {SECRET}',
          f'4712 13 4 {SECRET}{"c" * 32}')
    z.address('ns.secure', 52)
    z.add('sibling', 'NS', 'ns.insecure', 'ns.secure')
    z.add('outside', 'NS', 'ns.example.net.', 'ns.example.org.')
    z.add('outsecure', 'NS', 'ns.example.net.')
    z.add('outsecure', 'DS', f'1 8 2 {SECRET}')
    z.add('within', 'NS', 'shared', 'ns2')
    z.add('mixed', 'NS', 'shared', 'ns.mixed', 'ns.example.net.',
          'ns.insecure')
    z.address('ns.mixed', 53)
    z.add('ent.a.b', 'NS', 'ns.ent.a.b')
    z.address('ns.ent.a.b', 54)
    z.add('zerottl', 'NS', 'ns.zerottl', ttl=0)
    z.address('ns.zerottl', 55, ttl=60)
    z.add('bare', 'NS', 'nobody.bare')  # its glue is missing
    wide = [f'a-long-name-of-server-{i}.wide' for i in range(13)]
    z.add('wide', 'NS', *wide)
    z.add('wide', 'DS', f'9 13 2 {SECRET}')
    for i, server in enumerate(wide):
        z.address(server, 60 + i)
    for i in range(4):  # around what fits in 512 octets
        servers = [f'n{j}.fit{i}' for j in range(6 + i)]
        z.add(f'fit{i}', 'NS', *servers)
        for j, server in enumerate(servers):
            z.address(server, 90 + j)
    z.add('*.wild', 'A', '192.0.2.130')
    z.add('cut.wild', 'NS', 'ns.cut.wild')
    z.address('ns.cut.wild', 131)
    for i in range(6):
        z.add(f'opt{i}', 'NS', 'shared')
    z.add('into', 'CNAME', 'www.secure')
    z.add('into2', 'CNAME', 'www.insecure')
    z.add('mx', 'MX', '10 ns.secure', '20 ns.insecure', '30 shared')


def aliases(z):
    """CNAME and DNAME, in the zone and out of it, chains and loops."""
    z.head()
    z.address('www', 30)
    z.add('www', 'A', '192.0.2.31')
    z.add('www', 'TXT', '"text"')
    z.add('cut', 'NS', 'ns.cut')
    z.address('ns.cut', 32)
    z.add('*.wild', 'A', '192.0.2.33')
    z.add('*.wildalias', 'CNAME', 'www')
    z.add('*.wildout', 'CNAME', 'www.example.net.')
    z.add('*.wildloop', 'CNAME', 'again.wildloop')
    z.add('*.wildself', 'CNAME', 'x.y.wildself')
    chain = {'one': 'www', 'two': 'One', 'three': 'two', 'away': 'example.net.',
             'away2': 'away', 'gone': 'nothing', 'gone2': 'gone',
             'self': 'self', 'ping': 'pong', 'pong': 'ping', 'toping': 'ping',
             'tocut': 'host.cut', 'tocutapex': 'cut', 'towild': 'a.wild',
             'towild2': 'b.c.wildalias', 'toapex': '@', 'todname': 'x.tree',
             'towildout': 'q.wildout', 'toout': 'x.outtree',
             'togonetree': 'nothing.tree', 'UPPER': 'WWW', 'toent': 'ent'}
    for owner, target in chain.items():
        z.add(owner, 'CNAME', target)
    z.add('a.ent', 'A', '192.0.2.34')
    for i in range(24):
        z.add(f'c{i}', 'CNAME', f'c{i + 1}')
    z.add('c24', 'A', '192.0.2.35')
    z.add('x.real', 'A', '192.0.2.36')
    z.add('x.real', 'MX', '5 www')
    z.add('alias.real', 'CNAME', 'x.tree')
    z.add('*.real', 'TXT', '"wild"')
    z.add('tree', 'DNAME', 'real')
    z.add('tree', 'A', '192.0.2.37')
    z.add('tree2', 'DNAME', 'tree')
    z.add('outtree', 'DNAME', 'example.net.')
    z.add('looptree', 'DNAME', 'looptree')
    z.add('lt1', 'DNAME', 'lt2')
    z.add('lt2', 'DNAME', 'lt1')
    z.add('deeper', 'DNAME', 'a.b.deeper')
    z.add('cuttree', 'DNAME', 'cut')
    long = '.'.join(['l' * 60] * 3)
    z.add('longtree', 'DNAME', long)
    z.add('zerotree', 'DNAME', 'real', ttl=0)
    z.add('mx', 'MX', '10 one', '20 x.tree')


def wildcards(z):
    """Wildcards everywhere, also where they do not apply."""
    z.head(ttl=300, negative=3600)
    z.address('mail', 20)
    z.add('*', 'TXT', '"apex wildcard"')
    z.add('*', 'MX', '10 mail')
    z.add('*.w', 'A', '192.0.2.70', '192.0.2.71')
    z.add('*.w', 'MX', '10 mail', '20 x.w')
    z.add('here.w', 'TXT', '"blocks"')
    z.add('a.ent.w', 'A', '192.0.2.72')
    z.add('*.ent.w', 'AAAA', '2001:db8::72')
    z.add('*.*.stars', 'A', '192.0.2.73')
    z.add('a.*.stars', 'A', '192.0.2.74')
    z.add('sub.*.under', 'A', '192.0.2.75')
    z.add('*.c', 'CNAME', 'x.w')
    z.add('*.cc', 'CNAME', 'y.c')
    z.add('*.cnx', 'CNAME', 'no.such.thing.under')
    z.add('*.cno', 'CNAME', 'host.example.net.')
    z.add('*.zero', 'A', '192.0.2.76', ttl=0)
    z.add('*.unknown', 'TYPE65310', r'\# 1 ff')
    z.add('cut.w', 'NS', 'ns.cut.w')
    z.address('ns.cut.w', 77)
    z.add('*.srv', 'SRV', '1 1 80 mail', '1 1 81 q.w')
    z.add('real.srv', 'SRV', '1 1 80 z.w')
    z.txt('*.big', 900)
    z.add('*.Case', 'A', '192.0.2.78')


def large(z):
    """RRsets around and far over every size limit."""
    rng = z.rng
    z.head()
    for size in (300, 500, 900, 1300, 4200, 20000, 60000):
        z.txt(f't{size}', size)
    for i in range(8):
        z.txt(f'e{i}', rng.randint(400, 500))
        z.txt(f'f{i}', rng.randint(1050, 1230))
    for size in (446, 452, 458):  # 512 octets, in one spelling
        z.txt(f'g{size}', size)
    for n in (25, 40, 90, 300, 2000):
        z.add(f'a{n}', 'A', *(f'10.0.{i >> 8}.{i & 255}' for i in range(n)),
              ttl=300)
    z.add('aaaa60', 'AAAA', *(f'2001:db8::{i:x}' for i in range(60)))
    z.add('many', 'TXT', *(f'"{i:04d}{"m" * 90}"' for i in range(600)))
    for n in (4, 8, 16, 30):
        names = [f'mx{i}-of-{n}' for i in range(n)]
        z.add(f'm{n}', 'MX', *(f'{i} {m}' for i, m in enumerate(names)))
        z.add(f'_s{n}', 'SRV', *(f'0 {i} 80 {m}'
                                 for i, m in enumerate(names)))
        z.add(f'h{n}', 'HTTPS', *(f'{i + 1} {m} alpn=h2'
                                  for i, m in enumerate(names)))
        for i, m in enumerate(names):
            z.address(m, i)
    for rdtype, data in (('A', '10.9.9.9'), ('AAAA', '2001:db8::9'),
                         ('MX', '1 mx0-of-4')):
        z.add('any', rdtype, data)
    z.txt('any', 400)
    z.add('any', 'TYPE65320', r'\# 700 ' + '00' * 700)
    z.add('tobig', 'CNAME', 't1300')
    z.add('*.big', 'A', *(f'10.1.0.{i}' for i in range(70)))
    wide = [f'server-{i}.w' for i in range(40)]
    z.add('w', 'NS', *wide)
    for i, server in enumerate(wide):
        z.address(server, i)


def spellings(z):
    """Names that are hard to write, to compare or to compress."""
    rng = z.rng
    z.head(servers=('NS1', 'nS2'))
    for i, label in enumerate((r'\000', r'\255\254', r'a\.b', r'sp\032ace',
                               r'\"quote', r'back\\slash', r'\@', r'do\$lar',
                               r'semi\;colon', r'\(par', r'UPPER', 'x' * 63,
                               '-', '_', r'tab\009', r'\192\012', '1',
                               'xn--p1ai', r'*\000', 'a*b')):
        z.address(label, i)
        z.address('sub.' + label, i)
    long = '.'.join('abcdefghi'[i] * 50 for i in range(4))
    room = z.longest - (len(z.name) + 1) - (len(long) + 1) - 1
    z.address(long, 100)
    z.address('l' * min(room, 63) + '.' + long, 101)
    z.add('ToLong', 'CNAME', long)
    z.add('tree', 'DNAME', 'a' * 50 + '.' + 'b' * 50)
    mixed = [''.join(rng.choice((c, c.upper())) for c in 'mailhost')
             for _ in range(5)]
    z.add('MiXeD', 'MX', *(f'{i} {m}' for i, m in enumerate(mixed)))
    z.address('MailHost', 110)
    z.add('cAsE.oWnEr', 'A', '192.0.2.111')
    z.add('CASE.owner2', 'TXT', '"one"', '"two"')
    z.add('Alias', 'CNAME', 'cAsE.OWNER')
    z.add('*.WiLd', 'CNAME', 'Alias')
    z.add('Cut', 'NS', 'Ns.cUt', 'ns.CUT2')
    z.address('NS.Cut', 112)
    for rdtype in ('A', 'TXT', 'MX', 'TYPE65400'):
        data = {'A': '192.0.2.113', 'TXT': '"%s"' % ('q' * 200),
                'MX': '1 Any.Spelling', 'TYPE65400': r'\# 100 ' + '11' * 100}
        z.add('Any.Spelling', rdtype, data[rdtype])


def tiny(z):
    """Almost nothing."""
    z.head(ttl=0, negative=0, servers=('ns.elsewhere',))


FAMILIES = {f.__name__: f for f in (hosts, cuts, aliases, wildcards, large,
                                    spellings, tiny)}
CHILDREN = {'secure': True, 'insecure': False}  # of 'cuts'; shown or not


def _run(*argv, cwd):
    argv = [shutil.which(argv[0], path=os.environ.get('PATH', '') +
                         ':/usr/sbin:/sbin') or argv[0], *argv[1:]]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True,
                          timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(' '.join(argv) + ': ' + done.stderr)


def sign(name, file, how, where):
    """Signs the zone file with two keys of its own; the new file's path."""
    keys = os.path.join(where, 'keys-' + name)
    os.makedirs(keys)
    for more in (['-f', 'KSK', '-P', 'sync', 'now'], []):
        _run('dnssec-keygen', '-q', '-K', keys, '-a', 'ECDSAP256SHA256',
             *more, name, cwd=where)
    _run('dnssec-signzone', '-q', '-S', '-P', '-K', keys, '-o', name, *how,
         '-f', file + '.signed', file, cwd=where)
    return file + '.signed'


def build(family, name, flavour, seed, where, shown=True):
    """One zone: its file is written, and signed."""
    # dnssec-signzone wants room for '*.' before every name it hashes
    longest = 253 if '-3' in (FLAVOURS[flavour] or ()) else 255
    z = Text(name.rstrip('.') + '.', random.Random(f'{seed} {family}'),
             longest)
    FAMILIES[family](z)
    file = os.path.join(where, (name.rstrip('.') or 'root') + '.db')
    with open(file, 'w', encoding='ascii') as f:
        f.write(str(z))
    if FLAVOURS[flavour] is not None:
        file = sign(name, file, FLAVOURS[flavour], where)
        z.names['@'] += ['DNSKEY', 'CDS', 'CDNSKEY', 'NSEC3PARAM']
    return Zone(z.name, file, family, flavour, dict(z.names),
                shown)


def make(seed, where, families=tuple(FAMILIES), flavours=tuple(FLAVOURS)):
    """Zones of these families in these flavours, in the directory 'where'.

    'tiny' zones stand at the top of the tree, all others below 'test'; some
    cuts of 'cuts' have the zone below them at the same origin.
    """
    made = []
    for family in families:
        for flavour in flavours:
            name = f'{family}-{flavour}'
            if family != 'tiny':
                name += '.Test' if family == 'spellings' else '.test'
            made.append(build(family, name, flavour, seed, where))
            if family == 'cuts':
                made += [build('tiny', f'{child}.{name}', flavour, seed,
                               where, shown)
                         for child, shown in CHILDREN.items()]
    return made


def make_root(seed, where):
    """A root zone, which leaves no name outside, as make() returns it."""
    return [build('cuts', '.', 'plain', seed, where)]
