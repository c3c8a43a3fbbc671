/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/past.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes-client/show.h"

#define GOOD_NAME    "last-good.json"
#define FINDINGS_MAX 16u

static void complain(const char *path, const char *what)
{
	fputs("nzctl: '", stderr);
	show_text(stderr, slice_of(path));
	fprintf(stderr, "': %s\n", what);
}

static void complain_errno(const char *path, int rc)
{
	char text[128];

	complain(path, strerror_r(-rc, text, sizeof(text)));
}

/* -- where it is ----------------------------------------------------------- */

/* The directory of 'path', with its slash; "" for none. */
static bool directory_of(const char *path, char out[static PAST_PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) + 1 : 0;

	if (n >= PAST_PATH_MAX)
		return false;
	memcpy(out, path, n);
	out[n] = '\0';
	return true;
}

bool past_directory(const struct nzctl_options *options,
		    char out[static PAST_PATH_MAX])
{
	return directory_of(
		options->log != NULL ? options->log : options->socket, out);
}

static bool path_set(struct past *past, const struct nzctl_options *options,
		     const struct config *config)
{
	char directory[PAST_PATH_MAX];
	int n;

	if (options->log != NULL)
		n = snprintf(past->path, PAST_PATH_MAX, "%s", options->log);
	else if (options->config != NULL && config != NULL)
		n = snprintf(past->path, PAST_PATH_MAX, "%s/" JOURNAL_FILE,
			     config->state_directory);
	else if (past_directory(options, directory))
		n = snprintf(past->path, PAST_PATH_MAX, "%s" JOURNAL_FILE,
			     directory);
	else
		return false;
	return n > 0 && (size_t)n < PAST_PATH_MAX - sizeof(JOURNAL_OLDER);
}

struct config *past_config(const struct nzctl_options *options,
			   const char *file)
{
	char path[PAST_PATH_MAX + sizeof(GOOD_NAME)];
	struct err errs[FINDINGS_MAX];
	struct config *config = NULL;
	size_t n = 0;

	if (file == NULL) {
		if (!past_directory(options, path))
			return NULL;
		memcpy(path + strlen(path), GOOD_NAME, sizeof(GOOD_NAME));
		file = path;
	}
	if (config_load(file, &config, errs, FINDINGS_MAX, &n) == 0)
		return config;
	for (size_t i = 0; i < n; i++) {
		char text[4096];
		err_format(&errs[i], file, text, sizeof(text));
		fputs("nzctl: ", stderr);
		show_text(stderr, slice_of(text));
		fputc('\n', stderr);
	}
	return NULL;
}

/* -- files ----------------------------------------------------------------- */

/* All of 'n' octets at the place, or what there is; or -errno. */
static int64_t read_at(const struct past *past, void *octets, size_t n)
{
	uint8_t *p = octets;
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(past->fd, p + done, n - done,
				    (off_t)(past->at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (int64_t)done;
}

/* Opens one file: 0, -ENOENT, or -errno after words. */
static int file_open(struct past *past)
{
	char path[PAST_PATH_MAX];
	uint8_t head[JOURNAL_HEAD];

	(void)snprintf(path, sizeof(path), "%.*s%s",
		       (int)(PAST_PATH_MAX - sizeof(JOURNAL_OLDER)), past->path,
		       past->older ? JOURNAL_OLDER : "");
	past->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (past->fd < 0) {
		int rc = -errno;
		if (rc != -ENOENT || !past->older)
			complain_errno(path, rc);
		return rc;
	}
	past->at = 0;
	past->reading = false;
	int64_t n = read_at(past, head, sizeof(head));
	int rc = n < 0 ? (int)n
		       : (n < (int64_t)sizeof(head) ? -EBADMSG
						    : journal_head_read(head));
	past->at = sizeof(head);
	if (rc == -EBADMSG)
		complain(path, "is not a journal");
	else if (rc == -EPROTONOSUPPORT)
		complain(path, "is a journal of another version of nearzone");
	else if (rc != 0)
		complain_errno(path, rc);
	return rc;
}

static void file_close(struct past *past)
{
	if (past->fd >= 0)
		(void)close(past->fd);
	past->fd = -1;
}

struct past *past_open(const struct nzctl_options *options,
		       const struct config *config)
{
	struct past *past = calloc(1, sizeof(*past));

	if (past == NULL || !path_set(past, options, config)) {
		fputs(past == NULL ? "nzctl: out of memory\n"
				   : "nzctl: path too long\n",
		      stderr);
		free(past);
		return NULL;
	}
	past->older = true;
	int rc = file_open(past);
	if (rc == -ENOENT) {
		past->older = false;
		rc = file_open(past);
	}
	if (rc == 0)
		return past;
	past_close(past);
	return NULL;
}

void past_close(struct past *past)
{
	if (past == NULL)
		return;
	file_close(past);
	free(past);
}

/* -- records --------------------------------------------------------------- */

/* 1: a frame is open; 0: the file ends here. */
static int frame_next(struct past *past)
{
	int64_t n = read_at(past, past->frame, JOURNAL_FRAME_HEAD);

	if (n < 0)
		return (int)n;
	if (n == 0)
		return 0;
	size_t size =
		n == JOURNAL_FRAME_HEAD ? journal_frame_size(past->frame) : 0;
	if (size > 0)
		n = read_at(past, past->frame, size);
	if (n < 0)
		return (int)n;
	if (size == 0 || (size_t)n < size ||
	    journal_open(&past->reader, past->frame, size) != 0) {
		off_t end = lseek(past->fd, 0, SEEK_END);
		if (end > (off_t)past->at)
			past->left_out += (uint64_t)end - past->at;
		return 0;
	}
	past->at += size;
	past->reading = true;
	return 1;
}

int past_next(struct past *past, struct journal_record *record)
{
	for (;;) {
		int rc =
			past->reading ? journal_next(&past->reader, record) : 0;
		if (rc != 0)
			return rc;
		past->reading = false;
		rc = frame_next(past);
		if (rc == 0 && past->older) {
			file_close(past);
			past->older = false;
			rc = file_open(past);
			if (rc == 0)
				rc = frame_next(past);
		}
		if (rc != 1)
			return rc;
	}
}

bool past_end(const struct past *past, int rc)
{
	if (past == NULL)
		return false;
	if (past->left_out > 0)
		fprintf(stderr,
			"nzctl: %llu octets at the end of the journal are not "
			"whole, and were left out\n",
			(unsigned long long)past->left_out);
	if (rc == -EBADMSG)
		complain(past->path, "is damaged: it contradicts itself");
	else if (rc != 0)
		complain_errno(past->path, rc);
	return rc == 0;
}
