/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * thread - threads of ours inside named: no signal of named's may ever be
 * delivered to them, so all are blocked before they begin.
 */
#include <pthread.h>
#include <signal.h>

/* Returns 0 or -errno. */
static inline int thread_start(pthread_t *thread, void *(*run)(void *),
			       void *arg)
{
	sigset_t all, old;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(thread, NULL, run, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}
