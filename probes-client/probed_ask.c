/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_ask.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/probed_plugin.h"

#define NESTING_MAX 32
#define ROOM_FIRST  65536u

enum step { ASK_STATUS, ASK_PAGES, ASK_SERVERS };

/* A connection; it outlives its end until the loop lets go of it. */
struct talk {
	uv_pipe_t pipe;
	uv_connect_t connect;
	struct probed_ask *ask; /* NULL: given up */
	enum step step;
	uint64_t start_ms;
	size_t n_pages, all_bytes; /* of what has come */
	char *in;
	size_t n_in, room;
};

/* A request on its way. */
struct request {
	uv_write_t write;
	struct talk *talk;
	char out[];
};

struct probed_ask {
	uv_loop_t *loop;
	uv_timer_t timer;
	probed_paged paged;
	probed_asked asked;
	void *arg;
	struct talk *talk; /* NULL: nothing is under way */
	struct json_object *status;
	char path[CONFIG_SOCKET_MAX + 1];
};

static void talk_free(uv_handle_t *handle)
{
	struct talk *talk = handle->data;

	free(talk->in);
	free(talk);
}

static void talk_close(struct probed_ask *ask)
{
	struct talk *talk = ask->talk;

	ask->talk = NULL;
	if (talk == NULL)
		return;
	talk->ask = NULL;
	uv_close((uv_handle_t *)&talk->pipe, talk_free);
}

/* With the status, if it was had. */
static void finish(struct probed_ask *ask, struct json_object *servers)
{
	struct json_object *status = ask->status;

	ask->status = NULL;
	uv_timer_stop(&ask->timer);
	talk_close(ask);
	ask->asked(ask->arg, status, servers);
	json_object_put(status);
	json_object_put(servers);
}

static void on_late(uv_timer_t *timer)
{
	finish(timer->data, NULL);
}

static void on_written(uv_write_t *write, int rc)
{
	struct request *request = (struct request *)write;
	struct talk *talk = request->talk;

	free(request);
	if (rc != 0 && talk->ask != NULL)
		finish(talk->ask, NULL);
}

/* Each reply has its time, and all together. */
static void clock_start(struct talk *talk)
{
	uv_loop_t *loop = talk->ask->loop;

	uv_update_time(loop);
	uint64_t now_ms = uv_now(loop);
	if (talk->start_ms == 0)
		talk->start_ms = now_ms;
	uint64_t end_ms = talk->start_ms + PROBED_ASK_ALL_MS;
	uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
	uv_timer_start(&talk->ask->timer, on_late,
		       left_ms < PROBED_ASK_MS ? left_ms : PROBED_ASK_MS, 0);
}

/* Sends 'command', with 'after' (NULL: none), which it takes over. */
static void request_send(struct talk *talk, const char *command,
			 struct json_object *after)
{
	struct json_object *o = json_object_new_object();
	size_t n = 0;

	json_object_object_add(o, "command", json_object_new_string(command));
	if (after != NULL)
		json_object_object_add(o, "after", after);
	const char *text = json_object_to_json_string_length(
		o, JSON_C_TO_STRING_PLAIN, &n);
	struct request *request =
		text != NULL ? malloc(sizeof(*request) + n + 1) : NULL;
	if (request != NULL) {
		request->talk = talk;
		memcpy(request->out, text, n);
		request->out[n] = '\n';
	}
	json_object_put(o);
	if (request == NULL) {
		finish(talk->ask, NULL);
		return;
	}
	uv_buf_t buf = uv_buf_init(request->out, (unsigned)n + 1);
	if (uv_write(&request->write, (uv_stream_t *)&talk->pipe, &buf, 1,
		     on_written) != 0) {
		free(request);
		finish(talk->ask, NULL);
	}
}

/* A reply that says "ok": the caller's reference, or NULL. */
static struct json_object *reply_parse(const char *p, size_t n)
{
	struct json_tokener *tokener = json_tokener_new_ex(NESTING_MAX);
	if (tokener == NULL)
		return NULL;

	struct json_object *reply = json_tokener_parse_ex(tokener, p, (int)n);
	bool whole =
		json_tokener_get_error(tokener) == json_tokener_success &&
		json_object_is_type(reply, json_type_object) &&
		json_object_get_boolean(json_object_object_get(reply, "ok"));
	json_tokener_free(tokener);
	if (whole)
		return reply;
	json_object_put(reply);
	return NULL;
}

/* Asks for what there is to ask for, once there is a status: 'after', or the
 * servers. */
static void go_on(struct talk *talk, struct json_object *after)
{
	struct probed_ask *ask = talk->ask;
	uint64_t servers = probed_plugin_servers(ask->status);

	if (after != NULL) {
		talk->step = ASK_PAGES;
		request_send(talk, "status", after);
	} else if (servers == 0 || servers > PROBED_SERVERS_SHOWN_MAX) {
		finish(ask, NULL);
	} else {
		talk->step = ASK_SERVERS;
		request_send(talk, "servers", NULL);
	}
}

/* A page is there; takes it over. */
static void page_take(struct talk *talk, struct json_object *page)
{
	struct probed_ask *ask = talk->ask;
	struct json_object *after = ask->paged(ask->arg, page);

	if (talk->step == ASK_STATUS)
		ask->status = page;
	else
		json_object_put(page);
	if (++talk->n_pages >= PROBED_PAGES_MAX ||
	    talk->all_bytes >= PROBED_ALL_MAX) {
		json_object_put(after);
		after = NULL;
	}
	clock_start(talk);
	go_on(talk, after);
}

/* A line is there. */
static void reply_take(struct talk *talk, size_t n)
{
	struct json_object *reply = reply_parse(talk->in, n);

	talk->all_bytes += n;
	talk->n_in = 0;
	if (talk->step == ASK_SERVERS || reply == NULL)
		finish(talk->ask, reply);
	else
		page_take(talk, reply);
}

/* More room, twice as much each time; what does not fit is no reply. */
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct talk *talk = handle->data;
	size_t room = talk->room == 0 ? ROOM_FIRST : 2 * talk->room;

	(void)suggested;
	if (room > PROBED_REPLY_MAX)
		room = PROBED_REPLY_MAX;
	if (talk->n_in == talk->room && room > talk->room) {
		char *in = realloc(talk->in, room);
		if (in != NULL) {
			talk->in = in;
			talk->room = room;
		}
	}
	*buf = uv_buf_init(talk->in + talk->n_in,
			   (unsigned)(talk->room - talk->n_in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct talk *talk = stream->data;

	if (talk->ask == NULL || n == 0)
		return;
	if (n < 0) {
		finish(talk->ask, NULL);
		return;
	}
	char *end = memchr(buf->base, '\n', (size_t)n);
	talk->n_in += (size_t)n;
	if (end != NULL)
		reply_take(talk, (size_t)(end - talk->in));
}

static void on_connect(uv_connect_t *connect, int rc)
{
	struct talk *talk = connect->data;

	if (talk->ask == NULL)
		return;
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&talk->pipe, on_room,
				   on_read);
	if (rc == 0)
		request_send(talk, "status", NULL);
	else
		finish(talk->ask, NULL);
}

void probed_ask_start(struct probed_ask *ask)
{
	struct talk *talk = calloc(1, sizeof(*talk));

	assert(ask->talk == NULL);
	if (talk == NULL) {
		finish(ask, NULL);
		return;
	}
	talk->ask = ask;
	uv_pipe_init(ask->loop, &talk->pipe, 0);
	talk->pipe.data = talk;
	talk->connect.data = talk;
	ask->talk = talk;
	clock_start(talk);
	uv_pipe_connect(&talk->connect, &talk->pipe, ask->path, on_connect);
}

int probed_ask_new(uv_loop_t *loop, probed_paged paged, probed_asked asked,
		   void *arg, struct probed_ask **askp)
{
	struct probed_ask *ask = calloc(1, sizeof(*ask));
	if (ask == NULL)
		return -ENOMEM;

	ask->loop = loop;
	ask->paged = paged;
	ask->asked = asked;
	ask->arg = arg;
	uv_timer_init(loop, &ask->timer);
	ask->timer.data = ask;
	*askp = ask;
	return 0;
}

void probed_ask_use(struct probed_ask *ask, const char *path)
{
	size_t n = strlen(path);

	assert(n < sizeof(ask->path));
	memcpy(ask->path, path, n + 1);
}

static void ask_free(uv_handle_t *handle)
{
	free(handle->data);
}

void probed_ask_close(struct probed_ask *ask)
{
	if (ask == NULL)
		return;
	talk_close(ask);
	json_object_put(ask->status);
	ask->status = NULL;
	uv_close((uv_handle_t *)&ask->timer, ask_free);
}
