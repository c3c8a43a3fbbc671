/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nzctl - what its parts share: the command line as read, and how it ends.
 * One thread; a command runs once and the process ends.
 */
#include <stdbool.h>
#include <stdint.h>

/* How the process ends; a contract with scripts. */
enum nzctl_exit {
	NZCTL_DONE = 0,
	NZCTL_REFUSED = 1, /* refused, faulty, or not found */
	NZCTL_USAGE = 2,
	NZCTL_TROUBLE = 3, /* no talk with the plugin, or output lost */
};

/* Where the side-car shows its tests. */
#define NZCTL_VIEW_DEFAULT "/run/nearzone-probed/view.sock"

struct nzctl_options {
	const char *socket;
	unsigned timeout_ms;
	bool json;
	const char *zone;		   /* --zone, or NULL */
	const char *subtree;		   /* --subtree, or NULL */
	const char *file;		   /* --file, or NULL */
	uint64_t max;			   /* --max, or 0 */
	bool renew;			   /* --renew */
	uint64_t count;			   /* --count, or 0 */
	const char *client;		   /* --client, or NULL */
	const char *reason;		   /* --reason, or NULL */
	const char *pop;		   /* --pop, or NULL */
	uint64_t for_s;			   /* --for, or 0 */
	const char *at;			   /* --at, or NULL */
	const char *config;		   /* --config, or NULL */
	const char *log;		   /* --log, or NULL */
	const char *before;		   /* --before, or NULL */
	const char *latency;		   /* --latency, or NULL */
	const char *root, *named, *plugin; /* of doctor, or NULL */
	const char *view;		   /* --view, or NULL */
	const char *command;
	int argc; /* what follows the command */
	char **argv;
};

typedef enum nzctl_exit (*nzctl_command)(const struct nzctl_options *options);
