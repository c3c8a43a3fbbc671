/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm_kit.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIT_MAX	      2048
#define KIT_ADDRESSES 16

struct kit {
	struct config config;
	struct config_service services[8];
	struct config_server servers[KIT_MAX];
	struct config_hostname hosts[16];
	struct config_pop pop;
	void *owned[3 * KIT_MAX];
	size_t n_owned;
};

static void *own(struct kit *kit, void *p)
{
	assert_non_null(p);
	assert_true(kit->n_owned < 3 * KIT_MAX);
	kit->owned[kit->n_owned++] = p;
	return p;
}

struct kit *kit_new(void)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	assert_non_null(kit);
	kit->pop.id = "pop";
	kit->config.pops = &kit->pop;
	kit->config.n_pops = 1;
	kit->config.services = kit->services;
	kit->config.servers = kit->servers;
	kit->config.hostnames = kit->hosts;
	return kit;
}

void kit_free(struct kit *kit)
{
	for (size_t i = 0; i < kit->n_owned; i++)
		free(kit->owned[i]);
	free(kit);
}

struct config *kit_config(struct kit *kit)
{
	return &kit->config;
}

struct config_service *kit_service(struct kit *kit, const char *id,
				   enum config_probe probe)
{
	size_t n = kit->config.n_services++;
	struct config_service *service = &kit->services[n];

	assert_true(n < 8);
	if (n > 0)
		assert_true(strcmp(kit->services[n - 1].id, id) < 0);
	service->id = own(kit, strdup(id));
	service->probe = probe;
	service->max_age_ms = 10000;
	return service;
}

struct sockaddr_storage kit_address(const char *text)
{
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return address;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	return address;
}

/* Takes the next word off '*words' into 'word' (64 octets). */
static bool word_next(const char **words, char *word)
{
	size_t n = strcspn(*words, " ");

	if (n == 0)
		return false;
	assert_true(n < 64);
	memcpy(word, *words, n);
	word[n] = '\0';
	*words += n + ((*words)[n] == ' ');
	return true;
}

struct config_server *kit_server(struct kit *kit, const char *id,
				 uint32_t weight, const char *addresses)
{
	size_t n = kit->config.n_servers++;
	struct config_server *server = &kit->servers[n];
	struct sockaddr_storage *list =
		own(kit, calloc(KIT_ADDRESSES, sizeof(*list)));
	char word[64];

	assert_true(n < KIT_MAX);
	if (n > 0)
		assert_true(strcmp(kit->servers[n - 1].id, id) < 0);
	server->id = own(kit, strdup(id));
	server->weight = weight;
	server->shed_pct = 100;
	server->addresses = list;
	while (word_next(&addresses, word)) {
		assert_true(server->n_addresses < KIT_ADDRESSES);
		list[server->n_addresses++] = kit_address(word);
	}
	return server;
}

static uint32_t server_index(const struct kit *kit, const char *id)
{
	for (uint32_t i = 0; i < kit->config.n_servers; i++)
		if (strcmp(kit->servers[i].id, id) == 0)
			return i;
	fail_msg("no server '%s'", id);
	return CONFIG_NONE;
}

static void tier_fill(struct kit *kit, struct config_hostname *host,
		      enum config_tier tier, const char *servers)
{
	uint32_t *list = own(kit, calloc(KIT_MAX, sizeof(*list)));
	char word[64];

	host->servers[tier] = list;
	while (word_next(&servers, word))
		list[host->n_servers[tier]++] = server_index(kit, word);
}

struct config_hostname *kit_host(struct kit *kit, const char *name,
				 const char *service, const char *primary,
				 const char *backup, const char *hidden)
{
	size_t n = kit->config.n_hostnames++;
	struct config_hostname *host = &kit->hosts[n];

	assert_true(n < 16);
	host->id = own(kit, strdup(name));
	assert_int_equal(dname_parse(slice_of(name), &host->name), 0);
	host->service = CONFIG_NONE;
	for (uint32_t i = 0; service && i < kit->config.n_services; i++)
		if (strcmp(kit->services[i].id, service) == 0)
			host->service = i;
	tier_fill(kit, host, CONFIG_PRIMARY, primary);
	tier_fill(kit, host, CONFIG_BACKUP, backup);
	tier_fill(kit, host, CONFIG_HIDDEN, hidden);
	host->answers = 1;
	host->ttl_s = 30;
	host->ttl_min_s = 30;
	host->otherwise = CONFIG_NONE;
	host->tolerance = 0.1f;
	host->persist_refresh_s = UINT32_MAX;
	return host;
}

struct gtm_world *kit_world(struct kit *kit, const struct gtm_world *old)
{
	struct gtm_world *world = NULL;

	assert_int_equal(gtm_world_new(&kit->config, old, &world), 0);
	assert_non_null(world);
	return world;
}

void kit_feed(struct gtm_world *world, const char *server, const char *address,
	      const char *service, struct kit_value value)
{
	struct gtm_row row = { .server = slice_of(server),
			       .service = slice_of(service),
			       .address = kit_address(address),
			       .state = value.state,
			       .metric = value.metric };

	assert_int_equal(gtm_world_feed(world, &row, value.now_ms, NULL),
			 GTM_ROW_OK);
}

const char *kit_text(const struct gtm_host *host, enum gtm_family family,
		     uint32_t i, char text[static 64])
{
	return inet_ntop(family == GTM_V4 ? AF_INET : AF_INET6,
			 host->candidate[family][i].address, text, 64);
}
