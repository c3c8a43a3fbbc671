/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Of 'nzctl doctor': named, the plugin in it, its files.
 */
#include "probes-client/doctor_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"

#ifndef DOCTOR_PLUGIN
#define DOCTOR_PLUGIN "/usr/lib/bind/nearzone.so"
#endif
#define NAMED_DEFAULT "/usr/sbin/named"
#define PROGRAM_MAX   (32u << 20) /* octets of named's file that are read */
#define FINDINGS_MAX  20u
#define GEO_OLD_DAYS  45
#define ROOM_MIN      (UINT64_C(64) << 20)

/* -- the release ----------------------------------------------------------- */

/* "9.18.49-1~deb12u3-Debian" out of "libisc-9.18.49-1~deb12u3-Debian.so" */
static bool release_take(const char *text, size_t n, char *out, size_t size)
{
	static const char head[] = "libisc-";
	const char *end = text + n;

	for (const char *at = text; at < end; at++) {
		at = memchr(at, head[0], (size_t)(end - at));
		if (at == NULL || (size_t)(end - at) <= sizeof(head))
			return false;
		if (memcmp(at, head, sizeof(head) - 1) != 0)
			continue;
		const char *from = at + sizeof(head) - 1;
		size_t k = 0;
		while (from + k + 3 < end && from[k] > ' ' && from[k] < 0x7f &&
		       from[k] != '/' && memcmp(from + k, ".so", 3) != 0)
			k++;
		if (from + k + 3 >= end || k == 0 || k >= size ||
		    memcmp(from + k, ".so", 3) != 0)
			continue;
		memcpy(out, from, k);
		out[k] = '\0';
		return true;
	}
	return false;
}

/* By the library that the installed named asks the loader for. */
static bool installed_release(const char *program, char *out, size_t size)
{
	bool found = false;
	struct stat st;
	int fd = open(program, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	size_t max = fstat(fd, &st) == 0 && st.st_size > 0 &&
				     st.st_size < (off_t)PROGRAM_MAX
			     ? (size_t)st.st_size
			     : 0;
	char *text = malloc(max + 1);
	if (text != NULL) {
		ssize_t n = read(fd, text, max);
		found = n > 0 && release_take(text, (size_t)n, out, size);
	}
	free(text);
	close(fd);
	return found;
}

/* What named has loaded, by its memory map. */
struct mapped {
	bool readable, stub, core, replaced;
	char release[128];
	char stub_file[DOCTOR_PATH_MAX];
};

static void map_take(const char *line, struct mapped *mapped)
{
	const char *path = strchr(line, '/');

	if (path == NULL)
		return;
	bool stub = strstr(path, "/nearzone.so") != NULL;
	bool core = strstr(path, "/core.so") != NULL &&
		    strstr(path, "/nearzone/") != NULL;
	if (mapped->release[0] == '\0')
		(void)release_take(path, strlen(path), mapped->release,
				   sizeof(mapped->release));
	if ((stub || core) && strstr(path, " (deleted)") != NULL)
		mapped->replaced = true;
	if (stub && !mapped->stub)
		snprintf(mapped->stub_file, sizeof(mapped->stub_file), "%.*s",
			 (int)strcspn(path, " \n"), path);
	mapped->stub = mapped->stub || stub;
	mapped->core = mapped->core || core;
}

static void map_read(int pid, struct mapped *mapped)
{
	char path[64], line[DOCTOR_PATH_MAX];

	memset(mapped, 0, sizeof(*mapped));
	if (pid == 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		mapped->readable = true;
		map_take(line, mapped);
	}
	fclose(f);
}

/* The core that the stub looks for: beside itself. */
static void core_path(struct doctor *d, const char *stub)
{
	const char *slash = strrchr(stub, '/');
	int dir = slash != NULL ? (int)(slash - stub) : 1;

	if (snprintf(d->core, sizeof(d->core), "%.*s/nearzone/%s/core.so", dir,
		     slash != NULL ? stub : ".",
		     d->release) >= (int)sizeof(d->core))
		d->core[0] = '\0';
}

static void loaded_say(struct doctor *d, const struct mapped *mapped)
{
	if (!mapped->stub)
		doctor_say(d, DOCTOR_FAIL, "plugin",
			   "put the plugin statement into named.conf and "
			   "restart named (nearzone(8))",
			   "named (pid %d, BIND %s) has not loaded the plugin",
			   d->named.pid, d->release);
	else if (!mapped->core)
		doctor_say(d, DOCTOR_FAIL, "plugin",
			   "restart named, and read its log for INACTIVE",
			   "named (pid %d, BIND %s) runs the plugin without "
			   "its core",
			   d->named.pid, d->release);
	else if (d->status == NULL)
		doctor_say(d, DOCTOR_FAIL, "plugin",
			   "see the line of the socket; is it that named's?",
			   "loaded in named (pid %d, BIND %s), but does not "
			   "answer",
			   d->named.pid, d->release);
	else if (mapped->replaced)
		doctor_say(d, DOCTOR_WARN, "plugin",
			   "restart named to run the new one",
			   "named (pid %d) runs files of the plugin that have "
			   "been replaced since",
			   d->named.pid);
	else
		doctor_say(d, DOCTOR_OK, "plugin", NULL,
			   "loaded in named (pid %d, BIND %s)", d->named.pid,
			   d->release);
}

/* named that runs, and the one that would after a restart. */
static void release_find(struct doctor *d, const char *program,
			 const struct mapped *mapped)
{
	char installed[sizeof(d->release)] = "";

	(void)installed_release(program, installed, sizeof(installed));
	if (mapped->release[0] != '\0' && installed[0] != '\0' &&
	    strcmp(mapped->release, installed) != 0)
		doctor_say(d, DOCTOR_WARN, "upgrade",
			   "restart named; till then this is about the "
			   "installed one",
			   "named runs BIND %s, but %s is installed",
			   mapped->release, installed);
	memcpy(d->release, installed[0] != '\0' ? installed : mapped->release,
	       sizeof(d->release));
}

void doctor_abi(struct doctor *d)
{
	const struct nzctl_options *o = d->options;
	const char *program = o->named != NULL ? o->named : NAMED_DEFAULT;
	struct mapped mapped;
	char text[128];

	map_read(d->named.pid, &mapped);
	release_find(d, program, &mapped);
	const char *stub = o->plugin != NULL		 ? o->plugin
			   : mapped.stub_file[0] != '\0' ? mapped.stub_file
							 : DOCTOR_PLUGIN;
	if (d->release[0] == '\0') {
		doctor_say(d, DOCTOR_FAIL, "abi",
			   "install bind9, or say where named is (--named)",
			   "no named at '%s'", program);
		return;
	}
	core_path(d, stub);
	if (access(stub, R_OK) != 0)
		doctor_say(d, DOCTOR_FAIL, "abi",
			   "install Nearzone, or say where nearzone.so is "
			   "(--plugin)",
			   "'%s': %s", stub,
			   strerror_r(errno, text, sizeof(text)));
	else if (access(d->core, R_OK) != 0)
		doctor_say(d, DOCTOR_FAIL, "abi",
			   "install the build of Nearzone for this release; "
			   "till then the plugin is INACTIVE",
			   "no core for BIND %s: '%s': %s", d->release, d->core,
			   strerror_r(errno, text, sizeof(text)));
	else
		doctor_say(d, DOCTOR_OK, "abi", NULL,
			   "there is a core for BIND %s", d->release);
	if (d->named.pid == 0)
		doctor_say(d, DOCTOR_FAIL, "plugin", "start named",
			   "named does not run");
	else if (mapped.readable)
		loaded_say(d, &mapped);
	else if (d->status != NULL)
		doctor_say(d, DOCTOR_OK, "plugin", NULL,
			   "loaded in named (pid %d)", d->named.pid);
	else
		doctor_say(d, DOCTOR_WARN, "plugin", "ask as root",
			   "what named (pid %d) has loaded cannot be read",
			   d->named.pid);
}

/* -- configuration --------------------------------------------------------- */

void doctor_config(struct doctor *d)
{
	struct err *errs = calloc(FINDINGS_MAX, sizeof(*errs));
	char text[ERR_TEXT_MAX + ERR_PATH_MAX] = "no memory";
	size_t n = 0;
	int rc = errs != NULL ? config_load(d->file, &d->config, errs,
					    FINDINGS_MAX, &n)
			      : -ENOMEM;

	if (rc == 0 && !doctor_may(&d->named, d->file, R_OK)) {
		doctor_say(d, DOCTOR_FAIL, "config",
			   "let named's group read it: chgrp bind, chmod 640",
			   "'%s' is good, but named may not read it", d->file);
	} else if (rc == 0) {
		doctor_say(d, DOCTOR_OK, "config", NULL,
			   "'%s' is good: %zu zones, %zu hostnames, serial "
			   "%" PRIu64,
			   d->file, d->config->n_zones, d->config->n_hostnames,
			   d->config->serial);
	} else {
		if (n > 0)
			err_format(&errs[0], d->file, text, sizeof(text));
		doctor_say(d, DOCTOR_FAIL, "config",
			   "put it right: 'nzctl check' shows all errors", "%s",
			   text);
	}
	free(errs);
}

void doctor_in_force(struct doctor *d)
{
	const char *state = doctor_get_text(d->status, "config.state");
	const char *error = doctor_get_text(d->status, "config.error");
	const char *file = doctor_get_text(d->status, "config.file");
	struct json_object *serial = doctor_get(d->status, "config.serial");

	if (state == NULL)
		return; /* the socket's line has said why */
	if (strcmp(state, "ok") != 0)
		doctor_say(d, DOCTOR_FAIL, "in-force",
			   "put it right, then 'nzctl reload'",
			   "named has refused the configuration: %s",
			   error != NULL ? error : "it does not say why");
	else if (file != NULL && strcmp(file, d->file) != 0)
		doctor_say(d, DOCTOR_WARN, "in-force",
			   "name the same file in named.conf",
			   "named uses '%s', not '%s'", file, d->file);
	else if (d->config != NULL &&
		 json_object_get_uint64(serial) != d->config->serial)
		doctor_say(d, DOCTOR_WARN, "in-force", "'nzctl reload'",
			   "named uses serial %" PRIu64
			   ", the file has %" PRIu64,
			   json_object_get_uint64(serial), d->config->serial);
	else
		doctor_say(d, DOCTOR_OK, "in-force", NULL,
			   "named uses this configuration");
}

/* -- the control socket ---------------------------------------------------- */

static const char *socket_advice(int rc)
{
	switch (-rc) {
	case ENOENT:
	case ENOTDIR:
		return "start named with the plugin, or give --socket as "
		       "'control.socket' has it";
	case ECONNREFUSED:
		return "start named: it has gone and left the socket behind";
	case EACCES:
	case EPERM:
		return "be in the group of named ('bind')";
	case ETIMEDOUT:
		return "named is stopped or very busy";
	default:
		return "is this the plugin's control socket?";
	}
}

void doctor_socket(struct doctor *d)
{
	const char *path = d->options->socket;
	struct stat st;
	char text[128];

	if (d->dial_rc != 0) {
		doctor_say(d, DOCTOR_FAIL, "socket", socket_advice(d->dial_rc),
			   "'%s': %s", path,
			   strerror_r(-d->dial_rc, text, sizeof(text)));
		return;
	}
	if (stat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		doctor_say(d, DOCTOR_FAIL, "socket",
			   "give --socket as 'control.socket' has it",
			   "'%s' is no socket", path);
	else if ((st.st_mode & S_IWOTH) != 0)
		doctor_say(d, DOCTOR_WARN, "socket",
			   "take the rights of others away: who may write "
			   "there steers named",
			   "'%s' answers, and is open to all (mode %03o)", path,
			   (unsigned)(st.st_mode & 0777));
	else
		doctor_say(d, DOCTOR_OK, "socket", NULL,
			   "'%s' answers (mode %03o)", path,
			   (unsigned)(st.st_mode & 0777));
}

void doctor_version(struct doctor *d)
{
	const char *theirs = doctor_get_text(d->status, "version");

	if (theirs == NULL)
		return; /* the socket's line has said why */
	if (strcmp(theirs, PACKAGE_VERSION) != 0)
		doctor_say(d, DOCTOR_WARN, "version",
			   "restart named after an upgrade, or install the "
			   "same version of both",
			   "the plugin is %s, this tool is %s", theirs,
			   PACKAGE_VERSION);
	else
		doctor_say(d, DOCTOR_OK, "version", NULL,
			   "plugin and tool are %s", theirs);
}

/* -- the state directory --------------------------------------------------- */

void doctor_state_directory(struct doctor *d)
{
	const char *path = d->config != NULL ? d->config->state_directory
					     : CONFIG_STATE_DIRECTORY;
	uint64_t need =
		ROOM_MIN + (d->config != NULL ? d->config->journal_bytes : 0);
	struct statvfs vfs;
	struct stat st;
	char text[128];

	if (stat(path, &st) != 0)
		doctor_say(d, DOCTOR_FAIL, "state",
			   "make it: install -d -o bind -g bind -m 750",
			   "state directory '%s': %s", path,
			   strerror_r(errno, text, sizeof(text)));
	else if (!S_ISDIR(st.st_mode) ||
		 !doctor_may(&d->named, path, R_OK | W_OK | X_OK))
		doctor_say(d, DOCTOR_FAIL, "state",
			   "give it to named's user: chown bind:bind",
			   "named (user %u) may not write in state directory "
			   "'%s'",
			   (unsigned)d->named.uid, path);
	else if ((st.st_mode & S_IWOTH) != 0)
		doctor_say(d, DOCTOR_WARN, "state", "chmod o-w",
			   "anybody may write in state directory '%s'", path);
	else if (statvfs(path, &vfs) == 0 &&
		 (uint64_t)vfs.f_bavail * vfs.f_frsize < need)
		doctor_say(d, DOCTOR_WARN, "state",
			   "make room: the journal alone may take more",
			   "%" PRIu64 " MiB are free in state directory '%s'",
			   (uint64_t)vfs.f_bavail * vfs.f_frsize >> 20, path);
	else
		doctor_say(d, DOCTOR_OK, "state", NULL,
			   "named may write in state directory '%s'", path);
}

/* -- databases ------------------------------------------------------------- */

static void database_say(struct doctor *d, const char *path)
{
	MMDB_s db;
	int rc = MMDB_open(path, MMDB_MODE_MMAP, &db);

	if (rc != MMDB_SUCCESS) {
		doctor_say(d, DOCTOR_FAIL, "geo", "install it anew",
			   "database '%s': %s", path, MMDB_strerror(rc));
		return;
	}
	int64_t made_s = (int64_t)db.metadata.build_epoch;
	int64_t days = ((int64_t)time(NULL) - made_s) / 86400;
	MMDB_close(&db);
	if (!doctor_may(&d->named, path, R_OK))
		doctor_say(d, DOCTOR_FAIL, "geo",
			   "let named's user read it: chmod o+r",
			   "named may not read database '%s'", path);
	else if (days > GEO_OLD_DAYS)
		doctor_say(d, DOCTOR_WARN, "geo", "fetch a newer one",
			   "database '%s' is %" PRId64 " days old", path, days);
	else
		doctor_say(d, DOCTOR_OK, "geo", NULL,
			   "database '%s' is %" PRId64 " days old", path, days);
}

void doctor_geo(struct doctor *d)
{
	size_t n = d->config != NULL ? d->config->geo.n_databases : 0;

	for (size_t i = 0; i < n; i++)
		database_say(d, d->config->geo.databases[i]);
	if (n == 0)
		doctor_say(d, DOCTOR_OK, "geo", NULL,
			   "the configuration names no database");
}
