/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <cmocka.h>

#include "probes-client/pages.h"
#include "probes-client/probed_merge.h"
#include "probes-client/probed_plugin.h"

#define TEXT_MAX (1u << 20)

/* What was written, as a string; the caller frees it. */
static char *text_of(struct probed_expo *expo)
{
	char *text = calloc(1, expo->n + 1);

	assert_non_null(text);
	if (expo->n > 0)
		memcpy(text, expo->text, expo->n);
	probed_expo_fini(expo);
	return text;
}

static void is_text(struct probed_expo *expo, const char *want)
{
	char *text = text_of(expo);

	assert_string_equal(text, want);
	free(text);
}

/* -- the format -------------------------------------------------------------
 */

static void writes_samples(void **state)
{
	struct probed_expo expo;

	(void)state;
	probed_expo_init(&expo, TEXT_MAX);
	probed_expo_family(&expo, PROBED_GAUGE, "a", "Not written.");
	probed_expo_family(&expo, PROBED_COUNTER, "b_total", "Some.");
	probed_expo_number(&expo, PROBED_NO_LABELS, 0);
	probed_expo_number(&expo, PROBED_LABELS({ "x", "1" }, { "y", "" }),
			   UINT64_MAX);
	probed_expo_family(&expo, PROBED_GAUGE, "c_seconds", "Others.");
	probed_expo_milli(&expo, PROBED_NO_LABELS, 0);
	probed_expo_milli(&expo, PROBED_NO_LABELS, 45);
	probed_expo_milli(&expo, PROBED_NO_LABELS, 12345);
	probed_expo_micro(&expo, PROBED_NO_LABELS, 1000001);
	is_text(&expo, "# HELP b_total Some.\n"
		       "# TYPE b_total counter\n"
		       "b_total 0\n"
		       "b_total{x=\"1\",y=\"\"} 18446744073709551615\n"
		       "# HELP c_seconds Others.\n"
		       "# TYPE c_seconds gauge\n"
		       "c_seconds 0.000\n"
		       "c_seconds 0.045\n"
		       "c_seconds 12.345\n"
		       "c_seconds 1.000001\n");
}

static void escapes_values(void **state)
{
	struct probed_expo expo;

	(void)state;
	probed_expo_init(&expo, TEXT_MAX);
	probed_expo_family(&expo, PROBED_GAUGE, "a", "A.");
	probed_expo_number(&expo, PROBED_LABELS({ "v", "q\"b\\n\nz" }), 1);
	probed_expo_number(&expo, PROBED_LABELS({ "v", "\xc3\xa4" }), 2);
	probed_expo_number(&expo, PROBED_LABELS({ "v", "\xc3z\xff" }), 3);
	is_text(&expo, "# HELP a A.\n# TYPE a gauge\n"
		       "a{v=\"q\\\"b\\\\n\\nz\"} 1\n"
		       "a{v=\"\xc3\xa4\"} 2\n"
		       "a{v=\"?z?\"} 3\n");
}

/* A line for which there is no room is not begun. */
static void stays_in_bounds(void **state)
{
	const char *whole = "# HELP a A.\n# TYPE a gauge\na 1\n";

	(void)state;
	for (size_t max = 0; max <= strlen(whole) + 4; max++) {
		struct probed_expo expo;
		probed_expo_init(&expo, max);
		probed_expo_family(&expo, PROBED_GAUGE, "a", "A.");
		probed_expo_number(&expo, PROBED_NO_LABELS, 1);
		probed_expo_number(&expo, PROBED_NO_LABELS, 2);
		size_t lines = max < strlen(whole)	 ? 0
			       : max < strlen(whole) + 4 ? 1
							 : 2;
		assert_int_equal(expo.lost, 2 - lines);
		assert_int_equal(expo.n,
				 lines == 0 ? 0
					    : strlen(whole) + 4 * (lines - 1));
		probed_expo_fini(&expo);
	}
}

static void writes_histograms(void **state)
{
	struct probed_histo histo = { .sum_ms = 0 };
	struct probed_expo expo;

	(void)state;
	probed_histo_take(&histo, 0);
	probed_histo_take(&histo, 1);
	probed_histo_take(&histo, 2);
	probed_histo_take(&histo, 10000);
	probed_histo_take(&histo, 10001);
	assert_int_equal(probed_histo_count(&histo), 5);
	probed_expo_init(&expo, TEXT_MAX);
	probed_expo_family(&expo, PROBED_HISTOGRAM, "h", "H.");
	probed_expo_histo(&expo, PROBED_LABELS({ "s", "x" }), &histo);
	char *text = text_of(&expo);
	assert_non_null(strstr(text, "h_bucket{s=\"x\",le=\"0.001\"} 2\n"
				     "h_bucket{s=\"x\",le=\"0.002\"} 3\n"));
	assert_non_null(strstr(text, "h_bucket{s=\"x\",le=\"10.0\"} 4\n"
				     "h_bucket{s=\"x\",le=\"+Inf\"} 5\n"
				     "h_sum{s=\"x\"} 20.004\n"
				     "h_count{s=\"x\"} 5\n"));
	free(text);
}

/* -- the side-car's own -----------------------------------------------------
 */

static const struct config_service services[] = {
	{ .id = "a", .rise = 1, .fall = 1 },
	{ .id = "b", .rise = 1, .fall = 1 },
	{ .id = "c", .rise = 1, .fall = 1 },
};

static void shows_targets(void **state)
{
	struct config config = { .services = services, .n_services = 3 };
	struct probed_target target = { .server = "srv",
					.address_text = "192.0.2.1",
					.service = &services[1] };
	struct probed_target twin = target;
	struct probed_target *targets[] = { &target, &twin };
	struct probed_table table = { .config = &config,
				      .targets = targets,
				      .n = 2 };
	struct probed_result up = { .metric_ms = 12 };
	struct probed_result down = { .error = PROBE_REFUSED,
				      .metric_ms = PROBE_METRIC_FAILED };
	struct probed_metrics metrics = { .table = &table, .now_ms = 5000 };
	struct probed_expo expo;

	(void)state;
	probed_target_take(&target, &up, 1000, 1);
	probed_target_take(&target, &down, 2000, 2);
	probed_target_take(&target, &up, 3500, 3);
	probed_expo_init(&expo, TEXT_MAX);
	probed_metrics_put_targets(&expo, &metrics);
	char *text = text_of(&expo);
#define L "{server=\"srv\",address=\"192.0.2.1\",service=\"b\""
	assert_non_null(strstr(text, "\nnearzone_probe_up" L "} 1\n#"));
	assert_non_null(strstr(text, "\nnearzone_probe_last_duration_seconds" L
				     "} 0.012\n"));
	assert_non_null(strstr(text,
			       "\nnearzone_probe_last_result_age_seconds" L
			       "} 1.500\n"));
	assert_non_null(
		strstr(text, "\nnearzone_probe_tests_total" L "} 3\n#"));
	assert_non_null(
		strstr(text, "\nnearzone_probe_transitions_total" L "} 2\n"));
	assert_non_null(strstr(text, "\nnearzone_probe_failures_total" L
				     ",error=\"connection refused\"} 1\n"));
	assert_null(strstr(text, "timed out"));
#undef L
	free(text);
}

static void keeps_the_tally(void **state)
{
	struct config old = { .services = services, .n_services = 2 };
	struct config new = { .services = services + 1, .n_services = 2 };
	struct probed_tally *first = probed_tally_new(&old, NULL, NULL);

	(void)state;
	assert_non_null(first);
	probed_histo_take(&first->of[0], 7);
	probed_histo_take(&first->of[1], 8);
	struct probed_tally *second = probed_tally_new(&new, first, &old);
	assert_non_null(second);
	assert_int_equal(second->n, 2);
	assert_int_equal(second->of[0].sum_ms, 8); /* "b" */
	assert_int_equal(second->of[1].sum_ms, 0); /* "c" */
	free(first);
	free(second);
}

/* -- the plugin's -----------------------------------------------------------
 */

static char *plugin_text_of(const char *status, const char *servers,
			    struct probed_omitted *omitted)
{
	struct json_object *a =
		status != NULL ? json_tokener_parse(status) : NULL;
	struct json_object *b =
		servers != NULL ? json_tokener_parse(servers) : NULL;
	struct probed_expo expo;

	struct probed_listed listed = { 0 };
	probed_expo_init(&expo, TEXT_MAX);
	probed_plugin_put_page(&expo, a, &listed);
	probed_plugin_put(&expo, a, b, &listed, omitted);
	probed_listed_fini(&listed);
	json_object_put(a);
	json_object_put(b);
	return text_of(&expo);
}

static void shows_a_plugin(void **state)
{
	struct probed_omitted omitted;

	(void)state;
	char *text = plugin_text_of(
		"{\"ok\":true,\"status\":{\"version\":\"1\",\"bind\":\"9\","
		"\"config\":{\"state\":\"ok\",\"zones\":3},"
		"\"counters\":{\"queries\":7,\"new_one\":1,\"Bad\":2,"
		"\"minus\":-1},"
		"\"asked_failed\":{\"timeout\":2,\"other\":0},"
		"\"zones\":[{\"id\":\"a\",\"counters\":{\"hits\":5},"
		"\"asked_failed\":{\"timeout\":2,\"other\":0,\"x\":1},"
		"\"cache\":{\"entries\":4,\"bytes\":900,\"negative\":1},"
		"\"names\":{\"set\":{\"state\":\"kept\",\"names\":12},"
		"\"proofs\":3},"
		"\"fresh\":{\"serial\":null,\"hints\":2}},"
		"{\"id\":\"b\",\"counters\":{\"hits\":6}}],"
		"\"origins\":[{\"address\":\"::1\",\"port\":53,"
		"\"transport\":\"tcp\",\"up\":true,\"srtt_us\":1500},"
		"{\"address\":\"::1\",\"port\":53,\"transport\":\"tcp\","
		"\"up\":false},{\"address\":\"::1\",\"port\":5,"
		"\"transport\":\"tcp\",\"up\":true,"
		"\"dropped\":{\"wrong_id\":7,\"no_cookie\":\"x\"}},"
		"{\"dropped\":{\"wrong_id\":8}}],"
		"\"clients\":{\"places\":62,\"took_us\":2500000,"
		"\"refused\":true},"
		"\"traffic\":{\"hostnames\":1,\"servers\":1,\"decisions\":9,"
		"\"feed\":{\"rows\":4,\"old\":1,\"last_s\":0.25},"
		"\"names\":[{\"name\":\"www\",\"counts\":{\"decisions\":9}}]}}"
		"}",
		"{\"servers\":[{\"server\":\"s\",\"pop\":\"p\",\"given\":3,"
		"\"state\":\"drained\",\"tests\":[{\"state\":\"up\"},"
		"{\"state\":\"up\"},{\"state\":\"down\"},7]}]}",
		&omitted);
	static const char *const wanted[] = {
		"\nnearzone_client_map_places 62\n",
		"\nnearzone_client_map_build_seconds 2.500000\n",
		"\nnearzone_client_map_refused 1\n",
		"\nnearzone_up 1\n",
		"\nnearzone_build_info{version=\"1\",bind=\"9\"} 1\n",
		"\nnearzone_config_ok 1\n",
		"\nnearzone_queries_total 7\n",
		"\nnearzone_new_one_total 1\n",
		"\nnearzone_zone_hits_total{zone=\"a\"} 5\n"
		"nearzone_zone_hits_total{zone=\"b\"} 6\n",
		"\nnearzone_asked_failed_total{kind=\"timeout\"} 2\n"
		"nearzone_asked_failed_total{kind=\"other\"} 0\n#",
		"\nnearzone_zone_asked_failed_total{zone=\"a\",kind="
		"\"timeout\"} "
		"2\n#",
		"\nnearzone_zone_hints_total{zone=\"a\"} 2\n",
		"\nnearzone_zone_cache_entries{zone=\"a\"} 4\n#",
		"\nnearzone_zone_cache_bytes{zone=\"a\"} 900\n#",
		"\nnearzone_zone_cache_negative_entries{zone=\"a\"} 1\n#",
		"\nnearzone_zone_known_names{zone=\"a\"} 12\n#",
		"\nnearzone_zone_proofs{zone=\"a\"} 3\n#",
		"\nnearzone_origin_up{origin=\"[::1]:53/tcp\"} 1\n"
		"nearzone_origin_up{origin=\"[::1]:53/tcp#2\"} 0\n"
		"nearzone_origin_up{origin=\"[::1]:5/tcp\"} 1\n#",
		"\nnearzone_origin_srtt_seconds{origin=\"[::1]:53/tcp\"} "
		"0.001500\n",
		"\nnearzone_origin_dropped_total{origin=\"[::1]:5/tcp\","
		"reason=\"wrong_id\"} 7\n#",
		"\nnearzone_hostname_decisions_total{hostname=\"www\"} 9\n",
		"\nnearzone_feed_refused_rows_total{reason=\"old\"} 1\n",
		"\nnearzone_feed_last_batch_age_seconds 0.250\n",
		"\nnearzone_server_given_total{server=\"s\",pop=\"p\"} 3\n",
		"\nnearzone_server_drained{server=\"s\",pop=\"p\"} 1\n",
		"\nnearzone_server_tests{server=\"s\",pop=\"p\",state=\"up\"} "
		"2\n",
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_non_null(strstr(text, wanted[i]));
	assert_null(strstr(text, "Bad"));
	assert_null(strstr(text, "minus"));
	assert_null(strstr(text, "serial"));
	assert_int_equal(omitted.zones, 1);
	assert_int_equal(omitted.hostnames, 0);
	assert_int_equal(omitted.servers, 0);
	free(text);
}

/* Whatever it says, nothing but series comes of it. */
static void bears_nonsense(void **state)
{
	static const char *const replies[] = {
		"[]",
		"{\"status\":[]}",
		"{\"status\":{\"config\":[],\"cache\":7,\"counters\":\"x\","
		"\"zones\":{},\"origins\":[1,null,[]],\"traffic\":[],"
		"\"control\":null,\"conflicts\":3}}",
		"{\"status\":{\"zones\":[1,{\"id\":2,\"counters\":{\"a\":1}}],"
		"\"traffic\":{\"names\":[[]],\"pops\":[{\"pop\":1}],"
		"\"feed\":{\"last_s\":\"soon\"}}}}",
		"{\"status\":{\"zones\":[{\"id\":\"z\",\"counters\":7}],"
		"\"traffic\":{\"names\":[{\"name\":\"n\",\"counts\":[]}],"
		"\"feed\":{\"last_s\":-1}}}}",
	};
	struct probed_omitted omitted;

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		free(plugin_text_of(replies[i], replies[i], &omitted));
	char *text = plugin_text_of(NULL, NULL, &omitted);
	assert_non_null(strstr(text, "\nnearzone_up 0\n"));
	free(text);
}

/* -- pages ------------------------------------------------------------------
 */

static void is_json(struct json_object *o, const char *want)
{
	assert_string_equal(
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
		want);
}

static void puts_pages_together(void **state)
{
	static const char *const pages[] = {
		"{\"status\":{\"origins\":[8],\"next\":{\"list\":\"zones\"}}}",
		"{\"status\":{\"zones\":[2,3],\"traffic\":{},"
		"\"next\":{\"list\":\"hostnames\"}}}",
		"{\"status\":{\"traffic\":{\"names\":[4],\"answers\":[5]}}}",
	};
	struct json_object *whole = json_tokener_parse(
		"{\"status\":{\"zones\":[1],\"traffic\":{\"a\":0},"
		"\"next\":{\"list\":\"zones\"}}}");

	(void)state;
	is_json(pages_next(whole), "{\"list\":\"zones\"}");
	for (size_t i = 0; i < 3; i++) {
		struct json_object *page = json_tokener_parse(pages[i]);
		assert_true(pages_add(whole, page));
		json_object_put(page);
	}
	assert_null(pages_next(whole));
	is_json(whole, "{\"status\":{\"zones\":[1,2,3],\"traffic\":{\"a\":0,"
		       "\"names\":[4],\"answers\":[5]},\"origins\":[8]}}");
	json_object_put(whole);
}

/* After a reload between two pages some come again; a series may not. */
static void lists_nothing_twice(void **state)
{
	static const char *const pages[] = {
		"{\"status\":{\"zones\":[{\"id\":\"a\",\"counters\":"
		"{\"hits\":1}},{\"id\":\"b\",\"counters\":{\"hits\":2}}]}}",
		"{\"status\":{\"zones\":[{\"id\":\"b\",\"counters\":"
		"{\"hits\":3}},{\"id\":\"c\",\"counters\":{\"hits\":4}}],"
		"\"traffic\":{\"names\":[{\"name\":\"b\",\"counts\":"
		"{\"decisions\":5}},{\"name\":\"b\",\"counts\":"
		"{\"decisions\":6}}]}}}",
	};
	struct probed_listed listed = { 0 };
	struct probed_expo expo;

	(void)state;
	probed_expo_init(&expo, TEXT_MAX);
	for (size_t i = 0; i < 2; i++) {
		struct json_object *page = json_tokener_parse(pages[i]);
		probed_plugin_put_page(&expo, page, &listed);
		json_object_put(page);
	}
	assert_int_equal(listed.zones, 3);
	assert_int_equal(listed.hostnames, 1);
	probed_listed_fini(&listed);
	char *text = text_of(&expo);
	assert_non_null(strstr(text, "hits_total{zone=\"b\"} 2\n"));
	assert_null(strstr(text, "hits_total{zone=\"b\"} 3\n"));
	assert_non_null(strstr(text, "hits_total{zone=\"c\"} 4\n"));
	assert_non_null(strstr(text, "decisions_total{hostname=\"b\"} 5\n"));
	assert_null(strstr(text, "} 6\n"));
	free(text);
}

/* Of more origins than are shown, no more pages are asked for. */
static void enough_origins(void **state)
{
	struct probed_listed listed = { 0 };
	struct json_object *page = json_tokener_parse(
		"{\"status\":{\"origins\":[1,2,3],"
		"\"next\":{\"list\":\"origins\",\"at\":3}}}");
	struct probed_expo expo;
	size_t n = 0;

	(void)state;
	probed_expo_init(&expo, TEXT_MAX);
	for (bool more = true; more; n++) {
		probed_plugin_put_page(&expo, page, &listed);
		struct json_object *after = probed_plugin_next(page, &listed);
		const char *list = json_object_get_string(
			json_object_object_get(after, "list"));
		more = strcmp(list, "origins") == 0;
		json_object_put(after);
	}
	assert_int_equal(n, (PROBED_ORIGINS_SHOWN_MAX + 2) / 3);
	assert_int_equal(json_object_array_length(listed.origins),
			 PROBED_ORIGINS_SHOWN_MAX);
	probed_listed_fini(&listed);
	probed_expo_fini(&expo);
	json_object_put(page);
}

/* Pages that are none, or bring nothing, are the last. */
static void pages_end(void **state)
{
	static const char *const pages[] = {
		"7",
		"[]",
		"{}",
		"{\"status\":[]}",
		"{\"status\":{\"next\":{\"list\":\"zones\"}}}",
		"{\"status\":{\"zones\":[],\"next\":{\"list\":\"zones\"}}}",
		"{\"status\":{\"zones\":7,\"traffic\":[],\"next\":{}}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct json_object *whole =
			json_tokener_parse("{\"status\":{\"next\":{}}}");
		struct json_object *page = json_tokener_parse(pages[i]);
		assert_false(pages_add(whole, page));
		assert_null(pages_next(whole));
		assert_false(pages_add(page, whole));
		json_object_put(whole);
		json_object_put(page);
	}
	assert_null(pages_next(NULL));
}

static void asks_for_what_is_shown(void **state)
{
	static const struct {
		size_t zones, names;
		const char *next, *want;
	} cases[] = {
		{ 1, 0, "{\"list\":\"zones\",\"at\":1}",
		  "{\"list\":\"zones\",\"at\":1}" },
		{ PROBED_ZONES_SHOWN_MAX, 0, "{\"list\":\"zones\"}",
		  "{\"list\":\"hostnames\"}" },
		{ PROBED_ZONES_SHOWN_MAX, 1, "{\"list\":\"hostnames\"}",
		  "{\"list\":\"hostnames\"}" },
		{ 1, PROBED_HOSTS_SHOWN_MAX, "{\"list\":\"hostnames\"}", NULL },
		{ 0, 0, "{\"list\":\"origins\",\"at\":7}",
		  "{\"list\":\"origins\",\"at\":7}" },
		{ 1, 1, "{\"list\":7}", NULL },
		{ 1, 1, "null", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct probed_listed listed = { .zones = cases[i].zones,
						.hostnames = cases[i].names };
		struct json_object *page = json_object_new_object();
		struct json_object *s = json_object_new_object();
		json_object_object_add(page, "status", s);
		json_object_object_add(s, "next",
				       json_tokener_parse(cases[i].next));
		struct json_object *after = probed_plugin_next(page, &listed);
		if (cases[i].want == NULL)
			assert_null(after);
		else
			is_json(after, cases[i].want);
		json_object_put(after);
		json_object_put(page);
	}
}

/* Adds a text to 'merge'. */
static void merge(struct probed_merge *merge, const char *text)
{
	struct probed_expo expo;

	probed_expo_init(&expo, TEXT_MAX);
	assert_true(probed_expo_raw(&expo, text, strlen(text)));
	probed_merge_add(merge, &expo);
	probed_expo_fini(&expo);
}

#define HEAD(name) "# HELP " name " H.\n# TYPE " name " gauge\n"

static void merges_families(void **state)
{
	static struct probed_merge m;
	struct probed_expo expo;

	(void)state;
	probed_merge_init(&m, TEXT_MAX);
	merge(&m, "");
	merge(&m, HEAD("a") "a{x=\"1\"} 1\n" HEAD("ab") "ab 1\nab 2\n");
	merge(&m, HEAD("ab") "ab 3\n" HEAD("c") "c 1\n" HEAD("a") "a 2\n");
	probed_expo_init(&expo, TEXT_MAX);
	probed_merge_put(&m, &expo);
	assert_int_equal(expo.lost, 0);
	is_text(&expo, HEAD("a") "a{x=\"1\"} 1\na 2\n" HEAD(
			       "ab") "ab 1\nab 2\nab 3\n" HEAD("c") "c 1\n");
	probed_merge_fini(&m);
}

/* What there is no room for is left out by lines, and counted. */
static void merges_within_bounds(void **state)
{
	static struct probed_merge m;
	struct probed_expo expo;
	char text[64];

	(void)state;
	probed_merge_init(&m, 60);
	merge(&m, HEAD("a") "a 1\n");
	merge(&m, HEAD("a") "a 2\na 3\na 4\na 5\na 6\na 7\na 8\na 9\n");
	merge(&m, HEAD("b") "b 1\n");
	assert_int_equal(m.lost, 9);
	probed_expo_init(&expo, 20);
	probed_merge_put(&m, &expo);
	assert_int_equal(expo.lost, 9 + 3);
	probed_expo_fini(&expo);
	probed_merge_fini(&m);

	probed_merge_init(&m, TEXT_MAX);
	for (unsigned i = 0; i < PROBED_FAMILIES_MAX + 3; i++) {
		(void)snprintf(text, sizeof(text), HEAD("f%03u") "f%03u 1\n", i,
			       i, i);
		merge(&m, text);
	}
	assert_int_equal(m.n, PROBED_FAMILIES_MAX);
	assert_int_equal(m.lost, 3);
	probed_merge_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_samples),
		cmocka_unit_test(escapes_values),
		cmocka_unit_test(stays_in_bounds),
		cmocka_unit_test(writes_histograms),
		cmocka_unit_test(shows_targets),
		cmocka_unit_test(keeps_the_tally),
		cmocka_unit_test(shows_a_plugin),
		cmocka_unit_test(bears_nonsense),
		cmocka_unit_test(puts_pages_together),
		cmocka_unit_test(lists_nothing_twice),
		cmocka_unit_test(enough_origins),
		cmocka_unit_test(pages_end),
		cmocka_unit_test(asks_for_what_is_shown),
		cmocka_unit_test(merges_families),
		cmocka_unit_test(merges_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
