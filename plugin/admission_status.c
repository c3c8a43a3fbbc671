/* SPDX-License-Identifier: MPL-2.0 */
#include <json-c/json.h>

#include "common/rcu.h"
#include "plugin/admission_int.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/engine.h"
#include "plugin/jsonadd.h"
#include "plugin/page.h"

#define LOAD(a) atomic_load_explicit(&(a), memory_order_relaxed)

static struct json_object *reasons_of(const _Atomic uint64_t *counters)
{
	struct json_object *o = json_object_new_object();

	for (unsigned int r = ADMIT_OK + 1; r < ADMIT_REASONS; r++)
		add_number(o, admit_reason_names[r], LOAD(counters[r]));
	return o;
}

static uint64_t sum_of(const _Atomic uint64_t *counters)
{
	uint64_t n = 0;

	for (unsigned int r = ADMIT_OK + 1; r < ADMIT_REASONS; r++)
		n += LOAD(counters[r]);
	return n;
}

struct json_object *admission_status(const struct zone *zone)
{
	const struct admit_zone *z = admission_of(zone);
	struct json_object *o;

	if (z == NULL || (sum_of(z->refused) == 0 && sum_of(z->would) == 0 &&
			  LOAD(z->active) == 0))
		return NULL;
	o = json_object_new_object();
	add_bool(o, "attack", LOAD(z->active) != 0);
	json_object_object_add(o, "refused", reasons_of(z->refused));
	json_object_object_add(o, "would_refuse", reasons_of(z->would));
	return o;
}

static void add_since(struct json_object *o, uint32_t since_s, uint32_t now_s)
{
	add_number(o, "since_s", now_s > since_s ? now_s - since_s : 0);
}

static struct json_object *
filters_of(const struct zone *zone, const struct admit_zone *z, uint32_t now_s)
{
	static const char *const modes[] = { "off", "observe", "on" };
	struct json_object *list = json_object_new_array();

	for (unsigned int f = 0; f < CONFIG_FILTERS; f++) {
		struct json_object *o = json_object_new_object();
		bool active = admit_active(z, f);
		add_text(o, "filter", admit_filter_names[f]);
		add_text(o, "mode", modes[zone->config->admission.mode[f]]);
		add_bool(o, "active", active);
		if (active)
			add_since(o, LOAD(z->filter_since_s[f]), now_s);
		json_object_array_add(list, o);
	}
	return list;
}

/* With one place. */
static void add_rate(struct json_object *o, const char *key, float rate)
{
	add_double(o, key, (double)(uint64_t)(rate * 10 + 0.5f) / 10);
}

/* What is normal, what was in the last second, and over a minute. */
static struct json_object *rates_of(const struct zone *zone,
				    const struct admit_zone *z, uint32_t hours)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int r = 0; r < ADMIT_RATES; r++) {
		struct json_object *o = json_object_new_object();
		add_text(o, "rate", admit_rate_names[r]);
		add_number(o, "normal",
			   admit_normal(z, &zone->config->admission, r, hours));
		add_number(o, "last_second", LOAD(z->last[r]));
		add_rate(o, "minute", LOAD(z->minute[r]));
		add_rate(o, "hours", LOAD(z->slow[r]));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *suffixes_of(const struct admit *admit,
				       const struct zone *zone, uint32_t now_s)
{
	struct json_object *list = json_object_new_array();
	struct admit_suffix_view view;
	struct dname name;
	char text[DNAME_TEXT_MAX];

	for (size_t i = 0; i < ADMIT_SUFFIXES; i++) {
		if (!admit_suffixes_view(admit->suffixes, i, &view) ||
		    view.since_s == 0 || view.zone != admission_id(zone) ||
		    dname_from_wire(view.name, view.n, &name) != 0)
			continue;
		struct json_object *o = json_object_new_object();
		(void)dname_print(&name, text);
		add_text(o, "suffix", text);
		add_since(o, view.since_s, now_s);
		add_number(o, "asked", view.refused);
		json_object_array_add(list, o);
	}
	return list;
}

static const char *state_of(const struct admit_zone *z, uint32_t now_s)
{
	if (LOAD(z->active) != 0)
		return "attack";
	if (admit_graced(z, now_s))
		return "new";
	return admit_forgiven(z, now_s) ? "amnesty" : "normal";
}

static struct json_object *zone_json(struct engine *e, const struct zone *zone)
{
	struct admit *admit = e->process->admit;
	const struct admit_zone *z = admission_of(zone);
	struct json_object *o = json_object_new_object();
	uint32_t now_s = process_now_s(e->process);

	add_text(o, "zone", zone->config->id);
	if (z == NULL) {
		add_text(o, "state",
			 zone->config->admission.any ? "not asked yet" : "off");
		return o;
	}
	add_text(o, "state",
		 zone->config->admission.any ? state_of(z, now_s) : "off");
	if (LOAD(z->active) != 0) {
		add_since(o, LOAD(z->since_s), now_s);
		add_number(o, "peak", LOAD(z->peak));
	}
	add_number(o, "learned_s", LOAD(z->learned_s));
	json_object_object_add(o, "filters", filters_of(zone, z, now_s));
	json_object_object_add(o, "rates",
			       rates_of(zone, z, LOAD(admit->hours)));
	json_object_object_add(o, "refused", reasons_of(z->refused));
	json_object_object_add(o, "would_refuse", reasons_of(z->would));
	add_number(o, "passed_names", LOAD(z->passed));
	add_number(o, "passed_new_names", LOAD(z->tried));
	add_number(o, "passed_sources", LOAD(z->spared));
	json_object_object_add(o, "suffixes", suffixes_of(admit, zone, now_s));
	return o;
}

static struct json_object *known_json(struct process *p)
{
	struct json_object *o = json_object_new_object();

	rcu_enter();
	const struct admit_known *known =
		atomic_load_explicit(&p->admit->known, memory_order_acquire);
	if (known != NULL) {
		add_number(o, "prefixes", admit_known_count(known));
		add_number(o, "places", admit_known_words(known));
		add_number(o, "bytes", admit_known_bytes(known));
	}
	rcu_leave();
	return o;
}

void admission_handle(struct engine *e, struct control_client *client,
		      struct json_object *request)
{
	const char *id = member(request, "zone");
	struct zone *one = id != NULL ? commands_zone_by_id(e, id) : NULL;
	struct admit *admit = e->process->admit;

	if (id != NULL && one == NULL) {
		control_reply_error(client, "no zone '%s'", id);
		return;
	}
	struct json_object *reply = json_object_new_object();
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_array();
	if (one != NULL)
		json_object_array_add(list, zone_json(e, one));
	for (size_t i = 0; id == NULL && i < admit->n_siege && i < PAGE_ITEMS;
	     i++)
		json_object_array_add(list, zone_json(e, admit->siege[i].zone));
	add_number(o, "attacked", admit->n_siege);
	json_object_object_add(o, "known", known_json(e->process));
	json_object_object_add(o, "zones", list);
	json_object_object_add(reply, "attack", o);
	control_reply(client, reply);
}
