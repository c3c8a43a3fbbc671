/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * fresh - knows at once when a zone changed at its origins, and drops what
 * the change makes wrong, and no more.
 *
 * A hint (NOTIFY, which the side-car hears) or the zone's "poll" has every
 * origin of the zone asked for its serial.  A newer one is followed by an IXFR
 * from the serial that is known, then by a walk over the stored answers, which
 * drops those that the difference touches (cacheproxy/delta.h).  Where there
 * is no difference to be had, the whole zone goes.
 *
 * Two serials are kept.  'seen' is the newest that the cache was brought to;
 * 'serial' the oldest that any stored answer can be of.  They differ while
 * some origin lags behind another: then its answers may be old, and when it has
 * caught up, the difference is fetched and dropped again.  An origin that does
 * not answer is not waited for.
 *
 * Everything is the engine's, on its thread; struct zone_state has a pointer
 * for it that nobody else reads.
 */
#include <stdbool.h>

#include <dns/tsig.h>

#include "plugin/process.h"

struct engine;
struct control_client;
struct json_object;

/* 0 or -ENOMEM; before the thread runs.  free: after it has ended. */
int fresh_new(struct engine *e);
void fresh_free(struct engine *e);

/* Ends what is under way; before the origins are closed. */
void fresh_stop(struct engine *e);

/*
 * 's' is the running configuration; its zones are taken over in slices.  What
 * is asked of a zone before its turn counts as asked before the serial was
 * known.
 */
void fresh_configured(struct engine *e, struct snapshot *s);

/* A few times a second. */
void fresh_tick(struct engine *e);

/*
 * A question of a client is about to be sent to the zone's origins; 'keys' are
 * those of its view, or NULL.
 */
void fresh_asked(struct engine *e, struct zone *zone, dns_tsig_keyring_t *keys);

/* True if some origin of the zone is to be asked with a TSIG key. */
bool fresh_wants_key(const struct config_zone *zone);

/*
 * Engine: true while it is being found out which version of the zone origins
 * have: what is asked meanwhile may be dropped once that is known.
 */
bool fresh_unsettled(const struct engine *e, const struct zone *zone);

/*
 * For answers that outlive named, to be saved with them: what the oldest stored
 * answer of the zone may be of, as FRESH_SERIAL | serial; 0: not known.  Read
 * it before the zone's identity in the cache.  Any thread.
 */
#define FRESH_SERIAL (UINT64_C(1) << 32)
uint64_t fresh_serial(const struct zone *zone);

/*
 * Engine: answers come back that were saved with this serial.  If the zone is
 * watched the difference is fetched, or the whole zone dropped.
 */
void fresh_restored(struct engine *e, struct zone *zone, uint64_t saved);

/* The serial that the zone's answers were brought to; false: not known. */
bool fresh_seen(const struct zone *zone, uint32_t *serial);

/* At the last look some origin's SOA was signed. */
bool fresh_signed(const struct zone *zone);

/*
 * The key for a transfer from 'origin', a reference of the caller's; NULL if it
 * needs none.  0 or -ENOKEY.
 */
int fresh_key_for(const struct zone *zone, const struct config_origin *origin,
		  struct dns_tsigkey **keyp);

/* Has the zone's origins asked for their serial, soon. */
void fresh_hint(struct engine *e, struct zone *zone);

/* The command "notify". */
void fresh_handle(struct engine *e, struct control_client *client,
		  struct json_object *request);

/* What is known of a zone, as a JSON object; NULL: it is not watched. */
struct json_object *fresh_status(const struct zone *zone);
