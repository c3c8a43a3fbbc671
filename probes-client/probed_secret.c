/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MIN 8 /* RFC 3414, 11.2 */

/* -- the text ------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line, or an empty one. */
static struct slice word_take(struct slice *line)
{
	size_t i = 0;

	while (i < line->n && is_blank(line->p[i]))
		i++;
	size_t from = i;
	while (i < line->n && !is_blank(line->p[i]))
		i++;
	struct slice word = { line->p + from, i - from };
	line->p += i;
	line->n -= i;
	return word;
}

static bool word_keep(struct slice word, char *out, size_t size)
{
	if (word.n == 0 || word.n >= size ||
	    memchr(word.p, '\0', word.n) != NULL)
		return false;
	memcpy(out, word.p, word.n);
	out[word.n] = '\0';
	return true;
}

static bool one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* "auth SHA-256 PASSPHRASE": NULL, or what is wrong. */
static const char *key_take(struct slice *line, const char *const *words,
			    char algorithm[16], char key[PROBED_SECRET_TEXT])
{
	if (algorithm[0] != '\0')
		return "is there twice";
	if (!word_keep(word_take(line), algorithm, 16) ||
	    !one_of(algorithm, words))
		return words[0][0] == 'A'
			       ? "want AES, AES-192, AES-256 or DES"
			       : "want SHA-512, SHA-384, SHA-256, SHA-224, "
				 "SHA or MD5";
	if (!word_keep(word_take(line), key, PROBED_SECRET_TEXT) ||
	    strlen(key) < KEY_MIN)
		return "want a passphrase of 8 to 127 octets";
	return NULL;
}

static const char *line_take(struct slice line, struct probed_secret *secret)
{
	static const char *const auths[] = { "SHA-512", "SHA-384", "SHA-256",
					     "SHA-224", "SHA",	   "MD5",
					     NULL };
	static const char *const privs[] = { "AES", "AES-192", "AES-256", "DES",
					     NULL };
	struct slice key = word_take(&line);
	const char *why = NULL;

	if (key.n == 0 || key.p[0] == '#')
		return NULL;
	if (slice_is(key, "community")) {
		if (secret->community[0] != '\0' ||
		    !word_keep(word_take(&line), secret->community,
			       sizeof(secret->community)))
			why = "want one community of 1 to 127 octets";
	} else if (slice_is(key, "user")) {
		if (secret->user[0] != '\0' ||
		    !word_keep(word_take(&line), secret->user,
			       sizeof(secret->user)))
			why = "want one user of 1 to 32 octets";
	} else if (slice_is(key, "auth")) {
		why = key_take(&line, auths, secret->auth, secret->auth_key);
	} else if (slice_is(key, "priv")) {
		why = key_take(&line, privs, secret->priv, secret->priv_key);
	} else {
		why = "want community, user, auth or priv";
	}
	if (why == NULL && word_take(&line).n > 0)
		why = "there is a word too many";
	return why;
}

/* What does not go together. */
static const char *whole_check(struct probed_secret *secret)
{
	bool any3 = secret->user[0] != '\0' || secret->auth[0] != '\0' ||
		    secret->priv[0] != '\0';

	secret->v3 = any3;
	if (secret->community[0] != '\0')
		return any3 ? "a community does not go with a user" : NULL;
	if (secret->user[0] == '\0' || secret->auth[0] == '\0' ||
	    secret->priv[0] == '\0')
		return "want a community; or user, auth and priv";
	return NULL;
}

int probed_secret_parse(struct slice text, struct probed_secret *secret,
			char *why, size_t size)
{
	size_t number = 0;

	memset(secret, 0, sizeof(*secret));
	while (text.n > 0) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
		const char *wrong =
			line_take((struct slice){ text.p, n }, secret);
		number++;
		if (wrong != NULL) {
			snprintf(why, size, "line %zu: %s", number, wrong);
			return -EINVAL;
		}
		n += end != NULL ? 1 : 0;
		text.p += n;
		text.n -= n;
	}
	const char *wrong = whole_check(secret);
	if (wrong == NULL)
		return 0;
	snprintf(why, size, "%s", wrong);
	return -EINVAL;
}

/* -- the file ------------------------------------------------------------- */

static const char *file_wrong(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is no regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs neither to root nor to us";
	if ((st->st_mode & (S_IRWXO | S_IWGRP)) != 0)
		return "is open to others: want mode 0600 or 0640";
	if (st->st_size > (off_t)PROBED_SECRET_FILE_MAX)
		return "is longer than 4096 octets";
	return NULL;
}

static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t more = read(fd, text + n, size - n);
		if (more < 0)
			return -errno;
		if (more == 0)
			break;
		n += (size_t)more;
	}
	return (ssize_t)n;
}

static int fd_read(int fd, struct probed_secret *secret, char *why, size_t size)
{
	char text[PROBED_SECRET_FILE_MAX], reason[128];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	const char *wrong = file_wrong(&st);
	if (wrong != NULL) {
		snprintf(why, size, "%s", wrong);
		return -EACCES;
	}
	ssize_t n = read_all(fd, text, sizeof(text));
	if (n < 0)
		return (int)n;
	int rc = probed_secret_parse((struct slice){ text, (size_t)n }, secret,
				     reason, sizeof(reason));
	explicit_bzero(text, sizeof(text));
	if (rc != 0)
		snprintf(why, size, "%s", reason);
	return rc;
}

int probed_secret_read(const char *path, struct probed_secret *secret,
		       char *why, size_t size)
{
	char text[128];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc = fd >= 0 ? 0 : -errno;

	why[0] = '\0';
	if (rc == 0)
		rc = fd_read(fd, secret, why, size);
	if (fd >= 0)
		close(fd);
	if (rc != 0 && why[0] == '\0')
		snprintf(why, size, "%s", strerror_r(-rc, text, sizeof(text)));
	return rc;
}
