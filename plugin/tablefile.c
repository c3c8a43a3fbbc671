/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/tablefile.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "plugin/log.h"
#include "plugin/state.h"

#define FILE_MAX (UINT64_C(8) << 30)

/* Before what was saved; numbers are little-endian. */
struct head {
	char magic[8];
	uint64_t wall_s, n, sum; /* when; octets that follow; XXH3 of these */
};

static const char magic[8] = { 'N', 'Z', 'T', 'A', 'B', 'L', 'E', '1' };

struct tablefile {
	int fd;
	uint64_t n;
	XXH3_state_t *sum; /* NULL: none is wanted */
	int rc;
};

static void write_all(struct tablefile *w, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (w->rc == 0 && n > 0) {
		ssize_t done = write(w->fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			w->rc = -errno;
		at += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

void tablefile_put(struct tablefile *w, const void *p, size_t n)
{
	write_all(w, p, n);
	if (w->sum != NULL)
		(void)XXH3_64bits_update(w->sum, p, n);
	w->n += n;
}

void tablefile_fail(struct tablefile *w, int rc)
{
	w->rc = rc;
}

bool tablefile_ok(const struct tablefile *w)
{
	return w->rc == 0;
}

/* False: no such path. */
static bool path_print(const char *directory, const char *name, const char *end,
		       char path[STATE_PATH_MAX])
{
	int n = snprintf(path, STATE_PATH_MAX, "%s/%s%s", directory, name, end);

	return n >= 0 && n < STATE_PATH_MAX;
}

void tablefile_save_plain(const char *directory, const char *name,
			  void (*fill)(struct tablefile *w, void *arg),
			  void *arg)
{
	char path[STATE_PATH_MAX];
	char fresh[STATE_PATH_MAX];
	struct tablefile w = { .fd = -1 };

	if (!path_print(directory, name, "", path) ||
	    !path_print(directory, name, ".new", fresh))
		return;
	w.fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	w.rc = w.fd < 0 ? -errno : 0;
	if (w.rc == 0)
		fill(&w, arg);
	if (w.rc == 0 && fsync(w.fd) != 0)
		w.rc = -errno;
	if (w.fd >= 0 && close(w.fd) != 0 && w.rc == 0)
		w.rc = -errno;
	if (w.rc == 0 && rename(fresh, path) != 0)
		w.rc = -errno;
	if (w.rc == 0)
		return;
	(void)unlink(fresh);
	log_write(ISC_LOG_ERROR, "cannot write '%s': %s", path,
		  log_error(w.rc, (char[LOG_ERROR_MAX]){ 0 }));
}

struct headed {
	void (*fill)(struct tablefile *w, void *arg);
	void *arg;
};

/* What it puts, and the head before that. */
static void headed_fill(struct tablefile *w, void *arg)
{
	const struct headed *headed = arg;
	struct head head = { .wall_s = htole64((uint64_t)time(NULL)) };

	memcpy(head.magic, magic, sizeof(magic));
	write_all(w, &head, sizeof(head));
	w->sum = XXH3_createState();
	if (w->sum == NULL) {
		w->rc = -ENOMEM;
		return;
	}
	(void)XXH3_64bits_reset(w->sum);
	if (w->rc == 0)
		headed->fill(w, headed->arg);
	head.n = htole64(w->n);
	head.sum = htole64(XXH3_64bits_digest(w->sum));
	(void)XXH3_freeState(w->sum);
	w->sum = NULL;
	if (w->rc == 0 &&
	    pwrite(w->fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		w->rc = -EIO;
}

void tablefile_save(const char *directory, const char *name,
		    void (*fill)(struct tablefile *w, void *arg), void *arg)
{
	struct headed headed = { fill, arg };

	tablefile_save_plain(directory, name, headed_fill, &headed);
}

static bool read_all(int fd, void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t done = read(fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

/*
 * Reads such a file: 0, and its octets, which the caller frees; or -ENOENT,
 * or what is wrong.
 */
static int file_read(const char *path, uint8_t **octets, size_t *n,
		     uint64_t *away_s)
{
	struct head head;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	*octets = NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > FILE_MAX ||
	    !read_all(fd, &head, sizeof(head)) ||
	    memcmp(head.magic, magic, sizeof(magic)) != 0 ||
	    le64toh(head.n) != (uint64_t)st.st_size - sizeof(head))
		rc = -EBADMSG;
	*n = rc == 0 ? (size_t)le64toh(head.n) : 0;
	if (rc == 0) {
		*octets = malloc(*n + 1);
		rc = *octets == NULL ? -ENOMEM : 0;
	}
	if (rc == 0 && (!read_all(fd, *octets, *n) ||
			XXH3_64bits(*octets, *n) != le64toh(head.sum)))
		rc = -EBADMSG;
	(void)close(fd);
	if (rc != 0) {
		free(*octets);
		*octets = NULL;
		return rc;
	}
	int64_t away = (int64_t)time(NULL) - (int64_t)le64toh(head.wall_s);
	*away_s = away > 0 ? (uint64_t)away : 0;
	return 0;
}

void tablefile_refused(const char *directory, const char *name, int rc)
{
	const char *why = log_error(rc, (char[LOG_ERROR_MAX]){ 0 });

	if (rc == -EBADMSG || rc == -EPROTONOSUPPORT)
		why = "it is damaged, or of another release";
	if (rc == -ETIME)
		why = "it was written in the future";
	log_write(ISC_LOG_ERROR, "table '%s/%s' is refused: %s", directory,
		  name, why);
}

bool tablefile_read(const char *directory, const char *name, uint8_t **octets,
		    size_t *n, uint64_t *away_s)
{
	char path[STATE_PATH_MAX];

	if (!path_print(directory, name, "", path))
		return false;
	int rc = file_read(path, octets, n, away_s);
	if (rc != 0 && rc != -ENOENT)
		tablefile_refused(directory, name, rc);
	return rc == 0;
}

bool tablefile_open(const char *directory, const char *name, int *fdp)
{
	char path[STATE_PATH_MAX];
	struct stat st;
	int rc = 0;

	if (!path_print(directory, name, "", path))
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		rc = -errno;
	else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		 (uint64_t)st.st_size > FILE_MAX)
		rc = -EBADMSG;
	if (rc == 0) {
		*fdp = fd;
		return true;
	}
	if (fd >= 0)
		(void)close(fd);
	if (rc != -ENOENT)
		tablefile_refused(directory, name, rc);
	return false;
}
