/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probes-client/dial.h"
#include "probes-client/doctor_int.h"
#include "probes-client/show.h"

#define CONFIG_DEFAULT "/etc/bind/nearzone.json"
#define NAMED_USER     "bind"
#define PROCESSES_MAX  100000u
#define NESTING_MAX    32
#define FINDING_TEXT   1024

/* -- the report ------------------------------------------------------------ */

static const char *const state_names[] = { "ok", "warn", "FAIL" };

void doctor_say(struct doctor *d, enum doctor_state state, const char *check,
		const char *advice, const char *fmt, ...)
{
	char text[FINDING_TEXT], whole[2 * FINDING_TEXT];
	struct json_object *line;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	d->failed = d->failed || state == DOCTOR_FAIL;
	if (state == DOCTOR_OK)
		advice = NULL;
	if (d->checks == NULL) {
		snprintf(whole, sizeof(whole), "%-4s  %-9s  %s%s%s",
			 state_names[state], check, text,
			 advice != NULL ? ": " : "",
			 advice != NULL ? advice : "");
		show_text(stdout, slice_of(whole));
		putchar('\n');
		return;
	}
	line = json_object_new_object();
	json_object_object_add(line, "check", json_object_new_string(check));
	json_object_object_add(
		line, "state",
		json_object_new_string(
			state == DOCTOR_FAIL ? "fail" : state_names[state]));
	json_object_object_add(line, "text", json_object_new_string(text));
	if (advice != NULL)
		json_object_object_add(line, "do",
				       json_object_new_string(advice));
	json_object_array_add(d->checks, line);
}

/* -- files and processes --------------------------------------------------- */

ssize_t doctor_read(const char *root, const char *path, char *out, size_t size)
{
	char whole[DOCTOR_PATH_MAX];
	size_t n = 0;

	out[0] = '\0';
	if (snprintf(whole, sizeof(whole), "%s%s", root, path) >=
	    (int)sizeof(whole))
		return -ENAMETOOLONG;
	int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	while (n + 1 < size) {
		ssize_t more = read(fd, out + n, size - 1 - n);
		if (more < 0) {
			int rc = -errno;
			close(fd);
			return rc;
		}
		if (more == 0)
			break;
		n += (size_t)more;
	}
	close(fd);
	out[n] = '\0';
	return (ssize_t)n;
}

bool doctor_in_group(const struct doctor_process *who, gid_t gid)
{
	if (who->gid == gid)
		return true;
	for (size_t i = 0; i < who->n_groups; i++)
		if (who->groups[i] == gid)
			return true;
	return false;
}

static bool mode_allows(const struct doctor_process *who, const struct stat *st,
			int want)
{
	mode_t bits = (mode_t)want;

	if (who->uid == 0)
		return true;
	if (who->uid == st->st_uid)
		return (st->st_mode >> 6 & bits) == bits;
	if (doctor_in_group(who, st->st_gid))
		return (st->st_mode >> 3 & bits) == bits;
	return (st->st_mode & bits) == bits;
}

bool doctor_may(const struct doctor_process *who, const char *path, int want)
{
	char part[DOCTOR_PATH_MAX];
	size_t n = strlen(path);
	struct stat st;

	if (n >= sizeof(part))
		return false;
	for (size_t i = 1; i < n; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (stat(part, &st) != 0 || !mode_allows(who, &st, X_OK))
			return false;
	}
	return stat(path, &st) == 0 && mode_allows(who, &st, want);
}

/* Numbers of a line of /proc/PID/status that begins with 'key'. */
static size_t numbers_of(const char *text, const char *key, int base,
			 uint64_t *out, size_t max)
{
	const char *at = strstr(text, key);
	size_t n = 0;

	if (at == NULL)
		return 0;
	at += strlen(key);
	while (n < max && *at != '\n' && *at != '\0') {
		char *end = NULL;
		while (*at == ' ' || *at == '\t')
			at++;
		uint64_t value = strtoull(at, &end, base);
		if (end == at)
			break;
		out[n++] = value;
		at = end;
	}
	return n;
}

/* Reads what it is allowed; false: there is no such process. */
static bool process_read(int pid, struct doctor_process *process)
{
	char path[64], text[8192];
	uint64_t numbers[DOCTOR_GROUPS_MAX];

	*process = (struct doctor_process){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (doctor_read("", path, text, sizeof(text)) <= 0)
		return false;
	if (numbers_of(text, "\nUid:", 10, numbers, 2) == 2)
		process->uid = (uid_t)numbers[1];
	if (numbers_of(text, "\nGid:", 10, numbers, 2) == 2)
		process->gid = (gid_t)numbers[1];
	process->n_groups =
		numbers_of(text, "\nGroups:", 10, numbers, DOCTOR_GROUPS_MAX);
	for (size_t i = 0; i < process->n_groups; i++)
		process->groups[i] = (gid_t)numbers[i];
	if (numbers_of(text, "\nCapEff:", 16, numbers, 1) == 1)
		process->caps = numbers[0];
	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	if (doctor_read("", path, text, sizeof(text)) > 0 &&
	    numbers_of(text, "\nMax open files", 10, numbers, 1) == 1)
		process->nofile = numbers[0];
	return true;
}

/* The option's value in a command line; false: it is not there. */
static bool argument_of(const char *text, size_t n, const char *option,
			char *out, size_t size)
{
	size_t length = strlen(option);
	const char *end = text + n;

	for (const char *at = text; at < end; at += strlen(at) + 1) {
		const char *value = NULL;
		if (strcmp(at, option) == 0 && at + length + 1 < end)
			value = at + length + 1;
		else if (strncmp(at, option, length) == 0 && at[length] == '=')
			value = at + length + 1;
		if (value != NULL) {
			snprintf(out, size, "%s", value);
			return true;
		}
	}
	return false;
}

/* Takes the process if it is a side-car; one of our file is preferred. */
static bool probed_take(struct doctor *d, int pid)
{
	char path[64], text[8192], node[64] = "", file[DOCTOR_PATH_MAX] = "";

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	ssize_t n = doctor_read("", path, text, sizeof(text));
	if (n <= 0)
		return false;
	argument_of(text, (size_t)n, "--node", node, sizeof(node));
	argument_of(text, (size_t)n, "--config", file, sizeof(file));
	bool ours = strcmp(file, d->file) == 0;
	if ((d->probed.pid != 0 && !ours) || !process_read(pid, &d->probed))
		return false;
	memcpy(d->probed_node, node, sizeof(node));
	memcpy(d->probed_file, file, sizeof(file));
	return ours;
}

static void processes_find(struct doctor *d)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	bool sure = false;

	for (size_t i = 0; proc != NULL && i < PROCESSES_MAX; i++) {
		char path[64], comm[64];
		char *end = NULL;
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
		entry = readdir(proc);
		if (entry == NULL)
			break;
		uint64_t pid = strtoull(entry->d_name, &end, 10);
		if (*end != '\0' || pid == 0 || pid > INT32_MAX)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		if (doctor_read("", path, comm, sizeof(comm)) <= 0)
			continue;
		if (strcmp(comm, "named\n") == 0 && d->named.pid == 0)
			(void)process_read((int)pid, &d->named);
		if (strcmp(comm, "nearzone-probed\n") == 0 && !sure)
			sure = probed_take(d, (int)pid);
	}
	if (proc != NULL)
		closedir(proc);
}

/* Whom named would run as, if it ran. */
static void named_user(struct doctor *d)
{
	struct passwd entry, *found = NULL;
	char room[4096];
	int n = DOCTOR_GROUPS_MAX;

	d->named.uid = geteuid();
	d->named.gid = getegid();
	if (getpwnam_r(NAMED_USER, &entry, room, sizeof(room), &found) != 0 ||
	    found == NULL)
		return;
	d->named.uid = found->pw_uid;
	d->named.gid = found->pw_gid;
	if (getgrouplist(NAMED_USER, found->pw_gid, d->named.groups, &n) > 0)
		d->named.n_groups = (size_t)n;
}

/* -- the plugin ------------------------------------------------------------ */

struct json_object *doctor_get(struct json_object *object, const char *path)
{
	char key[64];

	for (;;) {
		size_t n = strcspn(path, ".");
		if (n >= sizeof(key) ||
		    !json_object_is_type(object, json_type_object))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		if (!json_object_object_get_ex(object, key, &object))
			return NULL;
		if (path[n] == '\0')
			return object;
		path += n + 1;
	}
}

const char *doctor_get_text(struct json_object *object, const char *path)
{
	struct json_object *value = doctor_get(object, path);

	return json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : NULL;
}

static int status_ask(struct doctor *d)
{
	static const char request[] = "{\"command\":\"status\"}";
	struct json_object *reply = NULL;
	struct json_tokener *tokener;
	struct dial *dial = NULL;
	struct slice line;
	int rc = dial_open(d->options->socket, d->options->timeout_ms, &dial);

	if (rc == 0)
		rc = dial_send(dial, slice_of(request));
	if (rc == 0)
		rc = dial_line(dial, false, &line);
	tokener = rc == 0 ? json_tokener_new_ex(NESTING_MAX) : NULL;
	if (tokener != NULL) {
		reply = json_tokener_parse_ex(tokener, line.p, (int)line.n);
		json_tokener_free(tokener);
	}
	d->status = json_object_get(doctor_get(reply, "status"));
	json_object_put(reply);
	if (rc == 0 && d->status == NULL)
		rc = -EBADMSG;
	dial_close(dial);
	return rc;
}

/* -- all of it ------------------------------------------------------------- */

static void look(struct doctor *d)
{
	d->dial_rc = status_ask(d);
	const char *in_force = doctor_get_text(d->status, "config.file");
	struct json_object *pid = doctor_get(d->status, "pid");

	snprintf(d->file, sizeof(d->file), "%s",
		 d->options->config != NULL ? d->options->config
		 : in_force != NULL	    ? in_force
					    : CONFIG_DEFAULT);
	if (pid != NULL)
		(void)process_read(json_object_get_int(pid), &d->named);
	processes_find(d);
	if (d->named.pid == 0)
		named_user(d);
}

static enum nzctl_exit report_end(const struct doctor *d)
{
	if (d->checks != NULL) {
		struct json_object *doc = json_object_new_object();
		json_object_object_add(doc, "ok",
				       json_object_new_boolean(!d->failed));
		json_object_object_add(doc, "checks",
				       json_object_get(d->checks));
		puts(json_object_to_json_string_ext(
			doc, JSON_C_TO_STRING_PLAIN |
				     JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(doc);
	}
	return d->failed ? NZCTL_REFUSED : NZCTL_DONE;
}

enum nzctl_exit doctor_run(const struct nzctl_options *options)
{
	struct doctor *d = calloc(1, sizeof(*d));
	if (d == NULL) {
		fputs("nzctl: out of memory\n", stderr);
		return NZCTL_TROUBLE;
	}

	d->options = options;
	d->root = options->root != NULL ? options->root : "";
	d->checks = options->json ? json_object_new_array() : NULL;
	look(d);
	doctor_config(d);
	doctor_abi(d);
	doctor_socket(d);
	doctor_in_force(d);
	doctor_version(d);
	doctor_state_directory(d);
	doctor_geo(d);
	doctor_armor(d);
	doctor_clock(d);
	doctor_ping(d);
	doctor_files(d);
	doctor_probed(d);
	enum nzctl_exit result = report_end(d);
	json_object_put(d->checks);
	json_object_put(d->status);
	config_free(d->config);
	free(d);
	return result;
}
