/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Records of a journal, and what a history and a stage make of them.  The input
 * is the body of a frame: lengths and sums, which would stop the fuzzer, are
 * put around it.  What was read is written and read again.
 */
#include "gtm/history.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
	"{\"version\":1,\"services\":{\"web\":{\"probe\":\"tcp\",\"port\":80}},"
	"\"limits\":{\"groups\":1000},"
	"\"pops\":{\"p\":{\"servers\":{\"a\":{\"addresses\":[\"192.0.2.1\"]}}},"
	"\"q\":{\"servers\":{\"b\":{\"addresses\":[\"192.0.2.2\"]}}}},"
	"\"hostnames\":{\"www.test\":{\"service\":\"web\",\"servers\":[\"a\","
	"\"b\"]}}}";

/* Written and read again, a record is the same. */
static void again(const struct journal_record *record)
{
	static uint8_t octets[4096];
	struct journal_pen pen;
	struct journal_reader reader;
	struct journal_record read;

	journal_begin(&pen, octets, sizeof(octets), record->time_ms);
	if (!journal_put(&pen, record))
		abort();
	struct slice frame = journal_end(&pen);
	if (journal_open(&reader, octets, frame.n) != 0 ||
	    journal_next(&reader, &read) != 1 || read.kind != record->kind ||
	    read.time_ms != record->time_ms ||
	    journal_next(&reader, &read) != 0)
		abort();
}

static void take_all(struct journal_reader *reader, struct gtm_history *history,
		     struct gtm_stage *stage)
{
	struct journal_record record;
	uint64_t now_ms;

	while (journal_next(reader, &record) == 1) {
		again(&record);
		if (gtm_history_take(history, &record) != 0)
			return;
		if (gtm_stage_set(stage, history, record.time_ms, &now_ms) !=
			    0 ||
		    now_ms > GTM_TIME_MAX)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t octets[JOURNAL_FRAME_MAX];
	struct journal_pen pen;
	struct journal_reader reader;
	struct gtm_history *history = NULL;
	struct gtm_stage *stage = NULL;
	struct config *config = NULL;
	struct err err;
	size_t n_errs;

	if (size == 0 || size > sizeof(octets) - JOURNAL_FRAME_HEAD)
		return 0;
	journal_begin(&pen, octets, sizeof(octets), UINT64_C(1763971200000));
	memcpy(octets + JOURNAL_FRAME_HEAD, data, size);
	pen.n += size;
	struct slice frame = journal_end(&pen);
	if (journal_open(&reader, octets, frame.n) != 0)
		abort();
	if (config_parse("fuzz", text, sizeof(text) - 1, &config, &err, 1,
			 &n_errs) != 0)
		abort();
	if (gtm_history_new(&history) == 0 &&
	    gtm_stage_new(config, &stage) == 0)
		take_all(&reader, history, stage);
	gtm_stage_free(stage);
	gtm_history_free(history);
	config_free(config);
	return 0;
}
