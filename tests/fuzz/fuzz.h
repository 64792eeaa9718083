/* SPDX-License-Identifier: Apache-2.0
 *
 * A fuzz driver is one file with these two functions.  It is linked with libFuzzer (configure --enable-fuzzers, with
 * clang), or with replay.c, which runs the files of its corpus as a test with any compiler.
 */
#ifndef TGTKIT_TESTS_FUZZ_H
#define TGTKIT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stands in every build: what does not hold is the finding. */
#define FUZZ_REQUIRE(condition) ((condition) ? (void)0 : abort())

#endif
