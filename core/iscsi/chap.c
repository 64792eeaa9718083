/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "iscsi/chap.h"
#include "iscsi/text_parse.h"

static const char *name_of(enum iscsi_chap_algorithm algorithm)
{
	switch (algorithm) {
	case ISCSI_CHAP_MD5:
		return "MD5";
	case ISCSI_CHAP_SHA1:
		return "SHA1";
	case ISCSI_CHAP_SHA256:
		return "SHA256";
	case ISCSI_CHAP_SHA3_256:
		return "SHA3-256";
	}
	return NULL;
}

/* NULL where the library's configuration does not allow it, as FIPS mode does with MD5. */
static EVP_MD *digest_of(enum iscsi_chap_algorithm algorithm)
{
	const char *name = name_of(algorithm);

	return name ? EVP_MD_fetch(NULL, name, NULL) : NULL;
}

static bool is_available(enum iscsi_chap_algorithm algorithm)
{
	EVP_MD *digest = digest_of(algorithm);

	EVP_MD_free(digest);
	return digest != NULL;
}

static bool list_has(const char *list, enum iscsi_chap_algorithm algorithm)
{
	while (*list) {
		size_t length = strcspn(list, ",");
		char element[24];
		uint64_t number;

		if (length < sizeof element) {
			memcpy(element, list, length);
			element[length] = '\0';
			if (iscsi_value_number(element, &number) && number == (uint64_t)algorithm)
				return true;
		}
		list += length + (list[length] == ',');
	}
	return false;
}

enum iscsi_chap_algorithm iscsi_chap_choose(const struct iscsi_authentication *authentication, const char *list)
{
	static const enum iscsi_chap_algorithm strongest_first[] = {ISCSI_CHAP_SHA3_256, ISCSI_CHAP_SHA256,
								    ISCSI_CHAP_SHA1, ISCSI_CHAP_MD5};
	const enum iscsi_chap_algorithm *algorithms = authentication->algorithms;
	size_t count = authentication->algorithm_count;

	if (count == 0) {
		algorithms = strongest_first;
		count = sizeof strongest_first / sizeof *strongest_first;
	}
	for (size_t i = 0; i < count; i++) {
		if (list_has(list, algorithms[i]) && is_available(algorithms[i]))
			return algorithms[i];
	}
	return 0;
}

int iscsi_chap_make_challenge(struct iscsi_chap_challenge *challenge, enum iscsi_chap_algorithm algorithm)
{
	EVP_MD *digest = digest_of(algorithm);

	if (!digest)
		return -EIO;
	challenge->algorithm = algorithm;
	challenge->length = (size_t)EVP_MD_get_size(digest);
	EVP_MD_free(digest);
	if (RAND_bytes(challenge->bytes, (int)challenge->length) != 1 || RAND_bytes(&challenge->identifier, 1) != 1)
		return -EIO;
	return 0;
}

int iscsi_chap_respond(const struct iscsi_chap_challenge *challenge, const struct iscsi_account *account,
		       uint8_t response[static ISCSI_CHAP_DIGEST_BYTES])
{
	EVP_MD *digest = digest_of(challenge->algorithm);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned length = 0;
	bool done = digest && context && EVP_DigestInit_ex(context, digest, NULL) == 1 &&
		    EVP_DigestUpdate(context, &challenge->identifier, 1) == 1 &&
		    EVP_DigestUpdate(context, account->secret, account->secret_bytes) == 1 &&
		    EVP_DigestUpdate(context, challenge->bytes, challenge->length) == 1 &&
		    EVP_DigestFinal_ex(context, response, &length) == 1;

	EVP_MD_CTX_free(context);
	EVP_MD_free(digest);
	return done ? (int)length : -EIO;
}

bool iscsi_chap_verify(const struct iscsi_chap_challenge *challenge, const struct iscsi_account *account,
		       const uint8_t *response, size_t length)
{
	static const uint8_t nothing[ISCSI_CHAP_SMALLEST_SECRET_BYTES];
	static const struct iscsi_account nobody = {.secret = nothing, .secret_bytes = sizeof nothing};
	uint8_t expected[ISCSI_CHAP_DIGEST_BYTES];
	int expected_bytes = iscsi_chap_respond(challenge, account ? account : &nobody, expected);
	bool equal;

	if (expected_bytes < 0 || length != (size_t)expected_bytes)
		return false;
	equal = CRYPTO_memcmp(expected, response, length) == 0;
	return equal && account != NULL;
}

bool iscsi_chap_is_reflection(const struct iscsi_chap_challenge *ours, const struct iscsi_chap_challenge *theirs)
{
	return ours->length == theirs->length && memcmp(ours->bytes, theirs->bytes, ours->length) == 0;
}
