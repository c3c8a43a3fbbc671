/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The worker's part: which zones there are, whose answers are to be signed in
 * them, and signing, some at a time.
 */
#include "plugin/sign_int.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/rcu.h"
#include "gtm/explain.h"

#define BUDGET_MS  20u	 /* of signing in one job: others wait, too */
#define ROUND_S	   60u	 /* between two looks at every set */
#define UNMET_S	   3600u /* a zone that no query has seen for so long */
#define SUBSETS_OF 10u	 /* a family of more has too many */

/* -- sets ------------------------------------------------------------------ */

static void note_renewal(struct sign *s, const struct sign_set *set)
{
	if (set->renew_s < s->renew_s)
		s->renew_s = set->renew_s;
}

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void set_publish(struct sign *s, struct sign_owner *owner,
			struct sign_set *set)
{
	struct sign_set *_Atomic *bucket = &s->table[set->hash % SIGN_BUCKETS];

	set->owner = owner;
	set->seen_s = process_now_s(s->process);
	atomic_store(&set->used_s, set->seen_s);
	ISC_LINK_INIT(set, of_owner);
	ISC_LINK_INIT(set, of_all);
	ISC_LIST_APPEND(owner->sets, set, of_owner);
	ISC_LIST_APPEND(s->sets, set, of_all);
	owner->n_sets++;
	atomic_fetch_add(&s->n_sets, 1);
	atomic_fetch_add(&s->n_made, 1);
	note_renewal(s, set);
	atomic_store(&set->next, atomic_load(bucket));
	atomic_store_explicit(bucket, set, memory_order_release);
}

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void set_drop(struct sign *s, struct sign_set *set)
{
	struct sign_set *_Atomic *at = &s->table[set->hash % SIGN_BUCKETS];

	while (atomic_load(at) != set)
		at = &atomic_load(at)->next;
	atomic_store_explicit(at, atomic_load(&set->next),
			      memory_order_release);
	ISC_LIST_UNLINK(set->owner->sets, set, of_owner);
	ISC_LIST_UNLINK(s->sets, set, of_all);
	set->owner->n_sets--;
	atomic_fetch_sub(&s->n_sets, 1);
	ISC_LIST_APPEND(s->gone, set, of_all);
}

/* One that nobody has used since it was looked at last goes. */
// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void evict(struct sign *s)
{
	for (;;) {
		struct sign_set *set = ISC_LIST_HEAD(s->sets);
		uint32_t used_s = atomic_load_explicit(&set->used_s,
						       memory_order_relaxed);
		if (used_s == set->seen_s) {
			set_drop(s, set);
			return;
		}
		set->seen_s = used_s;
		ISC_LIST_UNLINK(s->sets, set, of_all);
		ISC_LIST_APPEND(s->sets, set, of_all);
	}
}

/* Of a hostname's sets the one that was last used longest ago. */
static void evict_of(struct sign *s, struct sign_owner *owner)
{
	struct sign_set *oldest = ISC_LIST_HEAD(owner->sets);

	for (struct sign_set *set = oldest; set != NULL;
	     set = ISC_LIST_NEXT(set, of_owner))
		if (atomic_load(&set->used_s) < atomic_load(&oldest->used_s))
			oldest = set;
	set_drop(s, oldest);
}

/* -- owners ---------------------------------------------------------------- */

static struct sign_owner **owner_at(struct sign *s,
				    const struct sign_zone *zone,
				    const uint8_t *name, size_t n,
				    enum sign_kind kind)
{
	uint64_t h = sign_owner_hash(s, zone->db, name, n, kind);
	struct sign_owner **at = &s->owned[h % SIGN_BUCKETS];

	while (*at != NULL && ((*at)->hash != h || (*at)->zone != zone ||
			       (*at)->kind != kind || (*at)->name.n != n ||
			       memcmp((*at)->name.wire, name, n) != 0))
		at = &(*at)->next;
	return at;
}

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void owner_free(struct sign *s, struct sign_owner *owner)
{
	struct sign_owner **at = owner_at(s, owner->zone, owner->name.wire,
					  owner->name.n, owner->kind);

	while (!ISC_LIST_EMPTY(owner->sets))
		set_drop(s, ISC_LIST_HEAD(owner->sets));
	*at = owner->next;
	if (s->cursor == owner)
		s->cursor = ISC_LIST_NEXT(owner, link);
	ISC_LIST_UNLINK(s->owners, owner, link);
	free(owner);
}

/* The hostname may have answers of that kind. */
static bool may_give(const struct gtm_host *host, enum sign_kind kind)
{
	if (kind == SIGN_ALIAS)
		return host->some_alias;
	return host->n[kind] > 0 && !host->all_alias;
}

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void owner_keep(struct sign *s, struct sign_zone *zone,
		       const struct gtm_host *host, enum sign_kind kind)
{
	const struct dname *name = &host->config->name;

	if (!may_give(host, kind) || !sign_exists(zone, name, kind))
		return;
	struct sign_owner **at = owner_at(s, zone, name->wire, name->n, kind);
	if (*at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at == NULL)
			return;
		(*at)->zone = zone;
		(*at)->kind = kind;
		(*at)->name = *name;
		(*at)->hash =
			sign_owner_hash(s, zone->db, name->wire, name->n, kind);
		ISC_LIST_INIT((*at)->sets);
		ISC_LINK_INIT(*at, link);
		ISC_LIST_APPEND(s->owners, *at, link);
	}
	if ((*at)->host != host) {
		(*at)->fits = false;
		(*at)->ahead = SIGN_NO_SETS;
	}
	(*at)->host = host;
	(*at)->kept = true;
}

static struct sign_zone **origin_bucket(struct sign *s, const uint8_t *name,
					size_t n)
{
	return &s->origins[sign_hash(s->seed, name, n) % SIGN_ZONE_BUCKETS];
}

/* The hostname in every zone that it may be in. */
static void owners_keep(struct sign *s, const struct gtm_host *host)
{
	const struct dname *name = &host->config->name;

	for (size_t at = 0; at < name->n; at += name->wire[at] + 1u) {
		const uint8_t *p = name->wire + at;
		size_t n = name->n - at;
		struct sign_zone *zone = *origin_bucket(s, p, n);
		for (; zone != NULL; zone = zone->by_origin) {
			if (zone->origin.n != n ||
			    memcmp(zone->origin.wire, p, n) != 0)
				continue;
			for (unsigned int k = 0; k < SIGN_KINDS; k++)
				owner_keep(s, zone, host, (enum sign_kind)k);
		}
	}
}

static struct snapshot *running(struct process *p)
{
	struct snapshot *s = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->all != NULL) {
		s = p->all->snapshot;
		snapshot_ref(s);
	}
	pthread_mutex_unlock(&p->lock);
	return s;
}

/* Owners, as zones and the running configuration have them now. */
static void attach(struct sign *s, uint32_t now_s)
{
	struct snapshot *now = running(s->process);
	bool same = now == s->snapshot;
	struct sign_owner *next;

	if (same && !s->attach && now_s - s->attached_s < ROUND_S) {
		if (now != NULL)
			snapshot_unref(now);
		return;
	}
	for (struct sign_owner *o = ISC_LIST_HEAD(s->owners); o != NULL;
	     o = ISC_LIST_NEXT(o, link))
		o->kept = false;
	for (size_t i = 0;
	     now != NULL && s->n_zones > 0 && i < now->world->n_hosts; i++) {
		const struct gtm_host *host = &now->world->hosts[i];
		/* of the others no address is ever served */
		if (!host->config->name_servers && !host->config->dry_run)
			owners_keep(s, host);
	}
	for (struct sign_owner *o = ISC_LIST_HEAD(s->owners); o != NULL;
	     o = next) {
		next = ISC_LIST_NEXT(o, link);
		if (!o->kept)
			owner_free(s, o);
	}
	if (s->snapshot != NULL)
		snapshot_unref(s->snapshot);
	s->snapshot = now;
	s->attach = false;
	s->attached_s = now_s;
	s->cursor = NULL;
	s->round = true;
}

/* -- zones ----------------------------------------------------------------- */

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void zone_drop(struct sign *s, struct sign_zone *zone)
{
	struct sign_zone *_Atomic *at = sign_zone_bucket(s, zone->db);
	struct sign_zone **by =
		origin_bucket(s, zone->origin.wire, zone->origin.n);
	struct sign_owner *next;

	for (struct sign_owner *o = ISC_LIST_HEAD(s->owners); o != NULL;
	     o = next) {
		next = ISC_LIST_NEXT(o, link);
		if (o->zone == zone)
			owner_free(s, o);
	}
	while (atomic_load(at) != zone)
		at = &atomic_load(at)->next;
	atomic_store_explicit(at, atomic_load(&zone->next),
			      memory_order_release);
	while (*by != zone)
		by = &(*by)->by_origin;
	*by = zone->by_origin;
	ISC_LIST_UNLINK(s->all_zones, zone, link);
	ISC_LIST_APPEND(s->gone_zones, zone, link);
	sign_keys_free(zone);
	s->n_zones--;
}

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void zone_add(struct sign *s, struct sign_meeting *m, uint32_t now_s)
{
	struct sign_zone *zone = NULL;

	if (s->n_zones < SIGN_ZONES_MAX)
		zone = calloc(1, sizeof(*zone));
	if (zone == NULL)
		return;
	struct sign_zone **by = origin_bucket(s, m->origin.wire, m->origin.n);
	struct sign_zone *_Atomic *at = sign_zone_bucket(s, m->db);
	zone->db = m->db; /* the reference, too */
	m->db = NULL;
	zone->origin = m->origin;
	zone->zone_id = m->zone_id;
	zone->policy = m->policy;
	atomic_store(&zone->met_s, now_s);
	zone->by_origin = *by;
	*by = zone;
	ISC_LINK_INIT(zone, link);
	ISC_LIST_APPEND(s->all_zones, zone, link);
	s->n_zones++;
	s->attach = true;
	(void)sign_keys_check(s, zone, now_s);
	atomic_store(&zone->next, atomic_load(at));
	atomic_store_explicit(at, zone, memory_order_release);
}

static bool same_policy(const struct sign_policy *a,
			const struct sign_policy *b)
{
	return a->kasp == b->kasp && a->validity_s == b->validity_s &&
	       a->refresh_s == b->refresh_s && a->jitter_s == b->jitter_s &&
	       strcmp(a->directory, b->directory) == 0;
}

/* A zone that named answers from now, in the place of what it was before. */
static void meet(struct sign *s, struct sign_meeting *m, uint32_t now_s)
{
	struct sign_zone *next;

	for (struct sign_zone *z =
		     *origin_bucket(s, m->origin.wire, m->origin.n);
	     z != NULL; z = next) {
		next = z->by_origin;
		if (z->db == m->db) {
			if (!same_policy(&z->policy, &m->policy))
				z->looked_s = now_s - UNMET_S; /* read again */
			z->policy = m->policy;
			return;
		}
		if (z->zone_id == m->zone_id &&
		    dname_equal(&z->origin, &m->origin))
			zone_drop(s, z);
	}
	if (m->db != NULL)
		zone_add(s, m, now_s);
}

static void take_meetings(struct sign *s, uint32_t now_s)
{
	for (size_t i = 0; i < SIGN_MEETS; i++) {
		struct sign_meeting *m = &s->meeting[i];
		if (atomic_load_explicit(&m->slot, memory_order_acquire) !=
		    SLOT_FULL)
			continue;
		meet(s, m, now_s);
		if (m->db != NULL)
			dns_db_detach(&m->db);
		atomic_store_explicit(&m->slot, SLOT_FREE,
				      memory_order_release);
	}
}

/* No set outlives a key of its own in the zone. */
static void drop_orphans(struct sign *s, const struct sign_zone *zone)
{
	struct sign_set *next;

	for (struct sign_set *set = ISC_LIST_HEAD(s->sets); set != NULL;
	     set = next) {
		const uint8_t *p = sign_octets(set);
		bool orphan = atomic_load(&zone->state) != SIGN_READY;
		next = ISC_LIST_NEXT(set, of_all);
		if (set->owner->zone != zone)
			continue;
		for (unsigned int i = 0; i < set->n_sigs; p += set->sig_n[i++])
			orphan = orphan || !sign_keys_have(zone, p);
		if (orphan)
			set_drop(s, set);
	}
	for (struct sign_owner *o = ISC_LIST_HEAD(s->owners); o != NULL;
	     o = ISC_LIST_NEXT(o, link))
		if (o->zone == zone)
			o->ahead = SIGN_NO_SETS;
}

static void check_zones(struct sign *s, uint32_t now_s)
{
	struct sign_zone *next;

	if (s->checked_s == now_s)
		return;
	s->checked_s = now_s;
	for (struct sign_zone *zone = ISC_LIST_HEAD(s->all_zones); zone != NULL;
	     zone = next) {
		next = ISC_LIST_NEXT(zone, link);
		if (now_s - atomic_load(&zone->met_s) >= UNMET_S ||
		    !dns_db_issecure(zone->db)) {
			zone_drop(s, zone);
			continue;
		}
		if (!sign_keys_check(s, zone, now_s))
			continue;
		drop_orphans(s, zone);
		s->cursor = NULL;
		s->round = true;
	}
}

/* -- signing --------------------------------------------------------------- */

/* Signs what is wanted, and does away with what was there in its place. */
static void sign_one(struct sign *s, struct sign_owner *owner,
		     const struct sign_want *want, struct sign_set *old)
{
	struct sign_set *set =
		sign_make(s, owner->zone, want, owner->host->config->ttl_s);

	if (set == NULL)
		return;
	set_publish(s, owner, set);
	if (old != NULL) {
		uint32_t used_s = atomic_load(&old->used_s);
		atomic_store(&set->used_s, used_s);
		set_drop(s, old);
	}
	if (owner->n_sets > SIGN_OWNER_MAX)
		evict_of(s, owner);
	if (atomic_load(&s->n_sets) > SIGN_ALL_MAX)
		evict(s);
}

/* The candidates' family that answers of the owner's kind are found in. */
static enum gtm_family family_of(const struct sign_owner *owner)
{
	/* aliases are in both */
	return owner->kind == SIGN_V6 ? GTM_V6 : GTM_V4;
}

static bool is_of_kind(const struct sign_owner *owner,
		       const struct gtm_candidate *candidate)
{
	return (candidate->alias != NULL) == (owner->kind == SIGN_ALIAS);
}

/* A record of the hostname's servers, or of those that stand in for them. */
static bool is_candidate(const struct sign_owner *owner, const uint8_t *octets,
			 size_t size)
{
	enum gtm_family family = family_of(owner);

	for (const struct gtm_host *host = owner->host; host != NULL;
	     host = host->otherwise)
		for (uint32_t i = 0; i < host->n[family]; i++) {
			const struct gtm_candidate *c =
				&host->candidate[family][i];
			if (is_of_kind(owner, c) &&
			    sign_size(owner->kind, sign_data(c)) == size &&
			    memcmp(sign_data(c), octets, size) == 0)
				return true;
		}
	return false;
}

static void want_begin(struct sign_owner *owner, struct sign_want *w)
{
	w->db = owner->zone->db;
	w->hash = owner->hash;
	w->name = owner->name.wire;
	w->name_n = owner->name.n;
	w->kind = owner->kind;
	w->size = 0;
	w->n = 0;
}

/* False: the record is there already. */
static bool want_add(const struct sign *s, struct sign_want *w,
		     const uint8_t *octets)
{
	for (size_t i = 0; i < w->n; i++)
		if (memcmp(w->data[i], octets, w->size) == 0)
			return false;
	w->size = sign_size(w->kind, octets);
	w->data[w->n++] = octets;
	w->hash += sign_data_hash(s, octets, w->size);
	return true;
}

/* The set as something to be signed again; false: no longer an answer. */
static bool want_again(const struct sign *s, struct sign_owner *owner,
		       const struct sign_set *set, struct sign_want *w)
{
	const uint8_t *p = set->octets + set->name_n;

	want_begin(owner, w);
	for (unsigned int i = 0; i < set->n; i++, p += set->size)
		if ((!owner->fits && !is_candidate(owner, p, set->size)) ||
		    !want_add(s, w, p))
			return false;
	return true;
}

/* The time that one job may take. */
struct budget {
	uint64_t end_ms;
	bool over;
};

static bool spent(struct budget *b)
{
	b->over = b->over || clock_now_ms() >= b->end_ms;
	return b->over;
}

/* Looks after the sets that an owner has; false: there are more. */
static bool renew_sets(struct sign *s, struct sign_owner *owner,
		       struct budget *b)
{
	uint32_t wall_s = (uint32_t)time(NULL);
	struct sign_set *next;

	for (struct sign_set *set = ISC_LIST_HEAD(owner->sets); set != NULL;
	     set = next) {
		struct sign_want w;
		next = ISC_LIST_NEXT(set, of_owner);
		if (!want_again(s, owner, set, &w)) {
			set_drop(s, set);
			continue;
		}
		/* also where the wall clock was set back */
		if (set->generation == owner->zone->generation &&
		    set->ttl_s == owner->host->config->ttl_s &&
		    wall_s >= set->begins_s && wall_s < set->renew_s) {
			note_renewal(s, set);
			continue;
		}
		sign_one(s, owner, &w, set);
		if (spent(b))
			return false;
	}
	owner->fits = true;
	return true;
}

/* Some of a host's candidates; false: no time is left. */
static bool sign_subset(struct sign *s, struct sign_owner *owner,
			const struct gtm_candidate *all, uint32_t members,
			struct budget *b)
{
	struct sign_want w;

	want_begin(owner, &w);
	for (uint32_t i = 0; members >> i != 0; i++)
		if ((members >> i & 1) != 0 &&
		    (!is_of_kind(owner, &all[i]) ||
		     !want_add(s, &w, sign_data(&all[i]))))
			return true;
	if (sign_lookup(s, &w) != NULL)
		return true;
	sign_one(s, owner, &w, NULL);
	return !spent(b);
}

/* All that the servers of 'host' can answer with, if that is not much. */
static bool sign_subsets_of(struct sign *s, struct sign_owner *owner,
			    const struct gtm_host *host, struct budget *b)
{
	enum gtm_family family = family_of(owner);
	uint32_t n = host->n[family];
	unsigned int most = host->config->answers;

	if (owner->kind == SIGN_ALIAS || n > SUBSETS_OF ||
	    sign_subsets(n, most) > SIGN_AHEAD_MAX)
		return true;
	for (uint32_t members = 1; members >> n == 0; members++)
		if ((unsigned int)__builtin_popcount(members) <= most &&
		    !sign_subset(s, owner, host->candidate[family], members, b))
			return false;
	return true;
}

/* Single records, of so many candidates; false: no time is left. */
static bool sign_singles_of(struct sign *s, struct sign_owner *owner,
			    const struct gtm_host *host, uint32_t *left,
			    struct budget *b)
{
	enum gtm_family family = family_of(owner);

	for (uint32_t i = 0; i < host->n[family] && *left > 0; i++, --*left) {
		const struct gtm_candidate *c = &host->candidate[family][i];
		struct sign_want w;
		if (atomic_load(&s->n_sets) >= SIGN_AHEAD_ALL_MAX) {
			*left = 0; /* the rest is for what is asked for */
			return true;
		}
		if (!is_of_kind(owner, c))
			continue;
		want_begin(owner, &w);
		(void)want_add(s, &w, sign_data(c));
		if (sign_lookup(s, &w) != NULL)
			continue;
		sign_one(s, owner, &w, NULL);
		if (spent(b))
			return false;
	}
	return true;
}

/*
 * Single records of the hostname and of those that stand in for it; false:
 * there are more.  Once: what had to make room since is not wanted.
 */
static bool ahead_singles(struct sign *s, struct sign_owner *owner,
			  struct budget *b)
{
	uint32_t left = SIGN_OWNER_MAX / 2;

	if (owner->ahead >= SIGN_SINGLES)
		return true;
	for (const struct gtm_host *host = owner->host; host != NULL;
	     host = host->otherwise)
		if (!sign_singles_of(s, owner, host, &left, b))
			return false;
	/* where there was no room there may be some the next time */
	if (atomic_load(&s->n_sets) < SIGN_AHEAD_ALL_MAX)
		owner->ahead = SIGN_SINGLES;
	return true;
}

/* And the subsets, if they are few. */
static bool ahead_subsets(struct sign *s, struct sign_owner *owner,
			  struct budget *b)
{
	if (owner->ahead != SIGN_SINGLES)
		return true;
	for (const struct gtm_host *host = owner->host; host != NULL;
	     host = host->otherwise) {
		if (atomic_load(&s->n_sets) >= SIGN_SUBSETS_ALL_MAX)
			return true;
		if (!sign_subsets_of(s, owner, host, b))
			return false;
	}
	owner->ahead = SIGN_SUBSETS;
	return true;
}

static bool look_after(struct sign *s, struct sign_owner *owner,
		       struct budget *b)
{
	if (atomic_load(&owner->zone->state) != SIGN_READY)
		return true;
	if (s->subsets)
		return ahead_subsets(s, owner, b);
	return renew_sets(s, owner, b) && ahead_singles(s, owner, b);
}

/*
 * Goes on with the round; it ends when all owners have all that they need: each
 * something first, then what is good to have.
 */
static void go_round(struct sign *s, struct budget *b)
{
	if ((uint32_t)time(NULL) >= s->renew_s)
		s->round = true;
	if (!s->round)
		return;
	if (s->cursor == NULL) {
		s->renew_s = UINT32_MAX;
		s->subsets = false;
		s->cursor = ISC_LIST_HEAD(s->owners);
	}
	while (s->cursor != NULL) {
		if (spent(b) || !look_after(s, s->cursor, b))
			return;
		s->cursor = ISC_LIST_NEXT(s->cursor, link);
		if (s->cursor == NULL && !s->subsets) {
			s->subsets = true;
			s->cursor = ISC_LIST_HEAD(s->owners);
		}
	}
	s->round = false;
}

/* -- wishes ---------------------------------------------------------------- */

static struct sign_zone *zone_by_db(struct sign *s, const dns_db_t *db)
{
	struct sign_zone *zone = atomic_load(sign_zone_bucket(s, db));

	while (zone != NULL && zone->db != db)
		zone = atomic_load(&zone->next);
	return zone;
}

/*
 * The owner of what is wished for; one may be new, as its records are in a zone
 * that was updated.  NULL: there is none, its name is not in the zone.
 */
static struct sign_owner *owner_of(struct sign *s, struct sign_zone *zone,
				   const struct sign_wish *wish)
{
	enum sign_kind kind = (enum sign_kind)wish->kind;
	struct sign_owner *owner =
		*owner_at(s, zone, wish->name, wish->name_n, kind);
	struct dname name;

	if (owner != NULL || s->snapshot == NULL ||
	    dname_from_wire(wish->name, wish->name_n, &name) != 0)
		return owner;
	const struct gtm_host *host =
		gtm_explain_host(s->snapshot->world, &name);
	if (host == NULL || host->config->name_servers || host->config->dry_run)
		return NULL;
	owner_keep(s, zone, host, kind);
	return *owner_at(s, zone, wish->name, wish->name_n, kind);
}

static void grant(struct sign *s, const struct sign_wish *wish)
{
	struct sign_zone *zone = zone_by_db(s, wish->db);
	struct sign_want w;

	if (zone == NULL || atomic_load(&zone->state) != SIGN_READY)
		return;
	struct sign_owner *owner = owner_of(s, zone, wish);
	if (owner == NULL)
		return;
	want_begin(owner, &w);
	for (const uint8_t *p = wish->octets; w.n < wish->n; p += wish->size)
		if (!is_candidate(owner, p, wish->size) || !want_add(s, &w, p))
			return;
	if (w.n > 0 && sign_lookup(s, &w) == NULL)
		sign_one(s, owner, &w, NULL);
}

/* What there is no time for waits in its slot, and keeps others out. */
static void take_wishes(struct sign *s, struct budget *b)
{
	for (size_t i = 0; i < SIGN_WISHES && !spent(b); i++) {
		s->wish_at = (s->wish_at + 1) % SIGN_WISHES;
		struct sign_wish *wish = &s->wish[s->wish_at];
		if (atomic_load_explicit(&wish->slot, memory_order_acquire) !=
		    SLOT_FULL)
			continue;
		grant(s, wish);
		atomic_store_explicit(&wish->slot, SLOT_FREE,
				      memory_order_release);
	}
}

/* -- the job --------------------------------------------------------------- */

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void free_gone(struct sign *s)
{
	struct sign_set *set;
	struct sign_zone *zone;

	if (ISC_LIST_EMPTY(s->gone) && ISC_LIST_EMPTY(s->gone_zones))
		return;
	rcu_wait();
	while ((set = ISC_LIST_HEAD(s->gone)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-*): it is unlinked */
		ISC_LIST_UNLINK(s->gone, set, of_all);
		free(set);
	}
	while ((zone = ISC_LIST_HEAD(s->gone_zones)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-*): it is unlinked */
		ISC_LIST_UNLINK(s->gone_zones, zone, link);
		dns_db_detach(&zone->db);
		free(zone);
	}
}

void sign_run(struct job *job)
{
	struct sign *s = (struct sign *)job;
	uint32_t now_s = clock_now_s();
	struct budget b = { .end_ms = clock_now_ms() + BUDGET_MS };

	atomic_store(&s->queued, false);
	take_meetings(s, now_s);
	check_zones(s, now_s);
	attach(s, now_s);
	take_wishes(s, &b);
	bool wishes = b.over;
	b = (struct budget){ .end_ms = clock_now_ms() + BUDGET_MS };
	go_round(s, &b);
	free_gone(s);
	atomic_store(&s->n_zones_seen, s->n_zones);
	if (wishes)
		atomic_store(&s->wanted, true); /* with the next tick */
	if (s->round && !atomic_load(&s->process->stopping) &&
	    !atomic_exchange(&s->queued, true))
		process_work(s->process, &s->job);
}

void sign_free(struct sign *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < SIGN_MEETS; i++)
		if (s->meeting[i].db != NULL)
			dns_db_detach(&s->meeting[i].db);
	while (!ISC_LIST_EMPTY(s->all_zones))
		zone_drop(s, ISC_LIST_HEAD(s->all_zones));
	free_gone(s);
	if (s->snapshot != NULL)
		snapshot_unref(s->snapshot);
	free(s);
}
