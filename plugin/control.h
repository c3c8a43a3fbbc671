/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * control - the control socket: a unix stream socket, one JSON object a line,
 * each answered by one line, in order.
 *
 * Transport only: it bounds, frames, parses and answers; what a command means
 * is the handler's business.  Belongs to the engine thread and its libuv
 * loop: every function here is called from that thread, in no callback of
 * another loop.  Includes no BIND header, so that a test can run it alone.
 * SIGPIPE must be ignored or blocked in that thread (the engine's blocks all
 * signals).
 *
 * Bounds: CONTROL_CONNECTIONS_MAX clients (one more is told
 * {"ok":false,"error":"too many connections"} and closed), lines of
 * CONTROL_LINE_MAX octets without the newline (longer: an error and close),
 * 32 levels of nesting, one command of a client at a time (further lines wait
 * in the socket: reading stops until the answer has been taken, so nobody
 * who does not read keeps the engine busy), CONTROL_BACKLOG_MAX octets of
 * output that is not written yet, overhead included (a reply that could never
 * fit becomes an error; a client whose reply does not fit now is closed; a
 * subscriber's events are dropped and counted, and the next one delivered
 * carries "dropped": N).
 *
 * A line that is no request is answered by an error, and the next is read.
 * A last line without its newline is ignored.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define CONTROL_CONNECTIONS_MAX 64u
#define CONTROL_LINE_MAX	65536u
#define CONTROL_BACKLOG_MAX	(4u << 20)

struct json_object;
struct control;
struct control_client;

/*
 * A request: an object with a string "command".  The handler answers now or
 * later, exactly once, with control_reply(); 'client' stays valid till then
 * even if its connection, or all of 'control', is gone.  'command' and
 * 'request' are valid during the call only; to keep the request, take a
 * reference (json_object_get).  "watch" is handled by control itself:
 * {"command":"watch"} subscribes, {"ok":true} answers, events follow.
 */
typedef void (*control_handler)(void *arg, struct control_client *client,
				const char *command,
				struct json_object *request);

struct control_stats {
	uint32_t connections; /* now, with those that only owe a reply */
	uint32_t subscribers; /* now */
	uint64_t requests;    /* handed to the handler, and "watch" */
	uint64_t refused;     /* connections */
	uint64_t errors;      /* lines that were no request */
	uint64_t events;      /* delivered: one for each subscriber */
	uint64_t events_dropped;
};

/*
 * Listens on 'path', whose directory exists.  The socket has mode 0660 and
 * the group of the process; it is never more open than that, not even for a
 * moment (and less open, should the umask be strict and /proc be missing, as
 * in a bare chroot).  A stale socket is replaced, a live one is not.  Returns
 * 0 and sets '*controlp'; or -EADDRINUSE (somebody listens there), -EEXIST
 * (the path is no socket), -ENAMETOOLONG, -EINVAL (empty) or another -errno.
 */
int control_new(uv_loop_t *loop, const char *path, control_handler handler,
		void *arg, struct control **controlp);

/*
 * Unlinks the path, if the socket there is still ours, and closes all; later,
 * from the loop, 'closed' (NULL is fine) is called, the object gone.  Clients
 * that wait for a reply may still be given one: it goes nowhere.
 */
void control_close(struct control *control, void (*closed)(void *arg),
		   void *arg);

/*
 * Answers; takes over 'reply' (an object; "ok": true is added if missing; NULL
 * answers "out of memory").  'client' is no longer the caller's.
 */
void control_reply(struct control_client *client, struct json_object *reply);

/*
 * True if who waits for the reply will not read it: the connection is closed.
 * A peer that only writes no more still waits.  A system call.
 */
bool control_hung_up(const struct control_client *client);

/* Answers {"ok":false,"error":TEXT}; otherwise as above. */
void control_reply_error(struct control_client *client, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Sends an event (an object without "ok" or "dropped"; NULL is ignored) to
 * all subscribers; takes it over.  Cheap without any; ask control_watched()
 * before making one.
 */
void control_event(struct control *control, struct json_object *event);
bool control_watched(const struct control *control);

void control_stats_read(const struct control *control,
			struct control_stats *stats);
