/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An origin under way: its strings are still json-c's. */
struct draft {
	struct config_origin origin;
	struct slice tls_name, tls_ca;
};

struct config_builder {
	struct config *config;
	struct config_arena *arena;   /* becomes the config's */
	struct config_arena *scratch; /* lives as long as the builder */
	struct config_zone *zones;    /* room for all of the document's */
	struct config_name *zone_names;
	size_t n_zone_names;
	struct config_traffic traffic;
	struct config_client_rules clients;
	struct config_near near;
	/* the blocks that ended last */
	struct draft drafts[CONFIG_ORIGINS_MAX];
	size_t n_drafts;
	struct slice tls_name, tls_ca;
	uint32_t ttl_min_s, ttl_max_s, ttl_negative_max_s;
	struct config_admission admission;
	uint32_t cache_node; /* of the state directory, if it is given */
};

static uint32_t seconds(const struct config_value *v)
{
	return (uint32_t)(v->n / 1000);
}

static void port_set(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)address)->sin6_port =
			htons(port);
}

/* config_address_parse() leaves no octet of an address undefined. */
static bool address_equal(const struct sockaddr_storage *a,
			  const struct sockaddr_storage *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void tls_built(struct config_builder *b, const struct config_value *v)
{
	b->tls_name = v[TLS_NAME].text;
	b->tls_ca = v[TLS_CA_FILE].text;
}

static void ttl_built(struct config_check *c, const struct config_value *v)
{
	struct config_builder *b = c->builder;
	const struct config_value *least = &v[TTL_MIN], *most = &v[TTL_MAX];

	b->ttl_min_s = seconds(least);
	b->ttl_max_s = seconds(most);
	b->ttl_negative_max_s = seconds(&v[TTL_NEGATIVE_MAX]);
	if (least->ok && most->ok && least->n > most->n)
		config_find(c, least->given ? least->node : most->node,
			    "\"min\" is %us, over \"max\", which is %us",
			    b->ttl_min_s, b->ttl_max_s);
}

static void admission_built(struct config_builder *b,
			    const struct config_value *v)
{
	struct config_admission *a = &b->admission;

	a->any = false;
	for (size_t i = 0; i < CONFIG_FILTERS; i++) {
		a->mode[i] = (uint8_t)v[ADMISSION_MISSES + i].n;
		a->any = a->any || a->mode[i] != CONFIG_MODE_OFF;
	}
	a->normal = (uint32_t)v[ADMISSION_NORMAL].n;
	a->miss_factor = (uint32_t)v[ADMISSION_MISS_FACTOR].n;
	a->unknown_factor = (uint32_t)v[ADMISSION_UNKNOWN_FACTOR].n;
}

/* What must hold between the keys of an origin. */
static void origin_check(struct config_check *c, const struct config_value *v,
			 const struct config_origin *origin)
{
	struct config_builder *b = c->builder;
	char shown[CONFIG_SHOW_MAX];

	if (v[ORIGIN_TLS].given && v[ORIGIN_TRANSPORT].ok &&
	    origin->transport != CONFIG_TLS)
		config_find(c, v[ORIGIN_TLS].node,
			    "\"tls\" needs \"transport\": \"tls\"");
	if (origin->address.ss_family == 0)
		return;
	if (origin->source.ss_family != 0 &&
	    origin->source.ss_family != origin->address.ss_family)
		config_find(c, v[ORIGIN_SOURCE].node,
			    "%s is not of the family of \"address\"",
			    config_quote(v[ORIGIN_SOURCE].text, shown));
	if (!v[ORIGIN_PORT].ok || !v[ORIGIN_TRANSPORT].ok)
		return;
	for (size_t i = 0; i < b->n_drafts; i++)
		if (b->drafts[i].origin.transport == origin->transport &&
		    address_equal(&b->drafts[i].origin.address,
				  &origin->address))
			config_find(c, v[ORIGIN_ADDRESS].node,
				    "the same server as [%zu]", i);
}

static void origin_built(struct config_check *c, const struct config_value *v)
{
	struct config_builder *b = c->builder;
	struct draft made = { .tls_name = b->tls_name, .tls_ca = b->tls_ca };
	struct config_origin *origin = &made.origin;
	int64_t port = v[ORIGIN_PORT].n;

	origin->transport = (enum config_transport)v[ORIGIN_TRANSPORT].n;
	origin->timeout_ms = (uint32_t)v[ORIGIN_TIMEOUT].n;
	if (v[ORIGIN_PORT].ok && !v[ORIGIN_PORT].given)
		port = origin->transport == CONFIG_TLS ? 853 : 53;
	if (v[ORIGIN_ADDRESS].given && v[ORIGIN_ADDRESS].ok) {
		config_address_parse(v[ORIGIN_ADDRESS].text, &origin->address);
		port_set(&origin->address, (uint16_t)port);
	}
	if (v[ORIGIN_SOURCE].given && v[ORIGIN_SOURCE].ok)
		config_address_parse(v[ORIGIN_SOURCE].text, &origin->source);
	if (v[ORIGIN_KEY].given && v[ORIGIN_KEY].ok)
		dname_parse(v[ORIGIN_KEY].text, &origin->key);
	origin_check(c, v, origin);
	if (b->n_drafts < CONFIG_ORIGINS_MAX)
		b->drafts[b->n_drafts++] = made;
}

static bool text_is(const char *kept, struct slice text)
{
	if (kept == NULL || text.p == NULL)
		return kept == NULL && text.p == NULL;
	return slice_is(text, kept);
}

/* Compares all but the TLS strings. */
static bool origin_equal(const struct config_origin *a,
			 const struct config_origin *b)
{
	return address_equal(&a->address, &b->address) &&
	       address_equal(&a->source, &b->source) &&
	       a->transport == b->transport && dname_equal(&a->key, &b->key) &&
	       a->timeout_ms == b->timeout_ms;
}

static bool drafts_are(const struct config_builder *b,
		       const struct config_zone *zone)
{
	if (zone->n_origins != b->n_drafts)
		return false;
	for (size_t i = 0; i < b->n_drafts; i++) {
		const struct config_origin *kept = &zone->origins[i];
		const struct draft *draft = &b->drafts[i];
		if (!origin_equal(kept, &draft->origin) ||
		    !text_is(kept->tls_name, draft->tls_name) ||
		    !text_is(kept->tls_ca, draft->tls_ca))
			return false;
	}
	return true;
}

static int text_keep(struct config_builder *b, struct slice text,
		     const char **kept)
{
	if (text.p == NULL)
		return 0;
	*kept = config_arena_text(&b->arena, text);
	return *kept != NULL ? 0 : -ENOMEM;
}

/* Keeps the drafts as the zone's origins, or those of the zone before. */
static int origins_keep(struct config_builder *b, struct config_zone *zone)
{
	const struct config *config = b->config;
	int rc = 0;

	zone->n_origins = b->n_drafts;
	if (config->n_zones > 0 &&
	    drafts_are(b, &b->zones[config->n_zones - 1])) {
		zone->origins = b->zones[config->n_zones - 1].origins;
		return 0;
	}

	struct config_origin *origins =
		config_arena_alloc(&b->arena, b->n_drafts * sizeof(*origins));
	if (origins == NULL)
		return -ENOMEM;
	for (size_t i = 0; rc == 0 && i < b->n_drafts; i++) {
		origins[i] = b->drafts[i].origin;
		rc = text_keep(b, b->drafts[i].tls_name, &origins[i].tls_name);
		if (rc == 0)
			rc = text_keep(b, b->drafts[i].tls_ca,
				       &origins[i].tls_ca);
	}
	zone->origins = origins;
	return rc;
}

/* The name of a zone: its "name", or its key. */
static int zone_name(struct config_check *c, uint32_t node,
		     const struct config_value *v, struct dname *name)
{
	struct slice key = c->json->nodes[node].key;
	char shown[CONFIG_SHOW_MAX];

	if (v[ZONE_NAME].given)
		return v[ZONE_NAME].ok ? dname_parse(v[ZONE_NAME].text, name)
				       : -EINVAL;
	if (dname_parse(key, name) == 0)
		return 0;
	if (key.n >= 1 && key.n <= SCHEMA_NAME_MAX)
		config_find(c, node,
			    "%s is not a domain name, and there is no \"name\"",
			    config_quote(key, shown));
	return -EINVAL;
}

static int zone_built(struct config_check *c, uint32_t node,
		      const struct config_value *v, bool clean)
{
	struct config_builder *b = c->builder;
	struct dname name;
	struct config_name as = { .node = node,
				  .by_itself = v[ZONE_NAME].given };

	if (zone_name(c, node, v, &name) != 0)
		return 0;
	int rc = config_name_keep(&b->scratch, b->zone_names, &b->n_zone_names,
				  &name, &as);
	if (rc != 0 || !clean)
		return rc;

	struct config_zone *zone = &b->zones[b->config->n_zones];
	*zone = (struct config_zone){
		.id = config_arena_text(&b->arena, c->json->nodes[node].key),
		.name = name,
		.ttl_min_s = b->ttl_min_s,
		.ttl_max_s = b->ttl_max_s,
		.ttl_negative_max_s = b->ttl_negative_max_s,
		.stale_s = seconds(&v[ZONE_STALE]),
		.prefetch = v[ZONE_PREFETCH].n != 0,
		.client_timeout_ms = (uint32_t)v[ZONE_CLIENT_TIMEOUT].n,
		.poll_s = seconds(&v[ZONE_POLL]),
		.names = (enum config_names)v[ZONE_NAMES].n,
		.fill = (enum config_fill)v[ZONE_FILL].n,
		.fill_max = (uint32_t)v[ZONE_FILL_MAX].n,
		.admission = b->admission,
		.line = c->json->nodes[node].line,
	};
	zone->admission.origin_rate = (uint32_t)v[ZONE_ORIGIN_RATE].n;
	rc = origins_keep(b, zone);
	if (rc == 0)
		b->config->n_zones++;
	return zone->id != NULL ? rc : -ENOMEM;
}

/* The socket, by default in the state directory. */
static int socket_keep(struct config_check *c)
{
	struct config_builder *b = c->builder;
	struct slice directory = slice_of(b->config->state_directory);
	char path[CONFIG_SOCKET_MAX + 1];

	if (b->config->control_socket != NULL)
		return 0;
	if (directory.n > 0 && directory.p[directory.n - 1] == '/')
		directory.n--;
	size_t n = directory.n + strlen("/control.sock");
	if (n > CONFIG_SOCKET_MAX) {
		config_enter(c, slice_of("cache"), 0);
		config_enter(c, slice_of("state-directory"), 0);
		config_find(c, b->cache_node,
			    "too long for a socket in it (%zu octets, want at "
			    "most %u): give \"control\" a \"socket\"",
			    n, CONFIG_SOCKET_MAX);
		config_leave(c);
		config_leave(c);
		return 0;
	}
	snprintf(path, sizeof(path), "%.*s/control.sock", (int)directory.n,
		 directory.p);
	return text_keep(b, slice_of(path), &b->config->control_socket);
}

static int root_built(struct config_check *c, const struct config_value *v,
		      bool clean)
{
	struct config_builder *b = c->builder;
	struct config *config = b->config;

	config_enter(c, slice_of("zones"), 0);
	config_overlaps(c, b->zone_names, b->n_zone_names, "zone");
	config_leave(c);
	config_traffic_end(c, &b->traffic, b->zone_names, b->n_zone_names,
			   config->feed_interval_ms);
	config_clients_end(c, &b->clients);

	config->serial = (uint64_t)v[ROOT_SERIAL].n;
	if (!clean || c->rc != 0)
		return c->rc;
	config_traffic_keep(c, &b->traffic, config);
	config_clients_keep(&b->clients, config);
	config->latency = b->near.latency;
	config->reach = b->near.reach;
	return c->rc != 0 ? c->rc : socket_keep(c);
}

/* Where to listen: into 'to', which has room for the list.  Returns how many.
 */
static size_t listen_built(const struct config_check *c,
			   const struct config_value *list,
			   const struct config_value *port,
			   struct sockaddr_storage *to)
{
	for (size_t i = 0; list->ok && i < list->count; i++) {
		(void)config_address_parse(c->elements[list->first + i].text,
					   &to[i]);
		port_set(&to[i], (uint16_t)port->n);
	}
	return list->ok ? list->count : 0;
}

static int cache_built(struct config_builder *b, const struct config_value *v)
{
	b->config->cache_size_bytes = (uint64_t)v[CACHE_SIZE].n;
	b->config->snapshot_s = seconds(&v[CACHE_SNAPSHOT]);
	if (v[CACHE_STATE_DIRECTORY].given)
		b->cache_node = v[CACHE_STATE_DIRECTORY].node;
	return text_keep(b, v[CACHE_STATE_DIRECTORY].text,
			 &b->config->state_directory);
}

static void journal_built(struct config_check *c, const struct config_value *v)
{
	struct config *config = c->builder->config;
	const struct config_value *size = &v[JOURNAL_KEY_SIZE];

	if (size->ok && size->n > 0 && size->n < CONFIG_JOURNAL_LEAST)
		config_find(c, size->node,
			    "\"size\" is too small, want 0B (none) or at "
			    "least 1MiB");
	config->journal_bytes = (uint64_t)size->n;
	config->journal_decisions = (uint32_t)v[JOURNAL_KEY_DECISIONS].n;
	config->journal_age_s = seconds(&v[JOURNAL_KEY_AGE]);
}

void config_built(struct config_check *c, enum schema_block_id id,
		  uint32_t node, const struct config_value *v, bool clean)
{
	struct config_builder *b = c->builder;

	if (config_traffic_built(c, &b->traffic, id, node, v, clean) ||
	    config_clients_built(c, &b->clients, id, node, v, clean) ||
	    config_near_built(c, &b->near, id, node, v, clean))
		return;
	switch (id) {
	case SCHEMA_ROOT:
		c->rc = root_built(c, v, clean);
		return;
	case SCHEMA_CACHE:
		c->rc = cache_built(b, v);
		return;
	case SCHEMA_CONTROL:
		c->rc = text_keep(b, v[CONTROL_SOCKET].text,
				  &b->config->control_socket);
		return;
	case SCHEMA_LIMITS:
		b->config->waiters_max = (uint32_t)v[LIMITS_WAITERS].n;
		b->config->groups_max = (uint32_t)v[LIMITS_GROUPS].n;
		b->config->clients_max = (uint32_t)v[LIMITS_CLIENTS].n;
		b->config->known_max = (uint32_t)v[LIMITS_KNOWN].n;
		return;
	case SCHEMA_JOURNAL:
		journal_built(c, v);
		return;
	case SCHEMA_ZONE:
		c->rc = zone_built(c, node, v, clean);
		b->n_drafts = 0;
		return;
	case SCHEMA_ORIGIN:
		origin_built(c, v);
		return;
	case SCHEMA_TLS:
		tls_built(b, v);
		return;
	case SCHEMA_TTL:
		ttl_built(c, v);
		return;
	case SCHEMA_ADMISSION:
		admission_built(b, v);
		return;
	case SCHEMA_FEED:
		b->config->feed_rows = (uint32_t)v[FEED_ROWS].n;
		b->config->feed_interval_ms = (uint32_t)v[FEED_INTERVAL].n;
		return;
	case SCHEMA_NOTIFY:
		b->config->n_notify =
			listen_built(c, &v[NOTIFY_ADDRESS], &v[NOTIFY_PORT],
				     b->config->notify);
		return;
	case SCHEMA_METRICS:
		b->config->n_metrics =
			listen_built(c, &v[METRICS_ADDRESS], &v[METRICS_PORT],
				     b->config->metrics);
		return;
	default: /* config_traffic_built() has taken it */
		return;
	}
}

size_t config_members(const struct jsontext *json, const char *key)
{
	uint32_t node = jsontext_member(json, 0, key);
	const struct jsontext_node *at = &json->nodes[node];

	if (node == 0 || at->kind != JSONTEXT_OBJECT ||
	    at->n > CONFIG_ZONES_MAX)
		return 0;
	return at->n;
}

int config_builder_new(const char *file, const struct jsontext *json,
		       struct config_builder **builderp)
{
	size_t n_zones = config_members(json, "zones");
	struct config_builder *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->config = calloc(1, sizeof(*b->config));
	b->near.arena = &b->arena;
	b->near.aspath_node = CONFIG_NO_NODE;
	b->zones =
		config_arena_alloc(&b->arena, n_zones * sizeof(*b->zones) + 1);
	b->zone_names = calloc(n_zones + 1, sizeof(*b->zone_names));
	int rc = config_traffic_init(&b->traffic, &b->arena, json);
	if (rc == 0)
		rc = config_clients_init(&b->clients, &b->arena, json);
	char *name = config_arena_text(&b->arena, slice_of(file));
	if (b->config == NULL || b->zones == NULL || b->zone_names == NULL ||
	    name == NULL || rc != 0) {
		config_builder_free(b);
		return -ENOMEM;
	}
	b->config->file = name;
	b->config->zones = b->zones;
	*builderp = b;
	return 0;
}

int config_builder_refs(struct config_check *c)
{
	return config_traffic_refs(&c->builder->traffic, c);
}

struct config *config_builder_done(struct config_builder *b)
{
	struct config *config = b->config;

	config->arena = b->arena;
	b->arena = NULL;
	b->config = NULL;
	config_builder_free(b);
	return config;
}

void config_builder_free(struct config_builder *b)
{
	if (b == NULL)
		return;
	config_arena_free(b->arena);
	config_arena_free(b->scratch);
	free(b->config);
	free(b->zone_names);
	config_traffic_fini(&b->traffic);
	config_clients_fini(&b->clients);
	config_near_fini(&b->near);
	free(b);
}

bool config_origins_equal(const struct config_zone *a,
			  const struct config_zone *b)
{
	if (a->n_origins != b->n_origins)
		return false;
	if (a->origins == b->origins)
		return true;
	for (size_t i = 0; i < a->n_origins; i++) {
		const struct config_origin *x = &a->origins[i];
		const struct config_origin *y = &b->origins[i];
		struct slice name = { 0 }, ca = { 0 };
		if (y->tls_name != NULL)
			name = slice_of(y->tls_name);
		if (y->tls_ca != NULL)
			ca = slice_of(y->tls_ca);
		if (!origin_equal(x, y) || !text_is(x->tls_name, name) ||
		    !text_is(x->tls_ca, ca))
			return false;
	}
	return true;
}
