/* SPDX-License-Identifier: MPL-2.0 */
#include "common/schema_int.h"

static const char *const rcodes[] = { "NOERROR",  "FORMERR", "SERVFAIL",
				      "NXDOMAIN", "NOTIMP",  "REFUSED",
				      NULL };
/* The order of config_service.c's numbers. */
static const char *const types[] = { "A",   "AAAA", "NS",  "SOA", "CNAME",
				     "PTR", "MX",   "TXT", "SRV", NULL };
static const char *const transports[] = { "udp", "tcp", NULL };

static const struct schema_item status = { .type = SCHEMA_SPAN,
					   .min = 100,
					   .max = 599 };
static const struct schema_item header = TEXT(1, 1024);
static const struct schema_item rcode = WORDS(rcodes);
static const struct schema_item answer = TEXT(1, 255);

static const struct schema_key expect_keys[] = {
	[EXPECT_STATUS] = { .name = "status",
			    .about = "The status codes that a good server "
				     "answers with: 200, \"200-299\", or a "
				     "list; without it, any from 200 to 399",
			    .is = { .type = SCHEMA_LIST,
				    .single = true,
				    .item = &status,
				    .min = 1,
				    .max = CONFIG_STATUSES_MAX } },
	[EXPECT_BODY] = { .name = "body",
			  .about = "Text that must be in a good answer",
			  .is = TEXT(1, 1024) },
	[EXPECT_REGEX] = { .name = "regex",
			   .about = "Extended regular expression (POSIX) that "
				    "must match in its first 4 KiB",
			   .is = TEXT(1, 256) },
	[EXPECT_HEADERS] = { .name = "headers",
			     .about = "Header fields that it must have, "
				      "\"Name\" or \"Name: what is in it\"",
			     .is = SET(header, 1, 8) },
	[EXPECT_SIZE_MIN] = { .name = "size-min",
			      .about = "Octets that it has at least",
			      .is = { .type = SCHEMA_SIZE,
				      .min = 1,
				      .max = CONFIG_BODY_MAX } },
	[EXPECT_SIZE_MAX] = { .name = "size-max",
			      .about = "Octets that it has at most",
			      .is = { .type = SCHEMA_SIZE,
				      .min = 0,
				      .max = CONFIG_BODY_MAX } },
	[EXPECT_SHA256] = { .name = "sha256",
			    .about = "SHA-256 of it, 64 hexadecimal digits",
			    .is = TEXT(64, 64) },
	[EXPECT_RCODE] = { .name = "rcode",
			   .about = "The response codes of a good name "
				    "server; without it, NOERROR",
			   .is = { .type = SCHEMA_LIST,
				   .single = true,
				   .unique = true,
				   .item = &rcode,
				   .min = 1,
				   .max = 6 } },
	[EXPECT_ANSWERS] = { .name = "answers",
			     .about = "Data of records that must be in its "
				      "answer",
			     .is = { .type = SCHEMA_LIST,
				     .single = true,
				     .unique = true,
				     .item = &answer,
				     .min = 1,
				     .max = 8 } },
	[EXPECT_VALID] = { .name = "valid-for",
			   .about = "How long its certificate must be good "
				    "for, from the test on",
			   .is = SECONDS(0, 366 * DAY_MS) },
};
const struct schema_block schema_expect = { SCHEMA_EXPECT, KEYS(expect_keys) };

static const struct schema_key damping_keys[] = {
	[DAMPING_HALF_LIFE] = { .name = "half-life",
				.about = "Time in which half of the penalty "
					 "is forgotten",
				.is = DURATION(1000, DAY_MS),
				.required = true },
	[DAMPING_SUPPRESS] = { .name = "suppress",
			       .about = "The penalty from which on it is held "
					"down; each failure adds 1",
			       .is = NUMBER(1, 100),
			       PRESET(3) },
	[DAMPING_REUSE] = { .name = "reuse",
			    .about = "The penalty below which it is let go",
			    .is = NUMBER(0, 100),
			    PRESET(1) },
	[DAMPING_LONGEST] = { .name = "longest",
			      .about = "How long it is held down at most",
			      .is = DURATION(1000, 7 * DAY_MS),
			      PRESET(3600000) },
};
const struct schema_block schema_damping = { SCHEMA_DAMPING,
					     KEYS(damping_keys) };

static const struct schema_key question_keys[] = {
	[QUESTION_NAME] = { .name = "name",
			    .about = "The name that is asked for",
			    .is = ONE(SCHEMA_DNAME),
			    .required = true },
	[QUESTION_TYPE] = { .name = "type",
			    .about = "The type of record",
			    .is = WORDS(types),
			    PRESET(0) },
	[QUESTION_TRANSPORT] = { .name = "transport",
				 .about = "How it is asked",
				 .is = WORDS(transports),
				 PRESET(0) },
};
const struct schema_block schema_question = { SCHEMA_QUESTION,
					      KEYS(question_keys) };
