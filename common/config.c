/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/config_int.h"

/* A finding about the whole text, if the caller has room for one. */
static void found_one(struct err *errs, size_t max_errs, size_t *n_errs,
		      const struct err *err)
{
	*n_errs = 0;
	if (max_errs > 0) {
		errs[0] = *err;
		*n_errs = 1;
	}
}

/* Checks and builds what is known to be JSON. */
static int json_load(const char *file, const struct jsontext *json,
		     struct config_found *found, struct config **configp)
{
	struct config_check c = { .json = json, .found = *found };
	int rc = config_builder_new(file, json, &c.builder);

	if (rc != 0)
		return rc;
	config_check_all(&c);
	*found = c.found;
	if (c.rc != 0 || found->total > 0) {
		config_builder_free(c.builder);
		return c.rc != 0 ? c.rc : -EINVAL;
	}
	*configp = config_builder_done(c.builder);
	return 0;
}

static int text_load(const char *file, struct slice text,
		     struct config_found *found, struct config **configp,
		     struct err *err)
{
	struct jsontext json;
	int rc = jsontext_init(text, &json, err);

	if (rc != 0)
		return rc;
	rc = json_load(file, &json, found, configp);
	jsontext_fini(&json);
	return rc;
}

/* NOLINTNEXTLINE(readability-function-size): seven arguments, as promised */
int config_parse(const char *file, const char *text, size_t n,
		 struct config **configp, struct err *errs, size_t max_errs,
		 size_t *n_errs)
{
	struct config_found found = { .errs = errs, .max = max_errs };
	struct err err = { 0 };
	int rc;

	if (n > CONFIG_FILE_MAX) {
		err_set(&err, 0, "", "too big, want at most %u octets",
			CONFIG_FILE_MAX);
		found_one(errs, max_errs, n_errs, &err);
		return -EFBIG;
	}
	found.offsets = calloc(max_errs + 1, sizeof(*found.offsets));
	if (found.offsets == NULL)
		rc = -ENOMEM;
	else
		rc = text_load(file, (struct slice){ text, n }, &found, configp,
			       &err);
	free(found.offsets);
	if (rc == 0)
		(*configp)->hash = XXH64(text, n, 0);
	if (rc == -ENOMEM)
		err_set(&err, 0, "", "no memory");
	*n_errs = found.n;
	if (err.text[0] != '\0')
		found_one(errs, max_errs, n_errs, &err);
	return rc;
}

/* Reads an open file whole.  Returns 0 and sets what the caller frees. */
static int fd_read(int fd, char **textp, size_t *np)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENODEV;
	if (st.st_size > (off_t)CONFIG_FILE_MAX)
		return -EFBIG;

	/* One more, to notice a file that grows. */
	size_t max = (size_t)st.st_size + 1, n = 0;
	char *text = malloc(max);
	if (text == NULL)
		return -ENOMEM;
	while (n < max) {
		ssize_t got = read(fd, text + n, max - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0)
				break;
			int rc = -errno;
			free(text);
			return rc;
		}
		n += (size_t)got;
	}
	if (n == max) {
		free(text);
		return -EAGAIN;
	}
	*textp = text;
	*np = n;
	return 0;
}

static int file_read(const char *file, char **textp, size_t *np)
{
	/* Not to hang on a pipe, which is then refused. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	int rc = fd_read(fd, textp, np);
	close(fd);
	return rc;
}

static void unreadable(struct err *err, int rc)
{
	char buffer[128];

	switch (rc) {
	case -EFBIG:
		err_set(err, 0, "", "too big, want at most %u octets",
			CONFIG_FILE_MAX);
		return;
	case -ENODEV:
		err_set(err, 0, "", "not a regular file");
		return;
	case -EAGAIN:
		err_set(err, 0, "", "changed while it was read");
		return;
	default:
		err_set(err, 0, "", "cannot read: %s",
			strerror_r(-rc, buffer, sizeof(buffer)));
	}
}

int config_load(const char *file, struct config **configp, struct err *errs,
		size_t max_errs, size_t *n_errs)
{
	char *text = NULL;
	size_t n = 0;
	int rc = file_read(file, &text, &n);

	if (rc != 0) {
		struct err err;
		unreadable(&err, rc);
		found_one(errs, max_errs, n_errs, &err);
		return rc;
	}
	rc = config_parse(file, text, n, configp, errs, max_errs, n_errs);
	free(text);
	return rc;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	config_arena_free(config->arena);
	free(config);
}
