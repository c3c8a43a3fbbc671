/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_link.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS   10000u /* how long a reply may take */
#define RETRY_MS    1000u
#define WANTED_MS   1000u /* from one question to the next */
#define MORE_MS	    100u
#define WANTED_MANY 100u /* when so many were wanted, more are soon */
#define REPLY_MAX   (512u << 10)
#define DEPTH_MAX   8
#define NEVER	    UINT64_MAX
#define TAIL	    4u /* "]}\n" */
#define HEAD_MAX    160u

/* A connection; it outlives its end until the loop lets go of it. */
struct line {
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	struct near_link *link; /* NULL: given up */
	size_t n_in;
	char in[REPLY_MAX];
	char out[NEAR_LINE_MAX];
};

enum state { OFF, AWAY, CONNECTING, IDLE, BUSY };

struct near_link {
	struct near_link_setup setup;
	uv_timer_t timer;
	struct line *line; /* NULL: when OFF or AWAY */
	enum state state;
	bool asks, asking; /* asking: what is under way */
	bool told_away;
	char path[CONFIG_SOCKET_MAX + 1];
	uint32_t rows_max, interval_ms;
	uint64_t deadline_ms, ask_ms, rows_ms; /* NEVER: nothing to tell */
	size_t n_batch, n_rows; /* what was not answered yet; 0: nothing */
	char batch[NEAR_LINE_MAX];
	struct near_link_stats stats;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void on_timer(uv_timer_t *timer);

static uint64_t next_due(const struct near_link *link)
{
	uint64_t due = link->rows_ms;

	switch (link->state) {
	case OFF:
		return NEVER;
	case IDLE:
		if (link->n_batch > 0)
			return 0;
		return link->asks && link->ask_ms < due ? link->ask_ms : due;
	default:
		return link->deadline_ms;
	}
}

static void plan(struct near_link *link)
{
	uint64_t due = next_due(link), now = now_ms();

	if (due == NEVER) {
		uv_timer_stop(&link->timer);
		return;
	}
	uv_update_time(link->setup.loop);
	uv_timer_start(&link->timer, on_timer, due > now ? due - now : 0, 0);
}

/* -- connections ----------------------------------------------------------- */

static void line_free(uv_handle_t *handle)
{
	free(handle->data);
}

static void line_close(struct near_link *link)
{
	struct line *line = link->line;

	link->line = NULL;
	if (line == NULL)
		return;
	line->link = NULL;
	uv_close((uv_handle_t *)&line->pipe, line_free);
}

/* Said once, until it has answered again. */
static void lost(struct near_link *link, const char *why)
{
	link->stats.lost++;
	line_close(link);
	if (!link->told_away)
		probed_log_write(link->setup.log, PROBED_WARNING,
				 "cannot ask the plugin at '%s' whose latency "
				 "it wants: %s",
				 link->path, why);
	link->told_away = true;
	link->state = AWAY;
	link->deadline_ms = now_ms() + RETRY_MS;
	plan(link);
}

static void lost_by(struct near_link *link, int rc)
{
	char text[96];

	lost(link, rc == UV_EOF ? "it has closed the connection"
				: uv_strerror_r(rc, text, sizeof(text)));
}

/* -- replies --------------------------------------------------------------- */

static void reply_take(struct near_link *link, struct json_object *reply)
{
	struct json_object *list;

	if (!link->asking) {
		link->n_batch = 0;
		return;
	}
	link->ask_ms = now_ms() + WANTED_MS;
	if (!json_object_object_get_ex(reply, "prefixes", &list) ||
	    !json_object_is_type(list, json_type_array))
		return;
	size_t n = json_object_array_length(list);
	if (n >= WANTED_MANY)
		link->ask_ms = now_ms() + MORE_MS;
	link->stats.wanted += n;
	link->setup.wanted(link->setup.arg, reply);
}

static void input_take(struct near_link *link)
{
	struct line *line = link->line;
	char *end = memchr(line->in, '\n', line->n_in);

	if (end == NULL) {
		if (line->n_in == sizeof(line->in))
			lost(link, "its reply is too long");
		return;
	}
	if (link->state != BUSY || end + 1 != line->in + line->n_in) {
		lost(link, "it answered what was not asked");
		return;
	}
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *reply = NULL;
	if (tokener != NULL)
		reply = json_tokener_parse_ex(tokener, line->in,
					      (int)(end - line->in));
	json_tokener_free(tokener);
	if (!json_object_is_type(reply, json_type_object)) {
		json_object_put(reply);
		lost(link, "its reply is not understood");
		return;
	}
	line->n_in = 0;
	link->state = IDLE;
	link->told_away = false;
	reply_take(link, reply);
	json_object_put(reply);
	plan(link);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct line *line = handle->data;

	(void)suggested;
	*buf = uv_buf_init(line->in + line->n_in,
			   (unsigned)(sizeof(line->in) - line->n_in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct line *line = stream->data;

	(void)buf;
	if (line->link == NULL || n == 0)
		return;
	if (n < 0) {
		lost_by(line->link, (int)n);
		return;
	}
	line->n_in += (size_t)n;
	input_take(line->link);
}

/* -- questions ------------------------------------------------------------- */

static void on_written(uv_write_t *write, int rc)
{
	struct line *line = write->data;

	if (rc != 0 && line->link != NULL)
		lost_by(line->link, rc);
}

static void line_send(struct near_link *link, const char *text, size_t n)
{
	struct line *line = link->line;

	memcpy(line->out, text, n);
	uv_buf_t buf = uv_buf_init(line->out, (unsigned)n);
	line->write.data = line;
	int rc = uv_write(&line->write, (uv_stream_t *)&line->pipe, &buf, 1,
			  on_written);
	if (rc != 0) {
		lost_by(link, rc);
		return;
	}
	link->state = BUSY;
	link->deadline_ms = now_ms() + ANSWER_MS;
	plan(link);
}

/* Takes what is to be told, as a batch. */
static void batch_make(struct near_link *link)
{
	int head = snprintf(link->batch, HEAD_MAX,
			    "{\"command\":\"metrics\",\"node\":\"%s\","
			    "\"rows\":[",
			    link->setup.node);
	size_t at = (size_t)head;

	link->n_rows = 0;
	size_t n = link->setup.rows(link->setup.arg, link->batch + at,
				    sizeof(link->batch) - at - TAIL,
				    link->rows_max, &link->n_rows);
	link->rows_ms = NEVER;
	if (link->n_rows == 0)
		return;
	memcpy(link->batch + at + n, "]}\n", 3);
	link->n_batch = at + n + 3;
	link->stats.batches++;
	link->stats.rows += link->n_rows;
	/* a full one: there are more */
	if (link->n_rows >= link->rows_max)
		link->rows_ms = 0;
}

static void speak(struct near_link *link)
{
	static const char question[] = "{\"command\":\"wanted\"}\n";
	uint64_t now = now_ms();

	if (link->n_batch == 0 && link->rows_ms <= now)
		batch_make(link);
	link->asking = link->n_batch == 0;
	if (!link->asking) {
		line_send(link, link->batch, link->n_batch);
		return;
	}
	if (link->asks && link->ask_ms <= now) {
		link->stats.asked++;
		line_send(link, question, sizeof(question) - 1);
		return;
	}
	plan(link);
}

static void on_connect(uv_connect_t *connect, int rc)
{
	struct line *line = connect->data;
	struct near_link *link = line->link;

	if (link == NULL)
		return;
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&line->pipe, on_room,
				   on_read);
	if (rc != 0) {
		lost_by(link, rc);
		return;
	}
	link->state = IDLE;
	plan(link);
}

static void connect_begin(struct near_link *link)
{
	struct line *line = malloc(sizeof(*line));

	if (line == NULL) {
		lost(link, "no memory");
		return;
	}
	line->link = link;
	line->n_in = 0;
	uv_pipe_init(link->setup.loop, &line->pipe, 0);
	line->pipe.data = line;
	line->connect.data = line;
	link->line = line;
	link->state = CONNECTING;
	link->deadline_ms = now_ms() + ANSWER_MS;
	uv_pipe_connect(&line->connect, &line->pipe, link->path, on_connect);
	plan(link);
}

static void on_timer(uv_timer_t *timer)
{
	struct near_link *link = timer->data;

	if (now_ms() < next_due(link)) {
		plan(link);
		return;
	}
	switch (link->state) {
	case OFF:
		break;
	case AWAY:
		connect_begin(link);
		break;
	case IDLE:
		speak(link);
		break;
	default:
		lost(link, "it does not answer");
	}
}

/* -- what others call ------------------------------------------------------ */

int near_link_new(const struct near_link_setup *setup, struct near_link **linkp)
{
	struct near_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return -ENOMEM;
	link->setup = *setup;
	link->rows_ms = NEVER;
	uv_timer_init(setup->loop, &link->timer);
	link->timer.data = link;
	*linkp = link;
	return 0;
}

void near_link_use(struct near_link *link, const char *path,
		   const struct config *config, bool asks)
{
	link->asks = asks;
	link->rows_max = config->feed_rows > 0 ? config->feed_rows : 1;
	link->interval_ms = config->feed_interval_ms;
	if (path == NULL || strcmp(path, link->path) != 0 ||
	    link->state == OFF) {
		line_close(link);
		link->told_away = false;
		link->deadline_ms = 0;
		link->state = path != NULL ? AWAY : OFF;
		(void)snprintf(link->path, sizeof(link->path), "%s",
			       path != NULL ? path : "");
	}
	plan(link);
}

void near_link_poke(struct near_link *link, bool now)
{
	uint64_t due = now ? 0 : now_ms() + link->interval_ms;

	if (due >= link->rows_ms)
		return;
	link->rows_ms = due;
	if (link->state == IDLE)
		plan(link);
}

struct near_link_stats near_link_stats(const struct near_link *link)
{
	struct near_link_stats stats = link->stats;

	stats.connected = link->state == IDLE || link->state == BUSY;
	return stats;
}

static void link_free(uv_handle_t *handle)
{
	free(handle->data);
}

void near_link_close(struct near_link *link)
{
	if (link == NULL)
		return;
	line_close(link);
	uv_close((uv_handle_t *)&link->timer, link_free);
}
