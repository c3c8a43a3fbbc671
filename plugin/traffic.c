/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/traffic.h"
#include "plugin/sign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "common/config.h"
#include "common/probe.h"
#include "common/rcu.h"
#include "gtm/explain.h"
#include "gtm/persist.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/engine.h"
#include "plugin/geo.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/page.h"
#include "plugin/recorder.h"
#include "plugin/rows.h"
#include "plugin/traffic_int.h"

#define TELL_MAX 50u /* changes of servers logged in a second */

/* -- values ------------------------------------------------------------------
 */

static const char *address_text(const struct sockaddr_storage *ss, char *out)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET6)
		return gtm_explain_address(true, in6->sin6_addr.s6_addr, out);
	return gtm_explain_address(false, (const uint8_t *)&in->sin_addr, out);
}

static uint64_t age_ms(uint64_t when_ms, uint64_t now_ms)
{
	return now_ms > when_ms ? now_ms - when_ms : 0;
}

/* "up", "down", "stale" or "unknown". */
static const char *state_text(const struct gtm_value *v,
			      const struct config_service *service,
			      uint64_t now_ms)
{
	if (v->state == GTM_NEVER)
		return "unknown";
	if (age_ms(v->when_ms, now_ms) > service->max_age_ms)
		return "stale";
	return v->state == GTM_UP ? "up" : "down";
}

/* -- the feed ----------------------------------------------------------------
 */

/* So many lines a second: an outage of a POP is seen whole, a storm is not. */
static bool may_tell(struct engine *e)
{
	struct feed *feed = &e->feed;
	uint32_t now_s = process_now_s(e->process);

	if (feed->told_s != now_s) {
		if (feed->held > 0)
			log_write(ISC_LOG_NOTICE,
				  "%u more changes of servers were not logged: "
				  "see 'nzctl probes'",
				  feed->held);
		feed->told_s = now_s;
		feed->told = 0;
		feed->held = 0;
	}
	if (feed->told < TELL_MAX) {
		feed->told++;
		return true;
	}
	feed->held++;
	return false;
}

/* What a row has changed, for the log and for those who watch. */
static void tell_change(struct engine *e, const struct gtm_row *row)
{
	char address[INET6_ADDRSTRLEN];
	const char *state = row->state == GTM_UP ? "up" : "down";

	(void)address_text(&row->address, address);
	if (may_tell(e))
		log_write(ISC_LOG_NOTICE,
			  "server '%.*s' %s service '%.*s' is %s%s%s",
			  (int)row->server.n, row->server.p, address,
			  (int)row->service.n, row->service.p, state,
			  row->error != 0 ? ": " : "",
			  row->error != 0 ? probe_error_text(row->error) : "");
	if (e->control == NULL || !control_watched(e->control))
		return;
	struct json_object *o = commands_event_new("server-state");
	json_object_object_add(
		o, "server",
		json_object_new_string_len(row->server.p, (int)row->server.n));
	add_text(o, "address", address);
	json_object_object_add(o, "service",
			       json_object_new_string_len(row->service.p,
							  (int)row->service.n));
	add_text(o, "state", state);
	if (row->error != 0)
		add_text(o, "error", probe_error_text(row->error));
	control_event(e->control, o);
}

static double wall_now_s(void)
{
	struct timeval now;

	(void)gettimeofday(&now, NULL);
	return (double)now.tv_sec + (double)now.tv_usec / 1e6;
}

static struct json_object *feed_reply(const uint64_t *fates, uint64_t malformed)
{
	struct json_object *reply = json_object_new_object();
	struct json_object *why = NULL;
	uint64_t refused = malformed;

	for (size_t i = GTM_ROW_OK + 1; i < GTM_ROW_FATES; i++)
		refused += fates[i];
	add_number(reply, "accepted", fates[GTM_ROW_OK]);
	add_number(reply, "refused", refused);
	if (refused == 0)
		return reply;
	why = json_object_new_object();
	for (size_t i = GTM_ROW_OK + 1; i < GTM_ROW_FATES; i++)
		if (fates[i] > 0)
			add_number(why, gtm_row_fate_names[i], fates[i]);
	if (malformed > 0)
		add_number(why, "malformed", malformed);
	json_object_object_add(reply, "why", why);
	return reply;
}

/* A test: a server that comes back by hand is held when it goes down. */
static enum gtm_row_fate feed_test(struct engine *e, const struct gtm_row *row,
				   uint64_t now_ms, bool *changed)
{
	struct gtm_world *world = e->snapshot->world;
	enum gtm_row_fate fate = gtm_world_feed(world, row, now_ms, changed);

	if (!*changed)
		return fate;
	/* With a quorum, it may be what others have said before. */
	const struct gtm_cell *cell =
		gtm_world_cell(world, row->server, &row->address, row->service);
	struct gtm_row told = *row;
	struct gtm_value value;
	gtm_slot_read(&cell->slot, &value);
	told.state = value.state;
	told.error = value.error;
	tell_change(e, &told);
	const struct config_server *server =
		&world->config->servers[gtm_world_server(world, row->server)];
	if (told.state == GTM_DOWN && server->failback_manual)
		traffic_failed(e, server->id);
	return fate;
}

static enum gtm_row_fate feed_latency(struct engine *e, const struct row *row,
				      uint64_t now_ms)
{
	enum gtm_row_fate fate = gtm_world_feed_latency(
		e->snapshot->world, &row->prefix, row->of, row->value,
		row->age_ms, now_ms);

	if (fate == GTM_ROW_OK && row->method.p != NULL)
		traffic_latency_how(e, row, now_ms);
	return fate;
}

static enum gtm_row_fate feed_row(struct engine *e, const struct row *row,
				  uint64_t now_ms, bool *changed)
{
	struct gtm_world *world = e->snapshot->world;

	switch (row->kind) {
	case ROW_TEST:
		return feed_test(e, &row->test, now_ms, changed);
	case ROW_LOAD:
		return gtm_world_feed_load(world, row->of, row->value,
					   row->age_ms, now_ms);
	case ROW_LOSS:
		return gtm_world_feed_pop(world, row->of, GTM_LOSS, row->value,
					  row->age_ms, now_ms);
	case ROW_BANDWIDTH:
		return gtm_world_feed_pop(world, row->of, GTM_BANDWIDTH,
					  row->value, row->age_ms, now_ms);
	case ROW_LATENCY:
		return feed_latency(e, row, now_ms);
	}
	return GTM_ROW_UNKNOWN;
}

static void feed_rows(struct engine *e, struct json_object *rows,
		      const char *node, uint64_t *fates, uint64_t *malformed)
{
	uint64_t now_ms = clock_now_ms();
	double wall_s = wall_now_s();
	size_t n = json_object_array_length(rows);
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		struct row row;
		bool changed = false;
		if (!rows_read(json_object_array_get_idx(rows, i), wall_s,
			       &row)) {
			(*malformed)++;
			continue;
		}
		if (row.kind == ROW_TEST && node != NULL)
			row.test.node = slice_of(node);
		fates[feed_row(e, &row, now_ms, &changed)]++;
		any = any || changed;
	}
	if (any)
		recorder_poke(e->process);
}

static void do_metrics(struct engine *e, struct control_client *client,
		       struct json_object *request)
{
	struct feed *feed = &e->feed;
	const char *node = member(request, "node");
	struct json_object *rows = NULL;
	uint64_t fates[GTM_ROW_FATES] = { 0 };
	uint64_t malformed = 0;

	if (!json_object_object_get_ex(request, "rows", &rows) ||
	    !json_object_is_type(rows, json_type_array)) {
		control_reply_error(client, "want \"rows\", an array");
		return;
	}
	feed_rows(e, rows, node, fates, &malformed);
	feed->batches++;
	feed->rows += json_object_array_length(rows);
	feed->malformed += malformed;
	for (size_t i = 0; i < GTM_ROW_FATES; i++)
		feed->fates[i] += fates[i];
	feed->last_ms = clock_now_ms();
	(void)snprintf(feed->node, sizeof(feed->node), "%s",
		       node != NULL ? node : "");
	control_reply(client, feed_reply(fates, malformed));
}

/* -- tests -------------------------------------------------------------------
 */

static void add_value(struct json_object *o, const struct gtm_value *v,
		      const struct config_service *service, uint64_t now_ms)
{
	add_text(o, "state", state_text(v, service, now_ms));
	if (v->state == GTM_NEVER)
		return;
	add_number(o, "metric", v->metric);
	add_seconds(o, "age_s", age_ms(v->when_ms, now_ms));
	if (v->error != 0)
		add_text(o, "error", probe_error_text(v->error));
}

static struct json_object *probe_json(const struct gtm_world *world, size_t i,
				      uint64_t now_ms)
{
	const struct gtm_cell *cell = world->cells[i];
	const struct gtm_about *about = &world->about[i];
	const struct config_server *server =
		&world->config->servers[about->server];
	struct json_object *o = json_object_new_object();
	char address[INET6_ADDRSTRLEN];
	struct gtm_value v;

	gtm_slot_read(&cell->slot, &v);
	add_text(o, "server", server->id);
	add_text(o, "pop", world->config->pops[server->pop].id);
	add_text(o, "address", address_text(&cell->address, address));
	add_text(o, "service", about->service->id);
	add_text(o, "probe", config_probe_names[about->service->probe]);
	add_value(o, &v, about->service, now_ms);
	if (v.since_ms != 0)
		add_seconds(o, "since_s", age_ms(v.since_ms, now_ms));
	add_number(o, "rows", v.rows);
	return o;
}

static bool wanted(const char *filter, const char *id)
{
	return filter == NULL || strcmp(filter, id) == 0;
}

static struct json_object *feed_json(const struct engine *e)
{
	const struct feed *feed = &e->feed;
	struct json_object *o = json_object_new_object();

	add_number(o, "batches", feed->batches);
	add_number(o, "rows", feed->rows);
	add_number(o, "accepted", feed->fates[GTM_ROW_OK]);
	for (size_t i = GTM_ROW_OK + 1; i < GTM_ROW_FATES; i++)
		add_number(o, gtm_row_fate_names[i], feed->fates[i]);
	add_number(o, "malformed", feed->malformed);
	if (feed->last_ms != 0) {
		add_seconds(o, "last_s", age_ms(feed->last_ms, clock_now_ms()));
		add_text(o, "node", feed->node);
	}
	return o;
}

static void do_probes(struct engine *e, struct control_client *client,
		      struct json_object *request)
{
	const struct gtm_world *world = e->snapshot->world;
	const char *server = member(request, "server");
	const char *service = member(request, "service");
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array();
	uint64_t now_ms = clock_now_ms();

	for (size_t i = 0; i < world->n_cells; i++) {
		const struct gtm_about *about = &world->about[i];
		if (wanted(server, world->config->servers[about->server].id) &&
		    wanted(service, about->service->id))
			json_object_array_add(list,
					      probe_json(world, i, now_ms));
	}
	json_object_object_add(reply, "probes", list);
	json_object_object_add(reply, "feed", feed_json(e));
	control_reply(client, reply);
}

/* -- servers ------------------------------------------------------------------
 */

/* How the tests of one server came out. */
struct tests {
	size_t up, down, unknown, stale;
};

static void tests_count(const struct gtm_world *world, uint32_t server,
			uint64_t now_ms, struct tests *t)
{
	for (size_t i = world->first[server]; i < world->first[server + 1];
	     i++) {
		struct gtm_value v;
		gtm_slot_read(&world->cells[i]->slot, &v);
		const char *state =
			state_text(&v, world->about[i].service, now_ms);
		t->up += strcmp(state, "up") == 0;
		t->down += strcmp(state, "down") == 0;
		t->unknown += strcmp(state, "unknown") == 0;
		t->stale += strcmp(state, "stale") == 0;
	}
}

static bool is_drained(const struct gtm_world *world, uint32_t server,
		       uint64_t now_ms)
{
	return atomic_load_explicit(&world->admins[server]->drained_until_ms,
				    memory_order_relaxed) > now_ms;
}

/* In one word; a server without tests is up. */
static const char *server_state(const struct gtm_world *world, uint32_t server,
				uint64_t now_ms)
{
	struct tests t = { 0 };

	const struct gtm_admin *admin = world->admins[server];

	if (is_drained(world, server, now_ms))
		return "drained";
	switch (gtm_admin_force(admin, now_ms)) {
	case GTM_FORCED_UP:
		return "forced up";
	case GTM_FORCED_DOWN:
		return "forced down";
	case GTM_UNFORCED:
		break;
	}
	if (atomic_load_explicit(&admin->held, memory_order_relaxed) != 0)
		return "held";
	tests_count(world, server, now_ms, &t);
	if (t.down + t.unknown + t.stale == 0)
		return "up";
	if (t.up + t.down == 0)
		return t.stale > 0 ? "stale" : "unknown";
	if (t.up + t.unknown + t.stale == 0)
		return "down";
	return "mixed";
}

static struct json_object *tests_json(const struct gtm_world *world,
				      uint32_t server, uint64_t now_ms)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = world->first[server]; i < world->first[server + 1];
	     i++) {
		const struct gtm_cell *cell = world->cells[i];
		struct json_object *o = json_object_new_object();
		char address[INET6_ADDRSTRLEN];
		struct gtm_value v;
		gtm_slot_read(&cell->slot, &v);
		add_text(o, "address", address_text(&cell->address, address));
		add_text(o, "service", world->about[i].service->id);
		add_value(o, &v, world->about[i].service, now_ms);
		json_object_array_add(list, o);
	}
	return list;
}

/* Adds to each server's place how often its addresses were given out. */
static void given_sum(const struct gtm_world *world, uint64_t *given)
{
	for (size_t i = 0; i < world->n_hosts; i++) {
		const struct gtm_host *host = &world->hosts[i];
		for (size_t f = 0; f < GTM_FAMILIES; f++)
			for (size_t k = 0; k < host->n[f]; k++) {
				const struct gtm_candidate *c =
					&host->candidate[f][k];
				given[c->server] += atomic_load_explicit(
					&c->tally->given, memory_order_relaxed);
			}
	}
}

static struct json_object *server_json(struct engine *e, uint32_t i,
				       uint64_t given, uint64_t now_ms)
{
	const struct gtm_world *world = e->snapshot->world;
	const struct config_server *server = &world->config->servers[i];
	const struct drain *drain = traffic_drain_of(e, server->id);
	struct json_object *o = json_object_new_object();

	add_text(o, "server", server->id);
	add_text(o, "pop", world->config->pops[server->pop].id);
	add_number(o, "weight", server->weight);
	add_text(o, "state", server_state(world, i, now_ms));
	add_number(o, "given", given);
	json_object_object_add(o, "tests", tests_json(world, i, now_ms));
	if (drain != NULL) {
		struct json_object *d = json_object_new_object();
		traffic_drain_add(d, drain);
		json_object_object_add(
			o, drain->word == WORD_DRAINED ? "drained" : "forced",
			d);
	}
	return o;
}

static void do_servers(struct engine *e, struct control_client *client,
		       struct json_object *request)
{
	const struct gtm_world *world = e->snapshot->world;
	const char *filter = member(request, "server");
	uint64_t *given = calloc(world->config->n_servers + 1, sizeof(*given));
	uint64_t now_ms = clock_now_ms();

	if (given == NULL) {
		control_reply_error(client, "out of memory");
		return;
	}
	if (filter != NULL &&
	    gtm_world_server(world, slice_of(filter)) == CONFIG_NONE) {
		control_reply_error(client, "no server '%.64s'", filter);
		free(given);
		return;
	}
	given_sum(world, given);
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array();
	for (uint32_t i = 0; i < world->config->n_servers; i++)
		if (filter != NULL
			    ? strcmp(filter, world->config->servers[i].id) == 0
			    : !world->config->servers[i].mapped)
			json_object_array_add(
				list, server_json(e, i, given[i], now_ms));
	free(given);
	json_object_object_add(reply, "servers", list);
	control_reply(client, reply);
}

/* -- status
 * -------------------------------------------------------------------- */

static void add_counts(struct json_object *o, const struct gtm_world *world)
{
	uint64_t n[GTM_COUNTS] = { 0 };

	for (size_t i = 0; i < world->n_hosts; i++)
		for (size_t k = 0; k < GTM_COUNTS; k++)
			n[k] += atomic_load_explicit(
				&world->hosts[i].counts->n[k],
				memory_order_relaxed);
	for (size_t k = 0; k < GTM_COUNTS; k++)
		add_number(o, gtm_count_names[k], n[k]);
}

static void add_states(struct json_object *o, const struct gtm_world *world)
{
	uint64_t now_ms = clock_now_ms();
	struct tests t = { 0 };
	size_t drained = 0;

	for (uint32_t i = 0; i < world->config->n_servers; i++) {
		tests_count(world, i, now_ms, &t);
		drained += is_drained(world, i, now_ms);
	}
	add_number(o, "servers", world->config->n_servers);
	add_number(o, "drained", drained);
	add_number(o, "tests", world->n_cells);
	add_number(o, "up", t.up);
	add_number(o, "down", t.down);
	add_number(o, "stale", t.stale);
	add_number(o, "unknown", t.unknown);
}

static struct json_object *pops_json(const struct gtm_world *world)
{
	const struct config *config = world->config;
	struct json_object *list = json_object_new_array();
	uint64_t *given = calloc(config->n_servers + 1, sizeof(*given));
	uint64_t *pop = calloc(config->n_pops + 1, sizeof(*pop));

	if (given != NULL && pop != NULL) {
		given_sum(world, given);
		for (size_t i = 0; i < config->n_servers; i++)
			if (!config->servers[i].mapped)
				pop[config->servers[i].pop] += given[i];
		for (size_t i = 0; i < config->n_pops; i++) {
			struct json_object *o = json_object_new_object();
			add_text(o, "pop", config->pops[i].id);
			add_number(o, "given", pop[i]);
			json_object_array_add(list, o);
		}
	}
	free(given);
	free(pop);
	return list;
}

/* RRsets that have signatures of ours, in signed zones of named's. */
static void add_signed(struct json_object *o, const struct sign *sign)
{
	uint64_t sets, made;

	sign_counts(sign, &sets, &made);
	add_number(o, "signed", sets);
	add_number(o, "signings", made);
}

/* The table of clients that keep their servers. */
static void add_clients(struct json_object *o, struct process *p)
{
	rcu_enter();
	const struct gtm_persist *table = process_clients(p);
	size_t n = table != NULL ? gtm_persist_count(table) : 0;
	size_t bytes = table != NULL ? gtm_persist_bytes(table) : 0;
	rcu_leave();
	add_number(o, "clients", n);
	add_number(o, "clients_bytes", bytes);
}

struct json_object *traffic_status(struct engine *e)
{
	const struct gtm_world *world = e->snapshot->world;
	struct json_object *o = json_object_new_object();

	add_number(o, "hostnames", world->n_hosts);
	add_number(o, "domains", world->config->n_domains);
	add_counts(o, world);
	add_number(o, "other",
		   atomic_load_explicit(&e->process->domain_other,
					memory_order_relaxed));
	add_states(o, world);
	add_signed(o, e->process->sign);
	json_object_object_add(o, "feed", feed_json(e));
	json_object_object_add(o, "pops", pops_json(world));
	add_clients(o, e->process);
	if (world->groups != NULL) {
		struct gtm_groups_counts counts;
		gtm_groups_count(world->groups, &counts);
		add_number(o, "groups", counts.groups);
		add_number(o, "groups_bytes", counts.bytes);
	}
	return o;
}

size_t traffic_names(struct engine *e, struct page *page, size_t at,
		     struct json_object *traffic)
{
	const struct gtm_world *world = e->snapshot->world;
	struct json_object *names = json_object_new_array();
	struct json_object *answers = json_object_new_array();

	for (; at < world->n_hosts && page_take(page); at++) {
		json_object_array_add(names,
				      traffic_host(e, &world->hosts[at]));
		traffic_answers(world, &world->hosts[at], answers);
	}
	json_object_object_add(traffic, "names", names);
	json_object_object_add(traffic, "answers", answers);
	return at;
}

/* -- all of them
 * ---------------------------------------------------------------- */

bool traffic_handle(struct engine *e, struct control_client *client,
		    const char *command, struct json_object *request)
{
	static const struct {
		const char *name;
		void (*run)(struct engine *e, struct control_client *client,
			    struct json_object *request);
	} all[] = {
		{ "metrics", do_metrics },	{ "servers", do_servers },
		{ "probes", do_probes },	{ "drain", traffic_drain },
		{ "undrain", traffic_undrain }, { "explain", traffic_explain },
		{ "force", traffic_force },	{ "wanted", traffic_wanted },
		{ "latency", traffic_latency }, { "client", geo_client },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(command, all[i].name) != 0)
			continue;
		if (e->snapshot == NULL)
			control_reply_error(client,
					    "no configuration is in force");
		else
			all[i].run(e, client, request);
		return true;
	}
	return false;
}
