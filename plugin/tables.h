/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * tables - what traffic management has measured and promised outlives named:
 * the latency table (latency.table) and the table of clients that keep their
 * servers (clients.table), and with it what admission.h has learned, saved
 * every 'cache.snapshot' and at the last plugin_destroy in the state directory,
 * whole or not at all, and read back at the start with true ages.
 *
 * The worker saves, while the engine and named's workers write.
 */
#include "plugin/engine.h"

/*
 * Makes the table of clients, if 's' wants one, or one of another size that has
 * what the old one had; and, once a process, reads what
 * was saved.  Before engine_configure(); blocks for reading.
 */
void tables_configure(struct process *p, struct snapshot *s);

/*
 * Engine: after a new configuration, where 'before' (NULL: the first) was: if
 * its latencies are kept in another table, what came to the old one while that
 * was made is copied, bit by bit.
 */
void tables_configured(struct engine *e, struct snapshot *before);

/* Engine: begins to save if it is time; forgets what is too old. */
void tables_tick(struct engine *e, uint32_t now_s);

/* Engine, at the end. */
void tables_stop(struct engine *e);

/* The last thing: no engine and no worker run any more. */
void tables_save_last(struct process *p);

/* Frees the table of clients: nobody reads any more. */
void tables_free(struct process *p);
