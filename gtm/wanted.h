/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * wanted - the groups of clients whose latencies are not known and should be
 * measured: noted on the query path, taken by the engine.
 *
 * A table of 64-bit atomic words, each a prefix and its length, with one place
 * for each, and who asked first: what is there stays until it was taken, and
 * what would have the
 * same place comes another time.  So it is bounded, has no lock, and one that
 * is noted already costs a look.  What was taken is remembered too, so that it
 * is not noted again while it is being measured, until gtm_wanted_forget().
 *
 * Pure.  gtm_wanted_note() is for any thread, the others for one.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "gtm/client.h"

#define GTM_WANTED_BITS_V6 56u /* so that prefix and length are one word */
#define GTM_WANTED_MAX	   (1u << 20)

struct gtm_wanted;

/*
 * Makes a list of 'room' places, a power of two (16..GTM_WANTED_MAX).  Prefixes
 * are of 'bits_v4' (1..32) and 'bits_v6' (1..GTM_WANTED_BITS_V6) bits.  Returns
 * 0 and sets '*wantedp', which gtm_wanted_free() releases; or -EINVAL, -ENOMEM.
 */
int gtm_wanted_new(size_t room, uint8_t bits_v4, uint8_t bits_v6,
		   struct gtm_wanted **wantedp);
void gtm_wanted_free(struct gtm_wanted *w); /* NULL is fine */

/*
 * Notes the client's group.  'bits': of the group that was found and whose
 * values are old; 0: there is none, and the list's own length is taken, or the
 * client's if that is less.  Of IPv6 more than GTM_WANTED_BITS_V6 are cut to
 * it.
 */
void gtm_wanted_note(struct gtm_wanted *w, const struct gtm_client *client,
		     uint8_t bits);

/*
 * Takes up to 'max' groups that were not taken yet, each goes on where the one
 * before has ended.  'clients' are those that asked, one of each group. Returns
 * how many; less than 'max' means that there are no more.
 */
size_t gtm_wanted_take(struct gtm_wanted *w, struct gtm_client *groups,
		       struct gtm_client *clients, size_t max);

/*
 * Forgets what was taken: whatever is still not known may be noted again.  To
 * be called when measurements had time to arrive.
 */
void gtm_wanted_forget(struct gtm_wanted *w);
