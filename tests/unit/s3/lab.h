/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the store stand on: a real radosgw, started once per program, a bucket in it, and the plugin in the
 * fake host.  TGTKIT_S3_TEST_ENDPOINT, _ACCESS_KEY and _SECRET_KEY in the environment name a server that runs already.
 */
#ifndef TGTKIT_TESTS_S3_LAB_H
#define TGTKIT_TESTS_S3_LAB_H

#include "lib/fake_host.h"
#include "s3/objects.h"
#include "unit/runner.h"

#define LAB_BUCKET  "tgtkit-tests"
#define LAB_OPTIONS 24

/* An unchecked fixture; the server ends with the program. */
void lab_set_up(void);
extern const char *lab_endpoint, *lab_folder;

/* A volume's specification with a prefix that no other test has. */
struct lab_volume {
	char path[96];
	struct fh_option options[LAB_OPTIONS];
	struct fh_spec spec;
};
void lab_volume(struct lab_volume *volume, uint64_t size_bytes);
/* Sets or replaces an option; `value` stays the caller's. */
void lab_option(struct lab_volume *volume, const char *key, const char *value);
struct fh_unit *lab_open(struct lab_volume *volume);
/* With TGTKIT_OPEN_CREATE. */
struct fh_unit *lab_create(struct lab_volume *volume);

/* Objects as they are. */
struct lab_raw {
	struct s3_client client;
	struct s3_session session;
};
void lab_raw_open(struct lab_raw *raw, const struct lab_volume *volume);
void lab_raw_close(struct lab_raw *raw);
size_t lab_count(struct lab_raw *raw, const char *start);

/* Bytes that depend on where they stand and on a seed. */
void lab_fill(void *buffer, size_t length, uint64_t offset, uint32_t seed);
uint64_t lab_counter(struct fh_unit *unit, const char *name);

#endif
