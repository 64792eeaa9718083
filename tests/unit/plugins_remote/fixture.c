/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "remote_test.h"

struct nbd_server server;
struct fh_unit *unit;

#define TEST_LIMIT_S 120

static void set_up(void)
{
	set_up_scratch();
	server = (struct nbd_server){0};
}

static void tear_down(void)
{
	nbd_server_kill(&server, SIGKILL);
	tear_down_scratch();
	ck_assert_uint_eq(fh_violations(), 0);
}

TCase *make_case(const char *name)
{
	TCase *tests = tcase_create(name);

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, TEST_LIMIT_S);
	return tests;
}

int try_open(const char *uri, const struct fh_option *options)
{
	const struct fh_spec spec = {
	    .plugin = fh_load(REMOTE_PLUGIN), .path = uri == NULL ? server.uri : uri, .options = options};

	return fh_open(&spec, &unit);
}

void open_unit(const struct fh_option *options)
{
	ck_status(try_open(NULL, options), 0);
}

void assert_error_says(const char *text)
{
	ck_assert_msg(strstr(fh_error(), text) != NULL, "the error does not say '%s': %s", text, fh_error());
}

static unsigned counter_index(const char *name)
{
	const struct tgtkit_counter *counters = fh_load(REMOTE_PLUGIN)->counters;
	unsigned index = 0;

	while (strcmp(counters[index].name, name) != 0)
		index++;
	return index;
}

uint64_t counter_value(const char *name)
{
	uint64_t values[16];

	fh_load(REMOTE_PLUGIN)->read_counters(fh_handle(unit), values);
	return values[counter_index(name)];
}

struct awaited {
	const char *name;
	uint64_t value;
};

static bool has_counted(void *context)
{
	const struct awaited *awaited = context;

	return counter_value(awaited->name) >= awaited->value;
}

void wait_for_counter(const char *name, uint64_t value)
{
	struct awaited awaited = {name, value};

	fh_run_until(has_counted, &awaited);
}

void shell(const char *command)
{
	char line[2048];

	snprintf(line, sizeof(line), "cd '%s' && { %s; } >shell.log 2>&1", scratch, command);
	if (system(line) != 0) {
		snprintf(line, sizeof(line), "cat '%s/shell.log' >&2", scratch);
		ck_assert_msg(system(line) != 0, "this has failed: %s", command);
		ck_abort_msg("this has failed: %s", command);
	}
}

void read_file(const char *name, void *buffer, size_t length, uint64_t offset)
{
	int fd = open(in_scratch(name), O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(pread(fd, buffer, length, (off_t)offset), (ssize_t)length);
	close(fd);
}

void write_file(const char *name, const void *buffer, size_t length, uint64_t offset)
{
	int fd = open(in_scratch(name), O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(pwrite(fd, buffer, length, (off_t)offset), (ssize_t)length);
	close(fd);
}

uint32_t random_below(uint32_t limit)
{
	/* The same in every run. */
	static uint32_t state = 4711;

	state = state * 1103515245u + 12345u;
	return (state >> 8) % limit;
}
