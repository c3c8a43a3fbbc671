/* SPDX-License-Identifier: MPL-2.0 */
/* What is known of clients: in place of databases. */
#include "sim.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"

/* Reads them in order, as a source. */
struct walk {
	const struct sim *sim;
	unsigned int at;
	bool v6;
};

static void walk_begin(void *arg, bool v6)
{
	struct walk *walk = arg;

	walk->at = 0;
	walk->v6 = v6;
}

static int walk_next(void *arg, struct gtm_span *span)
{
	struct walk *walk = arg;

	while (walk->at < walk->sim->n_places) {
		const struct place *place = &walk->sim->place[walk->at++];
		if (place->v6 != walk->v6)
			continue;
		*span = place->span;
		return 1;
	}
	return 0;
}

static int place_order(const void *va, const void *vb)
{
	const struct place *a = va, *b = vb;

	if (a->span.hi != b->span.hi)
		return a->span.hi < b->span.hi ? -1 : 1;
	return (a->span.lo > b->span.lo) - (a->span.lo < b->span.lo);
}

bool places_put(struct sim *sim)
{
	struct walk walk = { .sim = sim };
	struct gtm_source source = { &walk, walk_begin, walk_next };
	struct gtm_clients *map = NULL;
	int rc = gtm_clients_new(sim->config, &source, sim->n_places > 0, NULL,
				 &map);

	if (rc != 0)
		return complain(sim, "no map of clients: %d", rc);
	gtm_clients_free(sim->clients);
	sim->clients = map;
	return true;
}

static bool at_read(char **word, struct gtm_facts *facts)
{
	double latitude, longitude;

	if (!number_read(word[0], &latitude) ||
	    !number_read(word[1], &longitude))
		return false;
	facts->latitude = (float)latitude;
	facts->longitude = (float)longitude;
	facts->located = true;
	return true;
}

static bool country_read(const char *text, struct gtm_facts *facts)
{
	if (text == NULL || strlen(text) != 2)
		return false;
	facts->country = (uint16_t)(text[0] << 8 | text[1]);
	facts->continent = gtm_continent_of(facts->country);
	return true;
}

static bool facts_read(char **word, struct gtm_facts *facts)
{
	unsigned long as;

	while (*word != NULL) {
		bool good = false;
		char *what = *word++;
		if (strcmp(what, "at") == 0) {
			good = at_read(word, facts);
			word += good ? 2 : 0;
		} else if (strcmp(what, "in") == 0) {
			good = country_read(*word, facts);
			word += good ? 1 : 0;
		} else if (strcmp(what, "as") == 0) {
			good = whole_read(*word, &as);
			facts->as = good ? (uint32_t)as : 0;
			word += good ? 1 : 0;
		}
		if (!good)
			return false;
	}
	return true;
}

bool do_place(struct sim *sim)
{
	struct place *place = &sim->place[sim->n_places];
	struct gtm_client client = { 0 };

	if (sim->n_places == PLACES_MAX)
		return complain(sim, "place: too many");
	*place = (struct place){ 0 };
	if (!client_read(sim->word[1], &client) || sim->word[2] == NULL ||
	    !facts_read(sim->word + 2, &place->span.facts))
		return complain(sim, "place: not understood");
	for (unsigned int i = 0; i < 8; i++) {
		place->span.hi = place->span.hi << 8 | client.address[i];
		place->span.lo = place->span.lo << 8 | client.address[8 + i];
	}
	place->span.bits = client.bits;
	place->v6 = client.v6;
	sim->n_places++;
	qsort(sim->place, sim->n_places, sizeof(*place), place_order);
	return places_put(sim);
}
