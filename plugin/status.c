/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/status.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include <dns/rdatatype.h>
#include <isc/netaddr.h>
#include <isc/sockaddr.h>

#include <json-c/json.h>

#include "common/rcu.h"
#include "plugin/admission.h"
#include "plugin/control.h"
#include "plugin/denial.h"
#include "plugin/fill.h"
#include "plugin/fresh.h"
#include "plugin/geo.h"
#include "plugin/jsonadd.h"
#include "plugin/map.h"
#include "plugin/page.h"
#include "plugin/recorder.h"
#include "plugin/traffic.h"

#define SUM_STEP 64u /* zones */

/* -- loads --------------------------------------------------------------- */

static struct json_object *errors_of(const struct load_report *report,
				     const char *file)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < report->n_errs; i++) {
		struct json_object *o = json_object_new_object();
		add_text(o, "file", file);
		add_number(o, "line", report->errs[i].line);
		add_text(o, "path", report->errs[i].path);
		add_text(o, "text", report->errs[i].text);
		json_object_array_add(list, o);
	}
	return list;
}

static void add_refusal(struct json_object *o, const struct load_report *report,
			const char *file)
{
	char line[ERR_TEXT_MAX + ERR_PATH_MAX + 64] = "not loaded";

	if (report->n_errs > 0)
		err_format(&report->errs[0], file, line, sizeof(line));
	add_text(o, "error", line);
	json_object_object_add(o, "errors", errors_of(report, file));
}

struct json_object *status_of_load(struct process *p, int rc)
{
	struct json_object *o = json_object_new_object();

	pthread_mutex_lock(&p->lock);
	add_bool(o, "ok", rc == 0);
	if (rc == 0 && p->all != NULL) {
		add_number(o, "serial", p->all->snapshot->config->serial);
		add_number(o, "zones", p->all->snapshot->n);
	} else {
		add_refusal(o, &p->report, p->config_file);
	}
	pthread_mutex_unlock(&p->lock);
	return o;
}

static struct json_object *status_of_config(struct process *p)
{
	struct json_object *o = json_object_new_object();

	pthread_mutex_lock(&p->lock);
	add_text(o, "file", p->config_file);
	if (p->all != NULL) {
		add_number(o, "serial", p->all->snapshot->config->serial);
		add_number(o, "zones", p->all->snapshot->n);
		add_number(o, "hostnames",
			   p->all->snapshot->config->n_hostnames);
	}
	add_number(o, "loaded", (uint64_t)p->report.wall_s);
	add_text(o, "state", p->report.ok ? "ok" : "refused");
	if (!p->report.ok)
		add_refusal(o, &p->report, p->config_file);
	if (p->report.last_good)
		add_bool(o, "last-good", true);
	pthread_mutex_unlock(&p->lock);
	return o;
}

static struct json_object *status_of_journal(const struct process *p)
{
	struct json_object *o = json_object_new_object();
	struct recorder_stats s;

	recorder_stats_read(p, &s);
	add_number(o, "bytes", s.bytes);
	add_number(o, "limit", s.limit_bytes);
	add_number(o, "events", s.events);
	add_number(o, "decisions", s.decisions);
	add_number(o, "lost", s.lost);
	add_number(o, "errors", s.errors);
	return o;
}

/* -- the whole ----------------------------------------------------------- */

static struct json_object *status_of_instances(struct process *p)
{
	struct json_object *list = json_object_new_array();

	pthread_mutex_lock(&p->lock);
	for (struct instance *i = p->instances; i != NULL; i = i->next) {
		struct json_object *o = json_object_new_object();
		const char *view = atomic_load(&i->view);
		add_text(o, "view", view != NULL ? view : "(not asked yet)");
		add_text(o, "statement", i->where);
		add_text(o, "node", i->node);
		if (i->n_selected > 0)
			add_number(o, "zones", i->n_selected);
		else
			add_text(o, "zones", "all");
		json_object_array_add(list, o);
	}
	pthread_mutex_unlock(&p->lock);
	return list;
}

static struct json_object *status_of_snapshot(const struct process *p)
{
	struct json_object *o = json_object_new_object();
	int64_t wall_s = atomic_load(&p->snapshot_wall_s);

	add_number(o, "restored", atomic_load(&p->snapshot_restored));
	add_number(o, "saved", atomic_load(&p->snapshot_saved));
	if (wall_s != 0)
		add_number(o, "time", (uint64_t)wall_s);
	return o;
}

static struct json_object *status_of_cache(struct process *p)
{
	struct json_object *o = json_object_new_object();
	struct store_stats s;

	store_stats_read(p->store, &s);
	add_number(o, "entries", s.entries);
	add_number(o, "bytes", s.bytes);
	add_number(o, "limit", s.limit_bytes);
	add_number(o, "put", s.put);
	add_number(o, "replaced", s.replaced);
	add_number(o, "evicted", s.evicted);
	add_number(o, "swept", s.swept);
	add_number(o, "purged", s.purged);
	json_object_object_add(o, "snapshot", status_of_snapshot(p));
	return o;
}

/* The counters, and apart from them the failures by kind, into 'o'. */
static void add_counters(struct json_object *o, const uint64_t *counters)
{
	struct json_object *plain = json_object_new_object();
	struct json_object *failed = json_object_new_object();

	for (size_t i = 0; i < COUNT_FAILED; i++)
		add_number(plain, counter_names[i], counters[i]);
	for (size_t i = COUNT_FAILED; i < COUNTERS; i++)
		add_number(failed, failed_names[i - COUNT_FAILED], counters[i]);
	json_object_object_add(o, "counters", plain);
	json_object_object_add(o, "asked_failed", failed);
}

static void counters_read(const struct zone_state *state, uint64_t *counters)
{
	for (size_t i = 0; i < COUNTERS; i++)
		counters[i] += atomic_load_explicit(&state->counters[i],
						    memory_order_relaxed);
}

void status_sums_init(struct status_sums *sums, struct engine *e)
{
	*sums = (struct status_sums){ .snapshot = e->snapshot };
	if (e->snapshot != NULL)
		snapshot_ref(e->snapshot);
	sums->conflicts = json_object_new_array();
}

/* Zones that some view has itself. */
static void sum_conflict(struct status_sums *sums, const struct zone *zone)
{
	if (atomic_load(&zone->state->conflict_s) == 0)
		return;
	if (sums->n_conflicts++ < PAGE_ITEMS)
		json_object_array_add(sums->conflicts,
				      json_object_new_string(zone->config->id));
}

bool status_sums_step(struct status_sums *sums)
{
	const struct snapshot *s = sums->snapshot;
	size_t n = s != NULL ? s->n : 0;
	size_t end = n - sums->at > SUM_STEP ? sums->at + SUM_STEP : n;

	for (; sums->at < end; sums->at++) {
		const struct zone *zone = &s->zone[sums->at];
		if (!zone->shares)
			counters_read(zone->state, sums->counters);
		sum_conflict(sums, zone);
	}
	return sums->at == n;
}

void status_sums_fini(struct status_sums *sums)
{
	if (sums->snapshot != NULL)
		snapshot_unref(sums->snapshot);
	json_object_put(sums->conflicts);
}

static void add_sums(struct json_object *o, struct process *p,
		     const struct status_sums *sums)
{
	uint64_t counters[COUNTERS];

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < COUNTERS; i++)
		counters[i] = p->departed[i] + sums->counters[i];
	pthread_mutex_unlock(&p->lock);
	add_counters(o, counters);
	add_number(o, "conflicting", sums->n_conflicts);
	json_object_object_add(o, "conflicts",
			       json_object_get(sums->conflicts));
}

/* What is stored under the zone's present identity. */
static struct json_object *cache_json(const struct process *p,
				      const struct zone *z)
{
	struct census_sum sum =
		store_zone(p->store, atomic_load(&z->state->cache_id));
	struct json_object *o = json_object_new_object();

	add_number(o, "entries", sum.entries);
	add_number(o, "bytes", sum.bytes);
	add_number(o, "negative", sum.negative);
	add_number(o, "negative_share_pct",
		   sum.entries > 0 ? sum.negative * 100 / sum.entries : 0);
	return o;
}

static struct json_object *zone_json(const struct process *p,
				     const struct zone *z)
{
	struct json_object *o = json_object_new_object();
	uint64_t counters[COUNTERS] = { 0 };
	char name[DNAME_TEXT_MAX];

	add_text(o, "id", z->config->id);
	(void)dname_print(&z->config->name, name);
	add_text(o, "name", name);
	add_number(o, "origins", z->config->n_origins);
	counters_read(z->state, counters);
	add_counters(o, counters);
	json_object_object_add(o, "cache", cache_json(p, z));
	struct json_object *fresh = fresh_status(z);
	if (fresh != NULL)
		json_object_object_add(o, "fresh", fresh);
	struct json_object *denial = denial_status(z);
	if (denial != NULL)
		json_object_object_add(o, "names", denial);
	struct json_object *refused = admission_status(z);
	if (refused != NULL)
		json_object_object_add(o, "admission", refused);
	struct json_object *fill = fill_status(z);
	if (fill != NULL)
		json_object_object_add(o, "fill", fill);
	return o;
}

/* A page of origins. */
struct origins_page {
	struct page page;
	struct json_object *list;
};

static bool add_origin(void *arg, const struct origin_stats *stats)
{
	static const char *const transports[] = { "tcp", "udp", "tls" };
	struct origins_page *p = arg;

	if (!page_take(&p->page))
		return false;
	struct json_object *o = json_object_new_object();
	struct json_object *dropped = json_object_new_object();
	char address[ISC_NETADDR_FORMATSIZE] = "?";
	isc_sockaddr_t sa;
	isc_netaddr_t na;

	if (isc_sockaddr_fromsockaddr(
		    &sa, (const struct sockaddr *)&stats->address) ==
	    ISC_R_SUCCESS) {
		isc_netaddr_fromsockaddr(&na, &sa);
		isc_netaddr_format(&na, address, sizeof(address));
		add_text(o, "address", address);
		add_number(o, "port", isc_sockaddr_getport(&sa));
	}
	add_text(o, "transport", transports[stats->transport]);
	add_bool(o, "up", stats->up);
	add_number(o, "srtt_us", stats->srtt_us);
	add_number(o, "connections", stats->connections);
	add_number(o, "in_flight", stats->in_flight);
	add_number(o, "sent", stats->sent);
	add_number(o, "answered", stats->answered);
	add_number(o, "timeouts", stats->timeouts);
	add_number(o, "failures", stats->failures);
	add_number(o, "bad", stats->bad);
	for (int why = ORIGIN_DROP_NONE + 1; why < ORIGIN_DROPS; why++)
		if (stats->dropped[why] > 0)
			add_number(dropped, origin_drop_name(why),
				   stats->dropped[why]);
	json_object_object_add(o, "dropped", dropped);
	json_object_array_add(p->list, o);
	return true;
}

/* True if there are more: then "next" says so. */
static bool add_origins(struct json_object *o, const struct engine *e,
			uint64_t after, bool one_page)
{
	struct origins_page p = { page_begin(), json_object_new_array() };
	uint64_t at = origins_page(e->origins, after, add_origin, &p);

	json_object_object_add(o, "origins", p.list);
	if (at == 0 || one_page)
		return at != 0;
	struct json_object *next = json_object_new_object();
	add_text(next, "list", "origins");
	add_number(next, "at", at);
	json_object_object_add(o, "next", next);
	return true;
}

static struct json_object *status_of_control(const struct engine *e)
{
	struct json_object *o = json_object_new_object();
	struct control_stats s;

	control_stats_read(e->control, &s);
	add_text(o, "socket", e->control_path);
	add_number(o, "connections", s.connections);
	add_number(o, "subscribers", s.subscribers);
	add_number(o, "requests", s.requests);
	add_number(o, "refused", s.refused);
	add_number(o, "errors", s.errors);
	add_number(o, "events", s.events);
	add_number(o, "events_dropped", s.events_dropped);
	return o;
}

/* -- long lists ----------------------------------------------------------- */

enum list { LIST_ZONES, LIST_HOSTNAMES, LISTS };

static const char *const list_names[LISTS] = { "zones", "hostnames" };

/* Where a page begins: behind so many of a list. */
struct spot {
	enum list list;
	size_t at;
};

static size_t list_count(const struct snapshot *s, enum list list)
{
	return list == LIST_ZONES ? s->n : s->world->n_hosts;
}

static const char *list_id(const struct snapshot *s, enum list list, size_t i)
{
	return list == LIST_ZONES ? s->zone[i].config->id
				  : s->world->hosts[i].config->id;
}

/* The index of 'id' in a list; its count: it is not there. */
static size_t index_of(const struct snapshot *s, enum list list, const char *id)
{
	size_t n = list_count(s, list);
	size_t i = 0;

	while (i < n && strcmp(list_id(s, list, i), id) != 0)
		i++;
	return i;
}

/* What a page gave as "next": the last before the spot, and the first of it. */
struct token {
	size_t at, n; /* index of the spot; elements that there were */
	const char *id, *first;
};

/*
 * The spot, also after a reload: by its neighbours, of which one may be gone.
 * If both are, so many elements earlier as there are less now: what is listed
 * twice is better than what is left out.
 */
static size_t spot_find(const struct snapshot *s, enum list list,
			const struct token *token)
{
	size_t n = list_count(s, list);
	size_t at = token->at < n ? token->at : n;

	if (at == 0 || strcmp(list_id(s, list, at - 1), token->id) == 0)
		return at;
	size_t i = index_of(s, list, token->id);
	if (i < n)
		return i + 1;
	i = index_of(s, list, token->first);
	if (i < n)
		return i;
	size_t gone = token->n > n ? token->n - n : 0;
	return at > gone ? at - gone : 0;
}

static size_t index_read(struct json_object *after, const char *key)
{
	int64_t n = json_object_get_int64(json_object_object_get(after, key));

	return n > 0 ? (size_t)n : 0;
}

static bool spot_read(const struct snapshot *s, struct json_object *after,
		      struct spot *spot)
{
	const char *list = member(after, "list");
	const char *id = member(after, "id");
	const char *first = member(after, "first");
	struct token token = {
		.at = index_read(after, "at"),
		.n = index_read(after, "n"),
		.id = id != NULL ? id : "",
		.first = first != NULL ? first : "",
	};

	if (json_object_get_int64(json_object_object_get(after, "at")) < 0)
		return false;
	for (int i = 0; list != NULL && i < LISTS; i++) {
		if (strcmp(list, list_names[i]) != 0)
			continue;
		spot->list = (enum list)i;
		spot->at = spot_find(s, spot->list, &token);
		return true;
	}
	return false;
}

/* True if a page that ended at 'spot' is not the list's last. */
static bool add_next(struct json_object *o, const struct snapshot *s,
		     const struct spot *spot)
{
	struct json_object *next;

	if (spot->at >= list_count(s, spot->list))
		return false;
	next = json_object_new_object();
	add_text(next, "list", list_names[spot->list]);
	add_number(next, "at", spot->at);
	add_text(next, "id",
		 spot->at > 0 ? list_id(s, spot->list, spot->at - 1) : "");
	add_text(next, "first", list_id(s, spot->list, spot->at));
	add_number(next, "n", list_count(s, spot->list));
	json_object_object_add(o, "next", next);
	return true;
}

static struct json_object *zones_page(struct engine *e, struct page *page,
				      size_t *at)
{
	const struct snapshot *s = e->snapshot;
	struct json_object *list = json_object_new_array();

	for (; *at < s->n && page_take(page); (*at)++)
		json_object_array_add(list,
				      zone_json(e->process, &s->zone[*at]));
	return list;
}

/* A page from 'spot' on; hostnames go into 'traffic'. */
static void add_page(struct engine *e, struct spot spot, struct json_object *o,
		     struct json_object *traffic)
{
	struct page page = page_begin();

	if (spot.list == LIST_ZONES) {
		json_object_object_add(o, "zones",
				       zones_page(e, &page, &spot.at));
		if (add_next(o, e->snapshot, &spot))
			return;
		spot = (struct spot){ .list = LIST_HOSTNAMES };
	}
	spot.at = traffic_names(e, &page, spot.at, traffic);
	(void)add_next(o, e->snapshot, &spot);
}

/* One zone, and the first hostnames. */
static void add_zone(struct engine *e, const char *id, struct json_object *o,
		     struct json_object *traffic)
{
	const struct snapshot *s = e->snapshot;
	struct json_object *list = json_object_new_array();
	struct page page = page_begin();

	for (size_t i = 0; i < s->n; i++)
		if (strcmp(id, s->zone[i].config->id) == 0)
			json_object_array_add(
				list, zone_json(e->process, &s->zone[i]));
	json_object_object_add(o, "zones", list);
	(void)traffic_names(e, &page, 0, traffic);
}

struct json_object *status_of_page(struct engine *e, struct json_object *after)
{
	struct json_object *reply, *o, *traffic;
	struct spot spot;

	const char *list = member(after, "list");
	bool origins = list != NULL && strcmp(list, "origins") == 0;
	bool more = false;

	if (e->snapshot == NULL ||
	    (!origins && !spot_read(e->snapshot, after, &spot)))
		return NULL;
	reply = json_object_new_object();
	o = json_object_new_object();
	traffic = json_object_new_object();
	if (origins) {
		more = add_origins(o, e, index_read(after, "at"), false);
		spot = (struct spot){ .list = LIST_ZONES };
	}
	if (!more)
		add_page(e, spot, o, traffic);
	json_object_object_add(o, "traffic", traffic);
	json_object_object_add(reply, "status", o);
	return reply;
}

/* -- the whole reply ------------------------------------------------------ */

static void add_lists(struct engine *e, const char *id, struct json_object *o)
{
	struct json_object *traffic = traffic_status(e);
	bool more = add_origins(o, e, 0, id != NULL);

	if (id != NULL)
		add_zone(e, id, o, traffic);
	else if (more)
		json_object_object_add(o, "zones", json_object_new_array());
	else
		add_page(e, (struct spot){ .list = LIST_ZONES }, o, traffic);
	json_object_object_add(o, "traffic", traffic);
}

struct json_object *status_of_all(struct engine *e, const char *id,
				  const struct status_sums *sums)
{
	struct process *p = e->process;
	struct json_object *reply = json_object_new_object();
	struct json_object *o = json_object_new_object();

	add_text(o, "version", PACKAGE_VERSION);
	add_text(o, "bind", BIND_VERSION);
	add_number(o, "pid", (uint64_t)getpid());
	add_number(o, "started", (uint64_t)p->started_wall_s);
	add_number(o, "uptime_s", (uint64_t)(time(NULL) - p->started_wall_s));
	json_object_object_add(o, "config", status_of_config(p));
	json_object_object_add(o, "instances", status_of_instances(p));
	json_object_object_add(o, "cache", status_of_cache(p));
	json_object_object_add(o, "journal", status_of_journal(p));
	add_sums(o, p, sums);
	add_number(o, "waiting", isc_quota_getused(&p->waiters));
	add_number(o, "asking", flight_count(p->flights));
	add_number(o, "origins_known", origins_count(e->origins));
	if (e->snapshot != NULL)
		add_lists(e, id, o);
	struct json_object *clients =
		e->snapshot != NULL ? geo_status(e) : NULL;
	if (clients != NULL)
		json_object_object_add(o, "clients", clients);
	json_object_object_add(o, "control", status_of_control(e));
	json_object_object_add(reply, "status", o);
	return reply;
}

/* -- one answer ---------------------------------------------------------- */

const char *status_kind_of(const struct store_entry *e)
{
	static const char *const kinds[] = {
		[STORE_POSITIVE] = "positive", [STORE_NODATA] = "nodata",
		[STORE_NXDOMAIN] = "nxdomain", [STORE_REFERRAL] = "referral",
		[STORE_FAILURE] = "failure",
	};

	return kinds[e->kind];
}

const char *status_state_of(const struct store_entry *e, uint32_t now_s)
{
	if (store_fresh(e, now_s))
		return e->kind == STORE_FAILURE ? "failed" : "fresh";
	return e->kind != STORE_FAILURE && store_usable_stale(e, now_s)
		       ? "stale"
		       : "expired";
}

static struct json_object *forms_of(const struct store_entry *e)
{
	static const struct {
		unsigned int form;
		const char *name;
	} shown[] = {
		{ 0, "plain" },
		{ STORE_NOAUTH, "plain, no authority" },
		{ STORE_NOAUTH | STORE_NOEXTRA, "plain, minimal" },
		{ STORE_DNSSEC, "dnssec" },
		{ STORE_DNSSEC | STORE_NOAUTH, "dnssec, no authority" },
		{ STORE_DNSSEC | STORE_NOAUTH | STORE_NOEXTRA,
		  "dnssec, minimal" },
	};
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		const struct store_form *f = store_form_of(e, shown[i].form);
		struct json_object *o = json_object_new_object();
		add_text(o, "form", shown[i].name);
		add_number(o, "octets", f->n);
		add_number(o, "answer", f->count[0]);
		add_number(o, "authority", f->count[1]);
		add_number(o, "additional", f->count[2]);
		json_object_array_add(list, o);
	}
	return list;
}

static void add_entry(struct json_object *o, const struct store_entry *e,
		      uint32_t now_s)
{
	uint32_t age_s = store_age_s(e, now_s);
	uint64_t end_s = (uint64_t)e->ttl_s + e->stale_s;

	add_text(o, "state", status_state_of(e, now_s));
	add_text(o, "kind", status_kind_of(e));
	add_number(o, "rcode", e->rcode);
	add_number(o, "age_s", age_s);
	add_number(o, "ttl_s", e->ttl_s);
	add_number(o, "left_s", e->ttl_s > age_s ? e->ttl_s - age_s : 0);
	add_number(o, "stale_left_s", end_s > age_s ? end_s - age_s : 0);
	add_number(o, "bytes", store_bytes(e));
	if (e->kind != STORE_FAILURE)
		json_object_object_add(o, "forms", forms_of(e));
}

struct json_object *status_of_entry(struct process *p, const struct zone *zone,
				    const struct store_key *key)
{
	struct json_object *o = json_object_new_object();
	uint64_t hash = store_hash(p->store, key);
	char name[DNAME_TEXT_MAX];
	char type[DNS_RDATATYPE_FORMATSIZE];
	struct dname dname;

	add_text(o, "zone", zone->config->id);
	if (dname_from_wire(key->name, key->n, &dname) == 0) {
		(void)dname_print(&dname, name);
		add_text(o, "name", name);
	}
	dns_rdatatype_format(key->qtype, type, sizeof(type));
	add_text(o, "type", type);
	rcu_enter();
	const struct store_entry *e = store_find(p->store, key, hash);
	if (e != NULL)
		add_entry(o, e, process_now_s(p));
	rcu_leave();
	if (e == NULL)
		add_text(o, "state",
			 flight_underway(p->flights, hash, key) ? "asking"
								: "absent");
	return o;
}
