/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/sign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dns/kasp.h>
#include <dns/view.h>
#include <dns/zone.h>
#include <dns/zt.h>
#include <ns/client.h>

#include "common/rcu.h"
#include "plugin/sign_int.h"

#define MEET_AGAIN_S 5u	 /* a zone's policy is looked at again after that */
#define ROUND_S	     60u /* between two surveys of a view */
#define SLICE	     4u	 /* hostnames that a query looks for */

/* -- table ----------------------------------------------------------------- */

static bool set_has(const struct sign_set *set, const uint8_t *data)
{
	const uint8_t *p = set->octets + set->name_n;

	for (unsigned int i = 0; i < set->n; i++, p += set->size)
		if (memcmp(p, data, set->size) == 0)
			return true;
	return false;
}

static bool set_is(const struct sign_set *set, const struct sign_want *w)
{
	if (set->hash != w->hash || set->db != w->db || set->n != w->n ||
	    set->kind != w->kind || set->size != w->size ||
	    set->name_n != w->name_n ||
	    memcmp(set->octets, w->name, w->name_n) != 0)
		return false;
	for (size_t i = 0; i < w->n; i++)
		if (!set_has(set, w->data[i]))
			return false;
	return true;
}

struct sign_set *sign_lookup(const struct sign *s, const struct sign_want *w)
{
	struct sign_set *set = atomic_load_explicit(
		&s->table[w->hash % SIGN_BUCKETS], memory_order_acquire);

	while (set != NULL && !set_is(set, w))
		set = atomic_load_explicit(&set->next, memory_order_acquire);
	return set;
}

void sign_want_of(const struct sign *s, const dns_db_t *db,
		  const struct gtm_host *host, enum gtm_family family,
		  const struct gtm_answer *answer, struct sign_want *w)
{
	const struct gtm_candidate *all = answer->host->candidate[family];
	const struct dname *name = &host->config->name;

	w->db = db;
	w->name = name->wire;
	w->name_n = name->n;
	w->kind = sign_kind_of(family, answer);
	w->n = answer->n;
	w->size = 0;
	w->hash = sign_owner_hash(s, db, name->wire, name->n, w->kind);
	for (unsigned int i = 0; i < answer->n; i++) {
		w->data[i] = sign_data(&all[answer->pick[i]]);
		w->size = sign_size(w->kind, w->data[i]);
		w->hash += sign_data_hash(s, w->data[i], w->size);
	}
}

const struct sign_set *sign_find(struct sign *s, const dns_db_t *db,
				 const struct gtm_host *host,
				 enum gtm_family family,
				 const struct gtm_answer *answer,
				 uint32_t wall_s)
{
	uint32_t now_s = process_now_s(s->process);
	struct sign_want w;

	sign_want_of(s, db, host, family, answer, &w);
	struct sign_set *set = sign_lookup(s, &w);
	if (set == NULL || wall_s < set->begins_s || wall_s >= set->ends_s)
		return NULL;
	if (atomic_load_explicit(&set->used_s, memory_order_relaxed) != now_s)
		atomic_store_explicit(&set->used_s, now_s,
				      memory_order_relaxed);
	return set;
}

size_t sign_subsets(size_t n, size_t most)
{
	size_t all = 0, of_size = 1;

	for (size_t k = 1; k <= most && k <= n && all <= SIGN_SUBSETS_MAX;
	     k++) {
		of_size = of_size * (n - k + 1) / k;
		all += of_size;
	}
	return all;
}

/* -- zones ----------------------------------------------------------------- */

static struct sign_zone *zone_of(const struct sign *s, const dns_db_t *db)
{
	struct sign_zone *zone = atomic_load_explicit(sign_zone_bucket(s, db),
						      memory_order_acquire);

	while (zone != NULL && zone->db != db)
		zone = atomic_load_explicit(&zone->next, memory_order_acquire);
	return zone;
}

bool sign_ready(const struct sign *s, const dns_db_t *db)
{
	const struct sign_zone *zone = zone_of(s, db);

	return zone != NULL &&
	       atomic_load_explicit(&zone->state, memory_order_relaxed) ==
		       SIGN_READY;
}

void sign_counts(const struct sign *s, uint64_t *sets, uint64_t *made)
{
	*sets = atomic_load_explicit(&s->n_sets, memory_order_relaxed);
	*made = atomic_load_explicit(&s->n_made, memory_order_relaxed);
}

/* -- what queries leave for the worker --------------------------------------
 */

/* A slot to be filled by this thread; false: it is not free. */
static bool slot_take(_Atomic uint8_t *slot)
{
	uint8_t is_free = SLOT_FREE;

	return atomic_load_explicit(slot, memory_order_relaxed) == SLOT_FREE &&
	       atomic_compare_exchange_strong(slot, &is_free, SLOT_BUSY);
}

static void slot_fill(struct sign *s, _Atomic uint8_t *slot)
{
	atomic_store_explicit(slot, SLOT_FULL, memory_order_release);
	atomic_store_explicit(&s->wanted, true, memory_order_release);
}

void sign_wish(struct sign *s, const dns_db_t *db, const struct gtm_host *host,
	       enum gtm_family family, const struct gtm_answer *answer)
{
	struct sign_want w;

	sign_want_of(s, db, host, family, answer, &w);
	struct sign_wish *wish = &s->wish[w.hash % SIGN_WISHES];
	if (!slot_take(&wish->slot))
		return; /* asked for already, or another one's turn */
	wish->db = db;
	wish->hash = w.hash;
	wish->kind = (uint8_t)w.kind;
	wish->n = (uint8_t)w.n;
	wish->size = (uint8_t)w.size;
	wish->name_n = (uint8_t)w.name_n;
	memcpy(wish->name, w.name, w.name_n);
	for (size_t i = 0; i < w.n; i++)
		memcpy(wish->octets + i * w.size, w.data[i], w.size);
	slot_fill(s, &wish->slot);
}

static void policy_of(dns_zone_t *zone, struct sign_policy *policy)
{
	const char *directory = dns_zone_getkeydirectory(zone);
	dns_kasp_t *kasp = dns_zone_getkasp(zone);

	memset(policy, 0, sizeof(*policy));
	policy->kasp = kasp != NULL;
	policy->validity_s = dns_zone_getsigvalidityinterval(zone);
	policy->refresh_s = dns_zone_getsigresigninginterval(zone);
	policy->jitter_s = 3600;
	if (kasp != NULL) {
		policy->validity_s = dns_kasp_sigvalidity(kasp);
		policy->refresh_s = dns_kasp_sigrefresh(kasp);
		policy->jitter_s = dns_kasp_sigjitter(kasp);
	}
	if (directory == NULL)
		directory = ".";
	size_t n = strlen(directory);
	if (n < sizeof(policy->directory))
		memcpy(policy->directory, directory, n);
}

void sign_meet(struct sign *s, dns_zone_t *zone, dns_db_t *db)
{
	uint32_t now_s = process_now_s(s->process);
	struct sign_zone *known = zone_of(s, db);
	uint64_t h = sign_mix((uint64_t)(uintptr_t)db);
	struct sign_meeting *m = &s->meeting[h % SIGN_MEETS];
	const dns_name_t *origin = dns_db_origin(db);

	if (known != NULL && now_s - atomic_load(&known->met_s) < MEET_AGAIN_S)
		return;
	if (!slot_take(&m->slot))
		return;
	if (dname_from_wire(origin->ndata, origin->length, &m->origin) != 0) {
		atomic_store(&m->slot, SLOT_FREE);
		return;
	}
	if (known != NULL)
		atomic_store(&known->met_s, now_s);
	if (dns_db_issecure(db))
		dns_db_attach(db, &m->db);
	m->zone_id = zone;
	policy_of(zone, &m->policy);
	slot_fill(s, &m->slot);
}

/* -- survey ---------------------------------------------------------------- */

static void survey_name(struct sign *s, const query_ctx_t *qctx,
			const struct dname *dname)
{
	isc_region_t region = { (unsigned char *)dname->wire, dname->n };
	dns_zone_t *zone = NULL;
	dns_db_t *db = NULL;
	dns_name_t name;

	dns_name_init(&name, NULL);
	dns_name_fromregion(&name, &region);
	(void)dns_zt_find(qctx->view->zonetable, &name, DNS_ZTFIND_MIRROR, NULL,
			  &zone);
	if (zone != NULL && dns_zone_getdb(zone, &db) != ISC_R_SUCCESS)
		db = NULL;
	/* of one that is not signed the worker is told, to forget it */
	if (db != NULL && (dns_db_issecure(db) || s->n_zones_seen != 0))
		sign_meet(s, zone, db);
	if (db != NULL)
		dns_db_detach(&db);
	if (zone != NULL)
		dns_zone_detach(&zone);
}

void sign_survey(struct sign *s, struct instance *inst,
		 const struct view_map *map, const query_ctx_t *qctx)
{
	const struct gtm_world *world = map->snapshot->world;
	uint32_t now_s = process_now_s(s->process);
	uint32_t at =
		atomic_load_explicit(&inst->survey_at, memory_order_relaxed);

	if (atomic_load_explicit(&inst->surveyed, memory_order_relaxed) !=
	    map->snapshot) {
		atomic_store(&inst->surveyed, map->snapshot);
		atomic_store(&inst->survey_at, 0);
		at = 0;
	}
	if (at >= world->n_hosts) {
		if (now_s - atomic_load_explicit(&inst->survey_s,
						 memory_order_relaxed) <
		    ROUND_S)
			return;
		atomic_store(&inst->survey_at, 0);
	}
	at = atomic_fetch_add(&inst->survey_at, SLICE);
	if (at + SLICE >= world->n_hosts)
		atomic_store(&inst->survey_s, now_s);
	for (size_t i = at; i < world->n_hosts && i < (size_t)at + SLICE; i++) {
		const struct dname *name = &world->hosts[i].config->name;
		const struct place *place = map_host(map, name->wire, name->n);
		if (place != NULL && place->zone == NULL &&
		    place->domain == NULL)
			survey_name(s, qctx, name);
	}
}

/* -- life ------------------------------------------------------------------ */

int sign_new(struct process *p, struct sign **signp)
{
	struct sign *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->job.run = sign_run;
	s->process = p;
	s->seed = p->seed;
	s->renew_s = UINT32_MAX;
	ISC_LIST_INIT(s->all_zones);
	ISC_LIST_INIT(s->owners);
	ISC_LIST_INIT(s->sets);
	ISC_LIST_INIT(s->gone);
	ISC_LIST_INIT(s->gone_zones);
	*signp = s;
	return 0;
}

void sign_tick(struct sign *s)
{
	uint32_t now_s = process_now_s(s->process);
	bool some = s->n_zones_seen != 0 && s->ticked_s != now_s;

	if (!atomic_exchange(&s->wanted, false) && !some)
		return;
	s->ticked_s = now_s;
	if (!atomic_load(&s->process->stopping) &&
	    !atomic_exchange(&s->queued, true))
		process_work(s->process, &s->job);
}
