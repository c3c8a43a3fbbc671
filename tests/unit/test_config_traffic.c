/* SPDX-License-Identifier: MPL-2.0 */
/* What a configuration keeps of its traffic part. */
#include "common/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_kit.h"

#define PLACES                                                                 \
	"\"pops\":{\"p\":{\"location\":[50.11,-8],\"probe\":\"n1\","           \
	"\"servers\":{"                                                        \
	"\"z\":{\"addresses\":[\"192.0.2.9\",\"2001:db8::9\"],"                \
	"\"weight\":7,\"capacity\":900,\"services\":[\"web\",\"ftp\"]},"       \
	"\"a\":{\"addresses\":[\"192.0.2.1\"]}}},"                             \
	"\"o\":{\"servers\":{\"m\":{\"addresses\":[\"2001:db8::5\"],"          \
	"\"weight\":0}}},\"empty\":{}}"
#define SERVICES                                                               \
	"\"services\":{\"web\":{\"probe\":\"https\"},"                         \
	"\"ftp\":{\"probe\":\"tcp\",\"port\":21},"                             \
	"\"any\":{\"probe\":\"noload\"}}"

/* What refers to others comes before them. */
static const char network[] =
	"{\"version\":1,\n"
	"\"hostnames\":{\n"
	"\"Www.Example.COM.\":{\"service\":\"web\",\"servers\":[\"z\",\"a\"],"
	"\"backup\":[\"m\"]},\n"
	"\"b.example\":{\"service\":\"web\",\"servers\":[\"m\"],"
	"\"backup\":[\"z\"],\"hidden\":[\"a\"],\"answers\":3,\"ttl\":\"2m\","
	"\"weigh\":{\"load\":0.5,\"loss\":20},\"persist\":\"1h\","
	"\"fail\":\"last\",\"ecs\":false},\n"
	"\"c.example\":{\"servers\":[\"a\"],\"backup\":[],\"ttl\":0}},\n"
	"" PLACES ",\n" SERVICES "}";

static void sorts_services_and_servers(void **state)
{
	struct config *config = good(network);

	(void)state;
	assert_int_equal(config->n_services, 3);
	assert_string_equal(config->services[0].id, "any");
	assert_string_equal(config->services[1].id, "ftp");
	assert_string_equal(config->services[2].id, "web");
	assert_int_equal(config->n_servers, 3);
	assert_string_equal(config->servers[0].id, "a");
	assert_string_equal(config->servers[1].id, "m");
	assert_string_equal(config->servers[2].id, "z");

	/* Places and hostnames stay in the document's order. */
	assert_int_equal(config->n_pops, 3);
	assert_string_equal(config->pops[0].id, "p");
	assert_true(config->pops[0].located);
	assert_true(config->pops[0].latitude == 50.11);
	assert_true(config->pops[0].longitude == -8.0);
	assert_string_equal(config->pops[0].probe, "n1");
	assert_string_equal(config->pops[1].id, "o");
	assert_false(config->pops[1].located);
	assert_null(config->pops[1].probe);
	assert_string_equal(config->pops[2].id, "empty");
	assert_int_equal(config->n_hostnames, 3);
	assert_string_equal(config->hostnames[0].id, "Www.Example.COM.");
	assert_int_equal(config->hostnames[0].line, 3);
	assert_int_equal(config->hostnames[2].line, 5);

	const struct config_server *z = &config->servers[2];
	assert_int_equal(z->pop, 0);
	assert_int_equal(z->weight, 7);
	assert_int_equal(z->capacity, 900);
	assert_int_equal(z->n_addresses, 2);
	assert_address(&z->addresses[0], "192.0.2.9", 0);
	assert_address(&z->addresses[1], "2001:db8::9", 0);
	assert_int_equal(z->n_services, 2);
	assert_int_equal(z->services[0], 2);
	assert_int_equal(z->services[1], 1);
	assert_int_equal(config->servers[0].pop, 0);
	assert_int_equal(config->servers[0].weight, 1);
	assert_int_equal(config->servers[0].capacity, 0);
	assert_int_equal(config->servers[0].n_services, 0);
	assert_int_equal(config->servers[1].pop, 1);
	assert_int_equal(config->servers[1].weight, 0);
	config_free(config);
}

static void keeps_hostnames(void **state)
{
	struct config *config = good(network);
	const struct config_hostname *h = config->hostnames;

	(void)state;
	assert_memory_equal(h[0].name.wire, "\3www\7example\3com", 17);
	assert_int_equal(h[0].service, 2);
	assert_int_equal(h[0].n_servers[CONFIG_PRIMARY], 2);
	assert_int_equal(h[0].servers[CONFIG_PRIMARY][0], 2);
	assert_int_equal(h[0].servers[CONFIG_PRIMARY][1], 0);
	assert_int_equal(h[0].n_servers[CONFIG_BACKUP], 1);
	assert_int_equal(h[0].servers[CONFIG_BACKUP][0], 1);
	assert_int_equal(h[0].n_servers[CONFIG_HIDDEN], 0);
	assert_int_equal(h[0].answers, 1);
	assert_int_equal(h[0].ttl_s, 30);
	assert_int_equal(h[0].persist_s, 0);
	assert_int_equal(h[0].fail, CONFIG_FAIL_OPEN);
	assert_true(h[0].ecs);
	assert_true(h[0].weigh.latency == 1.0);
	assert_true(h[0].weigh.load == 0.0);

	assert_int_equal(h[1].n_servers[CONFIG_BACKUP], 1);
	assert_int_equal(h[1].servers[CONFIG_BACKUP][0], 2);
	assert_int_equal(h[1].n_servers[CONFIG_HIDDEN], 1);
	assert_int_equal(h[1].servers[CONFIG_HIDDEN][0], 0);
	assert_int_equal(h[1].answers, 3);
	assert_int_equal(h[1].ttl_s, 120);
	assert_int_equal(h[1].persist_s, 3600);
	assert_int_equal(h[1].fail, CONFIG_FAIL_LAST);
	assert_false(h[1].ecs);
	assert_true(h[1].weigh.latency == 1.0);
	assert_true(h[1].weigh.load == 0.5);
	assert_true(h[1].weigh.loss == 20.0);
	assert_true(h[1].weigh.bandwidth == 0.0);

	/* Nothing is left over from the hostname before. */
	assert_int_equal(h[2].service, CONFIG_NONE);
	assert_int_equal(h[2].n_servers[CONFIG_PRIMARY], 1);
	assert_int_equal(h[2].n_servers[CONFIG_BACKUP], 0);
	assert_int_equal(h[2].n_servers[CONFIG_HIDDEN], 0);
	assert_int_equal(h[2].ttl_s, 0);
	assert_true(h[2].weigh.load == 0.0);
	assert_true(h[2].ecs);
	config_free(config);
}

/* A service with 'keys', and after it one with none but its probe. */
static struct config *service(const char *keys)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"version\":1,\"services\":{\"a\":{\"probe\":%s},"
		 "\"b\":{\"probe\":\"https\"}}}",
		 keys);
	return good(text);
}

static void keeps_services(void **state)
{
	struct config *config = service(
		"\"https\",\"port\":8443,\"path\":\"/x?y\","
		"\"expect\":{\"status\":204,\"body\":\"o\\\"k\"},"
		"\"host\":\"Health.Example.\",\"verify\":false,"
		"\"ca-file\":\"/ca\",\"interval\":\"2s\",\"timeout\":\"1s\","
		"\"max-age\":\"4s\",\"jitter\":0,\"rise\":4,\"fall\":5");
	const struct config_service *s = config->services;

	(void)state;
	assert_int_equal(s->probe, CONFIG_HTTPS);
	assert_int_equal(s->port, 8443);
	assert_string_equal(s->path, "/x?y");
	assert_int_equal(s->expect.n_statuses, 1);
	assert_int_equal(s->expect.statuses[0].low, 204);
	assert_int_equal(s->expect.statuses[0].high, 204);
	assert_string_equal(s->expect.body, "o\"k");
	assert_string_equal(s->host, "health.example");
	assert_false(s->verify);
	assert_string_equal(s->ca_file, "/ca");
	assert_int_equal(s->interval_ms, 2000);
	assert_int_equal(s->timeout_ms, 1000);
	assert_int_equal(s->max_age_ms, 4000);
	assert_int_equal(s->jitter_pct, 0);
	assert_int_equal(s->rise, 4);
	assert_int_equal(s->fall, 5);

	/* Nothing is left over from the service before. */
	assert_int_equal(s[1].port, 443);
	assert_string_equal(s[1].path, "/");
	assert_int_equal(s[1].expect.n_statuses, 0);
	assert_null(s[1].expect.body);
	assert_null(s[1].host);
	assert_true(s[1].verify);
	assert_null(s[1].ca_file);
	assert_int_equal(s[1].interval_ms, 5000);
	assert_int_equal(s[1].timeout_ms, 1000);
	assert_int_equal(s[1].max_age_ms, 17000);
	assert_int_equal(s[1].jitter_pct, 10);
	assert_int_equal(s[1].rise, 2);
	assert_int_equal(s[1].fall, 3);
	config_free(config);
}

static void knows_ports_and_ages(void **state)
{
	static const struct {
		const char *keys;
		enum config_probe probe;
		unsigned port, max_age_ms;
	} cases[] = {
		{ "\"http\"", CONFIG_HTTP, 80, 17000 },
		{ "\"https\"", CONFIG_HTTPS, 443, 17000 },
		{ "\"http\",\"port\":1", CONFIG_HTTP, 1, 17000 },
		{ "\"tcp\",\"port\":25", CONFIG_TCP_CONNECT, 25, 17000 },
		{ "\"noload\"", CONFIG_NOLOAD, 0, 17000 },
		{ "\"http\",\"interval\":\"1m\",\"timeout\":\"60s\"",
		  CONFIG_HTTP, 80, 241000 },
		/* The longest: over what can be given, and that is fine. */
		{ "\"http\",\"interval\":\"1d\"", CONFIG_HTTP, 80, 259202000 },
		{ "\"http\",\"max-age\":8", CONFIG_HTTP, 80, 8000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *config = service(cases[i].keys);
		const struct config_service *s = &config->services[0];
		assert_int_equal(s->probe, cases[i].probe);
		assert_int_equal(s->port, cases[i].port);
		assert_int_equal(s->max_age_ms, cases[i].max_age_ms);
		config_free(config);
	}
}

static void takes_the_first_hostname_as_host(void **state)
{
	struct config *config = good(network);

	(void)state;
	assert_null(config->services[0].host); /* no hostname uses it */
	assert_null(config->services[1].host);
	assert_string_equal(config->services[2].host, "www.example.com");
	config_free(config);
}

static void keeps_domains(void **state)
{
	struct config *config = good(
		"{\"version\":1,\n"
		"\"domains\":{\n"
		"\"Gtm.Example.\":{\"ns\":[\"ns1.gtm.example\","
		"\"NS.example.org.\"]},\n"
		"\"b.example\":{\"ns\":[\"ns.example.org\"],\"ttl\":0,"
		"\"contact\":\"a\\\\.b.example\",\"negative-ttl\":\"1d\"}},\n"
		"\"hostnames\":{\"NS1.gtm.example\":{\"servers\":[\"a\"]}},\n"
		"" PLACES "," SERVICES "}");
	const struct config_domain *d = config->domains;

	(void)state;
	assert_int_equal(config->n_domains, 2);
	assert_memory_equal(d[0].name.wire, "\3gtm\7example", 13);
	assert_int_equal(d[0].n_ns, 2);
	assert_memory_equal(d[0].ns[0].wire, "\3ns1\3gtm\7example", 17);
	assert_memory_equal(d[0].ns[1].wire, "\2ns\7example\3org", 16);
	assert_int_equal(d[0].contact.n, 24);
	assert_int_equal(d[0].contact.labels, 3);
	assert_memory_equal(d[0].contact.wire, "\12hostmaster\3gtm\7example",
			    24);
	assert_int_equal(d[0].ttl_s, 3600);
	assert_int_equal(d[0].negative_ttl_s, 60);
	assert_int_equal(d[0].line, 3);
	assert_int_equal(d[1].n_ns, 1);
	assert_memory_equal(d[1].contact.wire, "\3a.b\7example", 13);
	assert_int_equal(d[1].ttl_s, 0);
	assert_int_equal(d[1].negative_ttl_s, 86400);
	config_free(config);
}

/* Where "hostmaster" does not fit any more. */
static void finds_a_contact_for_a_long_domain(void **state)
{
	char name[256] = "", text[600];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 125; i++, n += 2)
		memcpy(name + n, "a.", 3);
	snprintf(text, sizeof(text),
		 "{\"version\":1,\"domains\":{\"%s\":{\"ns\":[\"b\"]}}}", name);
	struct config *config = good(text);
	assert_int_equal(config->domains[0].name.n, 251);
	assert_memory_equal(config->domains[0].contact.wire, "\1b", 3);
	config_free(config);
}

static void keeps_the_feed(void **state)
{
	struct config *config = good("{\"version\":1}");

	(void)state;
	assert_int_equal(config->feed_rows, 200);
	assert_int_equal(config->feed_interval_ms, 1000);
	assert_int_equal(config->n_domains, 0);
	config_free(config);
	config = good("{\"version\":1,\"feed\":{\"rows\":7,"
		      "\"interval\":\"250ms\"}}");
	assert_int_equal(config->feed_rows, 7);
	assert_int_equal(config->feed_interval_ms, 250);
	config_free(config);
}

static void keeps_where_metrics_are(void **state)
{
	struct config *config = good("{\"version\":1}");

	(void)state;
	assert_int_equal(config->n_metrics, 0);
	config_free(config);
	config = good("{\"version\":1,\"metrics\":{\"address\":["
		      "\"127.0.0.1\",\"::\"]}}");
	const struct sockaddr_in *v4 = (const void *)&config->metrics[0];
	const struct sockaddr_in6 *v6 = (const void *)&config->metrics[1];
	assert_int_equal(config->n_metrics, 2);
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(v4->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(v4->sin_port, htons(CONFIG_METRICS_PORT));
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(v6->sin6_port, htons(CONFIG_METRICS_PORT));
	config_free(config);
}

/* A list is still there after blocks with lists of their own. */
static void keeps_lists_over_nested_blocks(void **state)
{
	enum { N = 200 };
	char *text = malloc(N * 80);
	size_t n = 0, max = N * 80;

	(void)state;
	assert_non_null(text);
	n += (size_t)snprintf(text, max,
			      "{\"version\":1,\"pops\":{\"p\":{"
			      "\"location\":[1.5,-2.5],\"servers\":{");
	for (unsigned i = 0; i < N; i++)
		n += (size_t)snprintf(text + n, max - n,
				      "%s\"s%03u\":{\"addresses\":["
				      "\"10.0.0.%u\",\"10.0.1.%u\"]}",
				      i > 0 ? "," : "", i, i, i);
	/* Given after the servers, and before them. */
	n += (size_t)snprintf(text + n, max - n,
			      "}},\"q\":{\"servers\":{\"x\":{\"addresses\":["
			      "\"10.0.2.1\"]}},\"location\":[3,4]}}}");
	assert_true(n < max);

	struct config *config = good(text);
	assert_true(config->pops[0].latitude == 1.5);
	assert_true(config->pops[0].longitude == -2.5);
	assert_true(config->pops[1].latitude == 3.0);
	assert_true(config->pops[1].longitude == 4.0);
	assert_int_equal(config->n_servers, N + 1);
	for (unsigned i = 0; i < N; i++) {
		const struct config_server *s = &config->servers[i];
		char want[INET_ADDRSTRLEN];
		assert_int_equal(s->n_addresses, 2);
		snprintf(want, sizeof(want), "10.0.1.%u", i);
		assert_address(&s->addresses[1], want, 0);
	}
	config_free(config);
	free(text);
}

/* The same parts in any order are the same configuration. */
static void does_not_mind_the_order(void **state)
{
	static const char *const parts[] = {
		PLACES, SERVICES,
		"\"hostnames\":{\"h.example\":{\"service\":\"ftp\","
		"\"servers\":[\"z\",\"m\"],\"hidden\":[\"a\"]}}"
	};
	static const size_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 },
					    { 1, 0, 2 }, { 1, 2, 0 },
					    { 2, 0, 1 }, { 2, 1, 0 } };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		char text[2048];
		snprintf(text, sizeof(text), "{\"version\":1,%s,%s,%s}",
			 parts[orders[i][0]], parts[orders[i][1]],
			 parts[orders[i][2]]);
		struct config *config = good(text);
		const struct config_hostname *h = &config->hostnames[0];
		assert_int_equal(h->service, 1);
		assert_string_equal(config->services[1].id, "ftp");
		assert_string_equal(config->services[1].host, "h.example");
		assert_int_equal(h->servers[CONFIG_PRIMARY][0], 2);
		assert_int_equal(h->servers[CONFIG_PRIMARY][1], 1);
		assert_int_equal(h->servers[CONFIG_HIDDEN][0], 0);
		assert_int_equal(config->servers[2].services[0], 2);
		config_free(config);
	}
}

/* What is there twice counts once: the last one, after a finding. */
static void survives_duplicates(void **state)
{
	(void)state;
	bad("{\"version\":1,\"services\":{},\"pops\":{},\"hostnames\":{},"
	    "\"domains\":{},"
	    "\"domains\":{\"d.example\":{\"ns\":[\"ns.example\"]},"
	    "\"d.example\":{\"ns\":[\"ns.example\"]}},"
	    "\"hostnames\":{\"h.example\":{\"service\":\"web\","
	    "\"servers\":[\"a\",\"z\"]},"
	    "\"h.example\":{\"servers\":[\"m\"],\"servers\":[\"a\"]}}," PLACES
	    "," SERVICES "}",
	    ERRS_MAX);
	assert_int_equal(n_errs, 7);
	for (size_t i = 0; i < n_errs; i++)
		assert_non_null(strstr(errs[i].text, "duplicate key"));
	bad("{\"version\":1," PLACES "," SERVICES ",\"pops\":{},"
	    "\"services\":{},\"hostnames\":{\"h.example\":{"
	    "\"service\":\"web\",\"servers\":[\"a\"]}}}",
	    ERRS_MAX);
	assert_int_equal(n_errs, 4);
	assert_string_equal(errs[2].text, "no service is called \"web\"");
	assert_string_equal(errs[3].text, "no server is called \"a\"");
}

static void keeps_clients(void **state)
{
	struct config *config = good(
		"{\"version\":1,\n\"clients\":{\n"
		"\"a\":{\"prefixes\":[\"192.0.2.0/24\",\"2001:db8::/33\","
		"\"192.0.2.7\"],\"location\":[1.5,-2],"
		"\"latency\":{\"o\":12.5,\"p\":0},"
		"\"weights\":{\"z\":9,\"a\":0},\"pops\":[\"empty\",\"p\"]},\n"
		"\"b\":{\"countries\":[\"DE\",\"FR\"],\"as\":[64500],"
		"\"continents\":[\"EU\",\"SA\"]}},\n" SERVICES "," PLACES "}");
	const struct config_clients *c = config->clients;

	(void)state;
	assert_int_equal(config->n_clients, 2);
	assert_string_equal(c[0].id, "a");
	assert_int_equal(c[0].line, 3);
	assert_int_equal(c[0].n_prefixes, 3);
	assert_false(c[0].prefixes[0].v6);
	assert_int_equal(c[0].prefixes[0].bits, 24);
	assert_memory_equal(c[0].prefixes[0].address, "\300\0\2\0", 4);
	assert_true(c[0].prefixes[1].v6);
	assert_int_equal(c[0].prefixes[1].bits, 33);
	assert_int_equal(c[0].prefixes[2].bits, 32);
	assert_true(c[0].located);
	assert_true(c[0].latitude == 1.5 && c[0].longitude == -2);
	/* by index: POPs are in the file's order, servers are sorted */
	assert_int_equal(c[0].n_latency, 2);
	assert_int_equal(c[0].latency[0].pop, 1);
	assert_true(c[0].latency[0].ms == 12.5f);
	assert_int_equal(c[0].latency[1].pop, 0);
	assert_int_equal(c[0].n_weights, 2);
	assert_int_equal(c[0].weights[0].server, 0);
	assert_int_equal(c[0].weights[0].weight, 0);
	assert_int_equal(c[0].weights[1].server, 2);
	assert_int_equal(c[0].weights[1].weight, 9);
	assert_int_equal(c[0].n_pops, 2);
	assert_int_equal(c[0].pops[0], 2);
	assert_int_equal(c[0].pops[1], 0);

	assert_int_equal(c[1].n_prefixes, 0);
	assert_int_equal(c[1].n_countries, 2);
	assert_int_equal(c[1].countries[1], 'F' << 8 | 'R');
	assert_int_equal(c[1].continents, 1 << CONFIG_EU | 1 << CONFIG_SA);
	assert_int_equal(c[1].as[0], 64500);
	assert_false(c[1].located);
	config_free(config);
}

static void keeps_databases(void **state)
{
	struct config *none = good("{\"version\":1}");
	struct config *config =
		good("{\"version\":1,\"geo\":{\"databases\":[\"/a\",\"/b\"],"
		     "\"country\":\"a/b\",\"asn\":[\"c\",\"d\"]}}");

	(void)state;
	assert_int_equal(none->geo.n_databases, 0);
	assert_int_equal(config->geo.n_databases, 2);
	assert_string_equal(config->geo.databases[1], "/b");
	assert_int_equal(config->geo.country.n, 1);
	assert_string_equal(config->geo.country.path[0], "a/b");
	assert_int_equal(config->geo.as.n, 2);
	assert_string_equal(config->geo.as.path[1], "d");
	assert_int_equal(config->geo.location.n, 2);
	assert_string_equal(config->geo.location.path[1], ".");
	assert_true(config_clients_equal(config, config));
	assert_false(config_clients_equal(config, none));
	config_free(none);
	config_free(config);
}

#define ALIASES                                                                \
	"{\"version\":1,\"pops\":{\"p\":{\"servers\":{"                        \
	"\"a\":{\"addresses\":[\"192.0.2.1\"]},"                               \
	"\"x\":{\"alias\":\"y.example\"},\"y\":{\"alias\":\"x.example\"},"     \
	"\"z\":{\"alias\":\"Z.example.\"},\"far\":{\"alias\":\"cdn.example\"}" \
	"}}},"

/* The only finding, at that hostname or domain. */
static void finds(const char *rest, const char *path, const char *text)
{
	char all[2048];

	(void)snprintf(all, sizeof(all), "%s%s}", ALIASES, rest);
	bad(all, ERRS_MAX);
	assert_int_equal(n_errs, 1);
	assert_string_equal(errs[0].path, path);
	assert_non_null(strstr(errs[0].text, text));
}

static void knows_where_aliases_can_be(void **state)
{
	(void)state;
	struct config *config = good(
		ALIASES "\"hostnames\":{\"w.example\":{\"servers\":[\"far\"]},"
			"\"v.example\":{\"servers\":[\"x\",\"a\"]},"
			"\"u.d.example\":{\"servers\":[\"far\"],"
			"\"hidden\":[\"a\"]}},"
			"\"domains\":{\"d.example\":{\"ns\":[\"n.o\"]}}}");
	config_free(config);
	finds("\"hostnames\":{\"z.example\":{\"servers\":[\"a\",\"z\"]}}",
	      "hostnames.\"z.example\"", "aliases lead back to it");
	finds("\"hostnames\":{\"d.example\":{\"servers\":[\"a\"],"
	      "\"backup\":[\"far\"]}},"
	      "\"domains\":{\"d.example\":{\"ns\":[\"n.o\"]}}",
	      "hostnames.\"d.example\"", "it is the apex of a domain");
	finds("\"hostnames\":{\"d.example\":{\"servers\":[\"far\"]}},"
	      "\"zones\":{\"d.example\":{\"origins\":["
	      "{\"address\":\"192.0.2.2\"}]}}",
	      "hostnames.\"d.example\"", "it is the apex of a zone");
	finds("\"hostnames\":{\"n.d.example\":{\"servers\":[\"far\"]}},"
	      "\"domains\":{\"d.example\":{\"ns\":[\"n.d.example\"]}}",
	      "domains.\"d.example\"", "name servers cannot be aliases");
	bad(ALIASES "\"hostnames\":{\"x.example\":{\"servers\":[\"x\"]},"
		    "\"y.example\":{\"servers\":[\"y\"]}}}",
	    ERRS_MAX);
	assert_int_equal(n_errs, 2);
}

#define HOSTS                                                                  \
	"\"services\":{\"web\":{\"probe\":\"https\"}},"                        \
	"\"hostnames\":{"                                                      \
	"\"www.r.example\":{\"servers\":[\"a\"],\"service\":\"web\","          \
	"\"ttl\":\"10s\",\"answers\":3},"                                      \
	"\"a.b.r.example\":{\"servers\":[\"a\"],\"persist\":\"1h\","           \
	"\"else\":\"www.r.example\"},"                                         \
	"\"r.example\":{\"servers\":[\"a\"]},"                                 \
	"\"x.e.r.example\":{\"servers\":[\"a\"]},"                             \
	"\"dry.r.example\":{\"servers\":[\"a\"],\"dry-run\":true},"            \
	"\"other.example\":{\"servers\":[\"a\"],\"else\":\"a.b.r.example\"}},"

static const struct config_hostname *host_of(const struct config *config,
					     const char *name)
{
	for (size_t i = 0; i < config->n_hostnames; i++) {
		char text[DNAME_TEXT_MAX];
		(void)dname_print(&config->hostnames[i].name, text);
		if (strcmp(text, name) == 0)
			return &config->hostnames[i];
	}
	fail();
	return NULL;
}

static void is_led(const struct config *config, const char *from,
		   const char *to, uint32_t ttl_s)
{
	const struct config_hostname *h = host_of(config, from);
	const struct config_server *s =
		&config->servers[h->servers[CONFIG_PRIMARY][0]];
	char text[DNAME_TEXT_MAX];

	assert_int_equal(h->n_servers[CONFIG_PRIMARY], 1);
	assert_true(s->mapped);
	assert_non_null(s->alias);
	(void)dname_print(s->alias, text);
	assert_string_equal(text, to);
	assert_string_equal(h->id, from);
	assert_int_equal(h->ttl_s, ttl_s);
	assert_int_equal(h->service, CONFIG_NONE);
	assert_string_equal(host_of(config, to)->id, to);
}

static void maps_to_the_second_tier(void **state)
{
	(void)state;
	struct config *config =
		good(ALIASES HOSTS "\"second-tier\":{\"R.example\":{"
				   "\"domain\":\"e.r.example\","
				   "\"persistent-domain\":\"p.example\","
				   "\"ttl\":\"1h\"}}}");
	assert_int_equal(config->n_hostnames, 8);
	assert_int_equal(config->n_servers, 7);
	for (size_t i = 1; i < config->n_servers; i++)
		assert_true(strcmp(config->servers[i - 1].id,
				   config->servers[i].id) < 0);
	is_led(config, "www.r.example", "www.e.r.example", 3600);
	is_led(config, "a.b.r.example", "a.b.p.example", 3600);
	const struct config_hostname *www = host_of(config, "www.e.r.example");
	assert_int_equal(www->ttl_s, 10);
	assert_int_equal(www->answers, 3);
	assert_int_equal(www->service, 0);
	assert_string_equal(config->services[0].host, "www.r.example");
	/* who fell back on one falls back on what has its policy */
	const struct config_hostname *ab = host_of(config, "a.b.p.example");
	assert_int_equal(ab->persist_s, 3600);
	assert_ptr_equal(&config->hostnames[ab->otherwise], www);
	const struct config_hostname *other = host_of(config, "other.example");
	assert_ptr_equal(&config->hostnames[other->otherwise], ab);
	assert_int_equal(host_of(config, "a.b.r.example")->otherwise,
			 CONFIG_NONE);
	assert_false(config->servers[host_of(config, "r.example")
					     ->servers[CONFIG_PRIMARY][0]]
			     .mapped);
	assert_int_equal(host_of(config, "dry.r.example")->ttl_s, 30);
	config_free(config);

	/* without a domain for them, those with persistence stay */
	config = good(ALIASES HOSTS "\"second-tier\":{\"r.example\":{"
				    "\"domain\":\"e.r.example\"}}}");
	assert_int_equal(config->n_hostnames, 7);
	assert_int_equal(host_of(config, "a.b.r.example")->persist_s, 3600);
	config_free(config);
}

#define SECOND(domain)                                                         \
	"\"second-tier\":{\"r.example\":{\"domain\":\"" domain "\"}}"

static void finds_names_that_cannot_be_mapped(void **state)
{
	static const char www[] =
		"\"hostnames\":{\"www.r.example\":{\"servers\":[\"a\"]}},";
	char text[2048];

	(void)state;
	(void)snprintf(text, sizeof(text), "%s%s", www, SECOND("r.example"));
	finds(text, "second-tier.\"r.example\"",
	      "the root domain lies in \"domain\"");
	(void)snprintf(text, sizeof(text), "%s%s", www, SECOND("example"));
	finds(text, "second-tier.\"r.example\"",
	      "the root domain lies in \"domain\"");
	finds("\"hostnames\":{\"www.r.example\":{\"servers\":[\"a\"]},"
	      "\"www.e.example\":{\"servers\":[\"a\"]}}," SECOND("e.example"),
	      "hostnames.\"www.r.example\"",
	      "\"www.e.example\", is a hostname, zone or domain already");
	finds("\"hostnames\":{\"e.r.example\":{\"servers\":[\"a\"]}}," SECOND(
		      "x.e.r.example"),
	      "hostnames.\"e.r.example\"", "is below its own");
	finds("\"hostnames\":{\"d.r.example\":{\"servers\":[\"a\"]}},"
	      "\"domains\":{\"d.r.example\":{\"ns\":[\"n.o\"]}}," SECOND(
		      "e.example"),
	      "hostnames.\"d.r.example\"",
	      "it is the apex of a zone or domain");
	finds("\"hostnames\":{\"n.d.r.example\":{\"servers\":[\"a\"]}},"
	      "\"domains\":{\"d.r.example\":{\"ns\":[\"n.d.r.example\"]}"
	      "}," SECOND("e.example"),
	      "domains.\"d.r.example\"", "name servers cannot be aliases");
	/* a name of 250 octets has no room for more */
	char label[62];
	memset(label, 'l', sizeof(label));
	label[61] = '\0';
	(void)snprintf(text, sizeof(text),
		       "\"hostnames\":{\"%.50s.%s.%s.%s.r.example\":{"
		       "\"servers\":[\"a\"]}},%s",
		       label, label, label, label,
		       SECOND("second.tier.example"));
	char all[4096];
	(void)snprintf(all, sizeof(all), "%s%s}", ALIASES, text);
	bad(all, ERRS_MAX);
	assert_int_equal(n_errs, 1);
	assert_non_null(strstr(errs[0].text, "is too long"));
	/* two roots, one name */
	finds("\"hostnames\":{\"w.r.example\":{\"servers\":[\"a\"]},"
	      "\"w.q.example\":{\"servers\":[\"a\"]}},"
	      "\"second-tier\":{\"r.example\":{\"domain\":\"e.example\"},"
	      "\"q.example\":{\"domain\":\"e.example\"}}",
	      "hostnames.\"w.q.example\"", "the same name in the second tier");
}

static void knows_a_table_of_routes(void **state)
{
	struct config *config = good("{\"version\":1,\"latency\":{}}");
	const struct config_latency *l = &config->latency;

	(void)state;
	/* without one, "aspath" is no method */
	assert_true(l->on);
	assert_null(l->mrt_file);
	assert_int_equal(l->methods.n, 4);
	assert_int_equal(l->methods.method[3], CONFIG_METHOD_TTL);
	config_free(config);
	config = good("{\"version\":1,\"latency\":{\"mrt\":{"
		      "\"file\":\"/rib.mrt\"},\"rules\":[{\"prefixes\":"
		      "[\"192.0.2.0/24\"],\"methods\":[\"aspath\"]}]}}");
	l = &config->latency;
	assert_string_equal(l->mrt_file, "/rib.mrt");
	assert_int_equal(l->hop_ms, 30);
	assert_int_equal(l->mrt_interval_ms, 60000);
	assert_int_equal(l->methods.n, 5);
	assert_int_equal(l->methods.method[4], CONFIG_METHOD_ASPATH);
	assert_int_equal(l->rules[0].methods.n, 1);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts_services_and_servers),
		cmocka_unit_test(keeps_hostnames),
		cmocka_unit_test(keeps_clients),
		cmocka_unit_test(keeps_databases),
		cmocka_unit_test(keeps_services),
		cmocka_unit_test(knows_ports_and_ages),
		cmocka_unit_test(takes_the_first_hostname_as_host),
		cmocka_unit_test(keeps_domains),
		cmocka_unit_test(finds_a_contact_for_a_long_domain),
		cmocka_unit_test(keeps_the_feed),
		cmocka_unit_test(keeps_where_metrics_are),
		cmocka_unit_test(keeps_lists_over_nested_blocks),
		cmocka_unit_test(does_not_mind_the_order),
		cmocka_unit_test(survives_duplicates),
		cmocka_unit_test(knows_where_aliases_can_be),
		cmocka_unit_test(maps_to_the_second_tier),
		cmocka_unit_test(finds_names_that_cannot_be_mapped),
		cmocka_unit_test(knows_a_table_of_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
