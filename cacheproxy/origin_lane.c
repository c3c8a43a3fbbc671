/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/origin_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cacheproxy/wire.h"

#define FLAG_QR 0x80u
#define FLAG_TC 0x02u
#define OPT_N	11u

int origin_octets_add(struct octets *octets, const uint8_t *p, size_t n,
		      size_t max)
{
	if (n > max || octets->n > max - n)
		return -ENOBUFS;
	if (octets->room - octets->n < n) {
		size_t room = octets->room < 1024 ? 1024 : octets->room;
		while (room - octets->n < n)
			room *= 2;
		uint8_t *grown = realloc(octets->p, room);
		if (grown == NULL)
			return -ENOMEM;
		octets->p = grown;
		octets->room = room;
	}
	if (n > 0)
		memcpy(octets->p + octets->n, p, n);
	octets->n += n;
	return 0;
}

void origin_octets_drop(struct octets *octets, size_t n)
{
	octets->n -= n;
	if (octets->n > 0)
		memmove(octets->p, octets->p + n, octets->n);
}

void origin_octets_free(struct octets *octets)
{
	free(octets->p);
	*octets = (struct octets){ 0 };
}

static struct origin_ask **find(struct lane *lane, uint16_t id)
{
	struct origin_ask **at = &lane->slot[id % ORIGIN_SLOTS];

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->chain;
	return at;
}

void origin_lane_put(struct lane *lane, struct origin_ask *ask)
{
	struct origin_ask **at;

	/* A lane has far fewer questions than there are IDs. */
	do {
		ask->id = origin_random(ask->origins);
		at = find(lane, ask->id);
	} while (*at != NULL);
	ask->chain = NULL;
	ask->lane = lane;
	*at = ask;
	lane->n++;
	lane->server->in_flight++;
}

static void unlink_ask(struct lane *lane, struct origin_ask *ask)
{
	struct origin_ask **at = find(lane, ask->id);

	*at = ask->chain;
	ask->chain = NULL;
	ask->lane = NULL;
	lane->n--;
	lane->server->in_flight--;
}

void origin_lane_remove(struct origin_ask *ask)
{
	struct lane *lane = ask->lane;

	if (lane == NULL)
		return;
	unlink_ask(lane, ask);
	if (lane->n > 0 || !lane->draining || lane->closed)
		return;
	if (lane->stream)
		origin_tcp_close((struct conn *)(void *)lane);
	else
		origin_udp_close((struct sock *)(void *)lane);
}

void origin_lane_orphan(struct lane *lane, int error, bool normal,
			bool progress)
{
	for (size_t i = 0; i < ORIGIN_SLOTS; i++) {
		while (lane->slot[i] != NULL) {
			struct origin_ask *ask = lane->slot[i];
			unlink_ask(lane, ask);
			ask->error = error;
			ask->may_again = normal && (progress || !ask->again);
			ask->blame = normal;
			link_append(&ask->origins->orphans, &ask->orphan);
		}
	}
}

/* Guesses get nobody any further: a cookie or a signature is demanded. */
static bool is_safe(const struct lane *lane, const struct origin_ask *ask)
{
	return ask->mac != NULL ||
	       (ask->with & lane->server->shown & ORIGIN_COOKIE) != 0;
}

static void flee_slot(struct lane *lane, struct origin_ask **at)
{
	while (*at != NULL) {
		struct origin_ask *ask = *at;
		if (ask->fled && is_safe(lane, ask)) {
			at = &ask->chain;
			continue;
		}
		unlink_ask(lane, ask);
		lane->late++;
		ask->flees = true;
		link_append(&ask->origins->orphans, &ask->orphan);
	}
}

/*
 * Somebody guesses at the socket's questions: they shall be asked by TCP and,
 * where that is closed, by another socket, where they may stay if they are
 * safe.  Nothing new goes by this one.
 */
static void flee(struct lane *lane)
{
	struct origins *origins = lane->server->origins;
	struct sock *sock = (struct sock *)(void *)lane;

	origin_udp_retire(sock);
	for (size_t i = 0; i < ORIGIN_SLOTS; i++)
		flee_slot(lane, &lane->slot[i]);
	if (lane->n == 0)
		origin_udp_close(sock);
	origin_orphans_run(origins);
}

void origin_lane_dropped(struct lane *lane, enum origin_drop why)
{
	origin_server_dropped(lane->server, why);
	if (!lane->stream && !lane->closed &&
	    ++lane->forged == lane->server->origins->tuning.forged_max)
		flee(lane);
}

bool origin_lane_message(struct lane *lane, uint8_t *msg, size_t n,
			 uint64_t now_ns)
{
	struct server *server = lane->server;

	if (n < WIRE_HEADER || (msg[2] & FLAG_QR) == 0) {
		origin_lane_dropped(lane, ORIGIN_DROP_MALFORMED);
		return false;
	}
	struct origin_ask *ask = *find(lane, (uint16_t)(msg[0] << 8 | msg[1]));
	if (ask == NULL) {
		if (lane->late > 0)
			lane->late--;
		else
			origin_lane_dropped(lane, ORIGIN_DROP_ID);
		return true;
	}
	enum origin_drop why = origin_guard_check(ask, msg, n);
	if (why == ORIGIN_DROP_NONE) {
		/* what names the question shall have no chance spelling */
		if (n > WIRE_HEADER)
			memcpy(msg + WIRE_HEADER, ask->q.name->wire,
			       ask->q.name->n);
		lane->heard_ns = server->heard_ns = now_ns;
		lane->used_ms = uv_now(ask->origins->loop);
		origin_lane_remove(ask);
		origin_ask_answered(ask, msg, n, now_ns);
		return true;
	}
	ask->error = -EBADMSG;
	bool no_cookie =
		why == ORIGIN_DROP_NO_COOKIE || why == ORIGIN_DROP_COOKIE;
	if (no_cookie && (msg[2] & FLAG_TC) != 0)
		origin_ask_cut(
			ask); /* first: it may be in no lane after this */
	origin_lane_dropped(lane, why);
	if (!lane->stream)
		return true; /* forged, maybe: the true one may still come */
	origin_lane_remove(ask);
	origin_server_failed(server, -EBADMSG, NULL);
	origin_ask_failed(ask, -EBADMSG);
	return true;
}

static int encode_signed(struct origin_ask *ask, const struct dname *key_name,
			 uint8_t *out, size_t *n)
{
	struct tsig *tsig = ask->origins->tsig;
	struct tsig_query query = {
		.id = ask->id,
		.qtype = ask->q.qtype,
		.name = ask->question,
		.name_n = ask->question_n - 4u,
		.udp_size = ORIGIN_UDP_SIZE,
	};
	struct tsig_mac *mac;

	if (ask->q.key_find == NULL)
		return -ENOKEY;
	struct dns_tsigkey *key = ask->q.key_find(ask->q.arg, key_name);
	if (key == NULL)
		return -ENOKEY;
	int rc = tsig_sign(tsig, key, &query, out, n, &mac);
	if (rc != 0) {
		tsig_key_free(key);
		return rc;
	}
	ask->mac = mac;
	return 0;
}

int origin_lane_encode(struct origin_ask *ask, uint8_t *out, size_t *n)
{
	/* One question; one additional record. */
	static const uint8_t counts[8] = { 0, 1, 0, 0, 0, 0, 0, 1 };
	/* OPT: root, type 41, size, rcode and version 0, DO, no rdata. */
	static const uint8_t opt[OPT_N] = { 0,
					    0,
					    41,
					    ORIGIN_UDP_SIZE >> 8,
					    ORIGIN_UDP_SIZE & 0xff,
					    0,
					    0,
					    0x80,
					    0,
					    0,
					    0 };
	const struct config_origin *origin = &ask->q.origins[ask->index];

	tsig_mac_free(ask->origins->tsig, ask->mac);
	ask->mac = NULL;
	if (origin->key.n > 0)
		return encode_signed(ask, &origin->key, out, n);
	out[0] = (uint8_t)(ask->id >> 8);
	out[1] = (uint8_t)ask->id;
	out[2] = 0;
	out[3] = 0;
	memcpy(out + 4, counts, sizeof(counts));
	memcpy(out + WIRE_HEADER, ask->question, ask->question_n);
	uint8_t *at = out + WIRE_HEADER + ask->question_n;
	memcpy(at, opt, sizeof(opt));
	size_t option_n = origin_guard_option(ask, at + OPT_N);
	at[OPT_N - 1] = (uint8_t)option_n;
	*n = WIRE_HEADER + ask->question_n + OPT_N + option_n;
	return 0;
}
