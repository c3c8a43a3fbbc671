/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gtm_kit.h"

#define NOW 100000u

/* Linked with --wrap=calloc, the only allocation that gtm/ does. */
static long fail_at = -1; /* the allocation that fails; -1: none */
static long n_callocs;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (fail_at >= 0 && n_callocs++ == fail_at)
		return NULL;
	return __real_calloc(n, size);
}

static struct kit *kit_simple(void)
{
	struct kit *kit = kit_new();

	kit_service(kit, "api", CONFIG_TCP_CONNECT);
	kit_service(kit, "free", CONFIG_NOLOAD);
	kit_service(kit, "web", CONFIG_HTTP);
	kit_server(kit, "a", 1, "192.0.2.1 2001:db8::1");
	kit_server(kit, "b", 2, "192.0.2.3 192.0.2.2");
	kit_server(kit, "c", 3, "2001:db8::3");
	kit_host(kit, "www.example.com", "web", "b a", "c", "");
	kit_host(kit, "api.example.com", "api", "a", "", "");
	kit_host(kit, "free.example.com", "free", "a b c", "", "");
	kit_host(kit, "plain.example.com", NULL, "c", "", "a");
	return kit;
}

static struct gtm_cell *cell_at(const struct gtm_world *world,
				const char *server, const char *address,
				const char *service)
{
	struct sockaddr_storage where = kit_address(address);

	return gtm_world_cell(world, slice_of(server), &where,
			      slice_of(service));
}

static void test_cells(void **state)
{
	struct kit *kit = kit_simple();
	struct gtm_world *world = kit_world(kit, NULL);

	(void)state;
	/* web: a 2, b 2, c 1; api: a 2. */
	assert_int_equal(world->n_cells, 7);
	for (size_t i = 0; i < world->n_cells; i++) {
		const struct gtm_cell *cell = world->cells[i];
		const struct gtm_about *about = &world->about[i];
		const char *server = cell->ids;
		const char *service = server + strlen(server) + 1;
		assert_string_equal(server,
				    world->config->servers[about->server].id);
		assert_string_equal(service, about->service->id);
		assert_ptr_equal(gtm_world_cell(world, slice_of(server),
						&cell->address,
						slice_of(service)),
				 cell);
		assert_true(i >= world->first[about->server]);
		assert_true(i < world->first[about->server + 1]);
	}
	assert_null(cell_at(world, "a", "192.0.2.1", "free"));
	assert_null(cell_at(world, "b", "192.0.2.3", "api"));
	assert_null(cell_at(world, "a", "192.0.2.9", "web"));
	assert_null(cell_at(world, "a", "192.0.2.1", "webs"));
	assert_null(cell_at(world, "", "192.0.2.1", "web"));
	assert_null(cell_at(world, "aa", "192.0.2.1", "web"));
	struct sockaddr_storage none = { 0 };
	assert_null(
		gtm_world_cell(world, slice_of("a"), &none, slice_of("web")));
	for (unsigned int i = 0; i < GTM_COUNTS; i++)
		assert_non_null(gtm_count_names[i]);
	for (unsigned int i = 0; i < GTM_ROW_FATES; i++)
		assert_non_null(gtm_row_fate_names[i]);
	assert_int_equal(gtm_world_server(world, slice_of("c")), 2);
	assert_int_equal(gtm_world_server(world, slice_of("d")), CONFIG_NONE);
	gtm_world_free(world);
	kit_free(kit);
}

/* A server's own list is tested though no hostname asks for it. */
static void test_own_services(void **state)
{
	struct kit *kit = kit_new();
	static const uint32_t both[] = { 0, 1 };

	(void)state;
	kit_service(kit, "free", CONFIG_NOLOAD);
	kit_service(kit, "web", CONFIG_HTTP);
	struct config_server *server = kit_server(kit, "a", 1, "192.0.2.1");
	server->n_services = 2;
	server->services = both;
	struct gtm_world *world = kit_world(kit, NULL);
	assert_int_equal(world->n_cells, 1);
	assert_int_equal(world->n_hosts, 0);
	assert_non_null(cell_at(world, "a", "192.0.2.1", "web"));
	gtm_world_free(world);
	kit_free(kit);
}

static void test_candidates(void **state)
{
	struct kit *kit = kit_simple();
	struct gtm_world *world = kit_world(kit, NULL);
	const struct gtm_host *www = &world->hosts[0];
	char text[64];

	(void)state;
	assert_int_equal(www->max_age_ms, 10000);
	assert_int_equal(www->n[GTM_V4], 3);
	assert_int_equal(www->n[GTM_V6], 2);
	assert_string_equal(kit_text(www, GTM_V4, 0, text), "192.0.2.3");
	assert_string_equal(kit_text(www, GTM_V4, 1, text), "192.0.2.2");
	assert_string_equal(kit_text(www, GTM_V4, 2, text), "192.0.2.1");
	assert_string_equal(kit_text(www, GTM_V6, 0, text), "2001:db8::1");
	assert_string_equal(kit_text(www, GTM_V6, 1, text), "2001:db8::3");
	assert_int_equal(www->candidate[GTM_V4][0].weight, 2);
	assert_int_equal(www->candidate[GTM_V6][1].tier, CONFIG_BACKUP);
	assert_int_equal(www->candidate[GTM_V6][1].server, 2);
	assert_ptr_equal(www->candidate[GTM_V4][0].admin, world->admins[1]);
	assert_ptr_equal(www->candidate[GTM_V4][0].cell,
			 cell_at(world, "b", "192.0.2.3", "web"));
	assert_null(world->hosts[2].candidate[GTM_V4][0].cell);
	assert_null(world->hosts[3].candidate[GTM_V4][0].cell);
	assert_int_equal(world->hosts[3].candidate[GTM_V4][0].tier,
			 CONFIG_HIDDEN);
	gtm_world_free(world);
	kit_free(kit);
}

/* The tally of an address of a host. */
static struct gtm_tally *tally_at(const struct gtm_host *host,
				  const char *address)
{
	char text[64];

	for (unsigned int f = 0; f < GTM_FAMILIES; f++)
		for (uint32_t i = 0; i < host->n[f]; i++)
			if (strcmp(kit_text(host, (enum gtm_family)f, i, text),
				   address) == 0)
				return host->candidate[f][i].tally;
	return NULL;
}

/* Another configuration: b is gone, aa is new, tiers and order are others. */
static struct kit *kit_other(void)
{
	struct kit *kit = kit_new();

	kit_service(kit, "web", CONFIG_HTTP);
	kit_server(kit, "a", 9, "2001:db8::1 192.0.2.1 192.0.2.7");
	kit_server(kit, "aa", 1, "192.0.2.2");
	kit_server(kit, "c", 3, "2001:db8::3");
	kit_host(kit, "new.example.com", "web", "a", "", "");
	kit_host(kit, "www.example.com", "web", "c aa", "a", "");
	return kit;
}

static void check_shared(struct gtm_world *old, struct gtm_world *next)
{
	struct gtm_value value;
	const struct gtm_host *was = &old->hosts[0];
	const struct gtm_host *is = &next->hosts[1];

	assert_ptr_equal(was->counts, is->counts);
	assert_int_equal(atomic_load(&is->counts->n[GTM_DECISIONS]), 77);
	assert_ptr_equal(tally_at(was, "192.0.2.1"), tally_at(is, "192.0.2.1"));
	assert_ptr_equal(tally_at(was, "2001:db8::3"),
			 tally_at(is, "2001:db8::3"));
	/* The address has moved to another server. */
	assert_ptr_not_equal(tally_at(was, "192.0.2.2"),
			     tally_at(is, "192.0.2.2"));
	assert_ptr_not_equal(tally_at(was, "192.0.2.1"),
			     tally_at(&next->hosts[0], "192.0.2.1"));
	assert_ptr_equal(old->admins[0], next->admins[0]);
	assert_ptr_equal(old->admins[2], next->admins[2]);
	assert_int_equal(atomic_load(&next->admins[0]->drained_until_ms), 5);
	struct gtm_cell *cell = cell_at(next, "a", "192.0.2.1", "web");
	assert_ptr_equal(cell, cell_at(old, "a", "192.0.2.1", "web"));
	gtm_slot_read(&cell->slot, &value);
	assert_int_equal(value.state, GTM_UP);
	assert_int_equal(value.metric, 12);
	cell = cell_at(next, "aa", "192.0.2.2", "web");
	gtm_slot_read(&cell->slot, &value);
	assert_int_equal(value.state, GTM_NEVER);
}

static void test_sharing(void **state)
{
	(void)state;
	for (unsigned int turn = 0; turn < 2; turn++) {
		struct kit *one = kit_simple();
		struct kit *two = kit_other();
		struct gtm_world *old = kit_world(one, NULL);
		kit_feed(old, "a", "192.0.2.1", "web",
			 (struct kit_value){ GTM_UP, 12, NOW });
		kit_feed(old, "b", "192.0.2.2", "web",
			 (struct kit_value){ GTM_UP, 12, NOW });
		atomic_store(&old->admins[0]->drained_until_ms, 5);
		atomic_store(&old->hosts[0].counts->n[GTM_DECISIONS], 77);
		struct gtm_world *next = kit_world(two, old);
		check_shared(old, next);
		/* In either order. */
		gtm_world_free(turn == 0 ? old : next);
		kit_feed(turn == 0 ? next : old, "a", "192.0.2.1", "web",
			 (struct kit_value){ GTM_DOWN, 12, NOW + 1 });
		gtm_world_free(turn == 0 ? next : old);
		kit_free(one);
		kit_free(two);
	}
	gtm_world_free(NULL);
}

/* Worlds by the dozen, freed in an order of their own. */
static void test_many_worlds(void **state)
{
	struct gtm_world *worlds[12];
	struct kit *kits[2] = { kit_simple(), kit_other() };

	(void)state;
	for (size_t i = 0; i < 12; i++)
		worlds[i] = kit_world(kits[i % 2], i ? worlds[i - 1] : NULL);
	struct gtm_admin *admin = worlds[11]->admins[0];
	assert_int_equal(atomic_load(&admin->refs), 12);
	for (size_t i = 0; i < 12; i++)
		gtm_world_free(worlds[(i * 5 + 3) % 12]);
	kit_free(kits[0]);
	kit_free(kits[1]);
}

static void test_no_memory(void **state)
{
	struct kit *one = kit_simple();
	struct kit *two = kit_other();
	struct gtm_world *old = kit_world(one, NULL);
	int rc = -ENOMEM;
	long i = 0;

	(void)state;
	for (; rc == -ENOMEM; i++) {
		struct gtm_world *world = NULL;
		n_callocs = 0;
		fail_at = i;
		rc = gtm_world_new(kit_config(two), old, &world);
		fail_at = -1;
		assert_int_equal(world == NULL, rc != 0);
		gtm_world_free(world);
		assert_int_equal(atomic_load(&old->admins[0]->refs), 1);
		assert_int_equal(atomic_load(&old->cells[0]->refs), 1);
		assert_int_equal(atomic_load(&old->hosts[0].counts->refs), 1);
	}
	assert_int_equal(rc, 0);
	assert_true(i > 15);
	gtm_world_free(old);
	kit_free(one);
	kit_free(two);
}

/* -- the feed -------------------------------------------------------------- */

static struct gtm_row row_good(void)
{
	return (struct gtm_row){ .server = slice_of("a"),
				 .service = slice_of("web"),
				 .address = kit_address("192.0.2.1"),
				 .state = GTM_UP,
				 .metric = 12 };
}

static void test_feed_fates(void **state)
{
	struct kit *kit = kit_simple();
	struct gtm_world *world = kit_world(kit, NULL);
	static const double bad[] = { NAN, INFINITY, -INFINITY, -0.5,
				      (double)GTM_METRIC_MAX + 1 };
	struct gtm_row row;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		row = row_good();
		row.metric = bad[i];
		assert_int_equal(gtm_world_feed(world, &row, NOW, NULL),
				 GTM_ROW_VALUE);
	}
	for (size_t i = 0; i < 3; i++) {
		row = row_good();
		row.age_ms = bad[i];
		assert_int_equal(gtm_world_feed(world, &row, NOW, NULL),
				 GTM_ROW_VALUE);
	}
	row = row_good();
	row.error = -1;
	assert_int_equal(gtm_world_feed(world, &row, NOW, NULL), GTM_ROW_VALUE);
	row.error = 65536;
	assert_int_equal(gtm_world_feed(world, &row, NOW, NULL), GTM_ROW_VALUE);
	row = row_good();
	row.state = GTM_NEVER;
	assert_int_equal(gtm_world_feed(world, &row, NOW, NULL), GTM_ROW_VALUE);
	row = row_good();
	row.age_ms = -GTM_FUTURE_MS - 0.5;
	assert_int_equal(gtm_world_feed(world, &row, NOW, NULL),
			 GTM_ROW_FUTURE);
	row = row_good();
	row.service = slice_of("free");
	assert_int_equal(gtm_world_feed(world, &row, NOW, NULL),
			 GTM_ROW_UNKNOWN);
	struct gtm_value value;
	gtm_slot_read(&cell_at(world, "a", "192.0.2.1", "web")->slot, &value);
	assert_int_equal(value.state, GTM_NEVER);
	gtm_world_free(world);
	kit_free(kit);
}

static void test_feed_times(void **state)
{
	struct kit *kit = kit_simple();
	struct gtm_world *world = kit_world(kit, NULL);
	struct gtm_slot *slot = &cell_at(world, "a", "192.0.2.1", "web")->slot;
	struct gtm_row row = row_good();
	bool changed;

	(void)state;
	row.age_ms = 1e15; /* before the clock began: nobody knows how long */
	assert_int_equal(gtm_world_feed(world, &row, NOW, &changed),
			 GTM_ROW_OLD);
	assert_false(changed);
	row.age_ms = NOW;
	assert_int_equal(gtm_world_feed(world, &row, NOW, &changed),
			 GTM_ROW_OLD);
	assert_int_equal(gtm_slot_glance(slot).state, GTM_NEVER);
	row.age_ms = NOW - 1;
	assert_int_equal(gtm_world_feed(world, &row, NOW, &changed),
			 GTM_ROW_OK);
	assert_true(changed);
	assert_int_equal(gtm_slot_glance(slot).when_ms, 1);
	row.age_ms = 250.0;
	assert_int_equal(gtm_world_feed(world, &row, NOW, &changed),
			 GTM_ROW_OK);
	assert_false(changed);
	assert_int_equal(gtm_slot_glance(slot).when_ms, NOW - 250);
	row.age_ms = 251.0;
	row.state = GTM_DOWN;
	assert_int_equal(gtm_world_feed(world, &row, NOW, &changed),
			 GTM_ROW_OLD);
	assert_false(changed);
	row.age_ms = -GTM_FUTURE_MS; /* counts as now */
	row.metric = GTM_METRIC_MAX;
	row.error = 65535;
	assert_int_equal(gtm_world_feed(world, &row, NOW, &changed),
			 GTM_ROW_OK);
	assert_true(changed);
	assert_int_equal(gtm_slot_glance(slot).when_ms, NOW);
	assert_int_equal(gtm_slot_glance(slot).metric, GTM_METRIC_MAX);
	assert_int_equal(gtm_world_feed(world, &row, UINT64_MAX, &changed),
			 GTM_ROW_OK);
	assert_int_equal(gtm_slot_glance(slot).when_ms, GTM_TIME_MAX);
	gtm_world_free(world);
	kit_free(kit);
}

/* -- one feeds, one makes worlds, others decide ---------------------------- */

static struct gtm_world *_Atomic current;
static _Atomic bool done;

static void *decider(void *arg)
{
	struct gtm_question q = { .client = { .bits = 24 } };
	struct gtm_answer answer;

	for (q.now_ms = NOW; !atomic_load(&done); q.random += 12345) {
		struct gtm_world *world = atomic_load(&current);
		gtm_decide(&world->hosts[0], &q, &answer, NULL);
		gtm_decide_count(&world->hosts[0], q.family, &answer, false);
		*(uint64_t *)arg += answer.n;
	}
	return NULL;
}

static void *feeder(void *arg)
{
	uint64_t ms = NOW;

	for (; !atomic_load(&done); ms++) {
		struct gtm_world *world = atomic_load(&current);
		kit_feed(world, "a", "192.0.2.1", "web",
			 (struct kit_value){ ms % 2 ? GTM_UP : GTM_DOWN, 5,
					     ms });
		atomic_store(&world->admins[0]->drained_until_ms, ms % 3);
	}
	*(uint64_t *)arg = ms;
	return NULL;
}

static void test_threads(void **state)
{
	struct kit *kit = kit_simple();
	struct gtm_world *worlds[200] = { kit_world(kit, NULL) };
	pthread_t thread[3];
	uint64_t work[3] = { 0 };

	(void)state;
	atomic_store(&current, worlds[0]);
	assert_int_equal(pthread_create(&thread[0], NULL, decider, &work[0]),
			 0);
	assert_int_equal(pthread_create(&thread[1], NULL, decider, &work[1]),
			 0);
	assert_int_equal(pthread_create(&thread[2], NULL, feeder, &work[2]), 0);
	for (size_t i = 1; i < 200; i++) {
		worlds[i] = kit_world(kit, worlds[i - 1]);
		atomic_store(&current, worlds[i]);
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (size_t i = 0; i < 200; i++)
		gtm_world_free(worlds[i]);
	kit_free(kit);
}

/* -- size ------------------------------------------------------------------ */

#define BIG_SERVERS 1000u
#define BIG_HOSTS   10000u

/* A thousand servers, ten thousand hostnames with eight of them each. */
static void test_big(void **state)
{
	struct kit *kit = kit_new();
	struct config *config = kit_config(kit);
	struct config_hostname *hosts =
		__real_calloc(BIG_HOSTS, sizeof(*hosts));
	uint32_t *lists = __real_calloc(BIG_HOSTS * 8, sizeof(*lists));
	char text[64];

	(void)state;
	assert_true(hosts != NULL && lists != NULL);
	kit_service(kit, "web", CONFIG_HTTP);
	for (unsigned int i = 0; i < BIG_SERVERS; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "s%04u", i);
		(void)snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8,
			       i & 255);
		kit_server(kit, id, 1, text);
	}
	for (unsigned int i = 0; i < BIG_HOSTS; i++) {
		(void)snprintf(text, sizeof(text), "h%u.example.com",
			       i * 7919 % BIG_HOSTS);
		assert_int_equal(dname_parse(slice_of(text), &hosts[i].name),
				 0);
		for (unsigned int k = 0; k < 8; k++)
			lists[8 * i + k] = (i + k * 101) % BIG_SERVERS;
		hosts[i].servers[CONFIG_PRIMARY] = lists + (size_t)8 * i;
		hosts[i].n_servers[CONFIG_PRIMARY] = 8;
		hosts[i].answers = 1;
		hosts[i].otherwise = CONFIG_NONE;
	}
	config->hostnames = hosts;
	config->n_hostnames = BIG_HOSTS;
	struct gtm_world *old = kit_world(kit, NULL);
	struct gtm_world *next = kit_world(kit, old);
	assert_int_equal(next->n_cells, BIG_SERVERS);
	for (size_t i = 0; i < BIG_HOSTS; i++) {
		assert_ptr_equal(old->hosts[i].counts, next->hosts[i].counts);
		for (uint32_t k = 0; k < 8; k++)
			assert_ptr_equal(
				old->hosts[i].candidate[GTM_V4][k].tally,
				next->hosts[i].candidate[GTM_V4][k].tally);
	}
	gtm_world_free(old);
	gtm_world_free(next);
	free(hosts);
	free(lists);
	kit_free(kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_own_services),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_many_worlds),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_feed_fates),
		cmocka_unit_test(test_feed_times),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
