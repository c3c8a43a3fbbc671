/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Lines of an AppArmor profile.  A rule that names a path as it is, allows it;
 * nothing allows more than is asked about.
 */
#include "probes-client/doctor_rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct doctor_need needs[] = {
		{ .path = "/var/lib/bind/nearzone/journal", .perms = "rw" },
		{ .path = "/etc/bind/nearzone.json", .perms = "r" },
		{ .path = "/usr/lib/x86_64-linux-gnu/bind/core.so",
		  .perms = "rm" },
	};
	size_t n = sizeof(needs) / sizeof(needs[0]);
	char path[DOCTOR_RULES_PATH];
	const char *text = (const char *)data, *end = text + size;

	if (size > 8192)
		return 0;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t line = (size_t)((stop != NULL ? stop : end) - text);
		if (doctor_rules_include(text, line, path))
			check(path[0] == '/' && strlen(path) < sizeof(path));
		else
			doctor_rules_line(text, line, needs, n);
		text += line + 1;
	}
	for (size_t i = 0; i < n; i++)
		check(((needs[i].allowed | needs[i].denied) >>
		       strlen(needs[i].perms)) == 0);
	return 0;
}
