/* fail_alloc.h - makes the n-th allocation from now fail, once. Linked with --wrap. */
#ifndef TESTS_UNIT_BASE_FAIL_ALLOC_H
#define TESTS_UNIT_BASE_FAIL_ALLOC_H

/* 1: the next one; 0: none. */
void fail_alloc_at(int number);

#endif
