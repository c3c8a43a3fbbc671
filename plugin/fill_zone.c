/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dns/name.h>
#include <dns/result.h>

#include <json-c/json.h>

#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/fill_int.h"
#include "plugin/fresh.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"

#define GAP_MS	    60000u   /* between fills by a miss, on average */
#define BURST	    3u	     /* that may follow each other at once */
#define RETRY_MS    300000u  /* after one that origins did not bring about */
#define HOPELESS_MS 3600000u /* or that they will not */

/* -- the list ---------------------------------------------------------- */

struct fill_zone *fill_zone_watch(struct engine *e, struct zone *zone)
{
	struct fill_zone *fz = zone->state->fill;

	if (fz == NULL) {
		fz = calloc(1, sizeof(*fz));
		if (fz == NULL)
			return NULL;
		fz->state = zone->state;
		fz->next = e->fill->zones;
		e->fill->zones = fz;
		zone->state->fill = fz;
	}
	fz->zone = zone;
	return fz;
}

static void zone_free(struct fill_zone *fz)
{
	if (fz->keys != NULL)
		dns_tsigkeyring_detach(&fz->keys);
	free(fz);
}

struct dns_tsigkey *fill_zone_key(const struct fill_zone *fz,
				  const struct dname *name)
{
	dns_name_t key_name = DNS_NAME_INITEMPTY;
	isc_region_t region = { (unsigned char *)name->wire, name->n };
	dns_tsigkey_t *key = NULL;

	if (fz->keys == NULL)
		return NULL;
	dns_name_fromregion(&key_name, &region);
	if (dns_tsigkey_find(&key, &key_name, NULL, fz->keys) != ISC_R_SUCCESS)
		return NULL;
	return key;
}

/* Ends its run, if the configuration is no longer for it. */
static void check_run(struct fill_zone *fz)
{
	if (fz->run == NULL)
		return;
	if (!fz->marked)
		fill_run_fail(fz->run, "it is no longer configured");
	else if (fz->run->by_miss && fz->zone->config->fill != CONFIG_FILL_ZONE)
		fill_run_fail(fz->run, "it is no longer to be filled");
}

void fill_zones_configured(struct engine *e, struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct zone *zone = &s->zone[i];
		struct fill_zone *fz = zone->state->fill;
		if (fz != NULL || zone->config->fill == CONFIG_FILL_ZONE)
			fz = fill_zone_watch(e, zone);
		if (fz == NULL)
			continue;
		fz->marked = true;
		fz->not_before_ms = 0; /* who has changed it may have helped */
	}
	struct fill_zone **at = &e->fill->zones;
	while (*at != NULL) {
		struct fill_zone *fz = *at;
		check_run(fz);
		if (fz->marked) {
			fz->marked = false;
			at = &fz->next;
			continue;
		}
		*at = fz->next;
		fz->state->fill = NULL;
		zone_free(fz);
	}
}

void fill_zones_free(struct engine *e)
{
	while (e->fill->zones != NULL) {
		struct fill_zone *next = e->fill->zones->next;
		zone_free(e->fill->zones);
		e->fill->zones = next;
	}
}

/* -- by itself --------------------------------------------------------- */

static uint64_t cache_id(const struct fill_zone *fz)
{
	return atomic_load(&fz->state->cache_id);
}

static void keep_keys(struct fill_zone *fz, dns_tsig_keyring_t *keys)
{
	if (keys == NULL || keys == fz->keys)
		return;
	if (fz->keys != NULL)
		dns_tsigkeyring_detach(&fz->keys);
	dns_tsigkeyring_attach(keys, &fz->keys);
}

void fill_missed(struct engine *e, const struct ask *ask)
{
	struct fill_zone *fz = ask->zone->state->fill;

	if (e->fill->stopping)
		return;
	/* a zone of the configuration before may be gone, and nobody holds it
	 */
	if (fz == NULL && ask->zone->snapshot == e->snapshot &&
	    ask->keys != NULL && fresh_wants_key(ask->zone->config))
		fz = fill_zone_watch(e, ask->zone);
	if (fz == NULL)
		return;
	keep_keys(fz, ask->keys);
	if (!ask->refresh && fz->had_id != cache_id(fz))
		fz->wanted = true;
}

static bool may_try_again(const struct fill_zone *fz, uint64_t now_ms)
{
	return fz->not_before_ms <= now_ms ||
	       (fz->next_serial && fresh_serial(fz->zone) != 0 &&
		fresh_serial(fz->zone) != fz->failed_serial);
}

/* A miss wants it, and it is time. */
static bool is_due(const struct engine *e, const struct fill_zone *fz,
		   uint64_t now_ms)
{
	uint64_t spare_ms = (uint64_t)(BURST - 1) * GAP_MS;

	return fz->wanted && fz->run == NULL &&
	       fz->zone->config->fill == CONFIG_FILL_ZONE &&
	       e->fill->n_zones < FILL_ZONES_MAX &&
	       fz->paid_ms <= now_ms + spare_ms && may_try_again(fz, now_ms) &&
	       (fz->keys != NULL || !fresh_wants_key(fz->zone->config));
}

static void begin(struct engine *e, struct fill_zone *fz, uint64_t now_ms)
{
	struct fill_run *run = fill_run_new(e);

	if (run == NULL)
		return;
	fz->paid_ms = (fz->paid_ms > now_ms ? fz->paid_ms : now_ms) + GAP_MS;
	run->by_miss = true;
	run->records_max = fz->zone->config->fill_max;
	run->fz = fz;
	fill_run_begin(run);
}

void fill_zones_tick(struct engine *e)
{
	uint64_t now_ms = clock_now_ms();

	for (struct fill_zone *fz = e->fill->zones; fz != NULL; fz = fz->next)
		if (is_due(e, fz, now_ms))
			begin(e, fz, now_ms);
}

/* -- a run ------------------------------------------------------------- */

void fill_zone_begun(struct fill_zone *fz, struct fill_run *run)
{
	fz->run = run;
	fz->wanted = false;
	fz->had_id = cache_id(fz);
}

static void event(const struct fill_run *run)
{
	struct control *control = run->engine->control;

	if (control == NULL || !control_watched(control))
		return;
	struct json_object *event = commands_event_new("zone-filled");
	add_text(event, "zone", run->fz->zone->config->id);
	fill_counts_add(event, &run->n);
	if (run->why[0] != '\0')
		add_text(event, "error", run->why);
	control_event(control, event);
}

/* 'again': when it is tried again, if that is somebody's concern. */
static void log_end(const struct fill_run *run, const char *again)
{
	const struct fill_counts *n = &run->n;
	bool well = run->why[0] == '\0';

	log_write(again[0] == '\0' ? ISC_LOG_INFO : ISC_LOG_WARNING,
		  "zone '%s': %s%s%s: serial %u, %zu records, %llu names: "
		  "asked %llu, kept %llu, known %llu, brief %llu, failed %llu",
		  run->fz->zone->config->id,
		  well ? "filled" : "not filled: ", run->why, again,
		  run->serial, run->records, (unsigned long long)n->names,
		  (unsigned long long)n->asked, (unsigned long long)n->kept,
		  (unsigned long long)n->known, (unsigned long long)n->brief,
		  (unsigned long long)n->failed);
}

/* Sees to it that it is not tried again too soon; says when it is. */
static const char *postpone(struct fill_zone *fz, const struct fill_run *run)
{
	fz->had_id = 0;
	if (run->id != 0 && cache_id(fz) != run->id)
		return ""; /* the next miss begins anew */
	fz->not_before_ms =
		clock_now_ms() + (run->hopeless ? HOPELESS_MS : RETRY_MS);
	fz->next_serial = run->hopeless;
	fz->failed_serial = fresh_serial(fz->zone);
	fz->wanted = true;
	if (fz->zone->config->fill != CONFIG_FILL_ZONE)
		return "";
	return run->hopeless ? " (the next try is in an hour)"
			     : " (the next try is in five minutes)";
}

void fill_zone_ended(struct fill_zone *fz, struct fill_run *run)
{
	const char *again = "";

	fz->run = NULL;
	fz->wall_s = time(NULL);
	fz->n = run->n;
	memcpy(fz->why, run->why, sizeof(fz->why));
	if (run->why[0] == '\0')
		fz->not_before_ms = 0;
	else
		again = postpone(fz, run);
	if (run->engine->fill->stopping)
		return;
	log_end(run, again);
	event(run);
}

struct json_object *fill_status(const struct zone *zone)
{
	static const char *const steps[] = {
		[FILL_WAITING] = "waiting",
		[FILL_MOVING] = "transfer",
		[FILL_ASKING] = "asking",
		[FILL_OVER] = "idle",
	};
	const struct fill_zone *fz = zone->state->fill;

	if (fz == NULL || (fz->run == NULL && fz->wall_s == 0))
		return NULL;
	const struct fill_run *run = fz->run;
	struct json_object *o = json_object_new_object();
	add_text(o, "state", steps[run != NULL ? run->step : FILL_OVER]);
	if (fz->wall_s != 0)
		add_number(o, "time", (uint64_t)fz->wall_s);
	fill_counts_add(o, run != NULL ? &run->n : &fz->n);
	if (run == NULL && fz->why[0] != '\0')
		add_text(o, "error", fz->why);
	return o;
}
