/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * schema_int - what the tables of the schema are written with: schema.c (the
 * root, and what is the process's), schema_zones.c, schema_traffic.c.
 */
#include "common/config.h"
#include "common/schema.h"

#define KEYS(table) .keys = (table), .n_keys = sizeof(table) / sizeof(*(table))
#define DAY_MS	    INT64_C(86400000)
#define WEEK_MS	    (7 * DAY_MS)
#define DURATION(a, b)                                                         \
	{                                                                      \
		.type = SCHEMA_DURATION, .step = 1, .min = (a), .max = (b)     \
	}
/* Kept in whole seconds: times to live, and what is added to them. */
#define SECONDS(a, b)                                                          \
	{                                                                      \
		.type = SCHEMA_DURATION, .step = 1000, .min = (a), .max = (b)  \
	}
#define INTEGER(a, b)                                                          \
	{                                                                      \
		.type = SCHEMA_INTEGER, .min = (a), .max = (b)                 \
	}
#define NUMBER(a, b)                                                           \
	{                                                                      \
		.type = SCHEMA_NUMBER, .min = (a), .max = (b)                  \
	}
#define TEXT(a, b)                                                             \
	{                                                                      \
		.type = SCHEMA_TEXT, .min = (a), .max = (b)                    \
	}
#define ONE(kind)                                                              \
	{                                                                      \
		.type = (kind)                                                 \
	}
#define BLOCK(b)                                                               \
	{                                                                      \
		.type = SCHEMA_BLOCK, .block = &(b)                            \
	}
#define WORDS(w)                                                               \
	{                                                                      \
		.type = SCHEMA_WORD, .words = (w)                              \
	}
#define MAP(kind, b, n)                                                        \
	{                                                                      \
		.type = SCHEMA_MAP, .named = (kind), .block = &(b), .max = (n) \
	}
#define VALUES(kind, what, n)                                                  \
	{                                                                      \
		.type = SCHEMA_MAP, .named = (kind), .item = &(what),          \
		.max = (n)                                                     \
	}
#define LIST(what, a, b)                                                       \
	{                                                                      \
		.type = SCHEMA_LIST, .item = &(what), .min = (a), .max = (b)   \
	}
#define SET(what, a, b)                                                        \
	{                                                                      \
		.type = SCHEMA_LIST, .unique = true, .item = &(what),          \
		.min = (a), .max = (b)                                         \
	}
#define PRESET(n)   .preset = true, .fallback = (n)
#define PRESET_S(s) .preset = true, .fallback_text = (s)

extern const struct schema_item schema_address, schema_own_address,
	schema_dname;
extern const struct schema_block schema_expect, schema_damping, schema_question;
extern const struct schema_block schema_zone, schema_service, schema_pop,
	schema_hostname, schema_domain, schema_second, schema_geo,
	schema_clients, schema_load, schema_snmp, schema_latency, schema_reach;
