/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_switch - measures what bandwidth is in use at POPs, by the counters
 * of their switches, each at its interval.
 *
 * net-snmp waits, so it runs on a thread of the loop's pool: one switch at a
 * time, so that the rest of the pool stays free for others and net-snmp's
 * tables, which have no lock, have one user.  All else is on the loop's
 * thread.  What comes too late is left out.
 */
#include "common/config.h"
#include "probes-client/probed_measure.h"

struct probed_switches;

/* Returns 0 and sets '*switchesp', to be closed with
 * probed_switches_close(); or -ENOMEM. */
int probed_switches_new(const struct probed_measure_setup *setup,
			struct probed_switches **switchesp);

/* As probed_machines_use(). */
int probed_switches_use(struct probed_switches *switches,
			const struct config *config);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void probed_switches_close(struct probed_switches *switches);
