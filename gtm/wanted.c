/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/wanted.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_MIN 16u
/* The low octet of a word; the prefix is above it. */
#define TAKEN	  UINT64_C(0x40)
#define V6	  UINT64_C(0x80)
#define BITS_MASK UINT64_C(0x3f)

struct gtm_wanted {
	uint8_t bits_v4, bits_v6;
	unsigned int shift; /* of a hash, to get a place */
	size_t room;
	size_t at;		 /* where the next taking begins */
	_Atomic uint64_t word[]; /* 0: nothing */
};

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

int gtm_wanted_new(size_t room, uint8_t bits_v4, uint8_t bits_v6,
		   struct gtm_wanted **wantedp)
{
	if (room < ROOM_MIN || room > GTM_WANTED_MAX ||
	    (room & (room - 1)) != 0 || bits_v4 < 1 || bits_v4 > 32 ||
	    bits_v6 < 1 || bits_v6 > GTM_WANTED_BITS_V6)
		return -EINVAL;

	struct gtm_wanted *w =
		calloc(1, sizeof(*w) + room * sizeof(w->word[0]));
	if (w == NULL)
		return -ENOMEM;
	w->bits_v4 = bits_v4;
	w->bits_v6 = bits_v6;
	w->room = room;
	w->shift = 64;
	for (; room > 1; room /= 2)
		w->shift--;
	*wantedp = w;
	return 0;
}

void gtm_wanted_free(struct gtm_wanted *w)
{
	free(w);
}

static uint64_t word_of(const struct gtm_wanted *w,
			const struct gtm_client *client, uint8_t bits)
{
	unsigned int most = client->v6 ? GTM_WANTED_BITS_V6 : 32;
	unsigned int n = client->v6 ? w->bits_v6 : w->bits_v4;
	unsigned int octets = client->v6 ? 7 : 4;
	uint64_t word = 0;

	n = bits != 0 ? bits : n;
	n = n < client->bits ? n : client->bits;
	n = n < most ? n : most;
	for (unsigned int i = 0; i < octets; i++)
		word |= (uint64_t)client->address[i] << (56 - 8 * i);
	word &= ~(UINT64_MAX >> n);
	return word | (client->v6 ? V6 : 0) | n;
}

void gtm_wanted_note(struct gtm_wanted *w, const struct gtm_client *client,
		     uint8_t bits)
{
	uint64_t word = word_of(w, client, bits);
	_Atomic uint64_t *place =
		&w->word[word * UINT64_C(0x9e3779b97f4a7c15) >> w->shift];
	uint64_t there = load(place);

	if ((there & ~TAKEN) == word)
		return;
	if (there != 0 && (there & TAKEN) == 0)
		return; /* another one, not taken yet */
	(void)atomic_compare_exchange_strong_explicit(place, &there, word,
						      memory_order_relaxed,
						      memory_order_relaxed);
}

static struct gtm_client client_of(uint64_t word)
{
	struct gtm_client client = { .v6 = (word & V6) != 0,
				     .bits = (uint8_t)(word & BITS_MASK) };

	for (unsigned int i = 0; i < 7; i++)
		client.address[i] = (uint8_t)(word >> (56 - 8 * i));
	return client;
}

size_t gtm_wanted_take(struct gtm_wanted *w, struct gtm_client *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < w->room && n < max; i++) {
		_Atomic uint64_t *place = &w->word[w->at];
		uint64_t word = load(place);
		w->at = (w->at + 1) & (w->room - 1);
		if (word == 0 || (word & TAKEN) != 0)
			continue;
		/* Nobody changes a word that is there and not taken. */
		atomic_store_explicit(place, word | TAKEN,
				      memory_order_relaxed);
		out[n++] = client_of(word);
	}
	return n;
}

void gtm_wanted_forget(struct gtm_wanted *w)
{
	for (size_t i = 0; i < w->room; i++) {
		uint64_t word = load(&w->word[i]);
		if ((word & TAKEN) != 0)
			(void)atomic_compare_exchange_strong_explicit(
				&w->word[i], &word, 0, memory_order_relaxed,
				memory_order_relaxed);
	}
}
