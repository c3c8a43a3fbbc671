/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/recorder_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/journal.h"

#define PATH_SIZE 1200u

struct recorder_file {
	int fd;
	uint64_t n;	  /* octets that are good */
	uint64_t older_n; /* of the file before */
	uint64_t half;	  /* of both */
	uint64_t from_ms; /* the first frame's time; 0: none yet */
	char path[PATH_SIZE];
	char older[PATH_SIZE];
};

/* -- octets ---------------------------------------------------------------- */

/* All of 'n' octets at 'at', or what there is; or -errno. */
static int64_t read_at(int fd, void *octets, size_t n, uint64_t at)
{
	uint8_t *p = octets;
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, p + done, n - done, (off_t)(at + done));
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

static int write_at(int fd, const void *octets, size_t n, uint64_t at)
{
	const uint8_t *p = octets;

	for (size_t done = 0; done < n;) {
		ssize_t put =
			pwrite(fd, p + done, n - done, (off_t)(at + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		done += (size_t)put;
	}
	return 0;
}

/* -- what is there --------------------------------------------------------- */

/* The length of a good frame at 'at', into 'buffer'; 0: there is none. */
static size_t frame_at(int fd, uint8_t *buffer, uint64_t at,
		       struct journal_reader *reader)
{
	if (read_at(fd, buffer, JOURNAL_FRAME_HEAD, at) != JOURNAL_FRAME_HEAD)
		return 0;
	size_t n = journal_frame_size(buffer);
	if (n == 0 || read_at(fd, buffer, n, at) != (int64_t)n ||
	    journal_open(reader, buffer, n) != 0)
		return 0;
	return n;
}

/* Finds the end of the good frames. */
static int end_find(struct recorder_file *file)
{
	uint8_t *buffer = malloc(JOURNAL_FRAME_MAX);
	struct journal_reader reader;
	size_t n;

	if (buffer == NULL)
		return -ENOMEM;
	file->n = JOURNAL_HEAD;
	while ((n = frame_at(file->fd, buffer, file->n, &reader)) > 0) {
		if (file->from_ms == 0)
			file->from_ms = reader.base_ms;
		file->n += n;
	}
	free(buffer);
	return 0;
}

static int begin(struct recorder_file *file)
{
	uint8_t head[JOURNAL_HEAD];

	file->fd =
		open(file->path,
		     O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (file->fd < 0)
		return -errno;
	journal_head_write(head);
	file->n = JOURNAL_HEAD;
	file->from_ms = 0;
	return write_at(file->fd, head, sizeof(head), 0);
}

/* Goes on with a file that is there: 0, or -errno; -EBADMSG: it is strange. */
static int go_on(struct recorder_file *file)
{
	uint8_t head[JOURNAL_HEAD];
	struct stat st;

	if (fstat(file->fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENODEV;
	if (read_at(file->fd, head, sizeof(head), 0) != sizeof(head) ||
	    journal_head_read(head) != 0)
		return -EBADMSG;
	int rc = end_find(file);
	if (rc == 0 && ftruncate(file->fd, (off_t)file->n) != 0)
		rc = -errno;
	return rc;
}

/* -- life ------------------------------------------------------------------ */

static bool paths_set(struct recorder_file *file, const char *directory)
{
	int n = snprintf(file->path, PATH_SIZE, "%s/" JOURNAL_FILE, directory);
	int m = snprintf(file->older, PATH_SIZE,
			 "%s/" JOURNAL_FILE JOURNAL_OLDER, directory);

	return n > 0 && m > 0 && (size_t)m < PATH_SIZE;
}

static void older_look(struct recorder_file *file)
{
	struct stat st;

	file->older_n = stat(file->older, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int files_open(struct recorder_file *file, bool *strange)
{
	file->fd =
		open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file->fd < 0 && errno != ENOENT)
		return -errno;
	int rc = file->fd < 0 ? -ENOENT : go_on(file);
	if (rc == -EBADMSG) {
		*strange = true;
		(void)close(file->fd);
		file->fd = -1;
		if (rename(file->path, file->older) != 0)
			return -errno;
		rc = -ENOENT;
	}
	return rc == -ENOENT ? begin(file) : rc;
}

int recorder_file_open(const char *directory, uint64_t size_bytes,
		       struct recorder_file **filep, bool *strange)
{
	struct recorder_file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return -ENOMEM;
	file->fd = -1;
	file->half = size_bytes / 2;
	bool odd = false;
	int rc = paths_set(file, directory) ? files_open(file, &odd)
					    : -ENAMETOOLONG;
	if (rc != 0) {
		recorder_file_close(file);
		return rc;
	}
	older_look(file);
	*filep = file;
	*strange = odd;
	return 0;
}

void recorder_file_close(struct recorder_file *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
		(void)close(file->fd);
	free(file);
}

/* -- adding ---------------------------------------------------------------- */

int recorder_file_add(struct recorder_file *file, struct slice frame)
{
	struct journal_reader reader;

	if (file->n + frame.n > file->half)
		return -EFBIG;
	int rc = write_at(file->fd, frame.p, frame.n, file->n);
	if (rc != 0) { /* not even a part of it */
		(void)ftruncate(file->fd, (off_t)file->n);
		return rc;
	}
	if (file->from_ms == 0 &&
	    journal_open(&reader, (const uint8_t *)frame.p, frame.n) == 0)
		file->from_ms = reader.base_ms;
	file->n += frame.n;
	return 0;
}

bool recorder_file_over(const struct recorder_file *file, uint64_t now_ms,
			uint32_t age_s)
{
	if (file->n + file->half / 8 > file->half)
		return true;
	return age_s > 0 && file->from_ms > 0 &&
	       now_ms > file->from_ms + age_s * UINT64_C(500);
}

int recorder_file_turn(struct recorder_file *file)
{
	struct recorder_file next = *file;

	if (rename(file->path, file->older) != 0)
		return -errno;
	int rc = begin(&next);
	if (rc != 0) {
		if (next.fd >= 0)
			(void)close(next.fd);
		(void)rename(file->older, file->path);
		return rc;
	}
	(void)close(file->fd);
	*file = next;
	older_look(file);
	return 0;
}

uint64_t recorder_file_bytes(const struct recorder_file *file)
{
	return file->n + file->older_n;
}
