/* SPDX-License-Identifier: MPL-2.0 */
/*
 * stub - nearzone.so, what named.conf names: it loads in any release of named
 * and hands everything on to the core that was built for exactly this one.
 *
 * Why: a core is tied to one release (names of BIND's libraries, layouts of
 * its structs), and named refuses to start when a plugin does not load.  An
 * upgrade of BIND must never do that.  So the stub links libc alone, reads
 * the release from the file name of the libisc that is loaded, and looks for
 *
 *	nearzone/RELEASE/core.so
 *
 * beside itself.  Without one the instance is INACTIVE: named serves as if
 * the plugin were absent, and the log says so; with 'on-mismatch fail;' among
 * the parameters the statement is refused instead.
 *
 * Every view's plugin statement has its own instance; nothing is shared, and
 * named calls these functions from one thread at a time.
 */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RELEASE_MAX 128
#define PATH_OCTETS 4096 /* PATH_MAX, with the NUL */

/*
 * What the stub knows of BIND, the same in 9.18 and 9.20: no header of it can
 * be included here.  The symbols are weak, so that the stub loads anywhere.
 */
struct bind_log_id { /* isc_logcategory_t, isc_logmodule_t */
	const char *name;
	unsigned int id;
};

enum bind_result { BIND_SUCCESS = 0, BIND_NOMEMORY = 1, BIND_FAILURE = 25 };
enum bind_level { BIND_WARNING = -3, BIND_ERROR = -4 };

extern struct bind_log_id isc_categories[] __attribute__((weak));
extern struct bind_log_id ns_modules[] __attribute__((weak));
void isc_log_write(void *lctx, struct bind_log_id *category,
		   struct bind_log_id *module, int level, const char *fmt, ...)
	__attribute__((weak, format(printf, 5, 6)));

#define CATEGORY_GENERAL (&isc_categories[1])
#define MODULE_HOOKS	 (&ns_modules[7])

typedef unsigned int (*register_fn)(const char *parameters, const void *cfg,
				    const char *file, unsigned long line,
				    void *mctx, void *lctx, void *actx,
				    void *hooktable, void **instp);
typedef unsigned int (*check_fn)(const char *parameters, const void *cfg,
				 const char *file, unsigned long line,
				 void *mctx, void *lctx, void *actx);
typedef void (*destroy_fn)(void **instp);

/* The functions of a core, or why there is none. */
struct core {
	register_fn register_;
	check_fn check;
	destroy_fn destroy;
	char release[RELEASE_MAX];
	char why[2 * PATH_OCTETS]; /* empty: there is one */
};

/* One plugin statement.  An inactive one has neither. */
struct instance {
	destroy_fn destroy;
	void *inst; /* the core's */
};

/* Where a statement stands, and where to complain about it. */
struct place {
	const char *file;
	unsigned long line;
	void *lctx;
};

/* named's plugin API; named has no header for a plugin's own functions. */
int plugin_version(void);
unsigned int plugin_register(const char *parameters, const void *cfg,
			     const char *file, unsigned long line, void *mctx,
			     void *lctx, void *actx, void *hooktable,
			     void **instp);
unsigned int plugin_check(const char *parameters, const void *cfg,
			  const char *file, unsigned long line, void *mctx,
			  void *lctx, void *actx);
void plugin_destroy(void **instp);

/* -- the core ------------------------------------------------------------- */

/* "9.18.49-1~deb12u3-Debian" out of ".../libisc-9.18.49-1~deb12u3-Debian.so" */
static int release_of(struct dl_phdr_info *object, size_t size, void *release)
{
	(void)size;
	const char *slash = strrchr(object->dlpi_name, '/');
	const char *base = slash != NULL ? slash + 1 : object->dlpi_name;
	if (strncmp(base, "libisc-", 7) != 0)
		return 0;
	base += 7;
	const char *end = strstr(base, ".so");
	if (end == NULL || end == base || end - base >= RELEASE_MAX)
		return 0;
	snprintf(release, RELEASE_MAX, "%.*s", (int)(end - base), base);
	return 1;
}

/*
 * Asks for the objects loaded, not for the one a symbol of libisc is in: named
 * has copies of libisc's data (copy relocations), and may have its functions'
 * addresses.
 */
static void running_release(char release[RELEASE_MAX])
{
	if (dl_iterate_phdr(release_of, release) == 0)
		snprintf(release, RELEASE_MAX, "unknown");
}

/* The core of 'release' beside the file that this code is in. */
static int core_path(const char *release, char path[PATH_OCTETS])
{
	static const char anchor; /* an address of ours, for dladdr() */
	Dl_info info;

	if (dladdr(&anchor, &info) == 0 || info.dli_fname == NULL)
		return -ENOENT;
	const char *slash = strrchr(info.dli_fname, '/');
	int dir = slash != NULL ? (int)(slash - info.dli_fname) : 1;
	int n = snprintf(path, PATH_OCTETS, "%.*s/nearzone/%s/core.so", dir,
			 slash != NULL ? info.dli_fname : ".", release);
	return n > 0 && n < PATH_OCTETS ? 0 : -ENAMETOOLONG;
}

/* Sets '*fn' (a function pointer) to the core's 'name'; false: has none. */
static bool core_symbol(void *handle, const char *name, void *fn)
{
	void *symbol = dlsym(handle, name);

	memcpy(fn, &symbol, sizeof(symbol));
	return symbol != NULL;
}

/*
 * Fills '*core'; core->why is empty if it may be used.  A core stays loaded
 * for good (-z nodelete), so the handle is not kept.
 */
static void core_open(struct core *core)
{
	char path[PATH_OCTETS];

	*core = (struct core){ 0 };
	running_release(core->release);
	if (core_path(core->release, path) != 0) {
		snprintf(core->why, sizeof(core->why),
			 "the plugin's own directory is not known");
		return;
	}
	/* glibc's strerror() and dlerror() speak to this thread alone. */
	if (access(path, F_OK) != 0) {
		snprintf(core->why, sizeof(core->why),
			 "no build for BIND %s at '%s' (%s)", core->release,
			 path,
			 strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
		return;
	}
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		const char *text =
			dlerror(); /* NOLINT(concurrency-mt-unsafe) */
		snprintf(core->why, sizeof(core->why),
			 "the build for BIND %s does not load (%s)",
			 core->release, text != NULL ? text : path);
		return;
	}
	if (!core_symbol(handle, "plugin_register", &core->register_) ||
	    !core_symbol(handle, "plugin_check", &core->check) ||
	    !core_symbol(handle, "plugin_destroy", &core->destroy))
		snprintf(core->why, sizeof(core->why),
			 "'%s' is not a core of this plugin", path);
}

/* -- the parameters -------------------------------------------------------- */

/* Past white space and comments in named.conf's three styles. */
static const char *skip_blank(const char *p)
{
	for (;;) {
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '#' || strncmp(p, "//", 2) == 0) {
			p += strcspn(p, "\n");
		} else if (strncmp(p, "/*", 2) == 0) {
			const char *end = strstr(p + 2, "*/");
			p = end != NULL ? end + 2 : p + strlen(p);
		} else {
			return p;
		}
	}
}

/*
 * Takes one word, quoted string, or mark ({ } ;) off '*textp'.  Sets '*word'
 * (quotes included) and returns its length, 0 at the end of the text.
 */
static size_t next_token(const char **textp, const char **word)
{
	const char *p = skip_blank(*textp);
	size_t n = 0;

	*word = p;
	if (*p == '"') {
		n = 1;
		while (p[n] != '\0' && p[n] != '"')
			n += p[n] == '\\' && p[n + 1] != '\0' ? 2 : 1;
		n += p[n] == '"' ? 1 : 0;
	} else if (*p != '\0') {
		n = strcspn(p, " \t\r\n\v\f\"{};");
		n += n == 0 ? 1 : 0;
	}
	*textp = p + n;
	return n;
}

static bool word_is(const char *word, size_t n, const char *text)
{
	if (n >= 2 && word[0] == '"' && word[n - 1] == '"') {
		word++;
		n -= 2;
	}
	return n == strlen(text) && memcmp(word, text, n) == 0;
}

enum on_mismatch { MISMATCH_INACTIVE, MISMATCH_FAIL, MISMATCH_BAD };

/*
 * What 'on-mismatch' says; 'inactive' if it is not there.  All else in the
 * parameters is the core's business.
 */
static enum on_mismatch on_mismatch(const char *parameters)
{
	const char *text = parameters != NULL ? parameters : "";
	const char *word = NULL;
	unsigned int depth = 0;
	bool first = true; /* of its statement */

	for (size_t n; (n = next_token(&text, &word)) > 0;) {
		if (first && depth == 0 && word_is(word, n, "on-mismatch")) {
			n = next_token(&text, &word);
			if (word_is(word, n, "fail"))
				return MISMATCH_FAIL;
			return word_is(word, n, "inactive") ? MISMATCH_INACTIVE
							    : MISMATCH_BAD;
		}
		depth += *word == '{' ? 1 : 0;
		depth -= *word == '}' && depth > 0 ? 1 : 0;
		first = *word == ';';
	}
	return MISMATCH_INACTIVE;
}

/* -- what named calls ------------------------------------------------------ */

#define SAY(place, level, fmt, ...)                                            \
	do {                                                                   \
		if (isc_log_write != NULL)                                     \
			isc_log_write((place)->lctx, CATEGORY_GENERAL,         \
				      MODULE_HOOKS, (level),                   \
				      "nearzone: %s:%lu: " fmt, (place)->file, \
				      (place)->line, __VA_ARGS__);             \
	} while (0)

/* Says that there is no core; returns what is to become of the statement. */
static enum bind_result inactive(const struct place *place,
				 const struct core *core,
				 const char *parameters, enum bind_level level)
{
	enum on_mismatch want = on_mismatch(parameters);

	if (want == MISMATCH_FAIL) {
		SAY(place, BIND_ERROR,
		    "%s; refused, as 'on-mismatch fail' asks; install a build "
		    "for BIND %s or remove the plugin statement",
		    core->why, core->release);
		return BIND_FAILURE;
	}
	if (want == MISMATCH_BAD)
		SAY(place, BIND_ERROR, "%s",
		    "'on-mismatch' must be 'inactive' or 'fail'");
	SAY(place, level,
	    "INACTIVE: %s; zones are served as if the plugin were absent; "
	    "install a build for BIND %s or remove the plugin statement",
	    core->why, core->release);
	return BIND_SUCCESS;
}

int plugin_version(void)
{
	char release[RELEASE_MAX];

	running_release(release);
	return strncmp(release, "9.20.", 5) == 0 ? 2 : 1;
}

/* NOLINTNEXTLINE(readability-function-size): named's signature */
unsigned int plugin_register(const char *parameters, const void *cfg,
			     const char *file, unsigned long line, void *mctx,
			     void *lctx, void *actx, void *hooktable,
			     void **instp)
{
	struct place place = { file, line, lctx };
	struct core core;

	struct instance *instance = calloc(1, sizeof(*instance));
	if (instance == NULL)
		return BIND_NOMEMORY;

	core_open(&core);
	unsigned int result;
	if (core.why[0] != '\0')
		result = inactive(&place, &core, parameters, BIND_ERROR);
	else
		result = core.register_(parameters, cfg, file, line, mctx, lctx,
					actx, hooktable, &instance->inst);
	if (result == BIND_SUCCESS) {
		instance->destroy = core.destroy;
		*instp = instance;
		return BIND_SUCCESS;
	}

	/* named would do this for a core that it had called itself. */
	if (instance->inst != NULL)
		core.destroy(&instance->inst);
	free(instance);
	return result;
}

/* NOLINTNEXTLINE(readability-function-size): named's signature */
unsigned int plugin_check(const char *parameters, const void *cfg,
			  const char *file, unsigned long line, void *mctx,
			  void *lctx, void *actx)
{
	struct place place = { file, line, lctx };
	struct core core;

	core_open(&core);
	if (core.why[0] == '\0')
		return core.check(parameters, cfg, file, line, mctx, lctx,
				  actx);
	return inactive(&place, &core, parameters, BIND_WARNING);
}

void plugin_destroy(void **instp)
{
	struct instance *instance = *instp;

	*instp = NULL;
	if (instance->destroy != NULL && instance->inst != NULL)
		instance->destroy(&instance->inst);
	free(instance);
}
