/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * dial - a connection to the control socket: blocking, with one deadline for
 * all of it.  What comes back is not trusted: a line is bounded and has no
 * control characters.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/slice.h"

#define DIAL_LINE_MAX (64u << 20) /* octets of a reply */

struct dial;

/*
 * Connects to the unix socket 'path'; the deadline is 'timeout_ms' from now.
 * Returns 0 and sets '*dialp', to be closed with dial_close(); or
 * -ENAMETOOLONG, -ETIMEDOUT, -ENOMEM or what connect() says (-ENOENT, -EACCES,
 * -ECONNREFUSED ...).
 */
int dial_open(const char *path, unsigned timeout_ms, struct dial **dialp);

/*
 * Sends 'line' and a newline.  Returns 0, also when the peer has closed: it
 * may have said why; or -ETIMEDOUT or another -errno.
 */
int dial_send(struct dial *dial, struct slice line);

/*
 * Reads a line, valid until the next call, without its newline; before the
 * deadline, or with 'patient' however long it takes.  Returns 0; -ETIMEDOUT;
 * -ECONNRESET when the peer has closed; -EMSGSIZE when it is longer than
 * DIAL_LINE_MAX; -EBADMSG when it holds a control character; or another
 * -errno.
 */
int dial_line(struct dial *dial, bool patient, struct slice *line);

void dial_close(struct dial *dial); /* NULL is fine */
