/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/slicer.h"

#include <sched.h>
#include <time.h>

#define SLICE_NS 500000u
#define LONG_NS	 10000000u /* of a slice while nobody asks */
#define PAUSE_MS 1u	   /* what a loop's timers can do */

/* One slice; true: the work is done. */
static bool slice(const struct slicer_work *work, const _Atomic bool *serving)
{
	uint64_t end_ns =
		uv_hrtime() + (atomic_load(serving) ? SLICE_NS : LONG_NS);
	bool done;

	do {
		done = work->step(work->arg);
	} while (!done && uv_hrtime() < end_ns);
	return done;
}

static struct slicer_work *take(struct slicer *s)
{
	struct slicer_work *work = s->first;

	s->first = work->next;
	if (s->first == NULL)
		s->end = &s->first;
	return work;
}

static void put(struct slicer *s, struct slicer_work *work)
{
	work->next = NULL;
	*s->end = work;
	s->end = &work->next;
}

static void on_timer(uv_timer_t *timer)
{
	struct slicer *s = timer->data;
	struct slicer_work *work = take(s);

	if (!slice(work, s->serving))
		put(s, work);
	if (s->first == NULL)
		return;
	uv_update_time(timer->loop); /* the pause begins now */
	(void)uv_timer_start(timer, on_timer, PAUSE_MS, 0);
}

void slicer_init(struct slicer *s, uv_loop_t *loop, const _Atomic bool *serving)
{
	(void)uv_timer_init(loop, &s->timer); /* cannot fail */
	s->timer.data = s;
	s->serving = serving;
	s->first = NULL;
	s->end = &s->first;
}

void slicer_add(struct slicer *s, struct slicer_work *work)
{
	put(s, work);
	if (!uv_is_active((uv_handle_t *)&s->timer))
		(void)uv_timer_start(&s->timer, on_timer, 0, 0);
}

void slicer_finish(struct slicer *s)
{
	while (s->first != NULL) {
		struct slicer_work *work = take(s);
		while (!work->step(work->arg))
			;
	}
	uv_close((uv_handle_t *)&s->timer, NULL);
}

static void pause_or_yield(const _Atomic uint32_t *queued)
{
	const struct timespec pause = { .tv_nsec = SLICE_NS };

	if (queued != NULL && atomic_load(queued) > 0)
		(void)sched_yield();
	else
		(void)nanosleep(&pause, NULL);
}

void slicer_run(const struct slicer_work *work, const _Atomic bool *serving,
		const _Atomic uint32_t *queued)
{
	while (!slice(work, serving))
		pause_or_yield(queued);
}

void slicer_breathe(uint64_t *since_ns, const _Atomic bool *serving,
		    const _Atomic uint32_t *queued)
{
	uint64_t now_ns = uv_hrtime();

	if (*since_ns == 0) {
		*since_ns = now_ns;
		return;
	}
	if (now_ns - *since_ns < (atomic_load(serving) ? SLICE_NS : LONG_NS))
		return;
	pause_or_yield(queued);
	*since_ns = uv_hrtime();
}
