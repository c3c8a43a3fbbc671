/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_kind - starts a test of any kind: what the kinds share on a loop, and
 * which of them does which.
 */
#include "probes-client/probed_test.h"

struct probed_kinds;

/* Returns 0 and sets '*kindsp', or -ENOMEM. */
int probed_kinds_new(uv_loop_t *loop, struct probed_kinds **kindsp);

/*
 * Starts the test that 'task' says.  Returns 0 and sets '*testp'; or -ENOMEM.
 * The task's service outlives the test.
 */
int probed_kinds_start(struct probed_kinds *kinds,
		       const struct probed_task *task,
		       struct probed_test **testp);

/* Files of authorities are to be read again. */
void probed_kinds_forget(struct probed_kinds *kinds);

/* No test is left; the rest goes when the loop lets go of it. */
void probed_kinds_close(struct probed_kinds *kinds); /* NULL is fine */
