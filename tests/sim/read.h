/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * read - words of a scenario as values.  All return false for a word that is
 * NULL or is none such.
 */
#include "gtm/decide.h"

bool number_read(const char *text, double *number);	  /* 12, 12.5, -0.3 */
bool whole_read(const char *text, unsigned long *number); /* 0..10^9 */
bool address_read(const char *text, struct sockaddr_storage *address);

/* "ADDRESS/BITS", or "ADDRESS" for all of its bits. */
bool client_read(const char *text, struct gtm_client *client);
