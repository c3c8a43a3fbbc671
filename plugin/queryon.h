/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * queryon - the allow-query-on of a view.  named 9.18 keeps it in its zones
 * only, and an edge zone is none; so it is read from named's parsed
 * configuration when the plugin is registered.  named's main thread.
 */
#include <dns/acl.h>
#include <isc/log.h>
#include <isc/mem.h>
#include <isc/result.h>

/* A plugin statement, as plugin_register() learns of it. */
struct statement {
	const void *cfg; /* named's whole configuration */
	const char *file;
	unsigned long line;
	isc_mem_t *mctx;
	isc_log_t *lctx;
	void *actx;
};

/*
 * The list in force where the statement stands: of its view, else of the
 * options.  Sets '*aclp' (NULL: none is set) to a reference, the caller's.
 */
isc_result_t queryon_find(const struct statement *s, dns_acl_t **aclp);
