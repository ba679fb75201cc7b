/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Test Anything Protocol: a test is a function, and a CHECK that does not hold ends it
 */
#ifndef DIBS_TESTS_TAP_H
#define DIBS_TESTS_TAP_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf tap_end;

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, #cond);	\
		longjmp(tap_end, 1);					\
	}								\
} while (0)

#define CHECK_EQ(a, b) do {						\
	unsigned long long a_ = (a), b_ = (b);				\
	if (a_ != b_) {							\
		printf("# %s:%d: %s is %llu (0x%llx), %s is %llu (0x%llx)\n",	\
		       __FILE__, __LINE__, #a, a_, a_, #b, b_, b_);	\
		longjmp(tap_end, 1);					\
	}								\
} while (0)

struct tap_test {
	const char *name;
	void (*run)(void);
};

/* Runs those whose name has the first argument in it, or all */
static inline int tap_run(const struct tap_test *tests, int n, int argc, char **argv)
{
	volatile int i, nr = 0, bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < n; i++) {
		if (argc > 1 && !strstr(tests[i].name, argv[1]))
			continue;
		nr++;
		if (!setjmp(tap_end)) {
			tests[i].run();
			printf("ok %d %s\n", nr, tests[i].name);
		} else {
			printf("not ok %d %s\n", nr, tests[i].name);
			bad++;
		}
	}
	printf("1..%d\n", nr);
	return bad || !nr;
}

#define TAP_MAIN(tests)							\
int main(int argc, char **argv)						\
{									\
	return tap_run(tests, sizeof(tests) / sizeof((tests)[0]), argc, argv);	\
}

#endif /* DIBS_TESTS_TAP_H */
