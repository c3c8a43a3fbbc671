/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a stranger writes to the control socket: framing, JSON, the command.
 * The first octet says in how large pieces the rest arrives; the lines must
 * not depend on it.
 */
#include "plugin/lines.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

/* A request can be printed as one line, and that line is the same request. */
static void check_request(struct slice line)
{
	struct json_object *request;
	struct json_object *again;
	const char *command;
	const char *command_again;
	const char *why = NULL;

	if (lines_request(line, &request, &command, &why) != 0) {
		check(why != NULL && why[0] != '\0');
		return;
	}
	check(command[0] != '\0');

	size_t n;
	const char *p = json_object_to_json_string_length(
		request, JSON_C_TO_STRING_PLAIN, &n);
	check(p != NULL && memchr(p, '\n', n) == NULL);
	if (n <= LINES_MAX) {
		check(lines_request((struct slice){ p, n }, &again,
				    &command_again, &why) == 0);
		check(strcmp(command, command_again) == 0);
		json_object_put(again);
	}
	json_object_put(request);
}

/* Takes all lines; false when the connection would be closed. */
static int take(struct lines *lines, const uint8_t *data, size_t size,
		size_t *taken)
{
	struct slice line;
	int rc;

	while ((rc = lines_next(lines, &line)) == 0) {
		check(line.n <= LINES_MAX);
		check(*taken + line.n < size);
		check(memcmp(line.p, data + *taken, line.n) == 0);
		check(data[*taken + line.n] == '\n');
		*taken += line.n + 1;
		check_request(line);
	}
	check(rc == -EAGAIN || rc == -EMSGSIZE);
	return rc == -EAGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t piece = data[0] == 0 ? SIZE_MAX : data[0];
	data++;
	size--;

	struct lines *lines = malloc(sizeof(*lines));
	if (lines == NULL)
		return 0;
	lines_init(lines);
	size_t taken = 0;
	int open = 1;
	for (size_t fed = 0; open && fed < size;) {
		char *room;
		size_t n = lines_room(lines, &room);
		check(n > 0);
		n = n < piece ? n : piece;
		n = n < size - fed ? n : size - fed;
		memcpy(room, data + fed, n);
		lines_fed(lines, n);
		fed += n;
		open = take(lines, data, size, &taken);
	}
	/* What is left has no newline, or is too long. */
	check(!open || memchr(data + taken, '\n', size - taken) == NULL);
	free(lines);
	return 0;
}
