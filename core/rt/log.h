/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: one line per event, to stderr; or, when that is the journal, an event of its own with the object as fields.
 * Any thread.
 */
#ifndef TGTKIT_RT_LOG_H
#define TGTKIT_RT_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum rt_log_level { RT_LOG_ERROR, RT_LOG_WARNING, RT_LOG_INFO, RT_LOG_DEBUG };

/* 0, or -EINVAL for a name that is none of error, warning, info, debug. */
int rt_log_level_parse(const char *name, enum rt_log_level *level);
const char *rt_log_level_name(enum rt_log_level level);
/* The one in force. */
enum rt_log_level rt_log_level(void);
/* Also looks (anew) whether stderr is the journal. */
void rt_log_set_level(enum rt_log_level level);
bool rt_log_enabled(enum rt_log_level level);

/* Control bytes and bytes above 7Eh in the message are written as \xNN: peers choose parts of it. */
void rt_log(enum rt_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rt_log_v(enum rt_log_level level, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/* What a line is about, for the journal's fields TGTKIT_TARGET and so on; the message names it, too. */
struct rt_log_object {
	const char *target, *unit, *initiator, *address, *plugin; /* NULL or "": none */
	bool has_lun;
	unsigned lun;
};
/* RT_ABOUT(.unit = name): a pointer to one. */
#define RT_ABOUT(...) (&(const struct rt_log_object){__VA_ARGS__})
void rt_log_about(const struct rt_log_object *object, enum rt_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* At most `burst` lines per second from one place; what was left out is counted and said with the next line.
 *
 *     static struct rt_log_limit limit = RT_LOG_LIMIT(5);
 *     rt_log_limited(&limit, RT_LOG_WARNING, "...");
 */
struct rt_log_limit {
	unsigned burst;
	_Atomic uint64_t window_start_ns;
	_Atomic unsigned in_window, left_out;
};
#define RT_LOG_LIMIT(per_second)                                                                                       \
	{                                                                                                              \
		.burst = (per_second)                                                                                  \
	}
void rt_log_limited(struct rt_log_limit *limit, enum rt_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void rt_log_limited_about(struct rt_log_limit *limit, const struct rt_log_object *object, enum rt_log_level level,
			  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
