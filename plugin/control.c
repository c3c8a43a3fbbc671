/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/utf8.h"
#include "plugin/lines.h"

_Static_assert(CONTROL_LINE_MAX == LINES_MAX, "one limit, two names");

#define LISTEN_BACKLOG 128
#define SOCKET_MODE    0660
#define ERROR_LINE_MAX 128

/*
 * A client is held by its handle (until that is closed) and by the request
 * that waits for its reply.  It is on the list as long as it exists, so that
 * the limit counts those, too, that have gone and only owe a reply; unless
 * the control has gone: then 'control' is NULL.
 *
 * A command is under way from the moment its line is taken until the last
 * octet of its reply is written: then the next line is looked for.
 */
struct control_client {
	LIST_ENTRY(control_client) entry;
	struct control *control;
	unsigned refs;
	bool closing;	 /* uv_close() was called */
	bool closed;	 /* and is done */
	bool reading;	 /* the handle is */
	bool pending;	 /* the handler owes a reply */
	bool last;	 /* close when the reply is written */
	bool subscribed; /* and not closing */
	size_t backlog;	 /* octets in outputs that are not written yet */
	uint64_t dropped;
	uv_pipe_t pipe;
	struct lines lines;
};

struct control {
	uv_loop_t *loop;
	control_handler handler;
	void *handler_arg;
	void (*closed)(void *arg);
	void *closed_arg;
	bool closing;
	bool refusing; /* 'refused' is in use */
	bool waiting;  /* a connection waits for it */
	unsigned handles;
	LIST_HEAD(client_list, control_client) clients;
	struct control_stats stats;
	uv_pipe_t listener;
	uv_pipe_t refused; /* one at a time; refusing takes no memory */
	dev_t dev;	   /* which file is ours */
	ino_t ino;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* A line on its way out. */
struct output {
	uv_write_t req;
	struct control_client *client;
	size_t cost; /* what it counts for in the backlog */
	bool reply;
	char text[];
};

/* The longest line: what is left of the backlog when it is empty. */
#define OUTPUT_MAX (CONTROL_BACKLOG_MAX - sizeof(struct output) - 1)

static void client_next(struct control_client *client);

static void client_unref(struct control_client *client)
{
	if (--client->refs > 0)
		return;
	if (client->control != NULL) {
		client->control->stats.connections--;
		LIST_REMOVE(client, entry);
	}
	free(client);
}

/* The control goes before a client that still owes a reply. */
static void client_detach(struct control_client *client)
{
	LIST_REMOVE(client, entry);
	client->control = NULL;
}

static void handle_gone(struct control *control)
{
	if (--control->handles > 0)
		return;
	assert(LIST_EMPTY(&control->clients));

	void (*closed)(void *) = control->closed;
	void *arg = control->closed_arg;
	free(control);
	if (closed != NULL)
		closed(arg);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct control_client *client = handle->data;
	struct control *control = client->control;

	client->closed = true;
	if (control->closing)
		client_detach(client);
	client_unref(client);
	handle_gone(control);
}

static void client_close(struct control_client *client)
{
	if (client->closing)
		return;
	client->closing = true;
	if (client->subscribed)
		client->control->stats.subscribers--;
	client->subscribed = false;
	uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

/* Called before the client's handle is closed, also when that cancels it. */
static void on_written(uv_write_t *req, int status)
{
	struct output *output = req->data;
	struct control_client *client = output->client;
	bool reply = output->reply;

	client->backlog -= output->cost;
	free(output);
	if (client->closing)
		return;
	if (status < 0)
		client_close(client);
	else if (reply)
		client_next(client);
}

/*
 * Sends a line.  Returns 0; or -ENOBUFS when the backlog is full, -ENOMEM, or
 * what libuv says.
 */
static int client_send(struct control_client *client, struct slice line,
		       bool reply)
{
	if (line.n > OUTPUT_MAX)
		return -ENOBUFS;
	size_t cost = sizeof(struct output) + line.n + 1;
	if (client->backlog + cost > CONTROL_BACKLOG_MAX)
		return -ENOBUFS;

	struct output *output = malloc(cost);
	if (output == NULL)
		return -ENOMEM;
	*output = (struct output){ .client = client,
				   .cost = cost,
				   .reply = reply };
	output->req.data = output;
	memcpy(output->text, line.p, line.n);
	output->text[line.n] = '\n';

	uv_buf_t buf = uv_buf_init(output->text, (unsigned)(line.n + 1));
	int rc = uv_write(&output->req, (uv_stream_t *)&client->pipe, &buf, 1,
			  on_written);
	if (rc != 0) {
		free(output);
		return rc;
	}
	client->backlog += cost;
	return 0;
}

/* An object as one line; json-c escapes what would break it. */
static struct slice text_of(struct json_object *object)
{
	size_t n = 0;
	const char *p = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
		&n);

	return (struct slice){ p, p == NULL ? 0 : n };
}

static void client_answer(struct control_client *client, struct slice line)
{
	if (client->closing)
		return;
	if (line.p == NULL)
		line = slice_of("{\"ok\":false,\"error\":\"out of memory\"}");
	if (line.n > OUTPUT_MAX)
		line = slice_of("{\"ok\":false,\"error\":\"reply too long\"}");
	if (client_send(client, line, true) != 0)
		client_close(client);
}

/*
 * Writes an error and a newline into 'line'; returns the length.  'why' is
 * ours, short, and needs no escapes.
 */
static size_t error_line(const char *why, char line[ERROR_LINE_MAX])
{
	int n = snprintf(line, ERROR_LINE_MAX,
			 "{\"ok\":false,\"error\":\"%s\"}\n", why);

	assert(n > 0 && n < ERROR_LINE_MAX);
	return (size_t)n;
}

/* Answers a line that is no request. */
static void client_complain(struct control_client *client, const char *why)
{
	char line[ERROR_LINE_MAX];
	size_t n = error_line(why, line);

	client->control->stats.errors++;
	client_answer(client, (struct slice){ line, n - 1 });
}

static void client_watch(struct control_client *client)
{
	if (!client->subscribed)
		client->control->stats.subscribers++;
	client->subscribed = true;
	client_answer(client, slice_of("{\"ok\":true}"));
}

static void client_request(struct control_client *client, struct slice line)
{
	struct control *control = client->control;
	struct json_object *request;
	const char *command;
	const char *why;

	if (lines_request(line, &request, &command, &why) != 0) {
		client_complain(client, why);
		return;
	}
	control->stats.requests++;
	if (strcmp(command, "watch") == 0) {
		client_watch(client);
	} else {
		client->pending = true;
		client->refs++;
		control->handler(control->handler_arg, client, command,
				 request);
	}
	json_object_put(request);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct control_client *client = handle->data;
	char *room;
	size_t n = lines_room(&client->lines, &room);

	(void)suggested;
	*buf = uv_buf_init(room, (unsigned)n);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct control_client *client = stream->data;

	(void)buf;
	if (n < 0) {
		client_close(client);
		return;
	}
	lines_fed(&client->lines, (size_t)n);
	client_next(client);
}

static int client_read(struct control_client *client)
{
	if (client->reading)
		return 0;
	client->reading = true;
	return uv_read_start((uv_stream_t *)&client->pipe, on_room, on_read);
}

/* No command is under way: takes the next line, or waits for one. */
static void client_next(struct control_client *client)
{
	struct slice line;
	int rc = client->last ? -ESHUTDOWN : lines_next(&client->lines, &line);

	if (rc == -EAGAIN)
		rc = client_read(client) == 0 ? -EAGAIN : -ESHUTDOWN;
	if (rc == -EAGAIN)
		return;
	if (rc == -ESHUTDOWN) {
		client_close(client);
		return;
	}

	uv_read_stop((uv_stream_t *)&client->pipe);
	client->reading = false;
	if (rc == -EMSGSIZE) {
		client->last = true;
		client_complain(client, "line too long");
		return;
	}
	client_request(client, line);
}

static void control_accept(struct control *control);

static void on_refused_closed(uv_handle_t *handle)
{
	struct control *control = handle->data;

	control->refusing = false;
	if (control->waiting && !control->closing) {
		control->waiting = false;
		control_accept(control);
	}
	handle_gone(control);
}

/*
 * Tells the connection why not, and closes it.  While one is being refused the
 * next waits: libuv then accepts no more until we do.
 */
static void control_refuse(struct control *control, const char *why)
{
	uv_stream_t *stream = (uv_stream_t *)&control->refused;
	char line[ERROR_LINE_MAX];

	if (control->refusing) {
		control->waiting = true;
		return;
	}
	uv_pipe_init(control->loop, &control->refused, 0);
	control->refused.data = control;
	control->refusing = true;
	control->handles++;
	control->stats.refused++;
	if (uv_accept((uv_stream_t *)&control->listener, stream) == 0) {
		size_t n = error_line(why, line);
		uv_buf_t buf = uv_buf_init(line, (unsigned)n);
		(void)uv_try_write(stream, &buf, 1);
	}
	uv_close((uv_handle_t *)stream, on_refused_closed);
}

/* Takes the connection that waits in the listener. */
static void control_accept(struct control *control)
{
	struct control_client *client = NULL;

	if (control->stats.connections >= CONTROL_CONNECTIONS_MAX) {
		control_refuse(control, "too many connections");
		return;
	}
	client = malloc(sizeof(*client));
	if (client == NULL) {
		control_refuse(control, "out of memory");
		return;
	}
	memset(client, 0, offsetof(struct control_client, lines));
	lines_init(&client->lines);
	client->control = control;
	client->refs = 1;
	uv_pipe_init(control->loop, &client->pipe, 0);
	client->pipe.data = client;
	LIST_INSERT_HEAD(&control->clients, client, entry);
	control->handles++;
	control->stats.connections++;
	if (uv_accept((uv_stream_t *)&control->listener,
		      (uv_stream_t *)&client->pipe) != 0)
		client_close(client);
	else
		client_next(client);
}

static void on_connection(uv_stream_t *listener, int status)
{
	/* A failed accept() is retried by libuv. */
	if (status == 0)
		control_accept(listener->data);
}

/* Says whether the path is free; a socket that nobody listens on is removed. */
static int path_clear(const char *path, const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int rc = connect(fd, (const struct sockaddr *)address,
			 sizeof(*address)) == 0
			 ? 0
			 : -errno;
	close(fd);
	if (rc == 0 || rc == -EAGAIN) /* EAGAIN: alive, its backlog is full */
		return -EADDRINUSE;
	if (rc == -ENOENT)
		return 0;
	if (rc != -ECONNREFUSED)
		return rc;
	return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/*
 * A socket bound to 'path', not listening yet.  The mode: umask() would change
 * it for all threads of the process, and chmod() after bind() leaves a
 * moment in which it is too open.  Linux gives the file the mode of the
 * socket's own inode less the umask, so fchmod() comes first; what the umask
 * took away is given back then, without following a link.
 */
static int path_bind(struct control *control, int *fdp)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, control->path, sizeof(address.sun_path));
	int rc = path_clear(control->path, &address);
	if (rc != 0)
		return rc;

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	if (fd < 0)
		return -errno;
	if (fchmod(fd, SOCKET_MODE) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    lstat(control->path, &st) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	/* Where this is not supported the socket is less open than it may be:
	   no reason to go without. */
	(void)fchmodat(AT_FDCWD, control->path, SOCKET_MODE,
		       AT_SYMLINK_NOFOLLOW);
	control->dev = st.st_dev;
	control->ino = st.st_ino;
	*fdp = fd;
	return 0;
}

/* Removes the socket's file, unless it has become somebody else's. */
static void path_remove(const struct control *control)
{
	struct stat st;

	if (lstat(control->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == control->dev && st.st_ino == control->ino)
		(void)unlink(control->path);
}

static void on_listener_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

int control_new(uv_loop_t *loop, const char *path, control_handler handler,
		void *arg, struct control **controlp)
{
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof(((struct control *)NULL)->path))
		return n == 0 ? -EINVAL : -ENAMETOOLONG;

	struct control *control = calloc(1, sizeof(*control));
	if (control == NULL)
		return -ENOMEM;
	control->loop = loop;
	control->handler = handler;
	control->handler_arg = arg;
	LIST_INIT(&control->clients);
	memcpy(control->path, path, n + 1);

	int fd = -1;
	int rc = path_bind(control, &fd);
	if (rc != 0) {
		free(control);
		return rc;
	}

	uv_stream_t *listener = (uv_stream_t *)&control->listener;
	uv_pipe_init(loop, &control->listener, 0);
	control->listener.data = control;
	control->handles = 1;
	rc = uv_pipe_open(&control->listener, fd);
	if (rc != 0)
		close(fd);
	else
		rc = uv_listen(listener, LISTEN_BACKLOG, on_connection);
	if (rc != 0) {
		control_close(control, NULL, NULL);
		return rc;
	}
	*controlp = control;
	return 0;
}

void control_close(struct control *control, void (*closed)(void *arg),
		   void *arg)
{
	assert(!control->closing);
	control->closing = true;
	control->closed = closed;
	control->closed_arg = arg;
	path_remove(control);

	struct control_client *next;
	for (struct control_client *client = LIST_FIRST(&control->clients);
	     client != NULL; client = next) {
		next = LIST_NEXT(client, entry);
		if (client->closed)
			client_detach(client);
		else
			client_close(client);
	}
	uv_close((uv_handle_t *)&control->listener, on_listener_closed);
}

void control_reply(struct control_client *client, struct json_object *reply)
{
	struct slice line = { NULL, 0 };

	assert(client->pending);
	client->pending = false;
	if (!client->closing && reply != NULL) {
		if (!json_object_object_get_ex(reply, "ok", NULL))
			json_object_object_add(reply, "ok",
					       json_object_new_boolean(1));
		line = text_of(reply);
	}
	client_answer(client, line);
	json_object_put(reply);
	client_unref(client);
}

/* Nothing is read meanwhile, so libuv does not tell. */
bool control_hung_up(const struct control_client *client)
{
	struct pollfd p = { .fd = -1 };

	if (client->closing || client->closed)
		return true;
	if (uv_fileno((const uv_handle_t *)&client->pipe, &p.fd) != 0)
		return true;
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

void control_reply_error(struct control_client *client, const char *fmt, ...)
{
	struct json_object *reply = json_object_new_object();
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	int n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		text = NULL;
	else
		utf8_mend(text);

	const char *shown = text == NULL ? "out of memory" : text;
	if (reply != NULL) {
		json_object_object_add(reply, "ok", json_object_new_boolean(0));
		json_object_object_add(reply, "error",
				       json_object_new_string(shown));
	}
	free(text);
	control_reply(client, reply);
}

/* Delivers an event, with the number of those that were lost before it. */
static void client_event(struct control_client *client,
			 struct json_object *event)
{
	struct control_stats *stats = &client->control->stats;
	bool late = client->dropped > 0;

	if (late)
		json_object_object_add(
			event, "dropped",
			json_object_new_int64((int64_t)client->dropped));
	struct slice line = text_of(event);
	int rc = line.p == NULL ? -ENOMEM : client_send(client, line, false);
	if (late)
		json_object_object_del(event, "dropped");

	if (rc == 0) {
		client->dropped = 0;
		stats->events++;
	} else if (rc == -ENOBUFS || rc == -ENOMEM) {
		client->dropped++;
		stats->events_dropped++;
	} else {
		client_close(client);
	}
}

void control_event(struct control *control, struct json_object *event)
{
	struct control_client *client;

	if (control_watched(control) && event != NULL)
		LIST_FOREACH(client, &control->clients, entry)
	if (client->subscribed)
		client_event(client, event);
	json_object_put(event);
}

bool control_watched(const struct control *control)
{
	return control->stats.subscribers > 0;
}

void control_stats_read(const struct control *control,
			struct control_stats *stats)
{
	*stats = control->stats;
}
