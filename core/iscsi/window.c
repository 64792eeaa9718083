/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/window.h"

#include "iscsi/session.h"
#include "rt/memory.h"
#include "rt/worker.h"

#define SMALLEST_WINDOW 8u

static struct rt_memory *memory_of(const struct iscsi_session *session)
{
	return session->worker->rt->memory;
}

static size_t credit(const struct iscsi_window *window, uint32_t commands)
{
	return (size_t)rt_round_up(window->bytes_per_command, RT_MEMORY_PAGE_BYTES) * commands;
}

bool iscsi_window_open(struct iscsi_session *session, uint32_t first_cmd_sn, uint32_t bytes_per_command, uint32_t limit)
{
	struct iscsi_window *window = &session->window;

	*window = (struct iscsi_window){
	    .max_cmd_sn = first_cmd_sn - 1,
	    .commands = SMALLEST_WINDOW,
	    .goal = SMALLEST_WINDOW,
	    .limit = limit > SMALLEST_WINDOW ? limit : SMALLEST_WINDOW,
	    .bytes_per_command = bytes_per_command,
	    .period_end = first_cmd_sn + SMALLEST_WINDOW,
	};
	return rt_memory_reserve(memory_of(session), credit(window, window->commands + ISCSI_IMMEDIATE_COMMANDS));
}

void iscsi_window_close(struct iscsi_session *session)
{
	const struct iscsi_window *window = &session->window;

	rt_memory_unreserve(memory_of(session), credit(window, window->commands + ISCSI_IMMEDIATE_COMMANDS));
}

void iscsi_window_command_came(struct iscsi_session *session)
{
	struct iscsi_window *window = &session->window;

	if (++window->in_use > window->busiest)
		window->busiest = window->in_use;
}

void iscsi_window_command_left(struct iscsi_session *session)
{
	session->window.in_use--;
}

/* Of the whole credit, half is left to sessions to come: windows grow within the other half. */
static size_t bytes_for_growth(const struct rt_memory_usage *usage)
{
	return usage->limit_bytes[RT_MEMORY_WINDOW] / 2;
}

static size_t bytes_taken(const struct rt_memory_usage *usage)
{
	return usage->used_bytes[RT_MEMORY_WINDOW] + usage->reserved_bytes;
}

static void grow(struct iscsi_session *session)
{
	const struct rt_memory_usage usage = rt_memory_usage(memory_of(session));
	struct iscsi_window *window = &session->window;
	uint32_t more = window->commands;

	if (window->goal < window->commands) {
		window->goal = window->commands; /* it shrinks no more */
		return;
	}
	if (more > window->limit - window->commands)
		more = window->limit - window->commands;
	if (!more || bytes_taken(&usage) + credit(window, more) > bytes_for_growth(&usage) ||
	    !rt_memory_reserve(memory_of(session), credit(window, more)))
		return;
	window->commands += more;
	window->goal = window->commands;
}

/* Others could soon not grow. */
static bool is_memory_short(const struct iscsi_session *session)
{
	const struct rt_memory_usage usage = rt_memory_usage(memory_of(session));

	return bytes_taken(&usage) > bytes_for_growth(&usage) / 4 * 3;
}

/* A whole window of commands has come since the last time: whether so large a window was of use. */
static void end_period(struct iscsi_session *session)
{
	struct iscsi_window *window = &session->window;

	if (window->goal > SMALLEST_WINDOW && window->busiest < window->goal / 4 && is_memory_short(session))
		window->goal = window->goal / 2 > SMALLEST_WINDOW ? window->goal / 2 : SMALLEST_WINDOW;
	window->busiest = window->in_use;
	window->period_end = session->exp_cmd_sn + window->goal;
}

/* Gives back what can no longer be called on: neither promised nor in use. */
static void give_back(struct iscsi_session *session)
{
	struct iscsi_window *window = &session->window;
	uint32_t kept = window->in_use + (window->max_cmd_sn + 1 - session->exp_cmd_sn);

	if (kept < window->goal)
		kept = window->goal;
	if (kept >= window->commands)
		return;
	rt_memory_unreserve(memory_of(session), credit(window, window->commands - kept));
	window->commands = kept;
}

/* Commands that the initiator may send now: it has the whole window but for what is under way. */
static uint32_t open_commands(const struct iscsi_window *window)
{
	return window->in_use < window->goal ? window->goal - window->in_use : 0;
}

uint32_t iscsi_window_advance(struct iscsi_session *session)
{
	struct iscsi_window *window = &session->window;
	uint32_t next;

	if (window->in_use * 2 >= window->goal && (window->commands < window->limit || window->goal < window->commands))
		grow(session);
	if (!rt_serial_before(session->exp_cmd_sn, window->period_end))
		end_period(session);
	next = session->exp_cmd_sn + open_commands(window) - 1;
	if (session->connection && session->connection->draining)
		next = window->max_cmd_sn;
	if (rt_serial_before(window->max_cmd_sn, next))
		window->max_cmd_sn = next;
	if (window->commands > window->goal)
		give_back(session);
	return window->max_cmd_sn;
}

bool iscsi_window_is_owed(const struct iscsi_session *session)
{
	const struct iscsi_window *window = &session->window;

	return !session->closing && rt_serial_before(window->max_cmd_sn, session->exp_cmd_sn) &&
	       open_commands(window) > 0 && !session->connection->draining;
}
