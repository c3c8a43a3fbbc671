/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The traffic part of a configuration: services, POPs, servers, hostnames and
 * domains.  A server or a service is kept at the place that its name has among
 * the sorted names, which is known before any block is read: so that a block
 * may refer to what comes later in the document.
 */
#include "common/config_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "common/window.h"

static uint32_t seconds(const struct config_value *v)
{
	return (uint32_t)(v->n / 1000);
}

int config_name_keep(struct config_arena **scratch, struct config_name *names,
		     size_t *n, const struct dname *name,
		     const struct config_name *as)
{
	struct dname *copy = config_arena_alloc(
		scratch, offsetof(struct dname, wire) + name->n);

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, name, offsetof(struct dname, wire) + name->n);
	names[*n] = *as;
	names[(*n)++].name = copy;
	return 0;
}

/* -- room ---------------------------------------------------------------- */

int config_traffic_init(struct config_traffic *t, struct config_arena **arena,
			const struct jsontext *json)
{
	size_t n_pops = config_members(json, "pops");
	size_t n_hostnames = config_members(json, "hostnames");
	size_t n_domains = config_members(json, "domains");

	t->arena = arena;
	t->pops = config_arena_alloc(arena, (n_pops + 1) * sizeof(*t->pops));
	t->pop_nodes = calloc(n_pops + 1, sizeof(*t->pop_nodes));
	t->pop_near = calloc(n_pops + 1, sizeof(*t->pop_near));
	t->else_names = calloc(n_hostnames + 1, sizeof(*t->else_names));
	t->seconds = calloc(CONFIG_SECONDS_MAX + 1, sizeof(*t->seconds));
	t->hostnames = config_arena_alloc(arena, (n_hostnames + 1) *
							 sizeof(*t->hostnames));
	t->domains = config_arena_alloc(arena,
					(n_domains + 1) * sizeof(*t->domains));
	t->hostname_names = calloc(n_hostnames + 1, sizeof(*t->hostname_names));
	t->domain_names = calloc(n_domains + 1, sizeof(*t->domain_names));
	t->hostname_nodes = calloc(n_hostnames + 1, sizeof(*t->hostname_nodes));
	t->domain_nodes = calloc(n_domains + 1, sizeof(*t->domain_nodes));
	if (t->pops == NULL || t->hostnames == NULL || t->domains == NULL ||
	    t->hostname_names == NULL || t->domain_names == NULL ||
	    t->hostname_nodes == NULL || t->domain_nodes == NULL ||
	    t->pop_nodes == NULL || t->pop_near == NULL ||
	    t->else_names == NULL || t->seconds == NULL)
		return -ENOMEM;
	return 0;
}

int config_traffic_refs(struct config_traffic *t, struct config_check *c)
{
	t->services = config_arena_alloc(
		t->arena, (c->services.n + 1) * sizeof(*t->services));
	t->servers = config_arena_alloc(t->arena, (c->servers.n + 1) *
							  sizeof(*t->servers));
	t->seen = calloc(c->servers.n + 1, sizeof(*t->seen));
	return t->services == NULL || t->servers == NULL || t->seen == NULL
		       ? -ENOMEM
		       : 0;
}

void config_traffic_fini(struct config_traffic *t)
{
	free(t->hostname_names);
	free(t->domain_names);
	free(t->hostname_nodes);
	free(t->domain_nodes);
	free(t->pop_nodes);
	free(t->pop_near);
	free(t->else_names);
	free(t->seconds);
	free(t->mapped);
	free(t->seen);
	config_arena_free(t->scratch);
}

static const char *text_keep(struct config_check *c, struct config_traffic *t,
			     struct slice text)
{
	char *copy = config_arena_text(t->arena, text);

	if (copy == NULL)
		c->rc = -ENOMEM;
	return copy;
}

/* Index of a name that config_value.c has found to be there. */
static uint32_t ref_index(const struct config_refs *refs, struct slice name)
{
	return (uint32_t)(config_ref_first(refs, name) - refs->all);
}

/* The list as indices of what it names; NULL for an empty one. */
static const uint32_t *indices_keep(struct config_check *c,
				    struct config_traffic *t,
				    const struct config_refs *refs,
				    const struct config_value *list)
{
	if (list->count == 0)
		return NULL;
	uint32_t *made =
		config_arena_alloc(t->arena, list->count * sizeof(*made));
	if (made == NULL) {
		c->rc = -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < list->count; i++)
		made[i] = ref_index(refs, c->elements[list->first + i].text);
	return made;
}

/* -- services ------------------------------------------------------------ */

#define FAST_MIN_MS 1000u /* of the default of "fast-interval" */

/* A fifth of the interval, but not below a second or beyond the interval. */
static uint32_t fast_of(uint32_t interval_ms)
{
	uint32_t fast_ms = interval_ms / 5;

	if (fast_ms < FAST_MIN_MS)
		fast_ms = FAST_MIN_MS;
	return fast_ms < interval_ms ? fast_ms : interval_ms;
}

/* A host name as HTTP and TLS want it: without the final dot. */
static const char *host_keep(struct config_check *c, struct config_traffic *t,
			     const struct dname *name)
{
	char text[DNAME_TEXT_MAX];
	size_t n = dname_print(name, text);

	return text_keep(c, t, (struct slice){ text, n });
}

static void service_keep(struct config_check *c, struct config_traffic *t,
			 struct config_service *s, const struct config_value *v)
{
	s->probe = (enum config_probe)v[SERVICE_PROBE].n;
	s->path = text_keep(c, t, v[SERVICE_PATH].text);
	s->verify = v[SERVICE_VERIFY].n != 0;
	s->interval_ms = (uint32_t)v[SERVICE_INTERVAL].n;
	s->timeout_ms = (uint32_t)v[SERVICE_TIMEOUT].n;
	s->fast_ms = v[SERVICE_FAST_INTERVAL].given
			     ? (uint32_t)v[SERVICE_FAST_INTERVAL].n
			     : fast_of(s->interval_ms);
	s->max_age_ms = v[SERVICE_MAX_AGE].given
				? (uint32_t)v[SERVICE_MAX_AGE].n
				: 0; /* see service_end() */
	s->jitter_pct = (uint8_t)v[SERVICE_JITTER].n;
	s->rise = (uint8_t)v[SERVICE_RISE].n;
	s->fall = (uint8_t)v[SERVICE_FALL].n;
	struct dname host;
	if (v[SERVICE_HOST].given &&
	    dname_parse(v[SERVICE_HOST].text, &host) == 0)
		s->host = host_keep(c, t, &host);
	if (v[SERVICE_CA_FILE].given)
		s->ca_file = text_keep(c, t, v[SERVICE_CA_FILE].text);
	config_service_keep(c, t, s, v);
}

static void service_built(struct config_check *c, struct config_traffic *t,
			  uint32_t node, const struct config_value *v,
			  bool clean)
{
	struct slice id = c->json->nodes[node].key;
	size_t before = c->found.total;

	config_service_check(c, t, node, v);
	if (!clean || c->found.total != before)
		return;
	struct config_service *s = &t->services[ref_index(&c->services, id)];
	s->id = text_keep(c, t, id);
	service_keep(c, t, s, v);
}

/* -- POPs and servers ---------------------------------------------------- */

static void pop_built(struct config_check *c, struct config_traffic *t,
		      uint32_t node, const struct config_value *v)
{
	size_t at = t->n_pops++;
	struct config_pop *pop = &t->pops[at];
	const struct config_value *where = &v[POP_LOCATION];

	t->pop_nodes[at] = node;
	pop->near = (uint32_t)at;
	pop->load = t->pop_load;
	pop->snmp = t->pop_snmp;
	if (v[POP_NEAR].given && v[POP_NEAR].ok) /* see pop_end() */
		t->pop_near[at] = slice_of(text_keep(c, t, v[POP_NEAR].text));

	pop->id = text_keep(c, t, c->json->nodes[node].key);
	if (v[POP_PROBE].given && v[POP_PROBE].ok)
		pop->probe = text_keep(c, t, v[POP_PROBE].text);
	if (v[POP_ADDRESS].given && v[POP_ADDRESS].ok)
		(void)config_address_parse(v[POP_ADDRESS].text, &pop->address);
	if (where->given && where->ok && where->count == 2) {
		pop->located = true;
		pop->latitude = c->elements[where->first].d;
		pop->longitude = c->elements[where->first + 1].d;
	}
}

int config_address_order(const struct sockaddr_storage *a,
			 const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return a->ss_family < b->ss_family ? -1 : 1;
	if (a->ss_family == AF_INET)
		return memcmp(&a4->sin_addr, &b4->sin_addr,
			      sizeof(a4->sin_addr));
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

/* Finds that element 'i' of the list 'key' is what element 'k' is. */
static void same_find(struct config_check *c, const char *key,
		      const struct config_value *list, size_t i, size_t k)
{
	const struct config_value *e = &c->elements[list->first + i];
	const struct slice none = { NULL, 0 };
	char shown[CONFIG_SHOW_MAX];

	config_enter(c, slice_of(key), 0);
	config_enter(c, none, (uint32_t)i);
	config_find(c, e->node, "%s is the same as [%zu]",
		    config_quote(e->text, shown), k);
	config_leave(c);
	config_leave(c);
}

/* The same address in two spellings; the same spelling is found before. */
static void spellings_check(struct config_check *c,
			    const struct config_server *s,
			    const struct config_value *list)
{
	for (size_t i = 1; i < s->n_addresses; i++) {
		size_t k = 0;
		while (k < i && config_address_order(&s->addresses[k],
						     &s->addresses[i]) != 0)
			k++;
		if (k < i)
			same_find(c, "addresses", list, i, k);
	}
}

static void addresses_keep(struct config_check *c, struct config_traffic *t,
			   struct config_server *s,
			   const struct config_value *list)
{
	struct sockaddr_storage *made =
		config_arena_alloc(t->arena, list->count * sizeof(*made));

	if (made == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		(void)config_address_parse(c->elements[list->first + i].text,
					   &made[i]);
	s->addresses = made;
	s->n_addresses = list->count;
	spellings_check(c, s, list);
}

/* The name that is given, or NULL. */
static const struct dname *dname_keep(struct config_check *c,
				      struct config_traffic *t,
				      const struct config_value *v)
{
	if (!v->given)
		return NULL;
	struct dname *name = config_arena_alloc(t->arena, sizeof(*name));
	if (name == NULL)
		c->rc = -ENOMEM;
	else
		(void)dname_parse(v->text, name);
	return name;
}

static void windows_keep(struct config_check *c, struct config_traffic *t,
			 struct config_server *s,
			 const struct config_value *list)
{
	if (list->count == 0)
		return;
	struct config_window *made =
		config_arena_alloc(t->arena, list->count * sizeof(*made));
	if (made == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < list->count; i++)
		(void)window_parse(c->elements[list->first + i].text, &made[i]);
	s->windows = made;
	s->n_windows = list->count;
}

/* What must hold between the keys of a server; true if it does. */
static bool server_check(struct config_check *c, uint32_t node,
			 const struct config_value *v)
{
	const struct config_value *windows = &v[SERVER_MAINTENANCE];
	size_t before = c->found.total;
	struct config_window made;
	char shown[CONFIG_SHOW_MAX];

	if (v[SERVER_ADDRESSES].given == v[SERVER_ALIAS].given)
		config_find(c, node,
			    v[SERVER_ALIAS].given
				    ? "\"alias\" is instead of \"addresses\""
				    : "missing key \"addresses\" (or "
				      "\"alias\")");
	for (size_t i = 0; windows->ok && i < windows->count; i++) {
		const struct config_value *e = &c->elements[windows->first + i];
		if (window_parse(e->text, &made) != 0)
			config_find(c, e->node,
				    "%s: want \"Sun 02:00-04:00\", \"daily "
				    "23:30-00:30\" or "
				    "\"2026-12-01T02:00/2026-12-01T04:00\"",
				    config_quote(e->text, shown));
	}
	return c->found.total == before;
}

/* Called before its POP is built: that will be number t->n_pops. */
static void server_built(struct config_check *c, struct config_traffic *t,
			 uint32_t node, const struct config_value *v,
			 bool clean)
{
	struct slice id = c->json->nodes[node].key;
	const struct config_ref *first = config_ref_first(&c->servers, id);
	char shown[CONFIG_SHOW_MAX];

	if (first != NULL && first->node != node) {
		config_find(c, node, "there is a server %s already, in line %u",
			    config_quote(id, shown),
			    (unsigned)c->json->nodes[first->node].line);
		return;
	}
	if (!server_check(c, node, v) || first == NULL || !clean)
		return;
	struct config_server *s = &t->servers[first - c->servers.all];
	s->id = text_keep(c, t, id);
	s->pop = (uint32_t)t->n_pops;
	s->weight = (uint32_t)v[SERVER_WEIGHT].n;
	s->capacity =
		v[SERVER_CAPACITY].given ? (uint32_t)v[SERVER_CAPACITY].n : 0;
	s->n_services = v[SERVER_SERVICES].count;
	s->services = indices_keep(c, t, &c->services, &v[SERVER_SERVICES]);
	s->shed_pct = (uint8_t)v[SERVER_SHED].n;
	s->slow_start_ms = (uint32_t)v[SERVER_SLOW_START].n;
	s->failback_manual = v[SERVER_FAILBACK].n != CONFIG_FAILBACK_AUTO;
	s->n_needs = v[SERVER_NEEDS].count;
	s->needs = indices_keep(c, t, &c->servers, &v[SERVER_NEEDS]);
	s->alias = dname_keep(c, t, &v[SERVER_ALIAS]);
	s->name_server = dname_keep(c, t, &v[SERVER_NAME_SERVER]);
	s->load = t->server_load;
	windows_keep(c, t, s, &v[SERVER_MAINTENANCE]);
	if (v[SERVER_ADDRESSES].given)
		addresses_keep(c, t, s, &v[SERVER_ADDRESSES]);
}

/* -- hostnames ----------------------------------------------------------- */

static const int tier_keys[CONFIG_TIERS] = { HOSTNAME_SERVERS, HOSTNAME_NEXT,
					     HOSTNAME_BACKUP, HOSTNAME_HIDDEN };
const char *const config_tier_keys[CONFIG_TIERS] = { "servers", "next",
						     "backup", "hidden" };

/* A server that is named in two of a hostname's lists. */
static void disjoint_check(struct config_check *c, struct config_traffic *t,
			   const struct config_value *v)
{
	char shown[CONFIG_SHOW_MAX];

	t->turn++;
	for (size_t tier = 0; tier < CONFIG_TIERS; tier++) {
		const struct config_value *list = &v[tier_keys[tier]];
		for (size_t i = 0; list->ok && i < list->count; i++) {
			struct config_value *e = &c->elements[list->first + i];
			uint32_t *seen =
				&t->seen[ref_index(&c->servers, e->text)];
			uint32_t mark = t->turn * CONFIG_TIERS + (uint32_t)tier;
			if (*seen >= t->turn * CONFIG_TIERS && *seen < mark)
				config_find(
					c, e->node, "%s is in \"%s\" already",
					config_quote(e->text, shown),
					config_tier_keys[*seen % CONFIG_TIERS]);
			*seen = mark;
		}
	}
}

static void hostname_keep(struct config_check *c, struct config_traffic *t,
			  struct config_hostname *h,
			  const struct config_value *v)
{
	h->service = v[HOSTNAME_SERVICE].given
			     ? ref_index(&c->services, v[HOSTNAME_SERVICE].text)
			     : CONFIG_NONE;
	for (size_t tier = 0; tier < CONFIG_TIERS; tier++) {
		const struct config_value *list = &v[tier_keys[tier]];
		h->n_servers[tier] = list->count;
		h->servers[tier] = indices_keep(c, t, &c->servers, list);
	}
	h->answers = (uint8_t)v[HOSTNAME_ANSWERS].n;
	h->ttl_s = seconds(&v[HOSTNAME_TTL]);
	h->weigh = t->weigh;
	h->tolerance = (float)v[HOSTNAME_TOLERANCE].d / 100;
	h->explore = (uint32_t)v[HOSTNAME_EXPLORE].n;
	h->min_up = (float)v[HOSTNAME_MIN_UP].d / 100;
	h->order = (enum config_order)v[HOSTNAME_ORDER].n;
	h->otherwise = CONFIG_NONE; /* see else_end() */
	h->ttl_min_s = v[HOSTNAME_TTL_MIN].given ? seconds(&v[HOSTNAME_TTL_MIN])
						 : h->ttl_s;
	h->persist_s =
		v[HOSTNAME_PERSIST].given ? seconds(&v[HOSTNAME_PERSIST]) : 0;
	h->persist_by = (enum config_persist)v[HOSTNAME_PERSIST_BY].n;
	h->persist_refresh_s = v[HOSTNAME_PERSIST_REFRESH].given
				       ? seconds(&v[HOSTNAME_PERSIST_REFRESH])
				       : UINT32_MAX;
	h->dry_run = v[HOSTNAME_DRY_RUN].n != 0;
	h->name_servers = v[HOSTNAME_NAME_SERVERS].n != 0;
	h->one_server = v[HOSTNAME_ONE_SERVER].n != 0;
	h->health = (enum config_health)v[HOSTNAME_HEALTH].n;
	h->fail = (enum config_fail)v[HOSTNAME_FAIL].n;
	h->ecs = v[HOSTNAME_ECS].n != 0;
}

static void ttl_check(struct config_check *c, const struct config_value *v)
{
	const struct config_value *least = &v[HOSTNAME_TTL_MIN];
	const struct config_value *most = &v[HOSTNAME_TTL];

	if (least->given && least->ok && most->ok && least->n > most->n)
		config_find(c, least->node, "\"ttl-min\" is over \"ttl\"");
}

static void hostname_built(struct config_check *c, struct config_traffic *t,
			   uint32_t node, const struct config_value *v,
			   bool clean)
{
	const struct config_value *fail = &v[HOSTNAME_FAIL];
	struct config_name as = { .node = node };
	struct slice id = c->json->nodes[node].key;
	size_t before = c->found.total;
	struct dname name;

	if (fail->given && fail->ok && fail->n == CONFIG_FAIL_BACKUP &&
	    (!v[HOSTNAME_BACKUP].given ||
	     (v[HOSTNAME_BACKUP].ok && v[HOSTNAME_BACKUP].count == 0)))
		config_find(c, fail->node,
			    "\"fail\": \"backup\" needs \"backup\"");
	ttl_check(c, v);
	disjoint_check(c, t, v);
	if (dname_parse(id, &name) != 0)
		return;
	c->rc = config_name_keep(&t->scratch, t->hostname_names,
				 &t->n_hostname_names, &name, &as);
	if (c->rc != 0 || !clean || c->found.total != before)
		return;
	struct config_hostname *h = &t->hostnames[t->n_hostnames];
	t->hostname_nodes[t->n_hostnames++] = node;
	if (v[HOSTNAME_ELSE].given)
		(void)dname_parse(v[HOSTNAME_ELSE].text,
				  &t->else_names[t->n_hostnames - 1]);
	h->id = text_keep(c, t, id);
	h->name = name;
	h->line = c->json->nodes[node].line;
	hostname_keep(c, t, h, v);
}

/* -- domains ------------------------------------------------------------- */

/* "hostmaster" in the domain, if that is not too long for a name. */
static bool default_contact(const struct dname *domain, struct dname *contact)
{
	static const char label[] = "\012hostmaster";
	size_t n = sizeof(label) - 1;

	if (domain->n + n > DNAME_WIRE_MAX)
		return false;
	*contact = *domain;
	memcpy(contact->wire, label, n);
	memcpy(contact->wire + n, domain->wire, domain->n);
	contact->n = (uint8_t)(domain->n + n);
	contact->labels = (uint8_t)(domain->labels + 1);
	return true;
}

static void domain_keep(struct config_check *c, struct config_traffic *t,
			struct config_domain *d, const struct config_value *v)
{
	const struct config_value *list = &v[DOMAIN_NS];
	struct dname *ns =
		config_arena_alloc(t->arena, list->count * sizeof(*ns));

	if (ns == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		size_t k = 0;
		(void)dname_parse(c->elements[list->first + i].text, &ns[i]);
		while (k < i && !dname_equal(&ns[k], &ns[i]))
			k++;
		if (k < i) /* the same spelling has been found before */
			same_find(c, "ns", list, i, k);
	}
	d->ns = ns;
	d->n_ns = list->count;
	d->ttl_s = seconds(&v[DOMAIN_TTL]);
	d->negative_ttl_s = seconds(&v[DOMAIN_NEGATIVE_TTL]);
	if (v[DOMAIN_CONTACT].given)
		(void)dname_parse(v[DOMAIN_CONTACT].text, &d->contact);
	else if (!default_contact(&d->name, &d->contact))
		d->contact = ns[0];
}

static void domain_built(struct config_check *c, struct config_traffic *t,
			 uint32_t node, const struct config_value *v,
			 bool clean)
{
	struct config_name as = { .node = node };
	struct dname name;

	if (dname_parse(c->json->nodes[node].key, &name) != 0)
		return;
	c->rc = config_name_keep(&t->scratch, t->domain_names,
				 &t->n_domain_names, &name, &as);
	if (c->rc != 0 || !clean)
		return;
	struct config_domain *d = &t->domains[t->n_domains];
	t->domain_nodes[t->n_domains++] = node;
	d->name = name;
	d->line = c->json->nodes[node].line;
	domain_keep(c, t, d, v);
}

bool config_traffic_built(struct config_check *c, struct config_traffic *t,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v, bool clean)
{
	switch (id) {
	case SCHEMA_EXPECT:
	case SCHEMA_DAMPING:
	case SCHEMA_QUESTION:
		return config_service_built(c, t, id, node, v);
	case SCHEMA_ONE_SERVICE:
		service_built(c, t, node, v, clean);
		return true;
	case SCHEMA_POP:
		pop_built(c, t, node, v);
		return true;
	case SCHEMA_ONE_SERVER:
		server_built(c, t, node, v, clean);
		return true;
	case SCHEMA_WEIGH:
		t->weigh = (struct config_weigh){
			.latency = (float)v[WEIGH_LATENCY].d,
			.load = (float)v[WEIGH_LOAD].d,
			.loss = (float)v[WEIGH_LOSS].d,
			.bandwidth = (float)v[WEIGH_BANDWIDTH].d,
			.unknown = (enum config_unknown)v[WEIGH_UNKNOWN].n,
		};
		return true;
	case SCHEMA_MAX_AGE:
		t->latency_age_ms = (uint32_t)v[MAX_AGE_LATENCY].n;
		t->loss_age_ms = (uint32_t)v[MAX_AGE_LOSS].n;
		t->bandwidth_age_ms = (uint32_t)v[MAX_AGE_BANDWIDTH].n;
		t->load_age_ms = (uint32_t)v[MAX_AGE_LOAD].n;
		return true;
	case SCHEMA_SECOND:
		config_second_built(c, t, node, v);
		return true;
	case SCHEMA_HOSTNAME:
		hostname_built(c, t, node, v, clean);
		return true;
	case SCHEMA_DOMAIN:
		domain_built(c, t, node, v, clean);
		return true;
	default:
		return config_measure_built(c, t, id, node, v, clean);
	}
}

void config_traffic_keep(struct config_check *c, struct config_traffic *t,
			 struct config *config)
{
	for (size_t i = 0; i < t->n_hostnames; i++) {
		const struct config_hostname *h = &t->hostnames[i];
		if (h->service != CONFIG_NONE && !h->name_servers &&
		    t->services[h->service].host == NULL)
			t->services[h->service].host =
				host_keep(c, t, &h->name);
	}
	t->n_servers = c->servers.n;
	if (t->n_mapped > 0 && c->found.total == 0 &&
	    config_second_keep(t) != 0)
		c->rc = -ENOMEM;
	config->latency_age_ms = t->latency_age_ms;
	config->loss_age_ms = t->loss_age_ms;
	config->bandwidth_age_ms = t->bandwidth_age_ms;
	config->load_age_ms = t->load_age_ms;
	config->services = t->services;
	config->n_services = c->services.n;
	config->pops = t->pops;
	config->n_pops = t->n_pops;
	config->servers = t->servers;
	config->n_servers = t->n_servers;
	config->hostnames = t->hostnames;
	config->n_hostnames = t->n_hostnames;
	config->domains = t->domains;
	config->n_domains = t->n_domains;
}
