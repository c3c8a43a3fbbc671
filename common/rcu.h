/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * rcu - read-copy-update, liburcu's bulletproof flavour (threads that are not
 * ours need no registration), plus what ThreadSanitizer must be told, because
 * it cannot see into liburcu's inline assembly.
 *
 * Pointers that readers follow are C11 _Atomic: released by the writer,
 * acquired (consume) by the reader.  liburcu only decides when memory may be
 * freed.
 */
#include <stdatomic.h>
#include <urcu-bp.h>

#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif

#ifdef RCU_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char rcu_tsan_anchor;
#define RCU_HB_RELEASE() __tsan_release(&rcu_tsan_anchor)
#define RCU_HB_ACQUIRE() __tsan_acquire(&rcu_tsan_anchor)
#else
#define RCU_HB_RELEASE() ((void)0)
#define RCU_HB_ACQUIRE() ((void)0)
#endif

static inline void rcu_enter(void)
{
	urcu_bp_read_lock();
}

static inline void rcu_leave(void)
{
	RCU_HB_RELEASE();
	urcu_bp_read_unlock();
}

/* Waits until every reader that might hold an old pointer has left. */
static inline void rcu_wait(void)
{
	urcu_bp_synchronize_rcu();
	RCU_HB_ACQUIRE();
}
