/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/schema.h"
#include "config_kit.h"

/* One zone with one origin, whose keys are 'origin' and 'zone'. */
static struct config *one(const char *origin, const char *zone)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"version\":1,\"zones\":{\"example.com\":{\"origins\":["
		 "{\"address\":\"192.0.2.53\"%s}]%s}}}",
		 origin, zone);
	return good(text);
}

static void has_defaults(void **state)
{
	struct config *config = one("", "");

	(void)state;
	assert_string_equal(config->file, "a.json");
	assert_int_equal(config->serial, 0);
	assert_int_equal(config->cache_size_bytes, 256 << 20);
	assert_string_equal(config->state_directory, CONFIG_STATE_DIRECTORY);
	assert_string_equal(config->control_socket,
			    CONFIG_STATE_DIRECTORY "/control.sock");
	assert_int_equal(config->waiters_max, 10000);
	assert_int_equal(config->n_zones, 1);

	const struct config_zone *zone = &config->zones[0];
	assert_string_equal(zone->id, "example.com");
	assert_int_equal(zone->name.labels, 2);
	assert_int_equal(zone->ttl_min_s, 0);
	assert_int_equal(zone->ttl_max_s, 86400);
	assert_int_equal(zone->ttl_negative_max_s, 3600);
	assert_int_equal(zone->stale_s, 86400);
	assert_true(zone->prefetch);
	assert_int_equal(zone->fill, CONFIG_FILL_NONE);
	assert_int_equal(zone->fill_max, 10000);
	for (size_t i = 0; i < CONFIG_FILTERS; i++)
		assert_int_equal(zone->admission.mode[i], CONFIG_MODE_ON);
	assert_true(zone->admission.any);
	assert_int_equal(zone->admission.normal, 0);
	assert_int_equal(zone->admission.miss_factor, 20);
	assert_int_equal(zone->admission.unknown_factor, 50);
	assert_int_equal(zone->admission.origin_rate, 0);
	assert_int_equal(config->known_max, 1000000);
	assert_int_equal(zone->line, 1);
	assert_int_equal(zone->n_origins, 1);

	const struct config_origin *origin = &zone->origins[0];
	assert_address(&origin->address, "192.0.2.53", 53);
	assert_int_equal(origin->source.ss_family, 0);
	assert_int_equal(origin->transport, CONFIG_TCP);
	assert_int_equal(origin->key.n, 0);
	assert_null(origin->tls_name);
	assert_null(origin->tls_ca);
	assert_int_equal(origin->timeout_ms, 2000);
	config_free(config);
	config_free(NULL);
}

static void takes_what_is_given(void **state)
{
	struct config *config = good(
		"{\"version\":1,\"serial\":7,\n"
		"\"cache\":{\"size\":\"1GiB\",\"state-directory\":\"/s/\"},\n"
		"\"limits\":{\"waiters\":5},\n"
		"\"zones\":{\n"
		"\"inside\":{\"name\":\"Example.ORG.\",\"origins\":["
		"{\"address\":\"2001:db8::53\",\"transport\":\"tls\","
		"\"key\":\"Edge-Key\",\"source\":\"2001:db8::1\","
		"\"tls\":{\"name\":\"ns.example.org\",\"ca-file\":\"/ca\"},"
		"\"timeout\":\"1500ms\"},"
		"{\"address\":\"192.0.2.1\",\"port\":54,"
		"\"transport\":\"udp\"}],\n"
		"\"ttl\":{\"min\":\"1m\",\"max\":\"1w\",\"negative-max\":5},"
		"\"stale\":0,\"prefetch\":true,"
		"\"origin-rate\":7,"
		"\"admission\":{\"misses\":\"off\",\"repeats\":\"observe\","
		"\"unknown\":\"off\",\"suffixes\":\"off\",\"normal\":9,"
		"\"miss-factor\":3,\"unknown-factor\":4},"
		"\"fill\":\"zone\",\"fill-max\":5}}}");

	(void)state;
	assert_int_equal(config->serial, 7);
	assert_int_equal(config->cache_size_bytes, 1 << 30);
	assert_string_equal(config->state_directory, "/s/");
	assert_string_equal(config->control_socket, "/s/control.sock");
	assert_int_equal(config->waiters_max, 5);

	const struct config_zone *zone = &config->zones[0];
	assert_string_equal(zone->id, "inside");
	assert_memory_equal(zone->name.wire, "\7example\3org", 13);
	assert_int_equal(zone->ttl_min_s, 60);
	assert_int_equal(zone->ttl_max_s, 604800);
	assert_int_equal(zone->ttl_negative_max_s, 5);
	assert_int_equal(zone->stale_s, 0);
	assert_true(zone->prefetch);
	assert_int_equal(zone->fill, CONFIG_FILL_ZONE);
	assert_int_equal(zone->fill_max, 5);
	assert_int_equal(zone->admission.mode[CONFIG_FILTER_MISSES],
			 CONFIG_MODE_OFF);
	assert_int_equal(zone->admission.mode[CONFIG_FILTER_REPEATS],
			 CONFIG_MODE_OBSERVE);
	assert_true(zone->admission.any);
	assert_int_equal(zone->admission.normal, 9);
	assert_int_equal(zone->admission.miss_factor, 3);
	assert_int_equal(zone->admission.unknown_factor, 4);
	assert_int_equal(zone->admission.origin_rate, 7);
	assert_int_equal(zone->line, 5);
	assert_int_equal(zone->n_origins, 2);

	const struct config_origin *origin = zone->origins;
	assert_address(&origin[0].address, "2001:db8::53", 853);
	assert_address(&origin[0].source, "2001:db8::1", 0);
	assert_int_equal(origin[0].transport, CONFIG_TLS);
	assert_memory_equal(origin[0].key.wire, "\10edge-key", 10);
	assert_string_equal(origin[0].tls_name, "ns.example.org");
	assert_string_equal(origin[0].tls_ca, "/ca");
	assert_int_equal(origin[0].timeout_ms, 1500);
	assert_address(&origin[1].address, "192.0.2.1", 54);
	assert_int_equal(origin[1].transport, CONFIG_UDP);
	assert_null(origin[1].tls_name);
	config_free(config);
}

static void compares_origins(void **state)
{
	static const char *const variants[] = {
		"",
		",\"port\":54",
		",\"transport\":\"udp\"",
		",\"transport\":\"tls\"",
		",\"transport\":\"tls\",\"tls\":{\"name\":\"a\"}",
		",\"transport\":\"tls\",\"tls\":{\"name\":\"b\"}",
		",\"transport\":\"tls\",\"tls\":{\"ca-file\":\"/a\"}",
		",\"key\":\"k\"",
		",\"source\":\"192.0.2.1\"",
		",\"timeout\":\"1s\"",
		"},{\"address\":\"192.0.2.54\"",
	};
	enum { N = sizeof(variants) / sizeof(variants[0]) };

	(void)state;
	for (size_t i = 0; i < N; i++) {
		struct config *a = one(variants[i], "");
		for (size_t k = 0; k < N; k++) {
			struct config *b = one(variants[k], ",\"stale\":1");
			assert_int_equal(config_origins_equal(&a->zones[0],
							      &b->zones[0]),
					 i == k);
			config_free(b);
		}
		config_free(a);
	}
}

static void reports_in_order(void **state)
{
	/* The overlap is noticed last, and stands in line 2. */
	const char *text = "{\"version\":1,\"zones\":{\"a\":{\"origins\":1},\n"
			   "\"A\":{\"origins\":[]}},\n"
			   "\"serial\":-1,\n"
			   "\"pops\":[]}";

	(void)state;
	bad(text, ERRS_MAX);
	assert_int_equal(n_errs, 5);
	for (size_t i = 1; i < n_errs; i++)
		assert_true(errs[i - 1].line <= errs[i].line);
	assert_string_equal(errs[0].path, "zones.a.origins");
	assert_string_equal(errs[1].path, "zones.A");
	assert_string_equal(errs[2].path, "zones.A.origins");
	assert_string_equal(errs[3].path, "serial");
	assert_string_equal(errs[4].path, "pops");
	/* The first ones of the document, not the first ones noticed. */
	bad(text, 2);
	assert_int_equal(n_errs, 2);
	assert_string_equal(errs[0].path, "zones.a.origins");
	assert_string_equal(errs[1].path, "zones.A");
	bad(text, 0);
	assert_int_equal(n_errs, 0);
	bad("{", 0);
	assert_int_equal(n_errs, 0);
}

static void survives_long_names(void **state)
{
	enum { LONG = 5000 };
	char text[LONG + 256], name[LONG + 1];

	(void)state;
	memset(name, '"', LONG);
	for (size_t i = 0; i < LONG; i += 2)
		name[i] = '\\';
	name[LONG] = '\0';
	snprintf(text, sizeof(text), "{\"version\":1,\"zones\":{\"%s\":1}}",
		 name);
	bad(text, ERRS_MAX);
	assert_int_equal(n_errs, 2);
	assert_string_equal(errs[0].text,
			    "a string of 2500 octets, want 1..255");
	snprintf(text, sizeof(text), "{\"version\":1,\"%s\":1}", name);
	bad(text, ERRS_MAX);
	assert_int_equal(n_errs, 1);
	assert_non_null(strstr(errs[0].text, "...\""));
}

static void reads_files(void **state)
{
	char directory[] = "/tmp/nearzone-test-XXXXXX";
	char path[64];
	struct config *config = NULL;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a", directory);
	assert_int_equal(config_load(path, &config, errs, 1, &n_errs), -ENOENT);
	assert_int_equal(n_errs, 1);
	assert_int_equal(errs[0].line, 0);
	assert_string_equal(errs[0].text,
			    "cannot read: No such file or directory");
	assert_int_equal(config_load(path, &config, NULL, 0, &n_errs), -ENOENT);
	assert_int_equal(n_errs, 0);
	assert_int_equal(config_load(directory, &config, errs, 1, &n_errs),
			 -EISDIR);

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_load(path, &config, errs, 1, &n_errs), -ENODEV);
	assert_string_equal(errs[0].text, "not a regular file");
	unlink(path);

	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), (off_t)CONFIG_FILE_MAX + 1), 0);
	assert_int_equal(config_load(path, &config, errs, 1, &n_errs), -EFBIG);
	assert_int_equal(n_errs, 1);
	assert_null(config);
	assert_int_equal(ftruncate(fileno(f), 0), 0);
	assert_true(fputs("{\"version\":1}", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(config_load(path, &config, errs, 1, &n_errs), 0);
	assert_string_equal(config->file, path);
	config_free(config);
	unlink(path);
	rmdir(directory);
}

static const char *source(void)
{
	const char *dir = getenv("srcdir");

	return dir != NULL ? dir : ".";
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text);

	return n > strlen(end) && strcmp(text + n - strlen(end), end) == 0;
}

/* What a load says of 'file', called 'name', a line a finding. */
static int findings(const char *file, const char *name, char *out, size_t size)
{
	struct config *config = NULL;
	size_t n = 0;
	size_t used = 0;

	int rc = config_load(file, &config, errs, ERRS_MAX, &n);
	out[0] = '\0';
	for (size_t i = 0; rc != 0 && i < n; i++) {
		char line[1024];
		err_format(&errs[i], name, line, sizeof(line));
		used += (size_t)snprintf(out + used, size - used, "%s\n", line);
		assert_true(used < size);
	}
	if (rc == 0)
		config_free(config);
	return rc;
}

static void expected(const char *dir, const char *json, char *out, size_t size)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%.*s.expected", dir,
		       (int)(strlen(json) - 5), json);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	(void)fclose(f);
}

static size_t each_file(const char *which, bool accepted)
{
	static char said[65536];
	static char want[65536];
	char dir[512];
	char path[1024];
	size_t n = 0;

	(void)snprintf(dir, sizeof(dir), "%s/tests/config/%s", source(), which);
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		if (!ends_with(e->d_name, ".json"))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		int rc = findings(path, e->d_name, said, sizeof(said));
		if (accepted) {
			assert_string_equal(said, "");
			assert_int_equal(rc, 0);
		} else {
			assert_int_not_equal(rc, 0);
			expected(dir, e->d_name, want, sizeof(want));
			assert_string_equal(said, want);
		}
		n++;
	}
	(void)closedir(d);
	return n;
}

static void holds_every_file(void **state)
{
	(void)state;
	assert_true(each_file("accepted", true) >= 5);
	assert_true(each_file("rejected", false) >= 80);
}

static void shares_origins_of_many_zones(void **state)
{
	enum { N = 2000 };
	size_t max = N * 80 + 64, n = 0;
	char *text = malloc(max);

	(void)state;
	assert_non_null(text);
	n += (size_t)snprintf(text, max, "{\"version\":1,\"zones\":{");
	for (unsigned i = 0; i < N; i++)
		n += (size_t)snprintf(text + n, max - n,
				      "%s\"z%u.example\":{\"origins\":["
				      "{\"address\":\"192.0.2.53\"}]}",
				      i > 0 ? ",\n" : "", i);
	snprintf(text + n, max - n, "}}");

	struct config *config = good(text);
	assert_int_equal(config->n_zones, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(config->zones[i].line, i + 1);
		assert_ptr_equal(config->zones[i].origins,
				 config->zones[0].origins);
	}
	config_free(config);
	free(text);
}

static void prints_its_schema(void **state)
{
	char *text = NULL, *again = NULL;

	(void)state;
	assert_int_equal(schema_text(&text), 0);
	assert_int_equal(schema_text(&again), 0);
	assert_string_equal(text, again);
	assert_non_null(strstr(text, "\"negative-max\""));
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	free(again);
}

/* Every block has room in the checker's array, and defaults are in range. */
static void check_block(const struct schema_block *block)
{
	assert_true(block->n_keys <= SCHEMA_KEYS_MAX);
	for (size_t i = 0; i < block->n_keys; i++) {
		const struct schema_key *key = &block->keys[i];
		const struct schema_item *is = &key->is;
		if (is->type == SCHEMA_LIST)
			is = is->item;
		if (is->block != NULL)
			check_block(is->block);
		if (!key->preset || key->fallback_text != NULL ||
		    is->type == SCHEMA_WORD || is->type == SCHEMA_BOOL)
			continue;
		assert_true(key->fallback >= is->min);
		assert_true(key->fallback <= is->max);
	}
}

static void has_sound_tables(void **state)
{
	(void)state;
	check_block(&schema_root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_defaults),
		cmocka_unit_test(takes_what_is_given),
		cmocka_unit_test(compares_origins),
		cmocka_unit_test(reports_in_order),
		cmocka_unit_test(survives_long_names),
		cmocka_unit_test(reads_files),
		cmocka_unit_test(holds_every_file),
		cmocka_unit_test(shares_origins_of_many_zones),
		cmocka_unit_test(prints_its_schema),
		cmocka_unit_test(has_sound_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
