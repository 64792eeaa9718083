/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rbd_test.h"

#define TEST_LIMIT_S 180

static char folder[64], conf[96];
char image_name[64];

/* ---- The cluster ---------------------------------------------------------------------------------------------------
 */

bool cluster_start(void)
{
	char command[512];

	snprintf(folder, sizeof(folder), "/var/tmp/tgtkit-rbd-XXXXXX");
	if (mkdtemp(folder) == NULL) {
		perror(folder);
		return false;
	}
	snprintf(conf, sizeof(conf), "%s/ceph/ceph.conf", folder);
	snprintf(command, sizeof(command), "CEPH_USE=rbd sh '%s/ceph.sh' up %s/ceph", TEST_LIB, folder);
	if (system(command) == 0)
		return true;
	fprintf(stderr, "Ceph does not start; the packages are ceph-mon ceph-osd ceph-common\n");
	cluster_stop();
	return false;
}

void cluster_stop(void)
{
	char command[512];

	snprintf(command, sizeof(command), "sh '%s/ceph.sh' down %s/ceph; rm -rf %s", TEST_LIB, folder, folder);
	if (system(command) != 0)
		fprintf(stderr, "the cluster in %s could not be ended\n", folder);
}

void cluster_shell(const char *command)
{
	char line[2048];

	snprintf(line, sizeof(line),
		 "cd '%s' && CONF=%s RBD='rbd -c %s' CEPH='ceph -c %s --connect-timeout 20' IMAGE=%s && { %s; } "
		 ">shell.log 2>&1",
		 scratch, conf, conf, conf, image_name, command);
	if (system(line) == 0)
		return;
	snprintf(line, sizeof(line), "cat '%s/shell.log' >&2", scratch);
	ck_assert_msg(system(line) == 0, "the log cannot be shown");
	ck_abort_msg("this has failed: %s", command);
}

/* ---- Tests ---------------------------------------------------------------------------------------------------------
 */

static void tear_down(void)
{
	tear_down_scratch();
	ck_assert_uint_eq(fh_violations(), 0);
}

TCase *make_case(const char *name)
{
	TCase *tests = tcase_create(name);

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down);
	tcase_set_timeout(tests, TEST_LIMIT_S);
	return tests;
}

void new_image_name(void)
{
	static unsigned count;

	snprintf(image_name, sizeof(image_name), "image-%d-%u", (int)getpid(), count++);
}

const char *cluster_conf(void)
{
	return conf;
}

int try_open(struct fh_unit **unit, const char *path, const struct fh_option *options, uint32_t flags,
	     uint64_t size_bytes)
{
	struct fh_option all[MOST_OPTIONS + 2] = {{"conf", conf}};
	size_t count = 1;
	struct fh_spec spec = {.plugin = fh_load(RBD_PLUGIN),
			       .path = path == NULL ? image_name : path,
			       .options = all,
			       .flags = flags,
			       .size_bytes = size_bytes};

	for (size_t i = 0; options != NULL && options[i].key != NULL; i++) {
		ck_assert_uint_lt(i, MOST_OPTIONS);
		if (strcmp(options[i].key, "conf") == 0)
			all[0] = options[i];
		else
			all[count++] = options[i];
	}
	return fh_open(&spec, unit);
}

struct fh_unit *create(uint64_t size_bytes, const struct fh_option *options)
{
	struct fh_unit *unit;

	new_image_name();
	ck_status(try_open(&unit, NULL, options, TGTKIT_OPEN_CREATE, size_bytes), 0);
	return unit;
}

void assert_error_says(const char *text)
{
	ck_assert_msg(strstr(fh_error(), text) != NULL, "the error does not say '%s': %s", text, fh_error());
}

uint32_t random_below(uint32_t limit)
{
	/* The same in every run. */
	static uint32_t state = 4711;

	state = state * 1103515245u + 12345u;
	return (state >> 8) % limit;
}
