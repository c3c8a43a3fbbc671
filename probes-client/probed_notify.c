/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 512

static const char *environment(const char *name)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes it */
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static void send_to(const char *path, const char *message)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || n > sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, n);
	if (path[0] == '@') /* abstract: no file */
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t size =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	(void)sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT,
		     (const struct sockaddr *)&address, size);
	close(fd);
}

void probed_notify(const char *fmt, ...)
{
	const char *path = environment("NOTIFY_SOCKET");
	char message[MESSAGE_MAX];
	va_list ap;

	if (path == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	send_to(path, message);
}

/* A decimal number; 0 if it is none. */
static uint64_t number(const char *text)
{
	char *end = NULL;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? n : 0;
}

uint64_t probed_notify_watchdog_ms(void)
{
	uint64_t usec = number(environment("WATCHDOG_USEC"));
	const char *pid = environment("WATCHDOG_PID");

	if (usec == 0 || (pid != NULL && number(pid) != (uint64_t)getpid()))
		return 0;
	return usec / 2000 > 0 ? usec / 2000 : 1;
}
