/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * config_kit - configurations from text, for the tests of common/config.  Any
 * mistake fails the test.
 */
#include <stddef.h>
#include <sys/socket.h>

#include "common/config.h"

#define ERRS_MAX 64

/* What the last good() or bad() reported. */
extern struct err errs[ERRS_MAX];
extern size_t n_errs;

/* Parses 'text', which has no errors; the caller frees the configuration. */
struct config *good(const char *text);

/* Parses 'text', which has errors, with room for 'max_errs' of them. */
void bad(const char *text, size_t max_errs);

void assert_address(const struct sockaddr_storage *address, const char *text,
		    unsigned port);
