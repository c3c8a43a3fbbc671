/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/queryon.h"

#include <stdbool.h>
#include <string.h>

#include <isccfg/aclconf.h>
#include <isccfg/cfg.h>

/* True if the list of plugin statements in 'map' has the one at file:line. */
static bool has_statement(const cfg_obj_t *map, const char *file,
			  unsigned long line)
{
	const cfg_obj_t *plugins = NULL;

	if (cfg_map_get(map, "plugin", &plugins) != ISC_R_SUCCESS)
		return false;
	for (const cfg_listelt_t *e = cfg_list_first(plugins); e != NULL;
	     e = cfg_list_next(e)) {
		const cfg_obj_t *o = cfg_listelt_value(e);
		if (cfg_obj_line(o) == line &&
		    strcmp(cfg_obj_file(o), file) == 0)
			return true;
	}
	return false;
}

/* The options of the view in which the statement stands, or NULL. */
static const cfg_obj_t *view_of(const cfg_obj_t *config, const char *file,
				unsigned long line)
{
	const cfg_obj_t *views = NULL;

	if (cfg_map_get(config, "view", &views) != ISC_R_SUCCESS)
		return NULL;
	for (const cfg_listelt_t *e = cfg_list_first(views); e != NULL;
	     e = cfg_list_next(e)) {
		const cfg_obj_t *options =
			cfg_tuple_get(cfg_listelt_value(e), "options");
		if (has_statement(options, file, line))
			return options;
	}
	return NULL;
}

isc_result_t queryon_find(const struct statement *s, dns_acl_t **aclp)
{
	const cfg_obj_t *config = s->cfg;
	const cfg_obj_t *view = view_of(config, s->file, s->line);
	const cfg_obj_t *options = NULL;
	const cfg_obj_t *acl = NULL;

	*aclp = NULL;
	(void)cfg_map_get(config, "options", &options);
	if (view != NULL)
		(void)cfg_map_get(view, "allow-query-on", &acl);
	if (acl == NULL && options != NULL)
		(void)cfg_map_get(options, "allow-query-on", &acl);
	if (acl == NULL)
		return ISC_R_SUCCESS;
	return cfg_acl_fromconfig(acl, config, s->lctx, s->actx, s->mctx, 0,
				  aclp);
}
