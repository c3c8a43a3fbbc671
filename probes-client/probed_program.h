/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_program - a test that a program does, by the convention of the
 * monitoring plugins: its exit is 0 for good, 1 for a warning (up, but slow),
 * 2 for a failure, 3 for "cannot say".
 *
 * No shell reads its arguments, and of the environment it has PATH and LC_ALL
 * alone; in an argument "{address}", "{port}" and "{host}" stand for the
 * server's.  At most PROBED_PROGRAMS_MAX run at one time; others wait for their
 * turn, at most an interval.  One that takes too long, or prints more than
 * PROBED_OUTPUT_MAX octets, is killed with all of its process group.
 */
#include "probes-client/probed_test.h"

#define PROBED_PROGRAMS_MAX 16u
#define PROBED_OUTPUT_MAX   65536u

struct probed_programs;

/* Returns 0 and sets '*programsp', or -ENOMEM. */
int probed_programs_new(uv_loop_t *loop, struct probed_programs **programsp);

/* Returns 0 and sets '*testp'; or -ENOMEM. */
int probed_program_start(struct probed_programs *programs,
			 const struct probed_task *task,
			 struct probed_test **testp);

/* No test is left; what they have started goes when it has ended. */
void probed_programs_close(struct probed_programs *programs);
