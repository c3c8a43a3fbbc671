/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "probes-client/near_load.h"

#define FILE_MAX (INT64_C(1) << 34) /* octets */

/* Which file it is, and which state of it. */
struct state {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec written;
};

/* A look at the file; it outlives its end until its thread is done. */
struct job {
	uv_work_t work;
	struct near_dump *dump; /* NULL: given up; the loop's */
	atomic_bool stop;
	int fd;	    /* its thread's */
	off_t left; /* likewise: of what it held at first */
	/* to the thread, and back */
	struct state state; /* what was read last */
	struct near_loaded loaded;
	double seconds;
	int rc;
	char path[];
};

struct near_dump {
	struct near_dump_setup setup;
	uv_timer_t timer;
	char *path; /* NULL: none */
	struct near_routes *routes;
	struct job *job;
	bool again;	    /* look once more when it is done */
	struct state state; /* of what was read last, good or not */
	time_t written_s;   /* when the table at hand was */
	int failed;	    /* -errno of the last look */
	struct near_dump_stats stats;
};

/* -- on a thread of the pool ----------------------------------------------- */

static struct state state_of(const struct stat *st)
{
	return (struct state){ st->st_dev, st->st_ino, st->st_size,
			       st->st_mtim };
}

static bool is_same(const struct state *a, const struct state *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->written.tv_sec == b->written.tv_sec &&
	       a->written.tv_nsec == b->written.tv_nsec;
}

static long pull(void *arg, uint8_t *to, size_t n)
{
	struct job *job = arg;
	ssize_t got;

	if (atomic_load_explicit(&job->stop, memory_order_relaxed))
		return -ECANCELED;
	if ((off_t)n > job->left)
		n = (size_t)job->left;
	do
		got = read(job->fd, to, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	job->left -= got;
	return got;
}

/* -EALREADY: it is what was read last. */
static int file_read(struct job *job)
{
	struct stat st;

	if (fstat(job->fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	struct state state = state_of(&st);
	if (is_same(&state, &job->state))
		return -EALREADY;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	job->left = st.st_size;
	int rc = near_load(pull, job, &job->loaded);
	if (rc != 0 && rc != -EBADMSG && rc != -E2BIG)
		return rc;
	job->state = state;
	if (fstat(job->fd, &st) != 0)
		rc = -errno;
	struct state after = state_of(&st);
	if (is_same(&state, &after))
		return rc;
	/* the next look is another try */
	job->state = (struct state){ 0 };
	return -ESTALE;
}

static void on_work(uv_work_t *work)
{
	struct job *job = work->data;
	uint64_t began_ns = uv_hrtime();

	job->fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (job->fd < 0) {
		job->rc = -errno;
		return;
	}
	job->rc = file_read(job);
	close(job->fd);
	if (job->rc != 0) {
		near_routes_free(job->loaded.routes);
		job->loaded.routes = NULL;
	}
	job->seconds = (double)(uv_hrtime() - began_ns) / 1e9;
}

/* -- on the loop ----------------------------------------------------------- */

static void say_read(const struct near_dump *d, const struct job *job)
{
	probed_log_write(d->setup.log, PROBED_NOTICE,
			 "routes of '%s': %zu prefixes of IPv4, %zu of IPv6, "
			 "read in %.1f s",
			 d->path, near_routes_count(d->routes, false),
			 near_routes_count(d->routes, true), job->seconds);
}

static void say_failed(const struct near_dump *d, const struct job *job)
{
	const char *kept = d->routes != NULL ? "the routes from before stay"
					     : "there are no routes";
	char why[128];

	if (job->rc == -EBADMSG)
		(void)snprintf(why, sizeof(why),
			       "damaged at octet %" PRIu64 ", behind %" PRIu64
			       " records: %s",
			       job->loaded.octets, job->loaded.records,
			       job->loaded.why);
	else if (job->rc == -E2BIG)
		(void)snprintf(why, sizeof(why), "more than %u prefixes",
			       NEAR_ROUTES_MAX);
	else if (job->rc == -ESTALE)
		(void)snprintf(why, sizeof(why), "changed while it was read");
	else if (job->rc == -EINVAL)
		(void)snprintf(why, sizeof(why), "not a file");
	else
		(void)uv_strerror_r(job->rc, why, sizeof(why));
	probed_log_write(d->setup.log, PROBED_WARNING,
			 "no routes from '%s': %s; %s", d->path, why, kept);
}

static void job_take(struct near_dump *d, struct job *job)
{
	bool is_news = job->rc != d->failed || !is_same(&job->state, &d->state);

	if (job->rc == -EALREADY) {
		/* it was gone for a while, or could not be opened */
		if (d->failed != -EBADMSG && d->failed != -E2BIG)
			d->failed = 0;
		return;
	}
	d->failed = job->rc;
	d->state = job->state;
	if (job->rc != 0) {
		d->stats.failed++;
		if (is_news)
			say_failed(d, job);
		return;
	}
	struct near_routes *old = d->routes;
	d->routes = job->loaded.routes;
	d->written_s = job->state.written.tv_sec;
	job->loaded.routes = NULL;
	d->setup.changed(d->setup.arg, d->routes);
	near_routes_free(old);
	say_read(d, job);
}

static void look(struct near_dump *d);

static void on_done(uv_work_t *work, int rc)
{
	struct job *job = work->data;
	struct near_dump *d = job->dump;

	(void)rc; /* never cancelled */
	if (d != NULL) {
		d->job = NULL;
		job_take(d, job);
		if (d->again)
			look(d);
	}
	near_routes_free(job->loaded.routes);
	free(job);
}

static void look(struct near_dump *d)
{
	size_t n = strlen(d->path) + 1;

	d->again = d->job != NULL;
	if (d->job != NULL)
		return;
	struct job *job = calloc(1, sizeof(*job) + n);
	if (job == NULL)
		return;
	memcpy(job->path, d->path, n);
	job->dump = d;
	job->state = d->state;
	atomic_init(&job->stop, false);
	job->work.data = job;
	if (uv_queue_work(d->setup.loop, &job->work, on_work, on_done) != 0)
		free(job);
	else
		d->job = job;
}

static void on_timer(uv_timer_t *timer)
{
	look(timer->data);
}

/* What is being read is not wanted any more. */
static void job_leave(struct near_dump *d)
{
	if (d->job == NULL)
		return;
	atomic_store_explicit(&d->job->stop, true, memory_order_relaxed);
	d->job->dump = NULL;
	d->job = NULL;
}

/* -- life ------------------------------------------------------------------ */

int near_dump_new(const struct near_dump_setup *setup, struct near_dump **dumpp)
{
	struct near_dump *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	d->setup = *setup;
	uv_timer_init(setup->loop, &d->timer);
	d->timer.data = d;
	*dumpp = d;
	return 0;
}

static void forget(struct near_dump *d)
{
	struct near_routes *old = d->routes;

	job_leave(d);
	free(d->path);
	d->path = NULL;
	d->routes = NULL;
	d->failed = 0;
	d->state = (struct state){ 0 };
	if (old != NULL)
		d->setup.changed(d->setup.arg, NULL);
	near_routes_free(old);
}

void near_dump_use(struct near_dump *d, const char *path, uint32_t interval_ms)
{
	if (path == NULL || d->path == NULL || strcmp(path, d->path) != 0)
		forget(d);
	if (path == NULL) {
		uv_timer_stop(&d->timer);
		return;
	}
	if (d->path == NULL)
		d->path = strdup(path);
	if (d->path == NULL) {
		probed_log_write(d->setup.log, PROBED_ERROR,
				 "no routes from '%s': no memory", path);
		uv_timer_stop(&d->timer);
		return;
	}
	uv_timer_start(&d->timer, on_timer, interval_ms, interval_ms);
	look(d);
}

struct near_dump_stats near_dump_stats(const struct near_dump *d)
{
	struct near_dump_stats stats = d->stats;
	time_t now_s = time(NULL);

	stats.on = d->path != NULL;
	stats.known = d->routes != NULL;
	if (d->routes == NULL)
		return stats;
	stats.n[0] = near_routes_count(d->routes, false);
	stats.n[1] = near_routes_count(d->routes, true);
	stats.bytes = near_routes_bytes(d->routes);
	stats.age_s =
		now_s > d->written_s ? (uint64_t)(now_s - d->written_s) : 0;
	return stats;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void near_dump_close(struct near_dump *d)
{
	if (d == NULL)
		return;
	d->setup.changed = NULL;
	job_leave(d);
	near_routes_free(d->routes);
	free(d->path);
	uv_close((uv_handle_t *)&d->timer, on_closed);
}
