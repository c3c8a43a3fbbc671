/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near.h"

#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "probes-client/near_dump.h"
#include "probes-client/near_link.h"
#include "probes-client/near_method.h"
#include "probes-client/near_prober.h"
#include "probes-client/near_reach.h"
#include "probes-client/near_tcp.h"

#define OWN_POPS_MAX 64u /* that one node measures for */
#define REST_S	     3600u
#define ROW_MAX	     320u /* octets, with its comma */

struct near {
	struct near_setup setup;
	const struct config *config;
	struct near_groups *groups; /* NULL: clients are not measured */
	uint32_t groups_max;
	struct near_prober *prober;
	struct near_link *link;
	struct near_tcp *tcp;
	struct near_reach *reach;
	struct near_dump *dump;
	const char *pops[OWN_POPS_MAX]; /* of this node; the config's */
	size_t n_pops;
	uint64_t seen;
};

static uint32_t now_s(void)
{
	return (uint32_t)(near_now_ns() / UINT64_C(1000000000)) + 1;
}

static double wall_s(void)
{
	struct timeval now;

	(void)gettimeofday(&now, NULL);
	return (double)now.tv_sec + (double)now.tv_usec / 1e6;
}

/* -- what the plugin wants ------------------------------------------------- */

static bool client_read(struct json_object *value, struct gtm_client *client)
{
	struct config_prefix prefix;

	if (!json_object_is_type(value, json_type_string))
		return false;
	struct slice text = { json_object_get_string(value),
			      (size_t)json_object_get_string_len(value) };
	if (config_prefix_parse(text, &prefix) != 0 || prefix.bits == 0)
		return false;
	*client = (struct gtm_client){ .v6 = prefix.v6, .bits = prefix.bits };
	memcpy(client->address, prefix.address, sizeof(client->address));
	return true;
}

static void on_wanted(void *arg, struct json_object *reply)
{
	struct near *near = arg;
	struct json_object *prefixes = NULL;
	struct json_object *clients = NULL;
	uint32_t fresh_s = near->config->latency_age_ms / 2000;
	uint32_t at_s = now_s();

	if (near->groups == NULL)
		return;
	json_object_object_get_ex(reply, "prefixes", &prefixes);
	json_object_object_get_ex(reply, "clients", &clients);
	size_t n = json_object_array_length(prefixes);
	bool lists = json_object_is_type(clients, json_type_array);
	for (size_t i = 0; i < n; i++) {
		struct gtm_client prefix, client;
		if (!client_read(json_object_array_get_idx(prefixes, i),
				 &prefix))
			continue;
		client = prefix;
		if (lists)
			(void)client_read(json_object_array_get_idx(clients, i),
					  &client);
		if (client.v6 != prefix.v6)
			continue;
		(void)near_groups_ask(near->groups, &prefix, &client, at_s,
				      fresh_s, REST_S);
	}
	near_prober_wake(near->prober);
	if (near_groups_stats(near->groups).telling > 0)
		near_link_poke(near->link, false);
}

/* -- what it is told ------------------------------------------------------- */

static void address_print(const struct gtm_client *client, char *out)
{
	(void)inet_ntop(client->v6 ? AF_INET6 : AF_INET, client->address, out,
			INET6_ADDRSTRLEN);
}

/* One group's row for one POP. */
static size_t row_print(const struct near_group *group, const char *pop,
			double when_s, char *out)
{
	char prefix_text[INET6_ADDRSTRLEN], client_text[INET6_ADDRSTRLEN];
	struct gtm_client prefix, client;

	near_group_prefix(group, &prefix);
	near_group_client(group, group->answers, &client);
	address_print(&prefix, prefix_text);
	address_print(&client, client_text);
	int n = snprintf(out, ROW_MAX,
			 "[\"latency\",\"%s/%u\",\"%s\",%.3f,%u.%u,\"%s\","
			 "\"%s/%u\",%s]",
			 prefix_text, prefix.bits, pop, when_s,
			 group->tenths / 10u, group->tenths % 10u,
			 near_method_names[group->method], client_text,
			 client.bits,
			 (group->state & NEAR_FULL) != 0 ? "true" : "false");
	return n > 0 && n < (int)ROW_MAX ? (size_t)n : 0;
}

/* A text with room for so many rows. */
struct rows {
	char *out;
	size_t size, n; /* octets */
	size_t max, rows;
};

static void row_add(struct rows *to, const char *row, size_t n)
{
	if (n == 0)
		return;
	if (to->rows > 0)
		to->out[to->n++] = ',';
	memcpy(to->out + to->n, row, n);
	to->n += n;
	to->rows++;
}

static bool has_room(const struct rows *to, size_t rows)
{
	return to->rows + rows <= to->max &&
	       to->n + rows * (ROW_MAX + 1) <= to->size;
}

static void losses_print(struct near *near, struct rows *to)
{
	char row[ROW_MAX];
	uint64_t age_ms;

	while (has_room(to, 1)) {
		const struct near_pop *pop =
			near_reach_tell(near->reach, &age_ms);
		if (pop == NULL)
			return;
		int n = snprintf(row, sizeof(row),
				 "[\"loss\",\"%s\",%.3f,%.2f]", pop->id,
				 wall_s() - (double)age_ms / 1e3,
				 (double)pop->loss_pct);
		row_add(to, row, n > 0 ? (size_t)n : 0);
	}
}

static void latencies_print(struct near *near, struct rows *to)
{
	size_t each = near->n_pops;
	char row[ROW_MAX];

	/* a batch of a few rows still has those of one group */
	if (each > to->max)
		to->max = each;
	while (near->groups != NULL && each > 0 && has_room(to, each)) {
		uint32_t at_s = now_s();
		uint32_t at = near_groups_tell(near->groups, at_s);
		if (at == NEAR_NONE)
			return;
		const struct near_group *group =
			near_groups_at(near->groups, at);
		double when_s = wall_s() - (double)(at_s - group->known_s);
		for (size_t i = 0; i < each; i++)
			row_add(to, row,
				row_print(group, near->pops[i], when_s, row));
	}
}

static size_t on_rows(void *arg, char *out, size_t size, size_t max, size_t *np)
{
	struct near *near = arg;
	struct rows to = { .out = out, .size = size, .max = max };

	losses_print(near, &to);
	latencies_print(near, &to);
	*np = to.rows;
	return to.n;
}

static void on_measured(void *arg)
{
	struct near *near = arg;

	near_link_poke(near->link, false);
}

static void on_seen(void *arg, const struct gtm_client *client, float ms)
{
	struct near *near = arg;

	if (near->groups == NULL ||
	    !near_groups_seen(near->groups, client, ms, now_s()))
		return;
	near->seen++;
	near_link_poke(near->link, false);
}

/* Another table of routes, NULL: none. */
static void on_routes(void *arg, const struct near_routes *routes)
{
	struct near *near = arg;

	near_prober_routes(near->prober, routes);
}

/* -- life ------------------------------------------------------------------ */

int near_new(const struct near_setup *setup, struct near **nearp)
{
	struct near *near = calloc(1, sizeof(*near));

	if (near == NULL)
		return -ENOMEM;
	near->setup = *setup;
	struct near_link_setup link = { setup->loop, setup->log, on_wanted,
					on_rows,     near,	 setup->node };
	struct near_prober_setup prober = { setup->loop, setup->failed,
					    setup->arg, on_measured, near };
	struct near_reach_setup reach = { setup->loop, setup->log, setup->node,
					  on_measured, near };
	struct near_dump_setup dump = { setup->loop, setup->log, on_routes,
					near };
	int rc = near_link_new(&link, &near->link);
	if (rc == 0)
		rc = near_prober_new(&prober, &near->prober);
	if (rc == 0)
		rc = near_tcp_new(setup->loop, on_seen, near, &near->tcp);
	if (rc == 0)
		rc = near_reach_new(&reach, &near->reach);
	if (rc == 0)
		rc = near_dump_new(&dump, &near->dump);
	if (rc != 0) {
		near_close_all(near);
		return rc;
	}
	*nearp = near;
	return 0;
}

/* The POPs that this node measures for. */
static void pops_find(struct near *near)
{
	const struct config *config = near->config;

	near->n_pops = 0;
	for (size_t i = 0; i < config->n_pops; i++) {
		const struct config_pop *pop = &config->pops[i];
		if (pop->probe != NULL && pop->near == i &&
		    strcmp(pop->probe, near->setup.node) == 0 &&
		    near->n_pops < OWN_POPS_MAX)
			near->pops[near->n_pops++] = pop->id;
	}
	if (config->latency.on && near->n_pops == 0)
		probed_log_write(near->setup.log, PROBED_WARNING,
				 "no latency is measured: no POP names node "
				 "'%s' as its \"probe\"",
				 near->setup.node);
}

/* A table of the size that is wanted, or none; the prober has it. */
static void groups_use(struct near *near)
{
	const struct config *config = near->config;
	bool on = config->latency.on && near->n_pops > 0;
	struct near_groups *old = near->groups;

	if (on && (old == NULL || near->groups_max != config->groups_max)) {
		near->groups = near_groups_new(config->groups_max);
		near->groups_max = config->groups_max;
	}
	if (!on)
		near->groups = NULL;
	if ((on && near->groups == NULL) ||
	    near_prober_use(near->prober, &config->latency, near->groups) != 0)
		probed_log_write(near->setup.log, PROBED_ERROR,
				 "no latency is measured: no memory");
	if (old != near->groups)
		near_groups_free(old);
}

void near_use(struct near *near, const char *path, const struct config *config)
{
	size_t n_reach;

	near->config = config;
	pops_find(near);
	groups_use(near);
	near_tcp_use(near->tcp,
		     near->groups != NULL ? config->latency.tcp_port : 0);
	near_dump_use(near->dump,
		      near->groups != NULL ? config->latency.mrt_file : NULL,
		      config->latency.mrt_interval_ms);
	if (near_reach_use(near->reach, config) != 0)
		probed_log_write(near->setup.log, PROBED_ERROR,
				 "POPs are not probed: no memory");
	(void)near_reach_pops(near->reach, &n_reach);
	bool any = near->groups != NULL || n_reach > 0;
	near_link_use(near->link, any ? path : NULL, config,
		      near->groups != NULL);
}

void near_stats_of(struct near *near, struct near_stats *stats)
{
	*stats = (struct near_stats){
		.on = near->groups != NULL,
		.prober = *near_prober_stats(near->prober),
		.link = near_link_stats(near->link),
		.dump = near_dump_stats(near->dump),
		.seen_dumps = near_tcp_dumps(near->tcp),
		.seen = near->seen,
	};
	stats->pops = near_reach_pops(near->reach, &stats->n_pops);
	if (near->groups == NULL)
		return;
	stats->groups = near_groups_stats(near->groups);
	stats->bytes = near_groups_bytes(near->groups);
}

void near_close_all(struct near *near)
{
	if (near == NULL)
		return;
	near_link_close(near->link);
	near_dump_close(near->dump);
	near_prober_close(near->prober);
	near_tcp_close(near->tcp);
	near_reach_close(near->reach);
	near_groups_free(near->groups);
	free(near);
}
