/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG	      16
#define REQUEST_DEPTH 4
#define SOCKET_MODE   0666 /* who may is the directory's to say */

struct client {
	struct probed_view *view; /* NULL: given up */
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	size_t handles; /* that the loop has */
	size_t n_in;
	struct json_object *reply; /* NULL: none under way */
	char in[VIEW_REQUEST_MAX];
};

struct probed_view {
	struct probed_view_setup setup;
	uv_pipe_t listener;
	struct client *clients[VIEW_CLIENTS];
};

/* -- what is shown --------------------------------------------------------- */

static void add(struct json_object *o, const char *key,
		struct json_object *value)
{
	json_object_object_add(o, key, value);
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	add(o, key, json_object_new_string(text));
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	add(o, key, json_object_new_uint64(n));
}

static void add_seconds(struct json_object *o, const char *key, int64_t ms)
{
	add(o, key, json_object_new_double((double)ms / 1000.0));
}

/* [milliseconds] of good ones, [error] of others, oldest first. */
static struct json_object *results_json(const struct probed_recent *recent)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < recent->n; i++) {
		enum probe_error error = probed_recent_error(recent, i);
		json_object_array_add(
			list, error == PROBE_OK
				      ? json_object_new_int64(
						probed_recent_metric(recent, i))
				      : json_object_new_string(
						probe_error_text(error)));
	}
	return list;
}

static void add_newest(struct json_object *o,
		       const struct probed_target *target, uint64_t now_ms)
{
	char cause[PROBED_LINE_MAX];

	if (target->n_tests == 0)
		return;
	add_seconds(o, "age_s", (int64_t)(now_ms - target->tested_ms));
	if (target->error == PROBE_OK) {
		add_number(o, "metric", target->metric_ms);
		return;
	}
	snprintf(cause, sizeof(cause), "%s%s%s%s",
		 probe_error_text(target->error),
		 target->words[0] != '\0' ? " (" : "", target->words,
		 target->words[0] != '\0' ? ")" : "");
	add_text(o, "error", cause);
}

static struct json_object *target_json(const struct probed_target *target,
				       uint64_t now_ms, int64_t unix_ms)
{
	struct json_object *o = json_object_new_object();
	int64_t for_ms = (int64_t)(now_ms - target->since_ms);
	char strip[PROBED_RECENT_MAX + 1];

	probed_recent_print(&target->recent, strip);
	add_text(o, "server", target->server);
	add_text(o, "address", target->address_text);
	add_text(o, "service", target->service->id);
	add_text(o, "state", probed_state_text(target->state));
	add_seconds(o, "since", unix_ms - for_ms);
	add_seconds(o, "since_s", for_ms);
	add_text(o, "last", strip);
	add(o, "results", results_json(&target->recent));
	if (target->heap_at != 0) /* else it is under way or waits */
		add_seconds(o, "next_s",
			    target->due_ms > now_ms
				    ? (int64_t)(target->due_ms - now_ms)
				    : 0);
	add_seconds(o, "interval_s", target->service->interval_ms);
	add_number(o, "tests", target->n_tests);
	add_number(o, "run", target->run);
	add_number(o, "transitions", target->n_changes);
	add_newest(o, target, now_ms);
	return o;
}

/* -- requests -------------------------------------------------------------- */

struct wish {
	const char *server; /* NULL: all */
	struct probed_target after;
	struct config_service service; /* of 'after' */
	bool is_after;
};

static bool after_read(struct json_object *after, struct wish *wish)
{
	const char *text[3];

	if (!json_object_is_type(after, json_type_array) ||
	    json_object_array_length(after) != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		struct json_object *part = json_object_array_get_idx(after, i);
		if (!json_object_is_type(part, json_type_string))
			return false;
		text[i] = json_object_get_string(part);
	}
	wish->is_after = true;
	wish->after.server = text[0];
	snprintf(wish->after.address_text, sizeof(wish->after.address_text),
		 "%s", text[1]);
	wish->service.id = text[2];
	wish->after.service = &wish->service;
	return true;
}

/* What is wrong with it, or NULL. */
static const char *wish_read(struct json_object *request, struct wish *wish)
{
	struct json_object *command = NULL, *server = NULL, *after = NULL;

	if (!json_object_is_type(request, json_type_object))
		return "not a request";
	json_object_object_get_ex(request, "command", &command);
	if (!json_object_is_type(command, json_type_string) ||
	    strcmp(json_object_get_string(command), "tests") != 0)
		return "no such command";
	if (json_object_object_get_ex(request, "server", &server)) {
		if (!json_object_is_type(server, json_type_string))
			return "\"server\" is not a text";
		wish->server = json_object_get_string(server);
	}
	if (json_object_object_get_ex(request, "after", &after) &&
	    !after_read(after, wish))
		return "\"after\" is not three texts";
	return NULL;
}

/* The first target that is to be shown. */
static size_t begin_of(const struct probed_table *table,
		       const struct wish *wish)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct probed_target *target = table->targets[middle];
		int order;
		if (wish->is_after)
			order = probed_target_compare(&wish->after, target);
		else
			order = wish->server == NULL
					? -1
					: strcmp(wish->server, target->server);
		/* 'after' itself was shown; the server's first was not. */
		if (order > 0 || (order == 0 && wish->is_after))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_next(struct json_object *reply,
		     const struct probed_target *target)
{
	struct json_object *next = json_object_new_array();

	json_object_array_add(next, json_object_new_string(target->server));
	json_object_array_add(next,
			      json_object_new_string(target->address_text));
	json_object_array_add(next,
			      json_object_new_string(target->service->id));
	add(reply, "next", next);
}

static void add_tests(struct json_object *reply,
		      const struct probed_table *table, const struct wish *wish,
		      uint64_t now_ms, int64_t unix_ms)
{
	struct json_object *list = json_object_new_array();
	size_t n = 0, i = table != NULL ? begin_of(table, wish) : 0;

	for (; table != NULL && i < table->n && n < VIEW_PAGE; i++, n++) {
		const struct probed_target *target = table->targets[i];
		if (wish->server != NULL &&
		    strcmp(wish->server, target->server) != 0)
			break;
		json_object_array_add(list,
				      target_json(target, now_ms, unix_ms));
	}
	add(reply, "tests", list);
	if (n == VIEW_PAGE && i < table->n)
		add_next(reply, table->targets[i - 1]);
}

static struct json_object *request_parse(struct slice line)
{
	struct json_tokener *tokener = json_tokener_new_ex(REQUEST_DEPTH);
	if (tokener == NULL)
		return NULL;

	struct json_object *request =
		json_tokener_parse_ex(tokener, line.p, (int)line.n);
	if (json_tokener_get_parse_end(tokener) != line.n) {
		json_object_put(request);
		request = NULL;
	}
	json_tokener_free(tokener);
	return request;
}

struct json_object *probed_view_reply(const struct probed_table *table,
				      const char *node, struct slice line,
				      uint64_t now_ms, int64_t unix_ms)
{
	struct json_object *request = request_parse(line);
	struct json_object *reply = json_object_new_object();
	struct wish wish = { 0 };
	const char *wrong = wish_read(request, &wish);

	add(reply, "ok", json_object_new_boolean(wrong == NULL));
	if (wrong != NULL) {
		add_text(reply, "error", wrong);
	} else {
		add_text(reply, "node", node);
		add_tests(reply, table, &wish, now_ms, unix_ms);
	}
	json_object_put(request);
	return reply;
}

/* -- clients --------------------------------------------------------------- */

static void on_client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;

	client->handles--;
	if (client->handles > 0)
		return;
	json_object_put(client->reply);
	free(client);
}

static void client_close(struct client *client)
{
	struct probed_view *view = client->view;

	if (view == NULL)
		return;
	for (size_t i = 0; i < VIEW_CLIENTS; i++)
		if (view->clients[i] == client)
			view->clients[i] = NULL;
	client->view = NULL;
	uv_close((uv_handle_t *)&client->pipe, on_client_closed);
	uv_close((uv_handle_t *)&client->timer, on_client_closed);
}

static void on_life(uv_timer_t *timer)
{
	client_close(timer->data);
}

static void requests_take(struct client *client);

static void on_written(uv_write_t *write, int rc)
{
	struct client *client = write->data;

	json_object_put(client->reply);
	client->reply = NULL;
	if (client->view == NULL)
		return;
	if (rc != 0) {
		client_close(client);
		return;
	}
	uv_timer_start(&client->timer, on_life, VIEW_LIFE_MS, 0);
	requests_take(client);
}

static void reply_send(struct client *client, struct json_object *reply)
{
	static char newline[] = "\n";
	size_t n = 0;
	const char *text = json_object_to_json_string_length(
		reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
		&n);

	client->reply = reply; /* which owns the text */
	client->write.data = client;
	uv_buf_t parts[2] = { uv_buf_init((char *)(uintptr_t)text, (unsigned)n),
			      uv_buf_init(newline, 1) };
	if (text == NULL ||
	    uv_write(&client->write, (uv_stream_t *)&client->pipe, parts, 2,
		     on_written) != 0)
		client_close(client);
}

/* One at a time: the next when this one's reply is gone. */
static void requests_take(struct client *client)
{
	const struct probed_view_setup *setup = &client->view->setup;
	char *end = memchr(client->in, '\n', client->n_in);
	uint64_t now_ms = uv_hrtime() / 1000000;
	struct timespec now;

	if (client->reply != NULL)
		return;
	if (end == NULL) {
		if (client->n_in == sizeof(client->in))
			client_close(client);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	struct slice line = { client->in, (size_t)(end - client->in) };
	struct json_object *reply = probed_view_reply(
		setup->table(setup->arg), setup->node, line, now_ms,
		(int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	client->n_in -= line.n + 1;
	memmove(client->in, end + 1, client->n_in);
	if (reply == NULL)
		client_close(client);
	else
		reply_send(client, reply);
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct client *client = handle->data;

	(void)size;
	*buf = uv_buf_init(client->in + client->n_in,
			   (unsigned)(sizeof(client->in) - client->n_in));
}

/* Without room, that is, with too much that was asked too soon, n is -ENOBUFS.
 */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = stream->data;

	(void)buf;
	if (client->view == NULL || n == 0)
		return;
	if (n < 0) {
		client_close(client);
		return;
	}
	client->n_in += (size_t)n;
	requests_take(client);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct probed_view *view = stream->data;
	struct client *client = calloc(1, sizeof(*client));
	size_t i = 0;

	if (client == NULL || status != 0) {
		free(client);
		return;
	}
	client->view = view;
	client->handles = 2;
	uv_pipe_init(view->setup.loop, &client->pipe, 0);
	uv_timer_init(view->setup.loop, &client->timer);
	client->pipe.data = client;
	client->timer.data = client;
	int rc = uv_accept(stream, (uv_stream_t *)&client->pipe);
	while (i < VIEW_CLIENTS && view->clients[i] != NULL)
		i++;
	if (i < VIEW_CLIENTS)
		view->clients[i] = client;
	if (rc == 0 && i < VIEW_CLIENTS)
		rc = uv_read_start((uv_stream_t *)&client->pipe, on_room,
				   on_read);
	if (rc != 0 || i == VIEW_CLIENTS)
		client_close(client);
	else
		uv_timer_start(&client->timer, on_life, VIEW_LIFE_MS, 0);
}

/* -- life ------------------------------------------------------------------ */

/* True if somebody listens there. */
static bool is_in_use(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	memcpy(address.sun_path, path, strlen(path));
	int rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
	bool used = rc == 0 || errno == EAGAIN;
	close(fd);
	return used;
}

/* What an earlier one has left is taken away, and nothing else is. */
static int place_clear(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (is_in_use(path))
		return -EADDRINUSE;
	return unlink(path) == 0 ? 0 : -errno;
}

static int listen_at(struct probed_view *view, const char *path)
{
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return -ENAMETOOLONG;

	int rc = place_clear(path);
	if (rc == 0)
		rc = uv_pipe_bind(&view->listener, path);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&view->listener, BACKLOG,
			       on_connection);
	if (rc == 0 && chmod(path, SOCKET_MODE) != 0)
		rc = -errno;
	return rc;
}

static void view_free(uv_handle_t *handle)
{
	free(handle->data);
}

int probed_view_new(const struct probed_view_setup *setup, const char *path,
		    struct probed_view **viewp)
{
	struct probed_view *view = calloc(1, sizeof(*view));
	char text[96];
	if (view == NULL)
		return -ENOMEM;

	view->setup = *setup;
	uv_pipe_init(setup->loop, &view->listener, 0);
	view->listener.data = view;
	int rc = listen_at(view, path);
	if (rc == 0) {
		*viewp = view;
		return 0;
	}
	probed_log_write(setup->log, PROBED_WARNING,
			 "tests are not shown at '%s': %s", path,
			 uv_strerror_r(rc, text, sizeof(text)));
	uv_close((uv_handle_t *)&view->listener, view_free);
	*viewp = NULL;
	return 0;
}

/* The listener's end takes the socket away, too. */
void probed_view_close(struct probed_view *view)
{
	if (view == NULL)
		return;
	for (size_t i = 0; i < VIEW_CLIENTS; i++)
		if (view->clients[i] != NULL)
			client_close(view->clients[i]);
	uv_close((uv_handle_t *)&view->listener, view_free);
}
