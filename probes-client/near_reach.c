/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_reach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "probes-client/near_icmp.h"
#include "probes-client/near_method.h"
#include "probes-client/near_rounds.h"

#define TICK_MS	     10u
#define MS_NS	     UINT64_C(1000000)
#define STRAGGLER_MS 2000u /* what comes later is lost */
#define AT_ONCE	     64u   /* packets in a tick */
#define DATA_MIN     24u   /* octets of struct mark */

/* What is in a packet; the rest of it is 0. */
struct mark {
	uint64_t nonce;
	uint32_t pop, packet;
	uint8_t round;
	uint8_t rest[7];
};
_Static_assert(sizeof(struct mark) == DATA_MIN, "as it is sent");

struct target {
	struct sockaddr_storage address;
	socklen_t size;
	struct near_round rounds;
	uint64_t known_ns; /* when near_pop's values were had */
	bool untold;
};

struct wire {
	uv_poll_t poll;
	struct near_reach *reach;
	int fd; /* -1: none */
	bool v6, raw;
};

struct near_reach {
	struct near_reach_setup setup;
	uv_timer_t timer;
	struct wire wire[2]; /* IPv4, IPv6 */
	unsigned int open;   /* handles of the loop */
	bool told_no_socket;
	uint64_t nonce, began_ns;
	uint64_t n_sent; /* or left out, of this round */
	uint32_t packets, size, turn;
	uint64_t round_ns;
	unsigned int round; /* which of the two is being sent */
	bool judged;	    /* the other one */
	size_t n;
	struct target *targets;
	struct near_pop *pops;
	char *ids;
};

/* -- answers --------------------------------------------------------------- */

static bool same_host(const struct sockaddr_storage *a,
		      const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, 16) == 0;
}

static void packet_take(struct near_reach *reach, const struct wire *wire,
			const struct near_try *from, struct near_packet *packet)
{
	size_t n = packet->n;
	const uint8_t *data = near_echo_data(packet->data, wire->v6, wire->raw,
					     (uint16_t)reach->nonce, &n);
	struct mark mark;

	if (data == NULL || n < sizeof(mark))
		return;
	memcpy(&mark, data, sizeof(mark));
	if (mark.nonce != reach->nonce || mark.pop >= reach->n ||
	    mark.packet >= reach->packets || mark.round > 1)
		return;
	struct target *target = &reach->targets[mark.pop];
	struct near_ping *ping = &target->rounds.ping[mark.round][mark.packet];
	if (ping->sent_ns == 0 || ping->ms >= 0.0f ||
	    !same_host(&packet->from, &target->address))
		return;
	/* elapsed since 'from->sent_ns': that of this packet is another */
	float ms = packet->ms -
		   (float)(ping->sent_ns - from->sent_ns) / (float)MS_NS;
	ping->ms = ms > 0.0f ? ms : 0.0f;
}

static void on_poll(uv_poll_t *poll, int rc, int what)
{
	struct wire *wire = poll->data;
	struct near_reach *reach = wire->reach;
	struct near_packet packet;

	(void)rc;
	(void)what;
	/* times since long enough ago, but not so long that they lose digits */
	struct near_try from = { .fd = wire->fd };
	for (unsigned int i = 0; i < AT_ONCE * 4; i++) {
		uint64_t now_ns = near_now_ns();
		from.sent_ns =
			now_ns > 8000 * MS_NS ? now_ns - 8000 * MS_NS : 1;
		if (near_receive(&from, &packet) != 0)
			return;
		packet_take(reach, wire, &from, &packet);
	}
}

/* -- sockets --------------------------------------------------------------- */

static void wire_open(struct near_reach *reach, struct wire *wire)
{
	if (wire->fd >= 0)
		return;
	int fd = near_echo_socket(wire->v6, &wire->raw);
	if (fd < 0) {
		if (!reach->told_no_socket)
			probed_log_write(reach->setup.log, PROBED_ERROR,
					 "POPs cannot be probed: no socket for "
					 "ICMP: %s",
					 strerrordesc_np(-fd));
		reach->told_no_socket = true;
		return;
	}
	if (uv_poll_init(reach->setup.loop, &wire->poll, fd) != 0) {
		close(fd);
		return;
	}
	wire->fd = fd;
	wire->poll.data = wire;
	reach->open++;
	uv_poll_start(&wire->poll, UV_READABLE, on_poll);
}

/* -- rounds ---------------------------------------------------------------- */

static void target_judge(struct near_reach *reach, size_t i, unsigned int round)
{
	struct target *target = &reach->targets[i];
	struct near_pop *pop = &reach->pops[i];
	struct near_values v;

	if (!near_round_values(target->rounds.ping[round], reach->packets, &v))
		return;
	pop->known = true;
	pop->sent = v.sent;
	pop->got = v.got;
	pop->loss_pct = v.loss_pct;
	pop->rtt_ms = v.rtt_ms;
	pop->jitter_ms = v.jitter_ms;
	target->known_ns = near_now_ns();
	target->untold = true;
}

/*
 * The round before this one is over, its stragglers too; but after a stop of
 * this process its answers may be there, and nobody has looked.
 */
static void judge(struct near_reach *reach)
{
	for (unsigned int i = 0; i < 2; i++)
		if (reach->wire[i].fd >= 0)
			on_poll(&reach->wire[i].poll, 0, UV_READABLE);
	for (size_t i = 0; i < reach->n; i++)
		target_judge(reach, i, reach->round ^ 1u);
	reach->judged = true;
	reach->setup.measured(reach->setup.arg);
}

static void round_begin(struct near_reach *reach, uint64_t now_ns)
{
	if (!reach->judged)
		judge(reach);
	reach->round ^= 1u;
	reach->judged = false;
	reach->began_ns = now_ns;
	reach->n_sent = 0;
	for (size_t i = 0; i < reach->n; i++)
		memset(reach->targets[i].rounds.ping[reach->round], 0,
		       sizeof(reach->targets[i].rounds.ping[0]));
}

/* Errors of this machine are nobody's loss; no route is. */
static bool is_loss(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH ||
	       error == ENETDOWN || error == EHOSTDOWN;
}

static void packet_send(struct near_reach *reach, uint32_t pop, uint32_t i)
{
	struct target *target = &reach->targets[pop];
	bool v6 = target->address.ss_family == AF_INET6;
	struct wire *wire = &reach->wire[v6];
	uint8_t packet[NEAR_ECHO_HEADER + 1500] = { 0 };
	struct mark mark = { .nonce = reach->nonce,
			     .pop = pop,
			     .packet = i,
			     .round = (uint8_t)reach->round };
	struct near_ping *ping = &target->rounds.ping[reach->round][i];

	wire_open(reach, wire);
	if (wire->fd < 0)
		return;
	memcpy(packet + NEAR_ECHO_HEADER, &mark, sizeof(mark));
	size_t n = near_echo_make(packet, v6, (uint16_t)reach->nonce,
				  (uint16_t)i, reach->size);
	ping->ms = -1.0f;
	ping->sent_ns = near_now_ns();
	if (sendto(wire->fd, packet, n, MSG_NOSIGNAL,
		   (struct sockaddr *)&target->address, target->size) < 0 &&
	    !is_loss(errno))
		ping->sent_ns = 0;
}

static void on_tick(uv_timer_t *timer)
{
	struct near_reach *reach = timer->data;
	uint64_t now_ns = near_now_ns();
	uint64_t total = (uint64_t)reach->n * reach->packets;
	uint64_t wait_ns = STRAGGLER_MS * MS_NS;

	if (wait_ns > reach->round_ns / 2)
		wait_ns = reach->round_ns / 2;
	if (reach->began_ns == 0 || now_ns - reach->began_ns >= reach->round_ns)
		round_begin(reach, now_ns);
	else if (!reach->judged && now_ns - reach->began_ns >= wait_ns)
		judge(reach);
	uint64_t due =
		near_round_due(total, reach->began_ns, reach->round_ns, now_ns);
	/* too late for more than goes in two ticks: left out */
	uint64_t most = AT_ONCE + total * 2 * TICK_MS * MS_NS / reach->round_ns;
	if (due - reach->n_sent > most)
		reach->n_sent = due - most;
	for (; reach->n_sent < due; reach->n_sent++)
		packet_send(reach, (uint32_t)(reach->n_sent % reach->n),
			    (uint32_t)(reach->n_sent / reach->n));
}

/* -- life ------------------------------------------------------------------ */

int near_reach_new(const struct near_reach_setup *setup,
		   struct near_reach **reachp)
{
	struct near_reach *reach = calloc(1, sizeof(*reach));

	if (reach == NULL)
		return -ENOMEM;
	reach->setup = *setup;
	for (unsigned int i = 0; i < 2; i++)
		reach->wire[i] =
			(struct wire){ .reach = reach, .fd = -1, .v6 = i != 0 };
	uv_timer_init(setup->loop, &reach->timer);
	reach->timer.data = reach;
	reach->open = 1;
	*reachp = reach;
	return 0;
}

static bool is_from(const struct config *config, const char *node)
{
	for (size_t i = 0; i < config->reach.n_from; i++) {
		const struct config_pop *pop =
			&config->pops[config->reach.from[i]];
		if (pop->probe != NULL && strcmp(pop->probe, node) == 0)
			return true;
	}
	return false;
}

static void forget(struct near_reach *reach)
{
	free(reach->targets);
	free(reach->pops);
	free(reach->ids);
	reach->targets = NULL;
	reach->pops = NULL;
	reach->ids = NULL;
	reach->n = 0;
	reach->began_ns = 0;
	reach->judged = true;
}

/* True if the POPs that have an address are those that are probed. */
static bool is_same(const struct near_reach *reach, const struct config *config)
{
	size_t n = 0;

	if (reach->packets != config->reach.packets)
		return false;
	for (size_t i = 0; i < config->n_pops; i++) {
		const struct config_pop *pop = &config->pops[i];
		if (pop->address.ss_family == 0)
			continue;
		if (n == reach->n || strcmp(reach->pops[n].id, pop->id) != 0 ||
		    !same_host(&reach->targets[n].address, &pop->address))
			return false;
		n++;
	}
	return n == reach->n;
}

static int targets_make(struct near_reach *reach, const struct config *config)
{
	size_t octets = 0;

	for (size_t i = 0; i < config->n_pops; i++)
		octets += strlen(config->pops[i].id) + 1;
	reach->targets = calloc(config->n_pops + 1, sizeof(*reach->targets));
	reach->pops = calloc(config->n_pops + 1, sizeof(*reach->pops));
	reach->ids = malloc(octets + 1);
	if (reach->targets == NULL || reach->pops == NULL ||
	    reach->ids == NULL) {
		forget(reach);
		return -ENOMEM;
	}
	char *id = reach->ids;
	for (size_t i = 0; i < config->n_pops; i++) {
		const struct config_pop *pop = &config->pops[i];
		if (pop->address.ss_family == 0)
			continue;
		struct target *target = &reach->targets[reach->n];
		size_t n = strlen(pop->id) + 1;
		memcpy(id, pop->id, n);
		reach->pops[reach->n++].id = id;
		id += n;
		target->address = pop->address;
		target->size = pop->address.ss_family == AF_INET
				       ? sizeof(struct sockaddr_in)
				       : sizeof(struct sockaddr_in6);
	}
	return 0;
}

int near_reach_use(struct near_reach *reach, const struct config *config)
{
	const struct config_reach *to = &config->reach;
	int rc = 0;

	if (!is_from(config, reach->setup.node)) {
		forget(reach);
		uv_timer_stop(&reach->timer);
		return 0;
	}
	if (!is_same(reach, config)) {
		forget(reach);
		rc = targets_make(reach, config);
		/* Otherwise what is on its way would count as lost. */
		if (rc == 0 && getrandom(&reach->nonce, sizeof(reach->nonce),
					 0) != (ssize_t)sizeof(reach->nonce)) {
			forget(reach);
			rc = -EIO;
		}
	}
	reach->packets = to->packets;
	reach->size = to->size;
	reach->round_ns = to->interval_ms * MS_NS;
	if (rc != 0 || reach->n == 0) {
		uv_timer_stop(&reach->timer);
		return rc;
	}
	if (uv_is_active((uv_handle_t *)&reach->timer) == 0)
		uv_timer_start(&reach->timer, on_tick, 0, TICK_MS);
	return 0;
}

const struct near_pop *near_reach_pops(const struct near_reach *reach,
				       size_t *np)
{
	*np = reach->n;
	return reach->pops;
}

const struct near_pop *near_reach_tell(struct near_reach *reach,
				       uint64_t *age_ms)
{
	for (size_t i = 0; i < reach->n; i++) {
		uint32_t at = (uint32_t)((reach->turn + i) % reach->n);
		if (!reach->targets[at].untold)
			continue;
		reach->targets[at].untold = false;
		reach->turn = at;
		*age_ms = (near_now_ns() - reach->targets[at].known_ns) / MS_NS;
		return &reach->pops[at];
	}
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	struct near_reach *reach =
		handle->type == UV_TIMER ? handle->data
					 : ((struct wire *)handle->data)->reach;

	if (--reach->open > 0)
		return;
	for (unsigned int i = 0; i < 2; i++)
		if (reach->wire[i].fd >= 0)
			close(reach->wire[i].fd);
	free(reach);
}

void near_reach_close(struct near_reach *reach)
{
	if (reach == NULL)
		return;
	forget(reach);
	for (unsigned int i = 0; i < 2; i++)
		if (reach->wire[i].fd >= 0)
			uv_close((uv_handle_t *)&reach->wire[i].poll,
				 on_closed);
	uv_close((uv_handle_t *)&reach->timer, on_closed);
}
