/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "probes-client/probed_test.h"

static const struct config_service web = { .id = "web", .rise = 2, .fall = 3 };

static const struct probed_result good = { .error = PROBE_OK, .metric_ms = 7 };
static const struct probed_result bad = { .error = PROBE_REFUSED,
					  .metric_ms = PROBE_METRIC_FAILED };

static struct probed_target target_of(const struct config_service *service)
{
	struct probed_target target = { .server = "fra-a", .service = service };

	snprintf(target.address_text, sizeof(target.address_text),
		 "198.51.100.10");
	return target;
}

/* '+' and '-' are results; what follows each is the state after it. */
static void rises_and_falls(void **state)
{
	static const char *const rows[] = {
		"+u-u-u+u-u-u-d-d+d-d+d+u-u",
		"-d+d+u",
		"-d-d+d-d+d+u",
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		struct probed_target target = target_of(&web);
		enum probed_state before = PROBED_UNTESTED;
		for (const char *p = rows[r]; *p != '\0'; p += 2) {
			enum probed_change change = probed_target_take(
				&target, p[0] == '+' ? &good : &bad, 1, 1);
			assert_int_equal(target.state,
					 p[1] == 'u' ? PROBED_UP : PROBED_DOWN);
			if (before == PROBED_UNTESTED)
				assert_int_equal(change, PROBED_FIRST);
			else if (before == target.state)
				assert_int_equal(change, PROBED_SAME);
			else
				assert_int_equal(change, PROBED_CHANGED);
			before = target.state;
		}
	}
}

static const struct config_service flappy = {
	.id = "web",
	.rise = 1,
	.fall = 1,
	.damping = { .half_life_ms = 10000,
		     .longest_ms = 60000,
		     .suppress = 2.5,
		     .reuse = 1 },
};

/* Down and up again, a second apart. */
static enum probed_change flap(struct probed_target *target, uint64_t *now_ms)
{
	(void)probed_target_take(target, &bad, *now_ms += 1000, 1);
	assert_int_equal(target->state, PROBED_DOWN);
	return probed_target_take(target, &good, *now_ms += 1000, 1);
}

static void holds_what_flaps(void **state)
{
	struct probed_target target = target_of(&flappy);
	uint64_t now_ms = 1000;
	char line[PROBED_LINE_MAX];

	(void)state;
	(void)probed_target_take(&target, &good, now_ms, 1);
	assert_int_equal(flap(&target, &now_ms), PROBED_CHANGED);
	assert_int_equal(flap(&target, &now_ms), PROBED_CHANGED);
	assert_int_equal(probed_target_error(&target), PROBE_OK);
	assert_int_equal(flap(&target, &now_ms), PROBED_HELD);
	assert_int_equal(target.state, PROBED_DOWN);
	assert_int_equal(probed_target_error(&target), PROBE_HELD);
	probed_target_describe(&target, &good, PROBED_HELD, line, sizeof(line));
	assert_non_null(strstr(line, "held down after 1 good test: it failed "
				     "too often (penalty 2."));
	/* It is calm; but a penalty of more than 2 takes a half-life. */
	for (int i = 0; i < 9; i++)
		assert_int_equal(
			probed_target_take(&target, &good, now_ms += 1000, 1),
			PROBED_SAME);
	/* Not calm after all: that counts, too. */
	(void)probed_target_take(&target, &bad, now_ms += 1000, 1);
	assert_int_equal(probed_target_error(&target), PROBE_REFUSED);
	assert_int_equal(probed_target_take(&target, &good, now_ms += 1000, 1),
			 PROBED_HELD);
	while (probed_target_take(&target, &good, now_ms += 1000, 1) !=
	       PROBED_CHANGED)
		assert_true(now_ms < 60000);
	assert_int_equal(target.state, PROBED_UP);
	assert_true(target.penalty < 1);
	/* More than twice a half-life since it was 2.4 and 1 came to it. */
	assert_in_range(now_ms, 25000, 35000);
}

static void holds_no_longer_than_is_said(void **state)
{
	struct config_service service = flappy;
	service.damping.half_life_ms = 86400000;
	struct probed_target target = target_of(&service);
	uint64_t now_ms = 1000;

	(void)state;
	(void)probed_target_take(&target, &good, now_ms, 1);
	for (int i = 0; i < 100; i++)
		(void)flap(&target, &now_ms);
	assert_true(target.penalty <= 2.5);
	assert_true(target.held || target.state == PROBED_UP);
	uint64_t from_ms = now_ms;
	while (target.state != PROBED_UP)
		(void)probed_target_take(&target, &good, now_ms += 1000, 1);
	assert_true(now_ms - from_ms <= 60000);
}

static void counts_slow_as_load(void **state)
{
	struct config_service service = { .degraded_ms = 200 };

	(void)state;
	assert_int_equal(probed_target_metric(&web, 5000), 5000);
	assert_int_equal(probed_target_metric(&service, 200), 200);
	assert_int_equal(probed_target_metric(&service, 201), 210);
	assert_int_equal(probed_target_metric(&service, 700), 5200);
	assert_int_equal(probed_target_metric(&service, 60000), 65534);
}

static void keeps_the_newest(void **state)
{
	struct probed_target target = target_of(&web);

	(void)state;
	(void)probed_target_take(&target, &good, 1000, 5000);
	(void)probed_target_take(&target, &bad, 2000, 6000);
	(void)probed_target_take(&target, &bad, 3000, 7000);
	assert_int_equal(target.state, PROBED_UP);
	assert_int_equal(target.error, PROBE_REFUSED);
	assert_int_equal(target.metric_ms, PROBE_METRIC_FAILED);
	assert_int_equal(target.measured_ms, 7000);
	assert_int_equal(target.since_ms, 1000);
	assert_int_equal(target.run, 2);
	assert_int_equal(target.n_tests, 3);
}

static void describes(void **state)
{
	struct probed_target target = target_of(&web);
	struct probed_result odd = { .error = PROBE_STATUS,
				     .metric_ms = PROBE_METRIC_FAILED,
				     .detail = "503, want 200" };
	char line[PROBED_LINE_MAX];

	(void)state;
	enum probed_change change = probed_target_take(&target, &good, 0, 1);
	probed_target_describe(&target, &good, change, line, sizeof(line));
	assert_string_equal(line, "server 'fra-a' 198.51.100.10 service 'web': "
				  "up at the first test: 7 ms");
	(void)probed_target_take(&target, &bad, 1, 1);
	(void)probed_target_take(&target, &bad, 2, 1);
	change = probed_target_take(&target, &bad, 10920000, 1);
	probed_target_describe(&target, &bad, change, line, sizeof(line));
	assert_string_equal(line, "server 'fra-a' 198.51.100.10 service 'web': "
				  "down after 3 failures (was up 3h 2m): "
				  "connection refused");
	change = probed_target_take(&target, &odd, 10921000, 1);
	probed_target_describe(&target, &odd, change, line, sizeof(line));
	assert_string_equal(line, "server 'fra-a' 198.51.100.10 service 'web': "
				  "still down, test 5: unexpected status "
				  "(503, want 200)");
	(void)probed_target_take(&target, &good, 10922000, 1);
	change = probed_target_take(&target, &good, 10925000, 1);
	probed_target_describe(&target, &good, change, line, sizeof(line));
	assert_string_equal(line, "server 'fra-a' 198.51.100.10 service 'web': "
				  "up after 2 good tests (was down 5s): 7 ms");
}

static void prints_spans(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "0ms" },	      { 999, "999ms" },
		{ 1000, "1s" },	      { 59999, "59s" },
		{ 60000, "1m" },      { 61000, "1m 1s" },
		{ 3600000, "1h" },    { 3659000, "1h" },
		{ 3660000, "1h 1m" }, { 10920000, "3h 2m" },
		{ 86400000, "1d" },   { 200000000, "2d 7h" },
	};
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		probed_span_print(rows[i].ms, out, sizeof(out));
		assert_string_equal(out, rows[i].text);
	}
}

static void explains_connect_errors(void **state)
{
	static const struct {
		int error;
		enum probe_error is;
	} rows[] = {
		{ ECONNREFUSED, PROBE_REFUSED },
		{ ETIMEDOUT, PROBE_TIMEOUT },
		{ ECONNRESET, PROBE_RESET },
		{ EHOSTUNREACH, PROBE_UNREACHABLE },
		{ ENETUNREACH, PROBE_UNREACHABLE },
		{ EMFILE, PROBE_LOCAL },
		{ EADDRNOTAVAIL, PROBE_LOCAL },
		{ EPERM, PROBE_LOCAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(probed_connect_error(rows[i].error),
				 rows[i].is);
}

/* -- tables ---------------------------------------------------------------- */

#define HEAD                                                                   \
	"{\"version\":1,\"services\":{"                                        \
	"\"web\":{\"probe\":\"http\",\"path\":\"%s\",\"interval\":\"%s\","     \
	"\"timeout\":\"1s\"},"                                                 \
	"\"ssh\":{\"probe\":\"tcp\",\"port\":22},"                             \
	"\"none\":{\"probe\":\"noload\"}},"
#define POPS                                                                   \
	"\"pops\":{"                                                           \
	"\"fra\":{\"probe\":\"fra1\",\"servers\":{"                            \
	"\"fra-a\":{\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]},"           \
	"\"fra-b\":{\"addresses\":[\"192.0.2.2\"],"                            \
	"\"services\":[\"web\",\"ssh\",\"none\"]},"                            \
	"\"fra-c\":{\"addresses\":[\"192.0.2.3\"]}}},"                         \
	"\"iad\":{\"probe\":\"iad1\",\"servers\":{"                            \
	"\"iad-a\":{\"addresses\":[\"192.0.2.4\"]}}},"                         \
	"\"any\":{\"servers\":{\"any-a\":{\"addresses\":[\"192.0.2.5\"]}}}},"
#define NAMES                                                                  \
	"\"hostnames\":{"                                                      \
	"\"a.example\":{\"service\":\"web\",\"servers\":[\"fra-a\"],"          \
	"\"backup\":[\"fra-b\"],\"hidden\":[\"iad-a\",\"any-a\"]},"            \
	"\"b.example\":{\"service\":\"web\",\"servers\":[\"fra-a\"]},"         \
	"\"c.example\":{\"service\":\"none\",\"servers\":[\"fra-c\"]},"        \
	"\"d.example\":{\"servers\":[\"fra-c\"]}}}"

static struct probed_table *table_of(const char *node, const char *path,
				     const char *interval)
{
	char text[4096];
	struct config *config = NULL;
	struct err errs[8];
	struct probed_table *table = NULL;
	size_t n_errs = 0;
	int n = snprintf(text, sizeof(text), HEAD POPS NAMES, path, interval);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	int rc = config_parse("test", text, (size_t)n, &config, errs, 8,
			      &n_errs);
	if (rc != 0 && n_errs > 0)
		print_error("%s: %s\n", errs[0].path, errs[0].text);
	assert_int_equal(rc, 0);
	assert_int_equal(probed_table_new(config, node, &table), 0);
	return table;
}

static void assert_targets(const struct probed_table *table,
			   const char *const *want)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct probed_target *target = table->targets[i];
		char text[256];
		assert_non_null(want[i]);
		snprintf(text, sizeof(text), "%s %s %s", target->server,
			 target->address_text, target->service->id);
		assert_string_equal(text, want[i]);
	}
	assert_null(want[table->n]);
}

static void collects_targets(void **state)
{
	static const char *const fra1[] = {
		"any-a 192.0.2.5 web",	 "fra-a 192.0.2.1 web",
		"fra-a 2001:db8::1 web", "fra-b 192.0.2.2 ssh",
		"fra-b 192.0.2.2 web",	 NULL
	};
	static const char *const iad1[] = { "any-a 192.0.2.5 web",
					    "iad-a 192.0.2.4 web", NULL };
	static const char *const other[] = { "any-a 192.0.2.5 web", NULL };
	struct probed_table *table = table_of("fra1", "/", "5s");

	(void)state;
	assert_targets(table, fra1);
	assert_int_equal(probed_table_count(table, PROBED_UNTESTED), 5);
	probed_table_free(table);
	table = table_of("iad1", "/", "5s");
	assert_targets(table, iad1);
	probed_table_free(table);
	table = table_of("other", "/", "5s");
	assert_targets(table, other);
	probed_table_free(table);
}

static void adopts_what_is_the_same(void **state)
{
	struct probed_table *old = table_of("fra1", "/", "5s");
	struct probed_table *next = table_of("fra1", "/", "9s");
	struct probed_target *kept = old->targets[1];

	(void)state;
	for (size_t i = 0; i < old->n; i++)
		(void)probed_target_take(old->targets[i], &good, 1, 1);
	probed_table_adopt(next, old);
	for (size_t i = 0; i < old->n; i++)
		assert_null(old->targets[i]);
	probed_table_free(old); /* what is kept does not point there */
	assert_ptr_equal(next->targets[1], kept);
	assert_string_equal(kept->server, "fra-a");
	assert_int_equal(kept->service->interval_ms, 9000);
	assert_int_equal(probed_table_count(next, PROBED_UP), 5);
	probed_table_free(next);
}

static void another_question_is_another_target(void **state)
{
	struct probed_table *old = table_of("fra1", "/", "5s");
	struct probed_table *next = table_of("fra1", "/health", "5s");

	(void)state;
	for (size_t i = 0; i < old->n; i++)
		(void)probed_target_take(old->targets[i], &good, 1, 1);
	probed_table_adopt(next, old);
	assert_int_equal(probed_table_count(next, PROBED_UP), 1); /* ssh */
	assert_int_equal(probed_table_count(next, PROBED_UNTESTED), 4);
	assert_non_null(old->targets[0]);
	assert_null(old->targets[3]);
	probed_table_free(old);
	probed_table_free(next);
}

static void other_nodes_share_little(void **state)
{
	struct probed_table *old = table_of("fra1", "/", "5s");
	struct probed_table *next = table_of("iad1", "/", "5s");

	(void)state;
	probed_table_adopt(next, old);
	assert_null(old->targets[0]); /* any-a */
	for (size_t i = 1; i < old->n; i++)
		assert_non_null(old->targets[i]);
	probed_table_free(old);
	probed_table_free(next);
}

static void remembers_the_last_results(void **state)
{
	struct probed_recent recent = { 0 };
	char text[PROBED_RECENT_MAX + 1];

	(void)state;
	probed_recent_print(&recent, text);
	assert_string_equal(text, "");
	probed_recent_put(&recent, PROBE_OK, 5);
	probed_recent_put(&recent, PROBE_TIMEOUT, PROBE_METRIC_FAILED);
	probed_recent_put(&recent, PROBE_REFUSED, PROBE_METRIC_FAILED);
	probed_recent_print(&recent, text);
	assert_string_equal(text, ".tr");
	for (unsigned i = 0; i < 19; i++)
		probed_recent_put(&recent, PROBE_OK, 100 + i);
	probed_recent_print(&recent, text);
	assert_string_equal(text, "r...................");
	assert_int_equal(probed_recent_error(&recent, 0), PROBE_REFUSED);
	assert_int_equal(probed_recent_metric(&recent, 1), 100);
	assert_int_equal(probed_recent_metric(&recent, 19), 118);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rises_and_falls),
		cmocka_unit_test(holds_what_flaps),
		cmocka_unit_test(holds_no_longer_than_is_said),
		cmocka_unit_test(counts_slow_as_load),
		cmocka_unit_test(keeps_the_newest),
		cmocka_unit_test(describes),
		cmocka_unit_test(prints_spans),
		cmocka_unit_test(explains_connect_errors),
		cmocka_unit_test(collects_targets),
		cmocka_unit_test(adopts_what_is_the_same),
		cmocka_unit_test(another_question_is_another_target),
		cmocka_unit_test(other_nodes_share_little),
		cmocka_unit_test(remembers_the_last_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
