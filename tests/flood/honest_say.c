/* SPDX-License-Identifier: MPL-2.0 */
#include "honest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const KIND_NAMES[] = { "old", "sub", "new", "none" };
static const char *const END_NAMES[] = { "answered", "silent", "cut",
					 "refused" };

int say_open(struct honest *honest)
{
	struct tally *tally = &honest->tally;

	tally->took_us = calloc(honest->questions, sizeof(uint64_t));
	tally->took_new_us = calloc(honest->questions, sizeof(uint64_t));
	if (tally->took_us == NULL || tally->took_new_us == NULL)
		return -ENOMEM;
	if (honest->log_name == NULL)
		return 0;
	honest->log = fopen(honest->log_name, "we");
	return honest->log != NULL ? 0 : -errno;
}

void say_end(struct honest *honest, const struct ask *ask, enum end end,
	     uint64_t now_ns)
{
	struct tally *tally = &honest->tally;
	uint64_t took_us = (now_ns - ask->began_ns) / 1000;

	tally->asked[ask->kind]++;
	tally->ends[end]++;
	tally->tries += ask->tries;
	tally->cut += ask->cut;
	if (end == ANSWERED) {
		tally->answered[ask->kind]++;
		tally->by_tcp += ask->tcp;
		if (ask->kind == OLD || ask->kind == SUB)
			tally->took_us[tally->took_n++] = took_us;
		if (ask->kind == NEW)
			tally->took_new_us[tally->took_new_n++] = took_us;
	}
	if (honest->log == NULL)
		return;
	fprintf(honest->log,
		"%.6f %s %" PRIu32 " %" PRIu32 " %s %u %u %u %d %" PRIu64 "\n",
		(double)ask->began_ns / 1e9, KIND_NAMES[ask->kind], ask->client,
		ask->number, END_NAMES[end], ask->rcode, ask->tries, ask->cut,
		ask->tcp, took_us);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void say_times(const char *name, uint64_t *took_us, size_t n)
{
	static const unsigned THOUSANDTHS[] = { 500, 900, 990, 999 };

	if (n == 0)
		return;
	qsort(took_us, n, sizeof(*took_us), by_size);
	printf(", \"%s\": {", name);
	for (size_t i = 0; i < 4; i++)
		printf("\"p%u\": %" PRIu64 ", ", THOUSANDTHS[i],
		       took_us[(n - 1) * THOUSANDTHS[i] / 1000]);
	printf("\"max\": %" PRIu64 "}", took_us[n - 1]);
}

void say_all(struct honest *honest)
{
	struct tally *tally = &honest->tally;

	printf("{\"began\": %.6f", (double)honest->began_ns / 1e9);
	for (size_t i = 0; i < KINDS; i++)
		printf(", \"%s\": {\"asked\": %" PRIu64
		       ", \"answered\": %" PRIu64 "}",
		       KIND_NAMES[i], tally->asked[i], tally->answered[i]);
	for (size_t i = 0; i < KINDS_OF_END; i++)
		printf(", \"%s\": %" PRIu64, END_NAMES[i], tally->ends[i]);
	printf(", \"tries\": %" PRIu64 ", \"tc\": %" PRIu64
	       ", \"by_tcp\": %" PRIu64 ", \"badcookie\": %" PRIu64
	       ", \"full\": %" PRIu64 ", \"strange\": %" PRIu64,
	       tally->tries, tally->cut, tally->by_tcp, tally->bad_cookies,
	       tally->full, tally->strange);
	say_times("us", tally->took_us, tally->took_n);
	say_times("new_us", tally->took_new_us, tally->took_new_n);
	printf("}\n");
}

void say_close(struct honest *honest)
{
	if (honest->log != NULL && fclose(honest->log) != 0)
		fprintf(stderr, "the log could not be written\n");
	free(honest->tally.took_us);
	free(honest->tally.took_new_us);
}
