/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_stats.h"

#define GAUGE	PROBED_GAUGE
#define COUNTER PROBED_COUNTER

const char *const near_refusal_names[NEAR_REFUSALS] = {
	"client-rate", "prefix-rate", "opt-out", "rule", "local"
};

static void one(struct probed_expo *expo, enum probed_kind kind,
		const char *name, const char *help, uint64_t n)
{
	probed_expo_family(expo, kind, name, help);
	probed_expo_number(expo, PROBED_NO_LABELS, n);
}

static void put_methods(struct probed_expo *expo, const char *name,
			const char *help, const uint64_t *n, unsigned int most)
{
	probed_expo_family(expo, COUNTER, name, help);
	for (unsigned int i = 0; i < most; i++)
		probed_expo_number(
			expo, PROBED_LABELS({ "method", near_method_names[i] }),
			n[i]);
}

static void put_prober(struct probed_expo *expo,
		       const struct near_prober_stats *s)
{
	put_methods(expo, "nearzone_latency_packets_total",
		    "Packets sent to clients to measure their latency.",
		    s->sent, CONFIG_METHODS);
	put_methods(expo, "nearzone_latency_answers_total",
		    "Answers of clients, or of routers on the way to them, or "
		    "of a table of routes.",
		    s->answered, CONFIG_METHODS);
	one(expo, GAUGE, "nearzone_latency_running",
	    "Groups of clients that are being measured.", s->running);
	probed_expo_family(expo, COUNTER, "nearzone_latency_measured_total",
			   "Groups of clients measured, by who answered.");
	probed_expo_number(expo, PROBED_LABELS({ "result", "full" }), s->full);
	probed_expo_number(expo, PROBED_LABELS({ "result", "partial" }),
			   s->partial);
	probed_expo_number(expo, PROBED_LABELS({ "result", "silent" }),
			   s->silent);
	probed_expo_family(expo, COUNTER, "nearzone_latency_refused_total",
			   "Packets that were not sent, by the reason.");
	for (unsigned int i = 0; i < NEAR_REFUSALS; i++)
		probed_expo_number(
			expo,
			PROBED_LABELS({ "reason", near_refusal_names[i] }),
			s->refused[i]);
	one(expo, COUNTER, "nearzone_latency_held_total",
	    "Times that the total rate held up what was to be sent.", s->held);
}

static void put_groups(struct probed_expo *expo, const struct near_stats *s)
{
	one(expo, GAUGE, "nearzone_latency_groups",
	    "Groups of clients in the side-car's table.", s->groups.n);
	one(expo, GAUGE, "nearzone_latency_groups_max",
	    "Groups of clients for which it has room.", s->groups.max);
	one(expo, GAUGE, "nearzone_latency_table_bytes",
	    "Memory that the table has taken.", s->bytes);
	one(expo, GAUGE, "nearzone_latency_waiting",
	    "Groups of clients that wait to be measured.", s->groups.waiting);
	one(expo, GAUGE, "nearzone_latency_untold",
	    "Round trips that are still to be sent to the plugin.",
	    s->groups.telling);
	one(expo, COUNTER, "nearzone_latency_evicted_total",
	    "Groups of clients that made room for others.", s->groups.evicted);
	one(expo, COUNTER, "nearzone_latency_no_room_total",
	    "Groups of clients for which there was no room.",
	    s->groups.refused);
	one(expo, COUNTER, "nearzone_latency_seen_total",
	    "Round trips taken from TCP connections of clients.", s->seen);
}

static void put_routes(struct probed_expo *expo,
		       const struct near_dump_stats *s)
{
	one(expo, COUNTER, "nearzone_latency_routes_failed_total",
	    "Looks at the file of routes that brought none.", s->failed);
	if (!s->known)
		return;
	probed_expo_family(expo, GAUGE, "nearzone_latency_routes",
			   "Prefixes to which the way is known.");
	probed_expo_number(expo, PROBED_LABELS({ "family", "ipv4" }), s->n[0]);
	probed_expo_number(expo, PROBED_LABELS({ "family", "ipv6" }), s->n[1]);
	one(expo, GAUGE, "nearzone_latency_routes_bytes",
	    "Memory that they have taken.", s->bytes);
	one(expo, GAUGE, "nearzone_latency_routes_age_seconds",
	    "Time since the file that they are of was written.", s->age_s);
}

static void put_link(struct probed_expo *expo, const struct near_link_stats *s)
{
	one(expo, GAUGE, "nearzone_latency_connected",
	    "Whether there is a connection to the plugin.", s->connected);
	one(expo, COUNTER, "nearzone_latency_wanted_total",
	    "Groups of clients that the plugin wanted measured.", s->wanted);
	one(expo, COUNTER, "nearzone_latency_rows_total",
	    "Round trips and losses sent to the plugin.", s->rows);
	one(expo, COUNTER, "nearzone_latency_lost_total",
	    "Connections to the plugin lost or not to be had.", s->lost);
}

static void put_pops(struct probed_expo *expo, const struct near_stats *s)
{
	static const struct {
		const char *name, *help;
	} families[] = {
		{ "nearzone_reach_loss_ratio",
		  "Packets lost on the way to a POP and back." },
		{ "nearzone_reach_rtt_seconds", "Mean round trip to a POP." },
		{ "nearzone_reach_jitter_seconds",
		  "Mean difference of one round trip to the next." },
	};

	for (unsigned int k = 0; k < 3; k++) {
		probed_expo_family(expo, GAUGE, families[k].name,
				   families[k].help);
		for (size_t i = 0; i < s->n_pops; i++) {
			const struct near_pop *p = &s->pops[i];
			const float values[] = { p->loss_pct * 10000.0f,
						 p->rtt_ms * 1000.0f,
						 p->jitter_ms * 1000.0f };
			if (p->known && (k == 0 || p->got > 0))
				probed_expo_micro(
					expo, PROBED_LABELS({ "pop", p->id }),
					(uint64_t)values[k]);
		}
	}
}

void near_stats_put(struct probed_expo *expo, const struct near_stats *stats)
{
	if (stats->on) {
		put_prober(expo, &stats->prober);
		put_groups(expo, stats);
	}
	if (stats->dump.on)
		put_routes(expo, &stats->dump);
	if (stats->on || stats->n_pops > 0)
		put_link(expo, &stats->link);
	put_pops(expo, stats);
}
