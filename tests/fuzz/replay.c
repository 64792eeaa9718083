/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz driver over the files of its corpus: FUZZ_CORPUS under tests/fuzz/corpus, or the files named.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/fuzz.h"

static void run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	rewind(file);
	data = malloc((size_t)size + !size); /* of the exact size, for the sanitizer */
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
}

static unsigned run_corpus(void)
{
	const char *source = getenv("srcdir");
	char folder[1024], path[1536];
	struct dirent *entry;
	unsigned count = 0;
	DIR *files;

	snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/" FUZZ_CORPUS, source ? source : ".");
	files = opendir(folder);
	if (!files) {
		perror(folder);
		exit(EXIT_FAILURE);
	}
	while ((entry = readdir(files))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		run_file(path);
		count++;
	}
	closedir(files);
	return count;
}

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	if (argc == 1 && run_corpus() == 0) {
		fprintf(stderr, "the corpus " FUZZ_CORPUS " is empty\n");
		return EXIT_FAILURE;
	}
	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	return EXIT_SUCCESS;
}
