/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * rows - what a side-car sends: one test a row, an array of server, address,
 * service, Unix time, "up" or "down", metric, error (nearzone-probed(8)).
 *
 * Includes no BIND header, so that a test can run it alone.
 */
#include <stdbool.h>

#include "gtm/world.h"

struct json_object;

/*
 * Reads a row at the time 'wall_s' (Unix, seconds).  False: it is none, and
 * '*out' is undefined.  Numbers may still be NaN or out of range: that is
 * gtm_world_feed()'s to say.  The slices point into 'row'.
 */
bool rows_read(struct json_object *row, double wall_s, struct gtm_row *out);
