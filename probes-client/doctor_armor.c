/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Of 'nzctl doctor': whether AppArmor's profile of named allows what the
 * plugin needs.
 */
#include "probes-client/doctor_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "probes-client/doctor_rules.h"

#define PROFILE	      "/etc/apparmor.d/usr.sbin.named"
#define PROFILE_LOCAL "/etc/apparmor.d/local/usr.sbin.named"
#define PROFILE_DIR   "/etc/apparmor.d/"
#define LOADED	      "/sys/kernel/security/apparmor/profiles"
#define ENABLED	      "/sys/module/apparmor/parameters/enabled"
#define FILES_MAX     64u /* of a profile */
#define DEPTH_MAX     6u  /* of files that include files */
#define NEEDS_MAX     24u

/* -- files ----------------------------------------------------------------- */

struct profile {
	const char *root;
	struct doctor_need *needs;
	size_t n_needs;
	unsigned n_files;
};

static int file_take(struct profile *profile, const char *path, unsigned depth);

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX and FILES_MAX */
static void directory_take(struct profile *profile, const char *path,
			   unsigned depth)
{
	char whole[2 * DOCTOR_PATH_MAX];

	snprintf(whole, sizeof(whole), "%s%s", profile->root, path);
	DIR *dir = opendir(whole);
	while (dir != NULL && profile->n_files < FILES_MAX) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
		const struct dirent *entry = readdir(dir);
		if (entry == NULL)
			break;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(whole, sizeof(whole), "%s/%s", path, entry->d_name);
		(void)file_take(profile, whole, depth + 1);
	}
	if (dir != NULL)
		closedir(dir);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX and FILES_MAX */
static void text_take(struct profile *profile, const char *text, unsigned depth)
{
	char path[DOCTOR_PATH_MAX];

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		if (doctor_rules_include(text, n, path))
			(void)file_take(profile, path, depth + 1);
		else
			doctor_rules_line(text, n, profile->needs,
					  profile->n_needs);
		text += n + (text[n] == '\n' ? 1 : 0);
	}
}

/* Returns 0 or -errno. */
/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX and FILES_MAX */
static int file_take(struct profile *profile, const char *path, unsigned depth)
{
	if (depth > DEPTH_MAX || profile->n_files == FILES_MAX)
		return -ELOOP;
	profile->n_files++;
	char *text = malloc(DOCTOR_TEXT_MAX);
	if (text == NULL)
		return -ENOMEM;
	ssize_t n = doctor_read(profile->root, path, text, DOCTOR_TEXT_MAX);
	if (n >= 0)
		text_take(profile, text, depth);
	else if (n == -EISDIR)
		directory_take(profile, path, depth);
	free(text);
	return n >= 0 || n == -EISDIR ? 0 : (int)n;
}

/* -- what is needed -------------------------------------------------------- */

struct needs {
	size_t n;
	struct doctor_need all[NEEDS_MAX];
	char state_file[DOCTOR_PATH_MAX];
	char plugin[DOCTOR_PATH_MAX];
};

static void need_add(struct needs *needs, const char *path, const char *perms)
{
	if (needs->n == NEEDS_MAX || path[0] == '\0')
		return;
	struct doctor_need *need = &needs->all[needs->n++];
	*need = (struct doctor_need){ .path = path };
	snprintf(need->perms, sizeof(need->perms), "%s", perms);
}

static void needs_collect(const struct doctor *d, struct needs *needs)
{
	const struct config *config = d->config;

	need_add(needs, d->file, "r");
	need_add(needs, d->core, "rm");
	if (config == NULL)
		return;
	snprintf(needs->state_file, sizeof(needs->state_file), "%.*s/journal",
		 DOCTOR_PATH_MAX - 16, config->state_directory);
	need_add(needs, needs->state_file, "rw");
	need_add(needs, config->control_socket, "rw");
	for (size_t i = 0; i < config->geo.n_databases; i++)
		need_add(needs, config->geo.databases[i], "r");
}

static void needs_say(struct doctor *d, const struct needs *needs)
{
	bool all = true;

	for (size_t i = 0; i < needs->n; i++) {
		const struct doctor_need *need = &needs->all[i];
		char rule[DOCTOR_PATH_MAX + 256];
		unsigned want = (1u << strlen(need->perms)) - 1;
		if ((need->allowed & ~need->denied & want) == want)
			continue;
		all = false;
		snprintf(rule, sizeof(rule),
			 "put '%.700s %s,' into " PROFILE_LOCAL
			 " and run 'apparmor_parser -r " PROFILE "'",
			 need->path, need->perms);
		doctor_say(d, DOCTOR_FAIL, "apparmor", rule,
			   "the profile of named does not allow %s of '%s'",
			   need->perms, need->path);
	}
	if (all)
		doctor_say(d, DOCTOR_OK, "apparmor", NULL,
			   "the profile of named allows all %zu paths that "
			   "are needed",
			   needs->n);
}

/* -- is it in force? ------------------------------------------------------- */

enum force { NOT_LOADED, COMPLAINS, ENFORCED, NOT_KNOWN };

static enum force force_of(const char *text, const char *name)
{
	char line[64];

	snprintf(line, sizeof(line), "%s (enforce)", name);
	if (strstr(text, line) != NULL)
		return ENFORCED;
	snprintf(line, sizeof(line), "%s (complain)", name);
	return strstr(text, line) != NULL ? COMPLAINS : NOT_LOADED;
}

static enum force force_find(const struct doctor *d)
{
	char path[64];
	enum force force = NOT_KNOWN;
	char *text = malloc(DOCTOR_TEXT_MAX);

	if (text == NULL)
		return NOT_KNOWN;
	if (doctor_read(d->root, LOADED, text, DOCTOR_TEXT_MAX) >= 0) {
		force = force_of(text, "named");
		if (force == NOT_LOADED)
			force = force_of(text, "/usr/sbin/named");
	} else if (d->named.pid != 0 && d->root[0] == '\0') {
		snprintf(path, sizeof(path), "/proc/%d/attr/current",
			 d->named.pid);
		if (doctor_read("", path, text, DOCTOR_TEXT_MAX) > 0)
			force = force_of(text, "named");
	}
	free(text);
	return force;
}

void doctor_armor(struct doctor *d)
{
	char enabled[16];
	enum force force;

	if (doctor_read(d->root, ENABLED, enabled, sizeof(enabled)) <= 0 ||
	    enabled[0] != 'Y') {
		doctor_say(d, DOCTOR_OK, "apparmor", NULL,
			   "not in use on this machine");
		return;
	}
	force = force_find(d);
	if (force == NOT_LOADED || force == COMPLAINS) {
		doctor_say(d, DOCTOR_OK, "apparmor", NULL,
			   force == COMPLAINS
				   ? "the profile of named only complains"
				   : "no profile of named is loaded");
		return;
	}
	struct needs *needs = calloc(1, sizeof(*needs));
	if (needs == NULL) {
		doctor_say(d, DOCTOR_WARN, "apparmor", NULL, "no memory");
		return;
	}
	needs_collect(d, needs);
	struct profile profile = { d->root, needs->all, needs->n, 0 };
	int rc = file_take(&profile, PROFILE, 0);
	if (rc != 0)
		doctor_say(d, DOCTOR_WARN, "apparmor", "ask as root",
			   "'" PROFILE "' cannot be read");
	else if (force == NOT_KNOWN)
		doctor_say(d, DOCTOR_WARN, "apparmor", "ask as root",
			   "there is a profile of named, but not known "
			   "whether it is enforced");
	else
		needs_say(d, needs);
	free(needs);
}
