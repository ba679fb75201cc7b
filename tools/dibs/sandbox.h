/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DIBS_SANDBOX_H
#define DIBS_SANDBOX_H

/* For the holder, once: namespaces, which take long to make */
void sandbox_prepare(void);

/* For a worker: from now on nothing can be opened, connected or executed; 0 or -1 */
int sandbox_enter(void);

#endif /* DIBS_SANDBOX_H */
