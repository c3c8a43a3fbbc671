/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What concerns several blocks of the traffic part of a configuration, when all
 * of them are there.
 */
#include "common/config_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

#define NEEDS_DEPTH 4u /* of servers that need servers that need ... */

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

/* The POP that a POP is near to. */
static void pop_end(struct config_check *c, struct config_traffic *t, size_t at)
{
	struct slice near = t->pop_near[at];
	char shown[CONFIG_SHOW_MAX];
	size_t i = 0;

	if (near.p == NULL)
		return;
	while (i < t->n_pops && !slice_is(near, t->pops[i].id))
		i++;
	if (i == t->n_pops || i == at)
		config_find(c, t->pop_nodes[at],
			    i == at ? "\"near\" is %s, the POP itself"
				    : "\"near\" is %s: there is no such POP",
			    config_quote(near, shown));
	else
		t->pops[at].near = (uint32_t)i;
}

/* Servers that need each other in a ring would never be up again. */
static bool needs_itself(const struct config_traffic *t, uint32_t server,
			 uint32_t at, unsigned int depth)
{
	const struct config_server *s = &t->servers[at];

	for (size_t i = 0; i < s->n_needs; i++)
		if (s->needs[i] == server || depth == 0 ||
		    needs_itself(t, server, s->needs[i], depth - 1))
			return true;
	return false;
}

static void needs_end(struct config_check *c, struct config_traffic *t,
		      uint32_t at)
{
	struct config_server *s = &t->servers[at];

	for (size_t i = 0; i < s->n_needs; i++)
		t->servers[s->needs[i]].is_needed = true;
	if (s->n_needs > 0 && needs_itself(t, at, at, NEEDS_DEPTH))
		config_find(c, c->servers.all[at].node,
			    "\"needs\": the server \"%s\" needs itself, or "
			    "others in more than %u steps",
			    s->id, NEEDS_DEPTH);
}

uint32_t config_hostname_find(const struct config_traffic *t,
			      const struct dname *name)
{
	const struct config_name *found =
		config_name_find(t->hostname_names, t->n_hostname_names, name);
	size_t low = 0;
	size_t high = t->n_hostnames;

	if (found == NULL)
		return CONFIG_NONE;
	while (low < high) { /* nodes ascend, as the document has them */
		size_t mid = low + (high - low) / 2;
		if (t->hostname_nodes[mid] == found->node)
			return (uint32_t)mid;
		if (t->hostname_nodes[mid] < found->node)
			low = mid + 1;
		else
			high = mid;
	}
	return CONFIG_NONE;
}

/* Whose servers answer when all of a hostname's own have failed. */
static void else_end(struct config_check *c, struct config_traffic *t,
		     size_t at)
{
	uint32_t node = t->hostname_nodes[at];
	char text[DNAME_TEXT_MAX];

	if (t->else_names[at].n == 0)
		return;
	uint32_t found = config_hostname_find(t, &t->else_names[at]);
	(void)dname_print(&t->else_names[at], text);
	if (found == CONFIG_NONE)
		config_find(c, node,
			    "\"else\" is \"%.200s\": there is no such hostname",
			    text);
	t->hostnames[at].otherwise = found;
}

static void else_ring(struct config_check *c, struct config_traffic *t,
		      size_t at)
{
	uint32_t next = t->hostnames[at].otherwise;
	unsigned int steps = 0;

	while (next != CONFIG_NONE && next != at && ++steps <= CONFIG_ELSE_MAX)
		next = t->hostnames[next].otherwise;
	if (next != CONFIG_NONE)
		config_find(c, t->hostname_nodes[at],
			    "\"else\" leads back to it, or on in more than %u "
			    "steps",
			    CONFIG_ELSE_MAX);
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
	int order = config_address_order(a->address, b->address);

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
		if (config_address_order(all[i - 1].address, all[i].address) ==
		    0)
			config_find(c, node,
				    "the servers \"%s\" and \"%s\" in \"%s\" "
				    "have an address in common: an answer "
				    "would hold it twice",
				    t->servers[list[all[i - 1].server]].id,
				    t->servers[list[all[i].server]].id,
				    config_tier_keys[tier]);
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
			for (size_t f = 0; s->alias != NULL && f < 2; f++)
				has[tier][f] = true;
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
					    s->id, config_tier_keys[tier],
					    t->services[h->service].id);
			for (size_t k = 0; k < s->n_addresses; k++)
				addresses[s->addresses[k].ss_family ==
					  AF_INET6]++;
			addresses[0] += s->alias != NULL;
			addresses[1] += s->alias != NULL;
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

	for (size_t i = 0; i < t->n_hostnames; i++)
		if (t->hostnames[i].dry_run &&
		    dname_is_below(&t->hostnames[i].name, &d->name))
			config_find(c, t->hostname_nodes[i],
				    "\"dry-run\" leaves the answer to the "
				    "zone, but \"%s\" is in a domain that has "
				    "none",
				    t->hostnames[i].id);
	if (config_name_find(zones, n_zones, &d->name) != NULL)
		config_find(c, node,
			    "a zone of this name is in \"zones\": a domain is "
			    "for hostnames that are in no zone");
	for (size_t i = 0; i < d->n_ns; i++) {
		(void)dname_print(&d->ns[i], text);
		if (config_is_alias(t, &d->ns[i]))
			config_find(c, node,
				    "the name server \"%.200s\" is a hostname "
				    "with aliases: name servers cannot be "
				    "aliases",
				    text);
		if (!dname_is_below(&d->ns[i], &d->name) ||
		    config_name_find(t->hostname_names, t->n_hostname_names,
				     &d->ns[i]) != NULL)
			continue;
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
	for (size_t i = 0; i < t->n_pops; i++) {
		enter(c, "pops", t->pop_nodes[i]);
		pop_end(c, t, i);
		leave(c);
	}
	config_measure_end(c, t, feed_interval_ms);
	config_enter(c, slice_of("pops"), 0);
	for (size_t i = 0; i < c->servers.n; i++)
		needs_end(c, t, (uint32_t)i);
	config_leave(c);
	for (size_t i = 0; i < t->n_hostnames; i++) {
		enter(c, "hostnames", t->hostname_nodes[i]);
		hostname_end(c, t, i);
		else_end(c, t, i);
		leave(c);
	}
	for (size_t i = 0; i < t->n_hostnames; i++) {
		enter(c, "hostnames", t->hostname_nodes[i]);
		else_ring(c, t, i);
		config_ns_end(c, t, i);
		config_alias_end(c, t, i, zones, n_zones);
		leave(c);
	}
	for (size_t i = 0; i < t->n_domains; i++) {
		enter(c, "domains", t->domain_nodes[i]);
		domain_end(c, t, i, zones, n_zones);
		leave(c);
	}
	config_second_end(c, t, zones, n_zones);
}
