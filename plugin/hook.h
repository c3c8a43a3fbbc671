/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * hook - the query path: whose question is it, is the answer in memory or
 * decided, may this client have it (NS_QUERY_SETUP); and what named has put
 * together itself (the other hooks).  Runs on
 * named's workers.
 *
 * Neither allocates (but for a query that must wait) nor takes a lock that
 * I/O holds.  No call of named's that could send, detach or end a query is
 * made inside an RCU section, since it might end in plugin_destroy().
 */
#include <ns/hooks.h>

/* An ns_hook_action_t; 'data' is the view's struct instance. */
ns_hookresult_t hook_setup(void *arg, void *data, isc_result_t *resp);

/*
 * The same at NS_QUERY_START_BEGIN, _RESPOND_BEGIN, _RESPOND_ANY_BEGIN and
 * _NODATA_BEGIN (hook_other()), and _DONE_SEND: see alias.h and edit.h.
 */
ns_hookresult_t hook_start(void *arg, void *data, isc_result_t *resp);
ns_hookresult_t hook_respond(void *arg, void *data, isc_result_t *resp);
ns_hookresult_t hook_other(void *arg, void *data, isc_result_t *resp);
ns_hookresult_t hook_done(void *arg, void *data, isc_result_t *resp);
