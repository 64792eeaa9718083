/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS: encrypted and known, or not at all.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "remote_test.h"

static unsigned char data[64 * KIB], seen[64 * KIB];

/* Folders of certificates: "pki" with the server's for 127.0.0.1, "elsewhere" with one for another host by the same
 * authority, "stranger" with another authority; each with the client's. */
static void make_certificates(void)
{
	shell("make() {\n"
	      "  mkdir -p $1 && cd $1\n"
	      "  if [ -n \"$3\" ]; then cp ../$3/ca-*.pem .; else\n"
	      "    certtool --generate-privkey --key-type=ecdsa --outfile ca-key.pem\n"
	      "    printf 'cn=Authority\\nca\\ncert_signing_key\\nexpiration_days=2\\n' >ca.info\n"
	      "    certtool --generate-self-signed --load-privkey ca-key.pem --template ca.info --outfile ca-cert.pem\n"
	      "  fi\n"
	      "  for who in server client; do\n"
	      "    certtool --generate-privkey --key-type=ecdsa --outfile $who-key.pem\n"
	      "    printf \"cn=$who\\n$2\\ntls_www_$who\\nsigning_key\\nexpiration_days=2\\n\" >$who.info\n"
	      "    certtool --generate-certificate --load-ca-certificate ca-cert.pem --load-ca-privkey ca-key.pem \\\n"
	      "      --load-privkey $who-key.pem --template $who.info --outfile $who-cert.pem\n"
	      "  done\n"
	      "  cd ..\n"
	      "}\n"
	      "set -e; make pki ip_address=127.0.0.1; make elsewhere dns_name=elsewhere.example.org pki\n"
	      "make stranger ip_address=127.0.0.1");
}

static bool is_possible(void)
{
	return nbd_server_has("nbdkit") && nbd_server_has("certtool") && nbd_server_has("psktool");
}

static void serve_tcp(const char *switch_1, const char *switch_2)
{
	nbd_server_start(&server, NULL, ARGUMENTS("nbdkit", "-f", switch_1, switch_2, "memory", "1M"));
}

static const char *option(const char *name, const char *file)
{
	static char texts[4][200];
	static unsigned next;
	char *text = texts[next++ % 4];

	snprintf(text, sizeof(texts[0]), "%s=%s", name, in_scratch(file));
	return text;
}

/* The server's URI, encrypted. */
static const char *secure_uri(void)
{
	static char uri[300];

	snprintf(uri, sizeof(uri), "nbds%s", server.uri + strlen("nbd"));
	return uri;
}

static void assert_works(void)
{
	fill(data, sizeof(data), 1);
	ck_status(fh_write(unit, data, sizeof(data), 4096, 0), 0);
	ck_status(fh_read(unit, seen, sizeof(seen), 4096), 0);
	ck_assert_int_eq(memcmp(seen, data, sizeof(data)), 0);
	ck_status(fh_flush(unit), 0);
}

START_TEST(certificates_on_both_sides_let_in)
{
	if (!is_possible())
		return;
	make_certificates();
	serve_tcp(option("--tls-certificates", "pki"), "--tls=require");
	ck_status(try_open(secure_uri(), OPTIONS({"tls_certificates", in_scratch("pki")})), 0);
	assert_works();
	/* Also when it connects again by itself; the memory is new, so all that is known is that it works. */
	nbd_server_kill(&server, SIGKILL);
	nbd_server_restart(&server);
	wait_for_counter("reconnects_total", 1);
	assert_works();
	fh_close(unit);
}
END_TEST

START_TEST(a_server_of_another_authority_is_refused)
{
	if (!is_possible())
		return;
	make_certificates();
	serve_tcp(option("--tls-certificates", "stranger"), "--tls=require");
	ck_assert_int_lt(try_open(secure_uri(), OPTIONS({"tls_certificates", in_scratch("pki")})), 0);
	assert_error_says("certificate");
}
END_TEST

START_TEST(a_certificate_of_another_host_is_refused)
{
	if (!is_possible())
		return;
	make_certificates();
	serve_tcp(option("--tls-certificates", "elsewhere"), "--tls=require");
	ck_assert_int_lt(try_open(secure_uri(), OPTIONS({"tls_certificates", in_scratch("pki")})), 0);
	assert_error_says("certificate");
}
END_TEST

START_TEST(a_server_without_tls_is_refused)
{
	if (!is_possible())
		return;
	make_certificates();
	serve_tcp("--tls=off", "-v");
	ck_assert_int_lt(try_open(secure_uri(), OPTIONS({"tls_certificates", in_scratch("pki")})), 0);
	assert_error_says("TLS");
}
END_TEST

START_TEST(a_server_that_wants_tls_refuses_a_plain_connection)
{
	if (!is_possible())
		return;
	make_certificates();
	serve_tcp(option("--tls-certificates", "pki"), "--tls=require");
	ck_assert_int_lt(try_open(NULL, NULL), 0);
	assert_error_says("TLS");
}
END_TEST

START_TEST(a_shared_key_lets_in_and_a_wrong_one_does_not)
{
	if (!is_possible())
		return;
	shell("psktool -u alice -p keys && psktool -u alice -p wrong && psktool -u bob -p keys");
	serve_tcp(option("--tls-psk", "keys"), "--tls=require");
	ck_status(try_open(secure_uri(), OPTIONS({"tls_psk_file", in_scratch("keys")}, {"tls_username", "alice"})), 0);
	assert_works();
	fh_close(unit);
	ck_status(try_open(secure_uri(), OPTIONS({"tls_psk_file", in_scratch("keys")}, {"tls_username", "bob"})), 0);
	fh_close(unit);
	ck_assert_int_lt(
	    try_open(secure_uri(), OPTIONS({"tls_psk_file", in_scratch("wrong")}, {"tls_username", "alice"})), 0);
	assert_error_says("no connection to the server");
}
END_TEST

START_TEST(certificates_and_keys_exclude_each_other)
{
	if (!is_possible())
		return;
	make_certificates();
	ck_assert_int_lt(try_open("nbds://127.0.0.1/", OPTIONS({"tls_certificates", in_scratch("pki")},
							       {"tls_psk_file", "/dev/null"})),
			 0);
	assert_error_says("exclude each other");
}
END_TEST

START_TEST(a_unix_socket_can_be_encrypted_too)
{
	if (!is_possible())
		return;
	shell("psktool -u alice -p keys");
	serve("nbdkit", "-f", "--tls=require", option("--tls-psk", "keys"), "memory", "1M");
	ck_status(try_open(secure_uri(), OPTIONS({"tls_psk_file", in_scratch("keys")}, {"tls_username", "alice"})), 0);
	assert_works();
	fh_close(unit);
}
END_TEST

TCase *tls_tests(void)
{
	TCase *tests = make_case("TLS");

	tcase_add_test(tests, certificates_on_both_sides_let_in);
	tcase_add_test(tests, a_server_of_another_authority_is_refused);
	tcase_add_test(tests, a_certificate_of_another_host_is_refused);
	tcase_add_test(tests, a_server_without_tls_is_refused);
	tcase_add_test(tests, a_server_that_wants_tls_refuses_a_plain_connection);
	tcase_add_test(tests, a_shared_key_lets_in_and_a_wrong_one_does_not);
	tcase_add_test(tests, certificates_and_keys_exclude_each_other);
	tcase_add_test(tests, a_unix_socket_can_be_encrypted_too);
	return tests;
}
