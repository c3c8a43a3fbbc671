/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a stranger sends as a feed: lines of JSON with rows.  Whatever they
 * are, the rows taken are those that the tables then hold, no time moves
 * backwards, and a decision is one of the addresses there are.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "common/config.h"
#include "gtm/decide.h"
#include "plugin/lines.h"
#include "plugin/rows.h"

#define NOW_MS	 UINT64_C(100000000)
#define WALL_S	 1732500000.0
#define ROWS_MAX 1000u

static const char document[] =
	"{\"version\":1,\"services\":{\"web\":{\"probe\":\"http\"}},"
	"\"pops\":{\"p\":{\"servers\":{"
	"\"a\":{\"addresses\":[\"192.0.2.1\",\"2001:db8::1\"]},"
	"\"b\":{\"addresses\":[\"192.0.2.2\"]}}}},"
	"\"hostnames\":{\"www.example\":{\"service\":\"web\","
	"\"servers\":[\"a\",\"b\"]}}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

static struct config *config_make(void)
{
	struct config *config = NULL;
	struct err err;
	size_t n_errs = 0;

	check(config_parse("fuzz", document, sizeof(document) - 1, &config,
			   &err, 1, &n_errs) == 0);
	return config;
}

static void row_take(struct gtm_world *world, struct json_object *value)
{
	struct row read;
	struct gtm_value before, after;
	bool changed = false;

	if (!rows_read(value, WALL_S, &read) || read.kind != ROW_TEST)
		return;
	const struct gtm_row row = read.test;
	struct gtm_cell *cell =
		gtm_world_cell(world, row.server, &row.address, row.service);
	if (cell != NULL)
		gtm_slot_read(&cell->slot, &before);
	enum gtm_row_fate fate = gtm_world_feed(world, &row, NOW_MS, &changed);
	check((fate == GTM_ROW_UNKNOWN) == (cell == NULL) ||
	      fate != GTM_ROW_OK);
	if (cell == NULL)
		return;
	gtm_slot_read(&cell->slot, &after);
	check(after.when_ms >= before.when_ms && after.when_ms <= NOW_MS);
	check(after.metric <= GTM_METRIC_MAX);
	check((fate == GTM_ROW_OK) == (after.rows == before.rows + 1));
	check(!changed || after.state == row.state);
}

static void line_take(struct gtm_world *world, struct slice line)
{
	struct json_object *request;
	struct json_object *rows = NULL;
	const char *command;
	const char *why;

	if (lines_request(line, &request, &command, &why) != 0)
		return;
	if (json_object_object_get_ex(request, "rows", &rows) &&
	    json_object_is_type(rows, json_type_array))
		for (size_t i = 0;
		     i < json_object_array_length(rows) && i < ROWS_MAX; i++)
			row_take(world, json_object_array_get_idx(rows, i));
	json_object_put(request);
}

static void decide(const struct gtm_world *world)
{
	struct gtm_question q = { .now_ms = NOW_MS, .random = 1 };
	struct gtm_answer answer;

	for (unsigned int f = 0; f < GTM_FAMILIES; f++) {
		q.family = (enum gtm_family)f;
		gtm_decide(&world->hosts[0], &q, &answer, NULL);
		check(answer.outcome == GTM_ADDRESSES && answer.n == 1);
		check(answer.pick[0] < world->hosts[0].n[f]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = config_make();
	struct gtm_world *world = NULL;
	const char *p = (const char *)data;
	size_t from = 0;

	check(gtm_world_new(config, NULL, &world) == 0);
	for (size_t i = 0; i <= size; i++) {
		if (i < size && p[i] != '\n')
			continue;
		line_take(world, (struct slice){ p + from, i - from });
		from = i + 1;
	}
	decide(world);
	gtm_world_free(world);
	config_free(config);
	return 0;
}
