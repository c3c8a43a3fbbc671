/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_recent.h"

static const char letters[PROBE_ERRORS] = {
	[PROBE_OK] = '.',	   [PROBE_TIMEOUT] = 't', [PROBE_REFUSED] = 'r',
	[PROBE_UNREACHABLE] = 'u', [PROBE_RESET] = 'x',	  [PROBE_TLS] = 'h',
	[PROBE_CERTIFICATE] = 'c', [PROBE_STATUS] = 's',  [PROBE_BODY] = 'b',
	[PROBE_PROTOCOL] = 'p',	   [PROBE_LOCAL] = 'l',
};

void probed_recent_put(struct probed_recent *recent, enum probe_error error,
		       uint32_t metric_ms)
{
	recent->error[recent->at] = (uint8_t)error;
	recent->metric[recent->at] =
		(uint16_t)(metric_ms < UINT16_MAX ? metric_ms : UINT16_MAX);
	recent->at = (uint8_t)((recent->at + 1) % PROBED_RECENT_MAX);
	if (recent->n < PROBED_RECENT_MAX)
		recent->n++;
}

static size_t place(const struct probed_recent *recent, size_t i)
{
	return (recent->at + PROBED_RECENT_MAX - recent->n + i) %
	       PROBED_RECENT_MAX;
}

enum probe_error probed_recent_error(const struct probed_recent *recent,
				     size_t i)
{
	return (enum probe_error)recent->error[place(recent, i)];
}

uint32_t probed_recent_metric(const struct probed_recent *recent, size_t i)
{
	return recent->metric[place(recent, i)];
}

void probed_recent_print(const struct probed_recent *recent, char *out)
{
	for (size_t i = 0; i < recent->n; i++) {
		unsigned error = probed_recent_error(recent, i);
		char c = error < PROBE_ERRORS ? letters[error] : 0;
		out[i] = '?';
		if (c != 0)
			out[i] = c;
	}
	out[recent->n] = '\0';
}
