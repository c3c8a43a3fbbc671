/* SPDX-License-Identifier: MPL-2.0 */
/* origin against a true named: UDP, TCP, TLS, TSIG.  Skipped without one. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <dns/fixedname.h>
#include <dns/tsig.h>
#include <isc/buffer.h>

#include "tests/unit/origin_fake.h"
#include "tests/unit/origin_rig.h"

#define NAMED "/usr/sbin/named"
#define TXT   16

extern char **environ;

static struct rig rig;
static char dir[] = "/tmp/origin-XXXXXX";
static uint16_t dns_port, tls_port;
static pid_t named;

/* -- named and its files */

static FILE *create(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	return file;
}

static const char *in_dir(const char *name)
{
	static char path[80];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static pid_t start(char *const argv[])
{
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ),
			 0);
	return pid;
}

/* A certificate of its own making, for 127.0.0.1 and origin.example. */
static void make_certificate(const char *name)
{
	char cert[80], key[80], program[] = "/usr/bin/openssl";
	int status;

	snprintf(cert, sizeof(cert), "%s/%s.crt", dir, name);
	snprintf(key, sizeof(key), "%s/%s.key", dir, name);
	char *argv[] = { program,
			 (char[]){ "req" },
			 (char[]){ "-x509" },
			 (char[]){ "-newkey" },
			 (char[]){ "ec" },
			 (char[]){ "-pkeyopt" },
			 (char[]){ "ec_paramgen_curve:P-256" },
			 (char[]){ "-nodes" },
			 (char[]){ "-batch" },
			 (char[]){ "-days" },
			 (char[]){ "2" },
			 (char[]){ "-subj" },
			 (char[]){ "/CN=origin" },
			 (char[]){ "-addext" },
			 (char[]){ "subjectAltName=IP:127.0.0.1,"
				   "DNS:origin.example" },
			 (char[]){ "-keyout" },
			 key,
			 (char[]){ "-out" },
			 cert,
			 NULL };
	pid_t pid = start(argv);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void write_zone(void)
{
	FILE *file = create("zone");

	fputs("$TTL 60\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\n"
	      "ns A 192.0.2.1\n* A 192.0.2.2\nbig TXT",
	      file);
	for (int i = 0; i < 12; i++) {
		fputs(" \"", file);
		for (int k = 0; k < 200; k++)
			fputc('x', file);
		fputc('"', file);
	}
	fputc('\n', file);
	fclose(file);
}

static void write_config(void)
{
	FILE *file = create("named.conf");

	fprintf(file,
		"key good { algorithm hmac-sha256; secret "
		"\"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0\"; };\n"
		"tls t { cert-file \"%s/good.crt\"; key-file "
		"\"%s/good.key\"; };\n"
		"options { directory \"%s\"; pid-file none; recursion no;"
		" notify no; session-keyfile none; dnssec-validation no; "
		"listen-on-v6 { none; };\n"
		" listen-on port %u { 127.0.0.1; };\n"
		" listen-on port %u tls t { 127.0.0.1; };\n"
		" minimal-responses yes; tcp-clients 1000; };\n"
		"controls { };\n"
		"zone example { type primary; file \"zone\"; };\n"
		"zone signed { type primary; file \"zone\";"
		" allow-query { key good; }; };\n",
		dir, dir, dir, dns_port, tls_port);
	fclose(file);
}

static void wait_until_up(void)
{
	for (int i = 0; i < 100; i++) {
		rig_start(&rig);
		rig_origin(&rig, dns_port, CONFIG_TCP);
		int status = rig_once(&rig)->status;
		rig_stop(&rig);
		if (status == 0)
			return;
		usleep(50000);
	}
	fail_msg("named did not start");
}

static int group_setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	dns_port = fake_free_port();
	do
		tls_port = fake_free_port();
	while (tls_port == dns_port);
	make_certificate("good");
	make_certificate("other");
	write_zone();
	write_config();
	char conf[80];
	snprintf(conf, sizeof(conf), "%s/named.conf", dir);
	char *argv[] = { (char[]){ NAMED },
			 (char[]){ "-f" },
			 (char[]){ "-n" },
			 (char[]){ "1" },
			 (char[]){ "-c" },
			 conf,
			 NULL };
	named = start(argv);
	wait_until_up();
	return 0;
}

static int group_teardown(void **state)
{
	static const char *const files[] = {
		"named.conf",	     "zone",
		"good.crt",	     "good.key",
		"other.crt",	     "other.key",
		"managed-keys.bind", "managed-keys.bind.jnl",
	};
	int status;

	(void)state;
	kill(named, SIGTERM);
	waitpid(named, &status, 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(in_dir(files[i]));
	return rmdir(dir);
}

static int setup(void **state)
{
	(void)state;
	rig_start(&rig);
	return 0;
}

static void ask_and_check(size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rig_ask(&rig), 0);
	rig_run(&rig, 8000);
	for (size_t i = 0; i < rig.asked; i++) {
		assert_int_equal(rig.outcome[i].status, 0);
		assert_int_equal(rig.outcome[i].rcode, 0);
	}
}

/* -- plain */

static void test_tcp(void **state)
{
	(void)state;
	rig_origin(&rig, dns_port, CONFIG_TCP)->timeout_ms = 3000;
	for (int i = 0; i < 10; i++)
		ask_and_check(200);
	assert_in_range(rig_stats(&rig, 0, CONFIG_TCP).connections, 1, 4);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).bad, 0);
	rig_stop(&rig);
}

static void test_udp(void **state)
{
	(void)state;
	rig_origin(&rig, dns_port, CONFIG_UDP)->timeout_ms = 3000;
	for (int i = 0; i < 10; i++)
		ask_and_check(100);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_UDP).bad, 0);
	rig_stop(&rig);
}

static void test_udp_big(void **state)
{
	(void)state;
	rig_origin(&rig, dns_port, CONFIG_UDP);
	assert_int_equal(rig_ask_type(&rig, "big.example", TXT), 0);
	rig_run(&rig, 5000);
	assert_int_equal(rig.outcome[0].status, 0);
	assert_int_equal(rig.outcome[0].tries, 2);
	assert_in_range(rig.outcome[0].n, 2400, 2600);
	rig_stop(&rig);
}

static void test_refused(void **state)
{
	(void)state;
	rig_origin(&rig, dns_port, CONFIG_UDP);
	assert_int_equal(rig_ask_type(&rig, "not.here", 1), 0);
	rig_run(&rig, 5000);
	assert_int_equal(rig.outcome[0].status, -EREMOTEIO);
	assert_int_equal(rig.outcome[0].rcode, 5);
	rig_stop(&rig);
}

/* -- TSIG */

static void have_key(const char *name, const char *secret)
{
	dns_fixedname_t fixed;
	dns_name_t *key_name = dns_fixedname_initname(&fixed);
	unsigned char octets[64];
	size_t n = strlen(secret);

	memcpy(octets, secret, n);
	assert_int_equal(dns_name_fromstring(key_name, name, 0, NULL), 0);
	assert_int_equal(dns_tsigkey_create(key_name, DNS_TSIG_HMACSHA256_NAME,
					    octets, (int)n, false, NULL, 0, 0,
					    rig.mctx, NULL, &rig.key),
			 0);
	for (size_t i = 0; i < rig.n_origins; i++)
		assert_int_equal(
			dname_parse(slice_of(name), &rig.origin[i].key), 0);
}

static void ask_signed(const char *name, uint16_t qtype)
{
	assert_int_equal(rig_ask_type(&rig, name, qtype), 0);
	rig_run(&rig, 5000);
}

static void test_tsig(void **state)
{
	(void)state;
	for (int transport = CONFIG_TCP; transport <= CONFIG_UDP; transport++) {
		rig_origin(&rig, dns_port, (enum config_transport)transport);
		have_key("good", "secret-secret-secret-secret");
		for (int i = 0; i < 20; i++) {
			ask_signed("www.signed", 1);
			assert_int_equal(rig.outcome[i].status, 0);
			assert_int_equal(rig.outcome[i].rcode, 0);
			assert_int_equal(rig.outcome[i].tries, 1);
		}
		ask_signed("big.signed", TXT);
		assert_int_equal(rig.outcome[20].status, 0);
		assert_in_range(rig.outcome[20].n, 2500, 2700);
		assert_int_equal(rig.downs, 0);
		rig_stop(&rig);
		rig_start(&rig);
	}
	rig_stop(&rig);
}

static void test_tsig_wrong_secret(void **state)
{
	(void)state;
	for (int transport = CONFIG_TCP; transport <= CONFIG_UDP; transport++) {
		rig_origin(&rig, dns_port, (enum config_transport)transport);
		have_key("good", "another-another-another-one");
		rig.origin[0].timeout_ms = 100;
		ask_signed("www.signed", 1);
		assert_int_equal(rig.outcome[0].status, -EBADMSG);
		assert_true(rig_stats(&rig, 0, rig.origin[0].transport).bad >
			    0);
		rig_stop(&rig);
		rig_start(&rig);
	}
	rig_stop(&rig);
}

/* A server that knows no TSIG: its answer is not signed. */
static void test_tsig_stripped(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	rig_origin(&rig, dns_port, CONFIG_TCP);
	have_key("good", "secret-secret-secret-secret");
	rig.origin[0].timeout_ms = 100;
	ask_signed("www.signed", 1);
	assert_int_equal(rig.outcome[0].status, 0);
	assert_int_equal(rig.outcome[0].who, 1);
	rig_stop(&rig);
	fake_stop(fake);
}

/* -- TLS */

static struct config_origin *tls_origin(const char *ca, const char *name)
{
	struct config_origin *origin = rig_origin(&rig, tls_port, CONFIG_TLS);
	static char path[80];

	snprintf(path, sizeof(path), "%s/%s", dir, ca);
	origin->tls_ca = path;
	origin->tls_name = name;
	origin->timeout_ms = 3000;
	return origin;
}

static void test_tls(void **state)
{
	static const char *const names[] = { NULL, "origin.example" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		tls_origin("good.crt", names[i]);
		for (int k = 0; k < 10; k++)
			ask_and_check(100);
		assert_int_equal(rig.downs, 0);
		rig_stop(&rig);
		rig_start(&rig);
	}
	rig_stop(&rig);
}

static void test_tls_big(void **state)
{
	(void)state;
	tls_origin("good.crt", NULL);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(rig_ask_type(&rig, "big.example", TXT), 0);
	rig_run(&rig, 5000);
	for (size_t i = 0; i < 50; i++)
		assert_in_range(rig.outcome[i].n, 2400, 2600);
	rig_stop(&rig);
}

static void test_tls_resumed(void **state)
{
	(void)state;
	tls_origin("good.crt", NULL);
	rig.origins->tuning.idle_ms = 50;
	ask_and_check(5);
	rig_sleep(&rig, 150);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TLS).connections, 0);
	ask_and_check(5);
	struct server *server =
		LINK_OWNER(rig.origins->servers.next, struct server, link);
	struct conn *conn = LINK_OWNER(server->conns.next, struct conn, link);
	assert_int_equal(SSL_session_reused(conn->ssl), 1);
	rig_stop(&rig);
}

static void refuses(const char *why)
{
	assert_int_equal(rig_once(&rig)->status, -EPROTO);
	assert_int_equal(rig.downs, 1);
	assert_string_equal(rig.why, why);
	rig_stop(&rig);
}

static void test_tls_wrong_ca(void **state)
{
	(void)state;
	tls_origin("other.crt", NULL);
	refuses("self-signed certificate");
}

static void test_tls_system_store(void **state)
{
	(void)state;
	tls_origin("good.crt", NULL)->tls_ca = NULL;
	refuses("self-signed certificate");
}

static void test_tls_wrong_name(void **state)
{
	(void)state;
	tls_origin("good.crt", "other.example");
	refuses("hostname mismatch");
}

static void test_tls_no_ca_file(void **state)
{
	(void)state;
	tls_origin("none.crt", NULL);
	assert_int_equal(rig_ask(&rig), -EPROTO);
	assert_int_equal(rig.downs, 1);
	rig_stop(&rig);
}

static void tls_fails(enum fake_habit habit, int status, const char *why)
{
	struct fake *fake = fake_start(habit, true, 0);
	struct config_origin *origin =
		rig_origin(&rig, fake_port(fake), CONFIG_TLS);

	origin->timeout_ms = 1500;
	assert_int_equal(rig_once(&rig)->status, status);
	assert_int_equal(rig.downs, 1);
	assert_string_equal(rig.why, why);
	rig_stop(&rig);
	fake_stop(fake);
}

/* A ClientHello begins like the length of a DNS message not yet whole. */
static void test_tls_silent(void **state)
{
	(void)state;
	tls_fails(FAKE_SILENT, -ETIMEDOUT, "no connection in time");
}

static void test_tls_garbage(void **state)
{
	(void)state;
	tls_fails(FAKE_BABBLE, -EPROTO, "TLS error");
}

static void test_tls_close_from_any_state(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		tls_origin("good.crt", NULL);
		for (int k = 0; k < 20; k++)
			assert_int_equal(rig_ask(&rig), 0);
		for (int k = 0; k < i; k++)
			uv_run(&rig.loop, UV_RUN_NOWAIT);
		rig_stop(&rig);
		rig_start(&rig);
	}
	rig_stop(&rig);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
	sigset_t pipe;
	const struct CMUnitTest tests[] = {
		TEST(tcp),
		TEST(udp),
		TEST(udp_big),
		TEST(refused),
		TEST(tsig),
		TEST(tsig_wrong_secret),
		TEST(tsig_stripped),
		TEST(tls),
		TEST(tls_big),
		TEST(tls_resumed),
		TEST(tls_wrong_ca),
		TEST(tls_system_store),
		TEST(tls_wrong_name),
		TEST(tls_no_ca_file),
		TEST(tls_silent),
		TEST(tls_garbage),
		TEST(tls_close_from_any_state),
	};

	if (access(NAMED, X_OK) != 0)
		return 77; /* automake: skipped */
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
