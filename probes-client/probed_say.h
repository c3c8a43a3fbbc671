/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_say - dialogues: what is said to a server of each kind that libcurl
 * is not asked to test, and what its answers mean.  A kind is an entry of a
 * table: what to say first, and a step that looks at what has come.
 *
 * Pure: what comes and goes is probed_wire's business, and randomness is an
 * argument.  What comes is hostile: at most PROBED_SAY_IN octets are taken.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes-client/probed_target.h"

#define PROBED_SAY_IN  8192u
#define PROBED_SAY_OUT 4096u

enum probed_say_act {
	PROBED_SAY_MORE, /* send 'out'; then more is to come */
	PROBED_SAY_TLS,	 /* send 'out'; then TLS begins */
	PROBED_SAY_DONE, /* good; 'out' is a farewell */
	PROBED_SAY_FAIL, /* 'error' and 'detail' say why */
};

struct probed_say {
	const struct config_service *service;
	const char *host; /* its name, or its address */
	uint64_t seed;
	bool secure; /* TLS has begun */
	unsigned int stage;
	size_t n_in, used;
	size_t n_out; /* whoever sends it sets it to 0 */
	enum probe_error error;
	char detail[PROBED_DETAIL_MAX];
	uint8_t in[PROBED_SAY_IN];
	uint8_t out[PROBED_SAY_OUT];
};

/* True if a service of that kind begins with TLS. */
bool probed_say_is_tls(enum config_probe probe);

void probed_say_init(struct probed_say *say,
		     const struct config_service *service, const char *host,
		     uint64_t seed);

/* The connection is there; of TLS, when its handshake is done. */
enum probed_say_act probed_say_open(struct probed_say *say);

/* Octets have come. */
enum probed_say_act probed_say_hear(struct probed_say *say,
				    const uint8_t *octets, size_t n);

/* No more will come. */
enum probed_say_act probed_say_end(struct probed_say *say);
