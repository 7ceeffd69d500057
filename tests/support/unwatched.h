/* unwatched.h - a test's own arithmetic, without sanitizers: filling and checking element by element took most of their
 * tests' time. Only for memory that the function's caller keeps to itself: what the tested code reads or has written goes
 * through memcpy and memcmp, which sanitizers watch as a whole. */
#ifndef KOLO_TESTS_UNWATCHED_H
#define KOLO_TESTS_UNWATCHED_H

#define UNWATCHED __attribute__((no_sanitize("address", "thread", "undefined")))

#endif
