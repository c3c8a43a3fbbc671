/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * doctor_rules - what a line of an AppArmor profile allows.  Reads as much of
 * the language as rules for files have (apparmor.d(5)); what it does not
 * understand allows nothing.
 *
 * Pure, and bounded: patterns may come from anybody.
 */
#include <stdbool.h>
#include <stddef.h>

#define DOCTOR_RULES_PATH 4096

/* A path that is needed, and which of its permissions are allowed. */
struct doctor_need {
	const char *path;
	char perms[4];		  /* of "rwm" */
	unsigned allowed, denied; /* bits, in the order of 'perms' */
};

/* Takes one line of a profile. */
void doctor_rules_line(const char *line, size_t n, struct doctor_need *needs,
		       size_t n_needs);

/* The file that a line includes, into 'out' (DOCTOR_RULES_PATH octets). */
bool doctor_rules_include(const char *line, size_t n, char *out);
