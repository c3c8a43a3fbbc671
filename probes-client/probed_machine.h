/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_machine - reads the load of servers' machines from their
 * prometheus-node-exporter, each at its interval, and says what came of it as
 * a value (probed_value).
 *
 * A machine that does not answer has no new value: the age of the last one
 * says the rest.  One that answers, but not what the formula needs, has the
 * load PROBED_MACHINE_UNKNOWN.
 *
 * All of it on the thread of its loop; never waits.  So many are read at a
 * time; what comes too late is left out, so that there is no burst after a
 * stop.
 */
#include "common/config.h"
#include "probes-client/probed_measure.h"

#define PROBED_MACHINE_UNKNOWN 1000.0
#define PROBED_MACHINE_MAX     16777215.0 /* what the plugin takes */

struct probed_machines;

/* Returns 0 and sets '*machinesp', to be closed with probed_machines_close();
 * or -ENOMEM. */
int probed_machines_new(const struct probed_measure_setup *setup,
			struct probed_machines **machinesp);

/*
 * Reads those that 'config' names for our node, as it says; nothing of it is
 * needed afterwards.  What is the same as before goes on.  Returns 0; or
 * -ENOMEM, and nothing has changed.
 */
int probed_machines_use(struct probed_machines *machines,
			const struct config *config);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void probed_machines_close(struct probed_machines *machines);
