/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * load - from a file to what the hooks read: snapshots, the zones' lasting
 * state, the maps of the views, and the last good copy.
 *
 * load_first() and load_publish() run where the configuration is first needed
 * (plugin_register) or on the worker thread.  Of the process lock's holders
 * none waits for I/O.
 */
#include "plugin/process.h"

#define LOAD_DEFAULT_CACHE (256u << 20)

/*
 * The configuration to start with: 'file', else (not 'strict') the last good
 * copy.  Returns 0 and '*configp', or -errno with the reasons in '*report'.
 */
int load_first(const char *file, bool strict, struct config **configp,
	       struct load_report *report);

/* Logs what '*report' says of loading 'file'. */
void load_report_log(const char *file, const struct load_report *report);

/*
 * Builds a snapshot of 'config' and its map of clients (NULL: none), both taken
 * over, also on error, and puts it in force for all instances.  Returns 0 or
 * -ENOMEM, the old one staying.
 */
int load_publish(struct process *p, struct config *config, struct geo_map *geo);

/* True if every zone that 'instance' selects is there. */
bool load_selects(struct process *p, const struct instance *instance);

/* Adds 'instance' to the list, with its map. */
void load_attach(struct process *p, struct instance *instance);

/* Takes 'instance' out and frees it; true if it was the last. */
bool load_detach(struct process *p, struct instance *instance);

/* Withdraws the running configuration: at the very end. */
void load_withdraw(struct process *p);
