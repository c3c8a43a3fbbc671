/* SPDX-License-Identifier: MPL-2.0 */
/* The client map: against libmaxminddb, by brute force, and with bad files. */
#include "gtm/clients.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <maxminddb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_kit.h"
#include "gtm/geo.h"

#define RANDOM_CLIENTS 40000u
#define FLIPS	       400u

static char directory[64];
static const char *source;

static uint64_t seed = 7;
static uint32_t rnd(void)
{
	seed = seed * UINT64_C(6364136223846793005) +
	       UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33);
}

static const char *database(const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/tests/mmdb/%s", source, name);
	return out;
}

/* A configuration with those rules. */
static struct config *config_with(const char *rules)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "{\"version\":1,\"clients\":{%s}}",
		       rules);
	return good(text);
}

static int open_all(const struct config *config, const char *const *names,
		    struct gtm_geo **geo, struct gtm_source *sources)
{
	char path[512];
	struct gtm_geo_tried tried;
	int rc = 0;

	for (size_t i = 0; rc == 0 && names[i] != NULL; i++) {
		rc = gtm_geo_open(database(names[i], path, sizeof(path)),
				  directory, &config->geo, NULL, &geo[i],
				  &tried);
		if (rc == 0)
			sources[i] = gtm_geo_source(geo[i]);
	}
	return rc;
}

/* The map of all of them. */
static struct gtm_clients *map_of(const struct config *config,
				  const char *const *names)
{
	struct gtm_geo *geo[CONFIG_GEO_MAX] = { NULL };
	struct gtm_source sources[CONFIG_GEO_MAX];
	struct gtm_clients *map = NULL;
	size_t n = 0;

	assert_int_equal(open_all(config, names, geo, sources), 0);
	while (names[n] != NULL)
		n++;
	assert_int_equal(gtm_clients_new(config, sources, n, NULL, &map), 0);
	for (size_t i = 0; i < n; i++)
		gtm_geo_close(geo[i]);
	return map;
}

static struct gtm_client client_of(const char *text)
{
	struct config_prefix prefix;
	struct gtm_client client = { 0 };

	assert_int_equal(config_prefix_parse(slice_of(text), &prefix), 0);
	client.v6 = prefix.v6;
	client.bits = prefix.bits;
	memcpy(client.address, prefix.address, 16);
	return client;
}

static const struct gtm_place *find(const struct gtm_clients *map,
				    const char *text, uint8_t *scope)
{
	struct gtm_client client = client_of(text);

	return gtm_clients_find(map, &client, scope);
}

/* -- against the reference ------------------------------------------------- */

static MMDB_lookup_result_s reference(const MMDB_s *mmdb,
				      const struct gtm_client *client)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in = (void *)&ss;
	struct sockaddr_in6 *in6 = (void *)&ss;
	int rc = 0;

	ss.ss_family = client->v6 ? AF_INET6 : AF_INET;
	if (client->v6)
		memcpy(&in6->sin6_addr, client->address, 16);
	else
		memcpy(&in->sin_addr, client->address, 4);
	MMDB_lookup_result_s r =
		MMDB_lookup_sockaddr(mmdb, (struct sockaddr *)&ss, &rc);
	assert_int_equal(rc, MMDB_SUCCESS);
	return r;
}

static uint16_t country_of(MMDB_lookup_result_s *r, const char *block)
{
	MMDB_entry_data_s data;

	if (!r->found_entry ||
	    MMDB_get_value(&r->entry, &data, block, "iso_code", NULL) != 0 ||
	    !data.has_data)
		return 0;
	return (uint16_t)(data.utf8_string[0] << 8 | data.utf8_string[1]);
}

static void check_city(const struct gtm_place *place, MMDB_lookup_result_s *r)
{
	uint16_t country = country_of(r, "country");
	MMDB_entry_data_s data;

	if (country == 0)
		country = country_of(r, "registered_country");
	assert_int_equal(place->country, country);
	bool located = r->found_entry &&
		       MMDB_get_value(&r->entry, &data, "location", "latitude",
				      NULL) == 0 &&
		       data.has_data;
	assert_int_equal(place->located, located);
	if (located)
		assert_true(fabs((double)place->latitude - data.double_value) <
			    0.001);
}

static uint32_t as_of(MMDB_lookup_result_s *r)
{
	MMDB_entry_data_s data;

	if (!r->found_entry ||
	    MMDB_get_value(&r->entry, &data, "autonomous_system_number",
			   NULL) != 0 ||
	    !data.has_data)
		return 0;
	return data.uint32;
}

/* Tunnels' prefixes are IPv4's addresses once more: left out of the map. */
static bool is_tunnel(const struct gtm_client *c)
{
	static const uint8_t zero[8] = { 0 };

	return c->v6 && ((c->address[0] == 0x20 && c->address[1] == 0x02) ||
			 (c->address[0] == 0x20 && c->address[1] == 0x01 &&
			  c->address[2] == 0 && c->address[3] == 0) ||
			 memcmp(c->address, zero, 8) == 0);
}

/* Addresses near each other's, so that networks of a test file are met. */
static void client_random(struct gtm_client *c, const uint8_t near[16])
{
	unsigned int keep = rnd() % 17;

	for (unsigned int i = 0; i < 16; i++)
		c->address[i] = i < keep ? near[i] : (uint8_t)rnd();
	c->bits = c->v6 ? 128 : 32;
	if (c->v6 && keep == 0)
		c->address[0] = 0x20;
}

static struct gtm_client first_of(bool v6, const struct gtm_span *span)
{
	struct gtm_client c = { .v6 = v6 };

	for (unsigned int i = 0; i < 8; i++) {
		c.address[i] = (uint8_t)(span->hi >> (56 - 8 * i));
		c.address[8 + i] = (uint8_t)(span->lo >> (56 - 8 * i));
	}
	return c;
}

/* The first address of every network of the file. */
static size_t networks_of(const char *name, struct gtm_client *out, size_t max)
{
	const char *const names[] = { name, NULL };
	struct config *config = config_with("");
	struct gtm_geo *geo[1] = { NULL };
	struct gtm_source s[1];
	struct gtm_span span;
	size_t n = 0;

	assert_int_equal(open_all(config, names, geo, s), 0);
	for (int f = 0; f < 2; f++) {
		s->begin(s->arg, f != 0);
		while (n < max && s->next(s->arg, &span) == 1)
			out[n++] = first_of(f != 0, &span);
	}
	gtm_geo_close(geo[0]);
	config_free(config);
	return n;
}

static void is_what_libmaxminddb_says(void **state)
{
	static const char *const names[] = { "GeoIP2-City-Test.mmdb",
					     "GeoLite2-ASN-Test.mmdb", NULL };
	struct config *config = config_with("");
	struct gtm_clients *map = map_of(config, names);
	static struct gtm_client known[4096];
	size_t n = networks_of(names[0], known, 4096);
	MMDB_s city, as;
	char path[512];
	uint8_t scope;

	(void)state;
	assert_true(n > 200);
	assert_int_equal(
		MMDB_open(database(names[0], path, sizeof(path)), 0, &city), 0);
	assert_int_equal(
		MMDB_open(database(names[1], path, sizeof(path)), 0, &as), 0);
	for (size_t i = 0; i < n + RANDOM_CLIENTS; i++) {
		struct gtm_client c = known[i < n ? i : rnd() % n];
		c.bits = c.v6 ? 128 : 32;
		if (i >= n)
			client_random(&c, known[rnd() % n].address);
		if (is_tunnel(&c))
			continue;
		const struct gtm_place *place =
			gtm_clients_find(map, &c, &scope);
		MMDB_lookup_result_s r = reference(&city, &c);
		check_city(place, &r);
		r = reference(&as, &c);
		assert_int_equal(place->as, as_of(&r));
		assert_int_equal(place->rule, CONFIG_NONE);
	}
	MMDB_close(&city);
	MMDB_close(&as);
	gtm_clients_free(map);
	config_free(config);
}

/* -- rules ----------------------------------------------------------------- */

static void assert_rule(const struct gtm_clients *map,
			const struct config *config, const char *client,
			const char *want)
{
	uint8_t scope;
	const struct gtm_place *place = find(map, client, &scope);
	const char *got = place->rule != CONFIG_NONE
				  ? config->clients[place->rule].id
				  : "";

	if (strcmp(got, want) != 0)
		print_message("%s: %s\n", client, got);
	assert_string_equal(got, want);
}

static void prefix_then_as_country_continent(void **state)
{
	static const char *const names[] = { "GeoIP2-City-Test.mmdb",
					     "GeoLite2-ASN-Test.mmdb", NULL };
	struct config *config =
		config_with("\"all\":{\"prefixes\":[\"0.0.0.0/0\"]},"
			    "\"gb\":{\"countries\":[\"GB\"]},"
			    "\"eu\":{\"continents\":[\"EU\",\"AS\"]},"
			    "\"as\":{\"as\":[1221,7018]},"
			    "\"net\":{\"prefixes\":[\"81.2.69.128/25\","
			    "\"12.81.92.0/23\",\"10.0.0.0/8\"],"
			    "\"location\":[-10,20]},"
			    "\"deep\":{\"prefixes\":[\"10.1.2.3/32\","
			    "\"2001:db8::/32\"]}");
	struct gtm_clients *map = map_of(config, names);
	uint8_t scope;

	(void)state;
	assert_rule(map, config, "81.2.69.160", "net");
	assert_rule(map, config, "81.2.69.1", "all");
	assert_rule(map, config, "2.125.160.216", "gb");
	assert_rule(map, config, "89.160.20.112", "eu");
	assert_rule(map, config, "12.81.92.1", "net");
	assert_rule(map, config, "12.81.96.1", "as");
	assert_rule(map, config, "1.128.0.5", "as");
	assert_rule(map, config, "10.1.2.3", "deep");
	assert_rule(map, config, "10.1.2.4", "net");
	assert_rule(map, config, "192.0.2.1", "all");
	assert_rule(map, config, "2001:db8:1::", "deep");
	assert_rule(map, config, "2001:db9::", "");

	/* what the rule says of where they are holds */
	const struct gtm_place *place = find(map, "81.2.69.160", &scope);
	assert_int_equal(place->country, 'G' << 8 | 'B');
	assert_int_equal(place->continent, CONFIG_EU);
	assert_true(place->located);
	assert_true(place->latitude == -10.0f && place->longitude == 20.0f);
	place = find(map, "2.125.160.216", &scope);
	assert_true(fabsf(place->latitude - 51.75f) < 0.01f);
	place = find(map, "10.1.2.3", &scope);
	assert_false(place->located);
	assert_int_equal(scope, 32);
	place = find(map, "10.1.2.0/24", &scope);
	assert_int_equal(scope, 24);
	assert_string_equal(config->clients[place->rule].id, "net");
	gtm_clients_free(map);
	config_free(config);
}

static void nothing_is_known_without_any(void **state)
{
	struct config *config = good("{\"version\":1}");
	struct gtm_clients *map = NULL;
	struct gtm_clients_size size;
	uint8_t scope = 9;

	(void)state;
	assert_int_equal(gtm_clients_new(config, NULL, 0, NULL, &map), 0);
	const struct gtm_place *place = find(map, "192.0.2.1", &scope);
	assert_int_equal(place->rule, CONFIG_NONE);
	assert_false(place->located);
	assert_int_equal(scope, 0);
	place = find(map, "2001:db8::1", &scope);
	assert_int_equal(scope, 0);
	gtm_clients_measure(map, &size);
	assert_int_equal(size.places, 1);
	assert_int_equal(size.nodes, 0);
	gtm_clients_free(map);
	config_free(config);
}

/* -- random rules: a naive reference, and the scope -------------------------
 */

#define RULES 300u

struct naive {
	struct config_prefix prefix[RULES];
	size_t n;
};

static bool covers(const struct config_prefix *p, const struct gtm_client *c)
{
	if (p->v6 != c->v6)
		return false;
	for (unsigned int i = 0; i < p->bits; i++)
		if (((p->address[i / 8] ^ c->address[i / 8]) &
		     (0x80u >> i % 8)) != 0)
			return false;
	return true;
}

/* The index of the longest prefix that covers, or CONFIG_NONE. */
static uint32_t naive_find(const struct naive *all, const struct gtm_client *c)
{
	uint32_t best = CONFIG_NONE;

	for (uint32_t i = 0; i < all->n; i++)
		if (covers(&all->prefix[i], c) &&
		    (best == CONFIG_NONE ||
		     all->prefix[i].bits > all->prefix[best].bits))
			best = i;
	return best;
}

/* Prefixes that lie in each other, and crowd; each is a rule. */
static void naive_make(struct naive *all, struct config_clients *rules,
		       const struct config_prefix *base)
{
	all->n = 0;
	while (all->n < RULES) {
		struct config_prefix p = *base;
		size_t at = all->n, same = 0;
		if (at > 0 && rnd() % 4 != 0)
			p = all->prefix[rnd() % at];
		unsigned int size = p.v6 ? 128 : 32;
		unsigned int bits = rnd() % 3 == 0 ? rnd() % (size + 1)
						   : p.bits + rnd() % 12;
		p.bits = (uint8_t)(bits <= size ? bits : size);
		for (unsigned int i = 0; i < 16; i++)
			if (rnd() % 3 == 0)
				p.address[i] ^= (uint8_t)(1u << rnd() % 8);
		for (unsigned int i = p.bits; i < 128; i++)
			p.address[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
		while (same < at && memcmp(&all->prefix[same], &p, sizeof(p)))
			same++;
		if (same < at)
			continue;
		all->prefix[at] = p;
		rules[at] =
			(struct config_clients){ .n_prefixes = 1,
						 .prefixes = &all->prefix[at] };
		all->n++;
	}
}

/* Changes the bits behind 'bits' at random. */
static struct gtm_client vary(struct gtm_client c, unsigned int bits)
{
	unsigned int size = c.v6 ? 128 : 32;

	for (unsigned int i = bits; i < size; i++)
		if (rnd() % 2 == 0)
			c.address[i / 8] ^= (uint8_t)(0x80u >> i % 8);
	c.bits = (uint8_t)size;
	return c;
}

static void check_scope(const struct naive *all, const struct gtm_clients *map,
			struct gtm_client c)
{
	unsigned int size = c.v6 ? 128 : 32;
	uint8_t scope, other;
	const struct gtm_place *place = gtm_clients_find(map, &c, &scope);

	assert_int_equal(place->rule, naive_find(all, &c));
	assert_true(scope <= size);
	for (unsigned int i = 0; i < 8; i++) {
		struct gtm_client near = vary(c, scope);
		assert_ptr_equal(gtm_clients_find(map, &near, &other), place);
		assert_int_equal(other, scope);
		assert_int_equal(naive_find(all, &near), place->rule);
	}
	/* a shorter prefix is its first address */
	c.bits = (uint8_t)(1 + rnd() % size);
	place = gtm_clients_find(map, &c, &other);
	assert_true(other <= c.bits);
	gtm_client_clear(&c);
	scope = c.bits;
	c.bits = (uint8_t)size;
	assert_int_equal(place->rule, naive_find(all, &c));
	const struct gtm_place *whole = gtm_clients_find(map, &c, &other);
	assert_ptr_equal(whole, place);
}

static void holds_for_all_in_the_scope(void **state)
{
	static struct naive all;
	static struct config_clients rules[RULES];

	(void)state;
	for (unsigned int round = 0; round < 12; round++) {
		struct config_prefix base = { .v6 = round % 2 != 0 };
		struct config config = { .n_clients = RULES, .clients = rules };
		struct gtm_clients *map = NULL;
		for (unsigned int i = 0; i < (base.v6 ? 16u : 4u); i++)
			base.address[i] = (uint8_t)rnd();
		base.bits = (uint8_t)(rnd() % 24);
		naive_make(&all, rules, &base);
		assert_int_equal(gtm_clients_new(&config, NULL, 0, NULL, &map),
				 0);
		for (unsigned int i = 0; i < 3000; i++) {
			const struct config_prefix *p =
				&all.prefix[rnd() % RULES];
			struct gtm_client c = { .v6 = p->v6 };
			memcpy(c.address, p->address, 16);
			c = vary(c, i % 3 == 0 ? p->bits : p->bits + 4u);
			check_scope(&all, map, c);
		}
		gtm_clients_free(map);
	}
}

/* So much in one place that a table takes the place of nodes. */
static void knows_crowds(void **state)
{
	static struct config_prefix prefix[20000];
	static struct config_clients rules[20000];
	struct config config = { .n_clients = 20000, .clients = rules };
	struct gtm_clients *map = NULL;
	uint8_t scope;

	(void)state;
	/* 2001:0:0:.. to 2001:4e1f:.., and of some the next 24 bits */
	for (uint32_t i = 0; i < 20000; i++) {
		prefix[i].v6 = true;
		prefix[i].bits = i % 3 == 0 ? 32 : 56;
		prefix[i].address[0] = 0x20;
		prefix[i].address[1] = 0x01;
		prefix[i].address[2] = (uint8_t)(i >> 8);
		prefix[i].address[3] = (uint8_t)i;
		for (unsigned int k = 4; k < 7 && i % 3 != 0; k++)
			prefix[i].address[k] = (uint8_t)rnd();
		rules[i].n_prefixes = 1;
		rules[i].prefixes = &prefix[i];
	}
	assert_int_equal(gtm_clients_new(&config, NULL, 0, NULL, &map), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		struct gtm_client c = { .v6 = true };
		memcpy(c.address, prefix[i].address, 16);
		c = vary(c, prefix[i].bits);
		assert_int_equal(gtm_clients_find(map, &c, &scope)->rule, i);
		assert_int_equal(scope, prefix[i].bits);
		if (i % 3 == 0)
			continue;
		c.address[6] ^= 1;
		assert_int_equal(gtm_clients_find(map, &c, &scope)->rule,
				 CONFIG_NONE);
		assert_int_equal(scope, 56);
	}
	gtm_clients_free(map);
}

/* -- distances ------------------------------------------------------------- */

static double exact_ms(double n1, double e1, double n2, double e2)
{
	double r = 3.14159265358979323846 / 180;
	double a = sin((n2 - n1) * r / 2), b = sin((e2 - e1) * r / 2);
	double h = a * a + cos(n1 * r) * cos(n2 * r) * b * b;

	return 2 * asin(sqrt(h > 1 ? 1 : h)) * 6371.0088 /
	       (299.792458 * 4 / 9) * 2;
}

static void estimates_by_the_great_circle(void **state)
{
	static const double pairs[][4] = {
		{ 50.11, 8.68, 50.11, 8.68 },  /* nowhere to go */
		{ 51.5, -0.1, 40.7, -74 },     /* London, New York */
		{ -18, 179.9, -18, -179.9 },   /* over the 180th meridian */
		{ 90, 0, 90, 123 },	       /* a pole is one point */
		{ 90, 0, -90, 0 },	       /* as far as it gets */
		{ 89.9, 10, 89.9, -170 },      /* over the pole */
		{ 35.7, 139.7, 37.8, -122.4 }, /* Tokyo, San Francisco */
		{ 0, 0, 0, 180 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]) + 1000; i++) {
		double p[4];
		if (i < sizeof(pairs) / sizeof(pairs[0])) {
			memcpy(p, pairs[i], sizeof(p));
		} else {
			for (size_t k = 0; k < 4; k++)
				p[k] = (double)(rnd() % 36001) / 100 - 180;
			p[0] /= 2;
			p[2] /= 2;
		}
		struct gtm_vector a = gtm_vector_of(p[0], p[1]);
		struct gtm_vector b = gtm_vector_of(p[2], p[3]);
		double ms = (double)gtm_vector_ms(&a, &b);
		assert_true(fabs(ms - exact_ms(p[0], p[1], p[2], p[3])) < 0.06);
	}
}

static void knows_continents(void **state)
{
	(void)state;
	assert_int_equal(gtm_continent_of('D' << 8 | 'E'), CONFIG_EU);
	assert_int_equal(gtm_continent_of('A' << 8 | 'U'), CONFIG_OC);
	assert_int_equal(gtm_continent_of('Z' << 8 | 'W'), CONFIG_AF);
	assert_int_equal(gtm_continent_of('V' << 8 | 'E'), CONFIG_SA);
	assert_int_equal(gtm_continent_of('Z' << 8 | 'Z'), 0);
}

/* -- bad files ------------------------------------------------------------- */

/* Opens and reads all of it; 0 or -errno. */
static int try(const char *path, char *why)
{
	struct config *config = good("{\"version\":1}");
	struct gtm_geo *geo = NULL;
	struct gtm_clients *map = NULL;
	struct gtm_geo_tried tried;

	int rc =
		gtm_geo_open(path, directory, &config->geo, NULL, &geo, &tried);
	(void)snprintf(why, ERR_TEXT_MAX, "%s", tried.why);
	if (rc == 0) {
		struct gtm_source s = gtm_geo_source(geo);
		rc = gtm_clients_new(config, &s, 1, NULL, &map);
		if (rc == -EBADMSG && gtm_geo_why(geo) != NULL)
			(void)snprintf(why, ERR_TEXT_MAX, "%s",
				       gtm_geo_why(geo));
		gtm_geo_close(geo);
	}
	gtm_clients_free(map);
	config_free(config);
	return rc;
}

static void refuses_bad_files(void **state)
{
	char path[512], why[ERR_TEXT_MAX];
	size_t n = 0;

	(void)state;
	DIR *dir = opendir(database("bad", path, sizeof(path)));
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char name[300];
		if (strstr(e->d_name, ".mmdb") == NULL)
			continue;
		(void)snprintf(name, sizeof(name), "bad/%s", e->d_name);
		int rc = try(database(name, path, sizeof(path)), why);
		if (rc != -EBADMSG)
			print_message("%s: %d %s\n", name, rc, why);
		n++;
		assert_int_equal(rc, -EBADMSG);
		assert_true(why[0] != '\0');
	}
	closedir(dir);
	assert_int_equal(n, 8);
	assert_int_equal(try("/nonexistent.mmdb", why), -ENOENT);
	assert_int_equal(try("/", why), -EBADMSG);
	assert_int_equal(try(database("MaxMind-DB-test-decoder.mmdb", path,
				      sizeof(path)),
			     why),
			 0);
	assert_int_equal(try(database("MaxMind-DB-test-mixed-32.mmdb", path,
				      sizeof(path)),
			     why),
			 0);
}

static size_t file_read(const char *path, uint8_t *out, size_t max)
{
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	size_t n = fread(out, 1, max, f);
	(void)fclose(f);
	return n;
}

static void file_write(const char *path, const uint8_t *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* Some octets are others, or the end is missing: nothing worse than no. */
static void survives_damage(void **state)
{
	static const char *const names[] = { "GeoIP2-City-Test.mmdb",
					     "GeoLite2-ASN-Test.mmdb" };
	static uint8_t whole[65536], damaged[65536];
	char path[512], to[128], why[ERR_TEXT_MAX];
	const char *more = getenv("NZ_FLIPS");
	unsigned long flips = more != NULL ? strtoul(more, NULL, 10) : FLIPS;

	(void)state;
	(void)snprintf(to, sizeof(to), "%s/damaged", directory);
	for (unsigned long i = 0; i < flips; i++) {
		size_t n = file_read(database(names[i % 2], path, sizeof(path)),
				     whole, sizeof(whole));
		memcpy(damaged, whole, n);
		/* the end, where the metadata are, more often */
		for (unsigned int k = 1 + rnd() % 6; k > 0; k--) {
			size_t at = rnd() % 3 == 0 ? n - 1 - rnd() % 400
						   : rnd() % n;
			damaged[at] = rnd() % 2 == 0 ? (uint8_t)rnd() : 0xff;
		}
		if (i % 16 == 0)
			n = rnd() % n;
		file_write(to, damaged, n);
		int rc = try(to, why);
		assert_true(rc == 0 || rc == -EBADMSG);
		assert_true(rc == 0 || why[0] != '\0');
	}
	(void)unlink(to);
}

static bool give_up(void *arg)
{
	return --*(int *)arg > 0;
}

static void can_be_given_up(void **state)
{
	static struct naive all;
	static struct config_clients rules[RULES];
	struct config_prefix base = { .bits = 8 };
	struct config config = { .n_clients = RULES, .clients = rules };
	struct gtm_clients *map = NULL;
	int left = 1;
	struct gtm_pace pace = { give_up, &left };

	(void)state;
	naive_make(&all, rules, &base);
	assert_int_equal(gtm_clients_new(&config, NULL, 0, &pace, &map),
			 -ECANCELED);
	assert_null(map);
}

static int make_directory(void **state)
{
	(void)state;
	source = getenv("srcdir");
	if (source == NULL)
		source = ".";
	(void)snprintf(directory, sizeof(directory), "/tmp/nz-geo-XXXXXX");
	return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory); /* also: no copy is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_what_libmaxminddb_says),
		cmocka_unit_test(prefix_then_as_country_continent),
		cmocka_unit_test(nothing_is_known_without_any),
		cmocka_unit_test(holds_for_all_in_the_scope),
		cmocka_unit_test(knows_crowds),
		cmocka_unit_test(estimates_by_the_great_circle),
		cmocka_unit_test(knows_continents),
		cmocka_unit_test(refuses_bad_files),
		cmocka_unit_test(survives_damage),
		cmocka_unit_test(can_be_given_up),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
