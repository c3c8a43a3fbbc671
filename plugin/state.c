/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "common/config.h"
#include "plugin/log.h"

#define GOOD_NAME	  "last-good.json"
#define HEAD_MAX	  (1u << 20) /* octets of a bad file to look through */
#define DEFAULT_DIRECTORY "/var/lib/bind/nearzone"

void state_directory_make(const char *directory)
{
	char path[STATE_PATH_MAX];
	size_t n = strlen(directory);

	if (n >= sizeof(path))
		return;
	memcpy(path, directory, n + 1);
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(path, 0750);
		*p = '/';
	}
	if (mkdir(path, 0750) != 0 && errno != EEXIST)
		log_write(ISC_LOG_ERROR, "cannot make state directory '%s': %s",
			  path, log_error(-errno, (char[LOG_ERROR_MAX]){ 0 }));
}

static bool copy(int from, int to)
{
	char block[65536];

	for (;;) {
		ssize_t n = read(from, block, sizeof(block));
		if (n == 0)
			return fsync(to) == 0;
		if (n < 0)
			return false;
		for (ssize_t done = 0; done < n;) {
			ssize_t m = write(to, block + done, (size_t)(n - done));
			if (m < 0)
				return false;
			done += m;
		}
	}
}

static bool copy_file(const char *file, const char *to_path)
{
	int from = open(file, O_RDONLY | O_CLOEXEC);
	int to = from >= 0
			 ? open(to_path,
				O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)
			 : -1;
	bool ok = to >= 0 && copy(from, to);

	if (from >= 0)
		(void)close(from);
	if (to >= 0 && close(to) != 0)
		ok = false;
	return ok;
}

/* The file may have changed since it was loaded: is the copy good? */
static bool is_good(const char *path)
{
	struct config *config = NULL;
	struct err errs[1];
	size_t n_errs = 0;

	if (config_load(path, &config, errs, 1, &n_errs) != 0)
		return false;
	config_free(config);
	return true;
}

void state_good_save(const char *file, const char *directory)
{
	char path[STATE_PATH_MAX];
	char temporary[STATE_PATH_MAX + 8];

	int n = snprintf(path, sizeof(path), "%s/" GOOD_NAME, directory);
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	(void)snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (!copy_file(file, temporary)) {
		log_write(ISC_LOG_WARNING,
			  "cannot keep a good copy of '%s' as '%s': %s", file,
			  path, log_error(-errno, (char[LOG_ERROR_MAX]){ 0 }));
		(void)unlink(temporary);
		return;
	}
	if (!is_good(temporary) || rename(temporary, path) != 0)
		(void)unlink(temporary);
}

/*
 * The value of "state-directory" in a text that may not be JSON at all: what
 * stands between the next two quotes after the colon that follows.
 */
static bool named_directory(const char *text, char *out, size_t size)
{
	static const char key[] = "\"state-directory\"";
	const char *at = strstr(text, key);

	if (at == NULL)
		return false;
	at += sizeof(key) - 1;
	at += strspn(at, " \t\r\n");
	if (*at++ != ':')
		return false;
	at += strspn(at, " \t\r\n");
	if (*at++ != '"')
		return false;
	size_t n = strcspn(at, "\"\\\r\n");
	if (at[n] != '"' || n == 0 || n >= size || at[0] != '/')
		return false;
	memcpy(out, at, n);
	out[n] = '\0';
	return true;
}

/* The first MiB of 'file': its cache block, unless it hides well. */
static char *read_head(const char *file, size_t max)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	char *text = fd >= 0 ? malloc(max + 1) : NULL;
	size_t used = 0;

	while (text != NULL && used < max) {
		ssize_t n = read(fd, text + used, max - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd);
	if (text != NULL)
		text[used] = '\0';
	return text;
}

int state_good_find(const char *file, char *path, size_t size)
{
	char directory[STATE_PATH_MAX] = DEFAULT_DIRECTORY;
	char *text = read_head(file, HEAD_MAX);

	if (text != NULL)
		(void)named_directory(text, directory, sizeof(directory));
	free(text);
	int n = snprintf(path, size, "%s/" GOOD_NAME, directory);
	if (n < 0 || (size_t)n >= size)
		return -ENOENT;
	return access(path, R_OK) == 0 ? 0 : -ENOENT;
}

/* -- small files ------------------------------------------------------------
 */

static bool write_text(const char *path, const char *text)
{
	size_t n = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	bool ok = fd >= 0 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;

	if (fd >= 0 && close(fd) != 0)
		ok = false;
	return ok;
}

void state_text_save(const char *directory, const char *name, const char *text)
{
	char path[STATE_PATH_MAX];
	char fresh[STATE_PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", directory, name);
	int m = snprintf(fresh, sizeof(fresh), "%s/%s.new", directory, name);

	if (n < 0 || m < 0 || (size_t)m >= sizeof(fresh))
		return;
	if (write_text(fresh, text) && rename(fresh, path) == 0)
		return;
	log_write(ISC_LOG_ERROR, "cannot write '%s': %s", path,
		  log_error(-errno, (char[LOG_ERROR_MAX]){ 0 }));
	(void)unlink(fresh);
}

char *state_text_read(const char *directory, const char *name, size_t max)
{
	char path[STATE_PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", directory, name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return NULL;
	return read_head(path, max);
}
