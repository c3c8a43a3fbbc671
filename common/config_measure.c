/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What of a configuration says how machines and switches are measured: "load"
 * of POPs and servers, "snmp" of POPs.
 */
#include "common/config_int.h"

#include <errno.h>
#include <netinet/in.h>

#include "common/formula.h"
#include "common/units.h"

/* How deep the path is in a POP's block; a server's is deeper. */
#define POP_DEPTH 3u

static const char *text_keep(struct config_check *c, struct config_traffic *t,
			     struct slice text)
{
	char *copy = config_arena_text(t->arena, text);

	if (copy == NULL)
		c->rc = -ENOMEM;
	return copy;
}

/* -- load ------------------------------------------------------------------ */

static bool begins(struct slice text, const char *with)
{
	size_t n = strlen(with);

	return text.n > n && memcmp(text.p, with, n) == 0;
}

static void url_check(struct config_check *c, const struct config_value *v,
		      bool of_pop)
{
	const struct config_value *url = &v[LOAD_URL];
	bool odd = false;

	if (!url->given || !url->ok)
		return;
	for (size_t i = 0; i < url->text.n; i++)
		odd = odd || (unsigned char)url->text.p[i] <= 0x20 ||
		      (unsigned char)url->text.p[i] >= 0x7f;
	if (odd ||
	    (!begins(url->text, "http://") && !begins(url->text, "https://")))
		config_find(c, url->node,
			    "\"url\": want \"http://...\" or "
			    "\"https://...\"");
	if (of_pop)
		config_find(c, url->node,
			    "\"url\" is of one server, not of a POP");
	if (v[LOAD_PORT].given || v[LOAD_PATH].given)
		config_find(c, url->node,
			    "\"url\" is instead of \"port\" and \"path\"");
}

static void load_check(struct config_check *c, const struct config_value *v,
		       bool of_pop)
{
	const struct config_value *formula = &v[LOAD_FORMULA];
	const struct config_value *interval = &v[LOAD_INTERVAL];
	const struct config_value *timeout = &v[LOAD_TIMEOUT];
	struct formula read;
	struct formula_fault fault;

	url_check(c, v, of_pop);
	if (formula->ok && formula_parse(formula->text, &read, &fault) != 0)
		config_find(c, formula->node, "\"formula\", octet %zu: %s",
			    fault.at + 1, fault.why);
	if (interval->ok && timeout->ok && timeout->n > interval->n)
		config_find(c, timeout->given ? timeout->node : interval->node,
			    "\"timeout\" is longer than \"interval\"");
}

static const struct config_load *load_keep(struct config_check *c,
					   struct config_traffic *t,
					   uint32_t node,
					   const struct config_value *v)
{
	struct config_load *load = config_arena_alloc(t->arena, sizeof(*load));

	if (load == NULL) {
		c->rc = -ENOMEM;
		return NULL;
	}
	if (v[LOAD_URL].given)
		load->url = text_keep(c, t, v[LOAD_URL].text);
	load->port = (uint16_t)v[LOAD_PORT].n;
	load->path = text_keep(c, t, v[LOAD_PATH].text);
	load->formula = text_keep(c, t, v[LOAD_FORMULA].text);
	load->interval_ms = (uint32_t)v[LOAD_INTERVAL].n;
	load->timeout_ms = (uint32_t)v[LOAD_TIMEOUT].n;
	load->line = c->json->nodes[node].line;
	return load;
}

static void load_built(struct config_check *c, struct config_traffic *t,
		       uint32_t node, const struct config_value *v, bool clean)
{
	bool of_pop = c->depth <= POP_DEPTH;
	const struct config_load **keep =
		of_pop ? &t->pop_load : &t->server_load;
	size_t before = c->found.total;

	*keep = NULL;
	if (node == CONFIG_NO_NODE)
		return;
	load_check(c, v, of_pop);
	if (clean && c->found.total == before)
		*keep = load_keep(c, t, node, v);
}

/* -- snmp ------------------------------------------------------------------ */

static void snmp_address(const struct config_value *v,
			 struct sockaddr_storage *address)
{
	struct sockaddr_in *in = (void *)address;
	struct sockaddr_in6 *in6 = (void *)address;
	uint16_t port = htons((uint16_t)v[SNMP_PORT].n);

	(void)config_address_parse(v[SNMP_ADDRESS].text, address);
	if (address->ss_family == AF_INET)
		in->sin_port = port;
	else
		in6->sin6_port = port;
}

static void interfaces_keep(struct config_check *c, struct config_traffic *t,
			    struct config_snmp *snmp,
			    const struct config_value *list)
{
	const char **made =
		config_arena_alloc(t->arena, list->count * sizeof(*made));

	if (made == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		made[i] = text_keep(c, t, c->elements[list->first + i].text);
	snmp->interfaces = made;
	snmp->n_interfaces = list->count;
}

static void snmp_built(struct config_check *c, struct config_traffic *t,
		       uint32_t node, const struct config_value *v, bool clean)
{
	t->pop_snmp = NULL;
	if (node == CONFIG_NO_NODE || !clean)
		return;
	struct config_snmp *snmp = config_arena_alloc(t->arena, sizeof(*snmp));
	if (snmp == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	snmp_address(v, &snmp->address);
	snmp->credentials = text_keep(c, t, v[SNMP_CREDENTIALS].text);
	interfaces_keep(c, t, snmp, &v[SNMP_INTERFACES]);
	snmp->capacity_bits = (uint64_t)v[SNMP_CAPACITY].n;
	snmp->direction = (enum config_direction)v[SNMP_DIRECTION].n;
	snmp->interval_ms = (uint32_t)v[SNMP_INTERVAL].n;
	snmp->timeout_ms = (uint32_t)v[SNMP_TIMEOUT].n;
	snmp->line = c->json->nodes[node].line;
	t->pop_snmp = snmp;
}

bool config_measure_built(struct config_check *c, struct config_traffic *t,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v, bool clean)
{
	if (id == SCHEMA_LOAD)
		load_built(c, t, node, v, clean);
	else if (id == SCHEMA_SNMP)
		snmp_built(c, t, node, v, clean);
	else
		return false;
	return true;
}

/* -- when all are there ---------------------------------------------------- */

/* Between two values there must be one that holds. */
static void age_check(struct config_check *c, uint32_t node, const char *what,
		      uint32_t often_ms, uint32_t age_ms)
{
	char often[UNITS_TEXT_MAX], age[UNITS_TEXT_MAX];

	if (often_ms <= age_ms)
		return;
	units_duration_print(often_ms, often);
	units_duration_print(age_ms, age);
	config_find(c, node,
		    "its %s comes %s apart (interval, timeout and the feed's "
		    "interval), but holds for %s only (\"max-age\")",
		    what, often, age);
}

static void enter(struct config_check *c, const char *map, uint32_t node)
{
	config_enter(c, slice_of(map), 0);
	config_enter(c, c->json->nodes[node].key, 0);
}

static void leave(struct config_check *c)
{
	config_leave(c);
	config_leave(c);
}

static void server_end(struct config_check *c, struct config_traffic *t,
		       size_t at, uint32_t feed_interval_ms)
{
	struct config_server *s = &t->servers[at];
	uint32_t node = c->servers.all[at].node;
	bool own = s->load != NULL;

	if (!own)
		s->load = t->pops[s->pop].load;
	if (s->load == NULL)
		return;
	if (s->n_addresses == 0 && s->load->url == NULL) {
		if (own)
			config_find(c, node,
				    "\"load\" needs \"url\": the server has "
				    "no address");
		s->load = NULL;
		return;
	}
	age_check(c, node, "load",
		  s->load->interval_ms + s->load->timeout_ms + feed_interval_ms,
		  t->load_age_ms);
}

void config_measure_end(struct config_check *c, struct config_traffic *t,
			uint32_t feed_interval_ms)
{
	for (size_t i = 0; i < t->n_pops; i++) {
		const struct config_snmp *snmp = t->pops[i].snmp;
		enter(c, "pops", t->pop_nodes[i]);
		if (snmp != NULL)
			age_check(c, t->pop_nodes[i], "bandwidth",
				  snmp->interval_ms + 2 * snmp->timeout_ms +
					  feed_interval_ms,
				  t->bandwidth_age_ms);
		leave(c);
	}
	for (size_t i = 0; i < c->servers.n; i++) {
		const struct config_pop *pop = &t->pops[t->servers[i].pop];
		enter(c, "pops", t->pop_nodes[(size_t)(pop - t->pops)]);
		enter(c, "servers", c->servers.all[i].node);
		server_end(c, t, i, feed_interval_ms);
		leave(c);
		leave(c);
	}
}
