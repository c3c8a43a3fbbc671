/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_counters.h"

#define SLACK_CS 500u /* what clocks may differ, and a tenth of the time */

/*
 * The switch's clock has gone on as ours has: it has not restarted.  That
 * clock wraps too, after 497 days.
 */
static bool went_on(const struct probed_counters *now,
		    const struct probed_counters *before)
{
	uint64_t ours_cs = (now->when_ms - before->when_ms) / 10;
	uint64_t its_cs = (uint32_t)(now->uptime_cs - before->uptime_cs);
	uint64_t apart = ours_cs > its_cs ? ours_cs - its_cs : its_cs - ours_cs;

	return apart <= SLACK_CS + ours_cs / 10;
}

/* Octets between two counts; false: it went back, and so began anew. */
static bool grown(uint64_t now, uint64_t before, bool wide, double *sum)
{
	uint64_t octets = wide ? now - before
			       : (uint32_t)((uint32_t)now - (uint32_t)before);

	if (wide && octets > UINT64_MAX / 4)
		return false;
	*sum += (double)octets;
	return true;
}

enum probed_rate probed_counters_rate(const struct probed_counters *now,
				      const struct probed_counters *before,
				      uint64_t capacity_bits, double *in,
				      double *out)
{
	double octets_in = 0, octets_out = 0;

	if (now->n != before->n || now->when_ms <= before->when_ms ||
	    !went_on(now, before))
		return PROBED_ANEW;
	double seconds = (double)(now->when_ms - before->when_ms) / 1000;
	for (size_t i = 0; i < now->n; i++) {
		const struct probed_counter *a = &now->of[i];
		const struct probed_counter *b = &before->of[i];
		if (a->wide != b->wide || a->begun != b->begun)
			return PROBED_ANEW;
		if (!a->wide &&
		    (double)capacity_bits / 8 * seconds > (double)UINT32_MAX)
			return PROBED_TOO_FAST;
		if (!grown(a->in, b->in, a->wide, &octets_in) ||
		    !grown(a->out, b->out, a->wide, &octets_out))
			return PROBED_ANEW;
	}
	*in = octets_in * 8 / seconds;
	*out = octets_out * 8 / seconds;
	return PROBED_RATE;
}
