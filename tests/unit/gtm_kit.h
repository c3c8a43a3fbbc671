/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * gtm_kit - small configurations made by hand, for the tests of gtm/.
 *
 * Lists of words are separated by single blanks.  Services and servers are
 * added in the order of their ids, before what refers to them.  Any mistake
 * fails the test.
 */
#include "gtm/decide.h"

struct kit; /* a configuration, and what it owns */

struct kit *kit_new(void);
void kit_free(struct kit *kit);
struct config *kit_config(struct kit *kit);

struct config_service *kit_service(struct kit *kit, const char *id,
				   enum config_probe probe);

/* 'addresses': of either family. */
struct config_server *kit_server(struct kit *kit, const char *id,
				 uint32_t weight, const char *addresses);

/* Servers of the tiers; "" for none.  'service' may be NULL. */
struct config_hostname *kit_host(struct kit *kit, const char *name,
				 const char *service, const char *primary,
				 const char *backup, const char *hidden);

struct sockaddr_storage kit_address(const char *text);
struct gtm_world *kit_world(struct kit *kit, const struct gtm_world *old);

/* A measurement; it must be taken. */
struct kit_value {
	enum gtm_state state;
	uint32_t metric;
	uint64_t now_ms;
};
void kit_feed(struct gtm_world *world, const char *server, const char *address,
	      const char *service, struct kit_value value);

/* "198.51.100.10": of a candidate. */
const char *kit_text(const struct gtm_host *host, enum gtm_family family,
		     uint32_t i, char text[static 64]);
