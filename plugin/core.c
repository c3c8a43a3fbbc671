/* SPDX-License-Identifier: MPL-2.0 */
/*
 * core - what named calls: the four functions of BIND's plugin API
 * (<ns/hooks.h>), through the stub.  named's main thread, network paused; the
 * last plugin_destroy() may be on any thread of named's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <isc/log.h>
#include <isc/result.h>
#include <ns/hooks.h>
#include <ns/log.h>

#include "plugin/hook.h"
#include "plugin/log.h"
#include "plugin/params.h"
#include "plugin/process.h"
#include "plugin/queryon.h"

#define FINDINGS_MAX 32u

int plugin_version(void)
{
	return NS_PLUGIN_VERSION;
}

static void complain(isc_log_t *lctx, const char *where, const char *text)
{
	isc_log_write(lctx, NS_LOGCATEGORY_GENERAL, NS_LOGMODULE_HOOKS,
		      ISC_LOG_ERROR, "nearzone: %s: %s", where, text);
}

static bool has_zone(const struct config *config, const char *id)
{
	for (size_t i = 0; i < config->n_zones; i++)
		if (strcmp(config->zones[i].id, id) == 0)
			return true;
	return false;
}

static isc_result_t check_zones(const struct config *config,
				const struct params *params, const char *where,
				isc_log_t *lctx)
{
	isc_result_t result = ISC_R_SUCCESS;
	char text[ERR_TEXT_MAX];

	for (size_t i = 0; i < params->n_zones; i++) {
		if (has_zone(config, params->zones[i]))
			continue;
		(void)snprintf(text, sizeof(text), "zone '%s' is not in '%s'",
			       params->zones[i], config->file);
		complain(lctx, where, text);
		result = ISC_R_FAILURE;
	}
	return result;
}

/* The same check as at a load, for named-checkconf. */
static isc_result_t check_file(const struct params *params, const char *where,
			       isc_log_t *lctx)
{
	struct config *config = NULL;
	struct err errs[FINDINGS_MAX];
	size_t n_errs = 0;
	char line[ERR_TEXT_MAX + ERR_PATH_MAX + 64];

	if (config_load(params->config, &config, errs, FINDINGS_MAX, &n_errs) ==
	    0) {
		isc_result_t result = check_zones(config, params, where, lctx);
		config_free(config);
		return result;
	}
	for (size_t i = 0; i < n_errs; i++) {
		err_format(&errs[i], params->config, line, sizeof(line));
		complain(lctx, where, line);
	}
	return ISC_R_FAILURE;
}

// NOLINTNEXTLINE(readability-function-size): named's signature
isc_result_t plugin_check(const char *parameters, const void *cfg,
			  const char *cfg_file, unsigned long cfg_line,
			  isc_mem_t *mctx, isc_log_t *lctx, void *actx)
{
	struct params params;
	char where[160];
	char why[ERR_TEXT_MAX];

	(void)cfg;
	(void)mctx;
	(void)actx;
	(void)snprintf(where, sizeof(where), "%s:%lu", cfg_file, cfg_line);
	if (params_parse(parameters, &params, why, sizeof(why)) != 0) {
		complain(lctx, where, why);
		return ISC_R_FAILURE;
	}
	isc_result_t result = check_file(&params, where, lctx);
	params_free(&params);
	return result;
}

/* Moves what 'params' holds into a new instance. */
static struct instance *instance_new(struct params *params, const char *where)
{
	struct instance *inst = calloc(1, sizeof(*inst));

	if (inst == NULL)
		return NULL;
	inst->config_file = params->config;
	inst->node = params->node;
	inst->selected = params->zones;
	inst->n_selected = params->n_zones;
	(void)snprintf(inst->where, sizeof(inst->where), "%s", where);
	*params = (struct params){ 0 };
	return inst;
}

static void add_hooks(ns_hooktable_t *hooktable, isc_mem_t *mctx,
		      struct instance *inst)
{
	static const struct {
		ns_hookpoint_t point;
		ns_hook_action_t action;
	} all[] = {
		{ NS_QUERY_SETUP, hook_setup },
		{ NS_QUERY_START_BEGIN, hook_start },
		{ NS_QUERY_RESPOND_BEGIN, hook_respond },
		{ NS_QUERY_RESPOND_ANY_BEGIN, hook_other },
		{ NS_QUERY_CNAME_BEGIN, hook_other },
		{ NS_QUERY_NODATA_BEGIN, hook_other },
		{ NS_QUERY_DONE_SEND, hook_done },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ns_hook_add(hooktable, mctx, all[i].point,
			    &(ns_hook_t){ .action = all[i].action,
					  .action_data = inst });
}

// NOLINTNEXTLINE(readability-function-size): named's signature
isc_result_t plugin_register(const char *parameters, const void *cfg,
			     const char *cfg_file, unsigned long cfg_line,
			     isc_mem_t *mctx, isc_log_t *lctx, void *actx,
			     ns_hooktable_t *hooktable, void **instp)
{
	struct params params;
	char where[160];
	char why[ERR_TEXT_MAX];

	(void)snprintf(where, sizeof(where), "%s:%lu", cfg_file, cfg_line);
	if (params_parse(parameters, &params, why, sizeof(why)) != 0) {
		complain(lctx, where, why);
		return ISC_R_FAILURE;
	}
	bool fail_hard = params.error_fails;
	struct instance *inst = instance_new(&params, where);
	params_free(&params);
	if (inst == NULL)
		return ISC_R_NOMEMORY;
	struct statement statement = {
		cfg, cfg_file, cfg_line, mctx, lctx, actx
	};
	isc_result_t result = queryon_find(&statement, &inst->query_on);
	if (result != ISC_R_SUCCESS) {
		complain(lctx, where, "allow-query-on cannot be read");
		instance_free(inst);
		return result;
	}
	if (process_add(inst, fail_hard, why) != 0) {
		complain(lctx, where, why);
		instance_free(inst);
		return ISC_R_FAILURE;
	}
	add_hooks(hooktable, mctx, inst);
	*instp = inst;
	return ISC_R_SUCCESS;
}

void plugin_destroy(void **instp)
{
	struct instance *inst = *instp;

	*instp = NULL;
	process_remove(inst);
}
