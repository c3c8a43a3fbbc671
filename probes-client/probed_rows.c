/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLY_DEPTH 8
#define ROWS_MAX    2000u /* of a line; a row has some 30 octets at least */
#define TAIL	    "]}\n"

void probed_rows_init(struct probed_rows *rows)
{
	probed_list_init(&rows->urgent);
	probed_list_init(&rows->normal);
	rows->unix_ms = 0;
}

void probed_rows_drop(struct probed_rows *rows, struct probed_target *target)
{
	if (probed_link_used(&target->queue))
		probed_list_remove(target->urgent ? &rows->urgent
						  : &rows->normal,
				   &target->queue);
}

void probed_rows_mark(struct probed_rows *rows, struct probed_target *target,
		      bool urgent, uint64_t now_ms)
{
	if (probed_link_used(&target->queue)) {
		if (target->urgent || !urgent)
			return;
		probed_list_remove(&rows->normal, &target->queue);
	}
	target->urgent = urgent;
	target->queued_ms = now_ms;
	probed_list_put(urgent ? &rows->urgent : &rows->normal, &target->queue);
}

static struct probed_target *first(const struct probed_list *list)
{
	struct probed_link *link = probed_list_first(list);

	return link != NULL ? PROBED_ENTRY(link, struct probed_target, queue)
			    : NULL;
}

uint64_t probed_rows_due(const struct probed_rows *rows, size_t max,
			 uint32_t interval_ms)
{
	const struct probed_target *urgent = first(&rows->urgent);
	const struct probed_target *normal = first(&rows->normal);
	uint64_t due = PROBED_ROWS_NEVER;

	if (rows->urgent.n + rows->normal.n >= max)
		return 0;
	if (normal != NULL)
		due = normal->queued_ms + interval_ms;
	if (urgent != NULL && urgent->queued_ms + PROBED_GATHER_MS < due)
		due = urgent->queued_ms + PROBED_GATHER_MS;
	return due;
}

static size_t row_print(const struct probed_target *target, int64_t unix_ms,
			char *out)
{
	int64_t measured_ms = (int64_t)target->tested_ms + unix_ms;
	uint64_t ms = measured_ms > 0 ? (uint64_t)measured_ms : 0;

	return (size_t)snprintf(
		out, PROBED_ROW_MAX,
		"[\"%s\",\"%s\",\"%s\",%" PRIu64 ".%03" PRIu64
		",\"%s\",%" PRIu32 ",%d]",
		target->server, target->address_text, target->service->id,
		ms / 1000, ms % 1000, probed_state_text(target->state),
		target->metric_ms, (int)probed_target_error(target));
}

/* Where a row is in the line, and when it was measured. */
struct piece {
	uint64_t when_ms;
	uint32_t at, n;
};

static int piece_compare(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->when_ms != y->when_ms)
		return x->when_ms < y->when_ms ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Puts the rows, which begin at 'begin' with a comma between them, in order. */
static void pieces_order(char *out, size_t begin, struct piece *pieces,
			 size_t n)
{
	char copy[PROBED_BATCH_MAX];
	size_t at = begin, i = 1;

	while (i < n && pieces[i - 1].when_ms <= pieces[i].when_ms)
		i++;
	if (i >= n)
		return;
	size_t end = pieces[n - 1].at + pieces[n - 1].n;
	memcpy(copy, out, end);
	qsort(pieces, n, sizeof(*pieces), piece_compare);
	for (i = 0; i < n; i++) {
		if (i > 0)
			out[at++] = ',';
		memcpy(out + at, copy + pieces[i].at, pieces[i].n);
		at += pieces[i].n;
	}
}

static struct probed_target *take(struct probed_rows *rows)
{
	struct probed_target *target = first(&rows->urgent);

	if (target == NULL)
		target = first(&rows->normal);
	if (target != NULL)
		probed_rows_drop(rows, target);
	return target;
}

size_t probed_rows_line(struct probed_rows *rows, const char *node, size_t max,
			char *out)
{
	struct piece pieces[ROWS_MAX];
	size_t n = 0;
	size_t begin = (size_t)snprintf(out, PROBED_ROW_MAX,
					"{\"command\":\"metrics\",\"node\":"
					"\"%s\",\"rows\":[",
					node);
	size_t length = begin;

	/* A comma, a row, and what closes the line. */
	while (n < max && n < ROWS_MAX &&
	       length + 1 + PROBED_ROW_MAX + sizeof(TAIL) <= PROBED_BATCH_MAX) {
		struct probed_target *target = take(rows);
		if (target == NULL)
			break;
		if (n > 0)
			out[length++] = ',';
		size_t row = row_print(target, rows->unix_ms, out + length);
		pieces[n++] = (struct piece){ target->tested_ms,
					      (uint32_t)length, (uint32_t)row };
		length += row;
	}
	if (n == 0)
		return 0;
	pieces_order(out, begin, pieces, n);
	memcpy(out + length, TAIL, sizeof(TAIL) - 1);
	return length + sizeof(TAIL) - 1;
}

/* What others say goes into our log: one line, printable. */
static void text_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void why_print(struct json_object *why, char *out, size_t size)
{
	struct json_object_iter member;
	size_t n = 0;

	if (!json_object_is_type(why, json_type_object))
		return;
	json_object_object_foreachC(why, member)
	{
		int more = snprintf(out + n, size - n, "%s%.40s %" PRId64,
				    n > 0 ? ", " : "", member.key,
				    json_object_get_int64(member.val));
		if (more < 0 || (size_t)more >= size - n)
			return;
		n += (size_t)more;
	}
}

static void why_count(struct json_object *why, uint64_t *by)
{
	struct json_object_iter member;

	if (!json_object_is_type(why, json_type_object))
		return;
	json_object_object_foreachC(why, member)
	{
		int64_t n = json_object_get_int64(member.val);
		size_t i = 0;
		while (i < PROBED_ROW_OTHER &&
		       strcmp(member.key, probed_refusal_names[i]) != 0)
			i++;
		if (n > 0)
			by[i] += (uint64_t)n;
	}
}

static void reply_fill(struct json_object *object, struct probed_reply *reply)
{
	struct json_object *error = json_object_object_get(object, "error");

	*reply = (struct probed_reply){
		.ok = json_object_get_boolean(
			json_object_object_get(object, "ok")),
		.accepted = json_object_get_int64(
			json_object_object_get(object, "accepted")),
		.refused = json_object_get_int64(
			json_object_object_get(object, "refused")),
	};
	if (reply->ok)
		why_count(json_object_object_get(object, "why"), reply->by);
	if (reply->ok)
		why_print(json_object_object_get(object, "why"), reply->why,
			  sizeof(reply->why));
	else if (json_object_is_type(error, json_type_string))
		snprintf(reply->why, sizeof(reply->why), "%s",
			 json_object_get_string(error));
	text_clean(reply->why);
}

int probed_reply_parse(struct slice line, struct probed_reply *reply)
{
	struct json_tokener *tokener = json_tokener_new_ex(REPLY_DEPTH);
	if (tokener == NULL)
		return -EINVAL;

	struct json_object *object = NULL;
	if (line.n < INT32_MAX)
		object = json_tokener_parse_ex(tokener, line.p, (int)line.n);
	bool whole = object != NULL &&
		     json_tokener_get_parse_end(tokener) == line.n &&
		     json_object_is_type(object, json_type_object) &&
		     json_object_is_type(json_object_object_get(object, "ok"),
					 json_type_boolean);
	if (whole)
		reply_fill(object, reply);
	json_object_put(object);
	json_tokener_free(tokener);
	return whole ? 0 : -EINVAL;
}
