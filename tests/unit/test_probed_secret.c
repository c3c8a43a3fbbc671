/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD3 "user probe\nauth SHA-256 auth-pass-12\npriv AES priv-pass-34\n"

static void reads_who_we_are(void **state)
{
	struct probed_secret secret;
	char why[128];

	(void)state;
	assert_int_equal(
		probed_secret_parse(slice_of("# x\n\n \tcommunity  public\r\n"),
				    &secret, why, sizeof(why)),
		0);
	assert_false(secret.v3);
	assert_string_equal(secret.community, "public");
	assert_int_equal(
		probed_secret_parse(slice_of(GOOD3), &secret, why, sizeof(why)),
		0);
	assert_true(secret.v3);
	assert_string_equal(secret.user, "probe");
	assert_string_equal(secret.auth, "SHA-256");
	assert_string_equal(secret.auth_key, "auth-pass-12");
	assert_string_equal(secret.priv, "AES");
	assert_string_equal(secret.priv_key, "priv-pass-34");
}

static void refuses_without_telling(void **state)
{
	static const char *const texts[] = {
		"",
		"# nothing\n",
		"password hunter22\n",
		"community\n",
		"community hunter22 more\n",
		"community hunter22\ncommunity hunter22\n",
		"community hunter22\nuser x\n",
		"user hunter22\n",
		"user hunter22\nauth SHA-256 hunter22\n",
		"user x\nauth SHA-3 hunter22\npriv AES hunter22\n",
		"user x\nauth SHA hunter\npriv AES hunter22\n",
		"user x\nauth SHA hunter22\npriv AES-512 hunter22\n",
		"user x\nauth SHA hunter22\nauth SHA hunter22\n",
		"user hunter22-hunter22-hunter22-hunter22\n",
	};
	struct probed_secret secret;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char why[128] = "";
		assert_int_equal(probed_secret_parse(slice_of(texts[i]),
						     &secret, why, sizeof(why)),
				 -EINVAL);
		assert_true(why[0] != '\0');
		assert_null(strstr(why, "hunter"));
	}
}

static void looks_at_rights(void **state)
{
	char path[] = "/tmp/nz-secret-XXXXXX", why[128];
	struct probed_secret secret;
	int fd = mkstemp(path);
	static const mode_t good[] = { 0600, 0400, 0640, 0440 };
	static const mode_t bad[] = { 0644, 0604, 0660, 0602, 0601, 0777 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, GOOD3, sizeof(GOOD3) - 1),
			 sizeof(GOOD3) - 1);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(chmod(path, good[i]), 0);
		assert_int_equal(
			probed_secret_read(path, &secret, why, sizeof(why)), 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_int_equal(
			probed_secret_read(path, &secret, why, sizeof(why)),
			-EACCES);
		assert_non_null(strstr(why, "open to others"));
	}
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(ftruncate(fd, PROBED_SECRET_FILE_MAX + 1), 0);
	assert_int_equal(probed_secret_read(path, &secret, why, sizeof(why)),
			 -EACCES);
	close(fd);
	unlink(path);
	assert_int_equal(probed_secret_read(path, &secret, why, sizeof(why)),
			 -ENOENT);
	assert_int_equal(probed_secret_read("/tmp", &secret, why, sizeof(why)),
			 -EACCES);
	assert_int_equal(
		probed_secret_read("/dev/null", &secret, why, sizeof(why)),
		-EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_who_we_are),
		cmocka_unit_test(refuses_without_telling),
		cmocka_unit_test(looks_at_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
