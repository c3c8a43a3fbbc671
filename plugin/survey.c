/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dns/rcode.h>
#include <dns/rdatatype.h>

#include "cacheproxy/answer.h"
#include "plugin/admission.h"
#include "plugin/log.h"

#define ROUND_S	  5u  /* between two looks through the zones */
#define SILENCE_S 60u /* without an answer of the zone */
#define ROUND_MAX 32u /* questions of one round */

/* Keys belong to views, and nobody's question is the survey's. */
static bool needs_key(const struct config_zone *zone)
{
	for (size_t i = 0; i < zone->n_origins; i++)
		if (zone->origins[i].key.n > 0)
			return true;
	return false;
}

/* A record, or a denial with the SOA that RFC 2308 wants in it. */
static bool is_telling(const struct store_entry *entry)
{
	const struct store_form *whole = store_form_of(entry, STORE_DNSSEC);

	if (entry->is_signed || entry->kind == STORE_POSITIVE)
		return true;
	return whole->count[1] > 0 && ((entry->kind == STORE_NODATA &&
					entry->rcode == dns_rcode_noerror) ||
				       entry->kind == STORE_NXDOMAIN);
}

/*
 * Only what is at the apex is the zone's for certain: below it, an origin may
 * answer from another zone that it has, signed or not.
 */
static bool at_apex(const struct zone *zone, const struct store_entry *entry)
{
	const struct dname *name = &zone->config->name;

	return entry->name_n == name->n &&
	       memcmp(store_name(entry), name->wire, name->n) == 0;
}

/*
 * Only an answer at the apex says that the zone is signed or not.  Another one
 * says no more than that the origin answers: then each answer at a hostname
 * speaks for that hostname.
 */
void survey_learn(const struct zone *zone, const struct store_entry *entry,
		  uint32_t now_s)
{
	struct zone_state *state = zone->state;
	uint8_t before = atomic_load(&state->is_signed);
	uint8_t now = before;
	bool certain =
		entry != NULL && is_telling(entry) && at_apex(zone, entry);

	if (certain)
		now = entry->is_signed ? ZONE_SIGNED : ZONE_UNSIGNED;
	else if (entry == NULL && before == ZONE_UNKNOWN)
		now = ZONE_SILENT;
	else if (entry != NULL && before == ZONE_SILENT)
		now = ZONE_UNKNOWN;
	if (now != before)
		atomic_store(&state->is_signed, now);
	if (certain)
		atomic_store(&state->learned_s, now_s != 0 ? now_s : 1);
	if (now == before || !atomic_load(&zone->has_hostnames))
		return;
	if (now == ZONE_SIGNED)
		log_write(ISC_LOG_WARNING,
			  "zone '%s' is signed: its hostnames are served as "
			  "the origin has them, not decided",
			  zone->config->id);
	else if (before == ZONE_SIGNED)
		log_write(ISC_LOG_NOTICE,
			  "zone '%s' is no longer signed: its hostnames are "
			  "decided",
			  zone->config->id);
}

/* A question for a SOA, under way. */
struct survey {
	struct zone *zone; /* of a snapshot that this holds */
	struct dname name;
	struct store_key key;
};

static void survey_done(void *arg, const struct origin_reply *reply)
{
	struct survey *s = arg;
	struct engine *e = process_get()->engine;
	uint32_t now_s = process_now_s(e->process);
	struct store_entry *entry = NULL;

	admission_repeated(s->zone, reply->tries);
	if (reply->status == 0) {
		struct answer_source source = {
			.zone = s->zone->config,
			.key = &s->key,
			.msg = reply->msg,
			.n = reply->n,
			.now_s = now_s,
			.wall_s = (uint32_t)time(NULL),
		};
		if (answer_make(e->maker, &source, &entry) != ANSWER_OK)
			entry = NULL;
	}
	if (entry == NULL)
		count_failed(s->zone,
			     reply->status != 0 ? reply->status : -EBADMSG);
	survey_learn(s->zone, entry, now_s);
	if (entry != NULL)
		store_unref(entry);
	snapshot_unref(s->zone->snapshot);
	free(s);
}

static void ask_soa(struct engine *e, struct zone *zone)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return;
	s->zone = zone;
	s->name = zone->config->name;
	s->key.zone = atomic_load(&zone->state->cache_id);
	s->key.qtype = dns_rdatatype_soa;
	s->key.n = s->name.n;
	memcpy(s->key.name, s->name.wire, s->name.n);
	snapshot_ref(zone->snapshot);

	struct origin_question q = {
		.name = &s->name,
		.qtype = dns_rdatatype_soa,
		.origins = zone->config->origins,
		.n_origins = zone->config->n_origins,
		.done = survey_done,
		.arg = s,
	};
	count(zone, COUNT_ASKED);
	admission_asked(e, zone);
	int rc = origin_ask(e->origins, &q);
	if (rc != 0) {
		struct origin_reply reply = { .status = rc };
		survey_done(s, &reply);
	}
}

static bool is_due(const struct zone *zone, uint32_t now_s)
{
	uint32_t learned_s = atomic_load(&zone->state->learned_s);

	return atomic_load(&zone->has_hostnames) &&
	       (learned_s == 0 || now_s - learned_s >= SILENCE_S) &&
	       !needs_key(zone->config);
}

void survey_tick(struct engine *e, uint32_t now_s)
{
	struct snapshot *s = e->snapshot;
	size_t asked = 0;

	if (s == NULL || e->origins == NULL || s->world->n_hosts == 0 ||
	    (e->surveyed_s != 0 && now_s - e->surveyed_s < ROUND_S))
		return;
	e->surveyed_s = now_s != 0 ? now_s : 1;
	/* from where the last round ended: the silent take no others' turn */
	for (size_t i = 0; i < s->n && asked < ROUND_MAX; i++) {
		e->survey_at = (e->survey_at + 1) % s->n;
		if (!is_due(&s->zone[e->survey_at], now_s))
			continue;
		ask_soa(e, &s->zone[e->survey_at]);
		asked++;
	}
}
