/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * clients - the client map: what is known of a client without measuring: where
 * it is, by databases, and which of the configuration's rules holds for it.
 *
 * All that is compiled into one structure for a longest-prefix match.  It is a
 * trie whose leaves are pushed down: 16 bits at once, then 8 at a time.  A node
 * has a bit for each of its 256 children that differs from the one before, and
 * for every 8 of them how many came before these: so a step is two octets of
 * the node, one of a table that counts bits, and the child.  (In the spirit of
 * poptrie, Asai and Ohara, SIGCOMM 2015, which has 6 bits a step and counts in
 * 64 bits at once: fewer nodes need less here, as IPv6 is deep.)  Clients of
 * whom the same is known share a place.
 *
 * Which rule holds: that of the longest prefix; else that of the client's AS,
 * its country, its continent; else that of 0.0.0.0/0 or ::/0.
 *
 * Pure.  A map is immutable: any thread may look clients up, without a lock.
 * To make one may take seconds.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/err.h"
#include "gtm/client.h"

/* A point on a sphere of radius 1. */
struct gtm_vector {
	float x, y, z;
};

/* What is known of a client.  All 0 is nothing, but for 'rule'. */
struct gtm_place {
	struct gtm_vector at; /* if located */
	float latitude, longitude;
	uint32_t as;
	uint32_t rule;	   /* index into config->clients, or CONFIG_NONE */
	uint16_t country;  /* "DE": 'D' << 8 | 'E' */
	uint8_t continent; /* enum config_continent */
	bool located;
};

/* What a source says of addresses. */
struct gtm_facts {
	float latitude, longitude;
	uint32_t as;
	uint16_t country;
	uint8_t continent;
	bool located;
};

/*
 * Addresses that begin alike: the first 'bits' of hi and lo, which are 0
 * behind.  IPv4: the upper half of 'hi'.
 */
struct gtm_span {
	uint64_t hi, lo;
	uint8_t bits;
	struct gtm_facts facts;
};

/* Facts about addresses, read once in order. */
struct gtm_source {
	void *arg;
	/* Back to the beginning of the IPv4 or IPv6 addresses. */
	void (*begin)(void *arg, bool v6);
	/* 1 and the next, behind the one before; 0 at the end; or -errno. */
	int (*next)(void *arg, struct gtm_span *span);
};

/* Called every now and then in long work; false: to be given up. */
struct gtm_pace {
	bool (*step)(void *arg);
	void *arg;
};

static inline bool gtm_pace_step(const struct gtm_pace *pace)
{
	return pace == NULL || pace->step(pace->arg);
}

struct gtm_clients;

struct gtm_clients_size {
	uint64_t places, nodes;
	uint64_t leaves; /* of the nodes */
	uint64_t bytes;
};

/*
 * Makes the map of the configuration's rules and of 'n' sources; of two that
 * know a fact the first counts.  Neither is needed afterwards.  Returns 0 and
 * sets '*mapp'; or -ENOMEM; -EFBIG: more than a map can hold; -ECANCELED;
 * -EBADMSG: a source is not in order; or what a source said.
 */
int gtm_clients_new(const struct config *config,
		    const struct gtm_source *sources, size_t n,
		    const struct gtm_pace *pace, struct gtm_clients **mapp);
void gtm_clients_free(struct gtm_clients *map); /* NULL is fine */

/*
 * What is known of the client; never NULL.  '*scope' is the number of bits that
 * this depends on (RFC 7871 section 7.2.1): whoever shares them has the same
 * place.  A client whose prefix is shorter has the place of the prefix's first
 * address, and its own length as scope.
 */
const struct gtm_place *gtm_clients_find(const struct gtm_clients *map,
					 const struct gtm_client *client,
					 uint8_t *scope);

void gtm_clients_measure(const struct gtm_clients *map,
			 struct gtm_clients_size *size);

/* -- distances ------------------------------------------------------------ */

/* The continent of a country, or CONFIG_NO_CONTINENT. */
uint8_t gtm_continent_of(uint16_t country);

/* The point at so many degrees. */
struct gtm_vector gtm_vector_of(double latitude, double longitude);

/*
 * Estimates the round trip between two points, in milliseconds: the length of
 * the great circle between them at 4/9 of the speed of light, there and back.
 * Light in fibre has 2/3 of it, and cables are half as long again as the
 * way that they cover: Katz-Bassett et al., "Towards IP geolocation using
 * delay and topology measurements", IMC 2006, found that 4/9 bounds what is
 * measured better than 2/3.  No trigonometry: the angle is a square root and a
 * polynomial (Abramowitz and Stegun 4.4.45), off by less than 3 km.
 */
float gtm_vector_ms(const struct gtm_vector *a, const struct gtm_vector *b);

/* The same from a place that is located to a POP. */
static inline float gtm_place_ms(const struct gtm_place *place,
				 const struct gtm_vector *pop)
{
	return gtm_vector_ms(&place->at, pop);
}
