/* SPDX-License-Identifier: MPL-2.0 */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>

void err_set(struct err *err, unsigned long line, const char *path,
	     const char *fmt, ...)
{
	if (err == NULL)
		return;

	va_list args;
	va_start(args, fmt);
	err->line = line;
	snprintf(err->path, sizeof(err->path), "%s", path);
	/* False, and only if clang-tidy reads another file before this one. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
}

void err_format(const struct err *err, const char *file, char *out, size_t size)
{
	char line[32] = "";

	if (err->line != 0)
		snprintf(line, sizeof(line), "%lu: ", err->line);
	snprintf(out, size, "%s%s%s%s%s%s", file,
		 file[0] == '\0'  ? ""
		 : err->line != 0 ? ":"
				  : ": ",
		 line, err->path, err->path[0] != '\0' ? ": " : "", err->text);
}
