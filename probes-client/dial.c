/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/dial.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_MIN 65536u

struct dial {
	int fd;
	uint64_t deadline_ms;
	char *buf;
	size_t size;
	size_t start, end; /* what is buffered: buf[start .. end-1] */
	size_t searched;   /* no newline before buf[searched] */
};

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int dial_connect(const char *path, unsigned timeout_ms, int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000,
	};

	memcpy(address.sun_path, path, strlen(path));
	/* Bounds connect() as well: it waits while the backlog is full. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
		       sizeof(timeout)) != 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

int dial_open(const char *path, unsigned timeout_ms, struct dial **dialp)
{
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return -ENAMETOOLONG;

	struct dial *dial = calloc(1, sizeof(*dial));
	if (dial == NULL)
		return -ENOMEM;
	dial->deadline_ms = clock_ms() + timeout_ms;
	dial->size = BUFFER_MIN;
	dial->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = dial->fd < 0 ? -errno : 0;
	if (rc == 0)
		rc = dial_connect(path, timeout_ms, dial->fd);
	if (rc == 0 && (dial->buf = malloc(dial->size)) == NULL)
		rc = -ENOMEM;
	if (rc != 0) {
		dial_close(dial);
		return rc;
	}
	*dialp = dial;
	return 0;
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int dial_send(struct dial *dial, struct slice line)
{
	int rc = send_all(dial->fd, line.p, line.n);

	if (rc == 0)
		rc = send_all(dial->fd, "\n", 1);
	return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

/* Makes room for at least one octet behind what is buffered. */
static int make_room(struct dial *dial)
{
	if (dial->start > 0) {
		dial->end -= dial->start;
		dial->searched -= dial->start;
		memmove(dial->buf, dial->buf + dial->start, dial->end);
		dial->start = 0;
	}
	if (dial->end > DIAL_LINE_MAX)
		return -EMSGSIZE;
	if (dial->end < dial->size)
		return 0;

	char *buf = realloc(dial->buf, 2 * dial->size);
	if (buf == NULL)
		return -ENOMEM;
	dial->buf = buf;
	dial->size *= 2;
	return 0;
}

static int wait_readable(const struct dial *dial, bool patient)
{
	for (;;) {
		uint64_t now = clock_ms();
		uint64_t left =
			dial->deadline_ms > now ? dial->deadline_ms - now : 0;
		struct pollfd pollfd = { .fd = dial->fd, .events = POLLIN };
		int n = poll(&pollfd, 1, patient ? -1 : (int)left);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int fill(struct dial *dial, bool patient)
{
	int rc = make_room(dial);
	if (rc == 0)
		rc = wait_readable(dial, patient);
	if (rc != 0)
		return rc;

	ssize_t n = recv(dial->fd, dial->buf + dial->end,
			 dial->size - dial->end, 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	dial->end += (size_t)n;
	return 0;
}

static bool has_control(struct slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < 0x20 || line.p[i] == 0x7f)
			return true;
	return false;
}

int dial_line(struct dial *dial, bool patient, struct slice *line)
{
	const char *newline;

	while ((newline = memchr(dial->buf + dial->searched, '\n',
				 dial->end - dial->searched)) == NULL) {
		dial->searched = dial->end;
		int rc = fill(dial, patient);
		if (rc != 0)
			return rc;
	}

	const char *p = dial->buf + dial->start;
	struct slice got = { p, (size_t)(newline - p) };
	dial->start += got.n + 1;
	dial->searched = dial->start;
	if (got.n > DIAL_LINE_MAX)
		return -EMSGSIZE;
	if (has_control(got))
		return -EBADMSG;
	*line = got;
	return 0;
}

void dial_close(struct dial *dial)
{
	if (dial == NULL)
		return;
	if (dial->fd >= 0)
		close(dial->fd);
	free(dial->buf);
	free(dial);
}
