/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_feed.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probes-client/probed_rows.h"

#define ANSWER_MS    10000u /* how long a reply may take */
#define RETRY_MIN_MS 100u
#define RETRY_MAX_MS 5000u
#define REPLY_MAX    65536u

/* A connection; it outlives its end until the loop lets go of it. */
struct link {
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	struct probed_feed *feed; /* NULL: given up */
	size_t n_in;
	char in[REPLY_MAX];
	char out[PROBED_BATCH_MAX]; /* a hint's line is shorter */
	bool is_hint;		    /* what is under way */
};

enum state {
	AWAY,	    /* until retry_ms */
	CONNECTING, /* until deadline_ms */
	IDLE,
	BUSY, /* a batch is under way, until deadline_ms */
};

struct probed_feed {
	struct probed_feed_setup setup;
	uv_timer_t timer;
	struct probed_rows rows;
	const struct probed_table *table; /* NULL: not yet to be told of */
	char path[CONFIG_SOCKET_MAX + 1];
	size_t rows_max;
	uint32_t interval_ms;
	enum state state;
	struct link *link;    /* NULL when AWAY */
	uint64_t deadline_ms; /* monotonic, like all here */
	uint64_t retry_ms;
	uint32_t pause_ms; /* before the next try but one */
	uint32_t rnd;
	bool told_away, told_there;
	bool rows_last; /* and not values */
	struct probed_gate refused, failed;
	struct probed_feed_stats stats;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void on_timer(uv_timer_t *timer);

static uint64_t rows_due(const struct probed_feed *feed)
{
	if (feed->table == NULL)
		return PROBED_ROWS_NEVER;
	return probed_rows_due(&feed->rows, feed->rows_max, feed->interval_ms);
}

static uint64_t values_due(const struct probed_feed *feed)
{
	return probed_values_due(feed->setup.values, feed->rows_max,
				 feed->interval_ms);
}

/* When there is something to do without being called. */
static uint64_t next_due(const struct probed_feed *feed)
{
	uint64_t hint_due = probed_hints_due(feed->setup.hints);
	uint64_t due = rows_due(feed);
	uint64_t values = values_due(feed);

	due = values < due ? values : due;
	switch (feed->state) {
	case AWAY:
		return feed->retry_ms;
	case IDLE:
		return due < hint_due ? due : hint_due;
	default:
		return feed->deadline_ms;
	}
}

static void plan(struct probed_feed *feed)
{
	uint64_t due = next_due(feed), now = now_ms();

	if (due == PROBED_ROWS_NEVER) {
		uv_timer_stop(&feed->timer);
		return;
	}
	uv_update_time(feed->setup.loop);
	uv_timer_start(&feed->timer, on_timer, due > now ? due - now : 0, 0);
}

/* -- connections ----------------------------------------------------------- */

static void link_free(uv_handle_t *handle)
{
	free(handle->data);
}

static void link_close(struct probed_feed *feed)
{
	struct link *link = feed->link;

	feed->link = NULL;
	if (link == NULL)
		return;
	link->feed = NULL;
	uv_close((uv_handle_t *)&link->pipe, link_free);
}

/* A pause, more or less a quarter of it, twice as long each time. */
static void pause_begin(struct probed_feed *feed)
{
	uint32_t quarter = feed->pause_ms / 4;

	feed->rnd = feed->rnd * 1664525u + 1013904223u;
	feed->retry_ms = now_ms() + feed->pause_ms - quarter +
			 (feed->rnd >> 8) % (2 * quarter + 1);
	feed->pause_ms = feed->pause_ms > RETRY_MAX_MS / 2 ? RETRY_MAX_MS
							   : 2 * feed->pause_ms;
	feed->state = AWAY;
	plan(feed);
}

/* Said once, until it has answered again. */
static void lost(struct probed_feed *feed, const char *why)
{
	feed->stats.lost++;
	link_close(feed);
	if (!feed->told_away)
		probed_log_write(feed->setup.log, PROBED_WARNING,
				 "cannot talk to the plugin at '%s': %s; "
				 "testing goes on, and results are kept",
				 feed->path, why);
	feed->told_away = true;
	pause_begin(feed);
}

static void lost_by(struct probed_feed *feed, int rc)
{
	char text[96];

	lost(feed, rc == UV_EOF ? "it has closed the connection"
				: uv_strerror_r(rc, text, sizeof(text)));
}

static void answered(struct probed_feed *feed)
{
	if (feed->told_away || !feed->told_there)
		probed_log_write(feed->setup.log, PROBED_NOTICE,
				 "the plugin at '%s' takes the results%s",
				 feed->path, feed->told_away ? " again" : "");
	feed->told_away = false;
	feed->told_there = true;
	feed->pause_ms = RETRY_MIN_MS;
}

/* -- replies --------------------------------------------------------------- */

/* What became of a batch. */
static void reply_count(struct probed_feed *feed,
			const struct probed_reply *reply)
{
	struct probed_feed_stats *stats = &feed->stats;

	if (!reply->ok) {
		stats->bad_batches++;
		return;
	}
	stats->taken_ms = now_ms();
	stats->accepted += reply->accepted > 0 ? (uint64_t)reply->accepted : 0;
	for (size_t i = 0; i < PROBED_REFUSALS; i++)
		stats->refused[i] += reply->by[i];
}

static void reply_log(struct probed_feed *feed,
		      const struct probed_reply *reply)
{
	uint64_t held = 0;

	if (!reply->ok) {
		if (probed_gate_open(&feed->failed, now_ms(), &held))
			probed_log_write(feed->setup.log, PROBED_WARNING,
					 "the plugin refused a %s: '%s'"
					 " (%" PRIu64 " like it not shown)",
					 feed->link->is_hint ? "hint" : "batch",
					 reply->why, held);
		return;
	}
	probed_log_write(feed->setup.log, PROBED_DEBUG,
			 "batch answered: %" PRId64 " accepted, %" PRId64
			 " refused",
			 reply->accepted, reply->refused);
	if (reply->refused > 0 &&
	    probed_gate_open(&feed->refused, now_ms(), &held))
		probed_log_write(feed->setup.log, PROBED_WARNING,
				 "the plugin refused %" PRId64
				 " results of a batch: %s (%" PRIu64
				 " like it not shown)",
				 reply->refused,
				 reply->why[0] != '\0' ? reply->why
						       : "it does not say why",
				 held);
}

/* Something has come: the one reply that is due, or nonsense. */
static void input_take(struct probed_feed *feed)
{
	struct link *link = feed->link;
	char *end = memchr(link->in, '\n', link->n_in);
	struct probed_reply reply;

	if (end == NULL) {
		if (link->n_in == sizeof(link->in))
			lost(feed, "its reply is too long");
		return;
	}
	struct slice line = { link->in, (size_t)(end - link->in) };
	if (feed->state != BUSY || line.n + 1 != link->n_in) {
		lost(feed, "it answered what was not asked");
		return;
	}
	if (probed_reply_parse(line, &reply) != 0) {
		lost(feed, "its reply is not understood");
		return;
	}
	link->n_in = 0;
	feed->state = IDLE;
	if (link->is_hint)
		probed_hints_sent(feed->setup.hints, now_ms());
	else
		reply_count(feed, &reply);
	answered(feed);
	if (!link->is_hint || !reply.ok)
		reply_log(feed, &reply);
	plan(feed);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct link *link = handle->data;

	(void)suggested;
	*buf = uv_buf_init(link->in + link->n_in,
			   (unsigned)(sizeof(link->in) - link->n_in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct link *link = stream->data;

	(void)buf;
	if (link->feed == NULL || n == 0)
		return;
	if (n < 0) {
		lost_by(link->feed, (int)n);
		return;
	}
	link->n_in += (size_t)n;
	input_take(link->feed);
}

/* -- batches --------------------------------------------------------------- */

static void on_written(uv_write_t *write, int rc)
{
	struct link *link = write->data;

	if (rc != 0 && link->feed != NULL)
		lost_by(link->feed, rc);
}

static size_t queued(const struct probed_feed *feed)
{
	return feed->rows.urgent.n + feed->rows.normal.n +
	       feed->setup.values->queue.n;
}

/* What the wall clock says at the monotonic one's 0. */
static int64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 -
	       (int64_t)now_ms();
}

static size_t rows_line(struct probed_feed *feed, char *out)
{
	feed->rows.unix_ms = unix_ms();
	return probed_rows_line(&feed->rows, feed->setup.node, feed->rows_max,
				out);
}

/* Rows or values; in turns, if both are due. */
static size_t line_print(struct probed_feed *feed, char *out)
{
	bool values = values_due(feed) <= now_ms() &&
		      (feed->rows_last || rows_due(feed) > now_ms());

	feed->rows_last = !values;
	feed->setup.values->unix_ms = unix_ms();
	if (values)
		return probed_values_line(feed->setup.values, feed->setup.node,
					  feed->rows_max, out);
	return rows_line(feed, out);
}

static void batch_send(struct probed_feed *feed)
{
	struct link *link = feed->link;
	size_t n = 0, before = queued(feed);

	/* a zone that changed serves old answers till this arrives */
	link->is_hint = probed_hints_due(feed->setup.hints) <= now_ms();
	if (link->is_hint)
		n = probed_hints_line(feed->setup.hints, link->out);
	else
		n = line_print(feed, link->out);
	uv_buf_t buf = uv_buf_init(link->out, (unsigned)n);

	if (n == 0)
		return;
	feed->stats.batches += !link->is_hint;
	feed->stats.rows += before - queued(feed);
	link->write.data = link;
	int rc = uv_write(&link->write, (uv_stream_t *)&link->pipe, &buf, 1,
			  on_written);
	if (rc != 0) {
		lost_by(feed, rc);
		return;
	}
	feed->state = BUSY;
	feed->deadline_ms = now_ms() + ANSWER_MS;
}

static int when_compare(const void *a, const void *b)
{
	const struct probed_target *const *x = a, *const *y = b;

	if ((*x)->tested_ms != (*y)->tested_ms)
		return (*x)->tested_ms < (*y)->tested_ms ? -1 : 1;
	return 0;
}

/* As old as can be: to be sent now. */
static void targets_mark(struct probed_feed *feed,
			 struct probed_target *const *targets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (targets[i]->state == PROBED_UNTESTED)
			continue;
		probed_rows_drop(&feed->rows, targets[i]);
		probed_rows_mark(&feed->rows, targets[i], false, 0);
	}
}

void probed_feed_tell_all(struct probed_feed *feed)
{
	size_t n = feed->table != NULL ? feed->table->n : 0;
	struct probed_target **sorted = calloc(n + 1, sizeof(*sorted));

	if (n > 0 && sorted != NULL) {
		memcpy(sorted, feed->table->targets, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), when_compare);
		targets_mark(feed, sorted, n);
	} else if (n > 0) { /* then in any order */
		targets_mark(feed, feed->table->targets, n);
	}
	probed_values_tell_all(feed->setup.values);
	free(sorted);
	plan(feed);
}

static void on_connect(uv_connect_t *connect, int rc)
{
	struct link *link = connect->data;
	struct probed_feed *feed = link->feed;

	if (feed == NULL)
		return;
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&link->pipe, on_room,
				   on_read);
	if (rc != 0) {
		lost_by(feed, rc);
		return;
	}
	feed->state = IDLE;
	probed_feed_tell_all(feed); /* the plugin may be new */
}

static void connect_begin(struct probed_feed *feed)
{
	struct link *link = malloc(sizeof(*link));

	if (link == NULL) {
		lost(feed, "no memory");
		return;
	}
	link->feed = feed;
	link->n_in = 0;
	uv_pipe_init(feed->setup.loop, &link->pipe, 0);
	link->pipe.data = link;
	link->connect.data = link;
	feed->link = link;
	feed->state = CONNECTING;
	feed->deadline_ms = now_ms() + ANSWER_MS;
	uv_pipe_connect(&link->connect, &link->pipe, feed->path, on_connect);
	plan(feed);
}

static void on_timer(uv_timer_t *timer)
{
	struct probed_feed *feed = timer->data;

	if (now_ms() < next_due(feed)) {
		plan(feed);
		return;
	}
	switch (feed->state) {
	case AWAY:
		connect_begin(feed);
		break;
	case IDLE:
		batch_send(feed);
		if (feed->state == BUSY)
			plan(feed);
		break;
	default:
		lost(feed, "it does not answer");
	}
}

/* -- what others call ------------------------------------------------------ */

int probed_feed_new(const struct probed_feed_setup *setup,
		    struct probed_feed **feedp)
{
	struct probed_feed *feed = calloc(1, sizeof(*feed));
	if (feed == NULL)
		return -ENOMEM;

	feed->setup = *setup;
	feed->rows_max = 1;
	feed->pause_ms = RETRY_MIN_MS;
	feed->retry_ms = PROBED_ROWS_NEVER;
	feed->rnd = (uint32_t)uv_hrtime();
	probed_rows_init(&feed->rows);
	uv_timer_init(setup->loop, &feed->timer);
	feed->timer.data = feed;
	*feedp = feed;
	return 0;
}

void probed_feed_use(struct probed_feed *feed, const char *path,
		     const struct config *config)
{
	size_t n = strlen(path);

	assert(n < sizeof(feed->path));
	feed->rows_max = config->feed_rows > 0 ? config->feed_rows : 1;
	feed->interval_ms = config->feed_interval_ms;
	if (strcmp(path, feed->path) == 0) {
		plan(feed);
		return;
	}
	memcpy(feed->path, path, n + 1);
	link_close(feed);
	feed->state = AWAY;
	feed->told_there = false;
	feed->told_away = false;
	feed->pause_ms = RETRY_MIN_MS;
	feed->retry_ms = 0;
	plan(feed);
}

void probed_feed_mark(struct probed_feed *feed, struct probed_target *target,
		      bool urgent)
{
	uint64_t before = next_due(feed);

	probed_rows_mark(&feed->rows, target, urgent, now_ms());
	if (next_due(feed) != before)
		plan(feed);
}

void probed_feed_hinted(struct probed_feed *feed)
{
	plan(feed);
}

struct probed_feed_stats probed_feed_stats(const struct probed_feed *feed)
{
	struct probed_feed_stats stats = feed->stats;

	stats.connected = feed->state == IDLE || feed->state == BUSY;
	stats.queued = queued(feed);
	return stats;
}

void probed_feed_drop(struct probed_feed *feed, struct probed_target *target)
{
	probed_rows_drop(&feed->rows, target);
}

void probed_feed_tell(struct probed_feed *feed,
		      const struct probed_table *table)
{
	feed->table = table;
	plan(feed);
}

static void feed_free(uv_handle_t *handle)
{
	free(handle->data);
}

void probed_feed_close(struct probed_feed *feed)
{
	if (feed == NULL)
		return;
	link_close(feed);
	uv_close((uv_handle_t *)&feed->timer, feed_free);
}
