/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request says that nobody may see, out of the text that is kept and into files of its own: `secret` beside a
 * user's name, and options that their plugin declares as secret.
 */
#ifndef TGTKIT_MGMT_SECRETS_H
#define TGTKIT_MGMT_SECRETS_H

#include <libconfig.h>

#include "target/secret_folder.h"
#include "target/spec.h"

/* In the tree: `secret` becomes `secret_file`, and a secret option moves from `options` to `option_files`.  `folder`
 * NULL: none is kept, and a secret is a problem.  Each problem is reported without its object's place, as the text does
 * not exist yet.  -EIO: the folder is to blame; else 0.  Blocks: a pool thread. */
int mgmt_secrets_move(config_t *tree, const struct target_state_folder *folder, struct spec_problems *problems);

#endif
