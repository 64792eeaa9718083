# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a raw iSCSI initiator, and everything that starts, configures and watches a daemon."""
