/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/unit/origin_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dns/tsig.h>
#include <dst/dst.h>
#include <isc/mem.h>

static struct dns_tsigkey *key_find(void *arg, const struct dname *name)
{
	struct outcome *outcome = arg;
	dns_tsigkey_t *key = NULL;

	(void)name;
	if (outcome->rig->key != NULL)
		dns_tsigkey_attach(outcome->rig->key, &key);
	return key;
}

static void on_closed(void *arg)
{
	struct rig *rig = arg;

	rig->closed = true;
}

static void done(void *arg, const struct origin_reply *reply)
{
	struct outcome *outcome = arg;
	struct rig *rig = outcome->rig;

	outcome->calls++;
	outcome->status = reply->status;
	outcome->tries = reply->tries;
	outcome->rcode = reply->rcode;
	outcome->rtt_us = reply->rtt_us;
	if (reply->status == 0) {
		assert_non_null(reply->msg);
		outcome->n = reply->n;
		outcome->flags = reply->msg[2];
		outcome->who = (size_t)(reply->origin - rig->origin);
		assert_true(outcome->who < rig->n_origins);
	} else {
		assert_null(reply->msg);
	}
	rig->ended++;
	if (rig->ask_in_done && rig->asked < RIG_ASKS)
		(void)rig_ask(rig);
	if (rig->close_in_done)
		origins_close(rig->origins, on_closed, rig);
}

static void changed(void *arg, const struct origin_stats *stats,
		    const char *why)
{
	struct rig *rig = arg;

	if (stats->up) {
		assert_null(why);
		rig->ups++;
		return;
	}
	rig->downs++;
	snprintf(rig->why, sizeof(rig->why), "%s", why);
}

void rig_start(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	uv_timer_init(&rig->loop, &rig->limit);
	rig->limit.data = rig;
	isc_mem_create(&rig->mctx);
	assert_int_equal(dst_lib_init(rig->mctx, NULL), 0);
	assert_int_equal(origins_new(&rig->loop, rig->mctx, 42, &rig->origins),
			 0);
	origins_watch(rig->origins, changed, rig);
}

void rig_stop(struct rig *rig)
{
	if (!rig->closed)
		origins_close(rig->origins, on_closed, rig);
	uv_close((uv_handle_t *)&rig->limit, NULL);
	assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
	assert_true(rig->closed);
	assert_int_equal(uv_loop_close(&rig->loop), 0);
	for (size_t i = 0; i < rig->asked; i++)
		assert_int_equal(rig->outcome[i].calls, 1);
	assert_int_equal(rig->asked, rig->ended);
	if (rig->key != NULL)
		dns_tsigkey_detach(&rig->key);
	dst_lib_destroy();
	isc_mem_destroy(&rig->mctx); /* stops if anything is left */
}

struct config_origin *rig_origin(struct rig *rig, uint16_t port,
				 enum config_transport transport)
{
	struct config_origin *origin = &rig->origin[rig->n_origins++];
	struct sockaddr_in *in = (void *)&origin->address;

	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	origin->transport = transport;
	origin->timeout_ms = 300;
	return origin;
}

int rig_ask_type(struct rig *rig, const char *name, uint16_t qtype)
{
	struct outcome *outcome = &rig->outcome[rig->asked];
	struct dname *dname = &rig->name[rig->asked];
	size_t ended = rig->ended;

	assert_int_equal(dname_parse(slice_of(name), dname), 0);
	*outcome = (struct outcome){ .rig = rig };
	int rc = origin_ask(rig->origins, &(struct origin_question){
						  .name = dname,
						  .qtype = qtype,
						  .origins = rig->origin,
						  .n_origins = rig->n_origins,
						  .key_find = key_find,
						  .done = done,
						  .arg = outcome,
					  });
	assert_int_equal(ended, rig->ended); /* never from inside */
	if (rc == 0)
		rig->asked++;
	return rc;
}

int rig_ask(struct rig *rig)
{
	char name[40];

	snprintf(name, sizeof(name), "q%zu.example", rig->asked);
	return rig_ask_type(rig, name, 1);
}

static void on_limit(uv_timer_t *timer)
{
	struct rig *rig = timer->data;

	rig->late = true;
}

void rig_run(struct rig *rig, uint64_t ms)
{
	rig->late = false;
	uv_timer_start(&rig->limit, on_limit, ms, 0);
	while (rig->ended < rig->asked && !rig->late)
		uv_run(&rig->loop, UV_RUN_ONCE);
	uv_timer_stop(&rig->limit);
	assert_false(rig->late);
}

void rig_sleep(struct rig *rig, uint64_t ms)
{
	rig->late = false;
	uv_update_time(&rig->loop);
	uv_timer_start(&rig->limit, on_limit, ms, 0);
	while (!rig->late)
		uv_run(&rig->loop, UV_RUN_ONCE);
}

struct outcome *rig_once(struct rig *rig)
{
	uv_update_time(&rig->loop);
	assert_int_equal(rig_ask(rig), 0);
	rig_run(rig, 8000);
	return &rig->outcome[rig->asked - 1];
}

struct search {
	const struct config_origin *origin;
	enum config_transport transport;
	struct origin_stats found;
};

static bool look(void *arg, const struct origin_stats *stats)
{
	struct search *search = arg;
	const struct sockaddr_in *a = (const void *)&stats->address;
	const struct sockaddr_in *b = (const void *)&search->origin->address;

	if (a->sin_port == b->sin_port && stats->transport == search->transport)
		search->found = *stats;
	return true;
}

struct origin_stats rig_stats(struct rig *rig, size_t i,
			      enum config_transport transport)
{
	struct search search = { &rig->origin[i], transport, { .up = true } };

	(void)origins_page(rig->origins, 0, look, &search);
	return search.found;
}
