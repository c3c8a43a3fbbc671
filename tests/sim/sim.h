/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * sim - what the parts of the simulator share: sim.c (files, questions),
 * sim_world.c (what changes the world) and sim_place.c (who clients are).
 */
#include <stdbool.h>

#include "gtm/clients.h"
#include "gtm/decide.h"

#define WORDS_MAX     64
#define LINE_MAX      1024
#define FILE_MAX      (1u << 20)
#define KEPT_MAX      32
#define PLACES_MAX    64
#define LIST_MAX      64
#define START_MS      1000000u /* the slots' clock at "at 0" */
#define SIGMAS	      5.0
#define TEXT_MAX      ((size_t)GTM_ANSWERS_MAX * 48)
#define CANDIDATE_MAX DNAME_TEXT_MAX /* octets: an address, or an alias */
#define SPLIT_STEP    UINT64_C(0x9e3779b97f4a7c15)

struct kept {
	char word[64];
	char text[TEXT_MAX];
};

/* Addresses, and what is known of them. */
struct place {
	struct gtm_span span;
	bool v6;
};

struct sim {
	const char *file;
	unsigned long line;
	char *text, *rest; /* the file; what is not read yet */
	char buffer[LINE_MAX];
	char *word[WORDS_MAX + 1]; /* of the line, NULL after the last */
	struct config *config;
	struct gtm_world *world;
	struct gtm_persist *persist;
	struct gtm_clients *clients;
	struct place place[PLACES_MAX];
	unsigned int n_places;
	uint64_t now_ms;
	uint64_t random;
	unsigned int n_failed, n_asked, n_kept;
	struct kept kept[KEPT_MAX];
};

/* Says what is wrong with the line; returns false. */
bool complain(struct sim *sim, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Index of 'word' in 'names', or -1. */
int name_find(const char *word, const char *const *names, unsigned int n);

/* Goes on to the next line; false at the end. */
bool line_next(struct sim *sim, char **line);

/* Makes the map of clients, of the configuration and all places. */
bool places_put(struct sim *sim);

/* The hostname, or NULL. */
const struct gtm_host *host_find(const struct sim *sim, const char *name);

/* Directives that change the world, and "count"; false: complained. */
bool do_config(struct sim *sim);
bool do_at(struct sim *sim);
bool do_row(struct sim *sim);
bool do_drain(struct sim *sim);
bool do_undrain(struct sim *sim);
bool do_force(struct sim *sim);
bool do_release(struct sim *sim);
bool do_value(struct sim *sim);
bool do_near(struct sim *sim);
bool do_place(struct sim *sim);
bool do_count(struct sim *sim);
