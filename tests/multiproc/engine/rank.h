/* rank.h - what these tests' rank programs share: joining, checks that end the program, random numbers, elements. */
#ifndef TESTS_ENGINE_RANK_H
#define TESTS_ENGINE_RANK_H

#include <kolo/kolo.h>
#include <stdbool.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 }; /* everything takes ten times as long */
#else
enum { SANITIZED = 0 };
#endif

/* This process' place in the job; set by rank_join. */
extern int32_t rank_number, rank_count;

/* Ends the program with the place, a sentence and Kolo's last error: exit code 1. */
_Noreturn void rank_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define FAIL(...) rank_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition, ...) ((condition) ? (void)0 : FAIL(__VA_ARGS__))
/* The call must answer KOLO_OK. */
#define OK(call) rank_expect(__FILE__, __LINE__, #call, (call), KOLO_OK)
#define EXPECT(call, wanted) rank_expect(__FILE__, __LINE__, #call, (call), (wanted))
void rank_expect(const char *file, int line, const char *call, kolo_status got, kolo_status wanted);

kolo_context *rank_join(void);
void rank_leave(kolo_context *ctx);

/* A whole number from the command line or the environment; ends the program where it is none. */
int64_t rank_number_of(const char *text);
int64_t rank_environment(const char *name, int64_t otherwise);
void *rank_memory(size_t bytes); /* zeroed; ends the program where there is none */

/* ---- random numbers: hash of what is drawn, so that every rank knows what every other drew ---- */

uint64_t random_of(uint64_t seed, uint64_t index);
/* A generator over it. */
typedef struct random_source {
    uint64_t seed, drawn;
} random_source;
uint64_t random_next(random_source *source);
uint64_t random_below(random_source *source, uint64_t limit);
void random_shuffle(random_source *source, int32_t *items, int32_t count); /* of 0 .. count-1 */
/* Keeps the core busy for a random while, at most some 100 us; usually not at all. */
void random_pause(random_source *source);

/* ---- elements ---------------------------------------------------------------------------------- */

typedef struct element_type {
    const char *name;
    kolo_dtype dtype;
    size_t bytes;
    bool is_float;
    double epsilon; /* relative rounding error of one operation */
} element_type;
enum { ELEMENT_TYPES = 9 };
extern const element_type element_types[ELEMENT_TYPES];

/* Memory need not be aligned. Floats as double: exact. What is set must be one of the type's values, not subnormal. */
double element_float(const element_type *type, const void *data, int64_t index);
int64_t element_integer(const element_type *type, const void *data, int64_t index);
void element_set_float(const element_type *type, void *data, int64_t index, double value);
void element_set_integer(const element_type *type, void *data, int64_t index, int64_t value); /* wraps */
int64_t element_wrap(const element_type *type, int64_t value);

uint32_t crc_of(const void *data, size_t bytes);

#endif
