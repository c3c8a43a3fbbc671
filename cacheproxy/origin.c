/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/origin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cacheproxy/origin_int.h"

#define FLAG_TC	   0x02u
#define FLAG_AA	   0x04u
#define RCODE_MASK 0x0fu
#define SERVFAIL   2u

static const struct origin_tuning usual = {
	.total_ms = 5000,
	.idle_ms = 30000,
	.forget_ms = 300000,
	.backoff_ms = 1000,
	.backoff_max_ms = 60000,
	.remeasure_ms = 30000,
	.explore_1_in = 16,
	.socket_ms = 20000,
	.socket_questions = 512,
	.lane_max = 512,
	.server_max = 4096,
	.connections_max = 4,
	.busy = 64,
	.forged_max = 32,
	.cookie_ms = 86400000,
	.spare_ms = 600000,
	.drop_tell_ms = 600000,
};

/* -- deadlines: a binary heap */

static void heap_set(struct origins *origins, size_t place,
		     struct origin_ask *ask)
{
	origins->heap[place] = ask;
	ask->place = place;
}

static void heap_up(struct origins *origins, struct origin_ask *ask)
{
	size_t at = ask->place;

	while (at > 0) {
		struct origin_ask *parent = origins->heap[(at - 1) / 2];
		if (parent->due_ms <= ask->due_ms)
			break;
		heap_set(origins, at, parent);
		at = (at - 1) / 2;
	}
	heap_set(origins, at, ask);
}

static void heap_down(struct origins *origins, struct origin_ask *ask)
{
	size_t at = ask->place;

	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= origins->n_asks)
			break;
		if (child + 1 < origins->n_asks &&
		    origins->heap[child + 1]->due_ms <
			    origins->heap[child]->due_ms)
			child++;
		if (ask->due_ms <= origins->heap[child]->due_ms)
			break;
		heap_set(origins, at, origins->heap[child]);
		at = child;
	}
	heap_set(origins, at, ask);
}

static void heap_move(struct origins *origins, struct origin_ask *ask)
{
	heap_up(origins, ask);
	heap_down(origins, ask);
}

static int heap_add(struct origins *origins, struct origin_ask *ask)
{
	if (origins->n_asks == origins->heap_room) {
		size_t room = origins->heap_room * 2 + 64;
		struct origin_ask **heap = realloc(
			origins->heap, room * sizeof(struct origin_ask *));
		if (heap == NULL)
			return -ENOMEM;
		origins->heap = heap;
		origins->heap_room = room;
	}
	heap_set(origins, origins->n_asks++, ask);
	heap_up(origins, ask);
	return 0;
}

static void heap_remove(struct origins *origins, struct origin_ask *ask)
{
	struct origin_ask *last = origins->heap[--origins->n_asks];

	if (last == ask)
		return;
	heap_set(origins, ask->place, last);
	heap_move(origins, last);
}

/* -- the end of a question */

static void discard(struct origin_ask *ask)
{
	heap_remove(ask->origins, ask);
	link_remove(&ask->orphan);
	tsig_mac_free(ask->origins->tsig, ask->mac);
	free(ask->kept);
	free(ask);
}

static void finish(struct origin_ask *ask, struct origin_reply *reply)
{
	struct origin_question q = ask->q;
	uint8_t *kept = ask->kept;

	reply->tries = ask->tries;
	reply->rcode = ask->rcode;
	if (reply->status == 0)
		reply->origin = ask->q.origins + ask->index;
	ask->kept = NULL; /* may be what the reply shows */
	discard(ask);
	q.done(q.arg, reply);
	free(kept);
}

static void finish_failed(struct origin_ask *ask, int rc)
{
	finish(ask, &(struct origin_reply){ .status = rc });
}

/* -- trying */

/* True if 'rc' says nothing about the server. */
static bool is_our_fault(int rc)
{
	return rc == -ENOBUFS || rc == -ENOMEM || rc == -ENOKEY ||
	       rc == -EINVAL || rc == -EMFILE || rc == -ENFILE;
}

/* Sends 'ask', which is in no lane, to 'server'. */
static int send_to(struct origin_ask *ask, struct server *server,
		   const struct lane *avoid)
{
	struct origins *origins = ask->origins;
	uint64_t wait_ms = ask->q.origins[ask->index].timeout_ms;
	bool udp = server->transport == CONFIG_UDP;

	ask->server = server;
	int rc = udp ? origin_udp_send(ask, server, avoid)
		     : origin_tcp_send(ask, server);
	ask->error = rc;
	if (rc != 0) {
		if (!is_our_fault(rc))
			origin_server_failed(server, rc, NULL);
		return rc;
	}
	if (udp && !ask->again) {
		uint64_t patience_ms = origin_server_patience(server) / 1000;
		wait_ms = wait_ms < patience_ms ? wait_ms : patience_ms;
	}
	ask->tries++; /* far below 255: see ORIGIN_TRIES_MAX */
	server->sent++;
	origins->sent++;
	ask->sent_ns = uv_hrtime();
	/* libuv's clock, but of now: the loop may have been held up. */
	ask->due_ms = ask->sent_ns / 1000000 + wait_ms;
	if (ask->due_ms > ask->end_ms)
		ask->due_ms = ask->end_ms;
	heap_move(origins, ask);
	origin_timer_need(origins, ask->due_ms);
	return 0;
}

/* Sends 'ask' to the best server not tried yet; the last error if none is. */
static int send_next(struct origin_ask *ask)
{
	uint64_t now_ms = uv_now(ask->origins->loop);

	if (ask->origins->closing)
		return -ECANCELED;
	while (now_ms < ask->end_ms) {
		struct server *server;
		int i = origin_server_choose(ask, &server);
		if (i < 0)
			return ask->error != 0 ? ask->error : -ENOMEM;
		ask->tried |= 1u << i;
		ask->index = (uint8_t)i;
		ask->again = false;
		ask->doubt = 0;
		ask->fled = false;
		ask->cookie_again = false;
		if (send_to(ask, server, NULL) == 0)
			return 0;
	}
	return ask->error != 0 ? ask->error : -ETIMEDOUT;
}

/* TCP at the same place, unless it has just failed; else NULL. */
static struct server *by_tcp(const struct origin_ask *ask)
{
	struct origins *origins = ask->origins;
	struct server *server = origin_server_find(
		origins, &ask->q.origins[ask->index], CONFIG_TCP);

	if (server == NULL || origins->closing ||
	    uv_now(origins->loop) < server->due_ms)
		return NULL;
	return server;
}

/* Asks the same server by TCP, where a stranger has no say. */
static bool prove(struct origin_ask *ask)
{
	struct server *server = by_tcp(ask);

	if (server == NULL)
		return false;
	ask->proof = true;
	ask->again = false;
	if (send_to(ask, server, NULL) == 0)
		return true;
	ask->proof = false;
	return false;
}

/* As prove() came to nothing: once more by UDP, with a socket of its own. */
static bool resume(struct origin_ask *ask, const struct lane *avoid)
{
	struct origins *origins = ask->origins;
	struct server *server = origin_server_find(
		origins, &ask->q.origins[ask->index], CONFIG_UDP);

	ask->proof = false;
	if (server == NULL || origins->closing)
		return false;
	ask->server = server;
	origin_guard_unproven(ask);
	if (uv_now(origins->loop) >= ask->end_ms)
		return false;
	ask->again = true;
	return send_to(ask, server, avoid) == 0;
}

void origin_ask_failed(struct origin_ask *ask, int rc)
{
	ask->error = rc;
	if (ask->kept != NULL) {
		ask->rcode = ask->kept[3] & RCODE_MASK;
		finish(ask, &(struct origin_reply){ .msg = ask->kept,
						    .n = ask->kept_n });
		return;
	}
	if (ask->proof && resume(ask, NULL))
		return;
	rc = send_next(ask);
	if (rc != 0)
		finish_failed(ask, rc);
}

void origin_ask_cut(struct origin_ask *ask)
{
	struct lane *lane = ask->lane;

	/* Else it is waited for what is better, as always. */
	if (ask->again || by_tcp(ask) == NULL)
		return;
	origin_lane_remove(ask);
	if (!prove(ask) && !resume(ask, lane))
		origin_ask_failed(ask, -EBADMSG);
}

/* Others guess at 'ask': once it is asked otherwise, then given up. */
static void run_from(struct origin_ask *ask)
{
	bool first = !ask->fled;

	ask->flees = false;
	ask->fled = true;
	if (!first || (!prove(ask) && !resume(ask, NULL)))
		origin_ask_failed(ask, -EBADMSG);
}

void origin_orphans_run(struct origins *origins)
{
	while (!link_empty(&origins->orphans)) {
		struct origin_ask *ask = LINK_OWNER(origins->orphans.next,
						    struct origin_ask, orphan);
		link_remove(&ask->orphan);
		if (ask->flees) {
			run_from(ask);
			continue;
		}
		bool again = ask->may_again && ask->tries < ORIGIN_TRIES_MAX &&
			     !origins->closing;
		if (again) {
			ask->again = true;
			if (send_to(ask, ask->server, NULL) == 0)
				continue;
		} else if (ask->blame) {
			origin_server_failed(ask->server, ask->error, NULL);
		}
		origin_ask_failed(ask, ask->error);
	}
}

/* -- answers */

/*
 * The datagram was cut, or is so full that optional data may be missing: asks
 * the same server by TCP.  False: what is at hand has to do.
 */
static bool send_by_tcp(struct origin_ask *ask, const uint8_t *msg, size_t n,
			bool cut)
{
	struct origins *origins = ask->origins;
	struct server *server = origin_server_find(
		origins, &ask->q.origins[ask->index], CONFIG_TCP);

	if (server == NULL)
		return false;
	if (!cut) {
		if (uv_now(origins->loop) < server->due_ms)
			return false;
		ask->kept = malloc(n);
		if (ask->kept == NULL)
			return false;
		memcpy(ask->kept, msg, n);
		ask->kept_n = n;
	}
	ask->again = false;
	return send_to(ask, server, NULL) == 0;
}

/*
 * True if a datagram is so full that an RRset of additional data may have been
 * left out of it: the first, an address or some, or after others the largest
 * that is usual, a signature by RSA of 4096 bits.
 */
static bool is_full(const uint8_t *msg, size_t n)
{
	bool more = msg[10] != 0 || msg[11] > 1; /* than OPT */

	return n + (more ? ORIGIN_UDP_MORE : ORIGIN_UDP_SPARE) >=
	       ORIGIN_UDP_SIZE;
}

/* True if another server should be asked: this one gives no answer. */
static bool is_refusal(const uint8_t *msg)
{
	uint8_t rcode = msg[3] & RCODE_MASK;

	if (rcode == SERVFAIL && (msg[2] & FLAG_AA) != 0 &&
	    ((msg[6] | msg[7]) != 0 || (msg[2] & FLAG_TC) != 0))
		return false; /* aliases that loop: these are the answer */
	return rcode != 0 && rcode != 3 && rcode != 6; /* NX, YX: answers */
}

/*
 * True if the server said no to how it was asked, not to what, and is asked
 * otherwise: with another cookie (RFC 7873 section 5.3) or with none.
 */
static bool ask_otherwise(struct origin_ask *ask)
{
	bool bad_cookie = ask->bad_cookie;

	ask->bad_cookie = false;
	if (bad_cookie && ask->cookie_again) {
		if (!origin_guard_refused(ask) && prove(ask))
			return true;
		bad_cookie = false;
		if (!origin_guard_plain(ask))
			return false;
	} else if (!bad_cookie && !origin_guard_spare(ask, ask->rcode)) {
		return false;
	}
	/* Of a pool, the one that gave the cookie shall get it. */
	ask->stays = bad_cookie;
	ask->cookie_again |= bad_cookie;
	return send_to(ask, ask->server, NULL) == 0;
}

void origin_ask_answered(struct origin_ask *ask, const uint8_t *msg, size_t n,
			 uint64_t now_ns)
{
	struct server *server = ask->server;
	uint64_t rtt_us = (now_ns - ask->sent_ns) / 1000;
	bool cut = (msg[2] & FLAG_TC) != 0;

	if (now_ns < ask->sent_ns)
		rtt_us = 0;
	if (rtt_us > UINT32_MAX / 4)
		rtt_us = UINT32_MAX / 4;
	ask->rcode = msg[3] & RCODE_MASK;
	origin_server_answered(server, (uint32_t)rtt_us,
			       is_refusal(msg) && !ask->bad_cookie);
	if (ask_otherwise(ask))
		return;
	ask->proof = false;
	if (is_refusal(msg)) {
		origin_ask_failed(ask, -EREMOTEIO);
		return;
	}
	if (server->transport == CONFIG_UDP && (cut || is_full(msg, n))) {
		if (send_by_tcp(ask, msg, n, cut))
			return;
	} else if (cut) {
		server->bad++;
	}
	if (cut) {
		origin_ask_failed(ask, ask->error != 0 ? ask->error : -EBADMSG);
		return;
	}
	finish(ask, &(struct origin_reply){
			    .msg = msg, .n = n, .rtt_us = (uint32_t)rtt_us });
}

/* -- time */

/* False: the total time ended so soon that no server could be blamed. */
static bool had_time(const struct origin_ask *ask, uint64_t since_ms)
{
	uint64_t wait_ms = ask->q.origins[ask->index].timeout_ms;
	uint64_t total_ms = ask->origins->tuning.total_ms;

	if (wait_ms > total_ms)
		wait_ms = total_ms;
	return (uv_now(ask->origins->loop) - since_ms) * 2 >= wait_ms;
}

/* A stream on which nothing came: true if that was the end of 'ask' there. */
static bool is_stuck(const struct origin_ask *ask, struct conn *conn)
{
	if (conn->state != CONN_OPEN && had_time(ask, conn->born_ms)) {
		origin_tcp_failed(conn, -ETIMEDOUT, "no connection in time");
		return true;
	}
	/* Maybe the path is dead. */
	if (conn->lane.heard_ns < ask->sent_ns)
		conn->lane.draining = true;
	return false;
}

/*
 * An answer may still come, and shall not be taken for a guess: so each gives
 * one unknown ID free.  A socket that has given as many as it may take guesses,
 * used up or not, gives no more and is at its end.
 */
static void note_late(struct lane *lane)
{
	if (lane->stream) {
		lane->late++;
		return;
	}
	uint32_t most = lane->server->origins->tuning.forged_max;
	if (lane->n_credits == most)
		return;
	lane->late++;
	if (++lane->n_credits == most)
		origin_udp_retire((struct sock *)(void *)lane);
}

/* The first datagram brought nothing: once more, as is best. */
static bool ask_again(struct origin_ask *ask, const struct lane *lane)
{
	bool in_time = uv_now(ask->origins->loop) < ask->end_ms;

	if (lane->stream || ask->again)
		return false;
	origin_guard_doubted(ask);
	if (in_time && ask->doubt != 0 && prove(ask))
		return true;
	return resume(ask, lane);
}

/* No answer within the time of a try. */
static void on_due(struct origin_ask *ask)
{
	struct server *server = ask->server;
	struct lane *lane = ask->lane;
	int rc = ask->error != 0 ? ask->error : -ETIMEDOUT;

	server->timeouts++;
	if (lane->stream && is_stuck(ask, (struct conn *)(void *)lane))
		return;
	note_late(lane);
	origin_lane_remove(ask);
	if (ask_again(ask, lane))
		return;
	rc = ask->error != 0 ? ask->error : rc;
	if (server->heard_ns < ask->sent_ns &&
	    had_time(ask, ask->sent_ns / 1000000))
		origin_server_failed(server, rc, NULL);
	origin_ask_failed(ask, rc);
}

static void on_flush(uv_idle_t *idle)
{
	struct origins *origins = idle->data;

	while (!link_empty(&origins->dirty))
		origin_tcp_flush(
			LINK_OWNER(origins->dirty.next, struct conn, dirty));
	if (origins->expiring)
		return;
	uv_idle_stop(idle);
	origins->flushing = false;
}

static void on_expire(uv_check_t *check)
{
	struct origins *origins = check->data;
	uint64_t now_ms = uv_now(origins->loop);

	uv_check_stop(check);
	origins->expiring = false;
	origins->armed_ms = 0;
	/* What ends leaves the heap, which the analyzer does not see. */
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	while (origins->n_asks > 0 && origins->heap[0]->due_ms <= now_ms)
		on_due(origins->heap[0]);
	if (origins->closing)
		return;
	if (origins->sweep_ms != 0 && origins->sweep_ms <= now_ms)
		origin_server_sweep(origins);
	if (origins->n_asks > 0)
		origin_timer_need(origins, origins->heap[0]->due_ms);
	if (origins->sweep_ms != 0)
		origin_timer_need(origins, origins->sweep_ms);
}

/* Keeps the loop from sleeping once more. */
static void need_idle(struct origins *origins)
{
	if (origins->flushing || origins->closing)
		return;
	uv_idle_start(&origins->flush, on_flush);
	origins->flushing = true;
}

/*
 * Time is up for some, but libuv runs timers before it looks at sockets: if
 * the loop was held up, their answers may be there.  So these are read first.
 */
static void on_timer(uv_timer_t *timer)
{
	struct origins *origins = timer->data;

	origins->expiring = true;
	uv_check_start(&origins->expire, on_expire);
	need_idle(origins);
}

void origin_timer_need(struct origins *origins, uint64_t due_ms)
{
	uint64_t now_ms = uv_now(origins->loop);

	if (origins->closing ||
	    (origins->armed_ms != 0 && origins->armed_ms <= due_ms))
		return;
	origins->armed_ms = due_ms;
	uv_timer_start(&origins->timer, on_timer,
		       due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/*
 * An idle handle, as it runs before the loop sleeps and, while started, keeps
 * it from sleeping: so nothing waits, whoever asked and when.
 */
void origin_flush_need(struct conn *conn)
{
	struct origins *origins = conn->lane.server->origins;

	if (conn->state == CONN_CONNECTING || !link_empty(&conn->dirty))
		return;
	link_append(&origins->dirty, &conn->dirty);
	need_idle(origins);
}

uint16_t origin_random(struct origins *origins)
{
	if (origins->n_random == 0) {
		/* It worked in origins_new(): it goes on working. */
		(void)uv_random(NULL, NULL, origins->random,
				sizeof(origins->random), 0, NULL);
		origins->n_random =
			sizeof(origins->random) / sizeof(origins->random[0]);
	}
	return origins->random[--origins->n_random];
}

/* -- from outside */

int origin_ask(struct origins *origins, const struct origin_question *question)
{
	const struct dname *name = question->name;
	uint64_t now_ms = uv_now(origins->loop);

	if (origins->closing)
		return -ECANCELED;
	if (question->n_origins < 1 || question->n_origins > CONFIG_ORIGINS_MAX)
		return -EINVAL;
	struct origin_ask *ask = calloc(1, sizeof(*ask) + name->n + 4u);
	if (ask == NULL)
		return -ENOMEM;
	ask->q = *question;
	ask->origins = origins;
	link_init(&ask->orphan);
	ask->end_ms = now_ms + origins->tuning.total_ms;
	ask->due_ms = ask->end_ms;
	ask->question_n = (uint16_t)(name->n + 4u);
	memcpy(ask->question, name->wire, name->n);
	ask->question[name->n] = (uint8_t)(question->qtype >> 8);
	ask->question[name->n + 1] = (uint8_t)question->qtype;
	ask->question[name->n + 3] = 1; /* IN */
	int rc = heap_add(origins, ask);
	if (rc != 0) {
		free(ask);
		return rc;
	}
	rc = send_next(ask);
	if (rc != 0)
		discard(ask);
	return rc;
}

int origins_new(uv_loop_t *loop, struct isc_mem *mctx, uint64_t seed,
		struct origins **originsp)
{
	struct origins *origins = calloc(1, sizeof(*origins));

	if (origins == NULL)
		return -ENOMEM;
	int rc = uv_random(NULL, NULL, origins->random, sizeof(origins->random),
			   0, NULL);
	if (rc == 0)
		rc = tsig_new(mctx, &origins->tsig);
	if (rc != 0) {
		free(origins);
		return rc;
	}
	origins->n_random =
		sizeof(origins->random) / sizeof(origins->random[0]);
	origins->loop = loop;
	origins->prng = seed;
	origins->tuning = usual;
	link_init(&origins->orphans);
	link_init(&origins->dirty);
	link_init(&origins->servers);
	uv_timer_init(loop, &origins->timer); /* these can't fail */
	uv_idle_init(loop, &origins->flush);
	uv_check_init(loop, &origins->expire);
	origins->timer.data = origins;
	origins->flush.data = origins;
	origins->expire.data = origins;
	origins->n_handles = 3;
	*originsp = origins;
	return 0;
}

void origin_handle_gone(struct origins *origins)
{
	void (*closed)(void *arg) = origins->closed;
	void *arg = origins->closed_arg;

	if (--origins->n_handles > 0)
		return;
	origin_servers_free(origins);
	tsig_free(origins->tsig);
	free(origins->heap);
	free(origins);
	if (closed != NULL)
		closed(arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
	origin_handle_gone(handle->data);
}

void origins_close(struct origins *origins, void (*closed)(void *arg),
		   void *arg)
{
	if (origins->closing)
		return;
	origins->closing = true;
	origins->closed = closed;
	origins->closed_arg = arg;
	while (origins->n_asks > 0) {
		struct origin_ask *ask = origins->heap[origins->n_asks - 1];
		origin_lane_remove(ask);
		finish_failed(ask, -ECANCELED);
	}
	origin_servers_close(origins);
	uv_close((uv_handle_t *)&origins->timer, on_handle_closed);
	uv_close((uv_handle_t *)&origins->flush, on_handle_closed);
	uv_close((uv_handle_t *)&origins->expire, on_handle_closed);
}

size_t origins_count(const struct origins *origins)
{
	return origins->n_servers;
}

uint64_t origins_page(const struct origins *origins, uint64_t after,
		      bool (*each)(void *arg, const struct origin_stats *stats),
		      void *arg)
{
	struct origin_stats stats;

	for (struct link *at = origins->servers.next; at != &origins->servers;
	     at = at->next) {
		struct server *server = LINK_OWNER(at, struct server, link);
		if (server->number <= after)
			continue;
		origin_server_stats(server, &stats);
		if (!each(arg, &stats))
			return after;
		after = server->number;
	}
	return 0;
}

void origins_watch(struct origins *origins,
		   void (*changed)(void *arg, const struct origin_stats *stats,
				   const char *why),
		   void *arg)
{
	origins->changed = changed;
	origins->changed_arg = arg;
}

void origins_watch_drops(struct origins *origins,
			 void (*dropped)(void *arg,
					 const struct origin_stats *stats,
					 enum origin_drop why),
			 void *arg)
{
	origins->dropped = dropped;
	origins->dropped_arg = arg;
}

uint64_t origins_sent(const struct origins *origins)
{
	return origins->sent;
}
