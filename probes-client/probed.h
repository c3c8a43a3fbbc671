/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed - nearzone-probed(8), the side-car that tests servers and feeds the
 * plugin: what its parts share.
 */
#include <stdbool.h>

#ifdef PACKAGE_VERSION
#define PROBED_VERSION PACKAGE_VERSION
#else
#define PROBED_VERSION "(development)"
#endif

enum probed_exit {
	PROBED_DONE = 0,
	PROBED_REFUSED = 1, /* bad configuration; --once: not all are up */
	PROBED_USAGE = 2,
	PROBED_TROUBLE = 3, /* no memory, no loop, output not written */
};

struct probed_options {
	const char *config; /* file */
	const char *node;
	const char *socket; /* NULL: the configuration's */
	const char *view;   /* socket to show tests on; NULL: none */
	bool check, once, json, verbose;
};
