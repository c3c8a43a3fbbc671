/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/geo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gtm/geo_int.h"

#define COPY_NAME	"geo.copy"
#define METADATA_MARK	"\xab\xcd\xefMaxMind.com"
#define MARK_SIZE	(sizeof(METADATA_MARK) - 1)
#define TREE_END	16u	     /* octets of 0 behind the tree */
#define METADATA_MAX	(128u << 10) /* octets from the end of the file */
#define METADATA_VALUES 10000u

static void file_of(const struct stat *st, struct gtm_geo_file *file)
{
	*file = (struct gtm_geo_file){
		.device = (uint64_t)st->st_dev,
		.inode = (uint64_t)st->st_ino,
		.size_bytes = (uint64_t)st->st_size,
		.changed_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 +
			      st->st_mtim.tv_nsec,
	};
}

void gtm_geo_file(const char *path, struct gtm_geo_file *file)
{
	struct stat st;

	*file = (struct gtm_geo_file){ 0 };
	if (stat(path, &st) == 0)
		file_of(&st, file);
}

/* -- the copy ------------------------------------------------------------- */

static int say(char *why, int rc, const char *what)
{
	char text[128];

	(void)snprintf(why, ERR_TEXT_MAX, "%s: %s", what,
		       strerror_r(-rc, text, sizeof(text)));
	return rc;
}

static int say_bad(char *why, const char *what)
{
	(void)snprintf(why, ERR_TEXT_MAX, "%s", what);
	return -EBADMSG;
}

/* Writes all of it; 0 or -errno. */
static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0) {
			p += put;
			n -= (size_t)put;
		}
	}
	return 0;
}

/* Copies what 'from' has; more than 'size' octets: it grows, not yet whole. */
static int copy(int from, int to, uint64_t size, const struct gtm_pace *pace)
{
	static const size_t piece = 65536;
	uint8_t *buffer = malloc(piece);
	uint64_t sum = 0;
	int rc = buffer != NULL ? 0 : -ENOMEM;

	while (rc == 0) {
		ssize_t got = read(from, buffer, piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			rc = got < 0 ? -errno : 0;
			break;
		}
		sum += (uint64_t)got;
		rc = sum <= size ? write_all(to, buffer, (size_t)got) : -EAGAIN;
		if (rc == 0 && !gtm_pace_step(pace))
			rc = -ECANCELED;
	}
	free(buffer);
	return rc == 0 && sum != size ? -EAGAIN : rc;
}

/* Makes the copy; its name is in 'path'. */
static int copy_make(int from, const struct gtm_geo_file *file,
		     const char *path, const struct gtm_pace *pace, char *why)
{
	(void)unlink(path); /* what a kill has left */
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return say(why, -errno, "cannot make a copy to read");
	int rc = copy(from, to, file->size_bytes, pace);
	if (close(to) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0)
		return 0;
	(void)unlink(path);
	if (rc == -EAGAIN)
		(void)snprintf(why, ERR_TEXT_MAX, "changed while it was read");
	else
		(void)say(why, rc, "cannot copy");
	return rc;
}

/* -- what libmaxminddb may see ------------------------------------------------
 */

/* Where the mark of the metadata ends that comes last; NULL: nowhere. */
static const uint8_t *mark_find(const uint8_t *p, size_t n)
{
	for (size_t i = n; i >= MARK_SIZE; i--)
		if (memcmp(p + i - MARK_SIZE, METADATA_MARK, MARK_SIZE) == 0)
			return p + i;
	return NULL;
}

/* A number of the metadata, or 0. */
static uint64_t metadata_number(MMDB_entry_s *entry, const char *key)
{
	const char *const path[] = { key, NULL };
	MMDB_entry_data_s data;

	if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS ||
	    !data.has_data)
		return 0;
	if (data.type == MMDB_DATA_TYPE_UINT32)
		return data.uint32;
	return data.type == MMDB_DATA_TYPE_UINT16 ? data.uint16 : 0;
}

/*
 * Whether the metadata 'p', before which there are 'before' octets, may be
 * shown to MMDB_open().  That makes lists of what they hold, with what each
 * pointer points to: a few octets can stand for more than any memory.  That
 * the tree fits into the file is not left to it either.
 */
static bool metadata_good(const uint8_t *p, size_t n, uint64_t before)
{
	uint64_t budget = METADATA_VALUES;
	const MMDB_s part = { .data_section = p,
			      .data_section_size = (uint32_t)n };
	MMDB_entry_s entry = { .mmdb = &part };

	if (gtm_geo_walk(p, n, 0, &budget) != 0)
		return false;
	uint64_t nodes = metadata_number(&entry, "node_count");
	uint64_t bits = metadata_number(&entry, "record_size");
	return nodes > 0 && (bits == 24 || bits == 28 || bits == 32) &&
	       nodes * bits / 4 + TREE_END <= before;
}

static int metadata_check(const char *path, char *why)
{
	uint8_t *tail = malloc(METADATA_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool good = false;

	if (tail != NULL && fd >= 0 && fstat(fd, &st) == 0) {
		off_t size = st.st_size;
		size_t want = size < (off_t)METADATA_MAX ? (size_t)size
							 : METADATA_MAX;
		ssize_t got = pread(fd, tail, want, size - (off_t)want);
		const uint8_t *p =
			got == (ssize_t)want ? mark_find(tail, want) : NULL;
		size_t n = p != NULL ? (size_t)(tail + want - p) : 0;
		good = p != NULL &&
		       metadata_good(p, n, (uint64_t)size - n - MARK_SIZE);
	}
	if (fd >= 0)
		close(fd);
	free(tail);
	return good ? 0 : say_bad(why, "not a MaxMind database");
}

static int mmdb_open(struct gtm_geo *geo, const char *path, char *why)
{
	int rc = metadata_check(path, why);

	if (rc != 0)
		return rc;
	int status = MMDB_open(path, MMDB_MODE_MMAP, &geo->mmdb);
	if (status == MMDB_OUT_OF_MEMORY_ERROR)
		return say(why, -ENOMEM, "cannot open");
	if (status != MMDB_SUCCESS) {
		(void)snprintf(why, ERR_TEXT_MAX, "not a MaxMind database: %s",
			       MMDB_strerror(status));
		return -EBADMSG;
	}
	geo->opened = true;
	const MMDB_metadata_s *m = &geo->mmdb.metadata;
	if ((m->ip_version != 4 && m->ip_version != 6) || m->node_count == 0)
		return say_bad(why, "neither of IPv4 nor of IPv6 addresses");
	return 0;
}

/* -- life ------------------------------------------------------------------ */

/* Splits the paths into keys. */
static int paths_split(const struct config_paths *from,
		       struct gtm_geo_paths *to)
{
	to->n = from->n;
	for (size_t i = 0; i < from->n; i++) {
		char *text = strdup(from->path[i]);
		size_t n = 0;
		to->text[i] = text;
		if (text == NULL)
			return -ENOMEM;
		if (strcmp(text, ".") == 0)
			continue;
		to->key[i][n++] = text;
		for (char *p = text; *p != '\0' && n < GEO_KEYS_MAX; p++) {
			if (*p != '/')
				continue;
			*p = '\0';
			to->key[i][n++] = p + 1;
		}
	}
	return 0;
}

static void paths_free(struct gtm_geo_paths *paths)
{
	for (size_t i = 0; i < CONFIG_PATHS_MAX; i++)
		free(paths->text[i]);
}

static int geo_new(const struct config_geo *config, struct gtm_geo **geop)
{
	struct gtm_geo *geo = calloc(1, sizeof(*geo));

	*geop = geo;
	if (geo == NULL || paths_split(&config->country, &geo->country) != 0 ||
	    paths_split(&config->continent, &geo->continent) != 0 ||
	    paths_split(&config->as, &geo->as) != 0 ||
	    paths_split(&config->location, &geo->location) != 0)
		return -ENOMEM;
	return 0;
}

/* Opens 'fd', which is 'file', by way of a copy called 'path'. */
static int fd_open(struct gtm_geo *geo, int fd, const char *path,
		   const struct gtm_pace *pace, char *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return say(why, -errno, "cannot read");
	file_of(&st, &geo->file);
	if (!S_ISREG(st.st_mode))
		return say_bad(why, "not a regular file");
	if (geo->file.size_bytes > GTM_GEO_FILE_MAX)
		return say_bad(why, "too big");
	int rc = copy_make(fd, &geo->file, path, pace, why);
	if (rc != 0)
		return rc;
	rc = mmdb_open(geo, path, why);
	(void)unlink(path);
	return rc;
}

int gtm_geo_open(const char *path, const char *directory,
		 const struct config_geo *config, const struct gtm_pace *pace,
		 struct gtm_geo **geop, struct gtm_geo_tried *tried)
{
	char name[1100];
	struct gtm_geo *geo = NULL;
	int rc = geo_new(config, &geo);

	*tried = (struct gtm_geo_tried){ .why = "" };
	if (rc != 0) {
		gtm_geo_close(geo);
		return say(tried->why, rc, "cannot open");
	}
	(void)snprintf(name, sizeof(name), "%s/" COPY_NAME, directory);
	/* not to hang on a pipe, which is then refused */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		rc = fd_open(geo, fd, name, pace, tried->why);
		close(fd);
	} else {
		rc = say(tried->why, -errno, "cannot read");
	}
	tried->file = geo->file;
	if (rc == 0)
		*geop = geo;
	else
		gtm_geo_close(geo);
	return rc;
}

void gtm_geo_close(struct gtm_geo *geo)
{
	if (geo == NULL)
		return;
	if (geo->opened)
		MMDB_close(&geo->mmdb);
	paths_free(&geo->country);
	paths_free(&geo->continent);
	paths_free(&geo->as);
	paths_free(&geo->location);
	free(geo->facts);
	free(geo->table);
	free(geo);
}

const char *gtm_geo_why(const struct gtm_geo *geo)
{
	return geo->why;
}

void gtm_geo_about(const struct gtm_geo *geo, struct gtm_geo_about *about)
{
	*about = (struct gtm_geo_about){
		.file = geo->file,
		.built_s = geo->mmdb.metadata.build_epoch,
		.networks = geo->networks,
		.records = geo->n_facts,
	};
	/* it is shown to people, and may be anything */
	const char *type = geo->mmdb.metadata.database_type;
	for (size_t i = 0;
	     type != NULL && type[i] != '\0' && i < sizeof(about->type) - 1;
	     i++) {
		bool shown = type[i] >= ' ' && type[i] <= '~';
		about->type[i] = (char)(shown ? type[i] : '?');
	}
}
