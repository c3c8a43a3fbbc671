/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_once.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/units.h"
#include "probes-client/probed_engine.h"
#include "probes-client/probed_load.h"
#include "probes-client/show.h"

struct once {
	struct probed_engine *engine;
	struct probed_table *table; /* the engine's */
	struct json_object **rows;  /* of each target, in its place */
	size_t n_up;
};

/* -- output ---------------------------------------------------------------- */

static void put_text(struct json_object *object, const char *key,
		     const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static struct json_object *row_new(const struct probed_target *target)
{
	struct json_object *row = json_object_new_object();

	put_text(row, "server", target->server);
	put_text(row, "address", target->address_text);
	put_text(row, "service", target->service->id);
	return row;
}

/* Shows and releases the document. */
static void doc_show(struct json_object *doc, bool json)
{
	if (json)
		puts(json_object_to_json_string_ext(
			doc, JSON_C_TO_STRING_PLAIN |
				     JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		show_object(stdout, doc, "ok");
	json_object_put(doc);
}

static struct json_object *doc_new(const struct probed_options *options,
				   bool ok)
{
	struct json_object *doc = json_object_new_object();

	json_object_object_add(doc, "ok", json_object_new_boolean(ok));
	put_text(doc, "node", options->node);
	return doc;
}

static enum probed_exit no_memory(void)
{
	fputs("nearzone-probed: no memory\n", stderr);
	return PROBED_TROUBLE;
}

/* -- loading --------------------------------------------------------------- */

static void errors_show(const char *file,
			const struct probed_findings *findings)
{
	char text[PROBED_FINDING_SIZE];

	for (size_t i = 0; i < findings->n; i++) {
		err_format(&findings->errs[i], file, text, sizeof(text));
		show_text(stderr, slice_of(text));
		fputc('\n', stderr);
	}
}

/* Says what is wrong, to people and, if asked, to programs. */
static enum probed_exit load(const struct probed_options *options,
			     struct probed_table **tablep)
{
	struct probed_findings *findings = malloc(sizeof(*findings));

	if (findings == NULL)
		return no_memory();
	int rc = probed_load(options->config, options->node, tablep, findings);
	if (rc != 0) {
		errors_show(options->config, findings);
		if (options->json)
			doc_show(doc_new(options, false), true);
	}
	free(findings);
	if (rc != 0)
		return PROBED_REFUSED;
	if ((*tablep)->n == 0)
		fprintf(stderr,
			"nearzone-probed: nothing to test for node '%s'\n",
			options->node);
	return PROBED_DONE;
}

/* -- check ----------------------------------------------------------------- */

static struct json_object *check_row(const struct probed_target *target)
{
	const struct config_service *service = target->service;
	struct json_object *row = row_new(target);
	char interval[UNITS_TEXT_MAX];

	units_duration_print(service->interval_ms, interval);
	put_text(row, "probe", config_probe_names[service->probe]);
	json_object_object_add(row, "port", json_object_new_int(service->port));
	put_text(row, "interval", interval);
	if (service->probe < CONFIG_HTTP || service->probe > CONFIG_HTTP2)
		return row;
	put_text(row, "host",
		 service->host != NULL ? service->host : target->address_text);
	put_text(row, "path", service->path);
	return row;
}

enum probed_exit probed_check(const struct probed_options *options)
{
	struct probed_table *table = NULL;
	enum probed_exit result = load(options, &table);

	if (result != PROBED_DONE)
		return result;
	struct json_object *doc = doc_new(options, true);
	struct json_object *rows = json_object_new_array();
	for (size_t i = 0; i < table->n; i++)
		json_object_array_add(rows, check_row(table->targets[i]));
	json_object_object_add(doc, "serial",
			       json_object_new_uint64(table->config->serial));
	json_object_object_add(doc, "targets", rows);
	doc_show(doc, options->json);
	probed_table_free(table);
	return PROBED_DONE;
}

/* -- once ------------------------------------------------------------------ */

/* The place of a target in its table, which is sorted. */
static size_t place_of(const struct probed_table *table,
		       const struct probed_target *target)
{
	size_t low = 0, high = table->n - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (probed_target_compare(table->targets[middle], target) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void on_result(void *arg, struct probed_target *target,
		      const struct probed_result *result,
		      enum probed_change change)
{
	struct once *once = arg;
	char cause[PROBED_LINE_MAX];

	if (change != PROBED_FIRST) /* others are not ready yet */
		return;
	struct json_object *row = row_new(target);
	put_text(row, "state", probed_state_text(target->state));
	once->n_up += target->state == PROBED_UP;
	struct json_object *metric = NULL; /* null: it failed */
	if (result->error == PROBE_OK)
		metric = json_object_new_int64(result->metric_ms);
	json_object_object_add(row, "metric", metric);
	if (result->degraded)
		json_object_object_add(row, "slow", json_object_new_boolean(1));
	if (result->error != PROBE_OK) {
		probed_cause_print(result, cause, sizeof(cause));
		put_text(row, "error", cause);
	}
	once->rows[place_of(once->table, target)] = row;
}

static void on_gone(void *arg, struct probed_target *target)
{
	(void)arg;
	(void)target;
}

/* There is only this round. */
static bool on_moot(void *arg, const struct probed_target *target,
		    const struct probed_result *result)
{
	(void)arg;
	(void)target;
	(void)result;
	return true;
}

static void on_round(void *arg)
{
	(void)arg;
}

static enum probed_exit once_show(const struct probed_options *options,
				  const struct once *once)
{
	bool all = once->table->n > 0 && once->n_up == once->table->n;
	struct json_object *doc = doc_new(options, all);
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < once->table->n; i++)
		json_object_array_add(rows, once->rows[i]);
	json_object_object_add(doc, "targets", rows);
	doc_show(doc, options->json);
	return all ? PROBED_DONE : PROBED_REFUSED;
}

static enum probed_exit round_run(const struct probed_options *options,
				  struct once *once, uv_loop_t *loop)
{
	enum probed_exit result = PROBED_TROUBLE;
	struct probed_table *table = once->table;
	struct probed_watcher watcher = { on_result, on_round, on_moot, on_gone,
					  once };

	if (probed_engine_new(loop, probed_engine_tests_max(), &watcher,
			      &once->engine) != 0) {
		probed_table_free(table);
		return no_memory();
	}
	if (probed_engine_use(once->engine, table) != 0) {
		probed_table_free(table);
		result = no_memory();
	} else {
		while (!probed_engine_is_round(once->engine))
			uv_run(loop, UV_RUN_ONCE);
		result = once_show(options, once);
	}
	probed_engine_close(once->engine);
	uv_run(loop, UV_RUN_DEFAULT);
	return result;
}

enum probed_exit probed_once(const struct probed_options *options)
{
	struct once once = { NULL, NULL, NULL, 0 };
	enum probed_exit result = load(options, &once.table);
	uv_loop_t loop;

	if (result != PROBED_DONE)
		return result;
	once.rows = calloc(once.table->n + 1, sizeof(struct json_object *));
	if (once.rows == NULL || uv_loop_init(&loop) != 0) {
		free(once.rows);
		probed_table_free(once.table);
		return no_memory();
	}
	result = round_run(options, &once, &loop);
	uv_loop_close(&loop);
	free(once.rows);
	return result;
}
