/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nzctl_list - the names that "populate" is given, on the command line or in a
 * file of any length: read in batches that fit a request, and what the plugin
 * says of them summed up.
 */
#include "probes-client/nzctl.h"

struct json_object;
struct nzctl_list;

/* NZCTL_DONE, or why not, which has been said. */
enum nzctl_exit nzctl_list_new(const struct nzctl_options *options,
			       struct nzctl_list **listp);
void nzctl_list_free(struct nzctl_list *list);

/*
 * The next names, as the request's "names" (the caller's), or NULL: no more.
 * Lines that say nothing are told on the standard error and left out.
 */
struct json_object *nzctl_list_batch(struct nzctl_list *list);

/* Takes the reply to the last batch: sums, and notes on names in it. */
void nzctl_list_reply(struct nzctl_list *list, struct json_object *reply);

/*
 * Shows the sums; 'whole': of all batches.  False: something was not had, or
 * not understood, or the file could not be read.
 */
bool nzctl_list_end(struct nzctl_list *list, bool whole);
