/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * persist - the cache outlives named: saved every 'cache.snapshot' and at the
 * last plugin_destroy into the state directory (cache.snapshot, whole or not
 * at all), read back at the start.
 *
 * The worker saves: it walks the store as any reader does, so neither the
 * engine nor a query waits for it.  What is read is put back by the engine in
 * slices.  A purge by an operator takes the file away before it is answered, or
 * a crash could bring back what was purged.
 */
#include "plugin/engine.h"

#define PERSIST_NAME "cache.snapshot"

/*
 * Reads the snapshot for 's', the first configuration that will be in force;
 * once a process, before engine_configure().  Blocks for reading it.  NULL:
 * there is nothing to be put back.
 */
struct restore *persist_read(struct process *p, struct snapshot *s);

/* Has the engine put it back; after engine_configure().  NULL is fine. */
void persist_put_back(struct process *p, struct restore *r);

/* Engine: begins to save if it is time. */
void persist_tick(struct engine *e, uint32_t now_s);

/* The last thing: no engine and no worker run any more. */
void persist_save_last(struct process *p);

/*
 * Engine: something is about to be purged: what is still to be put back of a
 * snapshot is dropped, as it may be just that.
 */
void persist_forget(struct engine *e);

/*
 * Engine: no snapshot that was begun before now may be read again.  Runs
 * 'then' on the engine's thread when that is certain.
 */
void persist_spoil(struct engine *e, struct job *then);
