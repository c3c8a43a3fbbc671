/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "probes-client/probed_rows.h"

#define TAIL "]}\n"

const char *probed_value_kind_text(enum probed_value_kind kind)
{
	return kind == PROBED_LOAD ? "load" : "bandwidth";
}

void probed_values_init(struct probed_values *values)
{
	probed_list_init(&values->all);
	probed_list_init(&values->queue);
	values->unix_ms = 0;
}

void probed_values_add(struct probed_values *values, struct probed_value *value)
{
	probed_list_put(&values->all, &value->all);
}

void probed_values_drop(struct probed_values *values,
			struct probed_value *value)
{
	if (probed_link_used(&value->queue))
		probed_list_remove(&values->queue, &value->queue);
	if (probed_link_used(&value->all))
		probed_list_remove(&values->all, &value->all);
}

static void queue_put(struct probed_values *values, struct probed_value *value,
		      uint64_t now_ms)
{
	if (probed_link_used(&value->queue))
		return;
	value->queued_ms = now_ms;
	probed_list_put(&values->queue, &value->queue);
}

bool probed_value_take(struct probed_values *values, struct probed_value *value,
		       double number, uint64_t now_ms)
{
	bool was = value->failing;

	value->known = true;
	value->failing = false;
	value->waiting = false;
	value->words[0] = '\0';
	value->value = number;
	value->taken_ms = now_ms;
	value->n_good++;
	if (was)
		value->since_ms = now_ms;
	queue_put(values, value, now_ms);
	return was;
}

bool probed_value_fail(struct probed_value *value, const char *words,
		       uint64_t now_ms)
{
	bool is_new = !value->failing || strncmp(value->words, words,
						 sizeof(value->words) - 1) != 0;

	if (!value->failing)
		value->since_ms = now_ms;
	value->failing = true;
	value->waiting = false;
	value->n_bad++;
	snprintf(value->words, sizeof(value->words), "%s", words);
	return is_new;
}

void probed_values_tell_all(struct probed_values *values)
{
	const struct probed_link *head = &values->all.head;

	for (struct probed_link *at = head->next; at != head; at = at->next) {
		struct probed_value *value =
			PROBED_ENTRY(at, struct probed_value, all);
		if (value->known)
			queue_put(values, value, 0);
	}
}

uint64_t probed_values_due(const struct probed_values *values, size_t max,
			   uint32_t interval_ms)
{
	const struct probed_link *link = probed_list_first(&values->queue);

	if (link == NULL)
		return PROBED_VALUE_NEVER;
	if (values->queue.n >= max)
		return 0;
	return PROBED_ENTRY(link, struct probed_value, queue)->queued_ms +
	       interval_ms;
}

static size_t row_print(const struct probed_value *value, int64_t unix_ms,
			char *out)
{
	int64_t measured_ms = (int64_t)value->taken_ms + unix_ms;
	uint64_t ms = measured_ms > 0 ? (uint64_t)measured_ms : 0;

	return (size_t)snprintf(out, PROBED_VALUE_ROW,
				"[\"%s\",\"%s\",%" PRIu64 ".%03" PRIu64
				",%.2f]",
				probed_value_kind_text(value->kind), value->of,
				ms / 1000, ms % 1000, value->value);
}

size_t probed_values_line(struct probed_values *values, const char *node,
			  size_t max, char *out)
{
	size_t n = 0, length = 0;

	for (; n < max && values->queue.n > 0; n++) {
		struct probed_value *value =
			PROBED_ENTRY(probed_list_first(&values->queue),
				     struct probed_value, queue);
		if (n == 0)
			length = (size_t)snprintf(
				out, PROBED_ROW_MAX,
				"{\"command\":\"metrics\",\"node\":\"%s\","
				"\"rows\":[",
				node);
		if (length + 1 + PROBED_VALUE_ROW + sizeof(TAIL) >
		    PROBED_BATCH_MAX)
			break;
		if (n > 0)
			out[length++] = ',';
		length += row_print(value, values->unix_ms, out + length);
		probed_list_remove(&values->queue, &value->queue);
	}
	if (n == 0)
		return 0;
	memcpy(out + length, TAIL, sizeof(TAIL) - 1);
	return length + sizeof(TAIL) - 1;
}

/* -- metrics --------------------------------------------------------------- */

typedef void (*put_value)(struct probed_expo *expo,
			  const struct probed_value *value,
			  const struct probed_label *labels, uint64_t now_ms);

static void put_number(struct probed_expo *expo,
		       const struct probed_value *value,
		       const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	if (value->known)
		probed_expo_milli(expo, labels,
				  (uint64_t)(value->value * 1000 + 0.5));
}

static void put_age(struct probed_expo *expo, const struct probed_value *value,
		    const struct probed_label *labels, uint64_t now_ms)
{
	if (value->known)
		probed_expo_milli(expo, labels,
				  now_ms > value->taken_ms
					  ? now_ms - value->taken_ms
					  : 0);
}

static void put_failing(struct probed_expo *expo,
			const struct probed_value *value,
			const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	probed_expo_number(expo, labels, value->failing);
}

static void put_good(struct probed_expo *expo, const struct probed_value *value,
		     const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	probed_expo_number(expo, labels, value->n_good);
}

static void put_bad(struct probed_expo *expo, const struct probed_value *value,
		    const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	probed_expo_number(expo, labels, value->n_bad);
}

#define SHOWN_MAX 10000u /* values listed one by one */

void probed_values_put(struct probed_expo *expo,
		       const struct probed_values *values, uint64_t now_ms)
{
	static const struct {
		enum probed_kind kind;
		const char *name, *help;
		put_value put;
	} families[] = {
		{ PROBED_GAUGE, "nearzone_probed_value",
		  "The newest load of a server, or bandwidth in use at a POP "
		  "in per cent.",
		  put_number },
		{ PROBED_GAUGE, "nearzone_probed_value_age_seconds",
		  "Time since the value was measured.", put_age },
		{ PROBED_GAUGE, "nearzone_probed_value_failing",
		  "Whether the newest try to measure it failed.", put_failing },
		{ PROBED_COUNTER, "nearzone_probed_value_measured_total",
		  "How often it was measured.", put_good },
		{ PROBED_COUNTER, "nearzone_probed_value_failures_total",
		  "How often it could not be measured.", put_bad },
	};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		const struct probed_link *head = &values->all.head;
		size_t n = 0;
		probed_expo_family(expo, families[i].kind, families[i].name,
				   families[i].help);
		for (struct probed_link *at = head->next;
		     at != head && n < SHOWN_MAX; at = at->next, n++) {
			const struct probed_value *value =
				PROBED_ENTRY(at, struct probed_value, all);
			families[i].put(
				expo, value,
				PROBED_LABELS({ "kind", probed_value_kind_text(
								value->kind) },
					      { "of", value->of }),
				now_ms);
		}
	}
}
