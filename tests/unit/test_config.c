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

#include <cmocka.h>

#include "common/schema.h"

#define ERRS_MAX 64

static struct config *good(const char *text)
{
	struct config *config = NULL;
	struct err errs[ERRS_MAX];
	size_t n = 0;

	int rc = config_parse("f", text, strlen(text), &config, errs, ERRS_MAX,
			      &n);
	if (rc != 0)
		print_message("%s: %s\n", errs[0].path, errs[0].text);
	assert_int_equal(rc, 0);
	return config;
}

static void test_defaults(void **state)
{
	struct config *c =
		good("{\"version\":1,\"zones\":{\"Example.COM.\":{"
		     "\"origins\":[{\"address\":\"192.0.2.53\"}]}}}");
	const struct config_zone *z = &c->zones[0];
	const struct config_origin *o = &z->origins[0];
	struct sockaddr_in sin;

	(void)state;
	assert_int_equal(c->n_zones, 1);
	assert_int_equal(c->cache_size_bytes, 256u << 20);
	assert_string_equal(c->state_directory, "/var/lib/bind/nearzone");
	assert_string_equal(c->control_socket,
			    "/var/lib/bind/nearzone/control.sock");
	assert_int_equal(c->waiters_max, 10000);
	assert_string_equal(z->id, "Example.COM.");
	assert_memory_equal(z->name.wire, "\7example\3com", 13);
	assert_int_equal(z->ttl_max_s, 86400);
	assert_int_equal(z->stale_s, 86400);
	assert_int_equal(o->transport, CONFIG_TCP);
	assert_int_equal(o->key.n, 0);
	memcpy(&sin, &o->address, sizeof(sin));
	assert_int_equal(sin.sin_family, AF_INET);
	assert_int_equal(ntohs(sin.sin_port), 53);
	assert_int_equal(sin.sin_addr.s_addr, htonl(0xc0000235));
	config_free(c);
}

static void test_origins_equal(void **state)
{
	struct config *c = good(
		"{\"version\":1,\"zones\":{"
		"\"a\":{\"origins\":[{\"address\":\"192.0.2.1\"}],\"stale\":0},"
		"\"b\":{\"origins\":[{\"address\":\"192.0.2.1\",\"port\":53}]},"
		"\"c\":{\"origins\":[{\"address\":\"192.0.2.1\",\"port\":54}]},"
		"\"d\":{\"origins\":[{\"address\":\"192.0.2.1\","
		"\"key\":\"k\"}]},"
		"\"e\":{\"origins\":[{\"address\":\"192.0.2.1\","
		"\"transport\":\"udp\"}]}}}");

	(void)state;
	assert_true(config_origins_equal(&c->zones[0], &c->zones[1]));
	for (size_t i = 2; i < 5; i++)
		assert_false(config_origins_equal(&c->zones[0], &c->zones[i]));
	config_free(c);
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
	static struct err errs[ERRS_MAX];
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

static void test_files(void **state)
{
	(void)state;
	assert_true(each_file("accepted", true) >= 5);
	assert_true(each_file("rejected", false) >= 50);
}

static void test_no_file(void **state)
{
	struct config *config = NULL;
	struct err errs[2];
	size_t n = 0;

	(void)state;
	assert_int_not_equal(
		config_load("/nowhere/at/all", &config, errs, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(errs[0].line, 0);
	assert_null(config);
}

static void test_schema(void **state)
{
	char *text = NULL;

	(void)state;
	assert_int_equal(schema_text(&text), 0);
	assert_non_null(strstr(text, "\"origins\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_origins_equal),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
