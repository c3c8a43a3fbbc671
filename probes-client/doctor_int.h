/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * doctor_int - what the parts of doctor share: doctor.c (the report, the
 * processes), doctor_named.c (named, the plugin and its files), doctor_host.c
 * (the machine, the side-car), doctor_armor.c (AppArmor).
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/config.h"
#include "probes-client/nzctl.h"

#define DOCTOR_PATH_MAX	  4096
#define DOCTOR_TEXT_MAX	  65536u /* octets of a file that is looked at */
#define DOCTOR_GROUPS_MAX 64u

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

/* A process, or who it would be. */
struct doctor_process {
	int pid; /* 0: none runs */
	uid_t uid;
	gid_t gid;
	size_t n_groups;
	gid_t groups[DOCTOR_GROUPS_MAX];
	uint64_t caps;	 /* effective */
	uint64_t nofile; /* soft limit of open files; 0: not known */
};

struct doctor {
	const struct nzctl_options *options;
	const char *root;	      /* "", or --root */
	char release[128];	      /* of BIND; "": not known */
	char core[DOCTOR_PATH_MAX];   /* the core for it; "": not known */
	struct json_object *status;   /* the plugin's; NULL: it is silent */
	int dial_rc;		      /* why */
	char file[DOCTOR_PATH_MAX];   /* of the configuration */
	struct config *config;	      /* NULL: there is no good one */
	struct doctor_process named;  /* or its user, without a pid */
	struct doctor_process probed; /* its pid 0: it does not run */
	char probed_node[64];	      /* "": not known */
	char probed_file[DOCTOR_PATH_MAX];
	struct json_object *checks;
	bool failed;
};

/*
 * A line of the report: what is found of 'check', and, unless all is well,
 * what to do ('advice', NULL is fine).
 */
void doctor_say(struct doctor *d, enum doctor_state state, const char *check,
		const char *advice, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * Reads a small file of the machine's below 'root' into 'out' (size > 0),
 * NUL-terminated.  Returns its length or -errno; what is more is cut.
 */
ssize_t doctor_read(const char *root, const char *path, char *out, size_t size);

/* Whether a process may reach a file and do 'want' (R_OK, W_OK, X_OK bits)
 * with it, by the mode bits. */
bool doctor_may(const struct doctor_process *who, const char *path, int want);

bool doctor_in_group(const struct doctor_process *who, gid_t gid);

/* A member of an object, or NULL; "a.b" is b of a. */
struct json_object *doctor_get(struct json_object *object, const char *path);
const char *doctor_get_text(struct json_object *object, const char *path);

/* The checks; a line each. */
void doctor_abi(struct doctor *d);
void doctor_config(struct doctor *d);
void doctor_socket(struct doctor *d);
void doctor_in_force(struct doctor *d);
void doctor_version(struct doctor *d);
void doctor_state_directory(struct doctor *d);
void doctor_geo(struct doctor *d);
void doctor_armor(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_ping(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_probed(struct doctor *d);
