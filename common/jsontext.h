/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * jsontext - where things are in a JSON text (RFC 8259): for each value its
 * kind, its line and its place, for each member its key, decoded, and whether
 * the key was there before.  json-c keeps neither.
 *
 * Strict, and stricter than json-c: refuses text that is not UTF-8, NaN,
 * leading zeros, control characters in strings, the character U+0000 and
 * surrogates without their pair.  Whatever it accepts json-c accepts, and
 * reads in the same way.
 *
 * Pure.  Never recurses; n log n in the size of the text.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/slice.h"

#define JSONTEXT_DEPTH_MAX 16u	      /* objects and arrays in each other */
#define JSONTEXT_MAX	   (1u << 30) /* octets of text */

enum jsontext_kind {
	JSONTEXT_NULL,
	JSONTEXT_BOOL,
	JSONTEXT_INTEGER, /* no point, no exponent */
	JSONTEXT_NUMBER,  /* any other number */
	JSONTEXT_STRING,
	JSONTEXT_ARRAY,
	JSONTEXT_OBJECT,
};

/* A value.  Indices are into jsontext.nodes; 0, the root, stands for none. */
struct jsontext_node {
	enum jsontext_kind kind;
	uint32_t line;	      /* of the key, or of a value without one */
	uint32_t offset, end; /* of the value in the text */
	uint32_t key_offset;  /* of the key; without one, as 'offset' */
	uint32_t first;	      /* child */
	uint32_t next;	      /* sibling */
	uint32_t n;	      /* children */
	uint32_t same;	      /* an earlier sibling with the same key */
	uint32_t shadowed;    /* non-zero: a later sibling has the same key */
	struct slice key;     /* decoded; p NULL: an array's element or root */
};

struct jsontext {
	struct slice text; /* the caller's: must outlive this */
	struct jsontext_node *nodes;
	uint32_t n_nodes, nodes_max;
	char *decoded; /* the keys that had escapes */
};

/*
 * Reads 'text'.  Returns 0 and fills '*json', to be released with
 * jsontext_fini(); or -EINVAL (with line and words, no path, in 'err'),
 * -EFBIG (over JSONTEXT_MAX) or -ENOMEM, leaving '*json' as it was.
 */
int jsontext_init(struct slice text, struct jsontext *json, struct err *err);
void jsontext_fini(struct jsontext *json);

/* The value as it is written. */
struct slice jsontext_raw(const struct jsontext *json, uint32_t node);

/* The member of object 'node' called 'key' (the last such), or 0. */
uint32_t jsontext_member(const struct jsontext *json, uint32_t node,
			 const char *key);

/*
 * Writes 'text' into 'out' (size > 0), NUL-terminated, with control
 * characters, quotes and backslashes escaped as JSON does; cut with "..." at
 * a whole character if it is too long.  Returns the length.
 */
size_t jsontext_escape(struct slice text, char *out, size_t size);
