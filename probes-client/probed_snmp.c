/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_snmp.h"

#include <errno.h>
#include <stdio.h>

#ifdef HAVE_NETSNMP

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Its headers are not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wundef"
#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#pragma GCC diagnostic pop

#include "probes-client/probed_secret.h"

#define ROWS_MAX	8192u /* of a table of names that is walked */
#define PER_WALK	40    /* rows of one answer */
#define PER_GET		8u    /* interfaces of one question */
#define NAME_MAX_OCTETS 64u

/* A whole reading may take so many times the timeout of one request. */
#define TIMES 8u

enum column { IF_NAME, IF_DESCR, HC_IN, HC_OUT, IN, OUT, BEGUN };

/* Columns of ifXTable and ifTable; the interface's number follows. */
static const oid columns[][11] = {
	[IF_NAME] = { 1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1 },
	[HC_IN] = { 1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6 },
	[HC_OUT] = { 1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10 },
	[BEGUN] = { 1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 19 },
	[IF_DESCR] = { 1, 3, 6, 1, 2, 1, 2, 2, 1, 2, 0 },
	[IN] = { 1, 3, 6, 1, 2, 1, 2, 2, 1, 10, 0 },
	[OUT] = { 1, 3, 6, 1, 2, 1, 2, 2, 1, 16, 0 },
};
static const oid uptime[] = { 1, 3, 6, 1, 2, 1, 1, 3, 0 };

struct probed_snmp {
	void *session;
	bool found; /* 'numbers' are there */
	uint32_t numbers[CONFIG_INTERFACES_MAX];
	enum column named_by[CONFIG_INTERFACES_MAX]; /* BEGUN: a number */
};

/* One reading. */
struct look {
	struct probed_snmp_job *job;
	struct probed_snmp *snmp;
	uint64_t end_ms;
	char *words;
};

static size_t column_octets(enum column column)
{
	return column == IF_DESCR || column == IN || column == OUT ? 10 : 11;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int say(const struct look *look, int rc, const char *what)
{
	snprintf(look->words, PROBED_SNMP_WORDS, "%s", what);
	return rc;
}

/* -- sessions -------------------------------------------------------------- */

/* Without a log of its own, and files of MIBs, configuration or state. */
void probed_snmp_init(void)
{
	netsnmp_register_loghandler(NETSNMP_LOGHANDLER_NONE, LOG_DEBUG);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DONT_READ_CONFIGS, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DONT_PERSIST_STATE, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD, 1);
	netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID,
			       NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE, 1);
	netsnmp_set_mib_directory("/nonexistent");
	init_snmp("nearzone-probed");
}

static void peer_print(const struct sockaddr_storage *ss, char *out,
		       size_t size)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;
	char address[INET6_ADDRSTRLEN] = "";

	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, address, sizeof(address));
		snprintf(out, size, "udp:%s:%u", address, ntohs(in->sin_port));
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, address, sizeof(address));
	snprintf(out, size, "udp6:[%s]:%u", address, ntohs(in6->sin6_port));
}

/* Algorithms and keys of a user; NULL, or what is wrong. */
static const char *user_set(netsnmp_session *s, struct probed_secret *secret)
{
	int auth = usm_lookup_auth_type(secret->auth);
	int priv = usm_lookup_priv_type(secret->priv);

	s->securityName = secret->user;
	s->securityNameLen = strlen(secret->user);
	s->securityLevel = SNMP_SEC_LEVEL_AUTHPRIV;
	s->securityModel = SNMP_SEC_MODEL_USM;
	s->securityAuthProto = sc_get_auth_oid(auth, &s->securityAuthProtoLen);
	s->securityPrivProto = sc_get_priv_oid(priv, &s->securityPrivProtoLen);
	if (auth < 0 || s->securityAuthProto == NULL)
		return "net-snmp here cannot do that auth algorithm";
	if (priv < 0 || s->securityPrivProto == NULL)
		return "net-snmp here cannot do that priv algorithm";
	s->securityAuthKeyLen = sizeof(s->securityAuthKey);
	s->securityPrivKeyLen = sizeof(s->securityPrivKey);
	if (generate_Ku(s->securityAuthProto, (u_int)s->securityAuthProtoLen,
			(u_char *)secret->auth_key, strlen(secret->auth_key),
			s->securityAuthKey,
			&s->securityAuthKeyLen) != SNMPERR_SUCCESS ||
	    generate_Ku(s->securityAuthProto, (u_int)s->securityAuthProtoLen,
			(u_char *)secret->priv_key, strlen(secret->priv_key),
			s->securityPrivKey,
			&s->securityPrivKeyLen) != SNMPERR_SUCCESS)
		return "net-snmp cannot make keys of the passphrases";
	return NULL;
}

static int session_open(const struct look *look, struct probed_secret *secret)
{
	char peer[80];
	netsnmp_session s;
	const char *wrong = NULL;

	snmp_sess_init(&s);
	peer_print(&look->job->address, peer, sizeof(peer));
	s.peername = peer;
	s.timeout = (long)look->job->timeout_ms * 1000;
	s.retries = 1;
	s.version = secret->v3 ? SNMP_VERSION_3 : SNMP_VERSION_2c;
	if (secret->v3) {
		wrong = user_set(&s, secret);
	} else {
		s.community = (u_char *)secret->community;
		s.community_len = strlen(secret->community);
	}
	if (wrong == NULL)
		look->snmp->session = snmp_sess_open(&s);
	explicit_bzero(s.securityAuthKey, sizeof(s.securityAuthKey));
	explicit_bzero(s.securityPrivKey, sizeof(s.securityPrivKey));
	if (wrong != NULL)
		return say(look, -ENOTSUP, wrong);
	if (look->snmp->session == NULL)
		return say(look, -EIO, snmp_api_errstring(s.s_snmp_errno));
	return 0;
}

static int snmp_open_for(const struct look *look)
{
	struct probed_secret secret;
	char why[PROBED_SNMP_WORDS / 2];
	int rc = probed_secret_read(look->job->credentials, &secret, why,
				    sizeof(why));

	if (rc == 0) {
		rc = session_open(look, &secret);
	} else {
		snprintf(look->words, PROBED_SNMP_WORDS,
			 "credentials '%.60s': %s", look->job->credentials,
			 why);
	}
	explicit_bzero(&secret, sizeof(secret));
	return rc;
}

/* -- questions ------------------------------------------------------------- */

static void ask_for(netsnmp_pdu *pdu, enum column column, uint32_t number)
{
	oid name[12];
	size_t n = column_octets(column);

	memcpy(name, columns[column], n * sizeof(*name));
	name[n++] = number;
	snmp_add_null_var(pdu, name, n);
}

/* Sends it, and takes it over.  The answer is without an error of its own. */
static int ask(const struct look *look, netsnmp_pdu *pdu, netsnmp_pdu **answerp)
{
	netsnmp_pdu *answer = NULL;
	char *text = NULL;

	if (atomic_load(&look->job->stop) || now_ms() >= look->end_ms) {
		snmp_free_pdu(pdu);
		return say(look, -ETIMEDOUT, "its answers take too long");
	}
	int status =
		snmp_sess_synch_response(look->snmp->session, pdu, &answer);
	if (status == STAT_TIMEOUT)
		return say(look, -ETIMEDOUT, "no answer");
	if (status != STAT_SUCCESS || answer == NULL) {
		snmp_sess_error(look->snmp->session, NULL, NULL, &text);
		say(look, -EIO, text != NULL ? text : "no usable answer");
		free(text);
		snmp_free_pdu(answer);
		return -EIO;
	}
	if (answer->command == SNMP_MSG_REPORT ||
	    answer->errstat != SNMP_ERR_NOERROR) {
		say(look, -EIO,
		    answer->command == SNMP_MSG_REPORT
			    ? "it does not accept us"
			    : snmp_errstring((int)answer->errstat));
		snmp_free_pdu(answer);
		return -EIO;
	}
	*answerp = answer;
	return 0;
}

/* The variable is that column of that interface, or NULL. */
static const netsnmp_variable_list *var_of(const netsnmp_pdu *answer,
					   enum column column, uint32_t number)
{
	size_t n = column_octets(column);

	for (const netsnmp_variable_list *v = answer->variables; v != NULL;
	     v = v->next_variable)
		if (v->name_length == n + 1 && v->name[n] == number &&
		    memcmp(v->name, columns[column], n * sizeof(oid)) == 0)
			return v;
	return NULL;
}

static bool number_of(const netsnmp_pdu *answer, enum column column,
		      uint32_t number, uint64_t *out)
{
	const netsnmp_variable_list *v = var_of(answer, column, number);

	if (v == NULL)
		return false;
	if (v->type == ASN_COUNTER64 && v->val_len == sizeof(*v->val.counter64))
		*out = (uint64_t)v->val.counter64->high << 32 |
		       (v->val.counter64->low & UINT32_MAX);
	else if ((v->type == ASN_COUNTER || v->type == ASN_TIMETICKS) &&
		 v->val_len == sizeof(*v->val.integer))
		*out = (uint64_t)*v->val.integer & UINT32_MAX;
	else
		return false;
	return true;
}

static bool text_is(const netsnmp_variable_list *v, const char *text)
{
	size_t n = strlen(text);

	return v->type == ASN_OCTET_STR && v->val_len == n &&
	       memcmp(v->val.string, text, n) == 0;
}

/* -- which interface is which ---------------------------------------------- */

/* Takes a row of a table of names; false: the table is over. */
static bool row_take(const struct look *look, enum column column,
		     const netsnmp_variable_list *v, oid *last)
{
	struct probed_snmp *snmp = look->snmp;
	size_t n = column_octets(column);

	if (v->name_length != n + 1 ||
	    memcmp(v->name, columns[column], n * sizeof(oid)) != 0 ||
	    v->type != ASN_OCTET_STR || v->name[n] <= *last ||
	    v->name[n] > INT32_MAX)
		return false;
	*last = v->name[n];
	for (size_t i = 0; i < look->job->n; i++) {
		if (snmp->numbers[i] != 0 ||
		    !text_is(v, look->job->interfaces[i]))
			continue;
		snmp->numbers[i] = (uint32_t)v->name[n];
		snmp->named_by[i] = column;
	}
	return true;
}

static bool all_found(const struct look *look)
{
	for (size_t i = 0; i < look->job->n; i++)
		if (look->snmp->numbers[i] == 0)
			return false;
	return true;
}

static int names_walk(const struct look *look, enum column column)
{
	size_t rows = 0;
	oid last = 0;

	while (rows < ROWS_MAX && !all_found(look)) {
		netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GETBULK);
		netsnmp_pdu *answer = NULL;
		bool more = true;
		if (pdu == NULL)
			return say(look, -ENOMEM, "no memory");
		pdu->non_repeaters = 0;
		pdu->max_repetitions = PER_WALK;
		ask_for(pdu, column, (uint32_t)last);
		int rc = ask(look, pdu, &answer);
		if (rc != 0)
			return rc;
		if (answer->variables == NULL)
			more = false;
		for (const netsnmp_variable_list *v = answer->variables;
		     v != NULL && more; v = v->next_variable, rows++)
			more = row_take(look, column, v, &last);
		snmp_free_pdu(answer);
		if (!more)
			break;
	}
	return 0;
}

/* "17": a number; 0: none. */
static uint32_t number_parse(const char *text)
{
	uint64_t n = 0;

	for (; *text >= '0' && *text <= '9' && n <= INT32_MAX; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	return *text == '\0' && n <= INT32_MAX ? (uint32_t)n : 0;
}

static int interfaces_find(const struct look *look)
{
	struct probed_snmp *snmp = look->snmp;
	int rc = 0;

	for (size_t i = 0; i < look->job->n; i++) {
		snmp->numbers[i] = number_parse(look->job->interfaces[i]);
		snmp->named_by[i] = BEGUN;
	}
	if (!all_found(look))
		rc = names_walk(look, IF_NAME);
	if (rc == 0 && !all_found(look))
		rc = names_walk(look, IF_DESCR);
	for (size_t i = 0; rc == 0 && i < look->job->n; i++) {
		if (snmp->numbers[i] != 0)
			continue;
		snprintf(look->words, PROBED_SNMP_WORDS,
			 "it has no interface '%.*s'", (int)NAME_MAX_OCTETS,
			 look->job->interfaces[i]);
		return -ENOENT;
	}
	snmp->found = rc == 0;
	return rc;
}

/* -- counters -------------------------------------------------------------- */

static int counter_missing(const struct look *look, size_t i)
{
	snprintf(look->words, PROBED_SNMP_WORDS,
		 "it does not tell octets of interface '%.*s'",
		 (int)NAME_MAX_OCTETS, look->job->interfaces[i]);
	return -ENOENT;
}

/* The 32-bit counters, of an interface that has no others. */
static int narrow_read(const struct look *look, size_t i,
		       struct probed_counter *counter)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET), *answer = NULL;
	uint32_t number = look->snmp->numbers[i];

	if (pdu == NULL)
		return say(look, -ENOMEM, "no memory");
	ask_for(pdu, IN, number);
	ask_for(pdu, OUT, number);
	int rc = ask(look, pdu, &answer);
	if (rc != 0)
		return rc;
	bool there = number_of(answer, IN, number, &counter->in) &&
		     number_of(answer, OUT, number, &counter->out);
	snmp_free_pdu(answer);
	counter->wide = false;
	return there ? 0 : counter_missing(look, i);
}

/* Still the interface of that name?  It may have another number by now. */
static bool is_same(const struct look *look, const netsnmp_pdu *answer,
		    size_t i)
{
	enum column by = look->snmp->named_by[i];

	if (by == BEGUN)
		return true;
	const netsnmp_variable_list *v =
		var_of(answer, by, look->snmp->numbers[i]);
	return v != NULL && text_is(v, look->job->interfaces[i]);
}

static int counter_take(const struct look *look, const netsnmp_pdu *answer,
			size_t i, struct probed_counter *counter)
{
	uint32_t number = look->snmp->numbers[i];
	uint64_t begun = 0;

	if (!is_same(look, answer, i))
		return -ESTALE;
	(void)number_of(answer, BEGUN, number, &begun);
	counter->begun = (uint32_t)begun;
	counter->wide = number_of(answer, HC_IN, number, &counter->in) &&
			number_of(answer, HC_OUT, number, &counter->out);
	return counter->wide ? 0 : narrow_read(look, i, counter);
}

/* Some of the interfaces, and with the first of them the switch's clock. */
static int some_read(const struct look *look, size_t from,
		     struct probed_counters *counters)
{
	size_t to =
		from + PER_GET < look->job->n ? from + PER_GET : look->job->n;
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GET), *answer = NULL;
	uint64_t before_ms = now_ms();

	if (pdu == NULL)
		return say(look, -ENOMEM, "no memory");
	if (from == 0)
		snmp_add_null_var(pdu, uptime, sizeof(uptime) / sizeof(oid));
	for (size_t i = from; i < to; i++) {
		uint32_t number = look->snmp->numbers[i];
		if (look->snmp->named_by[i] != BEGUN)
			ask_for(pdu, look->snmp->named_by[i], number);
		ask_for(pdu, HC_IN, number);
		ask_for(pdu, HC_OUT, number);
		ask_for(pdu, BEGUN, number);
	}
	int rc = ask(look, pdu, &answer);
	if (rc != 0)
		return rc;
	if (from == 0) {
		const netsnmp_variable_list *v = answer->variables;
		counters->when_ms = before_ms + (now_ms() - before_ms) / 2;
		if (v == NULL || v->type != ASN_TIMETICKS ||
		    v->val_len != sizeof(*v->val.integer))
			rc = say(look, -EIO, "it does not tell its uptime");
		else
			counters->uptime_cs = (uint32_t)*v->val.integer;
	}
	for (size_t i = from; i < to && rc == 0; i++)
		rc = counter_take(look, answer, i, &counters->of[i]);
	snmp_free_pdu(answer);
	return rc;
}

static int counters_read(const struct look *look,
			 struct probed_counters *counters)
{
	int rc = 0;

	if (!look->snmp->found)
		rc = interfaces_find(look);
	for (size_t i = 0; i < look->job->n && rc == 0; i += PER_GET)
		rc = some_read(look, i, counters);
	counters->n = look->job->n;
	return rc;
}

/* -- what others call ------------------------------------------------------ */

bool probed_snmp_there(void)
{
	return true;
}

int probed_snmp_read(struct probed_snmp_job *job, struct probed_snmp **snmpp,
		     struct probed_counters *counters,
		     char words[PROBED_SNMP_WORDS])
{
	struct look look = { job, *snmpp, now_ms() + TIMES * job->timeout_ms,
			     words };
	int rc = 0;

	words[0] = '\0';
	if (look.snmp == NULL) {
		look.snmp = calloc(1, sizeof(*look.snmp));
		rc = look.snmp != NULL ? snmp_open_for(&look)
				       : say(&look, -ENOMEM, "no memory");
	}
	if (rc == 0)
		rc = counters_read(&look, counters);
	if (rc == -ESTALE) { /* interfaces have been numbered anew */
		look.snmp->found = false;
		rc = counters_read(&look, counters);
	}
	if (rc == 0) {
		*snmpp = look.snmp;
		return 0;
	}
	if (words[0] == '\0')
		(void)say(&look, rc, "its interfaces change");
	probed_snmp_close(look.snmp);
	*snmpp = NULL;
	return rc;
}

/*
 * net-snmp keeps users of engines for good, with their keys: with those of a
 * file that has changed, the next session would have the old ones.
 */
static void user_forget(void *session)
{
	const netsnmp_session *s = snmp_sess_session(session);

	if (s == NULL || s->version != SNMP_VERSION_3 ||
	    s->securityEngineID == NULL || s->securityName == NULL)
		return;
	struct usmUser *user = usm_get_user(
		s->securityEngineID, s->securityEngineIDLen, s->securityName);
	if (user == NULL)
		return;
	usm_remove_user(user);
	usm_free_user(user);
}

void probed_snmp_close(struct probed_snmp *snmp)
{
	if (snmp == NULL)
		return;
	if (snmp->session != NULL) {
		user_forget(snmp->session);
		snmp_sess_close(snmp->session);
	}
	free(snmp);
}

#else /* HAVE_NETSNMP */

void probed_snmp_init(void)
{
}

bool probed_snmp_there(void)
{
	return false;
}

int probed_snmp_read(struct probed_snmp_job *job, struct probed_snmp **snmpp,
		     struct probed_counters *counters,
		     char words[PROBED_SNMP_WORDS])
{
	(void)job;
	(void)snmpp;
	(void)counters;
	snprintf(words, PROBED_SNMP_WORDS, "built without net-snmp");
	return -ENOTSUP;
}

void probed_snmp_close(struct probed_snmp *snmp)
{
	(void)snmp;
}

#endif
