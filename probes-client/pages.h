/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * pages - puts the pages of a "status" together: the plugin lists some zones
 * and hostnames in a reply, and says where the next page begins.
 *
 * Pure.  What is not there, or is not what it should be, is left alone.
 */
#include <json-c/json.h>
#include <stdbool.h>

/* Where the page after 'reply' begins: the "after" to ask for it with, still
 * the reply's; or NULL: it was the last. */
struct json_object *pages_next(struct json_object *reply);

/*
 * Appends what 'page' (a reply, which stays the caller's) lists to the lists
 * of 'reply', whose next page is now the one after 'page'.  False if it listed
 * nothing: then there is none.
 */
bool pages_add(struct json_object *reply, struct json_object *page);
