/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dibs-fabric: points at which a worker can be made to die
 *
 * Between any two of them the state in shared memory does not change, but for what
 * the next worker derives again. Only a build with DIBS_FAULT has them.
 */
#ifndef DIBS_FAULT_H
#define DIBS_FAULT_H

#define FAULT_POINTS(X)								\
	X(JOIN) X(JOINED) X(LEAVE) X(DMB_DROPPED) X(LEFT)			\
	X(REGISTER) X(REGISTERED)						\
	X(UNREGISTER) X(UNREGISTERING) X(UNREGISTERED)				\
	X(RAISED) X(EVENT_DEV) X(EVENT_BUF) X(EVENT_SW) X(EVENT_SENT)		\
	X(ACCEPTED) X(PEEKED) X(RECORDED) X(TAKEN_OUT) X(CONSUMED) X(EXECUTED)	\
	X(FD_FORGOTTEN) X(FDS_CLOSED)						\
	X(REPLY_WRITTEN) X(REPLY_QUEUED) X(REPLY_SENT)				\
	X(FILE_ADDED) X(MAP_ADDED) X(MAP_DELETED) X(FILE_DROPPED) X(IRQ_SET)	\
	X(MOVE_COPIED) X(USED_WRITTEN) X(CURSOR_SAVED) X(USED_PUBLISHED)	\
	X(STATUS_SET) X(RESET) X(CLOSING) X(CLOSED) X(WANTED)

/* Points in an ISM function, which does not come to all of the above */
#define FAULT_ISM_POINTS(X)							\
	X(ISM_BEGUN) X(ISM_ANSWERED) X(ISM_SUMMARY_SET) X(ISM_SIGNAL_WRITTEN)	\
	X(ISM_EVENT_WRITTEN) X(ISM_EVENT_NOTED)

enum fault_at {
#define FAULT_ENUM(name) FAULT_##name,
	FAULT_POINTS(FAULT_ENUM)
	FAULT_ISM_POINTS(FAULT_ENUM)
#undef FAULT_ENUM
	FAULT_NR,
	FAULT_FIRST_ISM = FAULT_ISM_BEGUN,
};

#ifdef DIBS_FAULT
void fault_point(enum fault_at at);
int fault_patience(int seconds);
#else
static inline void fault_point(enum fault_at at) { (void)at; }
static inline int fault_patience(int seconds) { return seconds; }
#endif

#endif /* DIBS_FAULT_H */
