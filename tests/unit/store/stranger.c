/* SPDX-License-Identifier: Apache-2.0
 *
 * A shared object that is no plugin.
 */
__attribute__((visibility("default"))) int stranger(void);

int stranger(void)
{
	return 1;
}
