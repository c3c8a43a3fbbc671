/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/* groups_file_int - numbers of the format; groups_file.h says what they are. */
#include "gtm/groups_file.h"

#define FILE_MAGIC	  "nzgroups"
#define FILE_HEADER	  32u
#define FILE_SUM	  8u
#define FILE_SECTION_HEAD 16u
#define FILE_ROW_MAX                                                           \
	(2u + 16u + GTM_COLUMNS_MAX / 8 + GTM_COLUMNS_MAX * sizeof(uint32_t))
#define FILE_COLUMNS_TIMES 64u /* sections of columns in a file */

enum file_section { FILE_COLUMNS = 1, FILE_ROWS, FILE_END };
