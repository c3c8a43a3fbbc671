/* SPDX-License-Identifier: MPL-2.0 */
#include "common/rcu.h"

#ifdef RCU_TSAN
char rcu_tsan_anchor;
#endif
