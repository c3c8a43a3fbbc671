/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What servers answer to tests: the first octet picks the kind and how it is
 * asked, the second the size of the pieces in which the rest comes.
 */
#include "probes-client/probed_say.h"

#include <stdlib.h>
#include <string.h>

#include "common/dname.h"
#include "probes-client/probed_check.h"
#include "probes-client/probed_dns.h"
#include "probes-client/probed_perf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

/* A dialogue, whatever the server says; it ends, or waits for more. */
static void talk(const struct config_service *service, const uint8_t *data,
		 size_t size, size_t piece)
{
	struct probed_say *say = malloc(sizeof(*say));
	enum probed_say_act act;

	check(say != NULL);
	probed_say_init(say, service, "www.test", 7);
	act = probed_say_open(say);
	while (size > 0 && act != PROBED_SAY_DONE && act != PROBED_SAY_FAIL) {
		size_t n = piece < size ? piece : size;
		uint8_t *copy = malloc(n);
		check(copy != NULL && say->n_out <= PROBED_SAY_OUT);
		say->n_out = 0;
		memcpy(copy, data, n);
		act = probed_say_hear(say, copy, n);
		if (act == PROBED_SAY_TLS) {
			say->secure = true;
			say->n_out = 0;
			act = probed_say_open(say);
		}
		free(copy);
		data += n;
		size -= n;
	}
	if (size == 0 && act == PROBED_SAY_MORE)
		act = probed_say_end(say);
	check(say->n_in <= PROBED_SAY_IN && say->used <= say->n_in);
	check(act == PROBED_SAY_DONE || act == PROBED_SAY_FAIL);
	if (act == PROBED_SAY_FAIL)
		check(say->error > PROBE_OK && say->error < PROBE_ERRORS &&
		      memchr(say->detail, '\0', sizeof(say->detail)) != NULL);
	free(say);
}

static void judge(const struct config_service *service, const uint8_t *data,
		  size_t size)
{
	uint8_t *copy = malloc(size + 1);
	char detail[PROBED_DETAIL_MAX];
	uint32_t value;

	check(copy != NULL);
	memcpy(copy, data, size);
	uint16_t id = 0;
	if (size >= 2)
		id = (uint16_t)(copy[0] << 8 | copy[1]);
	int error = probed_dns_judge(service, id, copy, size, detail);
	check(error >= -1 && error < PROBE_ERRORS);
	struct slice output = { (const char *)copy, size };
	probed_perf_text(output, detail, sizeof(detail));
	if (probed_perf_find(output, "t", &value))
		check(value >= 1 && value < PROBE_METRIC_FAILED);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum config_probe kinds[] = {
		CONFIG_TCP_CONNECT, CONFIG_FTP, CONFIG_SMTP, CONFIG_RTSP,
		CONFIG_RTMP,	    CONFIG_DNS, CONFIG_FTPS
	};
	static const char *const headers[] = { "Public: OPTIONS" };
	static const char *const answers[] = { "192.0.2.80", "10 www.test" };
	struct dname name;

	if (size < 2)
		return 0;
	check(dname_parse(slice_of("www.test"), &name) == 0);
	struct config_service service = {
		.probe = kinds[data[0] % (sizeof(kinds) / sizeof(kinds[0]))],
		.path = "/live",
		.port = 554,
		.starttls = (data[0] & 0x10) != 0,
		.method = (data[0] & 0x20) != 0 ? CONFIG_DESCRIBE : 0,
		.question = { &name, 1, true },
		.expect = { .size_max = UINT64_MAX,
			    .answers = answers,
			    .n_answers = 2,
			    .headers = headers,
			    .n_headers = (data[0] & 0x40) != 0,
			    .pattern = (data[0] & 0x80) != 0 ? "a+b" : NULL },
	};
	size_t piece = data[1] + 1;
	talk(&service, data + 2, size - 2, piece);
	judge(&service, data + 2, size - 2);
	return 0;
}
