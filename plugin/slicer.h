/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * slicer - work that takes long, done in slices of half a millisecond with
 * pauses between them.
 *
 * A kernel gives a CPU to a thread that was woken only at its next clock tick,
 * which may be 4 ms away, however much it prefers it.  So whoever works for
 * long in a process that has to answer goes to sleep now and then of its own
 * accord.  While nobody asks (at the start and at the end) slices are longer.
 *
 * On a loop: its works take turns, so that several are no worse than one, and
 * other events are seen to between slices; all calls from the loop's thread.
 * On a thread that may block: slicer_run().  libuv only; never allocates.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* One piece of work; the caller's memory. */
struct slicer_work {
	/*
	 * Does a little, some ten microseconds of it.  True: that was the last;
	 * the slicer has let go of the work, which may be freed or begun anew.
	 */
	bool (*step)(void *arg);
	void *arg;
	struct slicer_work *next; /* the slicer's own */
};

struct slicer {
	uv_timer_t timer;
	const _Atomic bool *serving;
	struct slicer_work *first, **end; /* whose turn it is; waiting */
};

/* Somebody asks while '*serving'. */
void slicer_init(struct slicer *s, uv_loop_t *loop,
		 const _Atomic bool *serving);

/* Begins; never steps from inside. */
void slicer_add(struct slicer *s, struct slicer_work *work);

/* Does all that is left, at once, and is closed: the loop may end. */
void slicer_finish(struct slicer *s);

/*
 * The same rhythm for a thread that may block: returns after the last step.
 * While '*queued' (NULL: never) is not 0, other work waits for this thread:
 * then it gives the CPU to who wants it, but does not sleep.
 */
void slicer_run(const struct slicer_work *work, const _Atomic bool *serving,
		const _Atomic uint32_t *queued);

/*
 * For long work that is not in steps: called every some ten microseconds, it
 * pauses as slicer_run() does.  '*since_ns' is the caller's, 0 to begin with.
 */
void slicer_breathe(uint64_t *since_ns, const _Atomic bool *serving,
		    const _Atomic uint32_t *queued);
