/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this program share: the suites, one server and one unit per test.
 */
#ifndef TGTKIT_TESTS_REMOTE_TEST_H
#define TGTKIT_TESTS_REMOTE_TEST_H

#include "lib/nbd_server.h"
#include "unit/plugins/plugins_test.h"

TCase *journal_tests(void);
TCase *open_tests(void);
TCase *tls_tests(void);
TCase *operation_tests(void);
TCase *restart_tests(void);
TCase *durability_tests(void);
TCase *outage_tests(void);
TCase *nonsense_tests(void);
TCase *manual_page_tests(void);

#define KIB 1024u
#define MIB (1u << 20)

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS(...)   ((const struct fh_option[]){__VA_ARGS__, {NULL, NULL}})

extern struct nbd_server server;
extern struct fh_unit *unit;

/* With a scratch folder for each test; afterwards the server is killed, and no rule was broken. */
TCase *make_case(const char *name);

/* Starts a server on a socket in the scratch folder; the test is over if the program is not installed. */
#define serve(...)                                                                                                     \
	do {                                                                                                           \
		const char *const *arguments_ = ARGUMENTS(__VA_ARGS__);                                                \
		if (!nbd_server_has(arguments_[0]))                                                                    \
			return;                                                                                        \
		nbd_server_start(&server, in_scratch("socket"), arguments_);                                           \
	} while (0)

/* Opens `uri`, or the server's if it is NULL. */
int try_open(const char *uri, const struct fh_option *options);
void open_unit(const struct fh_option *options);
void assert_error_says(const char *text);

uint64_t counter_value(const char *name);
/* Turns the loop until the counter has this value, or a higher one. */
void wait_for_counter(const char *name, uint64_t value);

/* Runs a shell command in the scratch folder. */
void shell(const char *command);
/* Reads of the file in the scratch folder, past the server. */
void read_file(const char *name, void *buffer, size_t length, uint64_t offset);
void write_file(const char *name, const void *buffer, size_t length, uint64_t offset);

uint32_t random_below(uint32_t limit);

#endif
