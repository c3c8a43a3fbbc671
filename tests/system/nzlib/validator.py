# SPDX-License-Identifier: MPL-2.0
"""A validator of whole answers: signatures, what denies a type or a name by
NSEC and NSEC3 (RFC 4035 section 5, RFC 5155 section 8, RFC 6840), wildcards,
chains of aliases over several zones, and referrals.

'zones' is {origin: DNSKEYs as zone_keys() has them}, of all zones that are
signed, and None for one below them that is not; a name that is in none of them
is believed.
"""

import dns.dnssec
import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype

CNAME, DS, NS = (dns.rdatatype.CNAME, dns.rdatatype.DS, dns.rdatatype.NS)
NSEC, NSEC3 = dns.rdatatype.NSEC, dns.rdatatype.NSEC3
RRSIG, SOA = dns.rdatatype.RRSIG, dns.rdatatype.SOA
ANY = dns.rdatatype.ANY
OPT_OUT = 1


def _types(rdata):
    """The types of a bitmap."""
    return {window * 256 + i * 8 + bit for window, octets in rdata.windows
            for i, octet in enumerate(octets) for bit in range(8)
            if octet & 0x80 >> bit}


def _zone_of(zones, name, rdtype=None):
    """The signed zone that has the name's records, or None."""
    found = [z for z in zones if name.is_subdomain(z)
             and not (rdtype == DS and name == z)]
    zone = max(found, key=len, default=None)
    return None if zone is None or zones[zone] is None else zone


class _Proof:
    """The denials of one zone in a message."""

    def __init__(self, message, zone):
        self.zone = zone
        sets = [r for r in message.authority if r.name.is_subdomain(zone)]
        self.nsec = [(r.name, r[0]) for r in sets if r.rdtype == NSEC]
        self.nsec3 = [(r.name, r[0]) for r in sets if r.rdtype == NSEC3]

    # -- NSEC ----------------------------------------------------------

    def _covered(self, name):
        """The NSEC between whose names this one is not, or None."""
        for owner, rd in self.nsec:
            last = rd.next == self.zone
            if owner < name and (last or name < rd.next) and not (
                    not last and rd.next.is_subdomain(name)):
                return owner, rd
        return None

    def _nsec_nodata(self, name, rdtype):
        for owner, rd in self.nsec:
            if owner == name:
                types = _types(rd)
                return rdtype not in types and CNAME not in types
            if owner < name and rd.next.is_subdomain(name) and \
                    rd.next != name:
                return True  # a name that only has names below it
        covered = self._covered(name)
        if covered is None:
            return False
        star = dns.name.Name((b"*",)) + self._above(name, covered)
        return any(owner == star and rdtype not in _types(rd)
                   and CNAME not in _types(rd) for owner, rd in self.nsec)

    @staticmethod
    def _above(name, covered):
        """The closest encloser that the covering NSEC shows."""
        common = max(name.fullcompare(x)[2]
                     for x in (covered[0], covered[1].next))
        return dns.name.Name(name.labels[-common:])

    def _nsec_nxdomain(self, name):
        covered = self._covered(name)
        if covered is None:
            return False
        star = dns.name.Name((b"*",)) + self._above(name, covered)
        return self._covered(star) is not None

    # -- NSEC3 ---------------------------------------------------------

    def _hash(self, name):
        rd = self.nsec3[0][1]
        return dns.dnssec.nsec3_hash(name, rd.salt, rd.iterations,
                                     rd.algorithm).lower()

    def _match3(self, name):
        h = self._hash(name)
        for owner, rd in self.nsec3:
            if owner.labels[0].decode().lower() == h:
                return rd
        return None

    def _cover3(self, name):
        h = self._hash(name)
        for owner, rd in self.nsec3:
            mine = owner.labels[0].decode().lower()
            following = _base32(rd.next)
            if mine < h < following or (following <= mine and
                                        (h > mine or h < following)):
                return rd
        return None

    def _encloser3(self, name):
        """The closest encloser and the NSEC3 that covers the next closer
        name; None without a proof."""
        closer = name
        while closer != self.zone and closer.is_subdomain(self.zone):
            above = closer.parent()
            if self._match3(above) is not None:
                rd = self._cover3(closer)
                return (above, rd) if rd is not None else None
            closer = above
        return None

    def _nsec3_nodata(self, name, rdtype):
        rd = self._match3(name)
        if rd is not None:
            return rdtype not in _types(rd) and CNAME not in _types(rd)
        found = self._encloser3(name)
        if found is None:
            return False
        if rdtype == DS and found[1].flags & OPT_OUT:
            return True
        star = self._match3(dns.name.Name((b"*",)) + found[0])
        return star is not None and rdtype not in _types(star) and \
            CNAME not in _types(star)

    def _nsec3_nxdomain(self, name):
        found = self._encloser3(name)
        return found is not None and self._cover3(
            dns.name.Name((b"*",)) + found[0]) is not None

    # -- both ----------------------------------------------------------

    def nodata(self, name, rdtype):
        if self.nsec3:
            return self._nsec3_nodata(name, rdtype)
        return self._nsec_nodata(name, rdtype)

    def nxdomain(self, name):
        if self.nsec3:
            return self._nsec3_nxdomain(name)
        return self._nsec_nxdomain(name)

    def no_closer(self, name, labels):
        """No name closer than the wildcard that has so many labels."""
        closer = dns.name.Name(name.labels[-(labels + 2):])
        if self.nsec3:
            return self._cover3(closer) is not None
        return self._covered(name) is not None

    def insecure(self, cut):
        """A delegation without DS."""
        if self.nsec3:
            rd = self._match3(cut)
            if rd is None:
                return self._nsec3_nodata(cut, DS)
            types = _types(rd)
        else:
            types = next((_types(rd) for owner, rd in self.nsec
                          if owner == cut), set())
        return NS in types and not types & {int(DS), int(SOA)}


def _base32(octets):
    alphabet = "0123456789abcdefghijklmnopqrstuv"
    bits = "".join(f"{x:08b}" for x in octets)
    return "".join(alphabet[int(bits[i:i + 5], 2)]
                   for i in range(0, len(bits), 5))


def _sigs(message, r):
    for section in (message.answer, message.authority, message.additional):
        if r in section:
            return next((s for s in section if s.rdtype == RRSIG and
                         s.name == r.name and s.covers == r.rdtype), None)
    return None


def _known(x, keys):
    return any(dns.dnssec.key_id(k) == x.key_tag and
               k.algorithm == x.algorithm for s in keys.values() for k in s)


def _set_faults(message, r, keys, must):
    sigs = _sigs(message, r)
    what = f"{r.name} {dns.rdatatype.to_text(r.rdtype)}"
    if sigs is None:
        return [f"{what}: unsigned"] if must else []
    faults, good = [], 0
    if sigs.ttl != r.ttl:
        faults.append(f"{what}: TTL {r.ttl}, of its signature {sigs.ttl}")
    for x in sigs:
        if r.ttl > x.original_ttl:
            faults.append(f"{what}: TTL over the original")
        if not _known(x, keys):
            continue
        try:
            dns.dnssec.validate_rrsig(r, x, keys)
            good += 1
        except dns.dnssec.ValidationFailure as e:
            faults.append(f"{what}: {e}")
    return faults if good else [*faults, f"{what}: no signature counts"]


def _cut_of(message):
    """Where a referral leads to, or None."""
    if message.flags & dns.flags.AA or message.answer:
        return None
    return next((r.name for r in message.authority if r.rdtype == NS), None)


def _sets(message, zones, do):
    cut = _cut_of(message)
    faults = []
    for section in (message.answer, message.authority, message.additional):
        for r in section:
            if r.rdtype == RRSIG:
                continue
            zone = _zone_of(zones, r.name, r.rdtype)
            if zone is None or (r.rdtype == NS and r.name not in zones) or \
                    (cut is not None and r.name.is_subdomain(cut) and
                     r.rdtype not in (DS, NSEC)):
                continue  # unsigned, a delegation, or glue
            faults += _set_faults(message, r, zones[zone], do and
                                  section is not message.additional)
    return faults


def _wild(message, r, zones):
    """A set that a wildcard made needs to be the only one there can be."""
    sigs = _sigs(message, r)
    zone = _zone_of(zones, r.name, r.rdtype)
    if sigs is None or zone is None:
        return []
    labels = min(x.labels for x in sigs)
    if labels >= len(r.name) - 1 or _Proof(message, zone).no_closer(
            r.name, labels):
        return []
    return [f"{r.name}: no proof that a wildcard is the closest"]


def _walk(message, zones, name, rdtype):
    """Follows the chain from the question to its end."""
    faults = []
    for _ in range(20):
        at = [r for r in message.answer if r.name == name
              and r.rdtype != RRSIG]
        end = [r for r in at if rdtype in (r.rdtype, ANY)]
        alias = next((r for r in at if r.rdtype == CNAME), None)
        for r in end:
            faults += _wild(message, r, zones)
        if end or (rdtype == RRSIG and message.answer):
            return faults
        zone = _zone_of(zones, name, rdtype)
        if alias is not None:
            faults += _wild(message, alias, zones)
            name = alias[0].target
            continue
        if zone is None or not _is_there(message, zone):
            return faults  # another server's
        proof = _Proof(message, zone)
        if message.rcode() == dns.rcode.NXDOMAIN:
            ok = proof.nxdomain(name)
        else:
            ok = proof.nodata(name, rdtype)
        if not ok:
            faults.append(f"{name} {dns.rdatatype.to_text(rdtype)}: not "
                          "denied")
        return faults
    return faults  # a ring


def _is_there(message, zone):
    """The chain was followed into that zone, which denies; one that was not
    needs to be asked for by whoever wants more."""
    return not message.answer or any(
        r.rdtype == SOA and r.name == zone for r in message.authority)


def verdict(message, zones, do=True):
    """All that a validator would say against an answer."""
    faults = _sets(message, zones, do)
    if do and message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        cut = _cut_of(message)
        question = message.question[0]
        if cut is None:
            faults += _walk(message, zones, question.name, question.rdtype)
        elif not any(r.rdtype == DS and r.name == cut
                     for r in message.authority):
            zone = _zone_of(zones, cut, DS)
            if zone is not None and not _Proof(message, zone).insecure(cut):
                faults.append(f"{cut}: neither DS nor proof of none")
    return [f"{x}\n{message}" for x in faults]
