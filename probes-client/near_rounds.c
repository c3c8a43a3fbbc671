/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_rounds.h"

bool near_round_values(const struct near_ping *ping, uint32_t packets,
		       struct near_values *values)
{
	struct near_values v = { 0 };
	float last = -1.0f;
	uint32_t steps = 0;

	for (uint32_t i = 0; i < packets; i++) {
		v.sent += ping[i].sent_ns != 0;
		if (ping[i].sent_ns == 0 || ping[i].ms < 0.0f)
			continue;
		v.got++;
		v.rtt_ms += ping[i].ms;
		if (last >= 0.0f) {
			float d = ping[i].ms - last;
			v.jitter_ms += d < 0.0f ? -d : d;
			steps++;
		}
		last = ping[i].ms;
	}
	if (v.sent == 0)
		return false;
	v.loss_pct = 100.0f * (float)(v.sent - v.got) / (float)v.sent;
	if (v.got > 0)
		v.rtt_ms /= (float)v.got;
	if (steps > 0)
		v.jitter_ms /= (float)steps;
	*values = v;
	return true;
}

uint64_t near_round_due(uint64_t total, uint64_t began_ns, uint64_t round_ns,
			uint64_t now_ns)
{
	uint64_t past_ns = now_ns > began_ns ? now_ns - began_ns : 0;

	if (past_ns >= round_ns)
		return total;
	/* a round is an hour and a million packets at most: no overflow */
	return (uint64_t)((double)total * (double)past_ns / (double)round_ns) +
	       1;
}
