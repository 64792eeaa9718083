/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this program share: the suites, a scratch folder per test, and block devices to try.
 */
#ifndef TGTKIT_TESTS_PLUGINS_TEST_H
#define TGTKIT_TESTS_PLUGINS_TEST_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/fake_host.h"

TCase *file_tests(void);
TCase *file_lock_tests(void);
TCase *file_failure_tests(void);
TCase *iouring_tests(void);
TCase *posix_sync_tests(void);
TCase *null_tests(void);
TCase *rig_tests(void);
TCase *fake_host_tests(void);
TCase *manual_tests(void);
TCase *header_tests(void);

/* The folder of this test, made by set_up_scratch and removed, with what is in it, by tear_down_scratch.  A test case
 * whose fixtures do that calls use_scratch once. */
void use_scratch(TCase *tests);
extern char scratch[64];
void set_up_scratch(void);
void tear_down_scratch(void);
/* "SCRATCH/name" in a static buffer, one of several in turn. */
const char *in_scratch(const char *name);

/* A file of this test on a tmpfs, or NULL if there is none here. */
const char *in_shared_memory(void);

/* Makes `name` in the scratch folder with `size_bytes`, sparse. */
void make_file(const char *name, uint64_t size_bytes);

/* A loop device on `file`; NULL where that is not permitted here.  Valid until loop_detach. */
const char *loop_attach(const char *file);
void loop_detach(void);

/* A tmpfs of `size_bytes` mounted at the scratch folder's "small"; NULL where that is not permitted here. */
const char *small_tmpfs(unsigned size_bytes);
void small_tmpfs_remove(void);

/* Whether this process may use io_uring. */
bool io_uring_is_allowed(void);

/* The plugins that serve files and block devices: what holds for one holds for all. */
struct posix_plugin {
	const char *name, *file;
	const struct fh_option *buffered, *direct; /* options for either way of I/O */
	const char *without_direct;		   /* how messages call the first */
	bool needs_io_uring;
};
extern const struct posix_plugin posix_plugins[];
extern const int posix_plugin_count;
/* The one that is tested: the first, or that of a test of this number.  false: it is not to be had here. */
extern const struct posix_plugin *posix_plugin;
bool use_posix_plugin(int number);

/* Bytes that depend on the seed. */
void fill(void *buffer, size_t length, uint32_t seed);

/* One or two more than there are: to compare. */
unsigned open_descriptors(void);
unsigned running_threads(void);
size_t allocated_bytes(void);

#define ck_status(expression, expected)                                                                                \
	do {                                                                                                           \
		const int ck_status_ = (expression);                                                                   \
		ck_assert_msg(ck_status_ == (expected), #expression " returned %d instead of %d (%s)", ck_status_,     \
			      (expected), fh_error());                                                                 \
	} while (0)

#endif
