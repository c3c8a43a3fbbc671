/* SPDX-License-Identifier: MPL-2.0 */
#include <string.h>

#include <isc/iterated_hash.h>

#include "cacheproxy/proofs_int.h"

#define SHA1 1u
#define ITERATIONS_MAX                                                         \
	16u		/* RFC 9276 wants 0; each is paid for by a client      \
			 */
#define QTYPES	   128u /* from here to 255: questions, not records */
#define QTYPES_END 256u

/* -- what a proof says ------------------------------------------------- */

/* RFC 4034 section 4.1.2. */
static bool has_type(const struct proof *p, uint16_t type)
{
	const uint8_t *at = proof_types(p);
	const uint8_t *end = at + p->types_n;

	for (; at < end; at += 2u + at[1])
		if (at[0] == type >> 8)
			return (type & 0xff) / 8 < at[1] &&
			       (at[2 + (type & 0xff) / 8] >> (7 - type % 8) &
				1) != 0;
	return false;
}

/* The parent's side of a cut. */
static bool is_cut(const struct proof *p)
{
	return has_type(p, PROOFS_NS) && !has_type(p, PROOFS_SOA);
}

/* What is below it is not the zone's to deny (RFC 6840 section 4.1). */
static bool hides_below(const struct proof *p)
{
	return is_cut(p) || has_type(p, PROOFS_DNAME);
}

/*
 * Is there nothing of 'qtype' at the name that 'p' is of?  named denies SIG
 * without a proof, as what it knows of a name does not say.
 */
static bool lacks(const struct proof *p, uint16_t qtype)
{
	if ((qtype >= QTYPES && qtype < QTYPES_END) || qtype == PROOFS_SIG ||
	    has_type(p, qtype) || has_type(p, PROOFS_CNAME))
		return false;
	if (qtype == PROOFS_DS)
		return !has_type(p, PROOFS_SOA);
	return !is_cut(p);
}

/* The same of a wildcard: what one with NS means, nobody has said. */
static bool wildcard_lacks(const struct proof *p, uint16_t qtype)
{
	return !is_cut(p) && lacks(p, qtype);
}

static bool is_at(const struct proof *p, const uint8_t *key, size_t n)
{
	return proofs_compare(proof_key(p), p->key_n, key, n) == 0;
}

/* The name lies in the span; the last of a chain goes on at its beginning. */
static bool covers(const struct proof *p, const uint8_t *key, size_t n)
{
	bool after = proofs_compare(proof_key(p), p->key_n, key, n) < 0;
	bool before = proofs_compare(key, n, proof_end(p), p->end_n) < 0;
	bool wraps = proofs_compare(proof_end(p), p->end_n, proof_key(p),
				    p->key_n) <= 0;

	return wraps ? after || before : after && before;
}

/* -- putting it together ----------------------------------------------- */

struct search {
	const struct proofs *proofs;
	uint16_t qtype;
	uint32_t now_s;
	struct proofs_found *found;
};

static uint32_t left_s(const struct proof *p, uint32_t now_s)
{
	int32_t left = (int32_t)(p->expires_s - now_s);

	return left > 0 ? (uint32_t)left : 0;
}

static void use(struct search *s, const struct proof *p)
{
	struct proofs_found *f = s->found;

	for (size_t i = 0; i < f->n; i++)
		if (f->proof[i] == p)
			return;
	f->proof[f->n++] = p;
}

/* The proof at or before a key that is not too old, or NULL. */
static const struct proof *find(const struct search *s,
				const struct proofs_list *list,
				const uint8_t *key, size_t n)
{
	const struct proof *p = proofs_floor(list, key, n);

	if (p == NULL && list == &s->proofs->nsec3)
		p = proofs_last(list); /* whose span may go round */
	return p != NULL && left_s(p, s->now_s) > 0 ? p : NULL;
}

/* -- NSEC -------------------------------------------------------------- */

static bool begins_with(const uint8_t *key, size_t n, const uint8_t *with,
			size_t with_n)
{
	return n > with_n && memcmp(key, with, with_n) == 0;
}

/* Octets of the labels that two keys have in common. */
static size_t common(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n)
{
	size_t last = 0;

	for (size_t i = 0; i < a_n && i < b_n && a[i] == b[i]; i++)
		if (a[i] == 0)
			last = i + 1;
	return last;
}

/*
 * A proof that the name of 'key' has no records, nor is below another zone's
 * cut; '*empty': it exists all the same, as something is below it.
 */
static const struct proof *
nsec_denies(const struct search *s, const uint8_t *key, size_t n, bool *empty)
{
	const struct proof *p = find(s, &s->proofs->nsec, key, n);

	if (p == NULL || !covers(p, key, n) ||
	    (begins_with(key, n, proof_key(p), p->key_n) && hides_below(p)))
		return NULL;
	*empty = begins_with(proof_end(p), p->end_n, key, n);
	return p;
}

/* The wildcard beside a name that does not exist. */
static enum proofs_word nsec_wildcard(struct search *s, const uint8_t *key,
				      size_t n)
{
	const struct proof *p = find(s, &s->proofs->nsec, key, n);
	bool empty;

	if (p != NULL && is_at(p, key, n)) {
		use(s, p);
		return wildcard_lacks(p, s->qtype) ? PROOFS_NODATA
						   : PROOFS_NONE;
	}
	p = nsec_denies(s, key, n, &empty);
	if (p == NULL || empty)
		return PROOFS_NONE;
	use(s, p);
	return PROOFS_NXDOMAIN;
}

/* RFC 8198 section 5.1, 5.2; RFC 4035 section 5.4. */
static enum proofs_word nsec_find(struct search *s, const uint8_t *name,
				  size_t n)
{
	uint8_t key[PROOFS_KEY_MAX + 2];
	size_t key_n = proofs_key(&s->proofs->apex, name, n, key);
	const struct proof *p = find(s, &s->proofs->nsec, key, key_n);
	bool empty;

	if (p != NULL && is_at(p, key, key_n)) {
		use(s, p);
		return lacks(p, s->qtype) ? PROOFS_NODATA : PROOFS_NONE;
	}
	p = nsec_denies(s, key, key_n, &empty);
	if (p == NULL)
		return PROOFS_NONE;
	use(s, p);
	if (empty)
		return s->qtype < QTYPES || s->qtype >= QTYPES_END
			       ? PROOFS_NODATA
			       : PROOFS_NONE;
	size_t above = common(key, key_n, proof_key(p), p->key_n);
	size_t below = common(key, key_n, proof_end(p), p->end_n);
	if (above < below)
		above = below;
	key[above] = '*';
	key[above + 1] = 0;
	return nsec_wildcard(s, key, above + 2);
}

/* -- NSEC3 ------------------------------------------------------------- */

static bool hash(const struct search *s, const uint8_t *name, size_t n,
		 uint8_t *out)
{
	const struct proofs_hashing *h = &s->proofs->hashing;

	return isc_iterated_hash(out, SHA1, h->iterations, h->salt, h->salt_n,
				 name, (int)n) == PROOFS_HASH_MAX;
}

/* The proof that is of 'name' itself, or whose span has it; or NULL. */
static const struct proof *nsec3_about(const struct search *s,
				       const uint8_t *name, size_t n, bool *at)
{
	uint8_t key[64];

	if (!hash(s, name, n, key))
		return NULL;
	const struct proof *p =
		find(s, &s->proofs->nsec3, key, PROOFS_HASH_MAX);
	if (p == NULL)
		return NULL;
	*at = is_at(p, key, PROOFS_HASH_MAX);
	return *at || (!p->opt_out && covers(p, key, PROOFS_HASH_MAX)) ? p
								       : NULL;
}

/* 'above': the closest encloser, which is proven. */
static enum proofs_word nsec3_wildcard(struct search *s, const uint8_t *above,
				       size_t n)
{
	uint8_t star[2 + DNAME_WIRE_MAX] = { 1, '*' };
	bool at;

	if (n + 2 > DNAME_WIRE_MAX)
		return PROOFS_NONE;
	memcpy(star + 2, above, n);
	const struct proof *p = nsec3_about(s, star, n + 2, &at);
	if (p == NULL || (at && !wildcard_lacks(p, s->qtype)))
		return PROOFS_NONE;
	use(s, p);
	return at ? PROOFS_NODATA : PROOFS_NXDOMAIN;
}

/*
 * From the apex down to the first name that does not exist: a name that is
 * made up costs a few hashes, however long it is (RFC 5155 section 8.3).
 */
static enum proofs_word nsec3_find(struct search *s, const uint8_t *name,
				   size_t n)
{
	size_t apex_n = s->proofs->apex.n;
	uint8_t at[DNAME_WIRE_MAX];
	size_t labels = 0;
	const struct proof *above = NULL;
	bool is;

	for (size_t i = 0; n - i >= apex_n; i += name[i] + 1u) {
		at[labels++] = (uint8_t)i;
		if (n - i == apex_n)
			break;
	}
	while (labels > 0) {
		size_t i = at[--labels];
		const struct proof *p = nsec3_about(s, name + i, n - i, &is);
		if (p == NULL || (!is && above == NULL))
			return PROOFS_NONE;
		if (!is) {
			size_t up = i + name[i] + 1u;
			use(s, above);
			use(s, p);
			return nsec3_wildcard(s, name + up, n - up);
		}
		if (labels == 0) {
			use(s, p);
			return lacks(p, s->qtype) ? PROOFS_NODATA : PROOFS_NONE;
		}
		if (hides_below(p))
			return PROOFS_NONE;
		above = p;
	}
	return PROOFS_NONE;
}

void proofs_find(const struct proofs *proofs, const uint8_t *name, size_t n,
		 uint16_t qtype, uint32_t now_s, struct proofs_found *found)
{
	const struct proof *soa =
		atomic_load_explicit(&proofs->soa, memory_order_acquire);

	*found = (struct proofs_found){ .word = PROOFS_NONE };
	struct search s = { proofs, qtype, now_s, found };
	if (soa == NULL || n < proofs->apex.n || left_s(soa, now_s) == 0)
		return;
	enum proofs_word word = nsec_find(&s, name, n);
	if (word == PROOFS_NONE && proofs_last(&proofs->nsec3) != NULL &&
	    proofs->hashing.iterations <= ITERATIONS_MAX) {
		found->n = 0;
		word = nsec3_find(&s, name, n);
	}
	if (word == PROOFS_NONE)
		return;
	found->word = word;
	found->soa = soa;
	found->ttl_s = left_s(soa, now_s);
	for (size_t i = 0; i < found->n; i++)
		if (left_s(found->proof[i], now_s) < found->ttl_s)
			found->ttl_s = left_s(found->proof[i], now_s);
}
