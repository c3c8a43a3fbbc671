/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_snmp - asks a switch for the octets that its interfaces have counted:
 * IF-MIB (RFC 2863) by SNMPv2c or SNMPv3 with net-snmp's sessions.
 *
 * It waits, and so runs on a thread of its own; net-snmp's tables of users and
 * engines are the process's and have no lock, so one thread at a time may be
 * in any of these functions.  Every answer is bounded, and a reading ends soon
 * after its time, whatever the switch does.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "probes-client/probed_counters.h"

#define PROBED_SNMP_WORDS 200

/* Whom to ask for what. */
struct probed_snmp_job {
	struct sockaddr_storage address; /* with the port */
	char *credentials;		 /* file */
	size_t n;
	char *interfaces[CONFIG_INTERFACES_MAX];
	uint32_t timeout_ms; /* of one request; it is sent twice */
	atomic_bool stop;    /* ends a reading early */
};

struct probed_snmp;

/* Once in the process, before the first reading. */
void probed_snmp_init(void);

/* False: this build has no net-snmp. */
bool probed_snmp_there(void);

/*
 * Takes a reading.  '*snmpp' is a session from an earlier one of the same job,
 * or NULL, and then is for the next.  Returns 0; or -errno with the reason in
 * 'words', and '*snmpp' NULL again.
 */
int probed_snmp_read(struct probed_snmp_job *job, struct probed_snmp **snmpp,
		     struct probed_counters *counters,
		     char words[PROBED_SNMP_WORDS]);

void probed_snmp_close(struct probed_snmp *snmp); /* NULL is fine */
