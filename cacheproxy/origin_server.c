/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/origin_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_BUSY_MS 1000u /* while there are connections or sockets */
#define SWEEP_IDLE_MS 60000u
#define REFUSED_US    5000u /* a refusal looks this much slower than it is */
#define PATIENCE_MIN  200000u
#define PATIENCE_MAX  60000000u

/* -- finding */

static uint64_t mix(uint64_t hash, const void *p, size_t n)
{
	const uint8_t *octets = p;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ octets[i]) * 0x100000001b3u;
	return hash;
}

static uint64_t mix_address(uint64_t hash, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET) {
		hash = mix(hash, &in->sin_port, sizeof(in->sin_port));
		return mix(hash, &in->sin_addr, sizeof(in->sin_addr));
	}
	hash = mix(hash, &in6->sin6_port, sizeof(in6->sin6_port));
	return mix(hash, &in6->sin6_addr, sizeof(in6->sin6_addr));
}

static bool same_address(const struct sockaddr_storage *a,
			 const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port &&
		       a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	if (a->ss_family != AF_INET6)
		return true;
	return a6->sin6_port == b6->sin6_port &&
	       a6->sin6_scope_id == b6->sin6_scope_id &&
	       memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) ==
		       0;
}

static bool same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool is_it(const struct server *server,
		  const struct config_origin *origin,
		  enum config_transport transport)
{
	if (server->transport != transport ||
	    !same_address(&server->address, &origin->address) ||
	    !same_address(&server->source, &origin->source))
		return false;
	return transport != CONFIG_TLS ||
	       (same_text(server->tls_name, origin->tls_name) &&
		same_text(server->tls_ca, origin->tls_ca));
}

static size_t bucket(const struct sockaddr_storage *address,
		     enum config_transport transport)
{
	uint64_t hash = mix_address(0xcbf29ce484222325u, address);

	hash = (hash ^ (unsigned)transport) * 0x100000001b3u;
	return (hash ^ hash >> 32) % ORIGIN_BUCKETS;
}

static void free_server(struct server *server)
{
	origin_tls_forget(server);
	free(server->tls_name);
	free(server->tls_ca);
	free(server);
}

static struct server *new_server(struct origins *origins,
				 const struct config_origin *origin,
				 enum config_transport transport)
{
	struct server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->origins = origins;
	server->address = origin->address;
	server->source = origin->source;
	server->transport = transport;
	link_init(&server->link);
	link_init(&server->conns);
	link_init(&server->socks);
	if (transport != CONFIG_TLS)
		return server;
	if (origin->tls_name != NULL)
		server->tls_name = strdup(origin->tls_name);
	if (origin->tls_ca != NULL)
		server->tls_ca = strdup(origin->tls_ca);
	if ((origin->tls_name != NULL && server->tls_name == NULL) ||
	    (origin->tls_ca != NULL && server->tls_ca == NULL)) {
		free_server(server);
		return NULL;
	}
	return server;
}

static void need_sweep(struct origins *origins, uint64_t interval_ms)
{
	uint64_t due_ms = uv_now(origins->loop) + interval_ms;

	if (origins->sweep_ms != 0 && origins->sweep_ms <= due_ms)
		return;
	origins->sweep_ms = due_ms;
	origin_timer_need(origins, due_ms);
}

static uint64_t sweep_busy_ms(const struct origins *origins)
{
	uint64_t half = origins->tuning.idle_ms / 2 + 1;

	return half < SWEEP_BUSY_MS ? half : SWEEP_BUSY_MS;
}

struct server *origin_server_find(struct origins *origins,
				  const struct config_origin *origin,
				  enum config_transport transport)
{
	struct server **head =
		&origins->table[bucket(&origin->address, transport)];
	struct server *server = *head;

	while (server != NULL && !is_it(server, origin, transport))
		server = server->chain;
	if (server == NULL) {
		server = new_server(origins, origin, transport);
		if (server == NULL)
			return NULL;
		server->chain = *head;
		*head = server;
		link_append(&origins->servers, &server->link);
		server->number = ++origins->last_number;
		origins->n_servers++;
	}
	server->used_ms = uv_now(origins->loop);
	need_sweep(origins, sweep_busy_ms(origins));
	return server;
}

/* -- choosing */

static uint64_t next_random(struct origins *origins)
{
	/* splitmix64: only decides when to measure again. */
	uint64_t z = origins->prng += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* After its back-off a server gets one question to prove itself. */
static bool is_ready(const struct server *server, uint64_t now_ms)
{
	return server->fails == 0 ||
	       (now_ms >= server->due_ms && server->in_flight == 0);
}

static bool is_better(const struct server *a, const struct server *b)
{
	if (b == NULL)
		return true;
	if ((a->measured_ms != 0) != (b->measured_ms != 0))
		return a->measured_ms != 0;
	return a->srtt_us < b->srtt_us;
}

static bool wants_measuring(const struct server *server, uint64_t now_ms)
{
	const struct origin_tuning *tuning = &server->origins->tuning;

	return server->in_flight == 0 &&
	       (server->measured_ms == 0 ||
		now_ms - server->measured_ms >= tuning->remeasure_ms);
}

struct choice {
	struct server *best, *due, *old;
	int best_i, due_i, old_i;
};

static void consider(struct choice *choice, struct server *server, int i,
		     uint64_t now_ms)
{
	if (!is_ready(server, now_ms)) {
		if (choice->due == NULL ||
		    server->due_ms < choice->due->due_ms) {
			choice->due = server;
			choice->due_i = i;
		}
		return;
	}
	if (choice->old == NULL && wants_measuring(server, now_ms)) {
		choice->old = server;
		choice->old_i = i;
	}
	if (is_better(server, choice->best)) {
		choice->best = server;
		choice->best_i = i;
	}
}

int origin_server_choose(const struct origin_ask *ask, struct server **serverp)
{
	struct origins *origins = ask->origins;
	uint64_t now_ms = uv_now(origins->loop);
	struct choice choice = { .best_i = -1, .due_i = -1, .old_i = -1 };

	for (size_t i = 0; i < ask->q.n_origins; i++) {
		const struct config_origin *origin = &ask->q.origins[i];
		if ((ask->tried >> i & 1) != 0)
			continue;
		struct server *server =
			origin_server_find(origins, origin, origin->transport);
		if (server != NULL)
			consider(&choice, server, (int)i, now_ms);
	}
	if (choice.best == NULL) {
		*serverp = choice.due;
		return choice.due_i;
	}
	if (choice.old != NULL && choice.old != choice.best &&
	    next_random(origins) % origins->tuning.explore_1_in == 0) {
		*serverp = choice.old;
		return choice.old_i;
	}
	*serverp = choice.best;
	return choice.best_i;
}

/* -- what became of it */

void origin_server_stats(const struct server *server,
			 struct origin_stats *stats)
{
	*stats = (struct origin_stats){
		.address = server->address,
		.transport = server->transport,
		.up = server->fails == 0,
		.srtt_us = server->srtt_us,
		.connections = server->n_conns + server->n_socks,
		.in_flight = server->in_flight,
		.sent = server->sent,
		.answered = server->answered,
		.timeouts = server->timeouts,
		.failures = server->failures,
		.bad = server->bad,
	};
	memcpy(stats->dropped, server->dropped, sizeof(stats->dropped));
}

static void tell(const struct server *server, const char *why)
{
	struct origins *origins = server->origins;
	struct origin_stats stats;

	if (origins->changed == NULL || origins->closing)
		return;
	origin_server_stats(server, &stats);
	origins->changed(origins->changed_arg, &stats, why);
}

void origin_server_failed(struct server *server, int rc, const char *why)
{
	const struct origin_tuning *tuning = &server->origins->tuning;
	uint64_t now_ms = uv_now(server->origins->loop);
	char text[64];

	server->failures++;
	if (now_ms < server->due_ms)
		return; /* the same trouble: counted already */
	uint64_t wait_ms = tuning->backoff_max_ms;
	if (server->fails < 16 && tuning->backoff_ms << server->fails < wait_ms)
		wait_ms = tuning->backoff_ms << server->fails;
	server->due_ms = now_ms + wait_ms;
	if (server->fails++ > 0)
		return;
	if (why == NULL && rc == -EBADMSG)
		why = "bad answer";
	if (why == NULL)
		why = uv_strerror_r(rc, text, sizeof(text));
	tell(server, why);
}

void origin_server_answered(struct server *server, uint32_t rtt_us,
			    bool refused)
{
	bool was_down = server->fails > 0;

	server->answered++;
	server->fails = 0;
	server->due_ms = 0;
	if (refused)
		rtt_us = rtt_us * 2 + REFUSED_US;
	/* RFC 6298 section 2: alpha 1/8, beta 1/4. */
	if (server->measured_ms == 0) {
		server->srtt_us = rtt_us;
		server->rttvar_us = rtt_us / 2;
	} else {
		uint32_t srtt = server->srtt_us;
		uint32_t diff = srtt > rtt_us ? srtt - rtt_us : rtt_us - srtt;
		server->rttvar_us =
			(uint32_t)(((uint64_t)server->rttvar_us * 3 + diff) /
				   4);
		server->srtt_us = (uint32_t)(((uint64_t)srtt * 7 + rtt_us) / 8);
	}
	if (server->srtt_us == 0)
		server->srtt_us = 1;
	server->measured_ms = uv_now(server->origins->loop) | 1;
	if (was_down)
		tell(server, NULL);
}

void origin_server_dropped(struct server *server, enum origin_drop why)
{
	struct origins *origins = server->origins;
	uint64_t now_ms = uv_now(origins->loop) | 1;
	struct origin_stats stats;

	server->bad++;
	server->dropped[why]++;
	if (origins->dropped == NULL || origins->closing ||
	    (server->told_ms[why] != 0 &&
	     now_ms - server->told_ms[why] < origins->tuning.drop_tell_ms))
		return;
	server->told_ms[why] = now_ms;
	origin_server_stats(server, &stats);
	origins->dropped(origins->dropped_arg, &stats, why);
}

uint64_t origin_server_patience(const struct server *server)
{
	uint64_t us = server->srtt_us + 4 * (uint64_t)server->rttvar_us;

	if (server->measured_ms == 0)
		return PATIENCE_MAX;
	return us < PATIENCE_MIN ? PATIENCE_MIN : us;
}

/* -- housekeeping */

static void sweep_conns(struct server *server, uint64_t now_ms)
{
	uint64_t idle_ms = server->origins->tuning.idle_ms;

	for (struct link *at = server->conns.next, *next; at != &server->conns;
	     at = next) {
		struct conn *conn = LINK_OWNER(at, struct conn, link);
		next = at->next;
		if (conn->lane.n == 0 && now_ms - conn->lane.used_ms >= idle_ms)
			origin_tcp_close(conn);
	}
}

static void sweep_socks(struct server *server, uint64_t now_ms)
{
	const struct origin_tuning *tuning = &server->origins->tuning;

	for (struct link *at = server->socks.next, *next; at != &server->socks;
	     at = next) {
		struct sock *sock = LINK_OWNER(at, struct sock, link);
		next = at->next;
		if (sock->lane.n > 0)
			continue;
		if (sock->lane.draining ||
		    now_ms - sock->born_ms >= tuning->socket_ms ||
		    now_ms - sock->lane.used_ms >= tuning->idle_ms)
			origin_udp_close(sock);
	}
}

static void forget(struct server *server)
{
	struct origins *origins = server->origins;
	struct server **at =
		&origins->table[bucket(&server->address, server->transport)];

	while (*at != server)
		at = &(*at)->chain;
	*at = server->chain;
	origins->n_servers--;
	link_remove(&server->link);
	free_server(server);
}

void origin_server_sweep(struct origins *origins)
{
	uint64_t now_ms = uv_now(origins->loop);
	bool busy = false;

	origins->sweep_ms = 0;
	for (struct link *at = origins->servers.next, *next;
	     at != &origins->servers; at = next) {
		struct server *server = LINK_OWNER(at, struct server, link);
		next = at->next;
		sweep_conns(server, now_ms);
		sweep_socks(server, now_ms);
		if (server->n_conns + server->n_socks + server->n_closing > 0)
			busy = true;
		else if (now_ms - server->used_ms >= origins->tuning.forget_ms)
			forget(server);
	}
	if (busy)
		need_sweep(origins, sweep_busy_ms(origins));
	else if (!link_empty(&origins->servers))
		need_sweep(origins, origins->tuning.forget_ms < SWEEP_IDLE_MS
					    ? origins->tuning.forget_ms
					    : SWEEP_IDLE_MS);
}

void origin_servers_close(struct origins *origins)
{
	for (struct link *at = origins->servers.next; at != &origins->servers;
	     at = at->next) {
		struct server *server = LINK_OWNER(at, struct server, link);
		while (!link_empty(&server->conns))
			origin_tcp_close(LINK_OWNER(server->conns.next,
						    struct conn, link));
		while (!link_empty(&server->socks))
			origin_udp_close(LINK_OWNER(server->socks.next,
						    struct sock, link));
	}
}

void origin_servers_free(struct origins *origins)
{
	while (!link_empty(&origins->servers)) {
		struct server *server =
			LINK_OWNER(origins->servers.next, struct server, link);
		link_remove(&server->link);
		free_server(server);
	}
}
