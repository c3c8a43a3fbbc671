/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * origin_one - one origin by UDP, in a thread, and who asks it: 'rig' and
 * 'fake' of the one test program that includes this.  rig_start() comes first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/origin_fake.h"
#include "tests/unit/origin_rig.h"

static struct rig rig;
static struct fake *fake;

/* 'cookie': 0 for a server without. */
static inline void serve(uint8_t cookie, bool tcp)
{
	fake = fake_start(FAKE_GOOD, tcp, 0);
	fake_set_cookie(fake, cookie);
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
}

static inline void stop(void)
{
	assert_int_equal(fake_complaints(fake), 0);
	rig_stop(&rig);
	fake_stop(fake);
}

static inline struct origin_stats stats(void)
{
	return rig_stats(&rig, 0, CONFIG_UDP);
}

static inline struct server *server(void)
{
	struct link *at = rig.origins->servers.next;

	return LINK_OWNER(at, struct server, link); /* the first: by UDP */
}

/* A name of many letters: one without any capital does not happen. */
static inline struct outcome *once(void)
{
	char name[64];

	snprintf(name, sizeof(name), "q%zu.%s.example", rig.asked,
		 "of-quite-a-lot-of-letters-so-that-case-shows");
	uv_update_time(&rig.loop);
	assert_int_equal(rig_ask_type(&rig, name, 1), 0);
	rig_run(&rig, 8000);
	return &rig.outcome[rig.asked - 1];
}

/* The true answer, after 'tries' questions. */
static inline void ask_true(uint8_t tries)
{
	struct outcome *outcome = once();

	assert_int_equal(outcome->status, 0);
	assert_int_equal(outcome->rcode, 0);
	assert_int_equal(outcome->tries, tries);
}
