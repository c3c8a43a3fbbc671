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
	    t->hostname_nodes == NULL || t->domain_nodes == NULL)
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

static void want_http(struct config_check *c, const struct config_value *v,
		      const char *name)
{
	if (v->given)
		config_find(c, v->node,
			    "\"%s\" is only for the probes \"http\" and "
			    "\"https\"",
			    name);
}

static void want_https(struct config_check *c, const struct config_value *v,
		       const char *name)
{
	if (v->given)
		config_find(c, v->node,
			    "\"%s\" is only for the probe \"https\"", name);
}

/* What must hold between the keys of a service. */
static void service_check(struct config_check *c, uint32_t node,
			  const struct config_value *v)
{
	const struct config_value *interval = &v[SERVICE_INTERVAL];
	const struct config_value *timeout = &v[SERVICE_TIMEOUT];
	enum config_probe probe = (enum config_probe)v[SERVICE_PROBE].n;

	if (interval->ok && timeout->ok && timeout->n > interval->n)
		config_find(c, timeout->given ? timeout->node : interval->node,
			    "\"timeout\" is longer than \"interval\"");
	if (!v[SERVICE_PROBE].given || !v[SERVICE_PROBE].ok)
		return;
	if (probe == CONFIG_TCP_CONNECT && !v[SERVICE_PORT].given)
		config_find(c, node,
			    "missing key \"port\": the probe \"tcp\" has none "
			    "of its own");
	if (probe != CONFIG_HTTP && probe != CONFIG_HTTPS) {
		want_http(c, &v[SERVICE_PATH], "path");
		want_http(c, &v[SERVICE_EXPECT], "expect");
		want_http(c, &v[SERVICE_HOST], "host");
	}
	if (probe != CONFIG_HTTPS) {
		want_https(c, &v[SERVICE_VERIFY], "verify");
		want_https(c, &v[SERVICE_CA_FILE], "ca-file");
	}
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
	static const uint16_t ports[] = {
		[CONFIG_HTTP] = 80, [CONFIG_HTTPS] = 443
	};

	s->probe = (enum config_probe)v[SERVICE_PROBE].n;
	s->port = v[SERVICE_PORT].given ? (uint16_t)v[SERVICE_PORT].n
					: ports[s->probe];
	s->path = text_keep(c, t, v[SERVICE_PATH].text);
	s->status = t->status;
	s->verify = v[SERVICE_VERIFY].n != 0;
	s->interval_ms = (uint32_t)v[SERVICE_INTERVAL].n;
	s->timeout_ms = (uint32_t)v[SERVICE_TIMEOUT].n;
	s->max_age_ms = v[SERVICE_MAX_AGE].given
				? (uint32_t)v[SERVICE_MAX_AGE].n
				: 0; /* see service_end() */
	s->jitter_pct = (uint8_t)v[SERVICE_JITTER].n;
	s->rise = (uint8_t)v[SERVICE_RISE].n;
	s->fall = (uint8_t)v[SERVICE_FALL].n;
	if (t->body.p != NULL)
		s->body = text_keep(c, t, t->body);
	struct dname host;
	if (v[SERVICE_HOST].given &&
	    dname_parse(v[SERVICE_HOST].text, &host) == 0)
		s->host = host_keep(c, t, &host);
	if (v[SERVICE_CA_FILE].given)
		s->ca_file = text_keep(c, t, v[SERVICE_CA_FILE].text);
}

static void service_built(struct config_check *c, struct config_traffic *t,
			  uint32_t node, const struct config_value *v,
			  bool clean)
{
	struct slice id = c->json->nodes[node].key;
	size_t before = c->found.total;

	service_check(c, node, v);
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
	struct config_pop *pop = &t->pops[t->n_pops++];
	const struct config_value *where = &v[POP_LOCATION];

	pop->id = text_keep(c, t, c->json->nodes[node].key);
	if (v[POP_PROBE].given && v[POP_PROBE].ok)
		pop->probe = text_keep(c, t, v[POP_PROBE].text);
	if (where->given && where->ok && where->count == 2) {
		pop->located = true;
		pop->latitude = c->elements[where->first].d;
		pop->longitude = c->elements[where->first + 1].d;
	}
}

static int address_order(const struct sockaddr_storage *a,
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
		while (k < i &&
		       address_order(&s->addresses[k], &s->addresses[i]) != 0)
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
	if (first == NULL || !clean)
		return;
	struct config_server *s = &t->servers[first - c->servers.all];
	s->id = text_keep(c, t, id);
	s->pop = (uint32_t)t->n_pops;
	s->weight = (uint32_t)v[SERVER_WEIGHT].n;
	s->capacity =
		v[SERVER_CAPACITY].given ? (uint32_t)v[SERVER_CAPACITY].n : 0;
	s->n_services = v[SERVER_SERVICES].count;
	s->services = indices_keep(c, t, &c->services, &v[SERVER_SERVICES]);
	addresses_keep(c, t, s, &v[SERVER_ADDRESSES]);
}

/* -- hostnames ----------------------------------------------------------- */

static const int tier_keys[CONFIG_TIERS] = { HOSTNAME_SERVERS, HOSTNAME_BACKUP,
					     HOSTNAME_HIDDEN };
static const char *const tier_names[CONFIG_TIERS] = { "servers", "backup",
						      "hidden" };

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
				config_find(c, e->node,
					    "%s is in \"%s\" already",
					    config_quote(e->text, shown),
					    tier_names[*seen % CONFIG_TIERS]);
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
	h->weigh_latency = t->weigh[WEIGH_LATENCY];
	h->weigh_load = t->weigh[WEIGH_LOAD];
	h->weigh_loss = t->weigh[WEIGH_LOSS];
	h->weigh_bandwidth = t->weigh[WEIGH_BANDWIDTH];
	h->persist_s =
		v[HOSTNAME_PERSIST].given ? seconds(&v[HOSTNAME_PERSIST]) : 0;
	h->fail = (enum config_fail)v[HOSTNAME_FAIL].n;
	h->ecs = v[HOSTNAME_ECS].n != 0;
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
	disjoint_check(c, t, v);
	if (dname_parse(id, &name) != 0)
		return;
	c->rc = config_name_keep(&t->scratch, t->hostname_names,
				 &t->n_hostname_names, &name, &as);
	if (c->rc != 0 || !clean || c->found.total != before)
		return;
	struct config_hostname *h = &t->hostnames[t->n_hostnames];
	t->hostname_nodes[t->n_hostnames++] = node;
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
		t->status = v[EXPECT_STATUS].given && v[EXPECT_STATUS].ok
				    ? (uint16_t)v[EXPECT_STATUS].n
				    : 0;
		t->body = v[EXPECT_BODY].text;
		return true;
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
		for (size_t i = 0; i < 4; i++)
			t->weigh[i] = v[i].d;
		return true;
	case SCHEMA_HOSTNAME:
		hostname_built(c, t, node, v, clean);
		return true;
	case SCHEMA_DOMAIN:
		domain_built(c, t, node, v, clean);
		return true;
	default:
		return false;
	}
}

/* -- when all are there -------------------------------------------------- */

/* The path of findings about a member of one of the document's maps. */
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

static bool offers(const struct config_server *s, uint32_t service)
{
	for (size_t i = 0; i < s->n_services; i++)
		if (s->services[i] == service)
			return true;
	return s->n_services == 0;
}

/* An address behind a hostname, and whose it is. */
struct behind {
	const struct sockaddr_storage *address;
	size_t server; /* place in its list */
};

static int behind_compare(const void *va, const void *vb)
{
	const struct behind *a = va, *b = vb;
	int order = address_order(a->address, b->address);

	if (order != 0)
		return order;
	return (a->server > b->server) - (a->server < b->server);
}

/* Two servers of a tier with one address: an answer would hold it twice. */
static void shared_check(struct config_check *c, struct config_traffic *t,
			 const struct config_hostname *h, size_t tier)
{
	uint32_t node = t->hostname_nodes[h - t->hostnames];
	const uint32_t *list = h->servers[tier];
	size_t n = 0;

	for (size_t i = 0; i < h->n_servers[tier]; i++)
		n += t->servers[list[i]].n_addresses;
	if (n < 2 || h->n_servers[tier] < 2)
		return;
	struct behind *all = calloc(n, sizeof(*all));
	if (all == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	n = 0;
	for (size_t i = 0; i < h->n_servers[tier]; i++) {
		const struct config_server *s = &t->servers[list[i]];
		for (size_t k = 0; k < s->n_addresses; k++)
			all[n++] = (struct behind){ &s->addresses[k], i };
	}
	qsort(all, n, sizeof(*all), behind_compare);
	for (size_t i = 1; i < n; i++)
		if (address_order(all[i - 1].address, all[i].address) == 0)
			config_find(c, node,
				    "the servers \"%s\" and \"%s\" in \"%s\" "
				    "have an address in common: an answer "
				    "would hold it twice",
				    t->servers[list[all[i - 1].server]].id,
				    t->servers[list[all[i].server]].id,
				    tier_names[tier]);
	free(all);
}

/*
 * Hidden servers with addresses of a family that no server before them has:
 * questions for that family would find them at once.
 */
static void hidden_end(struct config_check *c, const struct config_traffic *t,
		       const struct config_hostname *h, uint32_t node)
{
	bool has[CONFIG_TIERS][2] = { 0 };

	for (size_t tier = 0; tier < CONFIG_TIERS; tier++)
		for (size_t i = 0; i < h->n_servers[tier]; i++) {
			const struct config_server *s =
				&t->servers[h->servers[tier][i]];
			for (size_t k = 0; k < s->n_addresses; k++)
				has[tier][s->addresses[k].ss_family ==
					  AF_INET6] = true;
		}
	for (size_t f = 0; f < 2; f++)
		if (has[CONFIG_HIDDEN][f] && !has[CONFIG_PRIMARY][f] &&
		    !has[CONFIG_BACKUP][f])
			config_find(
				c, node,
				"only servers in \"hidden\" have IPv%s "
				"addresses: answers would show them at once",
				f == 0 ? "4" : "6");
}

/*
 * Servers that do not offer the service, or share an address; addresses, if
 * there are too many.
 */
static void hostname_end(struct config_check *c, struct config_traffic *t,
			 size_t at)
{
	const struct config_hostname *h = &t->hostnames[at];
	uint32_t node = t->hostname_nodes[at];
	size_t addresses[2] = { 0, 0 };

	for (size_t tier = 0; tier < CONFIG_TIERS; tier++) {
		shared_check(c, t, h, tier);
		for (size_t i = 0; i < h->n_servers[tier]; i++) {
			const struct config_server *s =
				&t->servers[h->servers[tier][i]];
			if (h->service != CONFIG_NONE && !offers(s, h->service))
				config_find(c, node,
					    "server \"%s\" in \"%s\" does not "
					    "offer the service \"%s\"",
					    s->id, tier_names[tier],
					    t->services[h->service].id);
			for (size_t k = 0; k < s->n_addresses; k++)
				addresses[s->addresses[k].ss_family ==
					  AF_INET6]++;
		}
	}
	hidden_end(c, t, h, node);
	if (addresses[0] > CONFIG_CHOICE_MAX ||
	    addresses[1] > CONFIG_CHOICE_MAX)
		config_find(c, node,
			    "its servers have %zu IPv4 and %zu IPv6 addresses, "
			    "want at most %u of each",
			    addresses[0], addresses[1], CONFIG_CHOICE_MAX);
}

/*
 * How old the newest result may be before the next one is there: an interval
 * at its longest, a test, and the wait for the batch.
 */
static void service_end(struct config_check *c, struct config_traffic *t,
			size_t at, uint32_t feed_interval_ms)
{
	struct config_service *s = &t->services[at];
	uint32_t longest_ms = s->interval_ms / 100 * (100 + s->jitter_pct);
	uint32_t least_ms = longest_ms + s->timeout_ms + feed_interval_ms;

	if (s->max_age_ms == 0)
		s->max_age_ms =
			3 * s->interval_ms + s->timeout_ms + feed_interval_ms;
	if (s->max_age_ms >= least_ms)
		return;
	char age[UNITS_TEXT_MAX], least[UNITS_TEXT_MAX];
	units_duration_print(s->max_age_ms, age);
	units_duration_print(least_ms, least);
	config_find(c, c->services.all[at].node,
		    "\"max-age\" is %s, but results may come %s apart "
		    "(interval, jitter, timeout and the feed's interval): they "
		    "would be unknown in between",
		    age, least);
}

static void domain_end(struct config_check *c, struct config_traffic *t,
		       size_t at, const struct config_name *zones,
		       size_t n_zones)
{
	const struct config_domain *d = &t->domains[at];
	uint32_t node = t->domain_nodes[at];
	char text[DNAME_TEXT_MAX];

	if (config_name_find(zones, n_zones, &d->name) != NULL)
		config_find(c, node,
			    "a zone of this name is in \"zones\": a domain is "
			    "for hostnames that are in no zone");
	for (size_t i = 0; i < d->n_ns; i++) {
		if (!dname_is_below(&d->ns[i], &d->name) ||
		    config_name_find(t->hostname_names, t->n_hostname_names,
				     &d->ns[i]) != NULL)
			continue;
		(void)dname_print(&d->ns[i], text);
		config_find(c, node,
			    "the name server \"%.200s\" lies in the domain and "
			    "so needs an address: make it one of \"hostnames\"",
			    text);
	}
}

void config_traffic_end(struct config_check *c, struct config_traffic *t,
			const struct config_name *zones, size_t n_zones,
			uint32_t feed_interval_ms)
{
	config_enter(c, slice_of("hostnames"), 0);
	config_overlaps(c, t->hostname_names, t->n_hostname_names, "hostname");
	config_leave(c);
	config_enter(c, slice_of("domains"), 0);
	config_overlaps(c, t->domain_names, t->n_domain_names, "domain");
	config_leave(c);
	/* The rest needs all that it refers to. */
	if (c->found.total > 0 || c->rc != 0)
		return;
	for (size_t i = 0; i < c->services.n; i++) {
		enter(c, "services", c->services.all[i].node);
		service_end(c, t, i, feed_interval_ms);
		leave(c);
	}
	for (size_t i = 0; i < t->n_hostnames; i++) {
		enter(c, "hostnames", t->hostname_nodes[i]);
		hostname_end(c, t, i);
		leave(c);
	}
	for (size_t i = 0; i < t->n_domains; i++) {
		enter(c, "domains", t->domain_nodes[i]);
		domain_end(c, t, i, zones, n_zones);
		leave(c);
	}
}

void config_traffic_keep(struct config_check *c, struct config_traffic *t,
			 struct config *config)
{
	for (size_t i = 0; i < t->n_hostnames; i++) {
		const struct config_hostname *h = &t->hostnames[i];
		if (h->service != CONFIG_NONE &&
		    t->services[h->service].host == NULL)
			t->services[h->service].host =
				host_keep(c, t, &h->name);
	}
	config->services = t->services;
	config->n_services = c->services.n;
	config->pops = t->pops;
	config->n_pops = t->n_pops;
	config->servers = t->servers;
	config->n_servers = c->servers.n;
	config->hostnames = t->hostnames;
	config->n_hostnames = t->n_hostnames;
	config->domains = t->domains;
	config->n_domains = t->n_domains;
}
