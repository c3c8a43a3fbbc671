# SPDX-License-Identifier: MPL-2.0
"""Zone contents that several tests share."""

import itertools

from nzlib.named import zone_text

# Names nobody has asked yet: every test takes its own, so that tests may
# run in any order on one edge.
HOSTS = 4000
_hosts = itertools.count(1)


def fresh_host(zone="example.com"):
    """A name with one A record that no test has asked for."""
    n = next(_hosts)
    assert n <= HOSTS
    return f"h{n}.{zone}"


def fresh_nothing(zone="example.com"):
    """A name that does not exist, and that no test has asked for."""
    return f"nothing{next(_hosts)}.{zone}"


# Something of everything that an answer can be made of.
RICH = zone_text(f"""
ns1 AAAA 2001:db8::250
@ NS ns2
ns2 A 192.0.2.251
@ MX 10 mail
@ MX 20 mail2
mail A 192.0.2.25
mail AAAA 2001:db8::25
mail2 A 192.0.2.26
@ TXT "v=spf1 -all"
@ CAA 0 issue "ca.test"
www A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
www A 192.0.2.4
www AAAA 2001:db8::1
www AAAA 2001:db8::2
_sip._tcp SRV 0 5 5060 sip
sip A 192.0.2.60
sip AAAA 2001:db8::60
svc HTTPS 1 . alpn=h2
alias CNAME www
alias2 CNAME alias
away CNAME www.example.net.
dangling CNAME gone
tree DNAME www.example.net.
*.wild A 192.0.2.70
*.wild MX 10 mail
a.b.ent A 192.0.2.71
sub NS ns.sub
sub NS ns2
ns.sub A 192.0.2.80
ns.sub AAAA 2001:db8::80
many TXT {" ".join(f'"{i:03d}{"x" * 197}"' for i in range(10))}
large TXT {" ".join(f'"{i:03d}{"y" * 247}"' for i in range(40))}
huge TXT {" ".join(f'"{i:03d}{"z" * 247}"' for i in range(240))}
zero 0 A 192.0.2.90
$GENERATE 1-30 set A 192.0.2.$
$GENERATE 1-{HOSTS} h$ A 192.0.2.7
""")

# (name, type) of every kind of answer that RICH has.
KINDS = [
    ("www", "A"), ("www", "AAAA"), ("@", "MX"), ("@", "NS"), ("@", "SOA"),
    ("@", "TXT"), ("@", "CAA"), ("_sip._tcp", "SRV"), ("svc", "HTTPS"),
    ("alias", "A"), ("alias2", "AAAA"), ("alias", "CNAME"), ("away", "A"),
    ("dangling", "A"), ("x.tree", "A"), ("tree", "DNAME"),
    ("foo.wild", "A"), ("foo.wild", "MX"), ("foo.wild", "TXT"),
    ("b.ent", "A"), ("ent", "TXT"), ("sub", "A"), ("x.sub", "AAAA"),
    ("sub", "NS"), ("sub", "DS"), ("ns.sub", "A"), ("nowhere", "A"),
    ("www", "TXT"), ("set", "A"), ("www", "ANY"), ("@", "ANY"),
    ("nowhere", "ANY"), ("www", "TYPE65280"), ("www", "RRSIG"),
    ("@", "DNSKEY"),
]


def at(name, zone="example.com"):
    return zone if name == "@" else f"{name}.{zone}"
