/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_secret - who we are to a switch: a file of lines
 *
 *	community TEXT                    SNMPv2c
 *
 * or
 *
 *	user NAME                         SNMPv3, authPriv
 *	auth SHA-256 PASSPHRASE
 *	priv AES PASSPHRASE
 *
 * '#' begins a comment line.  Nothing of a file is shown in any message.
 */
#include <stdbool.h>

#include "common/slice.h"

#define PROBED_SECRET_FILE_MAX 4096u
#define PROBED_SECRET_TEXT     128 /* octets of one word, with the NUL */

struct probed_secret {
	bool v3;
	char community[PROBED_SECRET_TEXT];
	char user[33];		 /* RFC 3414: at most 32 octets */
	char auth[16], priv[16]; /* names of algorithms */
	char auth_key[PROBED_SECRET_TEXT], priv_key[PROBED_SECRET_TEXT];
};

/*
 * Reads the text of such a file.  Returns 0; or -EINVAL with the reason in
 * 'why' ('size' > 0 octets).  Pure.
 */
int probed_secret_parse(struct slice text, struct probed_secret *secret,
			char *why, size_t size);

/*
 * Reads a file, which must be a regular one of root's or our own user's that
 * nobody else but its group can read.  Returns 0; or -errno with the reason.
 */
int probed_secret_read(const char *path, struct probed_secret *secret,
		       char *why, size_t size);
