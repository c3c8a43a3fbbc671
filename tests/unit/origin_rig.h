/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * origin_rig - a loop, a struct origins and the questions of one test.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "cacheproxy/origin.h"
#include "cacheproxy/origin_int.h"

#define RIG_ASKS 4096u

/* How one question ended. */
struct outcome {
	struct rig *rig;
	unsigned calls;
	int status;
	size_t n;
	uint8_t tries, rcode, flags; /* flags: of the third octet */
	size_t who;		     /* index of the origin that answered */
	uint32_t rtt_us;
};

struct rig {
	uv_loop_t loop;
	uv_timer_t limit;
	bool late, closed;
	struct isc_mem *mctx;
	struct origins *origins;
	struct config_origin origin[4];
	size_t n_origins;
	struct dns_tsigkey *key; /* what key_find gives; NULL: none */
	struct dname name[RIG_ASKS];
	struct outcome outcome[RIG_ASKS];
	size_t asked, ended;
	bool close_in_done, ask_in_done;
	unsigned downs, ups;
	char why[80]; /* of the last 'down' */
};

void rig_start(struct rig *rig);
/* Closes, and checks that every question ended exactly once. */
void rig_stop(struct rig *rig);
/* Adds an origin on 127.0.0.1. */
struct config_origin *rig_origin(struct rig *rig, uint16_t port,
				 enum config_transport transport);
/* Asks for name number asked (q0.example, q1.example ...): what it returned. */
int rig_ask(struct rig *rig);
int rig_ask_type(struct rig *rig, const char *name, uint16_t qtype);
/* Runs until all have ended; fails after 'ms'. */
void rig_run(struct rig *rig, uint64_t ms);
void rig_sleep(struct rig *rig, uint64_t ms); /* runs the loop for so long */
/* Asks once and runs. */
struct outcome *rig_once(struct rig *rig);
/* The figures of origin 'i', by 'transport'. */
struct origin_stats rig_stats(struct rig *rig, size_t i,
			      enum config_transport transport);
