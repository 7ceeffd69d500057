/* files.h - a scratch folder for a test, and small files in it. */
#ifndef KOLO_TESTS_TRAINER_FILES_H
#define KOLO_TESTS_TRAINER_FILES_H

#include <stddef.h>
#include <stdint.h>

/* cmocka group set-up and tear-down: makes a folder below TMPDIR, and removes it with what is in it. */
int files_setup(void **state);
int files_teardown(void **state);

/* The folder; and FOLDER/name, valid until the fourth call from here. */
const char *files_folder(void);
const char *files_path(const char *name);

void files_write(const char *name, const void *data, size_t bytes);
void files_write_gzip(const char *name, const void *data, size_t bytes);

/* The whole file, to be freed. */
uint8_t *files_read(const char *name, size_t *bytes);

/* An IDX file of unsigned bytes in memory: its header for dims[ndim], then elements whose i-th is i % modulus.
 * Returns its size; buffer has room. */
size_t files_make_idx(uint8_t *buffer, uint32_t ndim, const uint32_t *dims, uint32_t modulus);

#endif
