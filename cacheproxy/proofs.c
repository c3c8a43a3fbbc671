/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/proofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/proofs_int.h"

#define MALLOC_HEADER 8u
#define RECORD_FIXED  8u  /* type, TTL, length */
#define RRSIG_FIXED   18u /* octets of an RRSIG before its signer */
#define OPT_OUT	      1u
#define SHA1	      1u
#define SOA_MIN	      22u  /* octets of its rdata, both names the root */
#define LEARN_MAX     64u  /* sets that one may take the room of */
#define LOOKS	      16u  /* zones, to find who has most */
#define HASHING_S     300u /* NSEC3 parameters are kept, once seen */

/* -- keys and lists ---------------------------------------------------- */

static size_t label_key(const uint8_t *label, uint8_t *key)
{
	size_t n = 0;

	for (size_t i = 1; i <= label[0]; i++) {
		if (label[i] > 1) {
			key[n++] = label[i];
			continue;
		}
		key[n++] = 1;
		key[n++] = (uint8_t)(label[i] + 1);
	}
	key[n++] = 0;
	return n;
}

size_t proofs_key(const struct dname *apex, const uint8_t *name, size_t n,
		  uint8_t *key)
{
	uint8_t at[DNAME_WIRE_MAX];
	size_t labels = 0, used = 0;

	for (size_t i = 0; n - i > apex->n; i += name[i] + 1u)
		at[labels++] = (uint8_t)i;
	while (labels > 0)
		used += label_key(name + at[--labels], key + used);
	return used;
}

int proofs_compare(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n)
{
	int order = memcmp(a, b, a_n < b_n ? a_n : b_n);

	if (order != 0)
		return order;
	return a_n < b_n ? -1 : a_n > b_n;
}

static struct proof *follow(struct proof *_Atomic const *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

static int compare(const struct proof *p, const uint8_t *key, size_t n)
{
	return proofs_compare(proof_key(p), p->key_n, key, n);
}

struct proof *proofs_floor(const struct proofs_list *list, const uint8_t *key,
			   size_t n)
{
	struct proof *at = NULL;

	for (size_t h = PROOFS_HEIGHT_MAX; h-- > 0;) {
		struct proof *next =
			follow(at != NULL ? &at->next[h] : &list->first[h]);
		while (next != NULL && compare(next, key, n) <= 0) {
			at = next;
			next = follow(&at->next[h]);
		}
	}
	return at;
}

struct proof *proofs_last(const struct proofs_list *list)
{
	struct proof *at = NULL;

	for (size_t h = PROOFS_HEIGHT_MAX; h-- > 0;) {
		struct proof *next =
			follow(at != NULL ? &at->next[h] : &list->first[h]);
		while (next != NULL) {
			at = next;
			next = follow(&at->next[h]);
		}
	}
	return at;
}

/* The links that lead to 'key', or to where it would be. */
static void links_to(struct proofs_list *list, const uint8_t *key, size_t n,
		     struct proof *_Atomic *link[PROOFS_HEIGHT_MAX])
{
	struct proof *at = NULL;

	for (size_t h = PROOFS_HEIGHT_MAX; h-- > 0;) {
		struct proof *_Atomic *l =
			at != NULL ? &at->next[h] : &list->first[h];
		struct proof *next = follow(l);
		while (next != NULL && compare(next, key, n) < 0) {
			at = next;
			l = &at->next[h];
			next = follow(l);
		}
		link[h] = l;
	}
}

/* -- what comes and goes ----------------------------------------------- */

static struct proofs_list *list_of(struct proofs *proofs, const struct proof *p)
{
	return p->nsec3 ? &proofs->nsec3 : &proofs->nsec;
}

static void pool_add(struct proofs *proofs, const struct proof *p)
{
	atomic_fetch_add_explicit(&proofs->pool->bytes, p->size,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&proofs->n, 1, memory_order_relaxed);
	proofs->bytes += p->size;
}

static void retire(struct proofs *proofs, struct proof *p)
{
	atomic_fetch_sub_explicit(&proofs->pool->bytes, p->size,
				  memory_order_relaxed);
	atomic_fetch_sub_explicit(&proofs->n, 1, memory_order_relaxed);
	proofs->bytes -= p->size;
	p->newer = proofs->retired;
	if (proofs->retired == NULL)
		proofs->retired_last = p;
	proofs->retired = p;
}

static void withdraw(struct proofs *proofs, struct proof *p)
{
	struct proof *_Atomic *link[PROOFS_HEIGHT_MAX];

	links_to(list_of(proofs, p), proof_key(p), p->key_n, link);
	for (size_t h = p->height; h-- > 0;)
		if (follow(link[h]) == p)
			atomic_store_explicit(link[h], follow(&p->next[h]),
					      memory_order_release);
	if (p->older != NULL)
		p->older->newer = p->newer;
	else
		proofs->oldest = p->newer;
	if (p->newer != NULL)
		p->newer->older = p->older;
	else
		proofs->newest = p->older;
	retire(proofs, p);
}

static void hang(struct proofs *proofs, struct proof *p)
{
	struct proof *_Atomic *link[PROOFS_HEIGHT_MAX];

	links_to(list_of(proofs, p), proof_key(p), p->key_n, link);
	for (size_t h = 0; h < p->height; h++) {
		atomic_store_explicit(&p->next[h], follow(link[h]),
				      memory_order_relaxed);
		atomic_store_explicit(link[h], p, memory_order_release);
	}
	p->newer = NULL;
	p->older = proofs->newest;
	if (proofs->newest != NULL)
		proofs->newest->newer = p;
	else
		proofs->oldest = p;
	proofs->newest = p;
	pool_add(proofs, p);
}

static bool is_over(const struct proofs *proofs, size_t more)
{
	const struct proofs_pool *pool = proofs->pool;

	return atomic_load_explicit(&pool->bytes, memory_order_relaxed) + more >
	       atomic_load_explicit(&pool->limit_bytes, memory_order_relaxed);
}

/* -- the pool's zones -------------------------------------------------- */

static void join(struct proofs *proofs)
{
	struct proofs_pool *pool = proofs->pool;

	if (pool->at == NULL) {
		proofs->next = proofs->before = proofs;
		pool->at = pool->most = proofs;
		return;
	}
	proofs->next = pool->at;
	proofs->before = pool->at->before;
	proofs->before->next = proofs;
	proofs->next->before = proofs;
}

void proofs_leave(struct proofs *proofs)
{
	struct proofs_pool *pool = proofs->pool;
	struct proofs *next = proofs->next != proofs ? proofs->next : NULL;

	if (pool->at == proofs)
		pool->at = next;
	if (pool->most == proofs)
		pool->most = next;
	proofs->next->before = proofs->before;
	proofs->before->next = proofs->next;
	proofs->next = proofs->before = proofs;
}

/* Who has most, as far as a few looks tell: each goes on where the last was. */
static struct proofs *richest(struct proofs_pool *pool)
{
	for (size_t i = 0; i < LOOKS; i++) {
		pool->at = pool->at->next;
		if (pool->at->bytes > pool->most->bytes)
			pool->most = pool->at;
	}
	return pool->most;
}

/* Of who has most, so that no zone is left out for having come late. */
static void make_room(struct proofs *proofs, size_t size)
{
	for (size_t n = 0; n < LEARN_MAX && is_over(proofs, size); n++) {
		struct proofs *from = richest(proofs->pool);
		if (from->oldest == NULL || from->bytes < proofs->bytes + size)
			from = proofs;
		if (from->oldest == NULL)
			return;
		withdraw(from, from->oldest);
	}
}

/* -- reading a set ----------------------------------------------------- */

/* One record of a set. */
struct record {
	uint16_t type, n;
	uint32_t ttl_s;
	const uint8_t *rdata;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The record at '*at', which moves behind it. */
static bool record_read(const struct proofs_set *set, size_t *at,
			struct record *r)
{
	const uint8_t *p = set->records + *at;

	if (set->n - *at < RECORD_FIXED)
		return false;
	r->type = get16(p);
	r->ttl_s = (uint32_t)get16(p + 2) << 16 | get16(p + 4);
	r->n = get16(p + 6);
	r->rdata = p + RECORD_FIXED;
	*at += RECORD_FIXED;
	if (set->n - *at < r->n)
		return false;
	*at += r->n;
	return true;
}

/*
 * Octets of the name at the front of 'n' octets; 0: there is none.
 */
static size_t name_length(const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n && p[at] != 0) {
		if (p[at] > 63)
			return 0;
		at += p[at] + 1u;
	}
	return at < n && at < DNAME_WIRE_MAX ? at + 1 : 0;
}

/*
 * A signature of the zone's own over a set of 'type' that no wildcard made
 * (RFC 4035 section 5.3.2 counts labels).
 */
static bool is_signature(const struct proofs *proofs, const struct record *r,
			 uint16_t type, const struct dname *owner)
{
	struct dname signer;
	unsigned int labels = owner->labels;

	if (owner->wire[0] == 1 && owner->wire[1] == '*')
		labels--;
	if (r->type != PROOFS_RRSIG || r->n <= RRSIG_FIXED ||
	    get16(r->rdata) != type || r->rdata[3] != labels)
		return false;
	size_t n = name_length(r->rdata + RRSIG_FIXED, r->n - RRSIG_FIXED);
	return n > 0 &&
	       dname_from_wire(r->rdata + RRSIG_FIXED, n, &signer) == 0 &&
	       dname_equal(&signer, &proofs->apex);
}

/* A set that was found to be in order. */
struct reading {
	const struct proofs_set *set;
	uint32_t ttl_s;
	struct dname owner;
	struct record first;
	bool nsec3, opt_out;
	const uint8_t *types;
	size_t types_n;
	size_t key_n, end_n;
	uint8_t key[PROOFS_KEY_MAX], end[PROOFS_KEY_MAX];
};

static bool signed_read(const struct proofs *proofs, struct reading *r)
{
	const struct proofs_set *set = r->set;
	struct record next;
	size_t at = 0, signatures = 0;

	if (set->n > PROOFS_RECORDS_MAX ||
	    dname_from_wire(set->owner, set->owner_n, &r->owner) != 0 ||
	    !dname_is_below(&r->owner, &proofs->apex) ||
	    !record_read(set, &at, &r->first))
		return false;
	while (at < set->n) {
		if (!record_read(set, &at, &next) ||
		    !is_signature(proofs, &next, r->first.type, &r->owner))
			return false;
		signatures++;
	}
	return signatures > 0;
}

/* RFC 4034 section 4.1.2: windows in rising order, 1 to 32 octets each. */
static bool types_read(struct reading *r, const uint8_t *p, size_t n)
{
	int before = -1;

	r->types = p;
	r->types_n = n;
	while (n > 0) {
		if (n < 3 || p[0] <= before || p[1] < 1 || p[1] > 32 ||
		    n - 2 < p[1])
			return false;
		before = p[0];
		n -= 2u + p[1];
		p += 2u + p[1];
	}
	return true;
}

static bool nsec_read(const struct proofs *proofs, struct reading *r)
{
	const struct record *rec = &r->first;
	struct dname next;
	size_t n = name_length(rec->rdata, rec->n);

	if (n == 0 || dname_from_wire(rec->rdata, n, &next) != 0 ||
	    !dname_is_below(&next, &proofs->apex) ||
	    !types_read(r, rec->rdata + n, rec->n - n))
		return false;
	r->key_n = proofs_key(&proofs->apex, r->owner.wire, r->owner.n, r->key);
	r->end_n = proofs_key(&proofs->apex, next.wire, next.n, r->end);
	return true;
}

/* The value of a digit of base32 with the extended alphabet; -1: none. */
static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
}

/* The hash that is the first label of an owner (RFC 4648 section 7). */
static bool hash_read(const uint8_t *label, size_t n, uint8_t *hash)
{
	size_t used = 0;
	unsigned int bits = 0, value = 0;

	if (label[0] != (n * 8 + 4) / 5)
		return false;
	for (size_t i = 1; i <= label[0]; i++) {
		int d = digit(label[i]);
		if (d < 0)
			return false;
		value = value << 5 | (unsigned int)d;
		bits += 5;
		if (bits >= 8 && used < n) {
			bits -= 8;
			hash[used++] = (uint8_t)(value >> bits);
		}
	}
	return used == n;
}

/* RFC 5155 section 3.2. */
static bool nsec3_read(const struct proofs *proofs, struct reading *r,
		       struct proofs_hashing *hashing)
{
	const uint8_t *p = r->first.rdata;
	size_t n = r->first.n;

	if (n < 5 || p[0] != SHA1 || n - 5 < p[4])
		return false;
	memset(hashing, 0, sizeof(*hashing)); /* to be compared */
	hashing->iterations = get16(p + 2);
	hashing->salt_n = p[4];
	hashing->n = PROOFS_HASH_MAX;
	memcpy(hashing->salt, p + 5, p[4]);
	r->opt_out = (p[1] & OPT_OUT) != 0;
	p += 5 + hashing->salt_n;
	n -= 5u + hashing->salt_n;
	if (n < 1u + PROOFS_HASH_MAX || p[0] != PROOFS_HASH_MAX)
		return false;
	memcpy(r->end, p + 1, PROOFS_HASH_MAX);
	r->key_n = r->end_n = PROOFS_HASH_MAX;
	return r->owner.labels == proofs->apex.labels + 1u &&
	       hash_read(r->owner.wire, PROOFS_HASH_MAX, r->key) &&
	       types_read(r, p + 1 + PROOFS_HASH_MAX, n - 1 - PROOFS_HASH_MAX);
}

/* -- keeping it -------------------------------------------------------- */

/* A key alone must not tell: whoever asks may have chosen it. */
static uint8_t height_of(const struct reading *r, uint64_t seed)
{
	uint64_t bits = XXH3_64bits_withSeed(r->key, r->key_n, seed);
	uint8_t height = 1;

	for (; height < PROOFS_HEIGHT_MAX && (bits & 3) == 0; bits >>= 2)
		height++;
	return height;
}

static uint8_t *append(uint8_t *at, const void *p, size_t n)
{
	if (n > 0) /* a SOA has no types */
		memcpy(at, p, n);
	return at + n;
}

static struct proof *proof_new(const struct proofs *proofs,
			       const struct reading *r, uint32_t now_s)
{
	uint8_t height = height_of(r, proofs->pool->seed);
	size_t links = height * sizeof(struct proof * _Atomic);
	size_t size = sizeof(struct proof) + links + r->set->owner_n +
		      r->key_n + r->end_n + r->types_n + r->set->n;
	struct proof *p = calloc(1, size);

	if (p == NULL)
		return NULL;
	p->size = (uint32_t)(size + MALLOC_HEADER);
	p->expires_s = now_s + r->ttl_s;
	p->key_n = (uint16_t)r->key_n;
	p->end_n = (uint16_t)r->end_n;
	p->types_n = (uint16_t)r->types_n;
	p->records_n = (uint16_t)r->set->n;
	p->owner_n = (uint8_t)r->set->owner_n;
	p->height = height;
	p->nsec3 = r->nsec3;
	p->opt_out = r->opt_out;
	uint8_t *at = append((uint8_t *)(p->next + height), r->set->owner,
			     r->set->owner_n);
	at = append(at, r->key, r->key_n);
	at = append(at, r->end, r->end_n);
	at = append(at, r->types, r->types_n);
	(void)append(at, r->set->records, r->set->n);
	return p;
}

/* The same, and not much older: most answers bring what is had already. */
static bool is_had(const struct proof *p, const struct reading *r,
		   uint32_t now_s)
{
	const struct proofs_set *set = r->set;
	int32_t left_s = (int32_t)(p->expires_s - now_s);

	return left_s > 0 && (uint32_t)left_s >= r->ttl_s - r->ttl_s / 8 &&
	       p->records_n == set->n && p->owner_n == set->owner_n &&
	       memcmp(proof_records(p), set->records, set->n) == 0 &&
	       memcmp(proof_octets(p), set->owner, set->owner_n) == 0;
}

/* RFC 2308 section 5, and RFC 9077 for the proofs. */
static bool bound_life(const struct proofs *proofs, struct reading *r)
{
	r->ttl_s = r->set->ttl_s < proofs->minimum_s ? r->set->ttl_s
						     : proofs->minimum_s;
	return r->ttl_s > 0;
}

static int soa_learn(struct proofs *proofs, struct reading *r, uint32_t now_s)
{
	struct proof *old = follow(&proofs->soa);
	const struct record *rec = &r->first;

	if (!dname_equal(&r->owner, &proofs->apex) || rec->n < SOA_MIN)
		return -EINVAL;
	const uint8_t *minimum = rec->rdata + rec->n - 4;
	proofs->minimum_s = (uint32_t)get16(minimum) << 16 | get16(minimum + 2);
	if (!bound_life(proofs, r))
		return -EINVAL;
	if (old != NULL && is_had(old, r, now_s))
		return 0;
	struct proof *p = proof_new(proofs, r, now_s);
	if (p == NULL)
		return -ENOMEM;
	size_t old_size = old != NULL ? old->size : 0;
	size_t more = p->size > old_size ? p->size - old_size : 0;
	make_room(proofs, more);
	if (is_over(proofs, more)) {
		free(p);
		return -ENOMEM;
	}
	pool_add(proofs, p);
	atomic_store_explicit(&proofs->soa, p, memory_order_release);
	if (old != NULL)
		retire(proofs, old);
	return 0;
}

static int span_learn(struct proofs *proofs, struct reading *r, uint32_t now_s)
{
	struct proof *old = proofs_floor(
		r->nsec3 ? &proofs->nsec3 : &proofs->nsec, r->key, r->key_n);

	if (!bound_life(proofs, r))
		return -EINVAL;

	if (old != NULL && compare(old, r->key, r->key_n) != 0)
		old = NULL;
	if (old != NULL && is_had(old, r, now_s))
		return 0;
	struct proof *p = proof_new(proofs, r, now_s);
	if (p == NULL)
		return -ENOMEM;
	if (old != NULL)
		withdraw(proofs, old);
	make_room(proofs, p->size);
	if (is_over(proofs, p->size))
		free(p);
	else
		hang(proofs, p);
	return 0;
}

static int nsec3_learn(struct proofs *proofs, struct reading *r, uint32_t now_s)
{
	struct proofs_hashing hashing;

	r->nsec3 = true;
	if (!nsec3_read(proofs, r, &hashing))
		return -EINVAL;
	if (proofs->hashing.n == 0)
		proofs->hashing = hashing;
	else if (memcmp(&proofs->hashing, &hashing, sizeof(hashing)) != 0)
		return now_s - proofs->hashing_s < HASHING_S ? -EINVAL
							     : -ESTALE;
	proofs->hashing_s = now_s;
	return span_learn(proofs, r, now_s);
}

int proofs_learn(struct proofs *proofs, const struct proofs_set *set,
		 uint32_t now_s)
{
	struct reading r = { .set = set };

	if (set->ttl_s == 0 || set->ttl_s > INT32_MAX ||
	    !signed_read(proofs, &r))
		return -EINVAL;
	switch (r.first.type) {
	case PROOFS_SOA:
		return soa_learn(proofs, &r, now_s);
	case PROOFS_NSEC:
		return nsec_read(proofs, &r) ? span_learn(proofs, &r, now_s)
					     : -EINVAL;
	case PROOFS_NSEC3:
		return nsec3_learn(proofs, &r, now_s);
	default:
		return -EINVAL;
	}
}

/* -- life -------------------------------------------------------------- */

int proofs_new(const struct dname *apex, struct proofs_pool *pool,
	       struct proofs **proofsp)
{
	struct proofs *proofs = calloc(1, sizeof(*proofs));

	if (proofs == NULL)
		return -ENOMEM;
	proofs->apex = *apex;
	proofs->pool = pool;
	proofs->minimum_s = UINT32_MAX;
	join(proofs);
	*proofsp = proofs;
	return 0;
}

static bool is_over_age(const struct proof *p, uint32_t now_s)
{
	return p != NULL && (int32_t)(p->expires_s - now_s) <= 0;
}

size_t proofs_sweep(struct proofs *proofs, uint32_t now_s, size_t n)
{
	struct proof *soa = follow(&proofs->soa);
	size_t swept = 0;

	for (; swept < n && is_over_age(proofs->oldest, now_s); swept++)
		withdraw(proofs, proofs->oldest);
	if (swept == n || !is_over_age(soa, now_s))
		return swept;
	atomic_store_explicit(&proofs->soa, NULL, memory_order_release);
	retire(proofs, soa);
	return swept + 1;
}

struct proof *proofs_retired(struct proofs *proofs, struct proof *more)
{
	struct proof *list = proofs->retired;

	if (list == NULL)
		return more;
	proofs->retired_last->newer = more;
	proofs->retired = NULL;
	return list;
}

struct proof *proofs_retired_free(struct proof *list, size_t n)
{
	for (; n > 0 && list != NULL; n--) {
		struct proof *next = list->newer;
		free(list);
		list = next;
	}
	return list;
}

/* Nobody looks any more: no list has to be right. */
struct proofs *proofs_free(struct proofs *proofs, size_t n)
{
	if (proofs == NULL)
		return NULL;
	for (; n > 0 && proofs->newest != NULL; n--) {
		struct proof *p = proofs->newest;
		proofs->newest = p->older;
		atomic_fetch_sub_explicit(&proofs->pool->bytes, p->size,
					  memory_order_relaxed);
		free(p);
	}
	for (; n > 0 && proofs->retired != NULL; n--)
		proofs->retired = proofs_retired_free(proofs->retired, 1);
	if (proofs->newest != NULL || proofs->retired != NULL)
		return proofs;
	struct proof *soa = follow(&proofs->soa);
	if (soa != NULL)
		atomic_fetch_sub_explicit(&proofs->pool->bytes, soa->size,
					  memory_order_relaxed);
	free(soa);
	free(proofs);
	return NULL;
}

void proof_read(const struct proof *p, struct proofs_set *set)
{
	*set = (struct proofs_set){
		.owner = proof_octets(p),
		.owner_n = p->owner_n,
		.records = proof_records(p),
		.n = p->records_n,
	};
}

uint64_t proofs_count(const struct proofs *proofs)
{
	return atomic_load_explicit(&proofs->n, memory_order_relaxed);
}
