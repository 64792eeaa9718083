/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this program share: the suites, and one cluster for all tests.
 */
#ifndef TGTKIT_TESTS_RBD_TEST_H
#define TGTKIT_TESTS_RBD_TEST_H

#include "unit/plugins/plugins_test.h"

TCase *settings_tests(void);
TCase *open_tests(void);
TCase *operation_tests(void);
TCase *owner_tests(void);

#define MIB (1u << 20)

#define MOST_OPTIONS 8

/* Started by main, before the tests fork, and ended by it.  false: it does not start, and has said why. */
bool cluster_start(void);
void cluster_stop(void);
const char *cluster_conf(void); /* path of its configuration */
/* Runs a shell command with $CONF, $RBD (the command with its configuration) and $CEPH; the test is over if it fails.
 */
void cluster_shell(const char *command);

/* With a scratch folder for each test; afterwards no rule was broken. */
TCase *make_case(const char *name);

/* An image of a name that no other test has; "" before the first. */
extern char image_name[64];
void new_image_name(void);

/* Opens `path`, or the image if NULL, with the cluster's configuration and up to MOST_OPTIONS options more. */
int try_open(struct fh_unit **unit, const char *path, const struct fh_option *options, uint32_t flags,
	     uint64_t size_bytes);
/* Creates the image and opens it. */
struct fh_unit *create(uint64_t size_bytes, const struct fh_option *options);
void assert_error_says(const char *text);

#define OPTIONS(...) ((const struct fh_option[]){__VA_ARGS__, {NULL, NULL}})

uint32_t random_below(uint32_t limit);

#endif
