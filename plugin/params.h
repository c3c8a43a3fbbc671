/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * params - the text between the braces of a plugin statement:
 *
 *	config "/etc/bind/nearzone.json"; node "fra1";
 *	zones { "example.com"; "example.net"; };
 *	on-error fail; on-mismatch fail;
 *
 * named.conf's words, strings and comments.  Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#define PARAMS_ZONES_MAX 10000u
#define PARAMS_WORD_MAX	 1024u

struct params {
	char *config;	/* never NULL after a success */
	char *node;	/* never NULL */
	size_t n_zones; /* 0: all */
	char **zones;
	bool error_fails; /* a bad file at start stops named */
};

/*
 * Reads 'text' (NULL: none).  Returns 0 and fills '*params', to be freed with
 * params_free(); or -EINVAL or -ENOMEM with the reason in 'why' ('size'
 * octets), leaving nothing to free.
 */
int params_parse(const char *text, struct params *params, char *why,
		 size_t size);
void params_free(struct params *params);
