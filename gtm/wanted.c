/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/wanted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 16u
/* The low octet of a word; the prefix is above it. */
#define TAKEN	  UINT64_C(0x40)
#define V6	  UINT64_C(0x80)
#define BITS_MASK UINT64_C(0x3f)
/* By a reader that fills the place in: no prefix has 0 bits. */
#define BUSY TAKEN

struct place {
	_Atomic uint64_t word;	    /* 0: nothing */
	_Atomic uint64_t client[2]; /* who asked: its address, as it is */
	_Atomic uint8_t bits;
};

struct gtm_wanted {
	uint8_t bits_v4, bits_v6;
	unsigned int shift; /* of a hash, to get a place */
	size_t room;
	size_t at; /* where the next taking begins */
	struct place place[];
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
		calloc(1, sizeof(*w) + room * sizeof(w->place[0]));
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

static void fill(struct place *place, const struct gtm_client *client)
{
	uint64_t half[2];

	memcpy(half, client->address, sizeof(half));
	for (unsigned int i = 0; i < 2; i++)
		atomic_store_explicit(&place->client[i], half[i],
				      memory_order_relaxed);
	atomic_store_explicit(&place->bits, client->bits, memory_order_relaxed);
}

void gtm_wanted_note(struct gtm_wanted *w, const struct gtm_client *client,
		     uint8_t bits)
{
	uint64_t word = word_of(w, client, bits);
	struct place *place =
		&w->place[word * UINT64_C(0x9e3779b97f4a7c15) >> w->shift];
	uint64_t there = load(&place->word);

	if ((there & ~TAKEN) == word)
		return;
	if (there == BUSY || (there != 0 && (there & TAKEN) == 0))
		return; /* another one, not taken yet */
	if (!atomic_compare_exchange_strong_explicit(&place->word, &there, BUSY,
						     memory_order_acquire,
						     memory_order_relaxed))
		return;
	fill(place, client);
	atomic_store_explicit(&place->word, word, memory_order_release);
}

static struct gtm_client group_of(uint64_t word)
{
	struct gtm_client client = { .v6 = (word & V6) != 0,
				     .bits = (uint8_t)(word & BITS_MASK) };

	for (unsigned int i = 0; i < 7; i++)
		client.address[i] = (uint8_t)(word >> (56 - 8 * i));
	return client;
}

static struct gtm_client client_of(const struct place *place, bool v6)
{
	struct gtm_client client = { .v6 = v6 };
	uint64_t half[2];

	for (unsigned int i = 0; i < 2; i++)
		half[i] = load(&place->client[i]);
	memcpy(client.address, half, sizeof(half));
	client.bits = atomic_load_explicit(&place->bits, memory_order_relaxed);
	return client;
}

size_t gtm_wanted_take(struct gtm_wanted *w, struct gtm_client *groups,
		       struct gtm_client *clients, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < w->room && n < max; i++) {
		struct place *place = &w->place[w->at];
		uint64_t word = atomic_load_explicit(&place->word,
						     memory_order_acquire);
		w->at = (w->at + 1) & (w->room - 1);
		if (word == 0 || (word & TAKEN) != 0)
			continue;
		/* Nobody changes a place that is there and not taken. */
		groups[n] = group_of(word);
		clients[n++] = client_of(place, (word & V6) != 0);
		atomic_store_explicit(&place->word, word | TAKEN,
				      memory_order_release);
	}
	return n;
}

void gtm_wanted_forget(struct gtm_wanted *w)
{
	for (size_t i = 0; i < w->room; i++) {
		uint64_t word = load(&w->place[i].word);
		if ((word & TAKEN) != 0 && word != BUSY)
			(void)atomic_compare_exchange_strong_explicit(
				&w->place[i].word, &word, 0,
				memory_order_relaxed, memory_order_relaxed);
	}
}
